"""Least squares of all pixels on the same endmembers, with a certificate."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float


class NormalEquations(NamedTuple):
    """What all pixels share; in units of the longest endmember.

    Where abundances sum to one, the endmembers' mean is taken off spectra and
    endmembers, and a constant is added to each inner product. Neither moves the
    solution. Close spectra lose no digits that way, and a zero endmember makes
    nothing singular.
    """

    shift: Float[Array | np.ndarray, " bands"]
    longest: Float[Array | np.ndarray, ""]  # norm of the longest endmember
    directions: Float[Array | np.ndarray, "bands endmembers"]
    constant: Float[Array | np.ndarray, ""]
    # The conditions of a minimum without any endmember: inner products between them,
    # bordered by ones where abundances sum to one, and the right side last.
    system: Float[Array | np.ndarray, "rows columns"]

    @property
    def gram(self) -> Float[Array | np.ndarray, "endmembers endmembers"]:
        """Inner products of endmembers with each other."""
        count = self.directions.shape[1]
        return self.system[:count, :count]

    @property
    def sum_to_one(self) -> bool:
        """Whether abundances sum to one."""
        return self.system.shape[0] > self.directions.shape[1]


def normal_equations(
    endmembers: Float[np.ndarray, "endmembers bands"], sum_to_one: bool
) -> NormalEquations:
    """Return what all pixels share, in float64."""
    endmembers = endmembers.astype(np.float64)
    shift = endmembers.mean(axis=0) * sum_to_one
    centred = endmembers - shift
    longest = np.linalg.norm(centred, axis=1).max()
    if longest <= _rounding_error(endmembers):  # all alike, or zero
        centred, longest = np.zeros_like(centred), np.linalg.norm(endmembers) or 1.0
    centred /= longest
    gram = centred @ centred.T
    constant = (np.trace(gram) / len(gram) or 1.0) * sum_to_one
    count, rows = len(gram), len(gram) + sum_to_one
    system = np.zeros((rows, rows + 1))
    system[:count, :count] = gram + constant
    if sum_to_one:
        system[count, :count] = system[:count, count] = system[count, -1] = 1.0
    directions = np.ascontiguousarray(centred.T)
    return NormalEquations(
        shift, np.asarray(longest), directions, np.asarray(constant), system
    )


def condition_number(
    endmembers: Float[np.ndarray, "endmembers bands"], sum_to_one: bool
) -> float:
    """Condition number of the endmembers, infinite where one is redundant.

    Where abundances sum to one it is that of their differences, which decide how
    errors of the spectra grow; a zero endmember is then as good as any.

    >>> condition_number(np.array([[2.0, 0.0], [0.0, 1.0]]), sum_to_one=False)
    2.0
    """
    matrix = endmembers.astype(np.float64)
    if sum_to_one:
        matrix = sum_zero_basis(len(matrix)) @ matrix
    if not len(matrix):
        return 1.0
    values = np.linalg.svd(matrix, compute_uv=False)
    if len(values) < len(matrix) or values[-1] <= _rounding_error(endmembers):
        return float("inf")
    return float(values[0] / values[-1])


def _rounding_error(endmembers: Float[np.ndarray, "endmembers bands"]) -> float:
    """What linear combinations of endmembers that cancel out leave over, at most."""
    norm = np.linalg.norm(endmembers.astype(np.float64))
    return float(norm * max(endmembers.shape) * np.finfo(np.float64).eps)


def sum_zero_basis(count: int) -> Float[np.ndarray, "differences endmembers"]:
    """Orthonormal basis of the vectors whose values sum to zero, one a row."""
    return np.linalg.svd(np.ones((1, count)))[2][1:]


def project(
    spectra: Float[Array, "pixels bands"], equations: NormalEquations
) -> tuple[Float[Array, "pixels endmembers"], Float[Array, "pixels 1"]]:
    """Return inner products of pixels with endmembers, and the pixels' sizes.

    A size is the pixel's norm in units of the longest endmember, at least 1: what
    rounding errors are proportional to. A pixel with NaN has NaN in its products.
    """
    centred = (spectra.astype(jnp.float64) - equations.shift) / equations.longest
    norms = jnp.sqrt((centred**2).sum(axis=1, keepdims=True))
    products = centred @ equations.directions + equations.constant
    return products, jnp.maximum(norms, 1.0)


def multipliers(
    abundances: Float[Array, "pixels endmembers"],
    products: Float[Array, "pixels endmembers"],
    equations: NormalEquations,
    *,
    nonnegative: bool,
) -> Float[Array, "pixels endmembers"]:
    """Lagrange multipliers of `abundances >= 0`: the gradient, less that of the sum.

    The gradient is the same on all of a minimum's support, and so is its mean there.
    """
    gradient = abundances @ equations.gram - products
    if equations.sum_to_one:
        weights = abundances if nonnegative else 1 / abundances.shape[1]
        gradient -= (weights * gradient).sum(axis=1, keepdims=True)
    return gradient


def kkt_violation(
    abundances: Float[Array, "pixels endmembers"],
    products: Float[Array, "pixels endmembers"],
    sizes: Float[Array, "pixels 1"],
    equations: NormalEquations,
    *,
    nonnegative: bool,
) -> Float[Array, " pixels"]:
    """How far pixels are from the conditions of a minimum, which suffice here.

    The largest of |min(abundance, multiplier)| over endmembers (without the bound
    abundances >= 0: of |multiplier|) and of the sum's distance from one. Multipliers
    are in units of the longest endmember's squared norm times the pixel's size, and
    the sum's distance in units of that size.
    """
    scaled = multipliers(abundances, products, equations, nonnegative=nonnegative)
    scaled /= sizes
    if nonnegative:
        scaled = jnp.minimum(abundances, scaled)
    violation = jnp.abs(scaled).max(axis=1)
    if equations.sum_to_one:
        excess = jnp.abs(abundances.sum(axis=1) - 1) / sizes[:, 0]
        violation = jnp.maximum(violation, excess)
    return violation


def constrain(
    abundances: Float[Array, "pixels endmembers"],
    support: Bool[Array, "pixels endmembers"],
    sum_to_one: bool,
) -> Float[Array, "pixels endmembers"]:
    """Put abundances that miss the constraints by rounding errors onto them."""
    abundances = jnp.where(support, jnp.maximum(abundances, 0.0), 0.0)
    if sum_to_one:
        abundances /= abundances.sum(axis=1, keepdims=True)
    return abundances
