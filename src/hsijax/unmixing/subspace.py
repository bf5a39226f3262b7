"""Where a scene's spectra vary most: the axes that extraction methods look along."""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float


class Moments(NamedTuple):
    """Mean and second moments of spectra."""

    mean: Float[Array, " bands"]
    covariance: Float[Array, "bands bands"]
    correlation: Float[Array, "bands bands"]  # about zero, not about the mean


def measure_moments(spectra: Float[Array, "pixels bands"]) -> Moments:
    """Measure spectra; the covariance is of centred ones, so it keeps its digits."""
    mean = spectra.mean(axis=0)
    centred = spectra - mean
    covariance = centred.T @ centred / len(spectra)
    return Moments(mean, covariance, covariance + jnp.outer(mean, mean))


def largest_axes(
    matrix: Float[Array, "bands bands"], count: int
) -> tuple[Float[Array, " count"], Float[Array, "bands count"]]:
    """Return the `count` largest eigenvalues, the largest first, and their axes.

    The largest entry of each axis is positive, so that no sign depends on a library.
    """
    values, axes = jnp.linalg.eigh(matrix)
    values, axes = values[::-1][:count], axes[:, ::-1][:, :count]
    rows = jnp.argmax(jnp.abs(axes), axis=0)
    return values, axes * jnp.sign(axes[rows, jnp.arange(count)])


def simplex_coordinates(
    spectra: Float[Array, "pixels bands"], count: int
) -> Float[Array, "pixels count"]:
    """Reduce spectra to the `count` - 1 dimensions that a simplex of `count` spans.

    Each principal component is scaled to variance 1; a column of ones follows them, so
    that determinants are volumes and planes need no offset.
    """
    moments = measure_moments(spectra)
    values, axes = largest_axes(moments.covariance, count - 1)
    components = (spectra - moments.mean) @ axes / jnp.sqrt(values)
    return jnp.column_stack([components, jnp.ones(len(spectra))])


def component_beside(
    vector: Float[Array, " dimensions"], basis: Float[Array, "axes dimensions"]
) -> Float[Array, " dimensions"]:
    """Return the part of a vector at a right angle to orthonormal axes (or zeros)."""
    # Twice, because once leaves rounding errors along the axes.
    for _ in range(2):
        vector = vector - basis.T @ (basis @ vector)
    return vector
