"""From stored numbers to physical ones: gains, offsets and no-data of the bands."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from hsijax.io.cube import LazyCube

NODATA = -9999.0  # where a file's own value cannot stay


class Packing(NamedTuple):
    """What a file says its numbers mean: value = gain x stored + offset, band by band.

    `missing` are the stored numbers that mean no data; None if there are none.
    """

    gains: Float[np.ndarray, " bands"]
    offsets: Float[np.ndarray, " bands"]
    missing: Float[np.ndarray, " bands"] | None = None


class Unpacked(NamedTuple):
    """A cube with one no-data value, and what makes it reflectance if it is."""

    cube: LazyCube
    nodata: float | None
    scale: float | None  # reflectance is the values divided by it


def unpack(cube: LazyCube, packing: Packing, *, reflectance: bool) -> Unpacked:
    """Return physical values; the stored ones where one scale and no-data serve all.

    `reflectance` says that the physical values are reflectance. Converted values are
    float32, and -9999 where there is no data; conversion happens window by window.
    """
    gains, offsets, missing = packing
    gain = float(gains[0])
    is_scale = not offsets.any() and gain > 0 and bool((gains == gain).all())
    one_missing = missing is None or np.unique(missing).size == 1
    if one_missing and is_scale and (reflectance or gain == 1):
        nodata = None if missing is None else float(missing[0])
        scale = float(f"{1 / gain:.12g}") if reflectance else None
        return Unpacked(cube, nodata, scale)

    factor, term = gains.astype(np.float32), offsets.astype(np.float32)

    def read(rows: slice, cols: slice) -> np.ndarray:
        stored = cube.read(rows, cols)
        values = stored.astype(np.float32) * factor + term
        if missing is not None:
            values[(stored == missing) | (np.isnan(missing) & (stored != stored))] = (
                NODATA
            )
        return values

    nodata = None if missing is None else NODATA
    converted = LazyCube(cube.shape, np.dtype(np.float32), read)
    return Unpacked(converted, nodata, 1.0 if reflectance else None)
