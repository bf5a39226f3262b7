"""The pixel purity index (PPI)."""

from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from hsijax.unmixing.subspace import component_beside, simplex_coordinates

SKEWERS = 512  # random directions, for each endmember
CHUNK = 32  # directions at a time; they need 8 bytes a pixel each


@partial(jax.jit, static_argnames="count")
def extract_ppi(
    spectra: Float[Array, "pixels bands"], key: Key[Array, ""], count: int
) -> Int[Array, " count"]:
    """Pick the pixel that is the extreme one along most of many random directions.

    The index ranks pixels but does not tell two of one material apart, which its
    authors left to the eye. Here each later endmember is voted for along directions
    orthogonal to the pixels picked before, so that none is found twice.

    Source:
        Boardman, Kruse and Green, "Mapping target signatures via partial unmixing of
        AVIRIS data", Summaries of the Fifth JPL Airborne Earth Science Workshop, 1995.
    """
    points = simplex_coordinates(spectra, count)

    def pick(step, state):
        basis, found = state
        beside = jnp.eye(count) - basis.T @ basis

        def vote(chunk, votes):
            chunk_key = jax.random.fold_in(jax.random.fold_in(key, step), chunk)
            skewers = beside @ jax.random.normal(chunk_key, (count, CHUNK))
            return votes.at[jnp.argmax(jnp.abs(points @ skewers), axis=0)].add(1)

        votes = jnp.zeros(len(points), dtype=int)
        votes = jax.lax.fori_loop(0, SKEWERS // CHUNK, vote, votes)
        pixel = jnp.argmax(votes)
        # The first axis makes way for the first pixel.
        residual = component_beside(points[pixel], basis.at[step].set(0))
        axis = residual / jnp.linalg.norm(residual)
        return basis.at[step].set(axis), found.at[step].set(pixel)

    # The first directions leave out the column of ones, whose extreme is everywhere.
    basis = jnp.zeros((count, count)).at[0, -1].set(1)
    found = jnp.zeros(count, dtype=int)
    return jax.lax.fori_loop(0, count, pick, (basis, found))[1]
