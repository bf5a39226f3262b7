"""What a run reaches on the test pixels that it is sure enough of."""

import logging
from collections.abc import Mapping
from typing import Any

import numpy as np

from hsijax.errors import UsageError
from hsijax.experiments.evaluate import over_runs, read_labels, tidy
from hsijax.metrics.classification import (
    average_accuracy,
    confusion_matrix,
    overall_accuracy,
    per_class_accuracy,
)
from hsijax.reports.tables import format_accuracy, format_count, summary_rows
from hsijax.runs import Run, summarise

log = logging.getLogger("hsijax")

HEADER = ("id", "class", "test", "rejected", "accuracy of the rest (%)")


def check_threshold(threshold: float) -> None:
    """Raise an error unless a confidence can lie on both sides of a threshold.

    Raises:
        UsageError: it lies outside (0, 1).
    """
    if not 0 < threshold < 1:
        raise UsageError(
            f"--reject must lie between 0 and 1, not {threshold:g}: what is less sure "
            "than that is rejected"
        )


def warn_uncalibrated() -> None:
    """Say that a threshold is compared with what has met no validation pixel."""
    log.warning(
        "the confidence is not calibrated, so that what is accepted may be right less "
        "often than the threshold says: train with --val-frac"
    )


def reject_unsure(
    run: Run, metrics: Mapping[str, Any], threshold: float
) -> dict[str, Any]:
    """Work out what a run reaches on the test pixels that it is sure enough of.

    Args:
        run: a finished run folder.
        metrics: what its `metrics.json` says.
        threshold: accepted are pixels of at least this confidence.

    Returns:
        `coverage`, the percentage that is accepted, `oa` and `aa` of those, over runs,
        and how many of each class are rejected, mean of the runs. An accuracy of no
        pixel is null, and AA is of the classes that are left.

    Raises:
        UsageError: the threshold is none.
    """
    check_threshold(threshold)
    if not metrics["confidence"]["calibrated"]:
        warn_uncalibrated()
    predictions = run.read_predictions()
    ids = [row["id"] for row in metrics["per_class"]]
    shares, confusions, rejected = [], [], []
    for number in range(len(metrics["oa"]["values"])):
        truth, predicted = read_labels(predictions, number, ids)
        sure = predictions[f"run{number}_confidence"] >= threshold
        shares.append(float(sure.mean()))
        confusions.append(confusion_matrix(truth[sure], predicted[sure], len(ids)))
        rejected.append(np.bincount(truth[~sure], minlength=len(ids)))
    by_class = np.array([per_class_accuracy(confusion) for confusion in confusions])
    return {
        "threshold": threshold,
        "calibrated": metrics["confidence"]["calibrated"],
        "coverage": over_runs(shares),
        **{
            name: over_runs([measure(c) if c.any() else None for c in confusions])
            for name, measure in (("oa", overall_accuracy), ("aa", average_accuracy))
        },
        "per_class": [
            {name: row[name] for name in ("id", "name", "n_test")}
            | {"n_rejected": tidy(np.mean([counts[index] for counts in rejected]))}
            | summarise([None if np.isnan(a) else 100 * float(a) for a in accuracies])
            for index, (row, accuracies) in enumerate(
                zip(metrics["per_class"], by_class.T, strict=True)
            )
        ],
    }


def class_rows(rejection: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """Return the cells under `HEADER` for each class."""
    runs = len(rejection["coverage"]["values"])
    return [
        (
            str(row["id"]),
            row["name"],
            format_count(row["n_test"]),
            format_count(row["n_rejected"]),
            format_accuracy(row, runs=runs),
        )
        for row in rejection["per_class"]
    ]


def rejection_rows(
    metrics: Mapping[str, Any], rejection: Mapping[str, Any]
) -> list[tuple[str, str]]:
    """Return name and value of what is left, then those of all test pixels."""
    runs = len(rejection["coverage"]["values"])
    names = {
        "coverage": "accepted (%)",
        "oa": "OA of these (%)",
        "aa": "AA of these (%)",
    }
    return [
        ("least confidence", f"{rejection['threshold']:g}"),
        *(
            (name, format_accuracy(rejection[key], runs=runs))
            for key, name in names.items()
        ),
        *summary_rows(metrics),
    ]
