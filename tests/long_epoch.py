"""An epoch of many short steps on two devices, which meet in each of them.

A script of its own, run by `test_engine.py`, because XLA ends a process whose devices
wait for each other for ever. Prints the steps that were made.
"""

import os
import sys

import jax
import jax.numpy as jnp
import numpy as np

from hsijax.experiments.bench_programs import Measured, Program
from hsijax.training.engine import make_epoch
from hsijax.training.mesh import BATCH, make_mesh, place

STEPS, EPOCHS, PATCHES = 1000, 3, 32


def step(weights, padded, pixels, targets, key, number):
    """Fit one layer, of patches that would otherwise be cut."""

    def loss_fn(weights):
        patches = jnp.broadcast_to(padded, (len(pixels), *padded.shape))
        dimensions = ("NHWC", "HWIO", "NHWC")
        features = jax.lax.conv_general_dilated(
            patches, weights, (1, 1), "SAME", dimension_numbers=dimensions
        )
        return jnp.mean((jnp.tanh(features).mean((1, 2, 3)) - targets) ** 2)

    loss, gradient = jax.value_and_grad(loss_fn)(weights)
    return weights - 0.1 * gradient, loss


def train(mesh, weights, padded) -> int:
    run_epoch = make_epoch(step, mesh)
    pixels = np.zeros((STEPS, PATCHES, 2), np.int32)
    targets = np.zeros((STEPS, PATCHES), np.float32)
    made = 0
    for epoch in range(EPOCHS):
        weights, losses = run_epoch(
            weights, padded, pixels, targets, jax.random.key(0), epoch * STEPS
        )
        made += int(np.isfinite(losses).sum())
    return made


def measure(mesh, weights, padded) -> int:
    """Time the steps as `hsijax bench` does, in one burst."""
    pixels, targets = place(
        (np.zeros((PATCHES, 2), np.int32), np.zeros(PATCHES, np.float32)), mesh, BATCH
    )
    rest = (padded, pixels, targets, None, None)
    function = jax.jit(step)
    program = Program(function, weights, rest, PATCHES, carries=True, devices=2)
    compiled = function.lower(weights, *rest).compile()
    burst = Measured(program, compiled, 0.0, 0.0, None, weights, None, EPOCHS * STEPS)
    burst.time_burst()
    return burst.repeats


if __name__ == "__main__":
    if sys.platform == "linux":
        # XLA has a thread for each core, and with more of them than devices none waits.
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:2])
    rng = np.random.default_rng(0)
    mesh = make_mesh(1, PATCHES)
    assert mesh is not None
    arrays = place(
        (
            rng.normal(size=(3, 3, 16, 16)).astype(np.float32) / 12,
            rng.normal(size=(9, 9, 16)).astype(np.float32),
        ),
        mesh,
    )
    work = {"train": train, "measure": measure}[sys.argv[1]]
    sys.stdout.write(f"{work(mesh, *arrays)}\n")
