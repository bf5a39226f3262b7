"""Endmembers found in a scene: the pixels that show one material alone."""

import logging
from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Real

from hsijax.errors import HsijaxError, UsageError, lookup
from hsijax.unmixing.nfindr import extract_nfindr
from hsijax.unmixing.outliers import extract_among_neighbours
from hsijax.unmixing.ppi import extract_ppi
from hsijax.unmixing.spa import extract_spa
from hsijax.unmixing.subspace import largest_axes, measure_moments
from hsijax.unmixing.vca import extract_vca

log = logging.getLogger("hsijax")

# extract(spectra, key, count): float64 spectra; the indices of the pixels picked.
Extractor = Callable[..., Int[Array, " endmembers"]]
EXTRACTORS: dict[str, Extractor] = {
    "vca": extract_vca,
    "nfindr": extract_nfindr,
    "spa": extract_spa,
    "ppi": extract_ppi,
}

# Share of the largest variance below which another one is rounding (of float32).
FLAT = 1e-13


def extract_endmembers(
    method: str,
    spectra: Real[np.ndarray, "pixels bands"],
    count: int,
    *,
    seed: int = 0,
    robust: bool = False,
) -> Int[np.ndarray, " count"]:
    """Return the indices of the pixels that serve as endmembers.

    All is computed in float64, which takes 8 bytes a value. Pixels with NaN and pixels
    that are 0 in all bands are never picked and do not count.

    Args:
        method: one of `EXTRACTORS`.
        spectra: on any scale; whole numbers too.
        count: of endmembers.
        seed: the same one gives the same pixels.
        robust: pick no pixel that fewer than five others resemble, such as a dead or
            hot one.

    Raises:
        UsageError: there is no such method, or more endmembers are wanted than there
            are bands or pixels.
        HsijaxError: the spectra do not differ in as many ways, or all seem outliers.
    """
    extract = lookup(EXTRACTORS, method, "method of extraction")
    usable = np.flatnonzero(usable_pixels(spectra))
    values = spectra[usable].astype(np.float64)
    _check_count(count, *values.shape)
    # jax computes in float32 unless it is told otherwise.
    with jax.enable_x64(True):
        _check_dimensions(values, count)
        picks = partial(extract, key=jax.random.key(seed), count=count)
        if robust:
            found = extract_among_neighbours(picks, values)
        else:
            found = np.asarray(picks(jnp.asarray(values)))
    if len(np.unique(found)) < count:
        raise HsijaxError(
            f"{method} finds only {len(np.unique(found))} different pixels: give a "
            f"smaller --count than {count}, or another method"
        )
    return usable[found]


def usable_pixels(
    spectra: Real[np.ndarray, "pixels bands"],
) -> Bool[np.ndarray, " pixels"]:
    """Return False where a spectrum has NaN or infinite values or nothing but zeros.

    How many have NaN is logged.

    >>> usable_pixels(np.array([[1.0, 0.0], [0.0, 0.0], [np.nan, 1.0]]))
    array([ True, False, False])
    """
    finite = np.isfinite(spectra).all(axis=1)
    broken = int(np.count_nonzero(~finite))
    if broken:
        log.warning("%d of %d pixels hold NaN: left out", broken, len(spectra))
    return finite & (spectra != 0).any(axis=1)


def _check_count(count: int, pixels: int, bands: int) -> None:
    if count < 2:
        raise UsageError(f"--count must be 2 or more, not {count}")
    for number, kind in ((pixels, "pixels with data"), (bands, "bands")):
        if count > number:
            raise UsageError(
                f"cannot find {count} endmembers: there are only {number} {kind}; "
                f"--count must be {number} or less"
            )


def _check_dimensions(spectra: Float[np.ndarray, "pixels bands"], count: int) -> None:
    covariance = measure_moments(jnp.asarray(spectra)).covariance
    variances = np.asarray(largest_axes(covariance, count - 1)[0])
    enough = variances > FLAT * max(variances[0], np.square(spectra).max() * FLAT)
    if not enough.all():
        raise HsijaxError(
            f"cannot find {count} endmembers: the spectra vary in only "
            f"{np.count_nonzero(enough)} ways, enough for "
            f"{np.count_nonzero(enough) + 1}"
        )
