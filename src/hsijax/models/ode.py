"""The ODE layer: dy/dt = field(t, y, args) from t = 0 to t = 1, and what it costs."""

from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from hsijax.config import OdeSolver
from hsijax.errors import UsageError, lookup

# A stateless function of (t, y, args); args is always None. For an adaptive solve it
# must also be a pytree of its parameters, as every nnx.Module is.
Field = Callable[..., Array]
State = Float[Array, "batch *features"]


class Stages(NamedTuple):
    """An explicit Runge--Kutta step: when and where the slopes are taken."""

    nodes: tuple[float, ...]
    rows: tuple[tuple[float, ...], ...]  # weights of the earlier slopes
    weights: tuple[float, ...]  # of all slopes, for the step


# Explicit Runge--Kutta methods, cheapest step first. None: it is long, and diffrax's.
SOLVERS: dict[str, Stages | None] = {
    "euler": Stages((0.0,), ((),), (1.0,)),
    "midpoint": Stages((0.0, 1 / 2), ((), (1 / 2,)), (0.0, 1.0)),
    "heun": Stages((0.0, 1.0), ((), (1.0,)), (1 / 2, 1 / 2)),
    "ralston": Stages((0.0, 2 / 3), ((), (2 / 3,)), (1 / 4, 3 / 4)),
    "bosh3": Stages(
        (0.0, 1 / 2, 3 / 4), ((), (1 / 2,), (0.0, 3 / 4)), (2 / 9, 1 / 3, 4 / 9)
    ),
    "rk4": Stages(
        (0.0, 1 / 2, 1 / 2, 1.0),
        ((), (1 / 2,), (0.0, 1 / 2), (0.0, 0.0, 1.0)),
        (1 / 6, 1 / 3, 1 / 3, 1 / 6),
    ),
    "tsit5": None,
    "dopri5": None,
    "dopri8": None,
}
WITHOUT_ERROR_ESTIMATE = ("euler", "rk4")  # so without adaptive steps
STEP_CONTROLS = {"batch": "one step size", "sample": "each sample its own"}
ADJOINTS = {
    "checkpoint": "through the solver, of which a part is computed again",
    "backsolve": "another differential equation, backwards, in little memory",
    "direct": "through the solver, of which everything is kept",
}

# More calls of the field than this are not unrolled: compiling takes too long.
MAX_UNROLLED_CALLS = 32


def step_stages(name: str) -> Stages:
    """Return the stages that a step of fixed size needs.

    >>> step_stages("heun")
    Stages(nodes=(0.0, 1.0), rows=((), (1.0,)), weights=(0.5, 0.5))
    """
    stages = lookup(SOLVERS, name, "ODE solver")
    if stages is None:
        from hsijax.models import ode_loop

        stages = ode_loop.read_stages(name)
    return stages


def check_solver(solver: OdeSolver) -> None:
    """Accept settings that `integrate` can follow.

    Raises:
        UsageError: an unknown name, or settings that exclude each other.
    """
    lookup(SOLVERS, solver.solver, "ODE solver")
    lookup(ADJOINTS, solver.adjoint, "adjoint")
    lookup(STEP_CONTROLS, solver.step_control, "step control")
    if solver.rtol is None:
        if solver.atol is not None:
            raise UsageError("an absolute tolerance needs a relative one: give --rtol")
        if solver.adjoint != "checkpoint":
            raise UsageError(
                f"adjoint '{solver.adjoint}' is for adaptive steps: give --rtol"
            )
        if solver.steps < 1:
            raise UsageError(f"{solver.steps} steps of the ODE solver: at least 1")
        return
    if solver.solver in WITHOUT_ERROR_ESTIMATE:
        raise UsageError(
            f"solver '{solver.solver}' has no error estimate and cannot adapt its "
            "steps: give --steps, or another solver such as dopri5"
        )
    for tolerance in (solver.rtol, solver.atol):
        if tolerance is not None and not tolerance > 0:
            raise UsageError(f"a tolerance of {tolerance}: must be above 0")


def solves_in_loop(solver: OdeSolver) -> bool:
    """Whether `integrate` makes an XLA loop, in which the field is compiled once."""
    if solver.rtol is not None:
        return True
    return solver.steps * len(step_stages(solver.solver).nodes) > MAX_UNROLLED_CALLS


def integrate(field: Field, start: State, solver: OdeSolver) -> State:
    """Solve dy/dt = field(t, y, None) from y(0) = `start` and return y(1).

    `field` must hold no state that a call changes: no batch norm in training mode and
    no dropout. An adaptive solve that fails returns NaN.
    """
    if solves_in_loop(solver):
        from hsijax.models import ode_loop

        return ode_loop.solve_in_loop(field, start, solver)[0]
    # Unrolled, because XLA on a CPU runs convolution gradients about 30 times slower
    # inside a loop (jax-ml/jax#12868), and diffeqsolve loops over steps and stages.
    stages = step_stages(solver.solver)
    size = 1.0 / solver.steps
    state = start
    for step in range(solver.steps):
        slopes: list[Array] = []
        for node, row in zip(stages.nodes, stages.rows, strict=True):
            there = _advance(state, size, row, slopes)
            slopes.append(field((step + node) * size, there, None))
        state = _advance(state, size, stages.weights, slopes)
    return state


def _advance(
    state: State, size: float, weights: tuple[float, ...], slopes: list[Array]
) -> State:
    """Move along the weighted slopes; XLA does not drop products with zero itself."""
    pairs = zip(weights, slopes, strict=True)
    return sum(
        (size * weight * slope for weight, slope in pairs if weight), start=state
    )


def count_field_calls(
    field: Field, start: State, solver: OdeSolver
) -> Int[Array, " batch"]:
    """Count the calls of `field` for each sample in one forward solve.

    Rejected steps are counted, the backward pass is not.
    """
    if solves_in_loop(solver):
        from hsijax.models import ode_loop

        return ode_loop.solve_in_loop(field, start, solver)[1]
    stages = len(step_stages(solver.solver).nodes)
    return jnp.full(start.shape[0], solver.steps * stages)
