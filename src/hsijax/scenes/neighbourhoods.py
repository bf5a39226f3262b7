"""A large scene as what lies around its labelled pixels: all that is read of it.

What a network sees of a pixel is the patch around it, and what flows into that; the
rest of a scene of many gigabytes need not be in memory to train.
"""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Int

from hsijax.io.cube import LazyCube
from hsijax.scenes.scene import Part, Scene
from hsijax.scenes.stack import pile_up

# Pixels, the least side of the squares that labelled pixels are sought in.
LEAST_SIDE = 64


@dataclass(frozen=True)
class Neighbourhoods:
    """Windows of a scene, below each other in another one."""

    scene: Scene  # its parts are the windows
    corners: Int[np.ndarray, "windows 2"]  # in the whole scene, their first pixels
    numbers: Int[np.ndarray, "rows cols"]  # of the window to look at; -1 for none

    def place(self, pixels: Int[np.ndarray, "n 2"]) -> Int[np.ndarray, "n 2"]:
        """Return where labelled pixels of the whole scene lie in the windows."""
        window = self.numbers[pixels[:, 0], pixels[:, 1]]
        moved = pixels - self.corners[window]
        moved[:, 0] += np.array([part.row for part in self.scene.parts])[window]
        return moved.astype(pixels.dtype)

    def gather(self, mask: Bool[np.ndarray, "rows cols"]) -> Bool[np.ndarray, "r c"]:
        """Return what a mask of the whole scene is in the windows."""
        found = np.zeros(self.scene.shape[:2], dtype=bool)
        for part, (row, col) in zip(self.scene.parts, self.corners, strict=True):
            rows, cols = part.scene.shape[:2]
            found[part.window] = mask[row : row + rows, col : col + cols]
        return found


def find_neighbourhoods(scene: Scene, margin: int, gap: int) -> Neighbourhoods:
    """Cut out of a scene, or of each of its parts, what lies around labelled pixels.

    A grid of squares is laid over it; each with labelled pixels becomes a window, with
    a margin on all sides, but not beyond the border. All are of one size where the
    scene is not smaller.

    Args:
        scene: with a ground truth.
        margin: of pixels that are read around the squares.
        gap: rows of no data between two windows.
    """
    assert scene.ground_truth is not None  # a scene that trains has one
    side = max(LEAST_SIDE, 2 * margin)
    numbers = np.full(scene.shape[:2], -1, np.int32)
    windows, corners = [], []
    for whole in scene.parts or (Part(scene, 0, trains=True),):
        rows, cols = whole.scene.shape[:2]
        labelled = np.argwhere(scene.ground_truth[whole.window])
        for square in np.unique(labelled // side, axis=0).tolist():
            first = [number * side for number in square]
            inside = tuple(
                slice(one, min(one + side, most))
                for one, most in zip(first, (rows, cols), strict=True)
            )
            numbers[whole.window][inside] = len(corners)
            row, col = (
                max(0, min(one - margin, most - side - 2 * margin))
                for one, most in zip(first, (rows, cols), strict=True)
            )
            window = (
                slice(row, min(rows, row + side + 2 * margin)),
                slice(col, min(cols, col + side + 2 * margin)),
            )
            windows.append((_crop(whole.scene, *window), whole.trains))
            corners.append((whole.row + row, col))
    packed = pile_up(windows, gap, scene.good_bands)
    return Neighbourhoods(
        replace(packed, name=scene.name, source=scene.source),
        np.array(corners),
        numbers,
    )


def _crop(scene: Scene, rows: slice, cols: slice) -> Scene:
    """Return a window of a scene, without its labels; nothing is read."""

    def read(wanted_rows: slice, wanted_cols: slice) -> np.ndarray:
        return scene.cube.read(
            slice(wanted_rows.start + rows.start, wanted_rows.stop + rows.start),
            slice(wanted_cols.start + cols.start, wanted_cols.stop + cols.start),
        )

    shape = (rows.stop - rows.start, cols.stop - cols.start, scene.shape[2])
    return replace(
        scene,
        cube=LazyCube(shape, scene.cube.dtype, read),
        ground_truth=None,
        ground_truth_source=None,
        georeference=None,
        corner=(scene.corner[0] + rows.start, scene.corner[1] + cols.start),
    )
