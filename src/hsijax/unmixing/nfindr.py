"""N-FINDR: the simplex of largest volume."""

from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from hsijax.unmixing.spa import extract_spa
from hsijax.unmixing.subspace import simplex_coordinates
from hsijax.unmixing.vca import extract_vca

# A replacement must enlarge the volume by more than rounding.
LARGER = 1 + 1e-9


@partial(jax.jit, static_argnames="count")
def extract_nfindr(
    spectra: Float[Array, "pixels bands"], key: Key[Array, ""], count: int
) -> Int[Array, " count"]:
    """Replace vertices of a simplex by pixels until none enlarges its volume.

    It starts from VCA's pixels, or from those of successive projection where these
    span more: VCA's may lie in a plane of the reduced space. Replacing one vertex by a
    pixel changes the volume by a factor that is linear in the pixel (the cofactors of
    the vertex), so one product tries all pixels.

    Source:
        Winter, "N-FINDR: an algorithm for fast autonomous spectral end-member
        determination in hyperspectral data", Proc. SPIE 3753, 1999.
        doi:10.1117/12.366289
    """
    points = simplex_coordinates(spectra, count)

    def replace(vertex, state):
        found, _ = state
        factors = jnp.abs(points @ jnp.linalg.inv(points[found])[:, vertex])
        best = jnp.argmax(factors)
        enlarges = factors[best] > LARGER
        changed = found.at[vertex].set(jnp.where(enlarges, best, found[vertex]))
        return changed, state[1] | enlarges

    def sweep(state):
        return jax.lax.fori_loop(0, count, replace, (state[0], jnp.array(False)))

    starts = jnp.stack(
        [extract_vca(spectra, key, count), extract_spa(points, key, count)]
    )
    volumes = jnp.abs(jnp.linalg.det(points[starts]))
    start = starts[jnp.argmax(volumes)]
    # It ends: the volume only grows, and there are finitely many simplices.
    return jax.lax.while_loop(lambda s: s[1], sweep, (start, jnp.array(True)))[0]
