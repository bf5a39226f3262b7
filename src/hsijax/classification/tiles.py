"""Classes tile by tile: a scene of any size in bounded memory.

The classes and their confidence are the same, to the last bit, for tiles of every size:
a window holds all that has an influence on its tile, and the pixels of a unit of the
scene are predicted together, with no others.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Integer

from hsijax.classification.network import TrainedNetwork
from hsijax.classification.trained import TrainedClassifier
from hsijax.models.blocks import MAPS
from hsijax.preprocessing import reach
from hsijax.scenes import Scene
from hsijax.scenes.tiles import Window, choose_side, surround


class TileClasses(NamedTuple):
    """The class id of each pixel of a tile, 0 where none, and its probability."""

    classes: Integer[np.ndarray, "rows cols"]
    confidence: Float[np.ndarray, "rows cols"]  # NaN where nothing was predicted

    def reject(self, threshold: float) -> "TileClasses":
        """Leave out the classes of pixels that are less sure than that."""
        sure = self.confidence >= threshold
        return self._replace(classes=np.where(sure, self.classes, 0).astype(np.int32))


class Job(NamedTuple):
    """What is to be classified: the scene, and which of its pixels."""

    scene: Scene
    side: int  # of the tiles
    labelled_only: bool = False
    region: Bool[np.ndarray, "rows cols"] | None = None  # that diffusion keeps apart


class _Content(NamedTuple):
    """What has been read for a tile."""

    tile: Window
    window: Window
    channels: Float[np.ndarray, "rows cols channels"]
    valid: Bool[np.ndarray, "rows cols"]


def choose_tile_side(classifier: TrainedClassifier, scene: Scene, memory: int) -> int:
    """Return the side of tiles that need so much memory, beside what the program has.

    Args:
        classifier: of a run.
        scene: to classify.
        memory: bytes; a tile has 64 x 64 pixels at least, whatever that takes.
    """
    channels, inputs = classifier.inputs.preprocessing.channels, classifier.inputs
    # Two tiles' channels are there at a time, one read ahead; of those that are
    # diffused there are four copies, then one padded; the stem's maps come on top.
    values = 2 * channels + 5 * inputs.channels + 2 * MAPS
    return choose_side(memory, 4 * values, _margin(classifier), scene.shape)


def classify_tile(classifier: TrainedClassifier, job: Job, tile: Window) -> TileClasses:
    """Classify the pixels of one tile that have data.

    Raises:
        HsijaxError: the scene cannot be read, or holds broken values.
    """
    return _classify(classifier, job, _read(classifier, job, tile))


def classify_tiles(
    classifier: TrainedClassifier, job: Job, tiles: Sequence[Window]
) -> Iterator[tuple[Window, TileClasses]]:
    """Yield the tiles in turn; the next one is read while one is computed."""
    with ThreadPoolExecutor(1, "read") as reader:
        coming: deque[Future[_Content]] = deque()
        for tile in tiles:
            coming.append(reader.submit(_read, classifier, job, tile))
            if len(coming) == 2:
                content = coming.popleft().result()
                yield content.tile, _classify(classifier, job, content)
        if coming:
            content = coming.popleft().result()
            yield content.tile, _classify(classifier, job, content)


def _margin(classifier: TrainedClassifier) -> int:
    """How far from a pixel another one has an influence on its class."""
    diffusion = classifier.inputs.diffusion
    flow = reach(diffusion.times) if diffusion else 0
    return classifier.config.patch // 2 + flow


def _read(classifier: TrainedClassifier, job: Job, tile: Window) -> _Content:
    shape = job.scene.shape
    window = surround(tile, _margin(classifier), shape, job.side)
    # What is said of a whole scene is said once only.
    part = None if window.shape == shape[:2] else window
    channels, valid = classifier.inputs.read(job.scene, part)
    return _Content(tile, window, channels, valid)


def _classify(
    classifier: TrainedClassifier, job: Job, content: _Content
) -> TileClasses:
    tile, window, channels, valid = content
    wanted = valid.copy()
    if job.labelled_only:
        assert job.scene.ground_truth is not None
        wanted &= job.scene.ground_truth[window] != 0
    region = None if job.region is None else job.region[window]
    inside = tile.within(window)
    chosen, filled = [], []
    for unit in tile.units():
        part = unit.within(window)
        corner = (part.rows.start, part.cols.start)
        pixels = np.argwhere(wanted[part]) + corner
        chosen.append(pixels)
        filled.append(_fill(pixels, classifier))
    classes = np.zeros(wanted.shape, np.int32)
    confidence = np.full(wanted.shape, np.nan, np.float32)
    if any(len(pixels) for pixels in chosen):
        padded = classifier.pad(classifier.inputs.flow(channels, valid, region))
        found, sure = classifier.predict(padded, np.concatenate(filled))
        start = 0
        for pixels, all_pixels in zip(chosen, filled, strict=True):
            here = slice(start, start + len(pixels))
            classes[tuple(pixels.T)] = found[here]
            confidence[tuple(pixels.T)] = sure[here]
            start += len(all_pixels)
    return TileClasses(classes[inside], confidence[inside])


def _fill(
    pixels: Integer[np.ndarray, "pixels 2"], classifier: TrainedClassifier
) -> Integer[np.ndarray, "filled 2"]:
    """Repeat pixels to whole batches, so that no batch holds those of two units.

    An adaptive solver may take one step size for all of a batch.
    """
    learned = classifier.learned
    if not isinstance(learned, TrainedNetwork):
        return pixels
    batch = learned.blueprint.predictor().batch
    return np.resize(pixels, (-(-len(pixels) // batch) * batch, 2))
