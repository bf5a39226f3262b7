"""The splits that a configuration asks for: made, or read from a split file."""

import logging
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
from jaxtyping import Int

from hsijax.config import Progress, TrainConfig, no_progress
from hsijax.errors import UsageError
from hsijax.scenes import Scene, load_ground_truth
from hsijax.scenes.grss import load_grss_masks
from hsijax.splits import (
    Split,
    SplitFile,
    SplitPlan,
    check_split,
    hold_out_validation,
    load_splits,
    make_splits,
    validation_seed,
)

logger = logging.getLogger("hsijax")

# Settings that decide which pixels train, by method; kept in the split file.
SETTINGS = {
    "random": ("frac",),
    "count": ("count",),
    "blocks": ("frac", "block_side"),
    "masks": ("train_mask", "test_mask"),
    "grss": (),
    "scenes": ("frac", "count"),
}
ALWAYS = ("val_frac", "patch", "runs", "seed")


def splits_of_config(
    config: TrainConfig,
    scene: Scene,
    ground_truth: Int[np.ndarray, "rows cols"],
    split_file: Path | None = None,
    progress: Progress = no_progress,
) -> SplitFile:
    """Make one split a run, or take them from `split_file` or the configuration's.

    Args:
        config: where it says the same, the pixels are the same, whatever the command.
        scene: gives the names of the classes.
        ground_truth: the scene's, without pixels that have no data.
        split_file: outweighs the configuration.
        progress: told of downloads of masks.

    Raises:
        UsageError: a setting is missing or out of range, or the file has fewer splits
            than there are runs.
        HsijaxError: a file cannot be read or does not fit the scene, or the splits
            leave nothing to train on or to test.
    """
    class_names = {entry.id: entry.name for entry in scene.classes}
    if split_file or config.split == "file":
        file = _read_splits(config, split_file, ground_truth)
        for split in file.splits:
            check_split(split, ground_truth, class_names)
        return file
    plan = plan_from_config(config, progress)
    if config.split == "scenes":
        training = np.zeros(ground_truth.shape, dtype=bool)
        for part in scene.parts:
            training[part.window] = part.trains
        plan = replace(plan, train_mask=training)
    splits = make_splits(
        ground_truth,
        plan,
        seed=config.seed,
        runs=config.runs,
        patch_side=config.patch,
        class_names=class_names,
    )
    source = scene.ground_truth_source
    names = (*SETTINGS[config.split], *ALWAYS)
    settings = {name: asdict(config)[name] for name in names}
    return SplitFile(
        splits,
        config.split,
        source.sha256 if source else None,
        {name: value for name, value in settings.items() if value is not None},
    )


def plan_from_config(
    config: TrainConfig, progress: Progress = no_progress
) -> SplitPlan:
    """Take from a configuration what decides a split; read its masks."""
    masks = {
        name: load_ground_truth(file).values
        for name in ("train_mask", "test_mask")
        if config.split == "masks" and (file := getattr(config, name))
    }
    if config.split == "grss" and isinstance(config.dataset, str):
        data_dir = Path(config.data_dir) if config.data_dir else None
        masks = load_grss_masks(config.dataset, data_dir=data_dir, progress=progress)
    return SplitPlan(
        method=config.split,
        frac=config.frac,
        count=config.count,
        block_side=config.block_side,
        val_frac=config.val_frac,
        **masks,
    )


def _read_splits(
    config: TrainConfig,
    split_file: Path | None,
    ground_truth: Int[np.ndarray, "rows cols"],
) -> SplitFile:
    path = split_file or Path(config.split_file or "")
    file = load_splits(path, ground_truth)
    found = len(file.splits)
    if found < config.runs:
        raise UsageError(
            f"{path} holds {found} splits, and --runs {config.runs} needs one each; "
            f"make more with `hsijax split --runs {config.runs}`"
        )
    if found > config.runs:
        logger.info(
            "%s holds %d splits; --runs %d uses the first", path, found, config.runs
        )
    made_for = file.settings.get("patch", config.patch)
    if file.method == "blocks" and made_for < config.patch:
        logger.warning(
            "%s keeps patches of %d pixels apart, not those of %d: what overlaps is "
            "in the table; make the split with --patch %d",
            *(path, made_for, config.patch, config.patch),
        )
    splits = file.splits[: config.runs]
    if split_file is None:
        splits = _with_validation(config, path, splits, ground_truth)
    return SplitFile(
        splits,
        file.method,
        file.ground_truth_sha256,
        file.settings,
    )


def _with_validation(
    config: TrainConfig,
    path: Path,
    splits: list[Split],
    ground_truth: Int[np.ndarray, "rows cols"],
) -> list[Split]:
    """Hold out the validation pixels that the user wants and the file lacks."""
    has_validation = all(len(split.validation) for split in splits)
    if config.val_frac and has_validation:
        raise UsageError(f"{path} has validation pixels of its own: omit --val-frac")
    if config.select == "validation" and not (config.val_frac or has_validation):
        raise UsageError(
            f"--select validation needs validation pixels and {path} has none: give "
            "--val-frac"
        )
    if not config.val_frac:
        return splits
    return [
        hold_out_validation(
            split,
            ground_truth,
            frac=config.val_frac,
            seed=validation_seed(config.seed, run),
        )
        for run, split in enumerate(splits)
    ]
