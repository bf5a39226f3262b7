"""Ground truths: a class raster from a file, with names and colours of its classes."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Int

from hsijax.errors import HsijaxError
from hsijax.io import open_file
from hsijax.io.arrays import ArrayFile, Colour, Variable
from hsijax.io.ground_truth import (
    check_ground_truth_size,
    choose_ground_truth,
    read_ground_truth,
)
from hsijax.scenes.palette import distinct_colours
from hsijax.scenes.scene import LandClass, SourceFile


class GroundTruth(NamedTuple):
    """A class raster as its file has it."""

    values: Int[np.ndarray, "rows cols"]
    source: SourceFile
    classes: tuple[LandClass, ...]


def load_ground_truth(
    file_and_key: str, cube_shape: tuple[int, int, int] | None = None
) -> GroundTruth:
    """Read a class raster from FILE or FILE:KEY, and compare its size with the cube's.

    Raises:
        HsijaxError: there is no such file, or it holds no valid ground truth.
        GroundTruthSizeError: it does not cover the cube pixel by pixel.
    """
    path, key = split_key(file_and_key)
    file = open_file(path)
    size = cube_shape[:2] if cube_shape else None
    raster = read_classes(file, choose_ground_truth(file, key, size))
    if cube_shape:
        check_ground_truth_size(raster.values.shape, cube_shape, path)
    return raster


def split_key(file_and_key: str) -> tuple[Path, str | None]:
    """Take FILE:KEY apart; a colon may also be part of a file's name.

    >>> split_key("end4.mat:A")[1], split_key("end4.mat")[1]
    ('A', None)
    """
    path = Path(file_and_key)
    if path.exists() or ":" not in file_and_key:
        return path, None
    text, key = file_and_key.rsplit(":", 1)
    return Path(text), key


def read_classes(file: ArrayFile, variable: Variable) -> GroundTruth:
    """Read one array of a file as a class raster; classes are the values in it.

    Raises:
        HsijaxError: it holds no valid ground truth, or no label at all.
    """
    values = read_ground_truth(file, variable)
    ids = np.unique(values[values > 0]).tolist()
    if not ids:
        raise HsijaxError(f"the ground truth {variable} of {file.path} has no label")
    table = {value: (name, colour) for value, name, colour in file.class_table}
    source = SourceFile(file.path, variable.name or None)
    return GroundTruth(values, source, _name_classes(ids, table))


def holds_ground_truth(file: ArrayFile) -> bool:
    """Whether a file that holds no cube holds one class raster."""
    try:
        read_ground_truth(file, choose_ground_truth(file, None, None))
    except HsijaxError:
        return False
    return True


def _name_classes(
    ids: list[int], table: dict[int, tuple[str, Colour | None]]
) -> tuple[LandClass, ...]:
    """Give each class its name and colour in the file, or one that is made up."""
    classes = []
    for class_id, spare in zip(ids, distinct_colours(len(ids)), strict=True):
        name, colour = table.get(class_id, (f"class {class_id}", None))
        classes.append(LandClass(class_id, name, colour or spare))
    return tuple(classes)
