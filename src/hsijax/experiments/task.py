"""What a run folder trains on: a scene in memory, and the pixels of each run."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from hsijax.config import Progress, TrainConfig, no_progress
from hsijax.config.opponents import OPPONENTS
from hsijax.errors import HsijaxError, UsageError
from hsijax.experiments.make_split import splits_of_config
from hsijax.patches import check_patch_side
from hsijax.preprocessing import Inputs, fit_inputs, reach
from hsijax.runs import Run
from hsijax.scenes import Scene, SourceFile, load_scene
from hsijax.scenes.loading import find_sheet
from hsijax.scenes.sources import to_absolute
from hsijax.splits import (
    Split,
    SplitFile,
    class_counts,
    guarded_region,
    leakage,
    mask_of,
)


@dataclass(frozen=True)
class Task:
    """A scene whose cube is in memory, and a split for each run."""

    config: TrainConfig
    scene: Scene
    cube: Float[np.ndarray, "rows cols good_bands"]
    valid: Bool[np.ndarray, "rows cols"]
    ground_truth: Int[np.ndarray, "rows cols"]
    splits: SplitFile

    def class_ids(self, pixels: Int[np.ndarray, "n 2"]) -> Int[np.ndarray, " n"]:
        """Return the ground truth at some pixels."""
        return self.ground_truth[pixels[:, 0], pixels[:, 1]]

    def fit_inputs(self, split: Split) -> Inputs:
        """Fit scaling, components and diffusion to a run's pixels, or to the scene."""
        chosen = self.valid
        if self.config.fit == "train":
            chosen = mask_of(split.train, self.valid.shape)
        return fit_inputs(self.cube, self.valid, chosen, self.config)

    def region(self, split: Split) -> Bool[np.ndarray, "rows cols"] | None:
        """Return where diffusion keeps to itself, if the split leaks nothing."""
        if not self.config.times:
            return None
        return guarded_region(split, self.config.fitted_patch, self.valid.shape)


def load_config_scene(
    config: TrainConfig, progress: Progress = no_progress, **options: Any
) -> Scene:
    """Load the scene that a configuration names; `options` of `load_scene` outweigh."""
    settings = {
        "data_dir": Path(config.data_dir) if config.data_dir else None,
        "cube_key": config.cube_key,
        "ground_truth": config.ground_truth,
        "nodata": config.nodata,
        "scale": config.scale,
    }
    return load_scene(config.dataset, progress=progress, **{**settings, **options})


def with_absolute_paths(config: TrainConfig) -> TrainConfig:
    """Let a configuration find its files from any folder."""
    names = ("dataset", "data_dir", "ground_truth", "train_mask", "test_mask")
    values = {name: getattr(config, name) for name in (*names, "split_file")}
    if find_sheet(config.dataset):
        del values["dataset"]
    return replace(
        config,
        **{name: to_absolute(value) for name, value in values.items() if value},
    )


def load_task(
    config: TrainConfig,
    split_file: Path | None = None,
    progress: Progress = no_progress,
) -> Task:
    """Read the scene, and make its splits or read them from `split_file`.

    Raises:
        HsijaxError: the scene has no ground truth, or training is impossible on it.
        UsageError: the patch does not fit the scene.
    """
    scene = load_config_scene(config, progress)
    if scene.ground_truth is None:
        raise HsijaxError(
            f"{scene.name} has no ground truth to train on: give --ground-truth FILE"
        )
    check_patch_side(config.patch, scene.shape)
    cube, valid = scene.load()
    ground_truth = scene.ground_truth * valid
    bands = scene.good_bands.sum()
    if config.channels > bands:
        opponent, wanted = OPPONENTS.get(config.model), f"--channels {config.channels}:"
        if opponent and opponent.recipe.get("channels") == config.channels:
            wanted = f"the recipe of {config.model} takes {config.channels} components,"
        raise UsageError(
            f"{wanted} {scene.name} has only {bands} bands: give --channels {bands} or "
            "fewer"
        )
    splits = splits_of_config(config, scene, ground_truth, split_file, progress)
    return Task(config, scene, cube, valid, ground_truth, splits)


def reload_task(
    run: Run, data_dir: Path | None = None, progress: Progress = no_progress
) -> Task:
    """Load what a run folder works on, from `data_dir` if it has moved.

    Raises:
        HsijaxError: the scene is not the one of then, or nothing was prepared yet.
    """
    if "splits" not in run.read_manifest():
        raise HsijaxError(
            f"{run.folder} was stopped before its training began: start it again, "
            "with --overwrite"
        )
    config = run.read_config()
    if data_dir:
        config = replace(config, data_dir=str(data_dir.absolute()))
    task = load_task(config, run.split_file, progress)
    check_sources(run, describe_task(task))
    return task


def check_sources(run: Run, found: Mapping[str, Any]) -> None:
    """Raise an error unless files are those that a run was started with.

    Args:
        run: its folder.
        found: the files of now, as they would be described in its `run.json`.

    Raises:
        HsijaxError: one has another content; names it.
    """
    manifest = run.read_manifest()
    for name in ("scene", "ground_truth", "endmembers"):
        then, today = manifest.get(name) or {}, found.get(name) or {}
        if then.get("sha256") != today.get("sha256"):
            raise HsijaxError(
                f"cannot go on with {run.folder}: {today.get('path')} has another "
                f"sha256 than the file it was started with, {then.get('path')}"
            )


def describe_task(task: Task) -> dict[str, Any]:
    """Summarise scene, classes and splits for `run.json`."""
    scene = task.scene
    ids = np.array([entry.id for entry in scene.classes])
    return {
        "scene": {"name": scene.name, "shape": list(scene.shape)}
        | _describe_source(scene.source),
        "ground_truth": _describe_source(scene.ground_truth_source),
        "classes": [asdict(entry) for entry in scene.classes],
        "split_method": task.splits.method,
        "splits": [_describe_split(task, split, ids) for split in task.splits.splits],
    }


def _sight(task: Task, split: Split) -> int:
    """Return the side of the patches that leakage is counted over, in pixels.

    They are those of the network, or what components are fitted to if that is more. Of
    what flows into them by diffusion all counts, unless a split that leaks nothing
    keeps it on the other side.
    """
    config = task.config
    if not config.times or task.region(split) is not None:
        return config.fitted_patch
    return config.fitted_patch + 2 * reach(config.times)


def _describe_source(source: SourceFile | None) -> dict[str, str | None]:
    assert source is not None  # a scene that trains has both files
    return {"path": str(source.path), "key": source.key, "sha256": source.sha256}


def _describe_split(
    task: Task, split: Split, ids: Int[np.ndarray, " classes"]
) -> dict[str, Any]:
    counts = class_counts(task.ground_truth, split.train, ids)
    return {
        "n_train": len(split.train),
        "n_validation": len(split.validation),
        "n_test": len(split.test),
        "n_train_per_class": counts.tolist(),
        "sight": (sight := _sight(task, split)),
        "leakage": asdict(leakage(split, sight)),
    }
