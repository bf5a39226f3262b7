"""Train a classifier on a scene, test it, and keep all of it in a run folder."""

import time
from dataclasses import astuple, replace
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from hsijax.classification.spectral import SpectralClassifier
from hsijax.classification.trained import TrainedClassifier
from hsijax.config import Progress, TrainConfig, no_progress
from hsijax.config.opponents import CLASSICAL
from hsijax.devices import describe_devices, plan_execution
from hsijax.errors import HsijaxError, UsageError, lookup
from hsijax.experiments.confidence import draw_confidence
from hsijax.experiments.evaluate import evaluate_run
from hsijax.experiments.task import (
    Task,
    check_prepared,
    check_sources,
    describe_task,
    load_task,
    reload_task,
    with_absolute_paths,
)
from hsijax.experiments.train_networks import make_blueprint, train_networks
from hsijax.experiments.train_spectral import train_spectral
from hsijax.models import count_evaluations, count_parameters
from hsijax.patches import gather_patches
from hsijax.runs import Run, create_run, describe_environment
from hsijax.scenes import SourceFile
from hsijax.splits import read_splits, save_splits
from hsijax.training.checkpoint import read_metadata
from hsijax.training.schedule import (
    OPTIMIZERS,
    SCHEDULES,
)


def prepare_run(
    config: TrainConfig,
    out: Path | None = None,
    overwrite: bool = False,
    progress: Progress = no_progress,
) -> tuple[Run, Task]:
    """Make the run folder of a configuration; nothing is trained yet.

    Nothing is written before the scene, its splits and all names are known to be good.
    """
    lookup(OPTIMIZERS, config.optimizer, "optimizer")
    lookup(SCHEDULES, config.schedule, "schedule")
    config = with_absolute_paths(config)
    task = load_task(config, progress=progress)
    if config.model not in CLASSICAL:
        make_blueprint(task).check()
    run = create_run(out, f"{task.scene.name}-{config.model}", overwrite=overwrite)
    with run.prepare():
        # First of all, because it is what makes the folder a run that can be replaced.
        run.update_manifest(
            status="prepared", **describe_environment(describe_devices())
        )
        run.write_config(config)
        _write_splits(run, task)
    return run, task


def _write_splits(run: Run, task: Task) -> None:
    """Write which pixels train in which run, and what `run.json` says of them."""
    save_splits(
        run.split_file,
        task.splits.splits,
        shape=task.ground_truth.shape,
        method=task.splits.method,
        ground_truth_sha256=task.splits.ground_truth_sha256,
        settings=task.splits.settings,
    )
    seed = task.config.seed
    run.update_manifest(
        seeds=[[seed, number] for number in range(task.config.runs)],
        split={"path": "split.npz", "sha256": SourceFile(run.split_file).sha256},
        **describe_task(task),
    )


def reopen_run(
    run: Run, data_dir: Path | None = None, progress: Progress = no_progress
) -> tuple[Run, Task]:
    """Load what an unfinished run was trained on, from `data_dir` if it has moved.

    Raises:
        HsijaxError: the scene is not the one of then, nothing was prepared yet, or
            another process is writing the folder.
    """
    run.hold()
    task = reload_task(run, data_dir, progress)
    _note_resumed(run)
    return run, task


def add_runs(
    run: Run,
    runs: int,
    data_dir: Path | None = None,
    progress: Progress = no_progress,
    config: TrainConfig | None = None,
) -> tuple[Run, Task]:
    """Let a run folder have more runs; those that it has stay as they are.

    A run follows from the seed and its own number, so that the folder ends with the
    figures that it would have had with so many runs from the start.

    Args:
        run: a run folder, finished or not.
        runs: how many it is to have; if it is of so many, it is gone on with.
        data_dir: where the scene is looked for first.
        progress: told of downloads.
        config: the folder's settings with its files where they are now.

    Raises:
        UsageError: it is of more runs.
        HsijaxError: the scene is not the one of then, other pixels would train now,
            nothing was prepared yet, or another process is writing the folder.
    """
    run.hold()
    check_prepared(run)
    before = run.read_config()
    if runs < before.runs:
        raise UsageError(
            f"{run.folder} is of {before.runs} runs: give --runs {before.runs} or more"
        )
    if runs == before.runs:
        return reopen_run(run, data_dir, progress)
    config = config or before
    if data_dir:
        config = replace(config, data_dir=str(data_dir.absolute()))
    task = load_task(replace(config, runs=runs), progress=progress)
    check_sources(run, describe_task(task))
    # There are more of the new ones.
    for then, today in zip(
        read_splits(run.split_file), task.splits.splits, strict=False
    ):
        if not all(map(np.array_equal, astuple(then), astuple(today))):
            raise HsijaxError(
                f"cannot add runs to {run.folder}: other pixels would train in its "
                "first ones today; train again, into another folder"
            )
    _note_resumed(run)
    # The settings last: until then the folder is one of fewer runs.
    run.update_manifest(status="prepared")
    _write_splits(run, task)
    run.write_config(task.config)
    return run, task


def _note_resumed(run: Run) -> None:
    environment = describe_environment(describe_devices())
    resumed = run.read_manifest().get("resumed", [])
    run.update_manifest(resumed=[*resumed, environment])


def train_runs(
    run: Run, task: Task, progress: Progress = no_progress
) -> dict[str, Any]:
    """Train all runs of a run folder that have not ended, then evaluate them.

    A run that was killed goes on from its last checkpoint and ends with the figures
    that it would have had without the interruption. One whose loss is not finite does
    not keep the others from their end.

    Returns:
        What stands in `metrics.json`.
    """
    with run.work():
        run.rewind_history([_epochs_done(run, n) for n in range(task.config.runs)])
        train = train_spectral if task.config.model in CLASSICAL else train_networks
        failures = []
        for numbers in _together(run, task):
            failures += train(run, task, numbers, progress)
            for number in numbers:
                if not run.network_file(number).exists():
                    continue
                try:
                    _test(run, task, number)
                except HsijaxError as error:  # the other runs still go to their end
                    failures.append(error)
        if failures:
            raise failures[0]
        metrics = evaluate_run(run)
        _draw_figures(run, task, metrics)
    return metrics


def _together(run: Run, task: Task) -> list[list[int]]:
    """List the runs that have not ended, those together that are trained together."""
    known = run.read_predictions()
    numbers = [n for n in range(task.config.runs) if f"run{n}_truth" not in known]
    if not plan_execution().one_program:
        return [[number] for number in numbers]
    return [numbers] if numbers else []


def _test(run: Run, task: Task, number: int) -> None:
    """Predict the test pixels of a trained run, once."""
    classifier = TrainedClassifier.load(run.network_file(number))
    split = task.splits.splits[number]
    padded = jnp.asarray(task.prepare(classifier.inputs, split))
    trained = read_metadata(run.network_file(number))["notes"]
    test = split.test
    start = time.perf_counter()
    predicted, confidence = classifier.predict(padded, task.place(test))
    seconds = time.perf_counter() - start
    if number == 0:
        _describe(run, classifier, padded, task.place(test[: task.config.batch]))
    results = {
        "pixels": test.astype(np.int32),
        "truth": task.class_ids(test),
        "predicted": predicted,
        "confidence": confidence,
        "seconds": np.array([trained["seconds"], seconds]),
        "epoch": np.array(trained["epoch"]),
    }
    earlier = run.read_predictions()
    run.write_predictions(
        earlier | {f"run{number}_{name}": array for name, array in results.items()}
    )
    run.state_file(number).unlink(missing_ok=True)


def _describe(
    run: Run,
    classifier: TrainedClassifier,
    padded: Float[Array, "padded_rows padded_cols channels"],
    pixels: Int[np.ndarray, "batch 2"],
) -> None:
    """Note the parameters, and the function evaluations that some patches took."""
    config, network = classifier.config, classifier.learned
    if isinstance(network, SpectralClassifier):
        run.update_manifest(parameters=network.parameters)
        return
    patches = gather_patches(padded, jnp.asarray(pixels), config.patch)
    run.update_manifest(
        parameters=count_parameters(network.model()),
        function_evaluations={
            use: count_evaluations(network.model(use), patches)._asdict()
            for use in ("train", "predict")
        },
    )


def _draw_figures(run: Run, task: Task, metrics: dict[str, Any]) -> None:
    # Here, because a training need not wait for matplotlib.
    from hsijax.reports.figures import save_confusion_figure, save_training_figure
    from hsijax.reports.tables import leakage_note

    title = f"{task.scene.name}: {task.config.model}"
    on_test = metrics["selected_on_test"]
    history = run.read_history()
    if history:  # there are no epochs without gradient descent
        save_training_figure(
            run.figures / "training.png",
            history,
            title=title,
            selected_on_test=on_test,
        )
    save_confusion_figure(
        run.figures / "confusion.png",
        np.array(metrics["confusion"]),
        task.scene.classes,
        title=f"{title}, test pixels of all runs",
        note=leakage_note(metrics["split"]["leakage"]),
        selected_on_test=on_test,
    )
    draw_confidence(run, metrics, title)


def _epochs_done(run: Run, number: int) -> int:
    """How many epochs of a run need not be trained again."""
    if run.network_file(number).exists():
        return run.read_config().epochs
    if run.state_file(number).exists():
        return read_metadata(run.state_file(number))["epoch"]
    return 0
