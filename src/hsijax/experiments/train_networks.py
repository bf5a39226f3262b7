"""The training of a run's networks, one by one or side by side."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import Mesh

from hsijax.classification.network import Blueprint, TrainedNetwork
from hsijax.classification.predict import predict_logits
from hsijax.classification.trained import TrainedClassifier
from hsijax.config import Progress
from hsijax.errors import HsijaxError
from hsijax.experiments.confidence import calibrate_run
from hsijax.experiments.task import Task
from hsijax.models.layers import check_precision
from hsijax.runs import Run
from hsijax.scenes.sensor import Sensor
from hsijax.training.course import (
    Epoch,
    Loop,
    Training,
    TrainingSet,
    steps_per_epoch,
)
from hsijax.training.loop import train_together
from hsijax.training.schedule import make_optimizer, make_schedule
from hsijax.training.step import (
    TrainState,
    TrainStep,
    cross_entropy,
    make_train_step,
    weigh_labels,
    weighted_cross_entropy,
)


def train_networks(
    run: Run, task: Task, numbers: Sequence[int], progress: Progress
) -> list[HsijaxError]:
    """Train some runs, side by side if they are several, and save their networks.

    Returns:
        Why there is no network of some of them.
    """
    started = [
        _start(run, task, number, progress)
        for number in numbers
        if not run.network_file(number).exists()
    ]
    ended = train_together([training for _, training in started])
    failures = []
    for (untrained, training), trained in zip(started, ended, strict=True):
        if isinstance(trained, HsijaxError):
            failures.append(trained)
            continue
        learned = replace(untrained.learned, params=trained.params)
        classifier = replace(untrained, learned=learned)
        number = training.loop.seed[1]
        try:
            classifier = calibrate_run(
                run, task, number, classifier, training.data.padded
            )
        except HsijaxError as error:
            failures.append(error)
            continue
        classifier.save(
            run.network_file(number), epoch=trained.epoch, seconds=trained.seconds
        )
    return failures


def _start(
    run: Run, task: Task, number: int, progress: Progress
) -> tuple[TrainedClassifier, Training]:
    """Prepare a run: its network before it has learned, and what it learns from."""
    config, split = task.config, task.splits.splits[number]
    blueprint = make_blueprint(task)
    learner = _make_learner(blueprint, steps_per_epoch(len(split.train), config.batch))
    params = blueprint.first_params(number)
    untrained = TrainedClassifier(
        TrainedNetwork(blueprint, params),
        task.fit_inputs(split),
        Sensor.of(task.scene),
        task.scene.classes,
    )
    padded = jnp.asarray(task.prepare(untrained.inputs, split))
    targets = task.scene.labels(split.train)
    if config.balance == "loss":
        targets = weigh_labels(targets, blueprint.classes)
    data = TrainingSet(padded, task.place(split.train).astype(np.int32), targets)
    pixels = split.test if config.select == "best-test" else split.validation

    def score(params: Any) -> float:
        placed = task.place(pixels)
        logits = predict_logits(blueprint.predictor(), params, padded, placed)
        return float(np.mean(logits.argmax(axis=1) == task.scene.labels(pixels)))

    def on_epoch(epoch: Epoch) -> None:
        run.add_history(epoch)
        scored = "test" if config.select == "best-test" else "validation"
        shown = "" if epoch.score is None else f", {scored} OA {epoch.score:.1%}"
        detail = f"epoch {epoch.epoch}/{config.epochs}, loss {epoch.loss:.3f}{shown}"
        stage = f"training run {number + 1}/{config.runs}"
        progress(stage, epoch.epoch, config.epochs, detail)

    loop = Loop(
        learner.make_step,
        learner.schedule,
        config.epochs,
        config.batch,
        (config.seed, number),
        score if len(pixels) else None,
        config.select != "last",
        on_epoch,
        balanced=config.balance == "sampling",
    )
    first = TrainState(params, jax.jit(learner.optimizer.init)(params))
    return untrained, Training(loop, first, data, run.state_file(number))


class _Learner(NamedTuple):
    """The step of a network with what it starts from and follows."""

    make_step: Callable[[Mesh | None], TrainStep]
    schedule: Callable[[int], Any]
    optimizer: optax.GradientTransformation


@cache
def _make_learner(blueprint: Blueprint, steps: int) -> _Learner:
    """Make the step once for all runs that have as many `steps` in an epoch."""
    config = blueprint.config
    schedule = make_schedule(config.schedule, config.lr, config.epochs * steps)
    optimizer = make_optimizer(config.optimizer, schedule, config.weight_decay)
    make_loss = weighted_cross_entropy if config.balance == "loss" else cross_entropy
    loss_fn = make_loss(blueprint.network(), config.label_smoothing)

    @cache
    def make_step(mesh: Mesh | None) -> TrainStep:
        return make_train_step(loss_fn, optimizer, config.patch, config.augment, mesh)

    return _Learner(make_step, schedule, optimizer)


def make_blueprint(task: Task) -> Blueprint:
    """Return what the networks of a task are built from.

    Raises:
        UsageError: they are to be trained in a precision that is not for this device.
    """
    check_precision(task.config.precision)
    channels = task.config.input_channels(int(task.scene.good_bands.sum()))
    return Blueprint(task.config, channels, len(task.scene.classes))
