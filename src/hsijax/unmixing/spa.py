"""The successive projection algorithm (SPA)."""

from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from hsijax.unmixing.subspace import component_beside


@partial(jax.jit, static_argnames="count")
def extract_spa(
    spectra: Float[Array, "pixels bands"], key: Key[Array, ""], count: int
) -> Int[Array, " count"]:
    """Pick the spectrum with most power beside what those picked so far span.

    The first is the brightest of all. Nothing is random: `key` is not used.

    Source:
        Gillis and Vavasis, "Fast and robust recursive algorithms for separable
        nonnegative matrix factorization", IEEE TPAMI 36, 2014, Algorithm 1.
        doi:10.1109/TPAMI.2013.226
    """
    del key

    def pick(step, state):
        power, basis, found = state
        pixel = jnp.argmax(power)
        residual = component_beside(spectra[pixel], basis)
        axis = residual / jnp.linalg.norm(residual)
        power -= (spectra @ axis) ** 2
        return power, basis.at[step].set(axis), found.at[step].set(pixel)

    power = (spectra**2).sum(axis=1)
    basis = jnp.zeros((count, spectra.shape[1]))
    found = jnp.zeros(count, dtype=int)
    return jax.lax.fori_loop(0, count, pick, (power, basis, found))[2]
