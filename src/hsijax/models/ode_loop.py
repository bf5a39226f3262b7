"""The ODE layer as an XLA loop, by diffrax: adaptive steps, or too many to unroll.

A module of its own, imported where it is called: diffrax takes as long to import as all
of jax, and most trainings do without.
"""

from collections.abc import Callable
from typing import ClassVar

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int

from hsijax.config import OdeSolver
from hsijax.models.ode import Field, Stages, State, step_stages

RK4 = step_stages("rk4")


class RungeKutta4(diffrax.AbstractERK):
    """The classic Runge--Kutta method of order four; it has no error estimate.

    Source:
        Kutta, "Beitrag zur naeherungsweisen Integration totaler
        Differentialgleichungen", Zeitschrift fuer Mathematik und Physik 46, 1901.
    """

    tableau: ClassVar[diffrax.ButcherTableau] = diffrax.ButcherTableau(
        c=np.array(RK4.nodes[1:]),
        a_lower=tuple(np.array(row) for row in RK4.rows[1:]),
        b_sol=np.array(RK4.weights),
        b_error=np.zeros(4),
    )
    interpolation_cls: ClassVar[Callable] = (
        diffrax.ThirdOrderHermitePolynomialInterpolation.from_k
    )

    def order(self, terms: object) -> int:
        """Return the order of convergence."""
        return 4


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

# Adaptive steps, rejected ones included; a solve that needs more returns NaN.
MAX_STEPS = 256
# States kept for the backward pass; with more steps than this some are recomputed. As
# many as MAX_STEPS would be no faster and take several times the memory.
CHECKPOINTS = 16
# The first adaptive step tried. Left to itself diffrax 0.7.2 tries 0.01, always, and
# spends one or two steps on growing it; from 0.1 the published network takes 4 steps of
# dopri5 at 1e-3, as many as with its template's choice, which costs two calls.
FIRST_STEP = 0.1

ADJOINTS: dict[str, diffrax.AbstractAdjoint] = {
    "checkpoint": diffrax.RecursiveCheckpointAdjoint(checkpoints=CHECKPOINTS),
    "backsolve": diffrax.BacksolveAdjoint(),
    "direct": diffrax.DirectAdjoint(),
}


def read_stages(name: str) -> Stages:
    """Return the stages that a step of fixed size needs, of diffrax's own method."""
    tableau = _tableau(name)
    assert tableau is not None
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
    return getattr(SOLVERS[name], "tableau", None)


def solve_in_loop(
    field: Field, start: State, solver: OdeSolver
) -> tuple[State, Int[Array, " batch"]]:
    """Return y(1), and how often `field` was called for each sample.

    Each sample takes its own steps with the step control "sample". With "batch" the
    error is that of the whole batch, and a result depends on its batch-mates.
    """
    if solver.rtol is None or solver.step_control == "batch":
        end, calls = _diffeqsolve(field, start, solver)
        return end, jnp.full(start.shape[0], calls)

    def solve_one(sample: Array) -> tuple[Array, Array]:
        end, calls = _diffeqsolve(field, sample[None], solver)
        return end[0], calls

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
    calls = solution.stats["num_steps"] * len(step_stages(solver.solver).nodes)
    # diffrax also takes the last slope of an FSAL ("first same as last") method and
    # hands it to the next step, so that only the first step takes its own first slope.
    tableau = _tableau(solver.solver)
    if tableau is not None and tableau.fsal:
        calls += 1
    return end, jnp.asarray(calls)
