"""Does a file hold what a data sheet says? Asked where its hash cannot tell."""

import struct
from pathlib import Path

import numpy as np

from hsijax.errors import HsijaxError
from hsijax.io import open_file
from hsijax.io.arrays import Variable, format_shape, list_variables
from hsijax.scenes.catalogue import SceneFile, SceneSheet

# A .mat file of version 5: this header, then elements that begin with type and length.
MAT_HEADER = 128
MAT_TAG = 8


def misfit(path: Path, sheet: SceneSheet, file: SceneFile) -> str | None:
    """Say why a file cannot be this file of this scene, or None if its content fits."""
    shapes = _list_shapes(sheet, file)
    try:
        _refuse_truncated_mat(path)
        variables = open_file(path).variables
        named = [variable for variable in variables if variable.name == file.key]
        fitting = [v for v in named or variables if v.shape in shapes]
        if len(fitting) != 1:
            held = list_variables(named or variables) or "no array of numbers"
            return f"it holds {held}, not {format_shape(shapes[0])}"
        if file.role == "ground_truth":
            return _compare_classes(fitting[0], sheet)
    except HsijaxError as error:
        return str(error).replace(f"{path} ", "it ", 1)
    return None


def _list_shapes(sheet: SceneSheet, file: SceneFile) -> list[tuple[int, ...]]:
    """List the shapes in which collections store this file, the usual one first."""
    rows, cols, bands = sheet.shape
    count = len(sheet.endmembers)
    if file.role in ("ground_truth", "train_mask", "test_mask"):
        return [(rows, cols)]
    if file.role == "abundances":
        return [(count, rows * cols), (rows, cols, count), (count, rows, cols)]
    if file.role == "endmembers":
        # Some are given for all 224 bands of AVIRIS, the removed ones too.
        return [(bands, count), (count, bands), (224, count)]
    if sheet.task == "unmixing":
        return [(bands, rows * cols), (rows, cols, bands)]
    return [(rows, cols, bands)]


def _compare_classes(labels: Variable, sheet: SceneSheet) -> str | None:
    found = set(np.unique(labels.read()).tolist()) - {0}
    known = {row.id for row in sheet.classes}
    if found == known:
        return None
    return f"its classes are {sorted(found)}, not {sorted(known)}"


def _refuse_truncated_mat(path: Path) -> None:
    """Walk over the elements of a version 5 file, whose list alone looks complete.

    Raises:
        HsijaxError: the last element is longer than the file, or nothing can be read.
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as stream:
            order = {b"IM": "<", b"MI": ">"}.get(stream.read(MAT_HEADER)[126:])
            if path.suffix.lower() != ".mat" or order is None:
                return
            end = MAT_HEADER
            while len(tag := stream.read(MAT_TAG)) == MAT_TAG:
                _, length = struct.unpack(f"{order}2I", tag)
                end = stream.seek(length, 1)
    except OSError as error:
        raise HsijaxError(f"{path} cannot be read: {error.strerror}") from error
    if end > size:
        raise HsijaxError(f"{path} is cut short: {size:,} of {end:,} bytes")
