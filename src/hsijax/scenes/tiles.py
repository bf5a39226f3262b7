"""A scene in tiles: what is worked on at a time, and what must be read for it.

Tiles are made of units of 64 x 64 pixels, counted from the scene's corner. What is
computed unit by unit is the same, to the last bit, however large the tiles are.
"""

import itertools
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool

UNIT = 64  # pixels of a side


class Window(NamedTuple):
    """A rectangle of pixels; both slices have start and stop."""

    rows: slice
    cols: slice

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return _length(self.rows), _length(self.cols)

    @property
    def size(self) -> int:
        """Number of pixels."""
        return self.shape[0] * self.shape[1]

    def within(self, outer: "Window") -> "Window":
        """Return the same rectangle as counted from the corner of another.

        >>> whole_window((9, 9)).within(Window(slice(-2, 11), slice(0, 9)))
        Window(rows=slice(2, 11, None), cols=slice(0, 9, None))
        """
        return Window(
            _shift(self.rows, -outer.rows.start), _shift(self.cols, -outer.cols.start)
        )

    def units(self) -> Iterator["Window"]:
        """Yield the units it consists of, those at its border cut off there."""
        for rows, cols in itertools.product(*map(_cut, self, (UNIT, UNIT))):
            yield Window(rows, cols)


class Piece(NamedTuple):
    """A tile, and what its result follows from beside the scene itself."""

    tile: Window
    window: Window  # to be read for it
    wanted: Bool[np.ndarray, "rows cols"] | None = None  # in the window; None: all
    region: Bool[np.ndarray, "rows cols"] | None = None  # that diffusion keeps apart


def whole_window(shape: tuple[int, ...]) -> Window:
    """Return the window of a whole scene, of its rows and columns."""
    return Window(slice(0, shape[0]), slice(0, shape[1]))


def plan_tiles(shape: tuple[int, ...], side: int) -> list[Window]:
    """Cut a scene into tiles, row by row of them.

    Args:
        shape: rows and columns of the scene, then anything.
        side: of a tile; a multiple of `UNIT`.

    >>> [tile.shape for tile in plan_tiles((100, 145), 64)]
    [(64, 64), (64, 64), (64, 17), (36, 64), (36, 64), (36, 17)]
    """
    whole = whole_window(shape)
    return [
        Window(rows, cols)
        for rows, cols in itertools.product(
            _cut(whole.rows, side), _cut(whole.cols, side)
        )
    ]


def surround(tile: Window, margin: int, shape: tuple[int, ...], side: int) -> Window:
    """Return the window to read for a tile: it and its surroundings, within the scene.

    All windows of a scene are of one size, so that what works on them is compiled once:
    at the scene's border they hold more of the inside.

    Args:
        tile: from `plan_tiles`.
        margin: how far the surroundings have an influence, in pixels.
        shape: rows and columns of the scene, then anything.
        side: the tiles'.

    >>> surround(Window(slice(64, 80), slice(0, 64)), 5, (80, 200), 64)
    Window(rows=slice(6, 80, None), cols=slice(0, 74, None))
    """
    length = side + 2 * margin

    def widen(part: slice, limit: int) -> slice:
        size = min(length, limit)
        start = min(max(part.start - margin, 0), limit - size)
        return slice(start, start + size)

    return Window(widen(tile.rows, shape[0]), widen(tile.cols, shape[1]))


def choose_side(
    budget: int, bytes_per_pixel: int, margin: int, shape: tuple[int, ...]
) -> int:
    """Return the largest side of tiles that keeps to a budget; at least one unit.

    Args:
        budget: bytes.
        bytes_per_pixel: that work on one pixel of a window takes.
        margin: what `surround` adds on each side, in pixels.
        shape: rows and columns of the scene, then anything.

    >>> choose_side(10**9, 4000, 70, (10_000, 10_000))
    320
    """
    longest = -(-max(shape[:2]) // UNIT) * UNIT
    side = UNIT
    while side < longest:
        rows, cols = (min(side + UNIT + 2 * margin, length) for length in shape[:2])
        if rows * cols * bytes_per_pixel > budget:
            break
        side += UNIT
    return side


def share_out(side: int, shape: tuple[int, ...], workers: int) -> int:
    """Return the largest side of tiles, at most this one, that gives each worker one.

    Args:
        side: a multiple of `UNIT`; one unit is the least.
        shape: rows and columns of the scene, then anything.
        workers: that compute at the same time.

    >>> share_out(640, (512, 217), 2), share_out(640, (512, 217), 999)
    (448, 64)
    """
    while side > UNIT and -(-shape[0] // side) * -(-shape[1] // side) < workers:
        side -= UNIT
    return side


def _cut(part: slice, side: int) -> list[slice]:
    starts = np.arange(part.start, part.stop, side).tolist()
    return [slice(start, min(start + side, part.stop)) for start in starts]


def _length(part: slice) -> int:
    return part.stop - part.start


def _shift(part: slice, by: int) -> slice:
    return slice(part.start + by, part.stop + by)
