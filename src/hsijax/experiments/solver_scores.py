"""What trained networks reach on their test pixels with other solvers than their own.

The parameters of an ODE-net belong to a differential equation, so any solver can follow
it. Whether the classes stay the same is what this measures.
"""

import json
import platform
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from importlib import metadata

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from hsijax.classification.network import TrainedNetwork
from hsijax.classification.trained import TrainedClassifier
from hsijax.config import OdeSolver, Progress, no_progress
from hsijax.devices import compute_devices, describe_devices
from hsijax.errors import HsijaxError, UsageError
from hsijax.experiments.task import Task, check_sources, describe_task
from hsijax.io.atomic import write_text
from hsijax.models import count_evaluations
from hsijax.patches import gather_patches
from hsijax.runs import Run

# Stands for the exact solution of the differential equation.
REFERENCE = OdeSolver("dopri5", rtol=1e-5, atol=1e-5)

# `oa` in percent and `seconds` (None where the solver did not reach the end), and
# `evaluations`, the mean over a batch of patches.
Score = dict[str, float | None]


def label_solver(solver: OdeSolver) -> str:
    """Name a solver with its steps, or with its tolerance if these adapt.

    >>> label_solver(OdeSolver("euler", 4)), label_solver(REFERENCE)
    ('euler:4', 'dopri5:1e-05')
    """
    if solver.rtol is None:
        return f"{solver.solver}:{solver.steps}"
    label = f"{solver.solver}:{solver.rtol:g}"
    return label if solver.atol in (None, solver.rtol) else f"{label}:{solver.atol:g}"


def score_networks(
    run: Run,
    load: Callable[[], Task],
    solvers: Iterable[OdeSolver],
    progress: Progress = no_progress,
) -> dict[str, list[Score]]:
    """Predict the test pixels of a finished run folder with each of some solvers.

    What was measured on the same machine with the same versions is read from
    `solvers.json` in the folder.

    Args:
        run: its networks, and the test pixels of each.
        load: returns the scene; called only if something is left to measure.
        solvers: what else the networks are solved with.
        progress: told of each prediction.

    Returns:
        For each solver's label the scores of all runs, in their order.

    Raises:
        HsijaxError: the scene is not the one that the run was trained on, or another
            process is writing the folder.
    """
    labelled = {label_solver(solver): solver for solver in solvers}
    count, device = run.read_config().runs, _describe_machine()
    path = run.folder / "solvers.json"
    with run.claim():
        measured = json.loads(path.read_text()) if path.exists() else {}
        known = measured.setdefault(device, {})
        for number in range(count):
            scores = known.setdefault(str(number), {})
            left = [label for label in labelled if label not in scores]
            if not left:
                continue
            task = load()
            check_sources(run, describe_task(task))
            classifier = TrainedClassifier.load(run.network_file(number))
            split = task.splits.splits[number]
            padded = jnp.asarray(task.prepare(classifier.inputs, split))
            predictions = run.read_predictions()
            names = (f"run{number}_{n}" for n in ("pixels", "truth"))
            pixels, truth = (predictions[name] for name in names)
            for place, label in enumerate(left):
                stage = f"{run.folder.name}, run {number + 1}/{count}: other solvers"
                progress(stage, place, len(left), label)
                scores[label] = score_solver(
                    classifier, padded, task.place(pixels), truth, labelled[label]
                )
                write_text(path, json.dumps(measured, indent=2) + "\n")
    return {
        label: [known[str(number)][label] for number in range(count)]
        for label in labelled
    }


def _describe_machine() -> str:
    """Name all that the seconds of a prediction depend on."""
    packages = (f"{name} {metadata.version(name)}" for name in ("hsijax", "jax"))
    devices = f"{len(compute_devices())} x {describe_devices()}"
    return ", ".join((platform.node(), devices, *packages))


def score_solver(
    classifier: TrainedClassifier,
    padded: Float[Array, "padded_rows padded_cols channels"],
    pixels: Int[np.ndarray, "pixels 2"],
    truth: Int[np.ndarray, " pixels"],
    solver: OdeSolver,
) -> Score:
    """Measure a trained network with a solver: OA, evaluations and seconds.

    Args:
        classifier: any; networks without a continuous block ignore the solver.
        padded: the cube as the classifier has prepared it.
        pixels: what to predict.
        truth: their class ids.
        solver: takes the place of the one that the network was trained with.

    Raises:
        UsageError: the classifier is no network.
    """
    config, network = classifier.config, classifier.learned
    if not isinstance(network, TrainedNetwork):
        raise UsageError(
            f"{config.model} is no network: it solves no differential equation, and so "
            "has no other solver"
        )
    network = network.with_solver(solver)
    other = replace(classifier, learned=network)
    batch = gather_patches(padded, jnp.asarray(pixels[: config.batch]), config.patch)
    evaluations = count_evaluations(network.model(), batch).mean
    try:
        other.predict(padded, pixels[:1])  # compiles, which is not what is timed
        start = time.perf_counter()
        predicted, _ = other.predict(padded, pixels)
    except HsijaxError:
        # The only thing that can be wrong by now: there is no finite answer.
        return {"oa": None, "evaluations": evaluations, "seconds": None}
    seconds = time.perf_counter() - start
    accuracy = 100 * float(np.mean(predicted == truth))
    return {"oa": accuracy, "evaluations": evaluations, "seconds": seconds}
