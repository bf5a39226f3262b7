"""Squares of neighbouring pixels, which a network unmixes at once."""

import numpy as np
from jaxtyping import Float, Int

from hsijax.splits.split import mask_of


def corners_of_squares(
    pixels: Int[np.ndarray, "pixels 2"], side: int, shape: tuple[int, int]
) -> Int[np.ndarray, "squares 2"]:
    """Return the upper left corners (row, col) of the squares that hold the pixels.

    They lie in a grid, whose last row and column are moved into the scene; so some
    pixels there lie in two squares.

    Args:
        pixels: (row, col).
        side: of a square, not longer than the scene's.
        shape: rows and columns of the scene.

    >>> corners_of_squares(np.array([[0, 0], [2, 4]]), 2, (3, 5)).tolist()
    [[0, 0], [1, 3]]
    """
    wanted = mask_of(pixels, shape)
    starts = [
        np.unique(np.minimum(np.arange(0, length, side), length - side))
        for length in shape
    ]
    grid = np.stack(np.meshgrid(*starts, indexing="ij"), axis=-1).reshape(-1, 2)
    holds = [wanted[r : r + side, c : c + side].any() for r, c in grid]
    return grid[np.array(holds, bool)].astype(np.int32)


def cut_targets(
    abundances: Float[np.ndarray, "rows cols endmembers"],
    pixels: Int[np.ndarray, "pixels 2"],
    corners: Int[np.ndarray, "squares 2"],
    side: int,
) -> Float[np.ndarray, "squares side side endmembers"]:
    """Return the abundances in each square; zeros where a pixel is not among `pixels`.

    A pixel that lies in several squares is in the first of them alone.
    """
    shown = mask_of(pixels, abundances.shape[:2])
    targets = np.zeros((len(corners), side, side, abundances.shape[2]), np.float32)
    for target, (row, col) in zip(targets, corners, strict=True):
        window = (slice(row, row + side), slice(col, col + side))
        here = shown[window]
        target[here] = abundances[window][here]
        shown[window] = False
    return targets
