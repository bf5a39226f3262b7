"""A compiled program under measurement: its cost, its memory, its speed."""

import math
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import jax
from jax.experimental.compilation_cache import compilation_cache

from hsijax.errors import HsijaxError
from hsijax.training.mesh import MOST_AHEAD, keep_pace

# Calls are timed in bursts of at least this long, seconds: the clock and the last wait
# for the device then weigh little.
BURST = 0.05


@dataclass(frozen=True, eq=False)
class Program:
    """A jitted function with the arguments that it is measured on."""

    function: Callable[..., Any]
    first: Any  # its first argument: parameters, or the state of a training
    rest: tuple[Any, ...]
    patches: int  # that a call works on
    # Whether the function consumes `first` and returns the next one before its result.
    carries: bool
    devices: int = 1  # that share a call
    # Does `steps` calls in one program, first -> (first, results): what is timed where
    # a training runs so.
    epoch: Callable[[Any], tuple[Any, Any]] | None = None
    steps: int = 1


@dataclass(eq=False)
class Measured:
    """A program after its compilation, and the times of its calls so far."""

    program: Program
    compiled: Any
    trace_seconds: float
    compile_seconds: float
    peak: int | None  # of the device, bytes, if the first call raised it
    first: Any  # what the next call takes
    result: Any  # of the first call
    repeats: int = 1  # calls in a burst
    seconds: list[float] = field(default_factory=list)  # of a call, for each burst

    def time_burst(self) -> float:
        """Time some calls in a row; return the seconds of one."""
        program = self.program
        begin = time.perf_counter()
        results: deque[Any] = deque(maxlen=MOST_AHEAD + 1)
        for _ in range(self.repeats):
            if program.epoch:
                self.first, result = program.epoch(self.first)
            else:
                self.first, result = _call(self.compiled, program, self.first)
            results.append(result)
            keep_pace(results)
        jax.block_until_ready(results[-1])
        return (time.perf_counter() - begin) / (self.repeats * program.steps)

    def describe(self) -> dict[str, Any]:
        """Return what the compiler says, as plain values; None where it says nothing.

        Bytes are those of all operands and results of the compiled operations. Devices
        that share a call are summed up.
        """
        devices = self.program.devices
        flops, moved = (
            read_cost(self.compiled, name) for name in ("flops", "bytes accessed")
        )
        return {
            "patches_per_call": self.program.patches,
            "devices": devices,
            "flops": None if flops is None else devices * flops,
            "bytes_accessed": None if moved is None else devices * moved,
            "trace_seconds": self.trace_seconds,
            "compile_seconds": self.compile_seconds,
            "memory": _read_memory(self.compiled, devices) | {"device_peak": self.peak},
        }


class Compiling(NamedTuple):
    """A program that is traced already, and its compilation on its way."""

    program: Program
    trace_seconds: float
    compiled: Future[tuple[Any, float]]  # and the seconds it took


def start_compiling(program: Program, pool: Executor) -> Compiling:
    """Trace a program, and let the pool compile it."""
    begin = time.perf_counter()
    lowered = program.function.lower(program.first, *program.rest)
    traced = time.perf_counter()

    def build() -> tuple[Any, float]:
        begin = time.perf_counter()
        compiled = lowered.compile()
        return compiled, time.perf_counter() - begin

    return Compiling(program, traced - begin, pool.submit(build))


def warm_up(compiling: Compiling) -> Measured:
    """Wait for a program, and call it until it is warm.

    Raises:
        HsijaxError: it does not fit into the device's memory.
    """
    program = compiling.program
    try:
        compiled, compile_seconds = compiling.compiled.result()
        before = _peak_of(program.first)
        first, result = _call(compiled, program, program.first)
        jax.block_until_ready(result)
    except jax.errors.JaxRuntimeError as error:
        if "RESOURCE_EXHAUSTED" not in str(error):
            raise
        raise HsijaxError(
            f"a program on {program.patches} patches does not fit into the device's "
            "memory: give a smaller --batch or --patch"
        ) from error
    after = _peak_of(first)
    raised = after is not None and after != before
    measured = Measured(
        program,
        compiled,
        trace_seconds=compiling.trace_seconds,
        compile_seconds=compile_seconds,
        peak=after if raised else None,
        first=first,
        result=result,
    )
    if program.epoch:
        measured.time_burst()  # which compiles it
    burst = measured.time_burst() * program.steps
    measured.repeats = max(1, math.ceil(BURST / burst))
    return measured


def read_cost(stage: Any, name: str) -> float | None:
    """Return a figure of XLA's cost analysis; None where it has none.

    XLA counts the body of a loop once, however often it runs.

    Args:
        stage: what `lower` or `compile` returned.
        name: "flops" or "bytes accessed".
    """
    try:
        analysis = stage.cost_analysis()
    except (NotImplementedError, jax.errors.JaxRuntimeError):
        return None
    if isinstance(analysis, list):  # one for each computation; the first is the whole
        analysis = analysis[0] if analysis else None
    value = (analysis or {}).get(name, -1.0)
    return float(value) if value >= 0 else None


def _call(compiled: Any, program: Program, first: Any) -> tuple[Any, Any]:
    found = compiled(first, *program.rest)
    return found if program.carries else (first, found)


def _read_memory(compiled: Any, devices: int) -> dict[str, int | None]:
    """Return the bytes that a program holds, by what they are for."""
    try:
        found = compiled.memory_analysis()
    except (NotImplementedError, jax.errors.JaxRuntimeError):
        found = None
    names = ("argument", "output", "alias", "temp")
    if found is None:
        return dict.fromkeys(("arguments", "outputs", "temporary", "peak"))
    argument, output, alias, temporary = (
        devices * int(getattr(found, f"{name}_size_in_bytes")) for name in names
    )
    return {
        "arguments": argument,
        "outputs": output - alias,  # what does not lie in an argument's place
        "temporary": temporary,
        "peak": argument + output - alias + temporary,
    }


def _peak_of(arrays: Any) -> int | None:
    """Return the most bytes that the arrays' device has held so far; None on a CPU."""
    device = next(iter(jax.tree.leaves(arrays)[0].devices()))
    return (device.memory_stats() or {}).get("peak_bytes_in_use")


@contextmanager
def without_cache() -> Iterator[None]:
    """Compile for real what another process may have compiled before."""
    before = jax.config.values["jax_enable_compilation_cache"]
    # jax decides once whether it uses its cache; a reset lets it decide again.
    jax.config.update("jax_enable_compilation_cache", False)
    compilation_cache.reset_cache()
    try:
        yield
    finally:
        jax.config.update("jax_enable_compilation_cache", before)
        compilation_cache.reset_cache()
