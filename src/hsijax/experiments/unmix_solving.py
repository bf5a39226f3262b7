"""Runs of the methods that are shown no abundances of the scene."""

import time

import numpy as np

from hsijax.config import Progress
from hsijax.config.unmix import BLIND
from hsijax.experiments.unmix_learning import keep_predictions, learn_from_mixtures
from hsijax.experiments.unmix_scores import align, reorder, spectral_errors
from hsijax.experiments.unmix_task import UnmixTask, find_endmembers
from hsijax.io.spectral_library import SpectralLibrary
from hsijax.runs import Run
from hsijax.unmixing.edaa import edaa
from hsijax.unmixing.estimate import Estimate, estimate_abundances
from hsijax.unmixing.extraction import EXTRACTORS
from hsijax.unmixing.normalise import normalise
from hsijax.unmixing.uncertainty import residuals


def solve_runs(run: Run, task: UnmixTask, progress: Progress) -> Estimate:
    """Unmix all pixels that have data, as often as chance plays a part in it.

    Where there is a reference, each run is measured on the test pixels of its splits,
    so that its figures stand beside those of the methods that learn.

    Returns:
        The first run's estimate, in the reference's order where there is one.
    """
    by_chance = (
        task.config.learns
        or task.config.model in BLIND
        or task.config.endmembers in EXTRACTORS
    )
    estimates = []
    for index in range(task.config.runs if by_chance else 1):
        start = time.perf_counter()
        estimate = _solve(run, task, index, progress)
        seconds = time.perf_counter() - start
        if index == 0:
            run.update_manifest(seconds={"unmix": seconds})
        estimates.append(_measure(run, task, estimate, index, seconds))
    if not by_chance:
        for index in range(1, task.config.runs):
            _measure(run, task, estimates[0], index, 0.0)
    return estimates[0]


def _solve(run: Run, task: UnmixTask, index: int, progress: Progress) -> Estimate:
    config = task.config
    words = f"{config.model}, run {index + 1}"
    if config.model in BLIND:
        return _solve_blindly(task, index, progress)
    library = task.library
    assert library is not None
    if index and config.endmembers in EXTRACTORS:
        library = find_endmembers(config, task.data, task.count, index)
    if config.learns:
        return learn_from_mixtures(run, task, library, index, progress)
    progress(words, 0, 1)
    estimate = estimate_abundances(config, task.spectra, library)
    progress(words, 1, 1)
    return estimate


def _solve_blindly(task: UnmixTask, index: int, progress: Progress) -> Estimate:
    """Look for endmembers and abundances at once."""
    scene, spectra = task.data.scene, task.spectra
    seed = task.config.seed + index
    found = edaa(spectra, task.count, seed=seed, progress=progress)
    library = SpectralLibrary(
        tuple(f"endmember {number}" for number in range(1, task.count + 1)),
        found.endmembers.astype(np.float64),
        None if scene.wavelengths is None else scene.wavelengths[scene.good_bands],
    )
    # The abundances are of spectra without their brightness.
    shapes = normalise(spectra, "l2")
    rmse, angle = residuals(shapes, found.abundances, found.archetypes)
    rmse = rmse * np.linalg.norm(spectra, axis=1)
    return Estimate(library.names, found.abundances, library, rmse, angle)


def _measure(
    run: Run, task: UnmixTask, estimate: Estimate, index: int, seconds: float
) -> Estimate:
    """Compare one run with the reference, on the test pixels of that run's splits."""
    reference, data = task.reference, task.data
    if reference is None or task.splits is None:
        return estimate
    truth = reference.abundances[data.valid]
    order, how = align(estimate, reference, truth)
    if index == 0:
        run.update_manifest(matched=how)
    if order is None:
        return estimate
    estimate = reorder(estimate, order, reference.names)
    if index == 0:
        run.update_manifest(sad=spectral_errors(estimate, reference))
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
            [0.0, seconds],
        )
    return estimate
