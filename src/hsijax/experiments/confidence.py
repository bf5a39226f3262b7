"""The confidence of a run: calibrated on validation pixels, judged on test pixels."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Array, Bool, Float

from hsijax.classification.calibration import calibrate
from hsijax.classification.trained import TrainedClassifier
from hsijax.experiments.task import Task
from hsijax.metrics.calibration import (
    expected_calibration_error,
    reliability,
    risk_coverage,
)
from hsijax.reports.tables import calibration_note, leakage_note
from hsijax.runs import Run

Predictions = Mapping[str, np.ndarray]
# Of any number of pixels: runs on splits by blocks have different ones.
Sureness = tuple[Float[np.ndarray, " _"], Bool[np.ndarray, " _"]]


def calibrate_run(
    run: Run,
    task: Task,
    number: int,
    classifier: TrainedClassifier,
    padded: Float[Array, "padded_rows padded_cols channels"],
) -> TrainedClassifier:
    """Fit the temperature of a trained run on its validation pixels, where it has any.

    It is noted in `run.json`; without such pixels the classifier stays as it is.
    """
    pixels = task.splits.splits[number].validation
    if not len(pixels):
        return classifier
    labels = task.scene.labels(pixels)
    calibrated = calibrate(classifier, padded, task.place(pixels), labels)
    run.update_entry("temperature", number, calibrated.temperature)
    return calibrated


def read_temperature(manifest: Mapping[str, Any], number: int) -> float | None:
    """Return the temperature of a run; None where none was fitted."""
    return manifest.get("temperature", {}).get(str(number))


def read_confidence(predictions: Predictions, number: int) -> Sureness:
    """Return how sure a run is of each of its test pixels, and where it is right."""
    right = predictions[f"run{number}_truth"] == predictions[f"run{number}_predicted"]
    return predictions[f"run{number}_confidence"], right


def judge_confidence(confidences: list[Sureness]) -> dict[str, list[float]]:
    """Return mean, ECE and AURC of each run's confidence, in shares of 1."""
    return {
        "mean": [float(confidence.mean()) for confidence, _ in confidences],
        "ece": [expected_calibration_error(*one) for one in confidences],
        "aurc": [risk_coverage(*one).area for one in confidences],
    }


def draw_confidence(run: Run, metrics: Mapping[str, Any], title: str) -> None:
    """Write the reliability of all runs' test pixels, and each run's risk."""
    # Here, because a training need not wait for matplotlib.
    from hsijax.reports.reliability import (
        save_reliability_figure,
        save_risk_coverage_figure,
    )

    predictions = run.read_predictions()
    found = [
        read_confidence(predictions, n) for n in range(len(metrics["oa"]["values"]))
    ]
    said = [
        calibration_note(metrics["confidence"]),
        leakage_note(metrics["split"]["leakage"]),
    ]
    shared = {
        "title": f"{title}, confidence",
        "note": " ".join(said),
        "selected_on_test": metrics["selected_on_test"],
    }
    confidence, right = (np.concatenate(parts) for parts in zip(*found, strict=True))
    save_reliability_figure(
        run.figures / "reliability.png", reliability(confidence, right), **shared
    )
    save_risk_coverage_figure(
        run.figures / "risk-coverage.png",
        [risk_coverage(*one) for one in found],
        **shared,
    )
