"""Pixels in blocks of one size, so that a function is compiled once."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jaxtyping import Float

# Small enough for a processor's cache; a GPU waits for each block, so it has few.
PIXELS = {"cpu": 2_000}
PIXELS_ELSEWHERE = 65_536


def map_blocks(
    function: Callable[..., Any],
    spectra: Float[np.ndarray, "pixels bands"],
    *shared: Any,
    values: int = 0,
    pixels: int | None = None,
) -> list[np.ndarray]:
    """Apply a jitted function to blocks of pixels in float64 and join what it returns.

    Args:
        function: takes spectra and `shared`, returns arrays with a row for each pixel
            that depends on that pixel alone.
        spectra: any number of pixels; the last block is filled up with zeros.
        shared: arrays that stay on the device.
        values: numbers that a pixel occupies, where that makes blocks smaller.
        pixels: in a block, instead of what suits the device.
    """
    backend = jax.default_backend()
    if pixels is None:
        pixels = PIXELS.get(backend, PIXELS_ELSEWHERE)
        # A pixel of 256 values leaves a block as large as one without any.
        pixels = max(16, min(pixels, 256 * pixels // max(values, 1)))
    outputs = []
    with jax.enable_x64(True):
        shared = jax.device_put(shared)
        for begin in range(0, max(len(spectra), 1), pixels):
            block = spectra[begin : begin + pixels]
            if len(block) < pixels:
                block = np.pad(block, ((0, pixels - len(block)), (0, 0)))
            # Not read before all are under way: the next block's copy is made
            # while this one is computed.
            outputs.append(function(block, *shared))
        joined = map(np.concatenate, zip(*outputs, strict=True))
        return [values[: len(spectra)] for values in joined]
