"""Trainings and predictions on several virtual devices against one, as JSON.

A script of its own, run by `test_engine.py`: the number of devices must be known
before jax starts.
"""

import json
import sys
from pathlib import Path

import jax
import numpy as np
from small_training import BATCH, distance, figures, make_data, make_parts, train

from hsijax.classification.predict import most_probable, predict_logits
from hsijax.training import mesh


def use(devices: int) -> None:
    mesh.compute_devices = lambda: jax.devices()[:devices]


def predict(parts, trained):
    data = make_data(0)
    return most_probable(
        predict_logits(parts.predictor, trained.params, data.padded, data.pixels)
    )


def compare(model: str, devices: int, runs: list[int]) -> dict:
    folder = Path(sys.argv[1])
    use(1)
    parts = make_parts(model)
    alone, expected = [], {}
    for run in runs:
        [ended], history = train(parts, [run], folder / f"alone-{len(runs)}-{devices}")
        alone.append(ended)
        expected |= figures(history)
    labels, confidence = predict(parts, alone[0])
    use(devices)
    parts = make_parts(model)
    shape = mesh.make_mesh(len(runs), BATCH)
    shared, history = train(parts, runs, folder / f"shared-{len(runs)}-{devices}")
    found = figures(history)
    predicted = predict(parts, shared[0])
    return {
        "mesh": dict(shape.shape) if shape else None,
        "epochs": [t.epoch for t in shared] == [t.epoch for t in alone],
        "labels": bool(np.array_equal(predicted[0], labels)),
        "params": distance([t.params for t in shared], [t.params for t in alone]),
        "losses": max(abs(expected[k] - found[k])[0] for k in expected),
        "confidence": float(np.abs(confidence - predicted[1]).max()),
    }


if __name__ == "__main__":
    cases = {
        "batch": compare("no-block", 2, [0]),
        "runs": compare("no-block", 2, [0, 1, 2, 3]),
        "runs and batch": compare("resnet1", 4, [0, 1]),
    }
    sys.stdout.write(json.dumps(cases))
