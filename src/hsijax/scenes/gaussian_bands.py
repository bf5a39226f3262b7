"""Spectra on the bands of another sensor, each with a Gaussian response."""

import math

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.special import ndtr

SIGMAS_PER_FWHM = 1 / math.sqrt(8 * math.log(2))


def resample(
    spectra: Float[np.ndarray, "spectra bands"],
    wavelengths: Float[np.ndarray, " bands"],
    own_widths: Float[np.ndarray, " bands"] | None,
    centres: Float[np.ndarray, " targets"],
    widths: Float[np.ndarray, " targets"],
) -> Float[np.ndarray, "spectra targets"]:
    """Resample spectra; NaN where a hole of one lies at a target.

    Targets that all spectra lack get the nearest values.

    Args:
        spectra: NaN where there is no value.
        wavelengths: ascending, in nm.
        own_widths: FWHM of the bands of `spectra`: what these have blurred already is
            not blurred again.
        centres: wavelengths of the targets, in nm.
        widths: FWHM of the targets, in nm.
    """
    resampled = np.full((len(spectra), centres.size), np.nan)
    blur = missing_blur(wavelengths, own_widths, centres, widths)
    bare = uncovered(wavelengths, centres, widths)
    # Most spectra share their holes: one matrix for each pattern of them.
    patterns, which = np.unique(np.isfinite(spectra), axis=0, return_inverse=True)
    for number, has_value in enumerate(patterns):
        if has_value.sum() < 2:
            continue
        rows = which.ravel() == number
        there = wavelengths[has_value]
        weights = gaussian_weights(there, centres, blur)
        values = spectra[np.ix_(rows, has_value)] @ weights.T
        values[:, uncovered(there, centres, widths) & ~bare] = np.nan
        resampled[rows] = values
    return resampled


def missing_blur(
    wavelengths: Float[np.ndarray, " bands"],
    own_widths: Float[np.ndarray, " bands"] | None,
    centres: Float[np.ndarray, " targets"],
    widths: Float[np.ndarray, " targets"],
) -> Float[np.ndarray, " targets"]:
    """FWHM of the Gaussian that makes of the nearest band one of a target's width.

    0 where the band is as wide already; the target's own width where nothing is known
    of the bands. Widths of Gaussians add in squares.

    >>> bands, targets = np.array([400.0, 410.0]), np.array([402.0, 409.0])
    >>> missing_blur(bands, np.array([3.0, 9.0]), targets, np.array([5.0, 5.0]))
    array([4., 0.])
    """
    own = 0.0
    if own_widths is not None and (own_widths > 0).all():
        own = own_widths[nearest(wavelengths, centres)]
    return np.sqrt(np.maximum(widths**2 - own**2, 0.0))


def gaussian_weights(
    wavelengths: Float[np.ndarray, " bands"],
    centres: Float[np.ndarray, " targets"],
    fwhm: Float[np.ndarray, " targets"],
) -> Float[np.ndarray, "targets bands"]:
    """Weights of ascending bands in others with a Gaussian response; rows sum to 1.

    A spectrum is linear between its bands and constant beyond the first and last one,
    and its product with the Gaussian is integrated exactly: the weight of a band is
    the second divided difference of F, where F'' is the Gaussian.

    >>> gaussian_weights(np.array([400.0, 410.0, 420.0]), np.array([410.0]),
    ...                  np.array([10.0])).round(3)
    array([[0.168, 0.664, 0.168]])
    """
    sigma = np.maximum(fwhm * SIGMAS_PER_FWHM, 1e-6)[:, None]
    z = (wavelengths - centres[:, None]) / sigma
    twice = sigma * (z * ndtr(z) + np.exp(-(z**2) / 2) / math.sqrt(2 * math.pi))
    slopes = np.diff(twice, axis=1) / np.diff(wavelengths)
    weights = np.diff(slopes, axis=1, prepend=0.0, append=1.0)
    return np.maximum(weights, 0.0)  # negative by rounding alone


def known_widths(
    fwhm: Float[np.ndarray, " bands"] | None, chosen: Bool[np.ndarray, " bands"]
) -> Float[np.ndarray, " bands"] | None:
    """Return the widths if all those of the chosen bands are known."""
    known = fwhm is not None and bool(np.all(fwhm[chosen] > 0))
    return fwhm if known else None


def spacing(
    wavelengths: Float[np.ndarray, " bands"],
) -> Float[np.ndarray, " bands"]:
    """Distance of each band to the nearer one of its neighbours, in any order.

    >>> spacing(np.array([400.0, 410.0, 500.0, 512.0]))
    array([10., 10., 12., 12.])
    """
    order = np.argsort(wavelengths)
    gaps = np.diff(wavelengths[order])
    nearer = np.minimum(np.append(gaps, np.inf), np.append(np.inf, gaps))
    return nearer[np.argsort(order)]


def uncovered(
    wavelengths: Float[np.ndarray, " bands"],
    centres: Float[np.ndarray, " targets"],
    widths: Float[np.ndarray, " targets"],
) -> Bool[np.ndarray, " targets"]:
    """Which targets lie in a gap of some bands, or beyond their ends.

    The nearest band may be as far away as the target is wide, or as the bands usually
    lie apart; beyond the ends half as far.

    >>> library = np.array([400.0, 410.0, 420.0, 500.0])
    >>> uncovered(library, np.array([396.0, 425.0, 450.0]), np.array([6.0, 6.0, 6.0]))
    array([False, False,  True])
    """
    reach = np.maximum(widths / 2, np.median(np.diff(wavelengths)) / 2)
    distance = np.abs(wavelengths[nearest(wavelengths, centres)] - centres)
    inside = (centres >= wavelengths[0]) & (centres <= wavelengths[-1])
    return distance > np.where(inside, 2 * reach, reach)


def nearest(
    wavelengths: Float[np.ndarray, " bands"], centres: Float[np.ndarray, " targets"]
) -> Int[np.ndarray, " targets"]:
    """Index of the band nearest to each target."""
    return np.abs(wavelengths - centres[:, None]).argmin(axis=1)
