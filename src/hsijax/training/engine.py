"""Compiled training: a step, or an epoch of steps, of one run or of several at once."""

from collections.abc import Callable
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, Float, Int, PRNGKeyArray

from hsijax.training.mesh import BATCH, RUNS, keep_pace, place
from hsijax.training.step import TrainState, TrainStep

# run_epoch(state, padded, pixels [steps batch 2], targets [steps batch ...], key,
# number of the first step) -> state, losses [steps]; of several runs, all but the
# number have an axis of runs in front
RunEpoch = Callable[..., tuple[TrainState, Any]]


@cache
def compile_step(train_step: TrainStep, mesh: Mesh | None = None) -> TrainStep:
    """Compile one step. The state passed in is consumed."""
    whole = NamedSharding(mesh, PartitionSpec()) if mesh else None
    return jax.jit(train_step, donate_argnums=0, out_shardings=whole)


def make_epoch(train_step: TrainStep, mesh: Mesh | None) -> RunEpoch:
    """Make an epoch of compiled steps: what a CPU does best."""
    step = compile_step(train_step, mesh)

    def run_epoch(
        state: TrainState,
        padded: Float[Array, "padded_rows padded_cols channels"],
        pixels: Int[np.ndarray, "steps batch 2"],
        targets: Int[np.ndarray, "steps batch"] | Float[np.ndarray, "steps batch ..."],
        key: PRNGKeyArray,
        number: int,
    ):
        losses = []
        for offset in range(len(pixels)):
            batch = place((pixels[offset], targets[offset]), mesh, BATCH)
            state, loss = step(state, padded, *batch, key, np.int32(number + offset))
            losses.append(loss)
            keep_pace(losses)
        # Read once an epoch: to wait for each step would leave the device idle.
        return state, np.array(jax.device_get(losses))

    return run_epoch


@cache
def compile_epoch(
    train_step: TrainStep, mesh: Mesh | None, *, stacked: bool
) -> RunEpoch:
    """Compile an epoch as one program, and with `stacked` that of several runs."""

    def run_epoch(
        state: TrainState,
        padded: Float[Array, "padded_rows padded_cols channels"],
        pixels: Int[Array, "steps batch 2"],
        targets: Int[Array, "steps batch"] | Float[Array, "steps batch ..."],
        key: PRNGKeyArray,
        number: Int[Array, ""],
    ):
        def body(state: TrainState, batch: tuple[Array, Array, Array]):
            number, pixels, targets = batch
            return train_step(state, padded, pixels, targets, key, number)

        numbers = number + jnp.arange(len(pixels), dtype=jnp.int32)
        return lax.scan(body, state, (numbers, pixels, targets))

    if stacked:
        run_epoch = jax.vmap(
            run_epoch,
            in_axes=(0, 0, 0, 0, 0, None),
            spmd_axis_name=RUNS if mesh else None,
        )
    lead = (RUNS,) if stacked else ()
    along = NamedSharding(mesh, PartitionSpec(*lead)) if mesh else None
    program = jax.jit(run_epoch, donate_argnums=0, out_shardings=along)

    def place_and_run(state, padded, pixels, targets, key, number):
        batches = place((pixels, targets), mesh, *lead, None, BATCH)
        return program(state, padded, *batches, key, np.int32(number))

    return place_and_run
