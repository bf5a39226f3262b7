"""The networks as hsijax trains them and predicts with them."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from hsijax.classification.network import Blueprint
from hsijax.classification.predict import most_probable, predict_logits
from hsijax.config import TrainConfig
from hsijax.devices import plan_execution
from hsijax.patches import pad_cube
from hsijax.settings import make_config
from hsijax.training.engine import compile_epoch, make_epoch
from hsijax.training.mesh import make_mesh, place
from hsijax.training.schedule import make_optimizer, make_schedule
from hsijax.training.step import TrainState, cross_entropy, make_train_step

CLASSES = 16
SCENE_SIDE = 48  # pixels, of the random scene that batches are drawn from
PRESETS = {"compact": "best", "paper": "paper"}
# So small that the network stays the one that it is, however long one measures.
RATE = 1e-6


class Work(NamedTuple):
    """What is trained on and predicted: a scene, and pixels in it."""

    padded: np.ndarray  # [padded rows, padded cols, channels]
    pixels: np.ndarray  # [steps, batch, 2]
    labels: np.ndarray  # [steps, batch]
    predicted: np.ndarray  # [pixels, 2]


class Opponent(NamedTuple):
    """What is timed; each waits until its device is done."""

    train: Callable[[], object]  # all steps: forward, backward, update
    predict: Callable[[], object]  # all pixels


def settings(architecture: str, model: str, patch: int, batch: int) -> TrainConfig:
    """Return a preset without what only PyTorch's code would have to repeat by hand."""
    given = {
        "dataset": "random",
        "preset": PRESETS[architecture],
        "model": model,
        "solver": "rk4",
        "steps": 1,
        "patch": patch,
        "batch": batch,
        "lr": RATE,
        "schedule": "constant",
        "dropout": 0.0,
        "augment": False,
    }
    return make_config(given, {})


def make_work(config: TrainConfig, channels: int, steps: int, predicted: int) -> Work:
    rng = np.random.default_rng(0)
    cube = rng.normal(size=(SCENE_SIDE, SCENE_SIDE, channels)).astype(np.float32)
    return Work(
        pad_cube(cube, config.patch, config.padding),
        rng.integers(SCENE_SIDE, size=(steps, config.batch, 2)).astype(np.int32),
        rng.integers(CLASSES, size=(steps, config.batch)).astype(np.int32),
        rng.integers(SCENE_SIDE, size=(predicted, 2)).astype(np.int32),
    )


def first_params(blueprint: Blueprint) -> Any:
    """Return new parameters, of an ODE whose field is not zero, as it is at first."""
    params = blueprint.first_params(0)
    if blueprint.config.model == "odenet":
        norm = params["block"]["field"]["norm3"]
        norm["scale"] = jnp.ones_like(norm["scale"])
    return params


def make_ours(config: TrainConfig, work: Work) -> Opponent:
    """Compile what the product runs: the steps of an epoch, and the prediction."""
    blueprint = Blueprint(config, work.padded.shape[-1], CLASSES)
    schedule = make_schedule(config.schedule, config.lr, steps=1)
    optimizer = make_optimizer(config.optimizer, schedule, config.weight_decay)
    loss_fn = cross_entropy(blueprint.network(), config.label_smoothing)
    mesh = make_mesh(1, config.batch)
    step = make_train_step(loss_fn, optimizer, config.patch, config.augment, mesh)
    if plan_execution().one_program:
        run_epoch = compile_epoch(step, mesh, stacked=False)
    else:
        run_epoch = make_epoch(step, mesh)
    fixed = first_params(blueprint)
    state = TrainState(jax.tree.map(jnp.copy, fixed), optimizer.init(fixed))
    state, padded, key = place((state, work.padded, jax.random.key(0)), mesh)
    scene = jnp.asarray(work.padded)

    def train():
        nonlocal state
        first = np.int32(0)
        state, losses = run_epoch(state, padded, work.pixels, work.labels, key, first)
        return jax.block_until_ready((state, losses))

    def predict():
        predictor = blueprint.predictor()
        return most_probable(predict_logits(predictor, fixed, scene, work.predicted))

    return Opponent(train, predict)
