"""The split file: the pixels of every run's split, as `.npz` without pickle."""

import json
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int

from hsijax.errors import HsijaxError
from hsijax.io.atomic import write_atomically
from hsijax.splits.split import Split

FORMAT = "hsijax split 1"
ROLES = ("train", "validation", "test")


@dataclass(frozen=True, eq=False)
class SplitFile:
    """What a split file holds: one split a run, and how they were made."""

    splits: list[Split]
    method: str
    ground_truth_sha256: str | None = None  # of the file that the labels came from
    settings: Mapping[str, Any] = field(default_factory=dict)


def save_splits(
    path: Path,
    splits: Sequence[Split],
    *,
    shape: tuple[int, int],
    method: str,
    ground_truth_sha256: str | None = None,
    settings: Mapping[str, Any] | None = None,
) -> None:
    """Write a split file; the same splits give the same bytes.

    Run `r`'s pixels are the arrays `train_r`, `validation_r` and `test_r`.

    Args:
        path: with the suffix `.npz`.
        splits: one a run.
        shape: rows and columns of the ground truth.
        method: how they were made, such as "random".
        ground_truth_sha256: of the file that the labels came from.
        settings: whatever else is worth keeping; plain data for JSON.

    Raises:
        HsijaxError: it cannot be written.
    """
    header = {
        "format": FORMAT,
        "shape": list(shape),
        "runs": len(splits),
        "method": method,
        "ground_truth_sha256": ground_truth_sha256,
        "settings": dict(settings or {}),
    }
    arrays = {
        f"{role}_{run}": getattr(split, role).astype(np.int32)
        for run, split in enumerate(splits)
        for role in ROLES
    }
    with write_atomically(path) as temporary, temporary.open("wb") as stream:
        np.savez_compressed(
            stream, allow_pickle=False, header=np.array(json.dumps(header)), **arrays
        )


def load_splits(path: Path, ground_truth: Int[np.ndarray, "rows cols"]) -> SplitFile:
    """Read a split file and check that it fits the ground truth.

    Raises:
        HsijaxError: it is missing, damaged, no split file, or made for another scene.
    """
    header, splits = _read_or_explain(path)
    shape = tuple(header["shape"])
    if shape != ground_truth.shape:
        raise HsijaxError(
            f"{path} was made for a scene of {shape[0]} x {shape[1]} pixels, not "
            f"{ground_truth.shape[0]} x {ground_truth.shape[1]}"
        )
    for run, split in enumerate(splits):
        _check(path, run, split, ground_truth)
    return SplitFile(
        splits, header["method"], header["ground_truth_sha256"], header["settings"]
    )


def read_splits(path: Path) -> list[Split]:
    """Read the splits of a run folder, without the scene that they were checked with.

    Raises:
        HsijaxError: the file is missing, damaged or no split file.
    """
    return _read_or_explain(path)[1]


def _read_or_explain(path: Path) -> tuple[dict[str, Any], list[Split]]:
    try:
        return _read(path)
    except OSError as error:
        raise HsijaxError(f"cannot read {path}: {error.strerror or error}") from error
    except (
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        EOFError,
        NotImplementedError,
        RuntimeError,
        zipfile.BadZipFile,
        zlib.error,
    ) as error:
        raise HsijaxError(
            f"{path} is damaged or no split file; make one with `hsijax split`"
        ) from error


def _read(path: Path) -> tuple[dict[str, Any], list[Split]]:
    """Read all arrays; whatever is not as `save_splits` writes it raises."""
    with path.open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
        header = json.loads(str(arrays["header"]))
        if header["format"] != FORMAT:
            raise ValueError(header["format"])
        rows, cols = header["shape"]
        if not (rows > 0 and cols > 0 and header["runs"] > 0):
            raise ValueError(header)
        splits = [
            Split(*(_pixels(arrays[f"{role}_{run}"]) for role in ROLES))
            for run in range(header["runs"])
        ]
    return header, splits


def _pixels(array: np.ndarray) -> Int[np.ndarray, "n 2"]:
    if array.dtype != np.int32 or array.ndim != 2 or array.shape[1] != 2:
        raise ValueError(f"{array.dtype} {array.shape}")
    return array


def _check(
    path: Path, run: int, split: Split, ground_truth: Int[np.ndarray, "rows cols"]
) -> None:
    pixels = np.concatenate([getattr(split, role) for role in ROLES])
    if not len(split.train) or not len(split.test):
        raise HsijaxError(f"{path}: run {run} has no training or no test pixels")
    if pixels.min() < 0 or (pixels >= ground_truth.shape).any():
        raise HsijaxError(f"{path}: run {run} has pixels outside the scene")
    unique = np.unique(pixels, axis=0)
    if len(unique) != len(pixels):
        raise HsijaxError(
            f"{path}: run {run} uses {len(pixels) - len(unique)} pixels more than "
            "once; its training and test pixels must be disjoint"
        )
    unlabelled = np.count_nonzero(ground_truth[pixels[:, 0], pixels[:, 1]] == 0)
    if unlabelled:
        raise HsijaxError(
            f"{path}: {unlabelled} pixels of run {run} have no label in this ground "
            "truth; the file was made for another one"
        )
