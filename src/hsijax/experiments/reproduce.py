"""The papers' tables by name: theirs beside ours."""

from pathlib import Path
from typing import Any

from hsijax.config import Progress, no_progress
from hsijax.errors import UsageError, lookup
from hsijax.experiments.reproduce_cells import TRAINING_TABLES, TrainingTable
from hsijax.experiments.reproduce_training import reproduce_training
from hsijax.experiments.reproduce_unmixing import (
    UNMIXING_TABLES,
    UnmixingTable,
    reproduce_unmixing,
)

QUICK = 2  # runs

TABLES: dict[str, TrainingTable | UnmixingTable] = {
    **TRAINING_TABLES,
    **UNMIXING_TABLES,
}


def reproduce(
    name: str,
    folder: Path,
    *,
    runs: int | None = None,
    quick: bool = False,
    seed: int = 0,
    epochs: int | None = None,
    preset: str | None = None,
    only: str | None = None,
    data_dir: Path | None = None,
    progress: Progress = no_progress,
) -> tuple[dict[str, Any], list[Path]]:
    """Run what a table compares; what is done in the folder is not done again.

    Args:
        name: of the table.
        folder: gets the table, and a run folder for each of its cells.
        runs: of each cell; None for as many as the table has.
        quick: two runs of each, in place of `runs`.
        seed: of all.
        epochs: of everything that has any, for a quick trial.
        preset: of a table of trainings: "paper", "best", or "both".
        only: a part of a table of trainings, as `choose_cells` takes it.
        data_dir: where scenes are looked for first.
        progress: told of each cell.

    Returns:
        All figures, and the files of the tables.

    Raises:
        UsageError: there is no such table, or nothing like that in it.
        HsijaxError: none of its scenes can be had.
    """
    table = lookup(TABLES, name, "table")
    if quick and runs:
        raise UsageError(f"--quick is two runs of each: leave out --runs {runs}")
    runs = QUICK if quick else runs or table.runs
    overrides: dict[str, Any] = {"runs": runs, "seed": seed}
    if epochs is not None:
        overrides["epochs"] = epochs
    if data_dir:
        overrides["data_dir"] = str(data_dir)
    if isinstance(table, TrainingTable):
        return reproduce_training(
            table, folder, overrides, preset=preset, only=only, progress=progress
        )
    for option, value in {"--preset": preset, "--only": only}.items():
        if value is not None:
            parted = ", ".join(TRAINING_TABLES)
            raise UsageError(f"{option} is of {parted}: leave it out for {name}")
    return reproduce_unmixing(table, folder, overrides, progress=progress)
