"""The class of each pixel, from patches that are cut on the device."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float, Int

from hsijax.config import Progress, no_progress
from hsijax.errors import HsijaxError
from hsijax.patches import gather_patches
from hsijax.training.step import Network

# Patches at once. Small batches stay in the processor's cache.
BATCH = 128


def make_predictor(network: Network, patch_side: int) -> Callable[..., Any]:
    """Compile `predict(params, padded, pixels) -> (labels, confidence)` of a batch.

    The labels are 0 to K - 1; the confidence is the largest class probability.
    """

    def predict(
        params: Any,
        padded: Float[Array, "padded_rows padded_cols channels"],
        pixels: Int[Array, "batch 2"],
    ):
        model = nnx.merge(network.predict, params)
        logits = model(gather_patches(padded, pixels, patch_side))
        probabilities = jax.nn.softmax(logits)
        return jnp.argmax(logits, axis=-1), jnp.max(probabilities, axis=-1)

    return jax.jit(predict)


def predict_pixels(
    predictor: Callable[..., Any],
    params: Any,
    padded: Float[Array, "padded_rows padded_cols channels"],
    pixels: Int[np.ndarray, "pixels 2"],
    *,
    batch: int = BATCH,
    progress: Progress = no_progress,
) -> tuple[Int[np.ndarray, " pixels"], Float[np.ndarray, " pixels"]]:
    """Predict the label and the confidence of each pixel, batch by batch.

    Raises:
        HsijaxError: the network has no finite answer for some pixels.
    """
    count = len(pixels)
    labels = np.zeros(count, np.int32)
    confidence = np.zeros(count, np.float32)
    pending: list[tuple[int, Any]] = []

    def collect() -> None:
        start, (found, largest) = pending.pop(0)
        stop = min(start + batch, count)
        labels[start:stop] = np.asarray(found)[: stop - start]
        confidence[start:stop] = np.asarray(largest)[: stop - start]
        progress("predicting", stop, count)

    for start in range(0, count, batch):
        # One shape always, so that nothing recompiles: the last batch is filled up.
        chosen = np.resize(pixels[start : start + batch], (batch, 2))
        pending.append((start, predictor(params, padded, chosen.astype(np.int32))))
        if len(pending) > 1:
            collect()
    while pending:
        collect()
    failed = count - int(np.isfinite(confidence).sum())
    if failed:
        raise HsijaxError(
            f"the network has no finite answer for {failed} of {count} pixels: its ODE "
            "solver did not reach the end; train with a larger --rtol, or with --steps"
        )
    return labels, confidence
