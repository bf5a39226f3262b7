"""A run folder made in a second, beside the scene that it was trained on."""

import os
from pathlib import Path

import numpy as np
from typer.testing import CliRunner

from hsijax.cli import app

SMALL_TRAINING = (
    "--dataset scene.npy --ground-truth labels.npy --out run --no-map --quiet "
    "--frac 0.1 --epochs 1 --channels 2 --patch 3 --diffuse none"
)


def make_small_run(folder: Path) -> Path:
    """Write `scene.npy` with its `labels.npy`, `other.npy`, and train `run`."""
    truth = np.repeat([1, 2], 6)[:, None] * np.ones((1, 9), int)
    noise = np.random.default_rng(0).normal(size=(12, 9, 4))
    np.save(folder / "labels.npy", truth.astype(np.uint8))
    for name, cube in {"scene": truth[..., None] + noise / 9, "other": noise}.items():
        np.save(folder / f"{name}.npy", cube.astype(np.float32))
    before = Path.cwd()
    os.chdir(folder)
    try:
        done = CliRunner().invoke(app, ["train", *SMALL_TRAINING.split()])
    finally:
        os.chdir(before)
    assert done.exit_code == 0, done.output
    return folder
