"""The fits of a run's classical classifiers, one run after another."""

import time
from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np

from hsijax.classification.spectral import fit_spectral
from hsijax.classification.trained import TrainedClassifier
from hsijax.config import Progress
from hsijax.errors import HsijaxError
from hsijax.experiments.confidence import calibrate_run
from hsijax.experiments.task import Task
from hsijax.runs import Run
from hsijax.scenes.sensor import Sensor


def train_spectral(
    run: Run, task: Task, numbers: Sequence[int], progress: Progress
) -> list[HsijaxError]:
    """Fit the classifiers of some runs, and save them; what is saved stays.

    `run.json` gets the settings that were chosen, as `hyper_parameters` of each run.

    Returns:
        Why there is no classifier of some of them.
    """
    failures = []
    for number in numbers:
        if run.network_file(number).exists():
            continue
        try:
            _train(run, task, number, progress)
        except HsijaxError as error:
            failures.append(error)
    return failures


def _train(run: Run, task: Task, number: int, progress: Progress) -> None:
    config, scene, split = task.config, task.scene, task.splits.splits[number]
    stage = f"training run {number + 1}/{config.runs}"

    def report(done: int, total: int, detail: str) -> None:
        progress(stage, done, total, detail)

    start = time.perf_counter()
    inputs = task.fit_inputs(split)
    # The whole scene, so that they are to the bit what is predicted.
    padded = task.prepare(inputs, split)
    spectra = padded[tuple((task.place(split.train) + config.patch // 2).T)]
    labels = scene.labels(split.train)
    seed = np.random.SeedSequence((config.seed, number)).generate_state(1)
    learned, accuracy = fit_spectral(
        config, spectra, labels, len(scene.classes), int(seed[0]), report
    )
    seconds = time.perf_counter() - start
    held_out = None if accuracy is None else 100 * accuracy  # percent
    run.update_entry(
        "hyper_parameters", number, {**learned.settings, "cross_validated_oa": held_out}
    )
    classifier = TrainedClassifier(learned, inputs, Sensor.of(scene), scene.classes)
    classifier = calibrate_run(run, task, number, classifier, jnp.asarray(padded))
    classifier.save(run.network_file(number), epoch=0, seconds=seconds)
