"""Pixels of a raw image gathered by a lookup table, a small part at a time."""

from collections.abc import Callable

import numpy as np
from jaxtyping import Int, Shaped

# The raw pixels of a window of the map fill a box that lies askew in the raw image. A
# box is read whole if it is small, or if this share of it is needed; else in halves.
SMALL_BOX = 64 * 64  # pixels
NEEDED_SHARE = 0.25


def gather(
    read_raw: Callable[[slice, slice], np.ndarray],
    rows: Int[np.ndarray, "rows cols"],
    cols: Int[np.ndarray, "rows cols"],
    values: Shaped[np.ndarray, "rows cols bands"],
) -> None:
    """Write raw pixel (rows, cols) into each pixel of `values`; -1 leaves it as it is.

    Of the raw image no more is read than boxes around the pixels that are needed.

    >>> raw = np.arange(12).reshape(3, 4, 1)
    >>> values = np.full((1, 2, 1), -9)
    >>> rows, cols = np.array([[2, -1]]), np.array([[1, -1]])
    >>> gather(lambda r, c: raw[r, c], rows, cols, values)
    >>> values.ravel().tolist()
    [9, -9]
    """
    shown = rows >= 0
    count = np.count_nonzero(shown)
    if not count:
        return
    needed_rows, needed_cols = rows[shown], cols[shown]
    top, bottom = int(needed_rows.min()), int(needed_rows.max()) + 1
    left, right = int(needed_cols.min()), int(needed_cols.max()) + 1
    area = (bottom - top) * (right - left)
    if area > SMALL_BOX and count < NEEDED_SHARE * area:
        axis = int(rows.shape[1] > rows.shape[0])
        halves = (np.array_split(part, 2, axis) for part in (rows, cols, values))
        for half in zip(*halves, strict=True):
            gather(read_raw, *half)
        return
    box = read_raw(slice(top, bottom), slice(left, right))
    values[shown] = box[needed_rows - top, needed_cols - left]
