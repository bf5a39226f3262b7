"""Arrays that may be larger than memory, a block of rows at a time."""

import mmap
from collections.abc import Iterator
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Shaped

BLOCK_BYTES = 2**25  # of an array that are in memory at once
MOST_ROWS = 256  # of a block; the height of a tile, which such blocks fill


@runtime_checkable
class RowSource(Protocol):
    """What is sliced by rows: an array, a memory map, an array of HDF5 or Zarr."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Rows first."""
        ...

    @property
    def dtype(self) -> np.dtype:
        """Of its values."""
        ...

    def __getitem__(self, rows: slice, /) -> Any:
        """Return those rows."""
        ...


def read_blocks(
    source: Shaped[RowSource, "rows ..."],
) -> Iterator[tuple[int, Shaped[np.ndarray, "some_rows ..."]]]:
    """Yield blocks of rows in memory, each with the number of its first row.

    Their height is a power of two up to that of a tile.

    >>> [(start, len(block)) for start, block in read_blocks(np.zeros((300, 2)))]
    [(0, 256), (256, 44)]
    """
    rows, *rest = source.shape
    row_bytes = max(1, int(np.prod(rest)) * source.dtype.itemsize)
    height = min(MOST_ROWS, max(1, BLOCK_BYTES // row_bytes))
    height = 2 ** (height.bit_length() - 1)
    for start in range(0, rows, height):
        yield start, read_rows(source, start, start + height)


def read_rows(
    source: Shaped[RowSource, "rows ..."], start: int, stop: int
) -> Shaped[np.ndarray, "some_rows ..."]:
    """Return rows from `start` to before `stop`, in memory."""
    block = source[start:stop]
    mapping = getattr(source, "_mmap", None)
    if mapping is None:
        return np.asarray(block)
    block = np.array(block)
    # What was read of a map counts as memory in use until it is let go. A private map
    # ("c") would lose what was written to it.
    if getattr(source, "mode", "c") != "c" and hasattr(mmap, "MADV_DONTNEED"):
        mapping.madvise(mmap.MADV_DONTNEED)
    return block
