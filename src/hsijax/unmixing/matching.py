"""Which estimated endmember is which of the reference."""

import numpy as np
from jaxtyping import Float, Int
from scipy.optimize import linear_sum_assignment

from hsijax.metrics.unmixing import spectral_angle


def match_spectra(
    estimated: Float[np.ndarray, "estimated bands"],
    reference: Float[np.ndarray, "reference bands"],
) -> Int[np.ndarray, " reference"]:
    """Pair endmembers so that the sum of spectral angles is smallest.

    Returns:
        For each of the reference the index of the estimated one, so that
        `estimated[order]` goes with `reference`; -1 where fewer were estimated.

    Source:
        Kuhn, "The Hungarian method for the assignment problem", Naval Research
        Logistics Quarterly 2, 1955. doi:10.1002/nav.3800020109

    >>> match_spectra(np.array([[0.0, 3.0], [2.0, 0.1]]), np.eye(2))
    array([1, 0])
    """
    pairs = (len(reference), len(estimated), reference.shape[1])
    return _assign(
        spectral_angle(
            np.broadcast_to(estimated, pairs),
            np.broadcast_to(reference[:, None], pairs),
        )
    )


def match_abundances(
    estimated: Float[np.ndarray, "pixels estimated"],
    reference: Float[np.ndarray, "pixels reference"],
) -> Int[np.ndarray, " reference"]:
    """Pair abundances so that the sum of squared differences is smallest.

    Returns:
        For each of the reference the index of the estimated one, so that
        `estimated[:, order]` goes with `reference`; -1 where fewer were estimated.

    >>> a = np.array([[0.9, 0.1], [0.2, 0.8]])
    >>> match_abundances(a, np.array([[0.0, 1.0], [1.0, 0.0]]))
    array([1, 0])
    """
    errors = [
        np.square(estimated - column[:, None]).sum(axis=0) for column in reference.T
    ]
    return _assign(np.array(errors))


def _assign(
    costs: Float[np.ndarray, "reference estimated"],
) -> Int[np.ndarray, " reference"]:
    """Solve the assignment problem; -1 in rows that are left over."""
    order = np.full(len(costs), -1)
    rows, columns = linear_sum_assignment(costs)
    order[rows] = columns
    return order
