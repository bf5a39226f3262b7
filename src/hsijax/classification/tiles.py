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
from hsijax.scenes.tiles import Piece, Window, choose_side, surround


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


class Content(NamedTuple):
    """What has been read for a piece."""

    piece: Piece
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


def classify_tiles(
    classifier: TrainedClassifier, job: Job, tiles: Sequence[Window]
) -> Iterator[tuple[Window, TileClasses]]:
    """Yield the tiles in turn; the next one is read while one is computed."""
    with ThreadPoolExecutor(1, "read") as reader:
        coming: deque[Future[Content]] = deque()
        for tile in tiles:
            piece = cut_piece(classifier, job, tile)
            coming.append(reader.submit(read_piece, classifier, job.scene, piece))
            if len(coming) == 2:
                content = coming.popleft().result()
                yield content.piece.tile, classify_content(classifier, content)
        if coming:
            content = coming.popleft().result()
            yield content.piece.tile, classify_content(classifier, content)


def cut_piece(classifier: TrainedClassifier, job: Job, tile: Window) -> Piece:
    """Cut out what the classes of a tile follow from, but for the scene itself."""
    window = surround(tile, _margin(classifier), job.scene.shape, job.side)
    wanted = None
    if job.labelled_only:
        assert job.scene.ground_truth is not None
        wanted = job.scene.ground_truth[window] != 0
    region = None if job.region is None else job.region[window]
    return Piece(tile, window, wanted, region)


def read_piece(classifier: TrainedClassifier, scene: Scene, piece: Piece) -> Content:
    """Read the channels of a piece.

    Args:
        classifier: of a run.
        scene: of its bands, see `TrainedClassifier.fit_scene`.
        piece: of the scene.

    Raises:
        HsijaxError: the scene cannot be read, or holds broken values.
    """
    # What is said of a whole scene is said once only.
    part = None if piece.window.shape == scene.shape[:2] else piece.window
    return Content(piece, *classifier.inputs.read(scene, part))


def classify_content(classifier: TrainedClassifier, content: Content) -> TileClasses:
    """Classify the pixels of a tile that have data and are wanted."""
    piece, channels, valid = content
    wanted = valid if piece.wanted is None else valid & piece.wanted
    inside = piece.tile.within(piece.window)
    chosen, filled = [], []
    for unit in piece.tile.units():
        part = unit.within(piece.window)
        corner = (part.rows.start, part.cols.start)
        pixels = np.argwhere(wanted[part]) + corner
        chosen.append(pixels)
        filled.append(_fill(pixels, classifier))
    classes = np.zeros(wanted.shape, np.int32)
    confidence = np.full(wanted.shape, np.nan, np.float32)
    if any(len(pixels) for pixels in chosen):
        flowing = classifier.inputs.flow(channels, valid, piece.region)
        padded = classifier.pad(flowing)
        found, sure = classifier.predict(padded, np.concatenate(filled))
        start = 0
        for pixels, all_pixels in zip(chosen, filled, strict=True):
            here = slice(start, start + len(pixels))
            classes[tuple(pixels.T)] = found[here]
            confidence[tuple(pixels.T)] = sure[here]
            start += len(all_pixels)
    return TileClasses(classes[inside], confidence[inside])


def _margin(classifier: TrainedClassifier) -> int:
    """How far from a pixel another one has an influence on its class."""
    diffusion = classifier.inputs.diffusion
    flow = reach(diffusion.times) if diffusion else 0
    return classifier.config.patch // 2 + flow


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
