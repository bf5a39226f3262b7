"""Train a classifier on a scene, test it, and keep all of it in a run folder."""

import time
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int

from hsijax.classification.predict import predict_pixels
from hsijax.classification.trained import Blueprint, TrainedClassifier
from hsijax.config import Progress, TrainConfig, no_progress
from hsijax.devices import describe_devices
from hsijax.errors import HsijaxError, lookup
from hsijax.experiments.evaluate import evaluate_run
from hsijax.experiments.task import (
    Task,
    describe_task,
    load_task,
    with_absolute_paths,
)
from hsijax.models import count_evaluations, count_parameters
from hsijax.patches import gather_patches
from hsijax.preprocessing import fit_preprocessing
from hsijax.reports.figures import save_confusion_figure, save_training_figure
from hsijax.runs import Run, create_run, describe_environment, now
from hsijax.scenes import SourceFile
from hsijax.splits import save_splits
from hsijax.training.checkpoint import read_metadata
from hsijax.training.loop import Epoch, Loop, TrainingSet, steps_per_epoch, train_run
from hsijax.training.schedule import (
    OPTIMIZERS,
    SCHEDULES,
    make_optimizer,
    make_schedule,
)
from hsijax.training.step import TrainState, cross_entropy, make_train_step


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
    _blueprint(task).check()
    run = create_run(out, f"{task.scene.name}-{config.model}", overwrite=overwrite)
    # First of all, because it is what makes the folder a run that can be replaced.
    run.update_manifest(status="prepared", **describe_environment(describe_devices()))
    run.write_config(config)
    save_splits(
        run.split_file,
        task.splits.splits,
        shape=task.ground_truth.shape,
        method=task.splits.method,
        ground_truth_sha256=task.splits.ground_truth_sha256,
        settings=task.splits.settings,
    )
    run.update_manifest(
        seeds=[[config.seed, number] for number in range(config.runs)],
        split={"path": "split.npz", "sha256": SourceFile(run.split_file).sha256},
        **describe_task(task),
    )
    return run, task


def reopen_run(
    run: Run, data_dir: Path | None = None, progress: Progress = no_progress
) -> tuple[Run, Task]:
    """Load what an unfinished run was trained on, from `data_dir` if it has moved.

    Raises:
        HsijaxError: the scene is not the one of then, or nothing was prepared yet.
    """
    manifest = run.read_manifest()
    if "splits" not in manifest:
        raise HsijaxError(
            f"{run.folder} was stopped before its training began: start it again, "
            "with --overwrite"
        )
    config = run.read_config()
    if data_dir:
        config = replace(config, data_dir=str(data_dir.absolute()))
    task = load_task(config, run.split_file, progress)
    found = describe_task(task)
    environment = describe_environment(describe_devices())
    run.update_manifest(resumed=[*manifest.get("resumed", []), environment])
    for name in ("scene", "ground_truth"):
        if manifest[name]["sha256"] != found[name]["sha256"]:
            raise HsijaxError(
                f"cannot go on with {run.folder}: {found[name]['path']} has another "
                f"sha256 than the file it was started with, {manifest[name]['path']}"
            )
    return run, task


def train_runs(
    run: Run, task: Task, progress: Progress = no_progress
) -> dict[str, Any]:
    """Train all runs of a run folder that have not ended, then evaluate them.

    A run that was killed goes on from its last finished epoch and ends with the
    figures that it would have had without the interruption.

    Returns:
        What stands in `metrics.json`.
    """
    run.update_manifest(status="running")
    try:
        run.rewind_history([_epochs_done(run, n) for n in range(task.config.runs)])
        for number in range(task.config.runs):
            if f"run{number}_truth" not in run.read_predictions():
                _train_and_test(run, task, number, progress)
        metrics = evaluate_run(run)
        _draw_figures(run, task, metrics)
    except KeyboardInterrupt:
        run.update_manifest(status="interrupted")
        raise
    except Exception as error:
        run.update_manifest(status="failed", error=str(error))
        raise
    run.update_manifest(status="done", error=None, ended=now())
    return metrics


def _train_and_test(run: Run, task: Task, number: int, progress: Progress) -> None:
    """Train one run unless that is done, then predict its test pixels, once."""
    if run.network_file(number).exists():
        classifier = TrainedClassifier.load(run.network_file(number))
        padded = classifier.prepare(task.cube, task.valid)
    else:
        classifier, padded = _train_one(run, task, number, progress)
    trained = read_metadata(run.network_file(number))["notes"]
    test = task.splits.splits[number].test
    start = time.perf_counter()
    predicted, confidence = classifier.predict(padded, test)
    seconds = time.perf_counter() - start
    if number == 0:
        _describe_network(run, classifier, padded, test[: task.config.batch])
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


def _train_one(
    run: Run, task: Task, number: int, progress: Progress
) -> tuple[TrainedClassifier, Float[Array, "padded_rows padded_cols channels"]]:
    config, split = task.config, task.splits.splits[number]
    blueprint = _blueprint(task)
    fitted_on = task.valid
    if config.fit == "train":
        fitted_on = np.zeros_like(task.valid)
        fitted_on[split.train[:, 0], split.train[:, 1]] = True
    untrained = TrainedClassifier(
        blueprint,
        blueprint.first_params(number),
        fit_preprocessing(
            task.cube[fitted_on], scaling=config.scaling, components=config.channels
        ),
        task.scene.good_bands,
        task.scene.wavelengths,
        task.scene.classes,
    )
    padded = untrained.prepare(task.cube, task.valid)
    data = TrainingSet(
        padded, split.train.astype(np.int32), task.scene.labels(split.train)
    )
    learner = _make_learner(blueprint, steps_per_epoch(len(data.pixels), config.batch))
    pixels = split.test if config.select == "best-test" else split.validation

    def score(params: Any) -> float:
        labels, _ = predict_pixels(blueprint.predictor(), params, padded, pixels)
        return float(np.mean(labels == task.scene.labels(pixels)))

    def on_epoch(epoch: Epoch) -> None:
        run.add_history(epoch)
        scored = "test" if config.select == "best-test" else "validation"
        shown = "" if epoch.score is None else f", {scored} OA {epoch.score:.1%}"
        detail = f"epoch {epoch.epoch}/{config.epochs}, loss {epoch.loss:.3f}{shown}"
        stage = f"training run {number + 1}/{config.runs}"
        progress(stage, epoch.epoch, config.epochs, detail)

    loop = Loop(
        learner.train_step,
        learner.schedule,
        config.epochs,
        config.batch,
        (config.seed, number),
        score if len(pixels) else None,
        config.select != "last",
        on_epoch,
    )
    first = TrainState(untrained.params, learner.optimizer.init(untrained.params))
    trained = train_run(loop, first, data, run.state_file(number))
    classifier = replace(untrained, params=trained.params)
    classifier.save(
        run.network_file(number), epoch=trained.epoch, seconds=trained.seconds
    )
    return classifier, padded


class _Learner(NamedTuple):
    """The compiled step of a network with what it follows."""

    train_step: Callable[..., tuple[TrainState, Any]]
    schedule: Callable[[int], Any]
    optimizer: optax.GradientTransformation


@cache
def _make_learner(blueprint: Blueprint, steps: int) -> _Learner:
    """Compile the step once for all runs that have as many `steps` in an epoch."""
    config = blueprint.config
    schedule = make_schedule(config.schedule, config.lr, config.epochs * steps)
    optimizer = make_optimizer(config.optimizer, schedule, config.weight_decay)
    loss_fn = cross_entropy(blueprint.network(), config.label_smoothing)
    step = make_train_step(loss_fn, optimizer, config.patch, config.augment)
    return _Learner(step, schedule, optimizer)


def _describe_network(
    run: Run,
    classifier: TrainedClassifier,
    padded: Float[Array, "padded_rows padded_cols channels"],
    pixels: Int[np.ndarray, "batch 2"],
) -> None:
    """Note the parameters, and the function evaluations that some patches took."""
    config = classifier.blueprint.config
    patches = gather_patches(padded, jnp.asarray(pixels), config.patch)
    run.update_manifest(
        parameters=count_parameters(classifier.model()),
        function_evaluations={
            use: count_evaluations(classifier.model(use), patches)._asdict()
            for use in ("train", "predict")
        },
    )


def _draw_figures(run: Run, task: Task, metrics: dict[str, Any]) -> None:
    title = f"{task.scene.name}: {task.config.model}"
    on_test = metrics["selected_on_test"]
    save_training_figure(
        run.figures / "training.png",
        run.read_history(),
        title=title,
        selected_on_test=on_test,
    )
    save_confusion_figure(
        run.figures / "confusion.png",
        np.array(metrics["confusion"]),
        task.scene.classes,
        title=f"{title}, test pixels of all runs",
        selected_on_test=on_test,
    )


def _epochs_done(run: Run, number: int) -> int:
    """How many epochs of a run need not be trained again."""
    if run.network_file(number).exists():
        return run.read_config().epochs
    if run.state_file(number).exists():
        return read_metadata(run.state_file(number))["epoch"]
    return 0


def _blueprint(task: Task) -> Blueprint:
    channels = task.config.channels or int(task.scene.good_bands.sum())
    return Blueprint(task.config, channels, len(task.scene.classes))
