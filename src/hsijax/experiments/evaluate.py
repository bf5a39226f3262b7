"""The figures of a run, from its predictions on test pixels."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Int

from hsijax.errors import HsijaxError
from hsijax.experiments.confidence import (
    judge_confidence,
    read_confidence,
    read_temperature,
)
from hsijax.metrics.calibration import wilson_interval
from hsijax.metrics.classification import (
    average_accuracy,
    confusion_matrix,
    kappa,
    overall_accuracy,
    per_class_accuracy,
)
from hsijax.runs import Run, summarise

DDOF = 0  # of the standard deviations over runs, as the paper has it


def evaluate_run(run: Run) -> dict[str, Any]:
    """Work out `metrics.json` from the artefacts of a finished run and write it.

    Accuracies and confidence are in percent, leakages in shares of 1; `confusion` is
    the sum over runs, a row for each true class. An unmixing run has written its own,
    which is read.

    Raises:
        HsijaxError: not all runs have ended.
    """
    manifest = run.read_manifest()
    if manifest.get("task") == "unmixing":
        return run.read_metrics()
    predictions = run.read_predictions()
    wanted = run.read_config().runs
    done = [number for number in range(wanted) if f"run{number}_truth" in predictions]
    if len(done) < wanted:
        raise HsijaxError(
            f"{len(done)} of {wanted} runs in {run.folder} have ended: go on with "
            f"`hsijax train --resume {run.folder}`"
        )
    classes = manifest["classes"]
    ids = [entry["id"] for entry in classes]
    labels = [read_labels(predictions, number, ids) for number in done]
    confusions = [confusion_matrix(*pair, len(ids)) for pair in labels]
    confidences = [read_confidence(predictions, number) for number in done]
    temperatures = [read_temperature(manifest, number) for number in done]
    splits = manifest["splits"][:wanted]
    metrics = {
        "oa": over_runs([overall_accuracy(c) for c in confusions]),
        "aa": over_runs([average_accuracy(c) for c in confusions]),
        "kappa": over_runs([kappa(c) for c in confusions]),
        "per_class": _per_class(classes, confusions, splits),
        "confidence": {
            "calibrated": None not in temperatures,
            "temperature": temperatures,  # one a run, None where none was fitted
            **{
                name: over_runs(shares)
                for name, shares in judge_confidence(confidences).items()
            },
        },
        "parameters": manifest["parameters"],
        "split": {
            "method": manifest["split_method"],
            "n_train": _mean(splits, "n_train"),
            "n_validation": _mean(splits, "n_validation"),
            "n_test": _mean(splits, "n_test"),
            "sight": max(s.get("sight", run.read_config().patch) for s in splits),
            "leakage": {
                name: float(np.mean([s["leakage"][name] for s in splits]))
                for name in ("test_with_train_centre", "test_patch_overlap")
            },
        },
        "seconds": dict(
            zip(
                ("train", "evaluate"),
                np.mean(
                    [predictions[f"run{n}_seconds"] for n in done], axis=0
                ).tolist(),
                strict=True,
            )
        ),
        "function_evaluations": manifest.get("function_evaluations", {}),
        "selected_on_test": run.read_config().select == "best-test",
        "confusion": np.sum(confusions, axis=0).tolist(),
    }
    if "scenes" in manifest:
        rows = [predictions[f"run{number}_pixels"][:, 0] for number in done]
        metrics["per_scene"] = _per_scene(manifest["scenes"], rows, labels, len(ids))
    run.write_metrics(metrics)
    return metrics


def read_labels(
    predictions: Mapping[str, np.ndarray], number: int, ids: Sequence[int]
) -> tuple[Int[np.ndarray, " pixels"], Int[np.ndarray, " pixels"]]:
    """Return truth and prediction of a run's test pixels as labels, 0 to K - 1."""
    truth, predicted = (
        np.searchsorted(ids, predictions[f"run{number}_{name}"])
        for name in ("truth", "predicted")
    )
    return truth, predicted


def over_runs(shares: Sequence[float | None]) -> dict[str, Any]:
    """Return all runs' percentages, with what `summarise` says of those there are."""
    values = [None if share is None else 100 * float(share) for share in shares]
    return {**summarise(values), "ddof": DDOF, "values": values}


def _per_scene(
    scenes: list[dict[str, Any]],
    rows: Sequence[Int[np.ndarray, " _"]],
    labels: Sequence[tuple[np.ndarray, np.ndarray]],
    classes: int,
) -> list[dict[str, Any]]:
    """One entry for each of several scenes that has test pixels in every run.

    `rows` are those of each run's test pixels in all scenes below each other.
    """
    entries = []
    for scene in scenes:
        first, last = scene["rows"]
        inside = [(row >= first) & (row < last) for row in rows]
        if not all(mask.any() for mask in inside):
            continue
        confusions = [
            confusion_matrix(truth[mask], predicted[mask], classes)
            for mask, (truth, predicted) in zip(inside, labels, strict=True)
        ]
        entries.append(
            {
                "name": scene["name"],
                "trains": scene["trains"],
                "n_test": tidy(np.mean([mask.sum() for mask in inside])),
                "oa": over_runs([overall_accuracy(c) for c in confusions]),
                "aa": over_runs([average_accuracy(c) for c in confusions]),
                "kappa": over_runs([kappa(c) for c in confusions]),
            }
        )
    return entries


def _per_class(
    classes: list[dict[str, Any]],
    confusions: list[np.ndarray],
    splits: list[dict[str, Any]],
) -> list[dict[str, Any]]:
    """One entry for each class; its accuracy is None where no run tests it."""
    rows = []
    accuracies = np.array([per_class_accuracy(c) for c in confusions])
    for index, entry in enumerate(classes):
        known = [None if np.isnan(a) else 100 * float(a) for a in accuracies[:, index]]
        tested = [int(c[index].sum()) for c in confusions]
        right = [int(c[index, index]) for c in confusions]
        trained = [s["n_train_per_class"][index] for s in splits]
        rows.append(
            {
                "id": entry["id"],
                "name": entry["name"],
                "n_train": tidy(np.mean(trained)),
                "n_test": tidy(np.mean(tested)),
                **summarise(known),
                "wilson": _mean_interval([*zip(right, tested, strict=True)]),
            }
        )
    return rows


def _mean_interval(counts: Sequence[tuple[int, int]]) -> list[float] | None:
    """Return what one run tells of a class, in percent: the mean of all runs' bounds.

    Of more runs no narrower one follows: they are tested on much the same pixels.
    `counts` are each run's right and tested ones.
    """
    bounds = [wilson_interval(*count) for count in counts if count[1]]
    return (100 * np.mean(bounds, axis=0)).tolist() if bounds else None


def _mean(splits: list[dict[str, Any]], name: str) -> float | int:
    return tidy(np.mean([split[name] for split in splits]))


def tidy(value: Any) -> float | int:
    """Return a mean of counts: those are whole numbers unless runs differ."""
    return int(value) if float(value).is_integer() else float(value)
