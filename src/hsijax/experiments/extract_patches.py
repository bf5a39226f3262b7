"""Write the patches of a scene to a file, a few at a time."""

import logging
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from hsijax.config import Progress, TrainConfig, no_progress
from hsijax.errors import HsijaxError, UsageError
from hsijax.experiments.task import load_config_scene
from hsijax.experiments.write_split import check_output
from hsijax.io.patch_files import WRITERS
from hsijax.patches import check_patch_side, pad_cube
from hsijax.preprocessing import fit_inputs
from hsijax.splits import Split, guarded_region, load_splits
from hsijax.splits.split import mask_of, pixels_where

logger = logging.getLogger("hsijax")

# What a patch's pixel is for; the file holds an index into this.
ROLES = ("unused", "train", "validation", "test")

# Bytes of patches in memory at a time.
CHUNK = 16 * 2**20


def extract_patches(
    config: TrainConfig,
    out: Path,
    *,
    side: int,
    run: int = 0,
    all_labelled: bool = True,
    overwrite: bool = False,
    progress: Progress = no_progress,
) -> dict[str, Any]:
    """Write the patches around labelled pixels, with labels, coordinates and roles.

    Scaling and components are fitted on the training pixels of the split file; without
    one, on all pixels.

    Args:
        config: of it the scene, `split_file` and what decides the channels count.
        out: a `.npz` or `.zarr`.
        side: of a patch, in pixels; odd.
        run: which split of the file.
        all_labelled: also pixels that are in no set of the split.
        overwrite: replace `out`.
        progress: shows how far it is.

    Returns:
        What `hsijax patches --json` prints: shape, bytes, patches of each role.

    Raises:
        UsageError: a setting is out of range, or `out` exists.
        HsijaxError: the scene or split cannot be used, or the disk is too small.
    """
    check_output(out, tuple(WRITERS), overwrite)
    scene = load_config_scene(config, progress)
    if scene.ground_truth is None:
        raise HsijaxError(
            f"{scene.name} has no ground truth to cut patches by: give --ground-truth "
            "FILE"
        )
    check_patch_side(side, scene.shape)
    cube, valid = scene.load()
    ground_truth = scene.ground_truth * valid
    split = _read_split(config, run, ground_truth) if config.split_file else None
    roles = _roles(split, ground_truth.shape)
    wanted = (ground_truth > 0) & (all_labelled | (roles > 0))
    pixels = pixels_where(wanted)
    channels = _preprocess(config, cube, valid, split)
    shape = (len(pixels), side, side, channels.shape[2])
    size = 4 * int(np.prod(shape))
    _check_space(out, size)
    padded = pad_cube(channels, side, config.padding)
    found = roles[pixels[:, 0], pixels[:, 1]]
    WRITERS[out.suffix.lower()](
        out,
        shape,
        _chunks(padded, pixels, side, progress),
        {
            "labels": scene.labels(pixels).astype(np.int32),
            "class_ids": ground_truth[pixels[:, 0], pixels[:, 1]].astype(np.int32),
            "pixels": pixels,
            "split": found,
        },
        {
            "split_names": ROLES,
            "class_names": [entry.name for entry in scene.classes],
        },
    )
    return {
        "out": str(out),
        "scene": scene.name,
        "shape": list(shape),
        "bytes": size,
        "split": {
            role: int(np.count_nonzero(found == code))
            for code, role in enumerate(ROLES)
        },
    }


def _read_split(
    config: TrainConfig, run: int, ground_truth: Int[np.ndarray, "rows cols"]
) -> Split:
    path = Path(config.split_file or "")
    splits = load_splits(path, ground_truth).splits
    if not 0 <= run < len(splits):
        raise UsageError(f"--run {run}: {path} holds runs 0 to {len(splits) - 1}")
    return splits[run]


def _roles(split: Split | None, shape: tuple[int, ...]) -> Int[np.ndarray, "rows cols"]:
    """Return for each pixel the index of its role in `ROLES`."""
    roles = np.zeros(shape, dtype=np.int8)
    if split:
        for code, role in enumerate(ROLES[1:], start=1):
            roles[mask_of(getattr(split, role), roles.shape)] = code
    return roles


def _preprocess(
    config: TrainConfig,
    cube: Float[np.ndarray, "rows cols bands"],
    valid: Bool[np.ndarray, "rows cols"],
    split: Split | None,
) -> Float[np.ndarray, "rows cols channels"]:
    fitted_on = valid
    if split:
        fitted_on = mask_of(split.train, valid.shape)
    elif config.channels or config.scaling != "none":
        logger.warning(
            "without --split, scaling and components are fitted on all pixels, test "
            "pixels too"
        )
    region = None
    if split and config.times:
        region = guarded_region(split, config.fitted_patch, valid.shape)
    return fit_inputs(cube, valid, fitted_on, config).apply(cube, valid, region)


def _check_space(out: Path, size: int) -> None:
    folder = next(parent for parent in out.absolute().parents if parent.exists())
    free = shutil.disk_usage(folder).free
    if size > free:
        raise HsijaxError(
            f"{out} would take {size / 1e9:.1f} GB and {free / 1e9:.1f} GB are free: "
            "use a smaller --size, or --channels for fewer channels"
        )


def _chunks(
    padded: Float[np.ndarray, "padded_rows padded_cols channels"],
    pixels: Int[np.ndarray, "n 2"],
    side: int,
    progress: Progress,
) -> Iterator[Float[np.ndarray, "chunk side side channels"]]:
    windows = np.lib.stride_tricks.sliding_window_view(padded, (side, side), (0, 1))
    step = max(1, CHUNK // (4 * side * side * padded.shape[2]))
    for start in range(0, len(pixels), step):
        rows, cols = pixels[start : start + step].T
        # The window's axes come last there, and patches have their channels last.
        yield np.moveaxis(windows[rows, cols], 1, -1)
        progress("patches", min(start + step, len(pixels)), len(pixels))
