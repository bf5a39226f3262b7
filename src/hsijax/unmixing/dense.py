"""Small dense networks: from rows of numbers to answers."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from jax.sharding import Mesh
from jaxtyping import Array, Float, Int, PRNGKeyArray

from hsijax.config import UnmixConfig
from hsijax.training.checkpoint import load_checkpoint
from hsijax.training.course import (
    Epoch,
    Loop,
    Trained,
    TrainingSet,
    steps_per_epoch,
)
from hsijax.training.loop import train_run
from hsijax.training.schedule import make_optimizer, make_schedule
from hsijax.training.step import (
    PyTree,
    TrainState,
    TrainStep,
    make_init,
    make_train_step,
)

# loss_of(model, inputs [batch channels], targets) -> scalar
Loss = Callable[[Any, Array, Array], Array]

# Rows at once in `compute`.
TILE = 4096


@runtime_checkable
class Blueprint(Protocol):
    """What a network is built from; hashable, so that equal ones compile once."""

    def build(self, rngs: nnx.Rngs) -> nnx.Module:
        """Build the network."""
        ...


@dataclass(frozen=True, eq=False)
class Stage:
    """One network to train, apart from its data."""

    blueprint: Blueprint
    loss_of: Loss
    number: int  # keeps the first parameters of several networks of a run apart
    score: Callable[[PyTree], float] | None = None  # of each epoch's parameters
    keep_best: bool = False


def train_dense(
    config: UnmixConfig,
    stage: Stage,
    inputs: Float[np.ndarray, "pixels channels"],
    targets: Int[np.ndarray, " pixels"] | Float[np.ndarray, "pixels values"],
    run: int,
    checkpoint: Path,
    on_epoch: Callable[[Epoch], None],
) -> Trained:
    """Train a network for `config.epochs`, or on from `checkpoint` to the same bits.

    Raises:
        HsijaxError: the loss is no longer finite.
    """
    pixels = len(inputs)
    steps = steps_per_epoch(pixels, config.batch)
    learner = _make_learner(config, stage.blueprint, stage.loss_of, steps)
    key = jax.random.fold_in(jax.random.key(config.seed), run)
    # The largest folds belong to first parameters, the small ones to steps.
    params = learner.init(jax.random.fold_in(key, 2**32 - 1 - stage.number))
    first = TrainState(params, learner.optimizer.init(params))
    loop = Loop(
        learner.make_step,
        learner.schedule,
        config.epochs,
        config.batch,
        (config.seed, run),
        stage.score,
        stage.keep_best,
        on_epoch,
        remedy="a smaller --lr",
        # A step takes some 30 microseconds, less than its dispatch.
        one_program=True,
        shares_batch=False,
    )
    places = np.stack([np.arange(pixels), np.zeros(pixels, int)], axis=1)
    data = TrainingSet(jnp.asarray(inputs[:, None]), places, targets)
    return train_run(loop, first, data, checkpoint)


def skeleton(blueprint: Blueprint) -> nnx.Module:
    """Return the network with shapes in place of arrays."""
    return nnx.eval_shape(lambda: blueprint.build(nnx.Rngs(0)))


def load_params(path: Path, blueprint: Blueprint, prefix: str) -> PyTree:
    """Read the network's parameters from a checkpoint.

    Raises:
        HsijaxError: the file is damaged or from another network.
    """
    shapes = nnx.to_pure_dict(nnx.state(skeleton(blueprint), nnx.Param))
    return load_checkpoint(path, shapes, prefix)


def compute(
    blueprint: Blueprint,
    method: Callable[[Any, Array], Array],
    params: PyTree,
    rows: Float[np.ndarray, "rows channels"],
) -> Float[np.ndarray, "rows values"]:
    """Return `method(network, rows)`, tile by tile in one compiled shape."""
    compiled = _compile_method(blueprint, method)
    parts = []
    for start in range(0, max(len(rows), 1), TILE):
        tile = rows[start : start + TILE]
        padded = np.zeros((TILE, rows.shape[1]), np.float32)
        padded[: len(tile)] = tile
        parts.append(np.asarray(compiled(params, padded))[: len(tile)])
    return np.concatenate(parts)


@cache
def _compile_method(
    blueprint: Blueprint, method: Callable[[Any, Array], Array]
) -> Callable[[PyTree, np.ndarray], Array]:
    code = nnx.graphdef(skeleton(blueprint))
    return jax.jit(lambda params, rows: method(nnx.merge(code, params), rows))


class _Learner(NamedTuple):
    """The step of a network with what it needs and follows."""

    init: Callable[..., PyTree]
    make_step: Callable[[Mesh | None], TrainStep]
    schedule: Callable[[int], Any]
    optimizer: optax.GradientTransformation


@cache
def _make_learner(
    config: UnmixConfig, blueprint: Blueprint, loss_of: Loss, steps: int
) -> _Learner:
    """Make the step once for all runs that have as many `steps` in an epoch."""
    schedule = make_schedule(config.schedule, config.lr, config.epochs * steps)
    optimizer = make_optimizer(config.optimizer, schedule, config.weight_decay)
    code = nnx.graphdef(skeleton(blueprint))

    def loss_fn(
        params: PyTree,
        patches: Float[Array, "batch 1 1 channels"],
        targets: Array,
        key: PRNGKeyArray,
    ):
        del key  # nothing is drawn in a step
        return loss_of(nnx.merge(code, params), patches[:, 0, 0], targets)

    @cache
    def make_step(mesh: Mesh | None) -> TrainStep:
        return make_train_step(loss_fn, optimizer, 1, augment=False, mesh=mesh)

    return _Learner(make_init(blueprint.build), make_step, schedule, optimizer)
