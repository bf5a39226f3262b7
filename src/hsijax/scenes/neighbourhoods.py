"""A large scene as what lies around its labelled pixels: all that is read of it.

What a network sees of a pixel is the patch around it, and what flows into that; the
rest of a scene of many gigabytes need not be in memory to train.
"""

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from jaxtyping import Int

from hsijax.io.cube import LazyCube
from hsijax.scenes.scene import Part, Scene
from hsijax.scenes.stack import pile_up
from hsijax.scenes.tiles import UNIT, Window, surround


class Surroundings(NamedTuple):
    """A window of a scene with all that flows into it."""

    scene: Scene  # as large as that, read lazily
    window: tuple[slice, slice]  # that it is of the whole scene
    inside: tuple[slice, slice]  # of it, what is kept


@dataclass(frozen=True)
class Neighbourhoods:
    """Windows of a scene, below each other in another one."""

    scene: Scene  # its parts are the windows
    corners: Int[np.ndarray, "windows 2"]  # in the whole scene, their first pixels
    numbers: Int[np.ndarray, "rows cols"]  # of the window to look at; -1 for none
    surroundings: tuple[Surroundings, ...]  # of the windows

    def place(self, pixels: Int[np.ndarray, "n 2"]) -> Int[np.ndarray, "n 2"]:
        """Return where labelled pixels of the whole scene lie in the windows."""
        window = self.numbers[pixels[:, 0], pixels[:, 1]]
        moved = pixels - self.corners[window]
        moved[:, 0] += np.array([part.row for part in self.scene.parts])[window]
        return moved.astype(pixels.dtype)


def find_neighbourhoods(
    scene: Scene, margin: int, gap: int, flow: int = 0
) -> Neighbourhoods:
    """Cut out of a scene, or of each of its parts, what lies around labelled pixels.

    The units of a scene with labelled pixels become windows, with a margin on all
    sides, but not beyond the border. All are of one size where the scene is not
    smaller.

    Args:
        scene: with a ground truth.
        margin: of pixels that patches take in around the units.
        gap: rows of no data between two windows.
        flow: how much further pixels have an influence, which is not kept in memory.
    """
    assert scene.ground_truth is not None  # a scene that trains has one
    numbers = np.full(scene.shape[:2], -1, np.int32)
    windows, corners, surroundings = [], [], []
    for whole in scene.parts or (Part(scene, 0, trains=True),):
        shape = whole.scene.shape
        labelled = np.argwhere(scene.ground_truth[whole.window])
        for unit in np.unique(labelled // UNIT, axis=0).tolist():
            tile = Window(
                *(
                    slice(UNIT * one, min(UNIT * (one + 1), most))
                    for one, most in zip(unit, shape[:2], strict=True)
                )
            )
            numbers[whole.window][tile] = len(corners)
            window = surround(tile, margin, shape, UNIT)
            wide = surround(tile, margin + flow, shape, UNIT)
            windows.append((_crop(whole.scene, *window), whole.trains))
            corners.append((whole.row + window.rows.start, window.cols.start))
            rows = slice(whole.row + wide.rows.start, whole.row + wide.rows.stop)
            surroundings.append(
                Surroundings(
                    replace(_crop(whole.scene, *wide), good_bands=scene.good_bands),
                    (rows, wide.cols),
                    window.within(wide),
                )
            )
    packed = pile_up(windows, gap, scene.good_bands)
    return Neighbourhoods(
        replace(packed, name=scene.name, source=scene.source),
        np.array(corners),
        numbers,
        tuple(surroundings),
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
