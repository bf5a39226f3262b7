"""What a run folder trains on: a scene in memory, and the pixels of each run."""

import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from hsijax.classification.prepared import prepare_around, prepare_cube
from hsijax.config import Progress, TrainConfig, no_progress
from hsijax.config.memory import total_memory
from hsijax.config.opponents import OPPONENTS
from hsijax.config.scenes import listed, unlisted
from hsijax.errors import HsijaxError, UsageError
from hsijax.experiments.make_split import splits_of_config
from hsijax.experiments.run_scenes import (
    GAP,
    describe_scenes,
    describe_source,
    diffusion_region,
    load_config_scene,
)
from hsijax.patches import check_patch_side
from hsijax.preprocessing import Inputs, fit_inputs, reach
from hsijax.runs import Run
from hsijax.scenes import Scene
from hsijax.scenes.loading import find_sheet
from hsijax.scenes.neighbourhoods import Neighbourhoods, find_neighbourhoods
from hsijax.scenes.sources import to_absolute
from hsijax.splits import (
    Split,
    SplitFile,
    class_counts,
    leakage,
    mask_of,
    meets_itself,
    set_apart,
)

log = logging.getLogger("hsijax")

# Of this machine's memory, what a cube may take as float32; as much again or more is
# needed to work on it.
SHARE = 0.25
# Of a large scene, the share around labelled pixels above which all of it is read; and
# of this machine's memory, what that may take.
MOST = 0.5


@dataclass(frozen=True)
class Task:
    """A scene whose cube is in memory, and a split for each run.

    Splits and ground truth count pixels in the scene; `place` says where they lie in
    the cube.
    """

    config: TrainConfig
    scene: Scene
    cube: Float[np.ndarray, "rows cols good_bands"]
    valid: Bool[np.ndarray, "rows cols"]
    ground_truth: Int[np.ndarray, "scene_rows scene_cols"]
    splits: SplitFile
    # Of a scene that is too large for memory, what is: then cube and valid are of that.
    near: Neighbourhoods | None = None

    def class_ids(self, pixels: Int[np.ndarray, "n 2"]) -> Int[np.ndarray, " n"]:
        """Return the ground truth at some pixels."""
        return self.ground_truth[pixels[:, 0], pixels[:, 1]]

    def fit_inputs(self, split: Split) -> Inputs:
        """Fit scaling, components and diffusion to a run's pixels, or to the scene."""
        if self.config.fit == "train":
            chosen = mask_of(self.place(split.train), self.valid.shape)
        else:
            chosen = self.valid.copy()
            for part in self._loaded.parts:
                chosen[part.window] &= part.trains
        return fit_inputs(self.cube, self.valid, chosen, self.config)

    def region(self, split: Split) -> Bool[np.ndarray, "scene_rows scene_cols"] | None:
        """Return where diffusion keeps to itself, if the split leaks nothing."""
        shape = self.ground_truth.shape
        return diffusion_region(self.config, split, shape, self.starts)

    def prepare(
        self, inputs: Inputs, split: Split
    ) -> Float[np.ndarray, "padded_rows padded_cols channels"]:
        """Return the cube as the classifier of a run sees it, padded."""
        if self.near and self.config.times:
            return prepare_around(inputs, self.config, self.near, self.region(split))
        return prepare_cube(
            inputs,
            self.config,
            self.cube,
            self.valid,
            self.region(split),
            self._loaded.windows,
        )

    def place(self, pixels: Int[np.ndarray, "n 2"]) -> Int[np.ndarray, "n 2"]:
        """Return where labelled pixels of the scene lie in the cube."""
        return self.near.place(pixels) if self.near else pixels

    @property
    def _loaded(self) -> Scene:
        return self.near.scene if self.near else self.scene

    @property
    def starts(self) -> list[int]:
        """First rows of several scenes; none of a single one."""
        return [part.row for part in self.scene.parts]


def with_absolute_paths(config: TrainConfig) -> TrainConfig:
    """Let a configuration find its files from any folder."""
    scenes = ("dataset", "test_dataset")
    masks = ("train_mask", "test_mask", "split_file")
    found = {}
    for name in (*scenes, "data_dir", "ground_truth", "test_ground_truth", *masks):
        given = listed(getattr(config, name))
        kept = [name in scenes and find_sheet(one) is not None for one in given]
        found[name] = unlisted(
            [
                one if sheet else to_absolute(one)
                for one, sheet in zip(given, kept, strict=True)
            ]
        )
    return replace(config, **found)


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
    for one in [part.scene for part in scene.parts] or [scene]:
        check_patch_side(config.patch, one.shape)
    near = _near_labels(scene, config)
    cube, valid = (near.scene if near else scene).load()
    ground_truth = scene.ground_truth.copy()
    if near:
        labelled = np.argwhere(ground_truth)
        empty = labelled[~valid[tuple(near.place(labelled).T)]]
        ground_truth[tuple(empty.T)] = 0
    else:
        ground_truth *= valid
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
    return Task(config, scene, cube, valid, ground_truth, splits, near)


def _near_labels(scene: Scene, config: TrainConfig) -> Neighbourhoods | None:
    """Return what to read of a scene; None for all of it, if that fits into memory."""
    rows, cols, _ = scene.shape
    size = 4 * rows * cols * int(scene.good_bands.sum())
    if size <= total_memory() * SHARE:
        return None
    flow = reach(config.times) if config.times else 0
    side = config.fitted_patch
    near = find_neighbourhoods(scene, side // 2, max(GAP, side - 1), flow)
    read = near.scene.shape[0] * near.scene.shape[1] / (rows * cols)
    if min(read, 1.0) * size > total_memory() * MOST:
        raise HsijaxError(
            f"{scene.name} takes {size / 1e9:.0f} GB, and what lies around its labels "
            f"{min(read, 1.0):.0%} of that: cut out a part of the scene, or leave out "
            "labels"
        )
    if read > MOST:
        return None
    log.info(
        "%s is large: kept are the %d windows around labelled pixels, %.1f %% of it",
        *(scene.name, len(near.scene.parts), 100 * read),
    )
    if config.fit == "scene":
        log.warning("--fit scene is of these windows, not of the whole scene")
    return near


def reload_task(
    run: Run, data_dir: Path | None = None, progress: Progress = no_progress
) -> Task:
    """Load what a run folder works on, from `data_dir` if it has moved.

    Raises:
        HsijaxError: the scene is not the one of then, or nothing was prepared yet.
    """
    check_prepared(run)
    config = run.read_config()
    if data_dir:
        config = replace(config, data_dir=str(data_dir.absolute()))
    task = load_task(config, run.split_file, progress)
    check_sources(run, describe_task(task))
    return task


def check_prepared(run: Run) -> None:
    """Raise an error if a run folder has no splits yet, nothing to go on with."""
    if "splits" not in run.read_manifest():
        raise HsijaxError(
            f"{run.folder} was stopped before its training began: start it again, "
            "with --overwrite"
        )


def check_sources(run: Run, found: Mapping[str, Any]) -> None:
    """Raise an error unless files are those that a run was started with.

    Args:
        run: its folder.
        found: the files of now, as they would be described in its `run.json`.

    Raises:
        HsijaxError: one has another content; names it.
    """
    manifest = run.read_manifest()
    names = ("scene", "ground_truth", "endmembers")
    pairs = []
    # First, because that names the file.
    for then, today in zip(
        manifest.get("scenes", ()), found.get("scenes", ()), strict=True
    ):
        pairs += [(then, today), (then["ground_truth"], today["ground_truth"])]
    pairs += [(manifest.get(name) or {}, found.get(name) or {}) for name in names]
    for then, today in pairs:
        if then.get("sha256") != today.get("sha256"):
            raise HsijaxError(
                f"cannot go on with {run.folder}: {today.get('path')} has another "
                f"sha256 than the file it was started with, {then.get('path')}"
            )


def describe_task(task: Task) -> dict[str, Any]:
    """Summarise scene, classes and splits for `run.json`."""
    scene = task.scene
    ids = np.array([entry.id for entry in scene.classes])
    several = {"scenes": describe_scenes(scene)} if scene.parts else {}
    return several | {
        "scene": {"name": scene.name, "shape": list(scene.shape)}
        | describe_source(scene.source),
        "ground_truth": describe_source(scene.ground_truth_source),
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
    kept = task.region(split) is not None or not meets_itself(split, task.starts)
    if not config.times or kept:
        return config.fitted_patch
    return config.fitted_patch + 2 * reach(config.times)


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
        "leakage": asdict(leakage(set_apart(split, task.starts, sight), sight)),
    }
