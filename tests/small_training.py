"""A training of seconds with a real network, for the tests of the engine."""

from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from hsijax.classification.predict import Predictor, make_predictor, predict_logits
from hsijax.config import OdeSolver
from hsijax.models import make_classifier
from hsijax.patches import pad_cube
from hsijax.training.course import Epoch, Loop, Trained, Training, TrainingSet
from hsijax.training.loop import train_together
from hsijax.training.schedule import make_optimizer, make_schedule
from hsijax.training.step import (
    Network,
    TrainState,
    cross_entropy,
    make_init,
    make_train_step,
    split_network,
)

PATCH, CHANNELS, CLASSES = 3, 4, 3
EPOCHS, BATCH, PIXELS = 3, 32, 80


def make_data(run: int, pixels: int = PIXELS, patch: int = PATCH) -> TrainingSet:
    """Three thirds that differ in their first channel, and pixels of this run."""
    rng = np.random.default_rng(0)
    truth = np.repeat(np.arange(CLASSES), 4)
    cube = rng.normal(size=(12, 12, CHANNELS)) + 3 * truth[:, None]
    padded = pad_cube(cube, patch)
    chosen = np.random.default_rng((1, run)).permutation(144)[:pixels]
    rows_cols = np.stack(np.divmod(chosen, 12), -1).astype(np.int32)
    return TrainingSet(
        jnp.asarray(padded, jnp.float32),
        rows_cols,
        truth[rows_cols[:, 1]].astype(np.int32),
    )


class Parts(NamedTuple):
    make_step: Callable[..., Any]
    first_state: Callable[[int], TrainState]
    schedule: Callable[..., Any]
    network: Network
    predictor: Predictor


def make_parts(
    model: str = "no-block", architecture: str = "compact", patch: int = PATCH
) -> Parts:
    """What a command makes of its settings: dropout, flips, a schedule.

    Plain descent, because Adam makes whole steps of gradients that are mere rounding.
    """

    def make(rngs: nnx.Rngs):
        return make_classifier(
            model,
            architecture,
            channels=CHANNELS,
            classes=CLASSES,
            solver=OdeSolver("euler"),
            dropout=0.2,
            rngs=rngs,
        )

    code = nnx.eval_shape(lambda: make(nnx.Rngs(0)))
    network = split_network(code, code)
    schedule = make_schedule("one-cycle", 0.1, 3 * EPOCHS)
    optimizer = make_optimizer("sgd", schedule, 1e-2)
    loss_fn = cross_entropy(network, 0.1)
    init = make_init(make)

    def first_state(run: int) -> TrainState:
        params = init(jax.random.key(run))
        return TrainState(params, optimizer.init(params))

    @cache
    def make_step(mesh):
        return make_train_step(loss_fn, optimizer, patch, augment=True, mesh=mesh)

    predictor = make_predictor(network, patch)
    return Parts(make_step, first_state, schedule, network, predictor)


def train(
    parts: Parts,
    runs: Sequence[int],
    folder: Path,
    *,
    pixels: Sequence[int] = (PIXELS,) * 9,
    scored: bool = True,
    on_epoch: Callable[[Epoch], None] = lambda epoch: None,
    **settings: Any,
) -> tuple[list[Trained], list[Epoch]]:
    """Train runs together; return how they ended, and all epochs."""
    history: list[Epoch] = []

    def start(run: int) -> Training:
        data, others = make_data(run, pixels[run]), make_data(run + 100)

        def score(params: Any) -> float:
            logits = predict_logits(parts.predictor, params, data.padded, others.pixels)
            return float(np.mean(logits.argmax(axis=1) == others.targets))

        def note(epoch: Epoch) -> None:
            on_epoch(epoch)
            history.append(epoch)

        loop = Loop(
            parts.make_step,
            parts.schedule,
            EPOCHS,
            BATCH,
            (0, run),
            score if scored else None,
            scored,
            note,
            **settings,
        )
        state = parts.first_state(run)
        return Training(loop, state, data, folder / f"{run}.safetensors")

    folder.mkdir(exist_ok=True)
    ended = train_together([start(run) for run in runs])
    return [one for one in ended if isinstance(one, Trained)], history


def figures(history: Sequence[Epoch]) -> dict[tuple[int, int], np.ndarray]:
    """Loss, rate and score by run and epoch."""
    return {(e.run, e.epoch): np.array([e.loss, e.lr, e.score]) for e in history}


def distance(one: Any, other: Any) -> float:
    """The largest difference between two trees of arrays."""
    apart = jax.tree.map(lambda a, b: float(np.abs(a - b).max()), one, other)
    return max(jax.tree.leaves(apart))
