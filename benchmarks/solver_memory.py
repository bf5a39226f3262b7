"""Which gradient of an ODE solver keeps the paper's O(1) memory, and at what price?

The temporary memory of the compiled training gradient (as XLA plans it) of the compact
ODE-net against the number of solver steps, the time of one such step, and the error of
its gradient in float64: against that of the same steps unrolled, which is exact for
what the network computes, and against that of the flow itself (many fine steps).
9x9 patches of 200 bands, batch 64, a field whose last scale is 1.

    python benchmarks/solver_memory.py [--solver midpoint] [--steps 1 2 4] [--rounds 5]

Ways:
    unrolled              every stage is kept: discretise, then optimise
    unrolled, checkpoint  each step is recomputed in the backward pass (jax.checkpoint)
    recursive, all steps  diffrax's loop, as many checkpoints as steps
    recursive, root       the same, with the square root of the steps as checkpoints
    direct                diffrax's loop, differentiated by JAX
    backsolve             the adjoint ODE is solved backwards: the paper's O(1)

Ways that unroll stop at `--most` calls of the field, because compiling takes too long.

What it showed on two CPU cores (`results/solver_memory-cpu.json`): written out, each
step of RK4 adds 62 MB; Backsolve keeps 38 MB at 1 to 32 steps with a gradient that is
off by 0.37 to 0.0007; recursive checkpoints, as many as the root of the steps, take 37
to 46 MB for the exact gradient, in 1.1 to 1.9 times Backsolve's time.
"""

import argparse
import math
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from measure import interleave, make_parser, summarise, write_results

from hsijax.config import OdeSolver
from hsijax.models import make_classifier
from hsijax.models.blocks import Field
from hsijax.models.ode import step_stages
from hsijax.models.ode_loop import SOLVERS

CLASSES = 16
EXACT_STEPS = 64  # of rk4, for the gradient of the flow
Integrate = Callable[[Field, jax.Array], jax.Array]


def unrolled(solver: str, steps: int, checkpoint: bool = False) -> Integrate:
    """Write all steps and stages out."""
    nodes, rows, weights = step_stages(solver)
    size = 1 / steps

    def one_step(field, state):
        slopes = []
        for node, row in zip(nodes, rows, strict=True):
            moved = zip(row, slopes, strict=True)
            there = state + sum(size * w * slope for w, slope in moved if w)
            slopes.append(field(node, there, None))  # the field takes no time
        moved = zip(weights, slopes, strict=True)
        return state + sum(size * w * slope for w, slope in moved if w)

    # nnx modules are pytrees, which jax.checkpoint differentiates through.
    step = jax.checkpoint(one_step) if checkpoint else one_step

    def integrate(field, state):
        for _ in range(steps):
            state = step(field, state)
        return state

    return integrate


def looped(solver: str, steps: int, adjoint: diffrax.AbstractAdjoint) -> Integrate:
    """Let diffrax loop over steps of the same size."""

    def integrate(field, state):
        solution = diffrax.diffeqsolve(
            diffrax.ODETerm(field),
            SOLVERS[solver](),
            t0=0.0,
            t1=1.0,
            dt0=1 / steps,  # and no diffrax.StepTo, which cannot go backwards
            y0=state,
            adjoint=adjoint,
            max_steps=steps,
            throw=False,
        )
        assert solution.ys is not None
        return solution.ys[-1]

    return integrate


class Way(NamedTuple):
    make: Callable[[str, int], Integrate]
    loops: bool


WAYS = {
    "unrolled": Way(unrolled, False),
    "unrolled, checkpoint": Way(lambda s, n: unrolled(s, n, True), False),
    "recursive, all steps": Way(
        lambda s, n: looped(s, n, diffrax.RecursiveCheckpointAdjoint(checkpoints=n)),
        True,
    ),
    "recursive, root": Way(
        lambda s, n: looped(
            s, n, diffrax.RecursiveCheckpointAdjoint(checkpoints=math.isqrt(n))
        ),
        True,
    ),
    "direct": Way(lambda s, n: looped(s, n, diffrax.DirectAdjoint()), True),
    "backsolve": Way(lambda s, n: looped(s, n, diffrax.BacksolveAdjoint()), True),
}


class Problem(NamedTuple):
    """A batch and the network's parameters, in one precision."""

    params: Any
    patches: jax.Array
    labels: jax.Array


def make_network(bands: int):
    """Return the code and first parameters of the compact ODE-net."""
    network = make_classifier(
        "odenet",
        "compact",
        channels=bands,
        classes=CLASSES,
        solver=OdeSolver(),
        dropout=0.0,
        rngs=nnx.Rngs(0),
    )
    field: Any = network.block.field  # pyright: ignore[reportAttributeAccessIssue]
    field.norm3.scale[...] = jnp.ones_like(field.norm3.scale[...])
    return nnx.split(network)


def make_problem(batch: int, side: int, bands: int, dtype: Any) -> Problem:
    rng = np.random.default_rng(0)
    patches = jnp.asarray(rng.normal(size=(batch, side, side, bands)), dtype)
    labels = jnp.asarray(rng.integers(CLASSES, size=batch).astype(np.int32))
    _, params = make_network(bands)
    return Problem(jax.tree.map(lambda p: p.astype(dtype), params), patches, labels)


def compile_gradient(way: Way, solver: str, steps: int, problem: Problem):
    """Compile loss and gradient of the whole network."""
    code, _ = make_network(problem.patches.shape[-1])
    integrate = way.make(solver, steps)

    def loss(params, patches, labels):
        network: Any = nnx.merge(code, params)
        hidden = integrate(network.block.field, network.stem(patches))
        logits = network.head(hidden)
        return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()

    return jax.jit(jax.value_and_grad(loss)).lower(*problem).compile()


def gradient64(way: Way, solver: str, steps: int, options) -> np.ndarray:
    """Return the gradient in float64, of a part of the batch, as one vector."""
    with jax.enable_x64(True):
        problem = make_problem(
            min(options.batch, 4), options.side, options.bands, jnp.float64
        )
        _, gradient = compile_gradient(way, solver, steps, problem)(*problem)
        leaves = jax.tree.leaves(gradient)
        return np.concatenate([np.asarray(leaf).ravel() for leaf in leaves])


def relative(found: np.ndarray, expected: np.ndarray) -> float:
    """Return the length of the difference, in lengths of what is expected."""
    return float(np.linalg.norm(found - expected) / np.linalg.norm(expected))


def measure_steps(steps: int, exact: np.ndarray, options: argparse.Namespace):
    """Measure all ways with one number of steps; return a row for each."""
    problem = make_problem(options.batch, options.side, options.bands, jnp.float32)
    calls = steps * len(step_stages(options.solver).nodes)
    ways = {n: w for n, w in WAYS.items() if w.loops or calls <= options.most}
    # The loop computes what the unrolled steps do, and its gradient to rounding.
    reference = "unrolled" if "unrolled" in ways else "direct"
    expected = gradient64(ways[reference], options.solver, steps, options)
    cases, rows = {}, {}
    for name, way in ways.items():
        begin = time.perf_counter()
        program = compile_gradient(way, options.solver, steps, problem)
        seconds = time.perf_counter() - begin
        memory = program.memory_analysis()
        assert memory is not None
        found = gradient64(way, options.solver, steps, options)
        rows[name] = {
            "way": name,
            "steps": steps,
            "forward_evaluations": calls,
            "temporary_bytes": memory.temp_size_in_bytes,
            "compile_s": seconds,
            "error_of_these_steps": relative(found, expected),
            "error_of_the_flow": relative(found, exact),
        }
        cases[name] = lambda program=program: jax.block_until_ready(program(*problem))
        cases[name]()
    for name, times in interleave(cases, options.rounds).items():
        rows[name] |= summarise(times)
        row = rows[name]
        print(
            f"{steps:5}  {name:22}{row['temporary_bytes'] / 1e6:9.1f} MB"
            f"{row['median_ms']:10.1f} ms{row['error_of_these_steps']:14.1e}"
            f"{row['error_of_the_flow']:14.1e}"
        )
    return list(rows.values())


def main():
    parser = make_parser(__doc__ or "", 5, "small patches, two steps")
    parser.add_argument("--solver", choices=["rk4", "midpoint"], default="rk4")
    parser.add_argument("--steps", type=int, nargs="+", default=[1, 2, 4, 8, 16, 32])
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--side", type=int, default=9)
    parser.add_argument("--bands", type=int, default=200)
    parser.add_argument("--most", type=int, default=64, help="calls to unroll at most")
    options = parser.parse_args()
    if options.quick:
        options.rounds, options.steps = 1, [2]
        options.batch, options.side, options.bands = 2, 3, 4
    fine = 2 if options.quick else EXACT_STEPS
    exact = gradient64(WAYS["recursive, all steps"], "rk4", fine, options)
    halved = gradient64(WAYS["recursive, all steps"], "rk4", fine // 2, options)
    print(
        "steps  way                    temporary      time  error: of these steps, flow"
    )
    rows = []
    for steps in options.steps:
        rows += measure_steps(steps, exact, options)
    write_results(
        "solver_memory"
        if options.solver == "rk4"
        else f"solver_memory-{options.solver}",
        ("jax", "flax", "diffrax", "optax", "numpy"),
        {
            "solver": options.solver,
            "batch": options.batch,
            "side": options.side,
            "bands": options.bands,
            "batch_of_gradient_errors": min(options.batch, 4),
        },
        rows,
        options,
        # How far the gradient called the flow's may be from it, and more.
        exact_gradient_moves_when_steps_are_halved=relative(halved, exact),
    )


if __name__ == "__main__":
    main()
