"""How certain abundances are, and what they leave unexplained."""

import numpy as np
from jaxtyping import Bool, Float

from hsijax.errors import lookup
from hsijax.metrics.unmixing import spectral_angle
from hsijax.unmixing.abundances import CONSTRAINTS, Solution
from hsijax.unmixing.normal_equations import NormalEquations, normal_equations
from hsijax.unmixing.support_table import DEPENDENT, sweep

PIXELS = 4_096  # at once
VALUES = 2**22  # of the systems of as many supports as are solved at once
# A share of one endmember in another's combination below which it has none.
UNRELATED = 1e-6


def residuals(
    spectra: Float[np.ndarray, "pixels bands"],
    abundances: Float[np.ndarray, "pixels endmembers"],
    endmembers: Float[np.ndarray, "endmembers bands"],
) -> tuple[Float[np.ndarray, " pixels"], Float[np.ndarray, " pixels"]]:
    """Return each pixel's root mean square error and spectral angle (radians).

    Both are NaN in a pixel with NaN.

    >>> residuals(np.array([[0.0, 2.0]]), np.eye(1), np.array([[2.0, 0.0]]))
    (array([2.]), array([1.57079633]))
    """
    rmse, angle = np.empty(len(spectra)), np.empty(len(spectra))
    for begin in range(0, len(spectra), PIXELS):
        part = slice(begin, begin + PIXELS)
        measured = spectra[part].astype(np.float64)
        modelled = abundances[part] @ endmembers.astype(np.float64)
        rmse[part] = np.sqrt(((measured - modelled) ** 2).mean(axis=1))
        angle[part] = spectral_angle(modelled, measured)
    return rmse, angle


def abundance_deviations(
    method: str,
    solution: Solution,
    spectra: Float[np.ndarray, "pixels bands"],
    endmembers: Float[np.ndarray, "endmembers bands"],
) -> Float[np.ndarray, "pixels endmembers"]:
    """Standard deviation of each abundance, from the noise that the residual shows.

    The covariance of least squares on the pixel's support, which counts as known:
    noise is taken as white, of the residual's variance with the degrees of freedom
    that are left. It is 0 outside the support, infinite for endmembers in it that are
    combinations of each other, and NaN where no degree of freedom is left.

    Args:
        method: that has found the solution.
        solution: of `solve_abundances`.
        spectra: as given to it.
        endmembers: as given to it.

    Raises:
        UsageError: there is no such method.
    """
    sum_to_one, nonnegative = lookup(CONSTRAINTS, method, "method")
    known = np.isfinite(solution.abundances)
    support = known & (solution.abundances > 0) if nonnegative else known
    packed = np.packbits(support, axis=1)
    _, first, place = np.unique(packed, axis=0, return_index=True, return_inverse=True)
    equations = normal_equations(endmembers, sum_to_one)
    variances = _unit_variances(support[first], equations)[place.reshape(-1)]
    rmse, _ = residuals(spectra, solution.abundances, endmembers)
    bands = spectra.shape[1]
    freedom = bands - support.sum(axis=1) + sum_to_one
    noise = rmse**2 * bands / np.where(freedom > 0, freedom, np.nan)
    with np.errstate(invalid="ignore"):  # no noise, times infinity
        return np.where(known, np.sqrt(variances * noise[:, None]), np.nan)


def _unit_variances(
    supports: Bool[np.ndarray, "supports endmembers"], equations: NormalEquations
) -> Float[np.ndarray, "supports endmembers"]:
    """Variances of abundances for noise of variance 1."""
    start = np.asarray(equations.system)
    count, rows = supports.shape[1], len(start)
    variances = np.zeros(supports.shape)
    step = max(1, VALUES // start.size)
    for begin in range(0, len(supports), step):
        wanted = supports[begin : begin + step]
        systems = np.broadcast_to(start, (len(wanted), *start.shape))
        solved = np.zeros((len(wanted), rows), dtype=bool)
        for place in range(rows):
            last = bool(place == count)  # the sum's row, where there is an endmember
            usable = np.asarray(wanted.any(axis=1) if last else wanted[:, place])
            if not last:
                least = DEPENDENT * start[place, place]
                usable = usable & (systems[:, place, place] > least)
            solved[:, place] = usable
            chosen = usable[:, None] & np.equal(np.arange(rows), place)[None]
            systems = sweep(systems, chosen)
        diagonal = np.diagonal(systems, axis1=1, axis2=2)[:, :count]
        dependent = wanted & ~solved[:, :count]
        shares = np.abs(systems[:, :count, :count]) > UNRELATED
        tied = (shares & dependent[:, None, :]).any(axis=2) | dependent
        part = np.where(wanted, np.maximum(diagonal, 0.0), 0.0)
        variances[begin : begin + step] = np.where(wanted & tied, np.inf, part)
    return variances / float(equations.longest) ** 2
