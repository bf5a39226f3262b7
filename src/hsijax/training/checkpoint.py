"""Arrays on disk as safetensors: no pickle, one file, readable by anyone."""

import json
from pathlib import Path
from typing import Any

import jax
import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import load_file, save

from hsijax.errors import HsijaxError
from hsijax.io.atomic import write_atomically

PyTree = Any


def _flatten(tree: PyTree) -> tuple[dict[str, Any], Any]:
    leaves, structure = jax.tree.flatten_with_path(tree)
    named = {jax.tree_util.keystr(k, simple=True, separator="/"): x for k, x in leaves}
    return named, structure


def save_checkpoint(path: Path, tree: PyTree, metadata: dict[str, Any]) -> None:
    """Write a tree of arrays under readable names such as `params/stem/kernel`."""
    named, _ = _flatten(tree)
    arrays = {k: np.asarray(jax.device_get(x), order="C") for k, x in named.items()}
    with write_atomically(path) as temporary:
        # Not `save_file`: its error on a full disk does not say what is wrong.
        temporary.write_bytes(save(arrays, {"hsijax": json.dumps(metadata)}))


def read_metadata(path: Path) -> dict[str, Any]:
    """Read what was saved beside the arrays."""
    try:
        with safe_open(path, "numpy") as file:
            return json.loads((file.metadata() or {})["hsijax"])
    except (OSError, SafetensorError, KeyError, json.JSONDecodeError) as error:
        raise HsijaxError(
            f"{path} is damaged or not a hsijax checkpoint: {error}"
        ) from error


def load_arrays(path: Path) -> dict[str, np.ndarray]:
    """Read all arrays by name.

    Raises:
        HsijaxError: the file is damaged.
    """
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise HsijaxError(f"{path} is damaged: {error}") from error


def load_checkpoint(path: Path, template: PyTree, prefix: str = "") -> PyTree:
    """Read the arrays below `prefix` into a tree of the template's structure.

    Raises:
        HsijaxError: the file is damaged, or was saved from another tree.
    """
    named, structure = _flatten(template)
    arrays = {
        name.removeprefix(prefix): array
        for name, array in load_arrays(path).items()
        if name.startswith(prefix)
    }
    shapes = {name: x.shape for name, x in named.items()}
    found = {name: x.shape for name, x in arrays.items()}
    if shapes != found:
        name, shape = sorted(set(shapes.items()) ^ set(found.items()))[0]
        raise HsijaxError(
            f"{path} was saved by another network: {name} {list(shape)} differs"
        )
    return jax.tree.unflatten(structure, [arrays[name] for name in named])
