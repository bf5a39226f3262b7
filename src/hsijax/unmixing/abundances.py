"""Abundances by least squares, given the endmembers: exact, with a certificate."""

from collections.abc import Callable
from dataclasses import dataclass

import jax
import numpy as np
from jaxtyping import Array, Float

from hsijax.errors import HsijaxError, lookup
from hsijax.unmixing.active_set import grow_supports
from hsijax.unmixing.block_pivoting import pivot_blocks
from hsijax.unmixing.normal_equations import (
    NormalEquations,
    condition_number,
    kkt_violation,
    normal_equations,
    project,
    sum_zero_basis,
)
from hsijax.unmixing.pixel_blocks import map_blocks
from hsijax.unmixing.support_table import build_table

# The largest number of endmembers whose supports are tabulated.
TABLE_ENDMEMBERS = 12

# Name: abundances sum to one, and are at least zero.
CONSTRAINTS = {
    "fcls": (True, True),
    "nnls": (False, True),
    "scls": (True, False),
    "ucls": (False, False),
}


@dataclass(frozen=True, eq=False)
class Solution:
    """Abundances and how well they solve the problem; NaN for pixels with NaN.

    `kkt` is each pixel's violation of the conditions of a minimum (Karush, Kuhn and
    Tucker), relative to the pixel's and the endmembers' size: some 1e-15 where all is
    well. `condition` is the condition number of the endmembers (with a sum of one: of
    their differences), infinite where the abundances are not unique.
    """

    abundances: Float[np.ndarray, "pixels endmembers"]
    kkt: Float[np.ndarray, " pixels"]
    condition: float

    @property
    def largest_kkt(self) -> float:
        """The largest violation of any pixel that has data."""
        return float(np.nanmax(self.kkt, initial=0.0))


def solve_abundances(
    method: str,
    spectra: Float[np.ndarray, "pixels bands"],
    endmembers: Float[np.ndarray, "endmembers own_bands"],
    *,
    block: int | None = None,
) -> Solution:
    """Fit each pixel by a sum of endmembers, in float64, with the least squared error.

    Endmembers may be zero (shade), alike or more than bands; a minimum that is not
    unique is found all the same. A pixel with NaN gets NaN.

    Args:
        method: "fcls" (abundances at least 0, with sum 1), "nnls" (at least 0), "scls"
            (sum 1) or "ucls" (neither).
        spectra: in the units of the endmembers.
        endmembers: one spectrum a row.
        block: pixels computed at once; results differ by rounding errors at most.

    Raises:
        UsageError: there is no such method.
        HsijaxError: bands differ in number, or endmembers are missing or not finite.

    >>> pixels, endmembers = np.array([[3.0, 1.0]]), np.array([[2.0, 0.0], [0.0, 2.0]])
    >>> solve_abundances("fcls", pixels, endmembers).abundances
    array([[1., 0.]])
    >>> solve_abundances("nnls", pixels, endmembers).abundances
    array([[1.5, 0.5]])
    """
    sum_to_one, nonnegative = lookup(CONSTRAINTS, method, "method")
    check_endmembers(spectra, endmembers)
    equations = normal_equations(endmembers, sum_to_one)
    solve = _solve_bounded if nonnegative else _solve_unbounded
    abundances, kkt = solve(spectra, equations, block)
    broken = ~np.isfinite(kkt)
    abundances[broken], kkt[broken] = np.nan, np.nan
    return Solution(abundances, kkt, condition_number(endmembers, sum_to_one))


def check_endmembers(
    spectra: Float[np.ndarray, "pixels bands"],
    endmembers: Float[np.ndarray, "endmembers own_bands"],
) -> None:
    """Check that endmembers can be compared with spectra.

    Raises:
        HsijaxError: bands differ in number, or endmembers are missing or not finite.
    """
    if not len(endmembers):
        raise HsijaxError("there are no endmembers: give at least one")
    if endmembers.shape[1] != spectra.shape[1]:
        raise HsijaxError(
            f"the endmembers have {endmembers.shape[1]} bands and the scene has"
            f" {spectra.shape[1]}: give endmembers with wavelengths, or on its bands"
        )
    broken = np.flatnonzero(~np.isfinite(endmembers).all(axis=1))
    if len(broken):
        raise HsijaxError(
            f"endmember {broken[0] + 1} has values that are not finite: leave out it"
            " or those bands"
        )


def _solve_bounded(
    spectra: Float[np.ndarray, "pixels bands"],
    equations: NormalEquations,
    block: int | None,
) -> tuple[Float[np.ndarray, "pixels endmembers"], Float[np.ndarray, " pixels"]]:
    """Flip supports where they can be tabulated, and grow what is left from nothing."""
    count = len(equations.gram)
    rest = np.arange(len(spectra))
    abundances, kkt = np.zeros((len(spectra), count)), np.zeros(len(spectra))
    if count <= TABLE_ENDMEMBERS:
        table = build_table(equations)
        abundances, kkt, ended = map_blocks(
            pivot_blocks, spectra, equations, table, pixels=block
        )
        rest = np.flatnonzero(~ended)
    if len(rest):
        abundances[rest], kkt[rest], _ = map_blocks(
            grow_supports,
            spectra[rest],
            equations,
            values=equations.system.size,
            pixels=block,
        )
    return abundances, kkt


def _solve_unbounded(
    spectra: Float[np.ndarray, "pixels bands"],
    equations: NormalEquations,
    block: int | None,
) -> tuple[Float[np.ndarray, "pixels endmembers"], Float[np.ndarray, " pixels"]]:
    """Multiply by the pseudo-inverse: of all minima, the smallest abundances."""
    directions = np.asarray(equations.directions)
    count = directions.shape[1]
    basis, middle = np.eye(count), np.zeros(count)
    if equations.sum_to_one:
        basis, middle = sum_zero_basis(count), np.full(count, 1 / count)
    matrix = basis @ directions.T
    weights = np.linalg.pinv(matrix, rtol=max(matrix.shape) * 1e-15) @ basis
    function: Callable = _multiply
    abundances, kkt = map_blocks(
        function, spectra, equations, weights, middle, pixels=block
    )
    return abundances, kkt


@jax.jit
def _multiply(
    spectra: Float[Array, "pixels bands"],
    equations: NormalEquations,
    weights: Float[Array, "bands endmembers"],
    middle: Float[Array, " endmembers"],
) -> tuple[Float[Array, "pixels endmembers"], Float[Array, " pixels"]]:
    centred = (spectra - equations.shift) / equations.longest
    abundances = centred @ weights + middle
    products, sizes = project(spectra, equations)
    violations = kkt_violation(
        abundances, products, sizes, equations, nonnegative=False
    )
    return abundances, violations
