"""One training on its way: its data, its epochs, its score and its checkpoint."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.sharding import Mesh
from jaxtyping import Array, Float, Int, PRNGKeyArray

from hsijax.errors import HsijaxError
from hsijax.training.checkpoint import load_checkpoint, read_metadata, save_checkpoint
from hsijax.training.step import TrainState, TrainStep

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
    seconds: float  # its share, where several runs were trained together


@dataclass(frozen=True)
class Loop:
    """How a run is trained, apart from its data and its first parameters."""

    make_step: Callable[[Mesh | None], TrainStep]  # for the devices that share a batch
    schedule: Callable[[int], Any]
    epochs: int
    batch: int
    seed: tuple[int, int]  # the command's seed, the run's number
    score: Callable[[PyTree], float] | None = None  # of each epoch's parameters
    keep_best: bool = False  # the epoch of the best score counts, else the last
    on_epoch: Callable[[Epoch], None] = lambda epoch: None
    # Whether an epoch draws each class equally often; of targets that are labels.
    balanced: bool = False
    # Against a loss that is no longer finite.
    remedy: str = (
        "a smaller --lr, or an ODE solver with more --steps or a larger --rtol"
    )
    # Whether an epoch is one program; None leaves it to the device.
    one_program: bool | None = None
    # Whether devices may share a batch: not where a step is over sooner than they meet.
    shares_batch: bool = True


class Training(NamedTuple):
    """A run to be trained."""

    loop: Loop
    state: TrainState
    data: TrainingSet
    checkpoint: Path


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


def balanced_batches(
    labels: Int[np.ndarray, " pixels"], batch: int, seed: tuple[int, ...]
) -> Iterator[Int[np.ndarray, " batch"]]:
    """Yield the indices of each batch of one epoch, each class equally often.

    As many batches as `batches` yields. A class's pixels come in random order, from
    the start again where it has too few; where it has more than its share, each epoch
    draws others.
    """
    rng = np.random.default_rng((*seed, 1, 1))
    steps = steps_per_epoch(len(labels), batch)
    # Counts that do not divide differ by one, for classes drawn anew each epoch.
    classes = rng.permutation(np.unique(labels))
    drawn = rng.permutation(np.resize(classes, steps * batch))
    order = np.empty(len(drawn), np.int64)
    for label in classes:
        members = rng.permutation(np.flatnonzero(labels == label))
        places = np.flatnonzero(drawn == label)
        order[places] = np.resize(members, len(places))
    yield from order.reshape(steps, batch)


class Course:
    """One run on its way."""

    def __init__(self, training: Training):
        self.loop, state, self.data, self.checkpoint = training
        self.best = jax.tree.map(np.array, state.params) if self.loop.keep_best else {}
        progress = {
            "epoch": 0,
            "seconds": 0.0,
            "best_score": -math.inf,
            "best_epoch": 0,
        }
        if self.checkpoint.exists():
            state, self.best = load_checkpoint(self.checkpoint, (state, self.best))
            progress = read_metadata(self.checkpoint)
        self.state: TrainState = state
        self.failure: HsijaxError | None = None
        self.epoch: int = progress["epoch"]
        self.seconds: float = progress["seconds"]
        self.best_score: float = progress["best_score"]
        self.best_epoch: int = progress["best_epoch"]

    @property
    def run(self) -> int:
        """Number of the run."""
        return self.loop.seed[1]

    @property
    def steps(self) -> int:
        """Steps of an epoch."""
        return steps_per_epoch(len(self.data.pixels), self.loop.batch)

    def start(self) -> tuple[TrainState, Float[Array, "..."], PRNGKeyArray]:
        """Return what the training goes on from: state, padded cube and random key."""
        seed, run = self.loop.seed
        return (
            self.state,
            self.data.padded,
            jax.random.fold_in(jax.random.key(seed), run),
        )

    def batches(self, epoch: int) -> tuple[Int[np.ndarray, "..."], np.ndarray]:
        """Return the pixels and the targets of each step of an epoch, from 0."""
        seed = (*self.loop.seed, epoch)
        if self.loop.balanced:
            drawn = balanced_batches(self.data.targets, self.loop.batch, seed)
        else:
            drawn = batches(len(self.data.pixels), self.loop.batch, seed)
        order = np.stack([*drawn])
        return self.data.pixels[order], self.data.targets[order]

    def end_epoch(self, params: PyTree, loss: float, lr: float, seconds: float) -> None:
        """Score an epoch and report it, or note that the training has failed."""
        if self.failure:
            return
        if not math.isfinite(loss):
            self.failure = HsijaxError(
                f"the loss is {loss} in epoch {self.epoch + 1} of run {self.run}: try "
                f"{self.loop.remedy}"
            )
            return
        score = self.loop.score(params) if self.loop.score else None
        self.epoch += 1
        self.seconds += seconds
        if self.loop.keep_best and score is not None and score > self.best_score:
            # A copy: the next step consumes these buffers.
            self.best = jax.tree.map(np.array, params)
            self.best_score, self.best_epoch = score, self.epoch
        self.loop.on_epoch(Epoch(self.run, self.epoch, loss, lr, score, self.seconds))

    def save(self, state: TrainState) -> None:
        """Write the checkpoint of the epochs so far."""
        self.state = state
        progress = {
            "epoch": self.epoch,
            "seconds": self.seconds,
            "best_score": self.best_score,
            "best_epoch": self.best_epoch,
        }
        save_checkpoint(self.checkpoint, (state, self.best), progress)

    def end(self) -> Trained | HsijaxError:
        """Return the parameters that count, or why there are none."""
        if self.failure:
            return self.failure
        if self.loop.keep_best:
            return Trained(self.best, self.best_epoch, self.seconds)
        return Trained(self.state.params, self.loop.epochs, self.seconds)
