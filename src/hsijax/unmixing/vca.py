"""Vertex component analysis (VCA)."""

from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from hsijax.unmixing.subspace import component_beside, largest_axes, measure_moments

# Share of the power below which noise is rounding.
ROUNDING = 1e-12


@partial(jax.jit, static_argnames="count")
def extract_vca(
    spectra: Float[Array, "pixels bands"], key: Key[Array, ""], count: int
) -> Int[Array, " count"]:
    """Pick the pixel that is farthest along a direction unlike all picked so far.

    Directions are random, but orthogonal to what the picked pixels span. Before, the
    spectra are reduced: divided by their component along the mean where the
    signal-to-noise ratio allows it, which cancels illumination; else centred, in one
    dimension less.

    Source:
        Nascimento and Bioucas-Dias, "Vertex component analysis: a fast algorithm to
        unmix hyperspectral data", IEEE TGRS 43, 2005, Algorithm 1.
        doi:10.1109/TGRS.2005.844293
    """
    points = _project(spectra, count)

    def pick(step, state):
        basis, found = state
        direction = jax.random.normal(jax.random.fold_in(key, step), (count,))
        pixel = jnp.argmax(jnp.abs(points @ component_beside(direction, basis)))
        # The first axis makes way for the first pixel.
        residual = component_beside(points[pixel], basis.at[step].set(0))
        axis = residual / jnp.linalg.norm(residual)
        return basis.at[step].set(axis), found.at[step].set(pixel)

    # The last dimension is constant, or nearly so: the first direction leaves it out.
    basis = jnp.zeros((count, count)).at[0, -1].set(1)
    found = jnp.zeros(count, dtype=int)
    return jax.lax.fori_loop(0, count, pick, (basis, found))[1]


def _project(
    spectra: Float[Array, "pixels bands"], count: int
) -> Float[Array, "pixels count"]:
    """Reduce spectra to `count` dimensions, as the signal-to-noise ratio demands."""
    moments = measure_moments(spectra)
    values, axes = largest_axes(moments.covariance, count)

    def centre() -> Float[Array, "pixels count"]:
        components = (spectra - moments.mean) @ axes[:, :-1]
        largest = jnp.linalg.norm(components, axis=1).max()
        return jnp.column_stack([components, jnp.full(len(spectra), largest)])

    def divide() -> Float[Array, "pixels count"]:
        components = spectra @ largest_axes(moments.correlation, count)[1]
        along_mean = components @ components.mean(axis=0)
        # A spectrum at a right angle to the mean has no place in that plane.
        seen = jnp.abs(along_mean) > ROUNDING * jnp.abs(along_mean).max()
        scale = jnp.where(seen, 1 / jnp.where(seen, along_mean, 1), 0)
        return components * scale[:, None]

    # Powers of everything, and of what the subspace holds of it.
    power = jnp.trace(moments.correlation)
    held = values.sum() + moments.mean @ moments.mean
    noise = jnp.where(power - held > ROUNDING * power, power - held, 0)
    signal = held - count / spectra.shape[1] * power
    threshold = count * 10**1.5  # 15 + 10 log10(count) dB
    return jax.lax.cond(signal >= threshold * noise, divide, centre)
