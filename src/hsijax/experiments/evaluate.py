"""The figures of a run, from its predictions on test pixels."""

from typing import Any

import numpy as np

from hsijax.errors import HsijaxError
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

    Accuracies are in percent, leakages in shares of 1; `confusion` is the sum over
    runs, a row for each true class. An unmixing run has written its own, which is read.

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
    ids = np.array([entry["id"] for entry in classes])
    confusions = []
    for number in done:
        truth = np.searchsorted(ids, predictions[f"run{number}_truth"])
        predicted = np.searchsorted(ids, predictions[f"run{number}_predicted"])
        confusions.append(confusion_matrix(truth, predicted, len(ids)))
    splits = manifest["splits"]
    metrics = {
        "oa": _over_runs([overall_accuracy(c) for c in confusions]),
        "aa": _over_runs([average_accuracy(c) for c in confusions]),
        "kappa": _over_runs([kappa(c) for c in confusions]),
        "per_class": _per_class(classes, confusions, splits),
        "parameters": manifest["parameters"],
        "split": {
            "method": manifest["split_method"],
            "n_train": _mean(splits, "n_train"),
            "n_validation": _mean(splits, "n_validation"),
            "n_test": _mean(splits, "n_test"),
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
        "function_evaluations": manifest["function_evaluations"],
        "selected_on_test": run.read_config().select == "best-test",
        "confusion": np.sum(confusions, axis=0).tolist(),
    }
    run.write_metrics(metrics)
    return metrics


def _over_runs(shares: list[float]) -> dict[str, Any]:
    values = [100 * float(share) for share in shares]
    return {**summarise(values), "ddof": DDOF, "values": values}


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
        trained = [s["n_train_per_class"][index] for s in splits]
        rows.append(
            {
                "id": entry["id"],
                "name": entry["name"],
                "n_train": _tidy(np.mean(trained)),
                "n_test": _tidy(np.mean(tested)),
                **summarise(known),
            }
        )
    return rows


def _mean(splits: list[dict[str, Any]], name: str) -> float | int:
    return _tidy(np.mean([split[name] for split in splits]))


def _tidy(value: Any) -> float | int:
    """Counts are whole numbers unless runs differ."""
    return int(value) if float(value).is_integer() else float(value)
