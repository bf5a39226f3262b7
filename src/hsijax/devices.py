"""Which device computes, and what depends on it."""

import importlib.util
import logging
import os
import re
import stat
import sys
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

_logger = logging.getLogger("hsijax")


@dataclass(frozen=True)
class DeviceInfo:
    """One device that jax can use."""

    name: str  # what --device takes, such as "gpu:0"
    kind: str  # as the maker calls it
    memory_bytes: int | None  # None where jax cannot tell


def select_device(name: str) -> Device:
    """Let all further computation run on a device, and return it.

    Call it before jax is imported for anything else, so that `cpu` does not wait for
    a GPU to be set up.

    Args:
        name: "auto" (what jax finds best), "cpu", "gpu" or one such as "gpu:1".

    Raises:
        UsageError: the name is none of these, or there are fewer devices.
        HsijaxError: there is no such device; the message says what it needs.
    """
    match = re.fullmatch(r"(auto|cpu|gpu)(?::(\d+))?", name)
    if not match or (match[1] == "auto" and match[2]):
        raise UsageError(
            f"no device '{name}': give auto, cpu, gpu or one such as gpu:1"
        )
    platform, index = match[1], int(match[2] or 0)
    if "jax" not in sys.modules:
        if platform == "cpu":
            os.environ["JAX_PLATFORMS"] = "cpu"
        elif platform == "gpu":
            # jax would not even look for one if this named the CPU alone.
            os.environ.pop("JAX_PLATFORMS", None)
    import jax

    devices = _find_devices(platform)
    if index >= len(devices):
        last = f"the last one is {platform}:{len(devices) - 1}"
        raise UsageError(f"there is no device '{name}': {last}")
    if platform != "auto":
        jax.config.update("jax_default_device", devices[index])
    return devices[index]


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
    import jax

    device = jax.config.values["jax_default_device"] or jax.devices()[0]
    if device.platform == "cpu":
        return "cpu"
    return f"{device.device_kind} ({device.platform}:{device.id})"


def prefers_unrolled_loops() -> bool:
    """Whether loops over convolutions should be written out on the device in use.

    XLA on CPU computes the gradient of a convolution 25 to 35 times slower inside a
    loop (jax-ml/jax#12868). This is the one place that decides such things by device.
    """
    import jax

    device = jax.config.values["jax_default_device"]
    platform = device.platform if device else jax.default_backend()
    return platform == "cpu"


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
    # Everything is worth keeping: a network is hundreds of small programs.
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
    return folder
