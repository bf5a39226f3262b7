"""Is a reference a formula of the pixels? Then learning it is imitating the formula."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from hsijax.metrics.unmixing import abundance_errors
from hsijax.unmixing.abundances import solve_abundances
from hsijax.unmixing.normalise import normalise

FORMULA = "NNLS(Y, M / max M) / sum"
# Overall RMSE up to which a reference is a formula's result, and nearly so. Those of
# Jasper Ridge and Samson lie 0.005 and 0.002 from the first one.
SAME = 0.01
NEAR = 0.03


@dataclass(frozen=True)
class Provenance:
    """How far a reference is from what known formulas make of the same pixels."""

    errors: dict[str, float]  # overall RMSE to each formula, by its text
    verdict: str  # a sentence


def trace_provenance(
    spectra: Float[np.ndarray, "pixels bands"],
    endmembers: Float[np.ndarray, "endmembers bands"],
    abundances: Float[np.ndarray, "pixels endmembers"],
) -> Provenance:
    """Compare reference abundances with what formulas make of spectra and endmembers.

    Y are the spectra and M the endmembers; max M and |M| are of each endmember, |Y| of
    each pixel.
    """
    estimates = {
        FORMULA: share_by_formula(spectra, endmembers),
        "FCLS(Y, M)": solve_abundances("fcls", spectra, endmembers).abundances,
        "FCLS(Y / |Y|, M / |M|)": solve_abundances(
            "fcls", normalise(spectra, "l2"), normalise(endmembers, "l2")
        ).abundances,
    }
    errors = {
        name: abundance_errors(estimate, abundances).overall
        for name, estimate in estimates.items()
    }
    return Provenance(errors, _judge(errors))


def share_by_formula(
    spectra: Float[np.ndarray, "pixels bands"],
    endmembers: Float[np.ndarray, "endmembers bands"],
) -> Float[np.ndarray, "pixels endmembers"]:
    """Return non-negative least squares (NNLS) divided by their sum.

    The endmembers are divided by their maxima first: it is the formula that the
    reference of Jasper Ridge, Samson and probably Urban was made with. A pixel in which
    nothing is found has equal shares.

    >>> share_by_formula(np.array([[2.0, 1.0]]), np.array([[4.0, 0.0], [0.0, 1.0]]))
    array([[0.66666667, 0.33333333]])
    """
    highest = np.abs(endmembers).max(axis=1, keepdims=True)
    scaled = endmembers / np.where(highest > 0, highest, 1)
    found = solve_abundances("nnls", spectra, scaled).abundances
    total = found.sum(axis=1, keepdims=True)
    shares = found / np.where(total > 0, total, 1)
    return np.where(total > 0, shares, 1 / len(endmembers))


def _judge(errors: dict[str, float]) -> str:
    best = min(errors, key=errors.__getitem__)
    if errors[best] > NEAR:
        return (
            f"this ground truth is none of the known formulas (the nearest is {best}, "
            f"RMSE {errors[best]:.4f})"
        )
    degree = "is" if errors[best] <= SAME else "is close to"
    return (
        f"this ground truth {degree} a formula of the pixels, {best} (RMSE "
        f"{errors[best]:.4f}): scores show how well the formula is imitated"
    )
