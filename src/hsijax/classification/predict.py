"""The class of each pixel, from patches that are cut on the device."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.sharding import Mesh
from jaxtyping import Array, Float, Int

from hsijax.config import Progress, no_progress
from hsijax.devices import compute_devices, plan_execution
from hsijax.errors import HsijaxError
from hsijax.training.mesh import BATCH, fetch, make_mesh, place
from hsijax.training.step import Network, PyTree, make_cutter


class Predictor(NamedTuple):
    """The compiled prediction of a network, and the devices that share its batches."""

    mesh: Mesh | None
    batch: int  # patches at once
    share: Callable[..., Any]  # (params, padded) -> what is cut into patches
    classify: Callable[..., Any]  # (params, shared, pixels) -> (labels, confidence)


def make_predictor(network: Network, patch_side: int) -> Predictor:
    """Compile the prediction of a batch of pixels.

    The labels are 0 to K - 1; the confidence is the largest class probability. What a
    network does to each pixel for itself, at its start, is done once for a scene and
    not in each patch anew.
    """
    devices = len(compute_devices())
    batch = devices * plan_execution().predicted
    mesh = make_mesh(1, batch)
    cut_patches = make_cutter(patch_side, mesh)

    def share(params: PyTree, padded: Float[Array, "padded_rows padded_cols channels"]):
        model = nnx.merge(network.predict, params)
        if not model.stem.pointwise:
            return padded
        return model.stem(padded[None])[0]

    def classify(
        params: PyTree,
        shared: Float[Array, "padded_rows padded_cols features"],
        pixels: Int[Array, "batch 2"],
    ):
        model = nnx.merge(network.predict, params)
        patches = cut_patches(shared, pixels)
        features = patches if model.stem.pointwise else model.stem(patches)
        logits = model.head(model.block(features))
        probabilities = jax.nn.softmax(logits)
        return jnp.argmax(logits, axis=-1), jnp.max(probabilities, axis=-1)

    return Predictor(mesh, batch, jax.jit(share), jax.jit(classify))


def predict_pixels(
    predictor: Predictor,
    params: PyTree,
    padded: Float[Array, "padded_rows padded_cols channels"],
    pixels: Int[np.ndarray, "pixels 2"],
    *,
    progress: Progress = no_progress,
) -> tuple[Int[np.ndarray, " pixels"], Float[np.ndarray, " pixels"]]:
    """Predict the label and the confidence of each pixel, batch by batch.

    Raises:
        HsijaxError: the network has no finite answer for some pixels.
    """
    count, batch = len(pixels), predictor.batch
    # One device does this, and all get what comes of it.
    shared = predictor.share(jax.device_get(params), padded)
    params, shared = place((params, shared), predictor.mesh)
    labels = np.zeros(count, np.int32)
    confidence = np.zeros(count, np.float32)
    pending: list[tuple[int, Any]] = []

    def collect() -> None:
        start, (found, largest) = pending.pop(0)
        stop = min(start + batch, count)
        labels[start:stop] = fetch(found, predictor.mesh)[: stop - start]
        confidence[start:stop] = fetch(largest, predictor.mesh)[: stop - start]
        progress("predicting", stop, count)

    for start in range(0, count, batch):
        # One shape always, so that nothing recompiles: the last batch is filled up.
        chosen = np.resize(pixels[start : start + batch], (batch, 2))
        chosen = place(chosen.astype(np.int32), predictor.mesh, BATCH)
        pending.append((start, predictor.classify(params, shared, chosen)))
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
