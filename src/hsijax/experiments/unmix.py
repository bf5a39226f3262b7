"""Unmix a scene, measure it where a reference is known, keep all in a run folder."""

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from hsijax.config import Progress, UnmixConfig, no_progress
from hsijax.devices import describe_devices
from hsijax.errors import HsijaxError, lookup
from hsijax.experiments.unmix_learning import learn_from_reference
from hsijax.experiments.unmix_outputs import write_outputs
from hsijax.experiments.unmix_scores import collect_metrics
from hsijax.experiments.unmix_solving import solve_runs
from hsijax.experiments.unmix_task import (
    UnmixTask,
    describe_unmix_task,
    load_unmix_task,
    with_absolute_paths,
)
from hsijax.experiments.unmix_tiles import sample_of, unmix_tiles
from hsijax.experiments.write_layers import check_raster_format
from hsijax.runs import Run, create_run, describe_environment
from hsijax.scenes import SourceFile
from hsijax.splits import save_splits
from hsijax.training.schedule import OPTIMIZERS, SCHEDULES
from hsijax.unmixing.provenance import trace_provenance


def prepare_unmixing(
    config: UnmixConfig,
    out: Path | None = None,
    overwrite: bool = False,
    progress: Progress = no_progress,
    memory: int | None = None,
) -> tuple[Run, UnmixTask]:
    """Make the run folder of a configuration; nothing is unmixed yet.

    Nothing is written before the scene, its endmembers and all names are known to be
    good.
    """
    lookup(OPTIMIZERS, config.optimizer, "optimizer")
    lookup(SCHEDULES, config.schedule, "schedule")
    check_raster_format(config.format)
    config = with_absolute_paths(config)
    task = load_unmix_task(config, progress=progress, memory=memory)
    name = f"{task.data.scene.name}-{config.model}"
    run = create_run(out, name, overwrite=overwrite, command="unmix")
    with run.prepare():
        environment = describe_environment(describe_devices())
        run.update_manifest(status="prepared", task="unmixing", **environment)
        run.write_config(config)
        if task.splits is not None:
            save_splits(
                run.split_file,
                task.splits.splits,
                shape=task.data.valid.shape,
                method=task.splits.method,
                ground_truth_sha256=task.splits.ground_truth_sha256,
                settings=task.splits.settings,
            )
            digest = SourceFile(run.split_file).sha256
            run.update_manifest(split={"path": "split.npz", "sha256": digest})
        run.update_manifest(columns=task.columns, **describe_unmix_task(task))
    return run, task


def reopen_unmixing(
    run: Run,
    data_dir: Path | None = None,
    progress: Progress = no_progress,
    memory: int | None = None,
) -> tuple[Run, UnmixTask]:
    """Load what an unfinished run works on, from `data_dir` if it has moved.

    Raises:
        HsijaxError: the scene is not the one of then, nothing was prepared yet, or
            another process is writing the folder.
    """
    run.hold()
    manifest = run.read_manifest()
    if "columns" not in manifest:
        raise HsijaxError(
            f"{run.folder} was stopped before its work began: start it again, with "
            "--overwrite"
        )
    config = run.read_config(UnmixConfig)
    if data_dir:
        config = replace(config, data_dir=str(data_dir.absolute()))
    split_file = run.split_file if run.split_file.exists() else None
    task = load_unmix_task(config, split_file, progress, memory)
    found = describe_unmix_task(task)
    for name in ("scene", "ground_truth", "endmembers"):
        then, today = manifest[name] or {}, found[name] or {}
        if then.get("sha256") != today.get("sha256"):
            raise HsijaxError(
                f"cannot go on with {run.folder}: {today.get('path')} has another "
                f"sha256 than the file it was started with, {then.get('path')}"
            )
    environment = describe_environment(describe_devices())
    run.update_manifest(resumed=[*manifest.get("resumed", []), environment])
    return run, task


def unmix(
    run: Run, task: UnmixTask, progress: Progress = no_progress
) -> tuple[dict[str, Any], list[Path]]:
    """Unmix the scene as often as the settings say, and write all that comes of it.

    Returns:
        What stands in `metrics.json`, and the maps and figures.
    """
    with run.work():
        if task.learns_from_reference:
            whole = learn_from_reference(run, task, progress)
        else:
            whole = solve_runs(run, task, progress)
        _trace(run, task)
        store = None
        if task.data.whole is not None:
            store = unmix_tiles(run, task, whole, progress)
            whole = sample_of(store, task, whole)
            whole = replace(whole, notes=(*whole.notes, *task.data.notes[-1:]))
        metrics = collect_metrics(run, task, whole)
        files = write_outputs(run, task, whole, store)
    return metrics, files


def _trace(run: Run, task: UnmixTask) -> None:
    """Find out whether the reference abundances are a known formula of the cube."""
    reference = task.reference
    ground_truth = run.read_manifest()["ground_truth"]
    if reference is None or reference.endmembers is None:
        return
    if "provenance" in ground_truth:
        return
    provenance = trace_provenance(
        task.spectra,
        reference.endmembers.spectra,
        reference.abundances[task.data.valid],
    )
    ground_truth["provenance"] = asdict(provenance)
    run.update_manifest(ground_truth=ground_truth)
