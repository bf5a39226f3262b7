"""Networks trained with one solver and tested with another: accuracy against work."""

import csv
import io
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from hsijax.config import OdeSolver, Progress, no_progress
from hsijax.experiments.solver_scores import (
    REFERENCE,
    Score,
    label_solver,
    score_networks,
)
from hsijax.experiments.task import Task
from hsijax.io.atomic import write_text
from hsijax.reports.work_precision import save_work_precision_figure
from hsijax.runs import Run, summarise

CSV_HEADER = (
    *("trained_with", "evaluated_with", "oa", "oa_std", "runs", "unfinished"),
    *("evaluations", "seconds"),
)
# What the printed matrices hold, and how.
MATRICES = {
    "OA (%)": lambda cell: cell["oa"]["mean"],
    "evaluations": lambda cell: cell["evaluations"],
    "seconds": lambda cell: cell["seconds"],
}


def cross_solvers(
    runs: Mapping[str, Run],
    solvers: Mapping[str, OdeSolver],
    load: Callable[[], Task],
    progress: Progress = no_progress,
) -> dict[str, Any]:
    """Test each folder's networks with its own solver, all others and the reference.

    Args:
        runs: finished run folders by the value that they were trained with.
        solvers: the solver of each of them.
        load: returns the scene, if it is needed.
        progress: told of each prediction.

    Returns:
        The labels of the solvers trained and evaluated with, and `cells[trained]
        [evaluated]` with the mean and standard deviation of the OA over runs, function
        evaluations a patch, seconds for all test pixels, and how many runs had no
        answer because the solver did not reach the end.
    """
    evaluated = {label_solver(solver): solver for solver in solvers.values()}
    evaluated[label_solver(REFERENCE)] = REFERENCE
    cells = {
        label_solver(solvers[value]): {
            label: _over_runs(scores)
            for label, scores in score_networks(
                run, load, evaluated.values(), progress
            ).items()
        }
        for value, run in runs.items()
    }
    return {
        "reference": label_solver(REFERENCE),
        "trained": list(cells),
        "evaluated": list(evaluated),
        "cells": cells,
    }


def write_work_precision(folder: Path, summary: Mapping[str, Any]) -> list[Path]:
    """Write the CSV and the figure of a sweep's `work_precision`; return the paths."""
    crossed = summary["work_precision"]
    files = [folder / f"work-precision.{suffix}" for suffix in ("csv", "png")]
    write_text(files[0], to_csv(crossed))
    save_work_precision_figure(
        files[1], crossed["cells"], title=f"{summary['scene']}: {summary['model']}"
    )
    return files


def matrix_rows(
    crossed: Mapping[str, Any], what: str
) -> tuple[list[str], list[list[str]]]:
    """Return the header and the rows of a matrix, `what` being one of `MATRICES`.

    A row is a solver trained with, a column one evaluated with.
    """
    header = [f"{what}, trained \\ tested", *crossed["evaluated"]]
    take = MATRICES[what]
    return header, [
        [
            trained,
            *(_show(take(row[evaluated]), what) for evaluated in crossed["evaluated"]),
        ]
        for trained, row in crossed["cells"].items()
    ]


def to_csv(crossed: Mapping[str, Any]) -> str:
    """Write one row a pair of solvers, in full precision."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(CSV_HEADER)
    for trained, row in crossed["cells"].items():
        for evaluated, cell in row.items():
            oa = cell["oa"]
            runs = [oa["mean"], oa["std"], len(oa["values"]), cell["unfinished"]]
            work = [cell["evaluations"], cell["seconds"]]
            writer.writerow([trained, evaluated, *runs, *work])
    return text.getvalue()


def _over_runs(scores: list[Score]) -> dict[str, Any]:
    values = [score["oa"] for score in scores]
    return {
        "oa": {**summarise(values), "values": values},
        "evaluations": summarise([score["evaluations"] for score in scores])["mean"],
        "seconds": summarise([score["seconds"] for score in scores])["mean"],
        "unfinished": values.count(None),
    }


def _show(value: float | None, what: str) -> str:
    if value is None:
        return "-"
    return f"{value:.1f}" if what == "evaluations" else f"{value:.2f}"
