"""Which device computes, and what depends on it."""

import contextlib
import ctypes
import importlib.util
import logging
import os
import re
import stat
import sys
import warnings
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from hsijax.errors import HsijaxError, UsageError

# A jax.Device; jax does not export it as a type.
Device = Any

# The extras that bring jax's GPU plugin, its module and the driver that it needs.
GPU_EXTRAS = {
    "cuda12": ("jax_cuda12_plugin", 525),
    "cuda13": ("jax_cuda13_plugin", 580),
}

# Of GNU's malloc.h.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8
# Cores that share a batch at most; more have not been tried.
MOST_CORES = 16

_logger = logging.getLogger("hsijax")


@dataclass(frozen=True)
class DeviceInfo:
    """One device that jax can use."""

    name: str  # what --device takes, such as "gpu:0"
    kind: str  # as the maker calls it
    memory_bytes: int | None  # None where jax cannot tell


def select_device(name: str, *, several_hosts: bool = False) -> Device:
    """Let all further computation run on a device, and return it.

    Call it before jax is imported for anything else, so that `cpu` does not wait for
    a GPU to be set up, and so that jax can have a device for each core.

    Args:
        name: "auto" (what jax finds best), "cpu" or "gpu", which are all of their kind,
            or a single one such as "gpu:1".
        several_hosts: whether the command can run on several hosts at once, which it
            does where JAX_COORDINATOR_ADDRESS is set; see docs/devices.md.

    Raises:
        UsageError: the name is none of these, or there are fewer devices.
        HsijaxError: there is no such device; the message says what it needs.
    """
    match = re.fullmatch(r"(auto|cpu|gpu)(?::(\d+))?", name)
    if not match or (match[1] == "auto" and match[2]):
        raise UsageError(
            f"no device '{name}': give auto, cpu, gpu or one such as gpu:1"
        )
    platform, number = match[1], match[2]
    if "jax" not in sys.modules:
        if platform == "cpu":
            os.environ["JAX_PLATFORMS"] = "cpu"
        elif platform == "gpu":
            # jax would not even look for one if this named the CPU alone.
            os.environ.pop("JAX_PLATFORMS", None)
    import jax

    _spread_over_cores()
    _keep_freed_memory()
    if several_hosts and os.environ.get("JAX_COORDINATOR_ADDRESS"):
        if number:
            raise UsageError(
                f"--device {name} names a device of one host, but "
                f"JAX_COORDINATOR_ADDRESS is set: give --device {platform}"
            )
        _join_hosts()
    devices = _find_devices(platform)
    index = int(number or 0)
    if index >= len(devices):
        last = f"the last one is {platform}:{len(devices) - 1}"
        raise UsageError(f"there is no device '{name}': {last}")
    if platform != "auto":
        chosen = devices[index] if number else platform
        jax.config.update("jax_default_device", chosen)
    return devices[index]


def _spread_over_cores() -> None:
    """Give jax a device for each core, unless the user or an earlier call has.

    XLA keeps most of a training step on one core of a device.
    """
    import jax

    if "JAX_NUM_CPU_DEVICES" in os.environ:
        return
    # A RuntimeError: jax is at work already, and its devices are what they are.
    with contextlib.suppress(RuntimeError):
        jax.config.update("jax_num_cpu_devices", min(_count_cores(), MOST_CORES))


def _keep_freed_memory() -> None:
    """Let the C library reuse freed blocks of up to a gigabyte.

    It gives blocks of more than 32 MB back to the system at once, and XLA takes one for
    each training step on a CPU: a third of the step went into clearing its pages.
    """
    # Another system or C library than GNU's.
    with contextlib.suppress(AttributeError, OSError, TypeError):
        mallopt = ctypes.CDLL(None).mallopt
        if not mallopt(M_MMAP_THRESHOLD, 2**30):
            mallopt(M_MMAP_THRESHOLD, 2**25)  # the most that glibc before 2.35 takes
        mallopt(M_TRIM_THRESHOLD, 2**31 - 1)
        mallopt(M_ARENA_MAX, 1)  # another thread's blocks would not be reused


def _join_hosts() -> None:
    """Meet the other processes of this command, on this host or others.

    Where SLURM or MPI started them, jax finds their number by itself.
    """
    import jax

    try:
        count, number = (
            int(os.environ[name]) if name in os.environ else None
            for name in ("JAX_NUM_PROCESSES", "JAX_PROCESS_ID")
        )
        jax.distributed.initialize(num_processes=count, process_id=number)
    except (ValueError, RuntimeError) as error:
        reason = str(error).split("\n")[0]
        raise HsijaxError(
            "cannot join the other processes of JAX_COORDINATOR_ADDRESS "
            f"'{os.environ['JAX_COORDINATOR_ADDRESS']}' ({reason}): set "
            "JAX_NUM_PROCESSES and JAX_PROCESS_ID too, or unset all three"
        ) from error


def _count_cores() -> int:
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on this system
        return os.cpu_count() or 1


def compute_devices() -> list[Device]:
    """List the devices that share the work: all of a kind, or the one selected."""
    import jax

    chosen = jax.config.values["jax_default_device"]
    if chosen is None or isinstance(chosen, str):
        return jax.devices(chosen)
    return [chosen]


def _find_devices(platform: str) -> list[Device]:
    import jax

    try:
        return jax.devices() if platform == "auto" else jax.devices(platform)
    # An AssertionError is all that jax 0.10 to 0.12 say of JAX_PLATFORMS=cuda.
    except (RuntimeError, AssertionError) as error:
        if platform == "gpu":
            raise HsijaxError(_explain_missing_gpu()) from error
        wanted = os.environ.get("JAX_PLATFORMS")
        because = (
            f"JAX_PLATFORMS is '{wanted}'" if wanted else f"{error}".split("\n")[0]
        )
        raise HsijaxError(
            f"jax finds no device ({because}); unset JAX_PLATFORMS or give --device cpu"
        ) from error


def _explain_missing_gpu() -> str:
    installed = [extra for extra in GPU_EXTRAS if has_gpu_plugin(extra)]
    if installed:
        driver = GPU_EXTRAS[installed[0]][1]
        return (
            f"the GPU plugin of the extra '{installed[0]}' is installed but finds no "
            f"GPU: it needs an NVIDIA driver >= {driver} (see nvidia-smi) and a GPU in "
            "CUDA_VISIBLE_DEVICES; or give --device cpu"
        )
    ways = " or ".join(
        f"pip install 'hsijax[{extra}]' (NVIDIA driver >= {driver})"
        for extra, (_, driver) in GPU_EXTRAS.items()
    )
    return f"--device gpu needs a GPU plugin of jax: {ways}; Linux only"


def has_gpu_plugin(extra: str) -> bool:
    """Whether the GPU plugin of this extra is installed."""
    return importlib.util.find_spec(GPU_EXTRAS[extra][0]) is not None


def list_devices() -> list[DeviceInfo]:
    """List the devices that jax can use, without changing which one computes.

    Raises:
        HsijaxError: jax cannot set up any.
    """
    return [
        DeviceInfo(
            name=f"{device.platform}:{device.id}",
            kind=device.device_kind,
            memory_bytes=_memory_of(device),
        )
        for device in _find_devices("auto")
    ]


def _memory_of(device: Device) -> int | None:
    try:
        return (device.memory_stats() or {}).get("bytes_limit")
    except (RuntimeError, NotImplementedError):
        return None


def describe_devices() -> str:
    """Name the device that computes, for records: "cpu", "NVIDIA H200 (gpu:0)"."""
    devices = compute_devices()
    device = devices[0]
    if device.platform == "cpu":
        return "cpu"
    if len(devices) > 1:
        return f"{len(devices)} x {device.device_kind}"
    return f"{device.device_kind} ({device.platform}:{device.id})"


@dataclass(frozen=True)
class Execution:
    """How a kind of device does its work best. Nothing else asks for the kind."""

    # An epoch is one program, and all runs together are; else step by step, run by run.
    one_program: bool
    # Convolutions are written as matrix products.
    matrix_products: bool
    # Patches that a device predicts at once.
    predicted: int
    # Convolutions may take bfloat16: elsewhere that is slower, not faster.
    half_convolutions: bool = False


# XLA's own convolutions are slower on a CPU, and their gradients 25 to 35 times slower
# inside a loop (jax-ml/jax#12868). More than 64 patches of the compact network at once
# leave a core's cache: 256 take 1.7 times as long, patch by patch.
CPU = Execution(one_program=False, matrix_products=True, predicted=64)
# Many small programs would leave a GPU idle; cuDNN has its convolutions.
ACCELERATOR = Execution(
    one_program=True, matrix_products=False, predicted=2048, half_convolutions=True
)


def plan_execution() -> Execution:
    """Decide by the device in use how steps, runs and convolutions are executed."""
    return CPU if compute_devices()[0].platform == "cpu" else ACCELERATOR


def cache_of_compilations() -> Path:
    """Return the folder in which compiled programs are kept from run to run."""
    named = os.environ.get("JAX_COMPILATION_CACHE_DIR")
    if named:
        return Path(named)
    import pooch

    return Path(pooch.os_cache("hsijax")) / "xla" / metadata.version("jaxlib")


def set_up_compilation_cache() -> Path | None:
    """Keep compiled programs for later runs; return where, or None if that fails.

    A folder that the user names in JAX_COMPILATION_CACHE_DIR is taken as it is. Ours
    is for this user alone, because what lies in it is executed.
    """
    import jax

    folder = cache_of_compilations()
    if not os.environ.get("JAX_COMPILATION_CACHE_DIR"):
        try:
            folder.mkdir(mode=stat.S_IRWXU, parents=True, exist_ok=True)
            folder.chmod(stat.S_IRWXU)
        except OSError as error:
            _logger.info(
                "note: compiled programs are not kept: %s: %s", folder, error.strerror
            )
            return None
    jax.config.update("jax_compilation_cache_dir", str(folder))
    # On a full disk, jax tells of each program that it could not keep.
    warnings.filterwarnings("ignore", "Error writing persistent compilation cache")
    # Everything is worth keeping: a network is hundreds of small programs.
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
    return folder
