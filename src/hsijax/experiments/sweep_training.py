"""How a classification depends on one setting: a run for each value, table, figures."""

import csv
import io
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from hsijax.config import Progress, TrainConfig, no_progress
from hsijax.config.opponents import CLASSICAL, MODELS, OPPONENTS
from hsijax.errors import HsijaxError, UsageError, lookup
from hsijax.experiments.repeat import ensure_classification
from hsijax.experiments.solver_scores import score_networks
from hsijax.experiments.sweep_values import SWEEPS, Point, Value, make_points
from hsijax.experiments.task import Task, reload_task
from hsijax.experiments.work_precision import (
    MATRICES,
    cross_solvers,
    matrix_rows,
    write_work_precision,
)
from hsijax.experiments.write_split import write_split
from hsijax.io.atomic import write_text
from hsijax.reports.sweep_figure import save_sweep_figure
from hsijax.reports.tables import ACCURACIES, format_accuracy, format_share
from hsijax.runs import Run, summarise
from hsijax.splits import read_splits

log = logging.getLogger("hsijax")

LEAKAGES = ("test_with_train_centre", "test_patch_overlap")
HEADER = ("value", "OA (%)", "seen", "overlap", "AA (%)", "kappa (%)")
COSTS = ("value", "evaluations", "training (s)", "prediction (s)")
CSV_HEADER = (
    *("value", "oa", "oa_std", *LEAKAGES, "aa", "aa_std", "kappa", "kappa_std"),
    *("n_train", "n_test", "runs", "evaluations", "train_seconds", "predict_seconds"),
)


def sweep_training(
    config: TrainConfig,
    over: str,
    values: Sequence[Value] | None,
    folder: Path,
    progress: Progress = no_progress,
) -> tuple[dict[str, Any], list[Path]]:
    """Train with each value of a setting; values that are done are not done again.

    Networks of a sweep over the solver's settings are also tested with the settings of
    all others (`work_precision`). Of our own networks the prediction is timed without
    what is compiled; opponents have the seconds of their run.

    Args:
        config: of every value.
        over: what varies, a name in `SWEEPS`.
        values: of the setting; None for the usual ones.
        folder: gets a run folder for each value, the tables and the figures.
        progress: told of each value.

    Returns:
        What stands in `sweep.json`, and the files.

    Raises:
        UsageError: there is no such sweep, it does not go with the settings, or the
            folder holds runs of other settings.
    """
    lookup(dict.fromkeys(MODELS), config.model, "model")
    points = make_points(config, over, values)
    apart = None
    if over == "patch" and config.split == "blocks":
        apart = max(point.config.patch for point in points)
        points = _split_for_all(points, apart, folder, progress)
    runs: dict[str, Run] = {}
    metrics = {}
    failed: dict[str, str] = {}
    for point in points:
        detail = f"{over} {point.label}"
        progress(f"sweep over {over}", len(runs), len(points), detail)
        place = folder / f"{over}-{point.label.replace(':', '-')}"
        try:
            metrics[point.label] = ensure_classification(place, point.config, progress)
        except UsageError:
            raise
        except HsijaxError as error:  # the other values have their figures all the same
            log.warning("%s has none: %s", detail, error)
            failed[point.label] = str(error)
            continue
        runs[point.label] = Run(place)
    if not runs:
        raise HsijaxError(f"no value of the sweep has a figure: {failed.popitem()[1]}")
    points = [point for point in points if point.label in runs]
    data_dir = Path(config.data_dir) if config.data_dir else None

    @cache
    def load() -> Task:
        return reload_task(runs[points[0].label], data_dir, progress)

    rows = []
    for point in points:
        predicting = metrics[point.label]["seconds"]["evaluate"]
        if config.model not in OPPONENTS:
            own = [point.config.ode_solver]
            (scores,) = score_networks(runs[point.label], load, own, progress).values()
            predicting = summarise([score["seconds"] for score in scores])["mean"]
        rows.append(_summarise(point, metrics[point.label], predicting))
    summary = {
        "over": over,
        "task": "classification",
        "scene": runs[points[0].label].read_manifest()["scene"]["name"],
        "model": config.model,
        "preset": config.preset,
        "runs": config.runs,
        "split": metrics[points[0].label]["split"]["method"],
        "same_test_pixels": _test_alike(list(runs.values())),
        "apart": apart,
        "failed": failed,
        "rows": rows,
    }
    files = [folder / name for name in ("sweep.json", "sweep.csv", "sweep.png")]
    if SWEEPS[over].of_solver:
        solvers = {point.label: point.config.ode_solver for point in points}
        summary["work_precision"] = cross_solvers(runs, solvers, load, progress)
        files += write_work_precision(folder, summary)
    write_text(files[0], json.dumps(summary, indent=2) + "\n")
    write_text(files[1], to_csv(summary))
    _draw(files[2], points, summary)
    return summary, files


def tables(
    summary: Mapping[str, Any],
) -> list[tuple[Sequence[str], list[list[str]]]]:
    """Return the sweep as text, each table with its header: accuracies, then costs.

    What has no block has no evaluations.
    """
    runs = summary["runs"]
    accuracies = [
        [
            row["label"],
            format_accuracy(row["oa"], runs=runs),
            *(format_share(row["leakage"][name]) for name in LEAKAGES),
            format_accuracy(row["aa"], runs=runs),
            format_accuracy(row["kappa"], runs=runs),
        ]
        for row in summary["rows"]
    ]
    counted = any(row["evaluations"] for row in summary["rows"])
    costs = [
        [
            row["label"],
            *([f"{row['evaluations']:.3g}"] if counted else []),
            f"{row['seconds']['train']:.1f}",
            _seconds(row["seconds"]["predict"]),
        ]
        for row in summary["rows"]
    ]
    crossed = summary.get("work_precision")
    matrices = [matrix_rows(crossed, what) for what in MATRICES] if crossed else []
    header = COSTS if counted else (COSTS[0], *COSTS[2:])
    return [(HEADER, accuracies), (header, costs), *matrices]


def notes(summary: Mapping[str, Any]) -> list[str]:
    """Return the sentences that must stand beside the table."""
    runs = f"{summary['runs']} runs" if summary["runs"] > 1 else "one run"
    scene, model, split = (summary[name] for name in ("scene", "model", "split"))
    lines = [
        f"{scene}, {model}, split: {split}, {runs} of each value.",
        "Test patches with a training pixel inside (seen) or within reach (overlap).",
    ]
    if summary["apart"]:
        lines.append(f"Patches of {summary['apart']} pixels are kept apart, for all.")
    if model in OPPONENTS and model not in CLASSICAL:
        lines.append("Prediction: with what had to be compiled.")
    if not summary["same_test_pixels"]:
        lines.append("The values are not tested on the same pixels.")
    return lines


def to_csv(summary: Mapping[str, Any]) -> str:
    """Write the sweep as CSV, in full precision; empty where there is no figure."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(CSV_HEADER)
    for row in summary["rows"]:
        oa, aa, kappa = ([row[key]["mean"], row[key]["std"]] for key in ACCURACIES)
        counts = [row["n_train"], row["n_test"], summary["runs"], row["evaluations"]]
        leaked = [row["leakage"][name] for name in LEAKAGES]
        spent = row["seconds"].values()
        writer.writerow([row["label"], *oa, *leaked, *aa, *kappa, *counts, *spent])
    return text.getvalue()


def _split_for_all(
    points: list[Point], apart: int, folder: Path, progress: Progress
) -> list[Point]:
    """Let all sizes of a patch train and test on the pixels of the largest one."""
    path = folder / f"split-patch-{apart}.npz"
    largest = replace(points[0].config, patch=apart)
    if path.exists():  # a folder of more runs keeps them, if only to be refused
        runs = max(largest.runs, len(read_splits(path)))
        largest = replace(largest, runs=runs)
    write_split(largest, path, overwrite=True, progress=progress)
    made = {"split": "file", "split_file": str(path.absolute()), "val_frac": 0.0}
    return [point._replace(config=replace(point.config, **made)) for point in points]


def _summarise(
    point: Point, metrics: Mapping[str, Any], predicting: float | None
) -> dict[str, Any]:
    split = metrics["split"]
    return {
        "value": point.value,
        "label": point.label,
        **{name: metrics[name] for name in ACCURACIES},
        "leakage": split["leakage"],
        "n_train": split["n_train"],
        "n_test": split["n_test"],
        "parameters": metrics["parameters"],
        # Of networks alone.
        "evaluations": metrics["function_evaluations"].get("predict", {}).get("mean"),
        "seconds": {"train": metrics["seconds"]["train"], "predict": predicting},
    }


def _test_alike(runs: Sequence[Run]) -> bool:
    """Whether all run folders were tested on the same pixels."""
    tested = [
        [array for name, array in run.read_predictions().items() if "_pixels" in name]
        for run in runs
    ]
    return all(
        len(other) == len(tested[0]) and all(map(np.array_equal, other, tested[0]))
        for other in tested
    )


def _draw(path: Path, points: Sequence[Point], summary: Mapping[str, Any]) -> None:
    sweep, rows = SWEEPS[summary["over"]], summary["rows"]
    named = any(isinstance(point.value, str) for point in points)
    places = [
        place if named else float(point.value) for place, point in enumerate(points)
    ]
    save_sweep_figure(
        path,
        places,
        {
            ACCURACIES[key]: (
                [row[key]["mean"] for row in rows],
                [row[key]["std"] for row in rows],
            )
            for key in ("oa", "aa")
        },
        xlabel=sweep.axis,
        ylabel="accuracy on test pixels (%)",
        title=f"{summary['scene']}: {summary['model']}",
        log_x=sweep.log_x,
        ticks=[point.label for point in points],
        from_zero=False,
    )


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
