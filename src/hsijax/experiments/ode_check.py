"""Whether a trained ODE-net is a flow: does a finer solver give the same classes?"""

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from hsijax.config import OdeSolver, Progress, no_progress
from hsijax.errors import UsageError
from hsijax.experiments.solver_scores import REFERENCE, label_solver, score_networks
from hsijax.experiments.task import reload_task
from hsijax.io.atomic import write_text
from hsijax.runs import Run

log = logging.getLogger("hsijax")

LIMIT = 0.5  # points of OA
HEADER = ("run", "solver", "OA (%)", "change", "evaluations", "seconds")


def check_ode(
    run: Run,
    metrics: Mapping[str, Any],
    data_dir: Path | None = None,
    progress: Progress = no_progress,
) -> dict[str, Any]:
    """Test all networks of a run folder with finer solvers than their own.

    With the reference (Dopri5, tolerances of 1e-5), and with twice the steps or a tenth
    of the tolerances. A warning says so if an OA moves by more than `LIMIT`.

    Source:
        Ott et al., "ResNet after all: neural ODEs and their numerical solution", ICLR
        2021: below a number of steps, what was trained is the solver with its steps,
        and not the differential equation.

    Args:
        run: a finished run folder.
        metrics: what its `metrics.json` says.
        data_dir: where the scene is looked for first.
        progress: told of each prediction.

    Returns:
        What stands in `ode-check.json`.

    Raises:
        UsageError: the networks have no continuous block.
        HsijaxError: the scene is not the one that the run was trained on.
    """
    config = run.read_config()
    if config.model != "odenet":
        raise UsageError(
            f"--ode-check is of --model odenet, and {run.folder} is a run of "
            f"{config.model}, which solves no differential equation"
        )
    own, finer = config.ode_solver, refine(config.ode_solver)
    scores = score_networks(
        run,
        cache(lambda: reload_task(run, data_dir, progress)),
        (own, REFERENCE, finer),
        progress,
    )
    trained = metrics["oa"]["values"]
    checks = [
        {
            "solver": label,
            "runs": [
                score | {"change": _change(score["oa"], before)}
                for score, before in zip(found, trained, strict=True)
            ],
        }
        for label, found in scores.items()
    ]
    changes = [one["change"] for check in checks for one in check["runs"]]
    result = {
        "solver": label_solver(own),
        "oa": trained,
        "limit": LIMIT,
        "is_flow": _judge(changes),
        "selected_on_test": metrics["selected_on_test"],
        "leakage": metrics["split"]["leakage"],
        "checks": checks,
    }
    write_text(run.folder / "ode-check.json", json.dumps(result, indent=2) + "\n")
    if result["is_flow"] is None:
        log.warning(
            "whether this network is a flow is not known: a finer solver did not reach "
            "its end"
        )
    elif not result["is_flow"]:
        log.warning(_explain(result))
    return result


def refine(solver: OdeSolver) -> OdeSolver:
    """Return the solver with twice the steps, or with a tenth of the tolerances.

    >>> refine(OdeSolver("rk4", 2)).steps
    4
    """
    if solver.rtol is None:
        return replace(solver, steps=2 * solver.steps)
    atol = solver.rtol if solver.atol is None else solver.atol
    return replace(solver, rtol=solver.rtol / 10, atol=atol / 10)


def table_rows(result: Mapping[str, Any]) -> list[list[str]]:
    """Return the check as text under `HEADER`, run by run, its own solver first."""
    return [
        [
            str(number + 1),
            check["solver"],
            _show(score["oa"], ".2f"),
            _show(score["change"], "+.2f"),
            _show(score["evaluations"], ".1f"),
            _show(score["seconds"], ".2f"),
        ]
        for number in range(len(result["oa"]))
        for check in result["checks"]
        for score in [check["runs"][number]]
    ]


def _change(now: float | None, before: float) -> float | None:
    return None if now is None else now - before


def _show(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)


def _judge(changes: Sequence[float | None]) -> bool | None:
    """Say whether no OA has moved; None if that cannot be known.

    >>> _judge([0.1, -0.9]), _judge([0.1, None]), _judge([0.9, None])
    (False, None, False)
    """
    if any(abs(change) > LIMIT for change in changes if change is not None):
        return False
    return None if None in changes else True


def _explain(result: Mapping[str, Any]) -> str:
    """Name the worst of what moved."""
    moved = [
        (check["solver"], number, score)
        for check in result["checks"]
        for number, score in enumerate(check["runs"])
        if score["change"] is not None
    ]
    solver, number, score = max(moved, key=lambda entry: abs(entry[2]["change"]))
    before = f"the OA of run {number + 1}, {result['oa'][number]:.2f} % as trained,"
    became = f"is {score['oa']:.2f} %"
    return (
        f"this network is not a flow: with {solver} {before} {became}. It needs the "
        f"solver that it was trained with, {result['solver']}; train it with more "
        "--steps or a smaller --rtol"
    )
