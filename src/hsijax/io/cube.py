"""What every reader returns: a cube that is read when it is looked at."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Integer, Shaped


@dataclass(frozen=True)
class LazyCube:
    """A cube `[rows cols bands]` on disk, in its own dtype, read window by window.

    `read(rows, cols)` takes two slices with start and stop inside the cube and returns
    an array of all bands of that window.
    """

    shape: tuple[int, int, int]
    dtype: np.dtype
    read: Callable[[slice, slice], Shaped[np.ndarray, "rows cols bands"]]

    @classmethod
    def from_array(cls, array: Shaped[np.ndarray, "rows cols bands"]) -> "LazyCube":
        """Wrap an array (or memory map) that is there already."""
        rows, cols, bands = array.shape
        return cls((rows, cols, bands), array.dtype, lambda r, c: array[r, c])

    def load(self) -> Shaped[np.ndarray, "rows cols bands"]:
        """Read the whole cube into memory."""
        rows, cols, _ = self.shape
        return np.asarray(self.read(slice(0, rows), slice(0, cols)))


@dataclass(frozen=True)
class Georeference:
    """Where the pixels lie: a coordinate system and an affine transform.

    `crs` is WKT or an authority string such as "EPSG:32611". `transform` is
    (a, b, c, d, e, f) of x = a col + b row + c, y = d col + e row + f, at the upper
    left corner of a pixel.
    """

    crs: str | None
    transform: tuple[float, float, float, float, float, float]


@dataclass(frozen=True)
class CubeFile:
    """A cube and what its file says about it; None where the file says nothing."""

    cube: LazyCube
    wavelengths: Float[np.ndarray, " bands"] | None = None  # nm
    fwhm: Float[np.ndarray, " bands"] | None = None  # nm
    good_bands: Bool[np.ndarray, " bands"] | None = None
    nodata: float | None = None
    scale: float | None = None  # reflectance is the values divided by it
    georeference: Georeference | None = None


def stack_bands(
    cubes: Sequence[LazyCube], order: Integer[np.ndarray, " bands"]
) -> LazyCube:
    """Put the bands of several cubes of one size side by side, and pick some of them.

    `order` counts all bands, those of the first cube first.
    """
    rows, cols, _ = cubes[0].shape

    def read(rows: slice, cols: slice) -> np.ndarray:
        parts = [cube.read(rows, cols) for cube in cubes]
        return np.concatenate(parts, axis=2)[:, :, order]

    dtype = np.result_type(*(cube.dtype for cube in cubes))
    return LazyCube((rows, cols, order.size), dtype, read)
