"""Constrained least squares of many pixels in lockstep, by flipping supports."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from hsijax.unmixing.normal_equations import (
    NormalEquations,
    constrain,
    kkt_violation,
    multipliers,
    project,
)
from hsijax.unmixing.support_table import SupportTable

# An abundance or a multiplier this far below zero is infeasible, times the pixel's
# size; rounding errors are some 1e-15.
TOLERANCE = 1e-13
# Rounds without progress before a pixel flips one endmember at a time.
PATIENCE = 3


@jax.jit
def pivot_blocks(
    spectra: Float[Array, "pixels bands"],
    equations: NormalEquations,
    table: SupportTable,
) -> tuple[
    Float[Array, "pixels endmembers"], Float[Array, " pixels"], Bool[Array, " pixels"]
]:
    """Return abundances, KKT violations, and which pixels have come to an end.

    Block principal pivoting: every endmember that is infeasible moves into or out of
    the support at once. After rounds without progress only the last infeasible one
    moves, which ends in theory (Murty's rule).

    Source:
        Kim and Park, "Fast nonnegative matrix factorization: an active-set-like
        method and comparisons", SIAM J. Sci. Comput. 33, 2011. doi:10.1137/110821172
    """
    count = equations.gram.shape[0]
    maps, independent = jnp.asarray(table.maps), jnp.asarray(table.independent)
    products, sizes = project(spectra, equations)
    bits = 1 << jnp.arange(count)

    def solve(masks):
        values = _apply(maps[masks], products) + maps[masks, :, count]
        return values, (masks[:, None] & bits) > 0

    def flip(state):
        masks, fewest, patience, ended, rounds = state
        values, inside = solve(masks)
        limit = TOLERANCE * sizes
        infeasible = jnp.where(inside, values < -limit, values > limit)
        infeasible &= ~ended[:, None]
        total = infeasible.sum(axis=1)
        patience = jnp.where(total < fewest, PATIENCE, patience - 1)
        fewest = jnp.minimum(total, fewest)
        block = jnp.where(infeasible, bits, 0)
        flips = jnp.where(patience > 0, block.sum(axis=1), block.max(axis=1))
        masks = independent[masks ^ flips]
        return masks, fewest, patience, ended | (total == 0), rounds + 1

    state = (
        jnp.broadcast_to(independent[-1], products.shape[:1]),
        jnp.full(products.shape[:1], count + 1),
        jnp.full(products.shape[:1], PATIENCE),
        ~jnp.isfinite(products).all(axis=1),
        0,
    )
    limit = 2 * count + 10
    state = jax.lax.while_loop(
        lambda state: ~state[3].all() & (state[4] < limit), flip, state
    )
    values, inside = solve(state[0])
    abundances = constrain(values, inside, equations.sum_to_one)
    # What rounding errors left over, solved once more.
    rest = -multipliers(abundances, products, equations, nonnegative=True)
    correction = _apply(maps[state[0]], jnp.where(inside, rest, 0.0))
    abundances = constrain(abundances + correction, inside, equations.sum_to_one)
    violations = kkt_violation(abundances, products, sizes, equations, nonnegative=True)
    return abundances, violations, state[3]


def _apply(
    maps: Float[Array, "pixels endmembers endmembers_and_1"],
    values: Float[Array, "pixels endmembers"],
) -> Float[Array, "pixels endmembers"]:
    """Multiply; as a sum, which XLA fuses, unlike a batch of small products."""
    return (maps[:, :, :-1] * values[:, None, :]).sum(axis=2)
