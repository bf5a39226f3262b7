"""Sparse unmixing with a large library, by splitting (SUnSAL)."""

import logging
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from hsijax.errors import UsageError
from hsijax.unmixing.abundances import check_endmembers
from hsijax.unmixing.pixel_blocks import map_blocks

# The penalty is adapted at each ADAPT_EVERY-th iteration, by FACTOR where one residual
# is BALANCE times the other, and kept from ADAPT_UNTIL on, so that it cannot swing.
ADAPT_EVERY = 10
ADAPT_UNTIL = 500
BALANCE = 2.0
FACTOR = 2.0
PENALTY = 0.1  # at first
RELAXATION = 1.6
# The norm that residuals of a pixel with hardly any abundances are relative to.
SMALL = 1e-3

_logger = logging.getLogger("hsijax")


@dataclass(frozen=True, eq=False)
class SparseSolution:
    """Abundances, NaN for pixels with NaN, and how far the iteration came."""

    abundances: Float[np.ndarray, "pixels endmembers"]
    iterations: Int[np.ndarray, " pixels"]
    converged: Bool[np.ndarray, " pixels"]


def sunsal(
    spectra: Float[np.ndarray, "pixels bands"],
    endmembers: Float[np.ndarray, "endmembers own_bands"],
    *,
    sparsity: float = 1e-3,
    sum_to_one: bool = False,
    tolerance: float = 1e-5,
    iterations: int = 2_000,
    block: int | None = None,
) -> SparseSolution:
    """Minimise |spectrum - abundances @ endmembers|^2 / 2 + sparsity * sum(abundances).

    Over abundances of at least 0, by the alternating direction method of multipliers
    in float64. A pixel ends when its primal residual (between the two copies of its
    abundances, relative to their norm) and its dual residual (between two iterations,
    relative to the scaled multipliers') are at most `tolerance`. Each pixel has a
    penalty of its own, so that none depends on another.

    Args:
        spectra: in the units of the endmembers.
        endmembers: a library, one spectrum a row.
        sparsity: weight of the sum of abundances; 0 gives non-negative least squares.
        sum_to_one: abundances sum to one, up to the tolerance; `sparsity` is idle then.
        tolerance: of both residuals.
        iterations: at most; a warning is logged with the number of pixels left.
        block: pixels computed at once; results differ by rounding errors at most.

    Raises:
        UsageError: `sparsity` is negative.
        HsijaxError: bands differ in number, or endmembers are missing or not finite.

    Source:
        Bioucas-Dias and Figueiredo, "Alternating direction algorithms for constrained
        sparse regression: application to hyperspectral unmixing", WHISPERS 2010.
        doi:10.1109/WHISPERS.2010.5594963. Its penalty is one for all pixels,
        its residuals are absolute, and it is not over-relaxed.
    """
    if not sparsity >= 0:
        raise UsageError(f"the sparsity must be at least 0, not {sparsity:g}")
    check_endmembers(spectra, endmembers)
    library = endmembers.astype(np.float64)
    scale = np.sqrt((library**2).sum(axis=1).mean()) or 1.0
    library /= scale
    values, vectors = np.linalg.eigh(library @ library.T)
    shared = (
        library.T / scale,
        np.maximum(values, 0.0),
        vectors,
        np.asarray(sparsity / scale**2),
        np.asarray(tolerance),
        np.asarray(iterations),
        np.asarray(float(sum_to_one)),
    )
    abundances, taken, converged = map_blocks(
        _split, spectra, *shared, values=8 * len(library), pixels=block
    )
    left = int((~converged).sum())
    if left:
        _logger.warning(
            "sunsal: %d of %d pixels did not converge in %d iterations: raise the"
            " iterations or the tolerance",
            left,
            len(spectra),
            iterations,
        )
    return SparseSolution(abundances, taken, converged)


@jax.jit
def _split(
    spectra: Float[Array, "pixels bands"],
    directions: Float[Array, "bands endmembers"],
    values: Float[Array, " endmembers"],
    vectors: Float[Array, "endmembers endmembers"],
    sparsity: Float[Array, ""],
    tolerance: Float[Array, ""],
    iterations: Int[Array, ""],
    sum_to_one: Float[Array, ""],
) -> tuple[
    Float[Array, "pixels endmembers"], Int[Array, " pixels"], Bool[Array, " pixels"]
]:
    """Iterate all pixels until the last has ended; those that have are kept still."""
    products = spectra.astype(jnp.float64) @ directions - sparsity
    broken = ~jnp.isfinite(products).all(axis=1, keepdims=True)
    ones = vectors.sum(axis=0)  # in the basis of the eigenvectors

    def norm(array):
        return jnp.sqrt((array**2).sum(axis=1, keepdims=True))

    def iterate(state):
        sparse, dual, penalty, ended, taken, count = state
        # Least squares near the sparse copy, with the sum of one if there is one.
        right = (products + penalty * (sparse - dual)) @ vectors
        inverse = 1 / (values + penalty)
        fitted = right * inverse
        excess = (fitted * ones).sum(axis=1, keepdims=True) - 1
        weight = (inverse * ones**2).sum(axis=1, keepdims=True)
        fitted -= sum_to_one * excess / weight * inverse * ones
        fitted = fitted @ vectors.T
        relaxed = RELAXATION * fitted + (1 - RELAXATION) * sparse
        new = jnp.maximum(relaxed + dual, 0.0)
        new_dual = dual + relaxed - new
        size = jnp.maximum(jnp.maximum(norm(fitted), norm(new)), SMALL)
        primal = norm(fitted - new) / size
        change = norm(new - sparse) / jnp.maximum(norm(new_dual), SMALL)
        adapts = ((count + 1) % ADAPT_EVERY == 0) & (count < ADAPT_UNTIL)
        grows = adapts & (primal > BALANCE * change)
        shrinks = adapts & (change > BALANCE * primal)
        factor = jnp.where(grows, FACTOR, jnp.where(shrinks, 1 / FACTOR, 1.0))
        sparse = jnp.where(ended, sparse, new)
        dual = jnp.where(ended, dual, new_dual / factor)
        taken = jnp.where(ended, taken, count + 1)
        ended |= (primal <= tolerance) & (change <= tolerance)
        return sparse, dual, penalty * factor, ended, taken, count + 1

    zeros = jnp.zeros_like(products)
    state = (
        zeros,
        zeros,
        jnp.full_like(broken, PENALTY, dtype=products.dtype),
        broken,
        jnp.zeros_like(broken, dtype=int),
        0,
    )
    state = jax.lax.while_loop(
        lambda state: ~state[3].all() & (state[5] < iterations), iterate, state
    )
    sparse = jnp.where(broken, jnp.nan, state[0])
    return sparse, state[4][:, 0], state[3][:, 0]
