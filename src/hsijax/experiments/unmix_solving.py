"""Runs of the methods that are shown no abundances of the scene."""

import time

import numpy as np

from hsijax.config import Progress
from hsijax.config.unmix import BLIND
from hsijax.experiments.unmix_endmembers import find_endmembers, number_endmembers
from hsijax.experiments.unmix_learning import (
    keep_predictions,
    learn_from_mixtures,
    rewind,
)
from hsijax.experiments.unmix_scores import align, reorder, spectral_errors
from hsijax.experiments.unmix_task import UnmixTask
from hsijax.io.spectral_library import SpectralLibrary
from hsijax.runs import Run
from hsijax.unmixing.edaa import edaa
from hsijax.unmixing.estimate import Estimate, estimate_abundances
from hsijax.unmixing.normalise import normalise
from hsijax.unmixing.uncertainty import residuals

Seconds = tuple[float, float]  # to learn and to unmix


def solve_runs(run: Run, task: UnmixTask, progress: Progress) -> Estimate:
    """Unmix all pixels that have data, as often as chance plays a part in it.

    Where there is a reference, each run is measured on the test pixels of its splits,
    so that its figures stand beside those of the methods that learn.

    Returns:
        The first run's estimate, in the reference's order where there is one.
    """
    if task.config.learns:
        rewind(run, task.config, task.config.runs)
    first, seconds = _solve(run, task, 0, progress)
    to_learn, to_unmix = seconds
    spent = {"train": to_learn, "unmix": to_unmix}
    run.update_manifest(seconds=spent if task.config.learns else {"unmix": to_unmix})
    whole = _measure(run, task, first, 0, seconds)
    for index in range(1, task.config.runs):
        if task.by_chance:
            estimate, seconds = _solve(run, task, index, progress)
            _measure(run, task, estimate, index, seconds)
        else:
            _measure(run, task, first, index, seconds)
    return whole


def _solve(
    run: Run, task: UnmixTask, index: int, progress: Progress
) -> tuple[Estimate, Seconds]:
    """Unmix once, and say how long that took."""
    config, library = task.config, task.given
    start = time.perf_counter()
    if config.model in BLIND:
        estimate = _solve_blindly(task, index, progress)
        return estimate, (0.0, time.perf_counter() - start)
    assert library is not None
    if index and task.endmembers.drawn:
        library = find_endmembers(config, task.data, task.endmembers.count, index)
    if config.learns:
        estimate = learn_from_mixtures(run, task, library, index, progress)
        assert estimate.seconds is not None
        return estimate, estimate.seconds
    words = f"{config.model}, run {index + 1}"
    progress(words, 0, 1)
    estimate = estimate_abundances(config, task.spectra, library)
    progress(words, 1, 1)
    return estimate, (0.0, time.perf_counter() - start)


def _solve_blindly(task: UnmixTask, index: int, progress: Progress) -> Estimate:
    """Look for endmembers and abundances at once."""
    scene, spectra, count = task.data.scene, task.spectra, task.endmembers.count
    found = edaa(spectra, count, seed=task.config.seed + index, progress=progress)
    library = SpectralLibrary(
        number_endmembers(count),
        found.endmembers.astype(np.float64),
        None if scene.wavelengths is None else scene.wavelengths[scene.good_bands],
    )
    # The abundances are of spectra without their brightness.
    shapes = normalise(spectra, "l2")
    rmse, angle = residuals(shapes, found.abundances, found.archetypes)
    rmse = rmse * np.linalg.norm(spectra, axis=1)
    details = {
        "chosen": found.chosen,
        "losses": found.losses.tolist(),
        "coherences": found.coherences.tolist(),
    }
    return Estimate(
        library.names,
        found.abundances,
        library,
        rmse,
        angle,
        details={"blind": details},
    )


def _measure(
    run: Run, task: UnmixTask, estimate: Estimate, index: int, seconds: Seconds
) -> Estimate:
    """Compare one run with the reference, on the test pixels of that run's splits."""
    reference, data = task.reference, task.data
    if reference is None:
        return estimate
    truth = reference.abundances[data.valid]
    order, how = align(estimate, reference, truth)
    if index == 0:
        run.update_manifest(matched=how)
    if order is None:
        return estimate
    estimate = reorder(estimate, order, reference.names)
    errors = spectral_errors(estimate, reference)
    if errors is not None:
        run.update_entry("sad", index, errors)
    if task.splits is None:
        return estimate
    place = np.full(data.valid.shape, -1)
    place[data.valid] = np.arange(len(truth))
    for numbers in task.columns.values():
        pixels = task.splits.splits[numbers[index]].test
        rows = place[pixels[:, 0], pixels[:, 1]]
        explained = ~np.isnan(estimate.abundances[rows]).any(axis=1)
        pixels, rows = pixels[explained], rows[explained]
        keep_predictions(
            run,
            numbers[index],
            pixels,
            truth[rows],
            estimate.abundances[rows],
            seconds,
        )
    return estimate
