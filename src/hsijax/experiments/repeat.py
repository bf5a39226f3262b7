"""Runs in named folders: those that are done are not done again."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, NamedTuple

from hsijax.config import Progress, TrainConfig, UnmixConfig, no_progress
from hsijax.errors import UsageError
from hsijax.experiments.task import with_absolute_paths
from hsijax.experiments.train import add_runs, prepare_run, reopen_run, train_runs
from hsijax.experiments.unmix import prepare_unmixing, reopen_unmixing, unmix
from hsijax.runs import Run, open_run
from hsijax.settings import Config

# Settings that name files. These may have moved between two commands: then nothing is
# left at the old place, and the last part of the paths is the same.
FILES = (
    "dataset",
    "scene",
    "ground_truth",
    "endmembers",
    "train_mask",
    "test_mask",
    "split_file",
)


class _Kind(NamedTuple):
    """How the runs of a task are made, gone on with and brought to their end."""

    task: str
    prepare: Callable[..., tuple[Run, Any]]
    reopen: Callable[..., tuple[Run, Any]]
    finish: Callable[[Run, Any, Progress], Mapping[str, Any]]
    last_prepared: str  # the entry of `run.json` that preparing writes last


def ensure_classification(
    folder: Path, config: TrainConfig, progress: Progress = no_progress
) -> Mapping[str, Any]:
    """Return the metrics of a run folder; make it, or go on with it, if need be.

    A folder of fewer runs gets the others. No map is drawn.

    Raises:
        UsageError: the folder holds a run of other settings, or more runs.
    """
    before = runs_of(folder)
    if 0 < before < config.runs:
        ensure_classification(folder, replace(config, runs=before), progress)
        moved = with_absolute_paths(config)
        added = add_runs(open_run(folder), config.runs, None, progress, moved)
        return train_runs(*added, progress)
    kind = _Kind(
        "classification",
        prepare_run,
        reopen_run,
        train_runs,
        "splits",
    )
    return _ensure(kind, folder, config, progress)


def runs_of(folder: Path) -> int:
    """How many runs a run folder is of, ended or not; 0 of one that has none yet."""
    if not (folder / "config.toml").exists():
        return 0
    run = open_run(folder)
    return run.read_config().runs if "splits" in run.read_manifest() else 0


def last_figures(folder: Path, config: TrainConfig) -> Mapping[str, Any] | None:
    """Return the metrics of the runs of a folder that have ended all together, if any.

    Raises:
        UsageError: the folder holds a run of other settings.
    """
    if not (folder / "metrics.json").exists():
        return None
    run = open_run(folder)
    _compare(run, config, ("runs",))
    return run.read_metrics()


def ensure_unmixing(
    folder: Path, config: UnmixConfig, progress: Progress = no_progress
) -> Mapping[str, Any]:
    """Return the metrics of a run folder; make it, or go on with it, if need be.

    Raises:
        UsageError: the folder holds a run of other settings.
    """
    kind = _Kind(
        "unmixing",
        prepare_unmixing,
        reopen_unmixing,
        lambda *all_of_it: unmix(*all_of_it)[0],
        "columns",
    )
    return _ensure(kind, folder, config, progress)


def _ensure(
    kind: _Kind, folder: Path, config: Config, progress: Progress
) -> Mapping[str, Any]:
    if not (folder / "run.json").exists():
        return kind.finish(*kind.prepare(config, folder, progress=progress), progress)
    run = open_run(folder, kind.task)
    manifest = run.read_manifest()
    prepared = kind.last_prepared in manifest or manifest["status"] == "done"
    _compare(run, config, () if prepared else ("runs",))
    if manifest["status"] == "done":
        return run.read_metrics()
    if not prepared:
        opened = kind.prepare(config, folder, True, progress)
    else:
        data_dir = Path(config.data_dir) if config.data_dir else None
        opened = kind.reopen(run, data_dir, progress)
    return kind.finish(*opened, progress)


def _compare(run: Run, config: Config, free: Sequence[str] = ()) -> None:
    """Raise an error unless a run was made with these settings, some left `free`."""
    if not (run.folder / "config.toml").exists():
        return
    wanted = asdict(config)
    for name, found in asdict(run.read_config(type(config))).items():
        same = found == wanted[name]
        if name in FILES and found and wanted[name]:
            same = _is_same_file(found, wanted[name])
        if not same and name not in ("data_dir", *free):
            raise UsageError(
                f"{run.folder} was made with {name} = {found}, not {wanted[name]}: "
                "choose another --out"
            )


def _is_same_file(found: str, wanted: str) -> bool:
    """Whether a file, FILE:KEY or catalogue name is the one of then, perhaps moved."""
    old, new = Path(found), Path(wanted)
    if old.absolute() == new.absolute():
        return True
    still_there = old.exists() or Path(found.rpartition(":")[0] or found).is_file()
    return old.name == new.name and not still_there
