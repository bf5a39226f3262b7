"""Measures every network and solver: cost, compile time, speed, memory."""

import time
from collections import deque
from collections.abc import Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import asdict
from typing import Any

import jax
import numpy as np

from hsijax.config import Progress, TrainConfig, no_progress
from hsijax.devices import describe_devices, plan_execution
from hsijax.experiments.bench_cases import BASELINE, Case
from hsijax.experiments.bench_counts import count_case
from hsijax.experiments.bench_networks import (
    Programs,
    estimate_flops,
    make_programs,
)
from hsijax.experiments.bench_programs import (
    Compiling,
    Measured,
    start_compiling,
    warm_up,
    without_cache,
)
from hsijax.runs import describe_environment

# Rounds go on until there are enough or the time is over, but the least in any case.
MEASURING = 6.0  # seconds
LEAST_ROUNDS, MOST_ROUNDS = 3, 21

USES = ("training", "prediction")
# The settings that decide what a row computes; None where a network has no such thing.
SETTINGS = (
    *("preset", "architecture", "patch", "batch", "square", "optimizer", "augment"),
    "precision",
    *("solver", "steps", "rtol", "atol", "step_control", "adjoint"),
)


def benchmark(
    cases: Sequence[Case],
    progress: Progress = no_progress,
    *,
    seconds: float = MEASURING,
) -> dict[str, Any]:
    """Compile each case, then time all of them in interleaved rounds.

    An interruption (Ctrl-C) ends the measurement, not the function: the report then
    has what is known so far and says `interrupted`.

    Args:
        cases: one row each.
        progress: told what is being done.
        seconds: that the rounds may take, unless fewer than three are done by then.

    Returns:
        The device, the versions and the rows, as plain values.

    Raises:
        UsageError: a network cannot have its patch or its channels.
        HsijaxError: a program does not fit into the device's memory.
    """
    rows: list[dict[str, Any]] = []
    measured: list[tuple[Measured, Measured]] = []
    interrupted = False
    try:
        with closing(_compile_ahead(cases, progress)) as compiled:
            for case, programs, (train, predict), counted in compiled:
                pair = warm_up(train), warm_up(predict)
                rows.append(_describe(case, programs, pair, counted.result()))
                measured.append(pair)
        progress("compiling", len(cases), len(cases))
        _time_rounds(measured, seconds, progress)
    except KeyboardInterrupt:
        interrupted = True
    for row, pair in zip(rows, measured, strict=False):
        for use, program in zip(USES, pair, strict=True):
            row[use]["patches_per_second"] = summarise_speed(
                program.program.patches, program.seconds
            )
    _compare(rows)
    return {
        **describe_environment(describe_devices()),
        "interrupted": interrupted,
        "rows": rows,
    }


# A case, its programs, their compilation, and the evaluations that it makes.
_Started = tuple[
    Case, Programs, tuple[Compiling, Compiling], Future[dict[str, Any] | None]
]


def _compile_ahead(
    cases: Sequence[Case], progress: Progress
) -> Generator[_Started, None, None]:
    """Yield each case with its two programs, while those of the next are compiled.

    XLA compiles a program for a CPU on one core, so two are compiled at once. On a GPU,
    where it tries programs out and memory is measured, one follows the other.
    """
    alone = plan_execution().one_program
    waiting: deque[_Started] = deque()
    with without_cache(), ThreadPoolExecutor(1 if alone else 2) as pool:
        try:
            for number, case in enumerate(cases):
                name = f"{case.config.model} {case.solver or ''}".rstrip()
                progress("compiling", number, len(cases), name)
                programs = make_programs(case)
                train, predict = (start_compiling(p, pool) for p in programs)
                counted = pool.submit(count_case, case, programs)
                waiting.append((case, programs, (train, predict), counted))
                if alone or len(waiting) > 2:
                    yield waiting.popleft()
            yield from waiting
        finally:
            pool.shutdown(cancel_futures=True)


def _time_rounds(
    measured: Sequence[tuple[Measured, Measured]], seconds: float, progress: Progress
) -> None:
    """Time one burst of each program in every round, so that a disturbance hits all."""
    begin = time.perf_counter()
    for number in range(MOST_ROUNDS):
        elapsed = time.perf_counter() - begin
        if number >= LEAST_ROUNDS and elapsed > seconds:
            break
        progress("measuring", min(elapsed, seconds), seconds, f"round {number + 1}")
        # A round counts for all programs or for none.
        times = [[program.time_burst() for program in pair] for pair in measured]
        for pair, found in zip(measured, times, strict=True):
            for program, one in zip(pair, found, strict=True):
                program.seconds.append(one)
    progress("measuring", seconds, seconds)


def _describe(
    case: Case,
    programs: Programs,
    pair: tuple[Measured, Measured],
    evaluations: dict[str, Any] | None,
) -> dict[str, Any]:
    """Return all of a row but the times."""
    config = case.config
    settings = asdict(config)
    row = {
        "task": "classification" if isinstance(config, TrainConfig) else "unmixing",
        "model": config.model,
        "solver": case.solver,
        "settings": {name: settings.get(name) for name in SETTINGS}
        | {"channels": case.channels},
        "parameters": sum(a.size for a in jax.tree.leaves(programs.predict.first)),
        "evaluations": evaluations,
        **{use: found.describe() for use, found in zip(USES, pair, strict=True)},
    }
    loss = float(pair[0].result)
    row["training"]["finite"] = bool(np.isfinite(loss))
    for use in USES:
        row[use]["loops"] = case.loops
    if case.loops and evaluations:
        for use, flops in zip(USES, estimate_flops(case, evaluations), strict=True):
            row[use]["flops"] = flops
    return row


def summarise_speed(
    patches: int, seconds: Sequence[float]
) -> dict[str, float | int] | None:
    """Return the median and the quartiles of patches per second.

    >>> summarise_speed(100, [1.0, 2.0, 4.0])
    {'median': 50.0, 'lower_quartile': 37.5, 'upper_quartile': 75.0, 'rounds': 3}
    """
    if not seconds:
        return None
    speeds = patches / np.array(seconds)
    lower, median, upper = np.percentile(speeds, [25, 50, 75]).tolist()
    return {
        "median": median,
        "lower_quartile": lower,
        "upper_quartile": upper,
        "rounds": len(speeds),
    }


def _compare(rows: Sequence[dict[str, Any]]) -> None:
    """Add to each classifier its time as a multiple of the baseline's."""
    base = [row for row in rows if row["model"] == BASELINE]
    for row in rows:
        for use in USES:
            speed = row[use]["patches_per_second"]
            comparable = base and speed and row["task"] == "classification"
            row[use]["time_ratio"] = (
                base[0][use]["patches_per_second"]["median"] / speed["median"]
                if comparable
                else None
            )
