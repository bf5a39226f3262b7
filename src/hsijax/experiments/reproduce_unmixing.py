"""The paper's tables of unmixing: all methods on the same pixels, print beside ours."""

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hsijax.config import Progress, no_progress
from hsijax.config.unmix import has_setting
from hsijax.errors import HsijaxError
from hsijax.experiments import printed
from hsijax.experiments.repeat import ensure_unmixing
from hsijax.io.atomic import write_text
from hsijax.reports import unmixing_tables
from hsijax.scenes.unmixing_scene import load_unmixing_scene
from hsijax.settings import make_unmix_config

log = logging.getLogger("hsijax")


@dataclass(frozen=True)
class UnmixingTable:
    """One table: its scenes, its methods, and what the paper prints.

    `instead` are the scenes that are unmixed where the scene itself cannot be had.
    """

    name: str
    scene: str
    printed: Mapping[str, Mapping[str, float]]
    frac: float  # share of the pixels that trains
    instead: tuple[str, ...] = ()
    given: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # by row
    runs: int = 5


# A row of a table: its name in print, and the settings of ours beside it.
ROWS: dict[str, dict[str, Any]] = {
    "LSU": {"model": "fcls"},
    "AANN": {"model": "aann", "preset": "paper"},
    "eSVM": {"model": "esvm"},
    "pixel CNN": {"model": "pixel-cnn", "preset": "paper"},
    "cube CNN": {"model": "cube-cnn", "preset": "paper"},
    "pixel CNN, best": {"model": "pixel-cnn"},
    "cube CNN, best": {"model": "cube-cnn"},
    "EDAA (blind)": {"model": "edaa"},
}

UNMIXING_TABLES = {
    table.name: table
    for table in (
        UnmixingTable("unmixing-jasper", "jasper-ridge", printed.JASPER, 0.75),
        UnmixingTable(
            "unmixing-urban",
            "urban",
            printed.URBAN,
            0.5,
            ("urban-simulated", "urban-crop"),
            {
                # The printed rate of 1e-6 belongs to another optimiser: under Adam both
                # networks would stay as they were drawn.
                "AANN": {"width": 40, "epochs": 500},
                "cube CNN": {"lr": 1e-3},
            },
        ),
    )
}


def reproduce_unmixing(
    table: UnmixingTable,
    folder: Path,
    overrides: Mapping[str, Any],
    *,
    progress: Progress = no_progress,
) -> tuple[dict[str, dict[str, Any]], list[Path]]:
    """Run every method of a table; what is done in the folder is not done again.

    Args:
        table: one of `UNMIXING_TABLES`.
        folder: gets a folder for each scene, with a run folder a method in it.
        overrides: settings of every method that has them: runs, seed, where the scenes
            are, few epochs for a trial.
        progress: told of each method.

    Returns:
        For each scene the metrics of each row, and the files of the tables.
    """
    data_dir = overrides.get("data_dir")
    found: dict[str, dict[str, Any]] = {}
    files = []
    for scene in _scenes(table, Path(data_dir) if data_dir else None):
        metrics = {}
        for number, (label, row) in enumerate(ROWS.items()):
            progress(f"{table.name}, {scene}", number, len(ROWS), label)
            given = {"scene": scene, "frac": table.frac, **row}
            given |= table.given.get(label, {})
            given |= {
                name: value
                for name, value in overrides.items()
                if has_setting(row["model"], name)
            }
            slug = label.lower().replace(",", "").replace(" ", "-")
            run = folder / Path(scene).stem / slug.replace("(", "").replace(")", "")
            config = make_unmix_config(given, {})
            metrics[label] = ensure_unmixing(run, config, progress)
        found[scene] = metrics
        files += _write_tables(folder / Path(scene).stem, metrics, table.printed)
    return found, files


def _scenes(table: UnmixingTable, data_dir: Path | None) -> list[str]:
    """Name the scenes that can be had, and say why others cannot."""
    if not table.instead:
        return [table.scene]
    try:
        load_unmixing_scene(table.scene, data_dir=data_dir)
    except HsijaxError as error:
        log.warning(
            "%s is left out: %s; unmixed in its place: %s",
            table.scene,
            error,
            ", ".join(table.instead),
        )
        return list(table.instead)
    return [table.scene]


def _write_tables(
    folder: Path,
    metrics: dict[str, Any],
    paper: Mapping[str, Mapping[str, float]],
) -> list[Path]:
    rows = list(metrics.items())
    files = [folder / "table.json", folder / "table.md"]
    write_text(files[0], json.dumps(metrics, indent=2) + "\n")
    write_text(files[1], unmixing_tables.comparison_markdown(rows, paper))
    return files
