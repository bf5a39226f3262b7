"""`hsijax doctor`."""

import importlib.util
import os
import platform
import shutil
import subprocess
from collections.abc import Callable
from importlib import import_module, metadata
from pathlib import Path
from typing import Any

import typer

from hsijax import __version__
from hsijax.cli import console
from hsijax.cli.options import DataDir, Json
from hsijax.errors import HsijaxError

# What hsijax cannot work without: module and distribution.
CORE = {
    "jax": "jax",
    "jaxlib": "jaxlib",
    "flax.nnx": "flax",
    "optax": "optax",
    "diffrax": "diffrax",
    "jaxtyping": "jaxtyping",
    "numpy": "numpy",
    "scipy.io": "scipy",
    "sklearn": "scikit-learn",
    "h5py": "h5py",
    "spectral": "spectral",
    "safetensors": "safetensors",
    "pooch": "pooch",
    "matplotlib": "matplotlib",
    "PIL": "pillow",
    "tomli_w": "tomli-w",
}

# What each extra adds, and the modules that show whether it is there.
EXTRAS = {
    "cuda12": (("jax_cuda12_plugin",), "NVIDIA GPUs with a driver >= 525; Linux"),
    "cuda13": (("jax_cuda13_plugin",), "NVIDIA GPUs with a driver >= 580; Linux"),
    "geo": (
        ("rasterio", "pyogrio", "shapely"),
        "GeoTIFF scenes and maps, polygons",
    ),
    "dask": (
        ("dask", "distributed"),
        "maps by the workers of a cluster",
    ),
    "samples": (("tensorly",), "the real Indian Pines scene, with no download"),
    "zarr": (("zarr",), "scenes and patches as Zarr"),
}


def doctor(data_dir: DataDir = None, json: Json = False) -> None:
    """Say what works here: versions, devices, folders, scenes, and what to install.

    Exits with 1 if something is broken that hsijax cannot work without.

    \b
    Examples:
    $ hsijax doctor
    $ hsijax doctor --json
    """
    versions, problems = _check_core()
    report: dict[str, Any] = {
        "hsijax": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "versions": versions,
        "devices": [],
        "driver": _ask_nvidia(),
        "folders": {},
        "scenes": {},
        "extras": _check_extras(),
        "problems": problems,
    }
    checks: dict[str, Callable[[], Any]] = {
        "devices": _check_devices,
        "folders": lambda: _check_folders(data_dir),
        "scenes": lambda: _check_scenes(data_dir),
    }
    for name, check in checks.items():
        try:
            report[name] = check()
        except HsijaxError as error:
            problems.append(str(error))
        except Exception as error:
            # A doctor reports what breaks; it must not break of it.
            problems.append(f"{name}: {type(error).__name__}: {error}")
    if json:
        console.print_json(report)
    else:
        typer.echo("\n".join(_format(report)))
    for problem in problems:
        console.say_error(problem)
    if problems:
        raise typer.Exit(1)


def _check_core() -> tuple[dict[str, str | None], list[str]]:
    """Import all that is needed; return the versions and what does not import."""
    versions: dict[str, str | None] = {}
    problems = []
    for module, name in CORE.items():
        try:
            versions[name] = metadata.version(name)
            import_module(module)
        except metadata.PackageNotFoundError:
            versions[name] = None
            problems.append(f"{name} is not installed: pip install '{name}'")
        except Exception as error:
            problems.append(f"{name} does not import: {type(error).__name__}: {error}")
    return versions, problems


def _check_devices() -> list[dict[str, Any]]:
    from hsijax.devices import list_devices

    devices = list_devices()
    import jax.numpy as jnp

    total = float(jnp.ones((8, 8)).sum())
    if total != 64.0:
        raise HsijaxError(f"jax computes wrongly here: a sum is {total}, not 64")
    return [
        {"name": device.name, "kind": device.kind, "memory_bytes": device.memory_bytes}
        for device in devices
    ]


def _ask_nvidia() -> str | None:
    """Return GPUs and driver as nvidia-smi names them, or None where it is absent."""
    command = shutil.which("nvidia-smi")
    if not command:
        return None
    query = [command, "--query-gpu=name,driver_version", "--format=csv,noheader"]
    try:
        done = subprocess.run(
            query, capture_output=True, text=True, timeout=20, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"nvidia-smi does not answer: {type(error).__name__}"
    return "; ".join((done.stdout.strip() or done.stderr.strip()).splitlines())


def _check_folders(data_dir: Path | None) -> dict[str, dict[str, Any]]:
    from hsijax.devices import cache_of_compilations
    from hsijax.scenes.lookup import cache_folder

    named = os.environ.get("HSIJAX_DATA")
    folders = {
        "--data-dir": data_dir,
        "HSIJAX_DATA": Path(named) if named else None,
        "scene cache": cache_folder(),
        "compilation cache": cache_of_compilations(),
    }
    return {
        name: {
            "path": str(folder),
            "exists": folder.is_dir(),
            "bytes": _sum_sizes(folder),
        }
        for name, folder in folders.items()
        if folder
    }


def _sum_sizes(folder: Path) -> int:
    return sum(
        os.lstat(os.path.join(root, name)).st_size
        for root, _, names in os.walk(folder)
        for name in names
    )


def _check_scenes(data_dir: Path | None) -> dict[str, bool]:
    """Map each scene of the catalogue to whether all of its files are here."""
    from hsijax.scenes.catalogue import CATALOGUE
    from hsijax.scenes.lookup import find_file

    return {
        name: all(find_file(sheet, file, data_dir=data_dir) for file in sheet.files)
        for name, sheet in CATALOGUE.items()
    }


def _check_extras() -> dict[str, dict[str, Any]]:
    return {
        extra: {
            "installed": all(importlib.util.find_spec(module) for module in modules),
            "adds": adds,
            "install": f"pip install 'hsijax[{extra}]'",
        }
        for extra, (modules, adds) in EXTRAS.items()
    }


def _format(report: dict[str, Any]) -> list[str]:
    lines = [f"hsijax {report['hsijax']}, Python {report['python']}"]
    lines += [report["platform"], "", "versions"]
    for name, version in report["versions"].items():
        lines.append(f"  {name:<14} {version or 'missing'}")
    lines += ["", "devices"]
    for device in report["devices"]:
        memory = device["memory_bytes"]
        size = f", {memory / 2**30:.1f} GiB" if memory else ""
        lines.append(f"  {device['name']:<14} {device['kind']}{size}")
    lines.append(f"  {'driver':<14} {report['driver'] or 'no nvidia-smi here'}")
    lines += ["", "folders"]
    for name, folder in report["folders"].items():
        size = f"{folder['bytes'] / 1e6:.1f} MB" if folder["exists"] else "not there"
        lines.append(f"  {name:<18} {folder['path']} ({size})")
    here = [name for name, complete in report["scenes"].items() if complete]
    rest = [name for name, complete in report["scenes"].items() if not complete]
    lines += ["", "scenes", f"  {'here':<14} {', '.join(here) or 'none'}"]
    lines += [f"  {'to download':<14} {', '.join(rest) or 'none'}", "", "extras"]
    for name, extra in report["extras"].items():
        state = "installed" if extra["installed"] else extra["install"]
        lines.append(f"  {name:<8} {extra['adds']:<46} {state}")
    return lines
