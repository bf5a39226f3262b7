"""Constrained least squares of many pixels in lockstep, by growing supports."""

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
from hsijax.unmixing.support_table import DEPENDENT, sweep

# A multiplier below minus this makes its endmember join, times the pixel's size.
TOLERANCE = 1e-13
TINY = 1e-300


@jax.jit
def grow_supports(
    spectra: Float[Array, "pixels bands"],
    equations: NormalEquations,
) -> tuple[
    Float[Array, "pixels endmembers"], Float[Array, " pixels"], Bool[Array, " pixels"]
]:
    """Return abundances, KKT violations, and which pixels have come to an end.

    The active-set method of Lawson and Hanson: abundances are feasible all the time,
    each round one endmember joins or leaves a pixel's support, and the error only
    falls. An endmember that depends on those in the support never joins, so that
    duplicated ones do no harm. Each pixel carries its own system, of
    `(endmembers + 1) ** 2` values, and pays one pivot a round.

    Source:
        Lawson and Hanson, "Solving least squares problems", 1974, chapter 23.
    """
    gram = equations.gram
    count = gram.shape[0]
    products, sizes = project(spectra, equations)
    broken = ~jnp.isfinite(products).all(axis=1)
    rows = equations.system.shape[0]
    shape = (len(products), *equations.system.shape)
    systems = jnp.broadcast_to(equations.system, shape)
    systems = systems.at[:, :count, -1].add(products)
    abundances = jnp.zeros_like(products)
    support = abundances > 0
    if equations.sum_to_one:
        nearest = jnp.argmin(gram.diagonal() / 2 - products, axis=1)
        support = jnp.arange(count) == nearest[:, None]
        abundances = support.astype(products.dtype)
        systems = sweep(systems, jnp.pad(support, ((0, 0), (0, 1))))
        sums = jnp.broadcast_to(jnp.arange(rows) == count, (len(products), rows))
        systems = sweep(systems, sums)

    def step(state):
        systems, abundances, support, ended, rounds = state
        values = systems[:, :count, -1]
        targets = jnp.where(support, values, 0.0)
        # As far towards the support's solution as all abundances stay positive.
        leaving = support & (values <= 0)
        span = jnp.maximum(abundances - targets, TINY)
        shares = jnp.where(leaving, abundances / span, jnp.inf)
        share = jnp.minimum(shares.min(axis=1, keepdims=True), 1.0)
        moved = jnp.maximum(abundances + share * (targets - abundances), 0.0)
        leaves = leaving.any(axis=1, keepdims=True)
        leaver = _place_of(shares.argmin(axis=1), count) & leaves
        pivots = jnp.diagonal(systems, axis1=1, axis2=2)[:, :count]
        usable = ~support & (pivots > DEPENDENT * gram.diagonal())
        gains = jnp.where(usable, values, -jnp.inf)
        joins = gains.max(axis=1, keepdims=True) > TOLERANCE * sizes
        joiner = _place_of(gains.argmax(axis=1), count) & joins & ~leaves
        chosen = (leaver | joiner) & ~ended[:, None]
        moved = jnp.where(leaver, 0.0, moved)
        abundances = jnp.where(ended[:, None], abundances, moved)
        systems = sweep(systems, jnp.pad(chosen, ((0, 0), (0, rows - count))))
        ended |= ~chosen.any(axis=1)
        return systems, abundances, support ^ chosen, ended, rounds + 1

    state = (systems, abundances, support, broken, 0)
    limit = 6 * count + 30
    systems, abundances, support, ended, _ = jax.lax.while_loop(
        lambda state: ~state[3].all() & (state[4] < limit), step, state
    )
    abundances = constrain(abundances, support, equations.sum_to_one)
    # What rounding errors left over, solved once more.
    rest = -multipliers(abundances, products, equations, nonnegative=True)
    inverse = jnp.where(support[:, None, :], systems[:, :count, :count], 0.0)
    correction = (inverse * rest[:, None, :]).sum(axis=2)
    abundances = constrain(abundances + correction, support, equations.sum_to_one)
    violations = kkt_violation(abundances, products, sizes, equations, nonnegative=True)
    return abundances, violations, ended


def _place_of(indices, count: int) -> Bool[Array, "pixels endmembers"]:
    return indices[:, None] == jnp.arange(count)
