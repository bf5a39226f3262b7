"""Accuracy of an unmixing: RMSE under each of its four names, and spectral angles."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float


class AbundanceErrors(NamedTuple):
    """Root mean square errors (RMSE) of abundances; papers print any of the four."""

    per_endmember: Float[np.ndarray, " endmembers"]  # over the pixels
    sum: float  # of those
    overall: float  # over pixels and endmembers together
    mean_per_pixel: float  # mean of what each pixel has over its endmembers


def abundance_errors(
    estimated: Float[np.ndarray, "pixels endmembers"],
    reference: Float[np.ndarray, "pixels endmembers"],
) -> AbundanceErrors:
    """Compare abundances of the same pixels, endmembers in the same order.

    The first pixel below is wrong by 0.6 and 0.8, the second is right.

    >>> a = np.array([[0.0, 0.2], [0.5, 0.5]])
    >>> b = np.array([[0.6, 1.0], [0.5, 0.5]])
    >>> errors = abundance_errors(a, b)
    >>> errors.per_endmember.round(4)  # the roots of 0.36 / 2 and 0.64 / 2
    array([0.4243, 0.5657])
    >>> round(errors.sum, 4), round(errors.overall, 4)  # the latter of 1 / 4
    (0.9899, 0.5)
    >>> round(errors.mean_per_pixel, 4)  # the root of 1 / 2, and 0; halved
    0.3536
    """
    squares = np.square(estimated.astype(np.float64) - reference)
    per_endmember = np.sqrt(squares.mean(axis=0))
    return AbundanceErrors(
        per_endmember=per_endmember,
        sum=float(per_endmember.sum()),
        overall=float(np.sqrt(squares.mean())),
        mean_per_pixel=float(np.sqrt(squares.mean(axis=1)).mean()),
    )


def rms_aad(
    estimated: Float[np.ndarray, "pixels endmembers"],
    reference: Float[np.ndarray, "pixels endmembers"],
) -> float:
    """Return the root mean square of the abundance angle distances (rmsAAD), radians.

    Each pixel's distance is the angle between its two vectors of abundances.

    >>> a = np.array([[1.0, 0.0], [0.5, 0.5]])
    >>> b = np.array([[0.5, 0.5], [0.5, 0.5]])
    >>> round(rms_aad(a, b), 4)  # 45 and 0 degrees: pi / 4 over the root of 2
    0.5554
    """
    return float(np.sqrt(np.square(spectral_angle(estimated, reference)).mean()))


def spectral_angle(
    estimated: Float[np.ndarray, "*batch bands"],
    reference: Float[np.ndarray, "*batch bands"],
) -> Float[np.ndarray, "*batch"]:
    """Return the angle between spectra in radians (SAD); it is blind to their scale.

    A vector of zeros is at a right angle to all others and at none to another such.

    Source:
        Kruse et al., "The spectral image processing system (SIPS)", Remote Sensing
        of Environment 44, 1993. doi:10.1016/0034-4257(93)90013-N

    >>> one = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 0.0], [0.0, 0.0]])
    >>> other = np.array([[2.0, 2.0], [1.0, 1e-9], [1.0, 0.0], [0.0, 0.0]])
    >>> spectral_angle(one, other)
    array([7.85398163e-01, 1.00000000e-09, 1.57079633e+00, 0.00000000e+00])
    """
    first, second = _normalise(estimated), _normalise(reference)
    # The arccos of the dot product is off by up to 6e-4 in float32 near zero.
    halves = np.arctan2(
        np.linalg.norm(first - second, axis=-1),
        np.linalg.norm(first + second, axis=-1),
    )
    return np.asarray(2 * halves)


def _normalise(
    vectors: Float[np.ndarray, "*batch bands"],
) -> Float[np.ndarray, "*batch bands"]:
    vectors = vectors.astype(np.float64)
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return vectors / np.where(lengths > 0, lengths, 1)
