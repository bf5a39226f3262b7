"""The ODE layer: dy/dt = field(t, y, args) from t = 0 to t = 1, and what it costs."""

from collections.abc import Callable
from typing import ClassVar, NamedTuple

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from hsijax.config import OdeSolver
from hsijax.errors import UsageError, lookup

# A stateless function of (t, y, args); args is always None. For an adaptive solve it
# must also be a pytree of its parameters, as every nnx.Module is.
Field = Callable[..., Array]
State = Float[Array, "batch *features"]


class RungeKutta4(diffrax.AbstractERK):
    """The classic Runge--Kutta method of order four; it has no error estimate.

    Source:
        Kutta, "Beitrag zur naeherungsweisen Integration totaler
        Differentialgleichungen", Zeitschrift fuer Mathematik und Physik 46, 1901.
    """

    tableau: ClassVar[diffrax.ButcherTableau] = diffrax.ButcherTableau(
        c=np.array([1 / 2, 1 / 2, 1.0]),
        a_lower=(
            np.array([1 / 2]),
            np.array([0.0, 1 / 2]),
            np.array([0.0, 0.0, 1.0]),
        ),
        b_sol=np.array([1 / 6, 1 / 3, 1 / 3, 1 / 6]),
        b_error=np.zeros(4),
    )
    interpolation_cls: ClassVar[Callable] = (
        diffrax.ThirdOrderHermitePolynomialInterpolation.from_k
    )

    def order(self, terms: object) -> int:
        """Return the order of convergence."""
        return 4


# Explicit Runge--Kutta methods, cheapest step first.
SOLVERS: dict[str, type[diffrax.AbstractSolver]] = {
    "euler": diffrax.Euler,
    "midpoint": diffrax.Midpoint,
    "heun": diffrax.Heun,
    "ralston": diffrax.Ralston,
    "bosh3": diffrax.Bosh3,
    "rk4": RungeKutta4,
    "tsit5": diffrax.Tsit5,
    "dopri5": diffrax.Dopri5,
    "dopri8": diffrax.Dopri8,
}
WITHOUT_ERROR_ESTIMATE = ("euler", "rk4")  # so without adaptive steps
STEP_CONTROLS = {"batch": "one step size", "sample": "each sample its own"}

# Adaptive steps, rejected ones included; a solve that needs more returns NaN.
MAX_STEPS = 256
# States kept for the backward pass; with more steps than this some are recomputed. As
# many as MAX_STEPS would be no faster and take several times the memory.
CHECKPOINTS = 16
# The first adaptive step tried. Left to itself diffrax 0.7.2 tries 0.01, always, and
# spends one or two steps on growing it; from 0.1 the published network takes 4 steps of
# dopri5 at 1e-3, as many as with its template's choice, which costs two calls.
FIRST_STEP = 0.1
# More calls of the field than this are not unrolled: compiling takes too long.
MAX_UNROLLED_CALLS = 32

ADJOINTS: dict[str, diffrax.AbstractAdjoint] = {
    "checkpoint": diffrax.RecursiveCheckpointAdjoint(checkpoints=CHECKPOINTS),
    "backsolve": diffrax.BacksolveAdjoint(),
    "direct": diffrax.DirectAdjoint(),
}


class Stages(NamedTuple):
    """An explicit Runge--Kutta step: when and where the slopes are taken."""

    nodes: tuple[float, ...]
    rows: tuple[tuple[float, ...], ...]  # weights of the earlier slopes
    weights: tuple[float, ...]  # of all slopes, for the step


def step_stages(name: str) -> Stages:
    """Return the stages that a step of fixed size needs.

    >>> step_stages("heun")
    Stages(nodes=(0.0, 1.0), rows=((), (1.0,)), weights=(0.5, 0.5))
    """
    tableau = _tableau(name)
    if tableau is None:
        return Stages((0.0,), ((),), (1.0,))
    nodes = (0.0, *tableau.c.tolist())
    rows = ((), *(tuple(row.tolist()) for row in tableau.a_lower))
    weights = tuple(tableau.b_sol.tolist())
    if tableau.fsal:
        # First same as last: the last slope has no weight. It serves the error estimate
        # and is the first one of the next step, which takes it anyway.
        return Stages(nodes[:-1], rows[:-1], weights[:-1])
    return Stages(nodes, rows, weights)


def _tableau(name: str) -> diffrax.ButcherTableau | None:
    """Return the Butcher tableau of a solver; diffrax's Euler has none."""
    return getattr(lookup(SOLVERS, name, "ODE solver"), "tableau", None)


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
        return solve_in_loop(field, start, solver)[0]
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


def solve_in_loop(
    field: Field, start: State, solver: OdeSolver
) -> tuple[State, Int[Array, " batch"]]:
    """Solve with diffrax; return y(1) and the number of steps tried, for each sample.

    Each sample takes its own steps with the step control "sample". With "batch" the
    error is that of the whole batch, and a result depends on its batch-mates.
    """
    if solver.rtol is None or solver.step_control == "batch":
        end, steps = _diffeqsolve(field, start, solver)
        return end, jnp.full(start.shape[0], steps)

    def solve_one(sample: Array) -> tuple[Array, Array]:
        end, steps = _diffeqsolve(field, sample[None], solver)
        return end[0], steps

    return jax.vmap(solve_one)(start)


def _diffeqsolve(
    field: Field, start: State, solver: OdeSolver
) -> tuple[State, Int[Array, ""]]:
    if solver.rtol is None:
        times = jnp.linspace(0.0, 1.0, solver.steps + 1)
        controller, first, most = diffrax.StepTo(ts=times), None, solver.steps
    else:
        atol = solver.rtol if solver.atol is None else solver.atol
        controller = diffrax.PIDController(solver.rtol, atol)
        first, most = FIRST_STEP, MAX_STEPS
    solution = diffrax.diffeqsolve(
        diffrax.ODETerm(field),
        SOLVERS[solver.solver](),
        t0=0.0,
        t1=1.0,
        dt0=first,
        y0=start,
        stepsize_controller=controller,
        adjoint=ADJOINTS[solver.adjoint],
        max_steps=most,
        # Throwing plants a host callback, which switches JAX's compilation cache off.
        throw=False,
    )
    assert solution.ys is not None  # diffrax saves y(1) by default
    solved = solution.result == diffrax.RESULTS.successful
    end = jnp.where(solved, solution.ys[-1], jnp.nan)
    return end, jnp.asarray(solution.stats["num_steps"])


def count_field_calls(
    field: Field, start: State, solver: OdeSolver
) -> Int[Array, " batch"]:
    """Count the calls of `field` for each sample in one forward solve.

    Rejected steps are counted, the backward pass is not.
    """
    stages = len(step_stages(solver.solver).nodes)
    if not solves_in_loop(solver):
        return jnp.full(start.shape[0], solver.steps * stages)
    _, steps = solve_in_loop(field, start, solver)
    # diffrax also takes the last slope of an FSAL ("first same as last") method and
    # hands it to the next step, so that only the first step takes its own first slope.
    tableau = _tableau(solver.solver)
    return steps * stages + (1 if tableau is not None and tableau.fsal else 0)
