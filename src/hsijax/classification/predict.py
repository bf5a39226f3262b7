"""The class of each pixel, from patches that are cut on the device."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np
from flax import nnx
from jax.sharding import Mesh
from jaxtyping import Array, Float, Int
from scipy.special import softmax

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
    classify: Callable[..., Any]  # (params, shared, pixels) -> logits


def make_predictor(network: Network, patch_side: int) -> Predictor:
    """Compile the prediction of a batch of pixels.

    What a network does to each pixel for itself, at its start, is done once for a
    scene and not in each patch anew.
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
        return model.head(model.block(features))

    return Predictor(mesh, batch, jax.jit(share), jax.jit(classify))


def predict_logits(
    predictor: Predictor,
    params: PyTree,
    padded: Float[Array, "padded_rows padded_cols channels"],
    pixels: Int[np.ndarray, "pixels 2"],
    *,
    progress: Progress = no_progress,
) -> Float[np.ndarray, "pixels classes"]:
    """Predict the logits of each pixel, batch by batch.

    Raises:
        HsijaxError: the network has no finite answer for some pixels.
    """
    count, batch = len(pixels), predictor.batch
    # One device does this, and all get what comes of it.
    shared = predictor.share(jax.device_get(params), padded)
    params, shared = place((params, shared), predictor.mesh)
    found: list[np.ndarray] = []
    pending: list[Array] = []

    def collect() -> None:
        found.append(fetch(pending.pop(0), predictor.mesh))
        progress("predicting", min(len(found) * batch, count), count)

    for start in range(0, max(count, 1), batch):
        # One shape always, so that nothing recompiles: the last batch is filled up.
        chosen = np.resize(pixels[start : start + batch], (batch, 2))
        chosen = place(chosen.astype(np.int32), predictor.mesh, BATCH)
        pending.append(predictor.classify(params, shared, chosen))
        if len(pending) > 1:
            collect()
    while pending:
        collect()
    logits = np.concatenate(found)[:count]
    failed = count - int(np.isfinite(logits).all(axis=1).sum())
    if failed:
        raise HsijaxError(
            f"the network has no finite answer for {failed} of {count} pixels: its ODE "
            "solver did not reach the end; train with a larger --rtol, or with --steps"
        )
    return logits


def most_probable(
    logits: Float[np.ndarray, "pixels classes"], temperature: float = 1.0
) -> tuple[Int[np.ndarray, " pixels"], Float[np.ndarray, " pixels"]]:
    """Return each pixel's label, 0 to K - 1, and the probability given to it.

    Args:
        logits: of the classes.
        temperature: what logits are divided by, before they become probabilities.

    >>> most_probable(np.array([[0.0, np.log(3.0)]]))
    (array([1]), array([0.75]))
    """
    probabilities = softmax(logits / np.asarray(temperature, logits.dtype), axis=1)
    return np.argmax(logits, axis=1), probabilities.max(axis=1)
