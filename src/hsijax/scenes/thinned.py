"""A scene too large for memory, as the picture that every n-th row and column make."""

from dataclasses import replace
from math import ceil, sqrt

import numpy as np

from hsijax.io.cube import Georeference, LazyCube
from hsijax.scenes.scene import BLOCK_BYTES, Scene


def thinning(scene: Scene, most: int) -> int:
    """Return every how many rows and columns leave so many bytes of float32.

    >>> import numpy as np
    >>> from pathlib import Path
    >>> from hsijax.scenes.scene import SourceFile
    >>> cube = LazyCube((1000, 1000, 10), np.dtype("u1"), lambda rows, cols: None)
    >>> scene = Scene("a", cube, SourceFile(Path("a")), np.ones(10, bool))
    >>> thinning(scene, 40_000_000), thinning(scene, 9_000_000)
    (1, 3)
    """
    rows, cols, _ = scene.shape
    size = 4 * rows * cols * int(scene.good_bands.sum())
    return max(1, ceil(sqrt(size / most)))


def thin_scene(scene: Scene, step: int) -> Scene:
    """Return the scene of every `step`-th row and column, read lazily too.

    The ground truth is left out.
    """
    rows, cols = (-(-length // step) for length in scene.shape[:2])
    whole = scene.cube

    def read(down: slice, across: slice) -> np.ndarray:
        these = slice(across.start * step, (across.stop - 1) * step + 1)
        # Many rows at a time, because what is stored in blocks is read by blocks.
        width = whole.dtype.itemsize * whole.shape[2] * (these.stop - these.start)
        many = max(1, BLOCK_BYTES // (width * step))
        parts = []
        for first in range(down.start, down.stop, many):
            last = min(first + many, down.stop) - 1
            rows = slice(first * step, last * step + 1)
            parts.append(np.asarray(whole.read(rows, these))[::step, ::step])
        return np.concatenate(parts)

    return replace(
        scene,
        cube=LazyCube((rows, cols, scene.shape[2]), whole.dtype, read),
        ground_truth=None,
        ground_truth_source=None,
        classes=(),
        georeference=_coarser(scene.georeference, step),
    )


def _coarser(place: Georeference | None, step: int) -> Georeference | None:
    if place is None:
        return None
    a, b, c, d, e, f = place.transform
    return Georeference(place.crs, (a * step, b * step, c, d * step, e * step, f))
