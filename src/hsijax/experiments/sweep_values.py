"""What a sweep of a classification varies: its values, and the settings of each."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from typing import NamedTuple

from hsijax.config import OdeSolver, TrainConfig
from hsijax.config.checks import option
from hsijax.config.opponents import has_setting
from hsijax.errors import UsageError, lookup
from hsijax.experiments.solver_scores import label_solver
from hsijax.models.ode import check_solver

Value = int | float | str


class Point(NamedTuple):
    """One value of a sweep."""

    label: str
    value: Value
    config: TrainConfig


class Sweep(NamedTuple):
    """One setting: its usual values, its axis, and what a value makes of a config."""

    usual: tuple[Value, ...]
    axis: str
    log_x: bool
    change: Callable[[TrainConfig, Value], TrainConfig]
    of_solver: bool = False


def _set(name: str) -> Callable[[TrainConfig, Value], TrainConfig]:
    return lambda config, value: replace(config, **{name: value})


def _with_solver(config: TrainConfig, solver: OdeSolver) -> TrainConfig:
    check_solver(solver)
    return replace(config, **asdict(solver))


def _with_steps(config: TrainConfig, value: Value) -> TrainConfig:
    return _with_solver(config, OdeSolver(config.solver, int(value)))


def _with_tolerance(config: TrainConfig, value: Value) -> TrainConfig:
    base = replace(config.ode_solver, steps=1, rtol=float(value), atol=float(value))
    return _with_solver(config, base)


def _with_named_solver(config: TrainConfig, value: Value) -> TrainConfig:
    return _with_solver(config, parse_solver(str(value), config.ode_solver))


SWEEPS: dict[str, Sweep] = {
    "steps": Sweep((1, 2, 4, 8), "steps of the solver", True, _with_steps, True),
    # Four to six evaluations each, and the published solver.
    "solver": Sweep(
        (
            *("euler:4", "midpoint:2", "heun:2", "rk4:1"),
            *("tsit5:1", "dopri5:1", "dopri5:0.001"),
        ),
        "solver:steps, or solver:tolerance",
        False,
        _with_named_solver,
        True,
    ),
    "tolerance": Sweep(
        (1e-1, 1e-2, 1e-3, 1e-4), "tolerance of the solver", True, _with_tolerance, True
    ),
    "patch": Sweep(
        (5, 7, 9, 11, 13, 15), "side of the patch (pixels)", False, _set("patch")
    ),
    "frac": Sweep(
        (0.01, 0.03, 0.05, 0.10, 0.15), "share that trains", False, _set("frac")
    ),
    "lr": Sweep((5e-4, 1e-3, 2e-3, 5e-3, 1e-2), "learning rate", True, _set("lr")),
}
WHOLE = ("steps", "patch")


def parse_solver(text: str, base: OdeSolver) -> OdeSolver:
    """Read "rk4", "rk4:2" (steps) or "dopri5:1e-3" (tolerance, below 1).

    A bare name has the steps or the tolerances of `base`.

    Raises:
        UsageError: what follows the colon is neither.

    >>> parse_solver("dopri5:1e-3", OdeSolver()).rtol
    0.001
    >>> parse_solver("euler", OdeSolver("rk4", 3))
    OdeSolver(solver='euler', steps=3, rtol=None, atol=None, step_control='batch', \
adjoint='checkpoint')
    """
    name, colon, after = text.partition(":")
    if not colon:
        return replace(base, solver=name)
    try:
        number = float(after)
    except ValueError:
        number = 0.0
    if 0 < number < 1:
        return replace(base, solver=name, steps=1, rtol=number, atol=number)
    if number < 1 or number != int(number):
        raise UsageError(
            f"solver '{text}': after the colon stands a number of steps, such as "
            "rk4:2, or a tolerance below 1, such as dopri5:1e-3"
        )
    return OdeSolver(name, int(number))


def make_points(
    config: TrainConfig, over: str, values: Sequence[Value] | None
) -> list[Point]:
    """Work out the configuration of each value; one that comes twice is left out.

    Raises:
        UsageError: there is no such sweep, it does not go with the network or with the
            way of splitting, or a value is not one of the setting's.
    """
    sweep = lookup(SWEEPS, over, "sweep")
    if sweep.of_solver and config.model != "odenet":
        raise UsageError(
            f"--over {over} varies the solver of an ODE, and --model {config.model} "
            "has none: give --model odenet"
        )
    if not has_setting(config.model, over):
        raise UsageError(
            f"--over {over}: {option(over)} changes nothing of {config.model}, so that "
            "there is nothing to sweep over"
        )
    if over == "frac" and config.split not in ("random", "blocks"):
        raise UsageError(
            f"--over frac varies the share that trains, and a split by {config.split} "
            "has none: split by random or blocks"
        )
    if over in WHOLE and any(float(value) != int(value) for value in values or ()):
        raise UsageError(f"--values of {over} are whole numbers")
    points: dict[str, Point] = {}
    for value in values or sweep.usual:
        exact = int(value) if over in WHOLE else value
        one = sweep.change(config, exact)
        if over == "solver":
            exact = label_solver(one.ode_solver)
        label = exact if isinstance(exact, str) else f"{exact:g}"
        points.setdefault(label, Point(label, exact, one))
    return list(points.values())
