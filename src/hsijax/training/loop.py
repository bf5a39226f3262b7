"""The training loop: epochs of steps, a checkpoint after each, resumable."""

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Array, Float, Int

from hsijax.errors import HsijaxError
from hsijax.training.checkpoint import load_checkpoint, read_metadata, save_checkpoint
from hsijax.training.step import TrainState

PyTree = Any


@dataclass(frozen=True)
class TrainingSet:
    """What is learned from: the padded cube on the device, pixels and their answers."""

    padded: Float[Array, "padded_rows padded_cols channels"]
    pixels: Int[np.ndarray, "pixels 2"]
    # Labels, or abundances: of the pixel, or a map to the right of it and down.
    targets: Int[np.ndarray, " pixels"] | Float[np.ndarray, "pixels ..."]


class Epoch(NamedTuple):
    """One row of a run's history."""

    run: int
    epoch: int  # from 1
    loss: float
    lr: float  # of the epoch's last step
    score: float | None  # on validation pixels; overall accuracy, or minus the RMSE
    seconds: float  # since the run's start, resumed parts added up


class Trained(NamedTuple):
    """A finished training."""

    params: PyTree
    epoch: int  # the one that `params` come from
    seconds: float


@dataclass(frozen=True)
class Loop:
    """How a run is trained, apart from its data and its first parameters."""

    train_step: Callable[..., tuple[TrainState, Any]]
    schedule: Callable[[int], Any]
    epochs: int
    batch: int
    seed: tuple[int, int]  # the command's seed, the run's number
    score: Callable[[PyTree], float] | None = None  # of each epoch's parameters
    keep_best: bool = False  # the epoch of the best score counts, else the last
    on_epoch: Callable[[Epoch], None] = lambda epoch: None
    # Against a loss that is no longer finite.
    remedy: str = (
        "a smaller --lr, or an ODE solver with more --steps or a larger --rtol"
    )


def steps_per_epoch(pixels: int, batch: int) -> int:
    """Number of batches that hold every pixel once.

    >>> steps_per_epoch(314, 64)
    5
    """
    return math.ceil(pixels / batch)


def batches(
    pixels: int, batch: int, seed: tuple[int, ...]
) -> Iterator[Int[np.ndarray, " batch"]]:
    """Yield the indices of each batch of one epoch, in random order.

    The last batch is filled up from the start of the order, so that all have one size
    and none is dropped.
    """
    # The last word keeps this stream apart from those that draw the split.
    order = np.random.default_rng((*seed, 1, 1)).permutation(pixels)
    steps = steps_per_epoch(pixels, batch)
    yield from np.resize(order, steps * batch).reshape(steps, batch)


def train_run(
    loop: Loop, state: TrainState, data: TrainingSet, checkpoint: Path
) -> Trained:
    """Train one run to its end, or on from `checkpoint` where that exists.

    Everything random follows from the seed and the number of the epoch or step, and
    the checkpoint holds all the rest: a run that was killed at any moment ends with
    the same parameters, bit for bit, on the same CPU.

    Raises:
        HsijaxError: the loss is no longer finite.
    """
    best = jax.tree.map(np.array, state.params) if loop.keep_best else {}
    progress = {"epoch": 0, "seconds": 0.0, "best_score": 0.0, "best_epoch": 0}
    if checkpoint.exists():
        state, best = load_checkpoint(checkpoint, (state, best))
        progress = read_metadata(checkpoint)
    before = progress["seconds"]
    start = time.perf_counter()
    seed, run = loop.seed
    key = jax.random.fold_in(jax.random.key(seed), run)
    steps = steps_per_epoch(len(data.pixels), loop.batch)
    for epoch in range(progress["epoch"], loop.epochs):
        losses = []
        order = batches(len(data.pixels), loop.batch, (seed, run, epoch))
        for number, chosen in enumerate(order, start=epoch * steps):
            pixels, targets = data.pixels[chosen], data.targets[chosen]
            state, loss = loop.train_step(
                state, data.padded, pixels, targets, key, np.int32(number)
            )
            losses.append(loss)
        mean_loss = float(np.mean(jax.device_get(losses)))
        if not math.isfinite(mean_loss):
            raise HsijaxError(
                f"the loss is {mean_loss} in epoch {epoch + 1} of run {run}: try "
                f"{loop.remedy}"
            )
        score = loop.score(state.params) if loop.score else None
        first = progress["best_epoch"] == 0
        better = score is not None and (first or score > progress["best_score"])
        if loop.keep_best and better:
            # A copy: the next step consumes these buffers.
            best = jax.tree.map(np.array, state.params)
            progress |= {"best_score": score, "best_epoch": epoch + 1}
        progress |= {
            "epoch": epoch + 1,
            "seconds": before + time.perf_counter() - start,
        }
        lr = float(loop.schedule((epoch + 1) * steps - 1))
        loop.on_epoch(Epoch(run, epoch + 1, mean_loss, lr, score, progress["seconds"]))
        save_checkpoint(checkpoint, (state, best), progress)
    if loop.keep_best:
        return Trained(best, int(progress["best_epoch"]), progress["seconds"])
    return Trained(state.params, loop.epochs, progress["seconds"])
