"""Which pixels of an unmixing run train and which test: made, or read from a file."""

import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
from jaxtyping import Int

from hsijax.config import UnmixConfig
from hsijax.errors import HsijaxError, UsageError
from hsijax.scenes.reference import Reference
from hsijax.splits import SplitFile, SplitPlan, load_splits, make_splits

log = logging.getLogger("hsijax")

BLOCK_SIDE = 10  # pixels, unless the settings say otherwise or the scene is smaller

# Splits, and the numbers of those made in each way.
Columns = tuple[SplitFile, dict[str, list[int]]]


def split_pixels(
    config: UnmixConfig,
    reference: Reference,
    classes: Int[np.ndarray, "rows cols"],
    needed: bool,
) -> Columns | tuple[None, dict[str, list[int]]]:
    """Split the pixels by their class, in each of the wanted ways.

    Args:
        config: says in which ways, and how often.
        reference: its file is recorded beside the splits.
        classes: the dominant endmember of each pixel, from 1; 0 where it is unknown.
        needed: the method learns. Any other is measured without the splits that
            cannot be made, which a warning says.

    Raises:
        UsageError: a setting does not fit the scene or the split file.
        HsijaxError: a split leaves nothing to train on or to test.
    """
    source = reference.source
    hashed = source.sha256 if source else None
    if config.split == "file":
        return _choose_splits(config, classes, hashed)
    methods = ["random", "blocks"] if config.split == "both" else [config.split]
    side = config.block_side or min(BLOCK_SIDE, max(classes.shape))
    splits, columns = [], {}
    for method in methods:
        try:
            made = make_splits(
                classes,
                SplitPlan(
                    method,
                    frac=config.frac,
                    block_side=side,
                    val_frac=config.val_frac,
                ),
                seed=config.seed,
                runs=config.runs,
                patch_side=max(config.patch, config.apart),
                class_names=dict(enumerate(reference.names, start=1)),
            )
        except UsageError:
            raise
        except HsijaxError as error:
            if needed:
                raise
            log.warning("no figures of the %s split: %s", method, error)
            continue
        columns[method] = [len(splits) + run for run in range(config.runs)]
        splits += made
    if not splits:
        return None, {}
    settings = {
        "columns": columns,
        "frac": config.frac,
        "val_frac": config.val_frac,
        "seed": config.seed,
    }
    return SplitFile(splits, "+".join(columns), hashed, settings), columns


def reread_splits(path: Path, classes: Int[np.ndarray, "rows cols"]) -> Columns:
    """Read the splits of a run folder.

    Raises:
        HsijaxError: they are damaged or of another scene.
    """
    file = load_splits(path, classes)
    return file, {name: list(own) for name, own in file.settings["columns"].items()}


def _choose_splits(
    config: UnmixConfig, classes: Int[np.ndarray, "rows cols"], hashed: str | None
) -> Columns:
    """Read the splits of a file; of each way of splitting as many as there are runs."""
    path = Path(str(config.split_file))
    file = load_splits(path, classes)
    if hashed and file.ground_truth_sha256 not in (None, hashed):
        log.warning(
            "%s was made for another reference (sha256 %s, here %s)",
            *(path, file.ground_truth_sha256, hashed),
        )
    every = range(len(file.splits))
    found = {
        name: [number for number in own if number in every]
        for name, own in file.settings.get("columns", {file.method: every}).items()
    }
    fewest = min(len(own) for own in found.values())
    if fewest < config.runs:
        raise UsageError(
            f"{path} holds {fewest} splits of each kind, and --runs {config.runs} "
            "needs one each"
        )
    chosen = [file.splits[n] for own in found.values() for n in own[: config.runs]]
    if config.select == "validation" and not all(len(s.validation) for s in chosen):
        raise UsageError(f"--select validation: {path} has no validation pixels")
    columns = {
        name: list(range(place * config.runs, (place + 1) * config.runs))
        for place, name in enumerate(found)
    }
    settings = {**file.settings, "columns": columns}
    return replace(file, splits=chosen, settings=settings), columns
