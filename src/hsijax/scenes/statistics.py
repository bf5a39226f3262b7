"""Figures of a whole cube from one pass over it."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Shaped

from hsijax.scenes.scene import Scene


@dataclass(frozen=True)
class CubeStatistics:
    """What the good bands of a cube hold; no-data pixels count only where it says so.

    `broken_pixels` have NaN or an infinite number in some band. All figures leave such
    numbers out; `lowest` and `highest` are NaN if nothing else is there.
    """

    lowest: float
    highest: float
    whole_numbers: bool
    nodata_pixels: int
    broken_pixels: int
    zero_pixels: int
    zero_bands: Bool[np.ndarray, " good_bands"]
    constant_bands: Bool[np.ndarray, " good_bands"]

    @property
    def value_range(self) -> list[float] | None:
        """Lowest and highest value; None if there is none."""
        if np.isnan(self.lowest):
            return None
        return [self.lowest, self.highest]


def measure_cube(scene: Scene) -> CubeStatistics:
    """Read the cube once, some rows at a time."""
    bands = int(scene.good_bands.sum())
    lowest, highest = np.full((2, bands), np.nan)
    whole, nodata, broken, zero = True, 0, 0, 0
    for _, block in scene.blocks():
        valid = scene.is_valid(block)
        nodata += int(np.count_nonzero(~valid))
        spectra, bad = _drop_broken(block[valid])
        broken += int(np.count_nonzero(bad))
        zero += int(np.count_nonzero(~spectra.any(axis=1)))
        if not len(spectra):
            continue
        # fmin and fmax, unlike min and max, leave NaN out.
        lowest = np.fmin(lowest, np.fmin.reduce(spectra))
        highest = np.fmax(highest, np.fmax.reduce(spectra))
        whole = whole and _is_whole(spectra)
    return CubeStatistics(
        lowest=float(np.fmin.reduce(lowest)),
        highest=float(np.fmax.reduce(highest)),
        whole_numbers=whole,
        nodata_pixels=nodata,
        broken_pixels=broken,
        zero_pixels=zero,
        zero_bands=(lowest == 0) & (highest == 0),
        constant_bands=lowest == highest,
    )


def _drop_broken(
    spectra: Shaped[np.ndarray, "pixels bands"],
) -> tuple[Shaped[np.ndarray, "pixels bands"], Bool[np.ndarray, " pixels"]]:
    """Write NaN for infinite numbers; say which pixels have either."""
    if spectra.dtype.kind != "f":
        return spectra, np.zeros(len(spectra), dtype=bool)
    broken = ~np.isfinite(spectra)
    return np.where(broken, np.nan, spectra), np.asarray(broken.any(axis=1))


def _is_whole(spectra: Shaped[np.ndarray, "pixels bands"]) -> bool:
    if spectra.dtype.kind != "f":
        return True
    return bool(((spectra == np.rint(spectra)) | np.isnan(spectra)).all())
