"""A scene on which `hsijax train` takes a second, and what it wrote."""

import csv
from pathlib import Path

import numpy as np


def make_stripes(folder: Path, **settings: int) -> dict:
    """Write three stripes, hard to tell apart; return the settings of a training."""
    rng = np.random.default_rng(0)
    truth = np.repeat(np.arange(1, 4), 8)[:, None].repeat(24, 1).astype(np.uint8)
    cube = rng.normal(size=(24, 24, 4)).astype(np.float32)
    cube[..., 0] += 2 * truth
    np.save(folder / "stripes.npy", cube)
    np.save(folder / "truth.npy", truth)
    return {
        "dataset": str(folder / "stripes.npy"),
        "ground_truth": str(folder / "truth.npy"),
        "model": "no-block",
        "patch": 3,
        "batch": 32,
        "frac": 0.2,
        "val_frac": 0.3,
        "select": "validation",
        "components": "pca",
        "diffuse": "none",
        **settings,
    }


def as_options(settings: dict) -> list[str]:
    """Write settings as on the command line."""
    return [f"--{k.replace('_', '-')}={v}" for k, v in settings.items()]


def read_epochs(folder: Path) -> dict[tuple[int, int], tuple[float, float]]:
    """Loss and score by run and epoch; none may be there twice."""
    with (folder / "history.csv").open() as stream:
        rows = [*csv.DictReader(stream)]
    found = {
        (int(row["run"]), int(row["epoch"])): (float(row["loss"]), float(row["score"]))
        for row in rows
    }
    assert len(rows) == len(found)
    return found
