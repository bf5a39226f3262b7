"""The tables of classification: all networks on the same pixels, print beside.

Which pixels train follows from the seed and the run's number alone, so all cells of a
part have the same ones. Where they also depend on the patch, one split file, made for
the widest patch of the table, is given to all.
"""

import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from hsijax.config import Progress, TrainConfig, no_progress
from hsijax.config.opponents import has_setting
from hsijax.errors import HsijaxError, UsageError
from hsijax.experiments.repeat import (
    ensure_classification,
    last_figures,
    runs_of,
)
from hsijax.experiments.reproduce_cells import (
    Cell,
    Part,
    TrainingTable,
    choose_cells,
)
from hsijax.experiments.write_split import write_split
from hsijax.io.atomic import write_text
from hsijax.runs import open_run
from hsijax.scenes import load_scene
from hsijax.scenes.catalogue import CATALOGUE
from hsijax.settings import make_config

log = logging.getLogger("hsijax")


def reproduce_training(
    table: TrainingTable,
    folder: Path,
    overrides: Mapping[str, Any],
    *,
    preset: str | None = None,
    only: str | None = None,
    progress: Progress = no_progress,
) -> tuple[dict[str, Any], list[Path]]:
    """Train the chosen cells of a table; what is done in the folder is not done again.

    A cell that the folder has with fewer runs gets the others, one with more keeps
    them. The table is written after each cell, with all that the folder holds.

    Args:
        table: one of `TRAINING_TABLES`.
        folder: gets the table, and a run folder for each cell.
        overrides: settings of every cell: runs, seed, where the scenes are, few epochs
            for a trial.
        preset: "paper", "best", or "both" (so is None).
        only: a part of the table, as `choose_cells` takes it.
        progress: told of each cell.

    Returns:
        What stands in `table.json`, and the files.

    Raises:
        UsageError: no cell is like that, or the folder has runs of other settings.
        HsijaxError: none of the scenes can be had.
    """
    chosen, left_out = _replace_missing(
        table, choose_cells(table, preset, only), overrides.get("data_dir"), progress
    )
    configs = _make_configs(table, folder, overrides)
    found = {
        cell: metrics
        for cell, config in configs.items()
        if (metrics := last_figures(cell.folder(folder), config)) or cell in chosen
    }
    lacking = [
        cell for cell in chosen if runs_of(cell.folder(folder)) < configs[cell].runs
    ]
    _write_split_files(configs, lacking, progress)
    left_out = _left_out_before(folder / "table.json", found) | left_out
    data, files = _write(table, folder, found, left_out)
    for number, cell in enumerate(chosen, start=1):
        named = " ".join((*cell.words, f"({cell.preset})"))
        detail = f"cell {number} of {len(chosen)}: {named}"
        progress(table.name, number - 1, len(chosen), detail)
        runs = configs[cell].runs
        if runs > overrides["runs"] and not _has_ended(found[cell], runs):
            log.warning("%s is of %d runs, and goes on to all of them", named, runs)
        try:
            found[cell] = ensure_classification(
                cell.folder(folder), configs[cell], progress
            )
        except UsageError:
            raise
        except HsijaxError as error:  # the other cells have their figures all the same
            kept = "keeps the figures of before" if found[cell] else "has none"
            log.warning("%s %s: %s", named, kept, error)
        data, files = _write(table, folder, found, left_out)
    progress(table.name, len(chosen), len(chosen), "done")
    return data, files


def _has_ended(metrics: Mapping[str, Any] | None, runs: int) -> bool:
    return metrics is not None and len(metrics["oa"]["values"]) == runs


def _left_out_before(path: Path, found: Iterable[Cell]) -> dict[str, str]:
    """Read why scenes were left out of a table that still has others in their place."""
    if not path.exists():
        return {}
    table = json.loads(path.read_text(encoding="utf-8"))
    scenes = {cell.part.scene for cell in found}
    replaced = {
        part["in_place_of"] for part in table["parts"] if part["scene"] in scenes
    }
    return {scene: why for scene, why in table["left_out"].items() if scene in replaced}


def _replace_missing(
    table: TrainingTable,
    cells: Sequence[Cell],
    data_dir: str | None,
    progress: Progress,
) -> tuple[list[Cell], dict[str, str]]:
    """Leave out the scenes that cannot be had; the reasons are returned by scene."""
    left_out: dict[str, str] = {}

    def find(scene: str) -> str | None:
        try:
            load_scene(
                scene, data_dir=Path(data_dir) if data_dir else None, progress=progress
            )
        except HsijaxError as error:
            other = table.instead.get(scene)
            # The first line of an error says what is wrong.
            left_out[scene] = str(error).splitlines()[0]
            log.warning(
                "%s is left out: %s%s",
                scene,
                error,
                f"; trained in its place: {other}" if other else "",
            )
            return find(other) if other else None
        return scene

    wanted = dict.fromkeys(cell.part.scene for cell in cells)
    scenes = {scene: find(scene) for scene in wanted}
    kept = [
        cell._replace(part=cell.part._replace(scene=scene))
        for cell in cells
        if (scene := scenes[cell.part.scene]) is not None
    ]
    if not kept:
        raise HsijaxError(
            f"{table.name} cannot be made, not even in part: {', '.join(left_out)} "
            "cannot be had; put the files into a folder and give --data-dir"
        )
    return list(dict.fromkeys(kept)), left_out


def _make_configs(
    table: TrainingTable, folder: Path, overrides: Mapping[str, Any]
) -> dict[Cell, TrainConfig]:
    """Return the settings of every cell; those of a split by blocks share its file."""
    configs = {cell: _make_config(cell, overrides) for cell in table.cells}
    widest = _widest_patches(configs)

    def share(cell: Cell, config: TrainConfig) -> TrainConfig:
        if cell.part.split != "blocks":
            return config
        path = folder / cell.part.name / f"split-patch-{widest[cell.part]}.npz"
        return replace(config, split="file", split_file=str(path.absolute()))

    def keep(cell: Cell, config: TrainConfig) -> TrainConfig:
        return replace(config, runs=max(config.runs, runs_of(cell.folder(folder))))

    return {cell: keep(cell, share(cell, config)) for cell, config in configs.items()}


def _widest_patches(configs: Mapping[Cell, TrainConfig]) -> dict[Part, int]:
    widest: dict[Part, int] = {}
    for cell, config in configs.items():
        widest[cell.part] = max(widest.get(cell.part, 0), config.patch)
    return widest


def _write_split_files(
    configs: Mapping[Cell, TrainConfig], wanted: Iterable[Cell], progress: Progress
) -> None:
    """Write the split files that the wanted cells share; the same every time."""
    widest = _widest_patches(configs)
    for part in dict.fromkeys(c.part for c in wanted if configs[c].split == "file"):
        alike = [config for cell, config in configs.items() if cell.part == part]
        config = max(alike, key=lambda config: config.runs)
        made = replace(
            config, split=part.split, split_file=None, patch=widest[part], val_frac=0.0
        )
        path = Path(str(config.split_file))
        write_split(made, path, overwrite=True, progress=progress)


def _make_config(cell: Cell, overrides: Mapping[str, Any]) -> TrainConfig:
    scene, frac, split = cell.part
    given = {
        "dataset": scene,
        "split": split,
        "preset": cell.preset,
        "model": cell.model,
        **({} if frac is None else {"frac": frac}),
        **{k: value for k, value in overrides.items() if has_setting(cell.model, k)},
    }
    return make_config(given, {})


def _write(
    table: TrainingTable,
    folder: Path,
    found: Mapping[Cell, Mapping[str, Any] | None],
    left_out: Mapping[str, str],
) -> tuple[dict[str, Any], list[Path]]:
    """Write the table; a cell of None is one that is not trained yet."""
    replaced = {other: scene for scene, other in table.instead.items()}
    parts = []
    for part in dict.fromkeys(cell.part for cell in found):
        scene, frac, split = part
        printed = {}
        if frac is not None and split == "random":
            printed = table.printed.get((scene, frac), {})
        parts.append(
            {
                "scene": scene,
                "frac": frac,
                "split": split,
                "in_place_of": replaced.get(scene),
                "classes": {str(c.id): c.name for c in CATALOGUE[scene].classes},
                "printed": printed,
                "cells": [
                    {
                        "preset": cell.preset,
                        "model": cell.model,
                        "metrics": metrics,
                        "trained": _trained(cell.folder(folder)) if metrics else [],
                    }
                    for cell, metrics in found.items()
                    if cell.part == part
                ],
            }
        )
    data = {
        "table": table.name,
        "title": table.title,
        "left_out": left_out,
        "parts": parts,
    }
    files = [folder / "table.json", folder / "table.md"]
    write_text(files[0], json.dumps(data, indent=2, allow_nan=False) + "\n")
    write_text(files[1], table.to_markdown(data))
    return data, files


def _trained(folder: Path) -> list[str]:
    """Say with what, where and on which days a run folder was trained."""
    manifest = open_run(folder).read_manifest()
    said = [
        f"hsijax {one['versions']['hsijax']}, jax {one['versions']['jax']}, "
        f"{one['device']}, {one['started'][:10]}"
        for one in (manifest, *manifest.get("resumed", []))
    ]
    return list(dict.fromkeys(said))
