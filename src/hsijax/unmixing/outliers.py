"""Endmembers that are no dead or hot pixels: each must look like some others."""

import logging
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from hsijax.errors import HsijaxError

log = logging.getLogger("hsijax")

# An endmember needs this many other pixels that are near it.
NEIGHBOURS = 5
# No distance is usual above this one: broken pixels, which are 1.4 times their length
# apart where each has a spike of its own, would vouch for each other.
FAR = 0.5
# Pixels that show which distances are usual.
SAMPLE = 256
# Largest share of pixels that may be outliers.
MOST = 0.1


def extract_among_neighbours(
    extract: Callable[[Float[Array, "pixels bands"]], Int[Array, " endmembers"]],
    spectra: Float[np.ndarray, "pixels bands"],
) -> Int[np.ndarray, " endmembers"]:
    """Extract endmembers; leave out those that nothing is near, until none is.

    Extraction looks for extremes, and a broken detector makes the most extreme pixel.
    But it makes few of a kind, where a material covers some pixels: a spectrum is an
    outlier if its fifth nearest neighbour is unusually far. Only pixels that are picked
    have to be looked at, so the time grows with the number of pixels, not its square.

    Distances are shares of the shorter spectrum's length, so that a spike in one band
    and a wrong gain both count. Far is what lies beyond Tukey's outer fence, three
    interquartile ranges above the third quartile, in the logarithms of the distances
    of a sample; and in any case more than half the length.

    Raises:
        HsijaxError: a tenth of the pixels would be left out.
    """
    pixels = len(spectra)
    every = np.linspace(0, pixels - 1, min(SAMPLE, pixels)).astype(int)
    values = jnp.asarray(spectra)
    lower, upper = np.quantile(np.log(_distances(values, every)), [0.25, 0.75])
    fence = min(FAR, np.exp(upper + 3 * (upper - lower)))
    ordinary = jnp.asarray(np.median(spectra, axis=0))
    left_out = 0
    while left_out <= MOST * pixels:
        found = np.asarray(extract(values))
        lonely = found[_distances(values, found) > fence]
        if not lonely.size:
            if left_out:
                log.info(
                    "%d of %d pixels left out: outliers that no %d others resemble",
                    *(left_out, pixels, NEIGHBOURS),
                )
            return found
        left_out += len(lonely)
        # In their place, not removed: another number of pixels would compile anew.
        values = values.at[lonely].set(ordinary)
    raise HsijaxError(
        f"the robust extraction finds nothing but outliers: {left_out} of {pixels} "
        f"pixels have fewer than {NEIGHBOURS} others like them; do without --robust"
    )


def _distances(
    spectra: Float[Array, "pixels bands"], chosen: Int[np.ndarray, " chosen"]
) -> Float[np.ndarray, " chosen"]:
    """Return how far the fifth nearest neighbour is, as a share of a length."""
    squares = np.asarray(_square_distances(spectra, jnp.asarray(chosen)))
    # The nearest of all is the spectrum itself.
    fifth = min(NEIGHBOURS, len(spectra) - 1)
    nearest = np.partition(squares, fifth, axis=1)[:, fifth]
    # Equal spectra are no farther apart than rounding tells.
    return np.sqrt(np.maximum(nearest, 1e-14))


@jax.jit
def _square_distances(
    spectra: Float[Array, "pixels bands"], chosen: Int[Array, " chosen"]
) -> Float[Array, "chosen pixels"]:
    powers = jnp.square(spectra).sum(axis=1)
    squares = powers[chosen, None] + powers - 2 * spectra[chosen] @ spectra.T
    return squares / jnp.minimum(powers[chosen, None], powers)
