"""The classes of a whole scene, tile by tile, in bounded memory."""

import logging
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Integer

from hsijax.classification.tiles import (
    Job,
    TileClasses,
    choose_tile_side,
    classify_tiles,
)
from hsijax.classification.trained import TrainedClassifier
from hsijax.config import Progress, no_progress
from hsijax.config.memory import default_memory, resident_memory
from hsijax.experiments.tile_store import TileStore
from hsijax.io.row_blocks import read_blocks
from hsijax.scenes import Scene
from hsijax.scenes.tiles import Window, plan_tiles, share_out

log = logging.getLogger("hsijax")

Found = Iterator[tuple[Window, TileClasses]]


class Computing(NamedTuple):
    """What computes the tiles: this process, or the workers of a cluster."""

    # Yields each tile with its classes, in any order.
    classify: Callable[[TrainedClassifier, Job, Sequence[Window]], Found]
    workers: int = 1  # that compute at the same time
    memory: int | None = None  # bytes of each; None for what fits this machine


HERE = Computing(classify_tiles)


class ClassMap(NamedTuple):
    """The class id of each pixel, 0 where none, and the probability given to it."""

    classes: Integer[np.ndarray, "rows cols"]
    confidence: Float[np.ndarray, "rows cols"]  # NaN where nothing was predicted

    def every(self, step: int) -> "ClassMap":
        """Return every so many rows and columns of it, in memory."""
        return ClassMap(*(np.array(layer[::step, ::step]) for layer in self))

    @property
    def is_empty(self) -> bool:
        """Whether no pixel was predicted."""
        return all(np.isnan(block).all() for _, block in read_blocks(self.confidence))

    @property
    def rejected(self) -> Bool[np.ndarray, "rows cols"]:
        """Where something was predicted, and left out again."""
        return (self.classes == 0) & ~np.isnan(self.confidence)


def classify_scene(
    classifier: TrainedClassifier,
    scene: Scene,
    store: TileStore,
    *,
    labelled_only: bool = False,
    region: Bool[np.ndarray, "rows cols"] | None = None,
    reject: float | None = None,
    memory: int | None = None,
    computing: Computing = HERE,
    progress: Progress = no_progress,
) -> ClassMap:
    """Predict every pixel that has data, or every labelled one, tile by tile.

    Border pixels are predicted like all others.

    Args:
        classifier: of a run.
        scene: to classify.
        store: keeps the tiles; those that it has are not predicted again.
        labelled_only: leave pixels without ground truth out.
        region: pixels that diffusion keeps apart, see `guarded_region`.
        reject: leave the class of pixels of less confidence out.
        memory: bytes that the program may take, about, or each worker of a cluster;
            None for what fits the machine.
        computing: what computes the tiles.
        progress: shows how far it is.

    Raises:
        HsijaxError: the scene cannot be read, or the disk is full.
    """
    free = memory or computing.memory or default_memory()
    if computing is HERE:
        free -= resident_memory()
    side = choose_tile_side(classifier, scene, free)
    side = share_out(side, scene.shape, computing.workers)
    job = Job(scene, side, labelled_only, region)
    tiles = [tile for tile in plan_tiles(scene.shape, side) if not store.done(tile)]
    total = scene.shape[0] * scene.shape[1]
    done = store.pixels_done()
    if done and tiles:
        log.info("going on with %s: %.0f %% are there", scene.name, 100 * done / total)
    with ThreadPoolExecutor(1, "write") as writer:
        written: Future[None] | None = None
        for tile, found in computing.classify(classifier, job, tiles):
            if reject is not None:
                found = found.reject(reject)
            if written is not None:
                written.result()
            written = writer.submit(store.write, tile, **found._asdict())
            done += tile.size
            progress("predicting", min(done, total), total, scene.name)
        if written is not None:
            written.result()
    return ClassMap(store.layer("classes"), store.layer("confidence"))
