"""What every benchmark shares: interleaved rounds, their summary, and the result file.

Opponents take turns, round after round, so that a busy machine hurts all alike: trust
ratios of one run, not seconds of two.
"""

import argparse
import json
import os
import re
import sys
import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any, TypeVar

import jax
import numpy as np

from hsijax.devices import select_device
from hsijax.io.atomic import write_text

RESULTS = Path(__file__).parent / "results"
REFERENCE = Path(__file__).parents[1] / "tests"  # holds the networks in PyTorch

Name = TypeVar("Name", bound=Hashable)


def make_parser(
    docstring: str, rounds: int, quick: str = ""
) -> argparse.ArgumentParser:
    """Make a parser with the options of all benchmarks; the docstring is its help.

    `quick` says what `--quick` makes smaller, for scripts that have it.
    """
    parser = argparse.ArgumentParser(
        description=docstring, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=rounds)
    parser.add_argument("--out", type=Path, help="folder of the result file")
    if quick:
        parser.add_argument(
            "--quick",
            action="store_true",
            help=f"{quick}; to see that it works: writes only where --out says",
        )
    return parser


def limit_threads(threads: int | None) -> int:
    """Let JAX and PyTorch compute with so many cores, all by default, as hsijax does.

    Call it before the first computation: XLA asks for the cores once, and has no other
    way of being told.
    """
    cores = sorted(os.sched_getaffinity(0)) if _has_affinity() else []
    if threads and cores:
        os.sched_setaffinity(0, cores[:threads])
    select_device("auto")
    threads = threads or len(cores) or os.cpu_count() or 1
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(threads)
    return threads


def _has_affinity() -> bool:
    return hasattr(os, "sched_setaffinity")  # not on macOS and Windows


def import_reference() -> Any:
    """Import the networks in PyTorch that the tests compare with."""
    sys.path.append(str(REFERENCE))
    return __import__("torch_reference")


def interleave(
    cases: Mapping[Name, Callable[[], object]],
    rounds: int,
    *,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[Name, list[float]]:
    """Call each case once a round, and return the seconds of its calls.

    A case waits itself for what it has started. Call each once before, to compile.
    """
    times: dict[Name, list[float]] = {name: [] for name in cases}
    for _ in range(rounds):
        for name, function in cases.items():
            begin = clock()
            function()
            times[name].append(clock() - begin)
    return times


def summarise(times: Sequence[float]) -> dict[str, float]:
    """Return median, least and quartiles, in milliseconds.

    >>> summarise([0.003, 0.001, 0.002])["median_ms"]
    2.0
    """
    first, median, third = 1000 * np.percentile(times, [25, 50, 75])
    return {
        "median_ms": round(float(median), 4),
        "least_ms": round(1000 * min(times), 4),
        "first_quartile_ms": round(float(first), 4),
        "third_quartile_ms": round(float(third), 4),
    }


def ratio(times: Sequence[float], reference: Sequence[float]) -> float:
    """Return how many times as long as the reference: the ratio of the medians.

    >>> ratio([2.0, 9.0, 2.0], [1.0, 1.0, 4.0])
    2.0
    """
    return float(np.median(times) / np.median(reference))


def device_slug() -> str:
    """Name the device in a file's name: "cpu", "nvidia-h200"."""
    device = jax.devices()[0]
    if device.platform == "cpu":
        return "cpu"
    return re.sub(r"[^a-z0-9]+", "-", device.device_kind.lower()).strip("-")


def write_results(
    script: str,
    packages: Sequence[str],
    settings: Mapping[str, Any],
    rows: Sequence[Mapping[str, Any]],
    options: argparse.Namespace,
    **more: Any,
) -> Path | None:
    """Write `<script>-<device>.json`: device, versions, settings and rows.

    A quick run leaves the results that are there alone, unless `--out` was given.
    """
    quick = getattr(options, "quick", False)
    if quick and options.out is None:
        print("a quick run: nothing is written")
        return None
    device = jax.devices()[0]
    result = {
        "benchmark": script,
        "device": {"platform": device.platform, "kind": device.device_kind},
        "cores": os.cpu_count(),
        "versions": {name: metadata.version(name) for name in packages},
        "settings": {**settings, "rounds": options.rounds, "quick": quick},
        **more,
        "rows": rows,
    }
    folder = options.out or RESULTS
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{script}-{device_slug()}.json"
    write_text(path, json.dumps(result, indent=2) + "\n")
    print(f"written: {path}")
    return path
