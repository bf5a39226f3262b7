"""Make a split file, and say what is in it and what it leaks."""

from pathlib import Path
from typing import Any

import numpy as np

from hsijax.config import Progress, TrainConfig, no_progress
from hsijax.errors import UsageError
from hsijax.experiments.task import Task, describe_task, load_task
from hsijax.splits import Split, class_counts, save_splits


def write_split(
    config: TrainConfig,
    out: Path,
    *,
    overwrite: bool = False,
    progress: Progress = no_progress,
) -> dict[str, Any]:
    """Write the splits that training with this configuration would use.

    Returns:
        What `hsijax split --json` prints: counts of each class and leakage, a run.

    Raises:
        UsageError: `out` is no `.npz` or exists, or a setting is out of range.
        HsijaxError: the scene or a mask cannot be used.
    """
    check_output(out, (".npz",), overwrite)
    task = load_task(config, progress=progress)
    file = task.splits
    save_splits(
        out,
        file.splits,
        shape=task.ground_truth.shape,
        method=file.method,
        ground_truth_sha256=file.ground_truth_sha256,
        settings=file.settings,
    )
    description = describe_task(task)
    splits = zip(file.splits, description["splits"], strict=True)
    return {
        "out": str(out),
        "scene": task.scene.name,
        "method": file.method,
        "patch": config.patch,
        "seed": config.seed,
        "runs": [found | {"per_class": _per_class(task, s)} for s, found in splits],
    }


def check_output(path: Path, suffixes: tuple[str, ...], overwrite: bool) -> None:
    """Refuse an output file of another kind, or one that exists.

    Raises:
        UsageError: either is so.
    """
    if path.suffix.lower() not in suffixes:
        kinds = " or ".join(f"{path.stem}{suffix}" for suffix in suffixes)
        raise UsageError(f"--out {path} has no known file type: name it {kinds}")
    if path.exists() and not overwrite:
        raise UsageError(f"{path} exists: choose another --out, or give --overwrite")


def _per_class(task: Task, split: Split) -> list[dict[str, Any]]:
    ids = np.array([entry.id for entry in task.scene.classes])
    labelled = np.argwhere(task.ground_truth > 0)
    columns = {
        "labelled": class_counts(task.ground_truth, labelled, ids),
        "train": class_counts(task.ground_truth, split.train, ids),
        "validation": class_counts(task.ground_truth, split.validation, ids),
        "test": class_counts(task.ground_truth, split.test, ids),
    }
    return [
        {"id": entry.id, "name": entry.name}
        | {name: int(column[index]) for name, column in columns.items()}
        for index, entry in enumerate(task.scene.classes)
    ]
