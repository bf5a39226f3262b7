"""Many unmixing runs in one folder: those that are done are not done again."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from hsijax.config import Progress, UnmixConfig
from hsijax.errors import UsageError
from hsijax.experiments.unmix import prepare_unmixing, reopen_unmixing, unmix
from hsijax.experiments.unmix_task import with_absolute_paths
from hsijax.runs import Run, open_run

# Settings that say where the files are, which may have moved between two commands.
PLACES = ("scene", "data_dir", "ground_truth", "endmembers", "split_file")


def ensure_unmixing(
    folder: Path, config: UnmixConfig, progress: Progress
) -> Mapping[str, Any]:
    """Return the metrics of a run folder; make it, or go on with it, if need be.

    Raises:
        UsageError: the folder holds a run of other settings.
    """
    if not (folder / "run.json").exists():
        run, task = prepare_unmixing(config, folder, progress=progress)
        return unmix(run, task, progress)[0]
    run = open_run(folder, "unmixing")
    _compare(run, config)
    manifest = run.read_manifest()
    if manifest["status"] == "done":
        return run.read_metrics()
    if "columns" not in manifest:
        run, task = prepare_unmixing(config, folder, True, progress)
    else:
        data_dir = Path(config.data_dir) if config.data_dir else None
        run, task = reopen_unmixing(run, data_dir, progress)
    return unmix(run, task, progress)[0]


def _compare(run: Run, config: UnmixConfig) -> None:
    if not (run.folder / "config.toml").exists():
        return
    wanted, found = asdict(with_absolute_paths(config)), run.read_config(UnmixConfig)
    for name, value in asdict(found).items():
        if name not in PLACES and value != wanted[name]:
            raise UsageError(
                f"{run.folder} was made with {name} = {value}, not {wanted[name]}: "
                "choose another --out"
            )
