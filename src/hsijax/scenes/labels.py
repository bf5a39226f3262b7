"""Ground truths: labels from a file, with names and colours of their classes."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Int

from hsijax.errors import HsijaxError
from hsijax.io.arrays import ArrayFile, Colour, Variable
from hsijax.io.ground_truth import choose_ground_truth, read_ground_truth
from hsijax.io.polygons import holds_polygons
from hsijax.scenes.label_grids import fit_to_scene
from hsijax.scenes.mosaic import open_source
from hsijax.scenes.palette import distinct_colours
from hsijax.scenes.polygon_labels import read_polygon_labels
from hsijax.scenes.scene import LandClass, Scene
from hsijax.scenes.sources import SourceFile, is_there, source_of

ClassTable = dict[int, tuple[str, Colour | None]]  # names and colours by number


class GroundTruth(NamedTuple):
    """A class raster, as its file has it or laid on a scene."""

    values: Int[np.ndarray, "rows cols"]
    source: SourceFile
    classes: tuple[LandClass, ...]


def load_ground_truth(file_and_key: str, scene: Scene | None = None) -> GroundTruth:
    """Read a class raster or polygons, and lay them on the grid of a scene.

    Args:
        file_and_key: FILE or FILE:KEY of a raster, a folder or a pattern of tiles, or
            FILE:ATTRIBUTE or FILE:LAYER:ATTRIBUTE of polygons.
        scene: that is labelled; None for a raster as it is.

    Raises:
        HsijaxError: there is no such file, it holds no valid ground truth, or it
            cannot be laid on the scene.
        GroundTruthSizeError: it does not cover the cube pixel by pixel, and nothing
            says where it lies.
    """
    path, key = split_key(file_and_key)
    if holds_polygons(path):
        return _load_polygons(path, key, scene)
    file = open_source(path)
    size = scene.shape[:2] if scene else None
    raster = read_classes(file, choose_ground_truth(file, key, size))
    if scene is None:
        return raster
    values = fit_to_scene(raster.values, file, scene)
    present = set(np.unique(values).tolist())
    classes = tuple(entry for entry in raster.classes if entry.id in present)
    return raster._replace(values=values, classes=classes)


def _load_polygons(path: Path, key: str | None, scene: Scene | None) -> GroundTruth:
    if scene is None:
        raise HsijaxError(
            f"{path} holds polygons, which say nothing without the grid of a scene: "
            "give a class raster"
        )
    values, shapes, names = read_polygon_labels(path, key, scene)
    ids = np.unique(values[values > 0]).tolist()
    table: ClassTable = {number: (name, None) for number, name in names.items()}
    source = SourceFile(
        path,
        f"{shapes.layer}:{shapes.attribute}",
        tuple(map(SourceFile, shapes.parts)),
    )
    return GroundTruth(values, source, _name_classes(ids, table))


def split_key(file_and_key: str) -> tuple[Path, str | None]:
    """Take FILE:KEY apart; a colon may also be part of a file's name, or of the key.

    >>> split_key("end4.mat:A")[1], split_key("end4.mat")[1]
    ('A', None)
    """
    text, rest = file_and_key, []
    while not is_there(Path(text)) and ":" in text:
        text, part = text.rsplit(":", 1)
        rest.insert(0, part)
    if rest and is_there(Path(text)):
        return Path(text), ":".join(rest)
    text, _, key = file_and_key.rpartition(":")
    return (Path(text), key) if rest else (Path(file_and_key), None)


def read_classes(file: ArrayFile, variable: Variable) -> GroundTruth:
    """Read one array of a file as a class raster; classes are the values in it.

    Raises:
        HsijaxError: it holds no valid ground truth, or no label at all.
    """
    values = read_ground_truth(file, variable)
    ids = np.unique(values[values > 0]).tolist()
    if not ids:
        raise HsijaxError(
            f"the ground truth {variable} of {file.path} has no label: all its values "
            "are 0; classes are whole numbers from 1"
        )
    table = {value: (name, colour) for value, name, colour in file.class_table}
    return GroundTruth(values, source_of(file, variable), _name_classes(ids, table))


def holds_ground_truth(file: ArrayFile) -> bool:
    """Whether a file that holds no cube holds one class raster."""
    try:
        read_ground_truth(file, choose_ground_truth(file, None, None))
    except HsijaxError:
        return False
    return True


def _name_classes(ids: list[int], table: ClassTable) -> tuple[LandClass, ...]:
    """Give each class its name and colour in the file, or one that is made up."""
    classes = []
    for class_id, spare in zip(ids, distinct_colours(len(ids)), strict=True):
        name, colour = table.get(class_id, (f"class {class_id}", None))
        classes.append(LandClass(class_id, name, colour or spare))
    return tuple(classes)
