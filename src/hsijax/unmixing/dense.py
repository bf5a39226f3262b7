"""Small dense networks, trained an epoch a call.

A step of these takes some 30 microseconds, less than its dispatch: `lax.scan` over the
steps of an epoch spares that. (Convolutions must not be trained so on a CPU.)
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from jaxtyping import Array, Float, Int, PRNGKeyArray

from hsijax.config import UnmixConfig
from hsijax.training.checkpoint import load_checkpoint
from hsijax.training.loop import (
    Epoch,
    Loop,
    Trained,
    TrainingSet,
    steps_per_epoch,
    train_run,
)
from hsijax.training.schedule import make_optimizer, make_schedule
from hsijax.training.step import PyTree, TrainState, make_init

# loss_of(model, inputs [batch channels], targets) -> scalar
Loss = Callable[[Any, Array, Array], Array]

# Rows at once in `compute`.
TILE = 4096


@runtime_checkable
class Blueprint(Protocol):
    """What a network is built from; hashable, so that equal ones compile once."""

    def build(self, rngs: nnx.Rngs) -> nnx.Module:
        """Build the network."""
        ...


@dataclass(frozen=True, eq=False)
class Stage:
    """One network to train, apart from its data."""

    blueprint: Blueprint
    loss_of: Loss
    number: int  # keeps the first parameters of several networks of a run apart
    score: Callable[[PyTree], float] | None = None  # of each epoch's parameters
    keep_best: bool = False


def train_dense(
    config: UnmixConfig,
    stage: Stage,
    inputs: Float[np.ndarray, "pixels channels"],
    targets: Int[np.ndarray, " pixels"] | Float[np.ndarray, "pixels values"],
    run: int,
    checkpoint: Path,
    on_epoch: Callable[[Epoch], None],
) -> Trained:
    """Train a network for `config.epochs`, or on from `checkpoint` to the same bits.

    Raises:
        HsijaxError: the loss is no longer finite.
    """
    pixels = len(inputs)
    steps = steps_per_epoch(pixels, config.batch)
    learner = _make_learner(config, stage.blueprint, stage.loss_of, steps)
    key = jax.random.fold_in(jax.random.key(config.seed), run)
    # The largest folds belong to first parameters, the small ones to steps.
    params = learner.init(jax.random.fold_in(key, 2**32 - 1 - stage.number))
    first = TrainState(params, learner.optimizer.init(params))
    # The loop's batch is an epoch here: it draws the order and fills the last batch up.
    loop = Loop(
        learner.train_epoch,
        lambda epoch: learner.schedule((epoch + 1) * steps - 1),
        config.epochs,
        steps * config.batch,
        (config.seed, run),
        stage.score,
        stage.keep_best,
        on_epoch,
        remedy="a smaller --lr",
    )
    places = np.stack([np.arange(pixels), np.zeros(pixels, int)], axis=1)
    data = TrainingSet(jnp.asarray(inputs[:, None]), places, targets)
    return train_run(loop, first, data, checkpoint)


def skeleton(blueprint: Blueprint) -> nnx.Module:
    """Return the network with shapes in place of arrays."""
    return nnx.eval_shape(lambda: blueprint.build(nnx.Rngs(0)))


def load_params(path: Path, blueprint: Blueprint, prefix: str) -> PyTree:
    """Read the network's parameters from a checkpoint.

    Raises:
        HsijaxError: the file is damaged or from another network.
    """
    shapes = nnx.to_pure_dict(nnx.state(skeleton(blueprint), nnx.Param))
    return load_checkpoint(path, shapes, prefix)


def compute(
    blueprint: Blueprint,
    method: Callable[[Any, Array], Array],
    params: PyTree,
    rows: Float[np.ndarray, "rows channels"],
) -> Float[np.ndarray, "rows values"]:
    """Return `method(network, rows)`, tile by tile in one compiled shape."""
    compiled = _compile_method(blueprint, method)
    parts = []
    for start in range(0, max(len(rows), 1), TILE):
        tile = rows[start : start + TILE]
        padded = np.zeros((TILE, rows.shape[1]), np.float32)
        padded[: len(tile)] = tile
        parts.append(np.asarray(compiled(params, padded))[: len(tile)])
    return np.concatenate(parts)


@cache
def _compile_method(
    blueprint: Blueprint, method: Callable[[Any, Array], Array]
) -> Callable[[PyTree, np.ndarray], Array]:
    code = nnx.graphdef(skeleton(blueprint))
    return jax.jit(lambda params, rows: method(nnx.merge(code, params), rows))


class _Learner(NamedTuple):
    """The compiled epoch of a network with what it needs and follows."""

    init: Callable[..., PyTree]
    train_epoch: Callable[..., tuple[TrainState, Any]]
    schedule: Callable[[int], Any]
    optimizer: optax.GradientTransformation


@cache
def _make_learner(
    config: UnmixConfig, blueprint: Blueprint, loss_of: Loss, steps: int
) -> _Learner:
    """Compile the epoch once for all runs that have as many `steps` in it."""
    schedule = make_schedule(config.schedule, config.lr, config.epochs * steps)
    optimizer = make_optimizer(config.optimizer, schedule, config.weight_decay)
    epoch = _make_epoch(skeleton(blueprint), loss_of, optimizer, config.batch)
    return _Learner(make_init(blueprint.build), epoch, schedule, optimizer)


def _make_epoch(
    model: nnx.Module,
    loss_of: Loss,
    optimizer: optax.GradientTransformation,
    batch: int,
) -> Callable[..., tuple[TrainState, Any]]:
    """Compile an epoch of steps, with the arguments of `make_train_step`'s step."""
    code = nnx.graphdef(model)

    def train_epoch(
        state: TrainState,
        padded: Float[Array, "pixels 1 channels"],
        pixels: Int[Array, "order 2"],
        targets: Int[Array, " order"] | Float[Array, "order values"],
        key: PRNGKeyArray,
        number: Int[Array, ""],
    ):
        del key, number  # nothing is drawn in an epoch but its order
        steps = len(pixels) // batch

        def step(state: TrainState, chosen: tuple[Array, Array]):
            places, targets = chosen

            def loss_fn(params: PyTree):
                return loss_of(nnx.merge(code, params), padded[places, 0], targets)

            loss, grads = jax.value_and_grad(loss_fn)(state.params)
            updates, opt_state = optimizer.update(grads, state.opt_state, state.params)
            params = optax.apply_updates(state.params, updates)
            return TrainState(params, opt_state), loss

        batched = (
            pixels[:, 0].reshape(steps, batch),
            targets.reshape(steps, batch, *targets.shape[1:]),
        )
        state, losses = jax.lax.scan(step, state, batched)
        return state, losses.mean()

    return jax.jit(train_epoch, donate_argnums=0)
