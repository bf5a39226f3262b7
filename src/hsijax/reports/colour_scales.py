"""From numbers to colours: scales of which both ends are round numbers."""

import math

import matplotlib
import numpy as np
from jaxtyping import Float, UInt8

WHITE = (255, 255, 255)


def read_ramp(name: str) -> UInt8[np.ndarray, "256 3"]:
    """Return the 256 colours of one of matplotlib's colour maps.

    >>> read_ramp("gray")[[0, -1]].tolist()
    [[0, 0, 0], [255, 255, 255]]
    """
    colours = matplotlib.colormaps[name](np.linspace(0, 1, 256))
    return (colours[:, :3] * 255).round().astype(np.uint8)


def shade(
    values: Float[np.ndarray, "rows cols"],
    colours: UInt8[np.ndarray, "steps 3"],
    low: float = 0.0,
    high: float = 1.0,
    missing: tuple[int, int, int] = WHITE,
) -> UInt8[np.ndarray, "rows cols 3"]:
    """Look up the colour of each value from `low` to `high`; `missing` where NaN.

    Values beyond the ends have the colours of the ends.

    >>> shade(np.array([[0.5, 9.0, np.nan]]), read_ramp("gray"))[0, :, 0]
    array([128, 255, 255], dtype=uint8)
    """
    steps = len(colours) - 1
    share = np.clip((values - low) / (high - low), 0, 1)
    places = np.nan_to_num(share * steps).round().astype(int)
    absent = np.isnan(values)[..., np.newaxis]
    return np.where(absent, np.array(missing, np.uint8), colours[places])


def round_limit(values: Float[np.ndarray, "..."]) -> float:
    """Return 1, 2 or 5 times a power of ten that 99 of 100 magnitudes stay below.

    >>> round_limit(np.array([0.1, -0.13, np.nan]))
    0.2
    """
    sizes = np.abs(values[np.isfinite(values)])
    if not sizes.any():
        return 1.0
    largest = float(np.percentile(sizes, 99)) or float(sizes.max())
    power = math.floor(math.log10(largest))
    # Through its digits: 2 * 10**-1 is 0.2, 3 * 10**-1 would not be 0.3.
    limits = (float(f"{digit}e{power}") for digit in (1, 2, 5, 10))
    return next(limit for limit in limits if limit >= largest * (1 - 1e-9))
