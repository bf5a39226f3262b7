"""Edge-preserving diffusion: each pixel's channels spread over what looks like it.

The heat equation du/dt = div(c grad u) on the grid of pixels (Perona and Malik, IEEE
TPAMI 12 (7), 1990, with conductances that stay as they are). It is an ODE in as many
unknowns as the scene has pixels, and linear, so that exp(-tL) u is known to 1e-5 at
every time: a Chebyshev series in the graph Laplacian L, whose terms all times share.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isqrt

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float
from scipy.special import ive

# Left out of the series: what all later terms could change, as a share of the values.
TRUNCATION = 1e-5
# The largest eigenvalue of the Laplacian of a grid whose conductances are at most 1.
LARGEST = 8.0
# How alike two neighbouring pixels are is seen in the first so many components.
GUIDE = 15
# Bytes of channels that flow at a time; it takes about eight times as many.
AT_ONCE = 32 * 2**20


@dataclass(frozen=True)
class Diffusion:
    """When a scene is looked at while it diffuses, and what stops the flow."""

    times: tuple[float, ...]  # in squares of the pixel's side
    width: float  # squared distance of neighbours whose conductance is 1/e
    guide: int  # channels that the distance is measured in


def reach(times: Sequence[float]) -> int:
    """Return how many pixels away a pixel can have an influence at most."""
    return series(times).shape[1] - 1


def fit_diffusion(
    steps: Float[np.ndarray, "bonds channels"],
    *,
    times: Sequence[float],
    edges: float,
    guide: int = GUIDE,
) -> Diffusion:
    """Let the conductance fall to 1/e at `edges` times the usual squared distance.

    Args:
        steps: differences of neighbouring pixels, as after preprocessing.
        times: ascending.
        edges: the larger, the less an edge stops the flow.
        guide: how many channels, the first ones, tell neighbours apart.
    """
    guide = min(guide, steps.shape[1])
    usual = np.median(np.square(steps[:, :guide]).mean(axis=1)) if len(steps) else 0.0
    # Where most neighbours are alike any edge stops the flow.
    width = max(edges * float(usual), float(np.finfo(np.float32).tiny))
    return Diffusion(tuple(times), width, guide)


def diffuse(
    channels: Float[np.ndarray, "rows cols channels"],
    valid: Bool[np.ndarray, "rows cols"],
    diffusion: Diffusion,
    inside: Bool[np.ndarray, "rows cols"] | None = None,
) -> Float[np.ndarray, "rows cols features"]:
    """Return the channels at each of the times, one after the other.

    Nothing flows over the border of the scene, through pixels that are not valid, or
    between what lies inside and what does not.

    Args:
        channels: float32.
        valid: pixels that have data; the others keep their values.
        diffusion: from `fit_diffusion`.
        inside: a region that is kept to itself; None for none.
    """
    rows, cols, count = channels.shape
    sides = _prime_sides(rows, cols)
    regions = np.full(sides, -1, np.int8)
    regions[:rows, :cols] = np.where(valid, 0 if inside is None else inside, -1)
    guide = np.zeros((*sides, diffusion.guide), np.float32)
    guide[:rows, :cols] = channels[..., : diffusion.guide]
    down, right = _conductances(
        jnp.asarray(guide), jnp.asarray(regions), np.float32(diffusion.width)
    )
    terms = series(diffusion.times)
    found = np.empty((rows, cols, len(terms), count), np.float32)
    # Channels do not meet in it, so any number may go at a time.
    group = max(1, AT_ONCE // (4 * rows * cols))
    for start in range(0, count, group):
        some = channels[..., start : start + group]
        filled = np.zeros((*sides, some.shape[2]), np.float32)
        filled[:rows, :cols] = some
        sums = np.asarray(_flow(jnp.asarray(filled), down, right, terms))
        found[..., start : start + group] = np.moveaxis(sums[:, :rows, :cols], 0, 2)
    return found.reshape(rows, cols, len(terms) * count)


def _prime_sides(rows: int, cols: int) -> tuple[int, int]:
    """Return sides that are prime, not the same, and hold so many rows and columns.

    So a part of a scene comes out as the whole does, to the last bit: XLA divides the
    rows among processors and rounds otherwise where they divide evenly, or where both
    sides are the same.

    >>> _prime_sides(145, 145), _prime_sides(1, 1)
    ((149, 151), (2, 3))
    """
    first = _next_prime(rows)
    second = _next_prime(cols)
    return first, second if second != first else _next_prime(second + 1)


def _next_prime(least: int) -> int:
    number = max(least, 2)
    while any(number % factor == 0 for factor in range(2, isqrt(number) + 1)):
        number += 1
    return number


def series(times: Sequence[float]) -> Float[np.ndarray, "times terms"]:
    """Return the coefficients of exp(-tL) in Chebyshev polynomials of 2L/8 - 1.

    They are modified Bessel functions I_k, scaled: exp(-4t) I_k(4t), of alternating
    sign, twice but for k = 0. As many as the longest time needs.
    """
    half = np.asarray(times, dtype=np.float64)[:, None] * LARGEST / 2
    # Beyond this many the terms are smaller than exp(-18): they fall as a bell does.
    count = int(6 * np.sqrt(half.max() + 1)) + 30
    order = np.arange(count)
    terms = np.where(order % 2, -2.0, 2.0) * ive(order, half)
    terms[:, 0] /= 2
    left_out = np.abs(terms)[:, ::-1].cumsum(axis=1)[:, ::-1].max(axis=0)
    return terms[:, : max(2, int(np.argmax(left_out < TRUNCATION)))].astype(np.float32)


@jax.jit
def _flow(
    channels: Float[Array, "rows cols channels"],
    down: Array,
    right: Array,
    terms: Array,
) -> Float[Array, "times rows cols channels"]:
    def shifted(values: Array) -> Array:
        """Return (2L/8 - 1) of the values."""
        flow = _divergence(down * jnp.diff(values, axis=0), 0)
        flow += _divergence(right * jnp.diff(values, axis=1), 1)
        return -flow / (LARGEST / 2) - values

    def add_term(carry, coefficients):
        before, now, sums = carry
        after = 2 * shifted(now) - before
        return (now, after, _add(sums, coefficients, after)), None

    first = shifted(channels)
    sums = _add(jnp.zeros((len(terms), *channels.shape)), terms[:, 0], channels)
    sums = _add(sums, terms[:, 1], first)
    (_, _, sums), _ = jax.lax.scan(add_term, (channels, first, sums), terms.T[2:])
    return sums


def _add(sums: Array, coefficients: Array, term: Array) -> Array:
    return sums + coefficients[:, None, None, None] * term


@jax.jit
def _conductances(guide: Array, regions: Array, width: Array) -> tuple[Array, Array]:
    """Return what the bonds to the pixel below and to the right let through."""
    down, right = (_conductance(guide, regions, width, axis) for axis in (0, 1))
    return down, right


def _conductance(guide: Array, regions: Array, width: Array, axis: int) -> Array:
    """Return what each bond along an axis lets through, 0 to 1, as one channel."""
    apart = jnp.square(jnp.diff(guide, axis=axis)).mean(axis=-1)
    one, other = (
        jax.lax.slice_in_dim(regions, start, regions.shape[axis] + start - 1, axis=axis)
        for start in (0, 1)
    )
    joined = (one == other) & (one >= 0)
    return jnp.where(joined, jnp.exp(-apart / width), 0.0)[..., None]


def _divergence(flow: Array, axis: int) -> Array:
    """Return what arrives at each pixel, of a flow into the one before."""
    pads = [(0, 0)] * 3
    pads[axis] = (0, 1)
    arriving = jnp.pad(flow, pads)
    pads[axis] = (1, 0)
    return arriving - jnp.pad(flow, pads)
