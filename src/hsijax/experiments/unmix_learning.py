"""Runs of the methods that learn: from reference abundances, or from mixtures."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from hsijax.config import Progress, UnmixConfig
from hsijax.experiments.unmix_scores import figures_of
from hsijax.experiments.unmix_task import UnmixTask
from hsijax.io.spectral_library import SpectralLibrary
from hsijax.runs import Run
from hsijax.settings import make_unmix_config
from hsijax.training.checkpoint import read_metadata
from hsijax.training.course import Epoch
from hsijax.unmixing.controls import run_controls
from hsijax.unmixing.estimate import Estimate
from hsijax.unmixing.learners import LEARNERS
from hsijax.unmixing.lesson import Lesson, Unmixer
from hsijax.unmixing.materials import material_means, material_names
from hsijax.unmixing.simulation import simulate_lesson
from hsijax.unmixing.uncertainty import residuals

# The control that is itself a learner: principal components and a small network.
CONTROL = "pca-net"


def learn_from_reference(run: Run, task: UnmixTask, progress: Progress) -> Estimate:
    """Train once a split on the reference, and predict that split's test pixels.

    Returns:
        What the first training makes of the whole scene.
    """
    data, reference, splits = task.data, task.reference, task.splits
    assert reference is not None
    assert splits is not None
    rewind(run, task.config, len(splits.splits))
    for method, column in task.columns.items():
        for index, number in enumerate(column):
            if f"run{number}_truth" in run.read_predictions():
                continue
            split = splits.splits[number]
            lesson = Lesson(
                data.cube,
                data.valid,
                reference.abundances,
                split.train,
                split.validation,
            )
            words = f"{task.config.model}, {method} split, run {index + 1}"
            stage = _Stage(run, task.config, number, words, progress)
            unmixer = _fit(stage, lesson, index)
            start = time.perf_counter()
            predicted = unmixer.predict(data.cube, data.valid, split.test)
            seconds = [unmixer.seconds, time.perf_counter() - start]
            truth = reference.abundances[split.test[:, 0], split.test[:, 1]]
            if task.config.controls:
                _measure_controls(stage, task, lesson, split.test, truth, index)
            keep_predictions(run, number, split.test, truth, predicted, seconds)
    first = LEARNERS[task.config.model].load(run.network_file(0))
    run.update_manifest(trained_on="reference abundances of the training pixels")
    return _apply(first, task, reference.names, reference.endmembers)


def learn_from_mixtures(
    run: Run, task: UnmixTask, library: SpectralLibrary, index: int, progress: Progress
) -> Estimate:
    """Train on mixtures simulated from endmembers; apply that to the whole scene."""
    config = task.config
    lesson, held_out = simulate_lesson(config, library, index)
    words = f"{config.model}, simulated mixtures, run {index + 1}"
    unmixer = _fit(_Stage(run, config, index, words, progress), lesson, index)
    names = material_names(library)
    run.update_manifest(
        trained_on=(
            f"{len(lesson.train):,} of {lesson.valid.size:,} mixtures simulated from "
            f"{len(names)} endmembers ({task.origin}), brightness varying by "
            f"{config.variability:.0%}, {config.snr:g} dB: no abundances of the scene "
            "were shown"
        )
    )
    predicted = unmixer.predict(lesson.cube, lesson.valid, held_out)
    truth = lesson.abundances[held_out[:, 0], held_out[:, 1]]
    figures = figures_of(predicted, truth, names)
    run.update_entry("held_out_mixtures", index, figures)
    start = time.perf_counter()
    estimate = _apply(unmixer, task, names, material_means(library))
    seconds = (unmixer.seconds, time.perf_counter() - start)
    return replace(estimate, seconds=seconds)


def rewind(run: Run, config: UnmixConfig, trainings: int) -> None:
    """Drop those epochs of `history.csv` that will be trained again."""
    run.rewind_history([_epochs_done(run, config, n) for n in range(trainings)])


def keep_predictions(
    run: Run,
    number: int,
    pixels: Int[np.ndarray, "pixels 2"],
    truth: Float[np.ndarray, "pixels endmembers"],
    predicted: Float[np.ndarray, "pixels endmembers"],
    seconds: Sequence[float],
) -> None:
    """Add what a run says of its test pixels to `predictions.npz`."""
    results = {
        "pixels": pixels.astype(np.int32),
        "truth": truth.astype(np.float32),
        "predicted": predicted.astype(np.float32),
        "seconds": np.array(seconds),
    }
    run.write_predictions(
        run.read_predictions()
        | {f"run{number}_{name}": array for name, array in results.items()}
    )


@dataclass(frozen=True, eq=False)
class _Stage:
    """How one training is shown and kept."""

    run: Run
    config: UnmixConfig
    number: int  # of the training, over all splits
    words: str
    progress: Progress

    def on_epoch(self, epoch: Epoch) -> None:
        self.run.add_history(epoch._replace(run=self.number))
        total = self.config.epochs
        # The second network's epochs are counted on from the first's.
        total = 2 * total if self.config.model == "aann" else total
        detail = f"epoch {epoch.epoch}/{total}, loss {epoch.loss:.4f}"
        self.progress(self.words, epoch.epoch, total, detail)


def _fit(stage: _Stage, lesson: Lesson, index: int) -> Unmixer:
    """Train a method and keep what it learned, unless that was done before."""
    file, model = stage.run.network_file(stage.number), stage.config.model
    if file.exists():
        unmixer = LEARNERS[model].load(file)
    else:
        checkpoint = stage.run.state_file(stage.number)
        fit = LEARNERS[model].fit
        unmixer = fit(stage.config, lesson, index, checkpoint, stage.on_epoch)
        unmixer.save(file)
    for state in _state_files(stage.run, stage.number):
        state.unlink()
    return unmixer


def _apply(
    unmixer: Unmixer,
    task: UnmixTask,
    names: tuple[str, ...],
    endmembers: SpectralLibrary | None,
) -> Estimate:
    """Unmix every pixel that has data."""
    data = task.data
    pixels = np.argwhere(data.valid).astype(np.int32)
    abundances = unmixer.predict(data.cube, data.valid, pixels)
    found = Estimate(names, abundances, endmembers, parameters=unmixer.parameters)
    if endmembers is None:
        return found
    rmse, angle = residuals(task.spectra, abundances, endmembers.spectra)
    return replace(found, rmse=rmse, angle=angle)


def _measure_controls(
    stage: _Stage,
    task: UnmixTask,
    lesson: Lesson,
    test: Int[np.ndarray, "pixels 2"],
    truth: Float[np.ndarray, "pixels endmembers"],
    index: int,
) -> None:
    """Measure on the same test pixels what needs no network, or a much smaller one."""
    run, reference, number = stage.run, task.reference, stage.number
    assert reference is not None
    known = reference.endmembers
    estimates: dict[str, Any] = run_controls(
        lesson.cube,
        lesson.valid,
        lesson.abundances,
        lesson.train,
        test,
        None if known is None else known.spectra,
    )
    if task.config.model != CONTROL:
        given = {"scene": task.config.scene, "model": CONTROL, "seed": task.config.seed}
        config = make_unmix_config(given, {})
        file = run.state_file(number).with_name(f"control-{number}-state.safetensors")
        network = LEARNERS[CONTROL].fit(config, lesson, index, file, lambda epoch: None)
        estimates["PCA(4) + network"] = network.predict(lesson.cube, lesson.valid, test)
        file.unlink(missing_ok=True)  # of the control alone
    figures = {
        name: figures_of(estimate, truth, reference.names)
        for name, estimate in estimates.items()
    }
    run.update_entry("controls", number, figures)


def _epochs_done(run: Run, config: UnmixConfig, number: int) -> int:
    """How many epochs of a training need not be done again."""
    if run.network_file(number).exists():
        return 2 * config.epochs  # more than there are, or as many
    # Of two networks in a row each has its own checkpoint.
    return sum(read_metadata(file)["epoch"] for file in _state_files(run, number))


def _state_files(run: Run, number: int) -> list[Path]:
    """List the checkpoints of a training that has not ended."""
    state = run.state_file(number)
    return sorted(state.parent.glob(f"{state.stem}*{state.suffix}"))
