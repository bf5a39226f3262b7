"""The training loop: epochs of one run or of several, checkpoints now and then."""

import time
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from hsijax.devices import plan_execution
from hsijax.errors import HsijaxError
from hsijax.training.course import Course, Loop, Trained, Training, TrainingSet
from hsijax.training.engine import compile_epoch, make_epoch
from hsijax.training.mesh import RUNS, decide, fetch, make_mesh, place
from hsijax.training.step import TrainState

PyTree = Any

# Share of the time that may go into checkpoints. An epoch of a second is always saved;
# on a GPU many pass between two checkpoints.
SAVING = 0.1


def train_run(
    loop: Loop, state: TrainState, data: TrainingSet, checkpoint: Path
) -> Trained:
    """Train one run to its end, or on from `checkpoint` where that exists.

    Everything random follows from the seed and the number of the epoch or step, and
    the checkpoint holds all the rest: a run that was killed at any moment ends with
    the same parameters, bit for bit, on the same CPU.

    Raises:
        HsijaxError: the loss is no longer finite.
    """
    [ended] = train_together([Training(loop, state, data, checkpoint)])
    if isinstance(ended, HsijaxError):
        raise ended
    return ended


def train_together(trainings: Sequence[Training]) -> list[Trained | HsijaxError]:
    """Train runs side by side, in one program where they are as far and as large.

    They share the step, the schedule, the epochs and the size of the batch. Each ends
    as it would alone, but for rounding.

    Returns:
        For each of them what it learned, or the error that its loss is not finite.
    """
    courses = [Course(training) for training in trainings]
    alike: dict[Any, list[Course]] = {}
    for course in courses:
        size = len(course.data.pixels), course.data.padded.shape
        alike.setdefault((course.epoch, *size), []).append(course)
    for group in alike.values():
        _train_alike(group)
    return [course.end() for course in courses]


def _train_alike(courses: Sequence[Course]) -> None:
    """Train runs that are equally far, with equally many pixels, to their end."""
    loop, steps = courses[0].loop, courses[0].steps
    stacked = len(courses) > 1
    mesh = make_mesh(len(courses), loop.batch if loop.shares_batch else 1)
    step = loop.make_step(mesh)
    if stacked or _is_one_program(loop):
        run_epoch = compile_epoch(step, mesh, stacked=stacked)
    else:
        run_epoch = make_epoch(step, mesh)
    lead = (RUNS,) if stacked else ()
    state, padded, keys = (
        place(_join(trees), mesh, *lead)
        for trees in zip(*[course.start() for course in courses], strict=True)
    )
    rates = _last_rates(loop, steps)
    saving, saved = 0.0, time.perf_counter()
    tick = saved
    for epoch in range(courses[0].epoch, loop.epochs):
        batches = _join([course.batches(epoch) for course in courses])
        state, losses = run_epoch(state, padded, *batches, keys, epoch * steps)
        losses = fetch(losses, mesh).reshape(len(courses), steps)
        params = [state.params] * len(courses)
        if stacked and loop.score:
            stack = fetch(state.params, mesh)
            params = [_part(stack, number) for number in range(len(courses))]
        before, tick = tick, time.perf_counter()
        share = (tick - before) / len(courses)
        for course, own, loss in zip(courses, params, losses.mean(1), strict=True):
            course.end_epoch(own, float(loss), rates[epoch], share)
        if all(course.failure for course in courses):
            return
        now = time.perf_counter()
        if decide(epoch + 1 == loop.epochs or SAVING * (now - saved) >= saving):
            _save(courses, fetch(state, mesh), stacked=stacked)
            saved = time.perf_counter()
            saving = saved - now


def _save(courses: Sequence[Course], state: TrainState, *, stacked: bool) -> None:
    for number, course in enumerate(courses):
        if not course.failure:
            course.save(_part(state, number) if stacked else state)


def _is_one_program(loop: Loop) -> bool:
    if loop.one_program is None:
        return plan_execution().one_program
    return loop.one_program


def _last_rates(loop: Loop, steps: int) -> list[float]:
    """The learning rate of each epoch's last step, as one small program."""
    last = (np.arange(loop.epochs) + 1) * steps - 1
    return np.asarray(_compile_rates(loop.schedule)(last)).tolist()


@cache
def _compile_rates(schedule: Callable[[int], Any]) -> Callable[..., Any]:
    return jax.jit(jax.vmap(schedule))


def _join(trees: Sequence[PyTree]) -> PyTree:
    """Stack the trees of several runs; that of a single one stays as it is."""
    if len(trees) == 1:
        return trees[0]
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *trees)


def _part(tree: PyTree, number: int) -> PyTree:
    """Take one run out of stacked trees."""
    return jax.tree.map(lambda leaf: leaf[number], tree)
