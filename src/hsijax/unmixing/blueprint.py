"""An unmixing network before it has learned, and its prediction by given parameters."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float, Int

from hsijax.config import UnmixConfig
from hsijax.models.unmixing import AbundanceNetwork, make_unmixer
from hsijax.patches import gather_patches
from hsijax.training.step import Network, PyTree, split_network
from hsijax.unmixing.inputs import values_at
from hsijax.unmixing.squares import corners_of_squares

# Pixels at once in a prediction, and the side of a square of them times a patch's.
BATCH = 128
PREDICTED = 48


@dataclass(frozen=True)
class Blueprint:
    """What a network is built from: settings, bands in and abundances out."""

    config: UnmixConfig
    bands: int
    endmembers: int

    def build(self, rngs: nnx.Rngs) -> AbundanceNetwork:
        """Build the network.

        Raises:
            UsageError: too few bands, or a patch for pixel-cnn.
        """
        config = self.config
        return make_unmixer(
            config.model,
            bands=self.bands,
            endmembers=self.endmembers,
            patch_side=config.patch,
            hidden=config.hidden,
            dropout=config.dropout,
            output=config.output,
            neighbours=config.neighbours,
            rngs=rngs,
        )

    def skeleton(self) -> AbundanceNetwork:
        """Build the network with shapes in place of arrays."""
        return nnx.eval_shape(lambda: self.build(nnx.Rngs(0)))

    def network(self) -> Network:
        """Return the network's code, as it trains and as it predicts."""
        return split_network(self.skeleton(), self.skeleton())


@cache
def compiled_predictor(blueprint: Blueprint, side: int) -> Callable[..., Any]:
    """Compile `predict(params, padded, corners)`, the abundances in some squares."""
    network, wide = blueprint.network(), side + blueprint.config.patch - 1

    def predict(
        params: PyTree,
        padded: Float[Array, "padded_rows padded_cols bands"],
        corners: Int[Array, "batch 2"],
    ):
        model = nnx.merge(network.predict, params)
        return jnp.exp(model.unmix_squares(gather_patches(padded, corners, wide)))

    return jax.jit(predict)


def predict_pixels(
    blueprint: Blueprint,
    params: PyTree,
    padded: Float[Array, "padded_rows padded_cols bands"],
    pixels: Int[np.ndarray, "pixels 2"],
) -> Float[np.ndarray, "pixels endmembers"]:
    """Predict the abundances of pixels, some squares at a time."""
    config = blueprint.config
    rows, cols = (length - config.patch + 1 for length in padded.shape[:2])
    side, batch = prediction_squares(config, (rows, cols))
    predictor = compiled_predictor(blueprint, side)
    corners = corners_of_squares(pixels, side, (rows, cols))
    abundances = np.zeros((rows, cols, blueprint.endmembers), np.float32)
    for start in range(0, len(corners), batch):
        part = corners[start : start + batch]
        # One shape always, so that nothing recompiles: the last batch is filled up.
        found = np.asarray(predictor(params, padded, np.resize(part, (batch, 2))))
        for square, (row, col) in zip(found, part, strict=False):
            abundances[row : row + side, col : col + side] = square
    return values_at(abundances, pixels)


def prediction_squares(config: UnmixConfig, shape: tuple[int, int]) -> tuple[int, int]:
    """Return the side of the squares of a prediction, and how many it takes at once.

    They are smaller for large patches: F10 reads all pixels of a patch, and that of a
    square's pixels at once.

    Args:
        config: settings of the network.
        shape: rows and columns of the scene.
    """
    largest = max(1, PREDICTED // config.patch)
    side = 1 if config.patch == 1 else min(largest, *shape)
    return side, max(1, BATCH // side**2)
