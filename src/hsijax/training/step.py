"""One step of gradient descent on a batch of pixels whose answers are known."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from jax.sharding import Mesh, PartitionSpec
from jaxtyping import Array, Float, Int, PRNGKeyArray

from hsijax.patches import gather_patches, random_flips_and_rotations
from hsijax.training.mesh import BATCH

PyTree = Any
# loss_fn(params, patches, targets, key) -> scalar
LossFn = Callable[..., Float[Array, ""]]


# See `make_train_step`.
TrainStep = Callable[..., tuple["TrainState", Float[Array, ""]]]


class Network(NamedTuple):
    """A model's code without its arrays, as it trains and as it predicts."""

    train: nnx.GraphDef
    predict: nnx.GraphDef


class TrainState(NamedTuple):
    """What a step takes and returns."""

    params: PyTree
    opt_state: PyTree


def split_network(training: nnx.Module, predicting: nnx.Module) -> Network:
    """Take the code of a model and of the one that predicts with its parameters."""
    modes = {"raise_if_not_found": False}
    return Network(
        nnx.graphdef(nnx.view(training, deterministic=False, **modes)),
        nnx.graphdef(nnx.view(predicting, deterministic=True, **modes)),
    )


def make_init(make: Callable[[nnx.Rngs], nnx.Module]) -> Callable[..., PyTree]:
    """Compile `init(key)`, a model's first parameters as nested dicts of arrays.

    With little optimisation: the random draws of each shape would otherwise take
    longer to compile than the whole training step.
    """

    def init(key: PRNGKeyArray) -> PyTree:
        return nnx.to_pure_dict(nnx.state(make(nnx.Rngs(key)), nnx.Param))

    return jax.jit(init, compiler_options={"xla_backend_optimization_level": 1})


def cross_entropy(network: Network, label_smoothing: float) -> LossFn:
    """Make the loss of a classifier: smoothed cross-entropy, the mean of a batch."""

    def loss_fn(params, patches, labels, key):
        model = nnx.merge(network.train, params)
        logits = model(patches, rngs=nnx.Rngs(dropout=key))
        targets = jax.nn.one_hot(labels, logits.shape[-1])
        targets = optax.smooth_labels(targets, label_smoothing)
        return optax.softmax_cross_entropy(logits, targets).mean()

    return loss_fn


def weighted_cross_entropy(network: Network, label_smoothing: float) -> LossFn:
    """Make the same loss with a weight for each pixel.

    Its targets are rows of 0 with the pixel's weight in the place of its label, so that
    runs of different weights can share a step.
    """

    def loss_fn(params, patches, weighted, key):
        model = nnx.merge(network.train, params)
        logits = model(patches, rngs=nnx.Rngs(dropout=key))
        weights = weighted.sum(axis=1, keepdims=True)
        targets = optax.smooth_labels(weighted / weights, label_smoothing)
        return optax.softmax_cross_entropy(logits, weights * targets).mean()

    return loss_fn


def weigh_labels(
    labels: Int[np.ndarray, " pixels"], classes: int
) -> Float[np.ndarray, "pixels classes"]:
    """Return the targets of `weighted_cross_entropy` that make all classes count alike.

    A pixel's weight is inverse to the pixels of its class; the mean over pixels is 1.

    >>> weigh_labels(np.array([0, 1, 1, 1]), 2).round(2)
    array([[2.  , 0.  ],
           [0.  , 0.67],
           [0.  , 0.67],
           [0.  , 0.67]], dtype=float32)
    """
    counts = np.bincount(labels, minlength=classes)
    weights = len(labels) / (np.count_nonzero(counts) * np.maximum(counts, 1))
    return np.diag(weights).astype(np.float32)[labels]


def abundance_cross_entropy(network: Network) -> LossFn:
    """Make the loss of a network of log abundances: -sum(a log p), mean over pixels.

    Pixels of the squares that are not learned from have abundances of zero and have no
    part in it.

    Source:
        Zhang et al., "Hyperspectral unmixing via deep convolutional neural networks",
        IEEE GRSL 2018, eq. (2), with truth and prediction in the places that they have
        in a cross-entropy. doi:10.1109/LGRS.2018.2857804
    """

    def loss_fn(params, squares, abundances, key):
        model = nnx.merge(network.train, params)
        found = model.unmix_squares(squares, rngs=nnx.Rngs(dropout=key))
        # The abundances of a pixel that is learned from sum to 1.
        return -jnp.sum(abundances * found) / jnp.sum(abundances)

    return loss_fn


def make_train_step(
    loss_fn: LossFn,
    optimizer: optax.GradientTransformation,
    patch_side: int,
    augment: bool,
    mesh: Mesh | None = None,
) -> TrainStep:
    """Make one step; `engine` compiles it, alone, in an epoch or for several runs.

    Args:
        loss_fn: of a batch of patches.
        optimizer: its state is in the step's.
        patch_side: of the patches, pixels.
        augment: whether patches are flipped and turned at random.
        mesh: devices that share the batch.

    Returns:
        `train_step(state, padded, pixels, targets, key, number)`: patches are cut from
        the padded cube on the device; `targets` are what `loss_fn` takes, labels or
        maps of abundances; `number` is the step's own, from which with `key` all
        randomness of the step follows.
    """
    cut_patches = make_cutter(patch_side, mesh)

    def train_step(
        state: TrainState,
        padded: Float[Array, "padded_rows padded_cols channels"],
        pixels: Int[Array, "batch 2"],
        targets: Int[Array, " batch"] | Float[Array, "batch ..."],
        key: PRNGKeyArray,
        number: Int[Array, ""],
    ):
        flip_key, loss_key = jax.random.split(jax.random.fold_in(key, number))
        patches = cut_patches(padded, pixels)
        if augment:
            patches = random_flips_and_rotations(patches, flip_key)
            if targets.ndim == patches.ndim:  # maps, which turn with their squares
                targets = random_flips_and_rotations(targets, flip_key)
        gradient = jax.value_and_grad(loss_fn)
        loss, grads = gradient(state.params, patches, targets, loss_key)
        updates, opt_state = optimizer.update(grads, state.opt_state, state.params)
        params = optax.apply_updates(state.params, updates)
        return TrainState(params, opt_state), jnp.asarray(loss)

    return train_step


def make_cutter(patch_side: int, mesh: Mesh | None) -> Callable[..., Array]:
    """Make `cut(padded, pixels)`, by which each device of a mesh cuts its patches.

    XLA divides what follows in the same way, but not a gather of its own accord.
    """
    cut = partial(gather_patches, patch_side=patch_side)
    if mesh is None:
        return cut
    whole, divided = PartitionSpec(), PartitionSpec(BATCH)
    return jax.shard_map(
        cut,
        mesh=mesh,
        in_specs=(whole, divided),
        out_specs=divided,
        check_vma=False,  # it overlooks the axis of runs that `jax.vmap` adds
    )
