"""From a catalogue name or a file of the user's own to a `Scene`."""

import logging
from dataclasses import replace
from pathlib import Path

import numpy as np

from hsijax.config import Progress, no_progress
from hsijax.errors import HsijaxError, UsageError, suggest
from hsijax.io import READERS, open_file
from hsijax.io.arrays import ArrayFile, format_shape
from hsijax.io.choose import ChosenCube, NoCubeError, choose_cube
from hsijax.io.ground_truth import choose_ground_truth, find_ground_truth
from hsijax.io.polygons import holds_polygons
from hsijax.scenes.catalogue import CATALOGUE, SceneFile, SceneSheet
from hsijax.scenes.labels import (
    GroundTruth,
    holds_ground_truth,
    load_ground_truth,
    read_classes,
)
from hsijax.scenes.lookup import locate
from hsijax.scenes.mosaic import open_source
from hsijax.scenes.scene import Scene
from hsijax.scenes.simulated import simulate
from hsijax.scenes.sources import PATTERN, is_there, name_source, source_of

log = logging.getLogger("hsijax")


class LabelsOnlyError(HsijaxError):
    """A file named as a scene that holds a ground truth and no cube."""


def load_scene(
    name_or_path: str,
    *,
    data_dir: Path | None = None,
    cube_key: str | None = None,
    ground_truth: str | None = None,
    nodata: float | None = None,
    scale: float | None = None,
    progress: Progress = no_progress,
) -> Scene:
    """Open a scene of the catalogue or a file; the cube's values are read lazily.

    A folder of GeoTIFFs or a glob pattern is one scene of several tiles. `ground_truth`
    is what `load_ground_truth` takes, and replaces what the catalogue or the cube's own
    file has. `nodata` and `scale`, the value that stands for reflectance 1, replace
    what the file declares. Labels of pixels without data are dropped with a warning.

    Raises:
        UsageError: it is neither a name in the catalogue nor a file, or the scale is
            not positive.
        HsijaxError: a file cannot be had or read, it is not clear which array is meant,
            or cube and ground truth do not fit each other.
    """
    if scale is not None and not 0 < scale < np.inf:
        raise UsageError(f"--scale must be a positive number, not {scale:g}")
    sheet = find_sheet(name_or_path)
    if sheet:
        scene = _load_sheet(sheet, data_dir, cube_key, ground_truth, progress)
    else:
        scene = _load_path(Path(name_or_path), cube_key, ground_truth, nodata)
    if nodata is not None:
        scene = replace(scene, nodata=nodata)
    if scale is not None:
        scene = replace(scene, scale=scale)
    return _drop_labels_without_data(scene)


def find_sheet(name_or_path: str) -> SceneSheet | None:
    """Return the data sheet of a catalogue name, None for a file, folder or pattern.

    Raises:
        UsageError: it is neither; the message has the nearest name.
    """
    name = name_or_path.lower().replace("_", "-")
    if name in CATALOGUE:
        return CATALOGUE[name]
    path = Path(name_or_path)
    if is_there(path):
        return None
    if PATTERN.search(name_or_path):
        raise UsageError(f"no file fits the pattern {path}")
    if path.suffix.lower() in READERS or len(path.parts) > 1:
        raise UsageError(f"there is no file {path}")
    raise UsageError(
        f"'{name_or_path}' is neither a scene of the catalogue nor a file"
        f"{suggest(name, list(CATALOGUE))}"
    )


def _load_sheet(
    sheet: SceneSheet,
    data_dir: Path | None,
    cube_key: str | None,
    ground_truth: str | None,
    progress: Progress,
) -> Scene:
    if sheet.simulated:
        scene = simulate(sheet, data_dir, progress).scene()
        return scene if not ground_truth else _with_file(scene, ground_truth)
    path = locate(sheet, _file_of(sheet, "cube"), data_dir, progress)
    file = open_file(path)
    chosen = choose_cube(file, cube_key or _known_key(file, sheet, "cube"), sheet.shape)
    cube = chosen.content.cube
    if cube.shape != sheet.shape:
        raise HsijaxError(
            f"{path} is {format_shape(cube.shape)}, but {sheet.title} is "
            f"{format_shape(sheet.shape)}: another version of the scene?"
        )
    scene = _make_scene(sheet.name, file, chosen)
    scene = replace(scene, notes=scene.notes + sheet.about)
    if scene.wavelengths is None and sheet.wavelengths:
        scene = replace(scene, wavelengths=np.array(sheet.wavelengths))
    if ground_truth:
        return _with_file(scene, ground_truth)
    if sheet.task != "classification":
        return scene
    path = locate(sheet, _file_of(sheet, "ground_truth"), data_dir, progress)
    file = open_file(path)
    key = _known_key(file, sheet, "ground_truth")
    raster = read_classes(file, choose_ground_truth(file, key, cube.shape[:2]))
    unknown = np.setdiff1d(raster.values, [0, *(known.id for known in sheet.classes)])
    if unknown.size:
        raise HsijaxError(
            f"{path} holds the class numbers {unknown.tolist()}, which {sheet.title} "
            "does not have; if it is a ground truth of your own, use --ground-truth"
        )
    return _with_ground_truth(scene, raster._replace(classes=sheet.classes))


def _file_of(sheet: SceneSheet, role: str) -> SceneFile:
    file = sheet.file(role)
    if file is None:
        raise HsijaxError(f"the catalogue has no {role} of {sheet.title}")
    return file


def _known_key(file: ArrayFile, sheet: SceneSheet, role: str) -> str | None:
    """Return the catalogue's variable name if this copy of the file has it."""
    key = _file_of(sheet, role).key
    return key if any(variable.name == key for variable in file.variables) else None


def _load_path(
    path: Path, cube_key: str | None, ground_truth: str | None, nodata: float | None
) -> Scene:
    if holds_polygons(path):
        raise HsijaxError(
            f"{path} holds polygons and no cube: give the cube's file as SCENE and "
            "this one with --ground-truth"
        )
    file = open_source(path, nodata)
    try:
        chosen = choose_cube(file, cube_key)
    except NoCubeError as error:
        if not holds_ground_truth(file):
            raise
        raise LabelsOnlyError(
            f"{path} holds a ground truth and no cube: give the cube's file as SCENE "
            "and this one with --ground-truth"
        ) from error
    scene = _make_scene(name_source(path), file, chosen)
    if ground_truth:
        return _with_file(scene, ground_truth)
    variable, notes = find_ground_truth(file, chosen)
    scene = replace(scene, notes=scene.notes + notes + _axis_notes(scene.shape))
    if variable is None:
        return scene
    return _with_ground_truth(scene, read_classes(file, variable))


def _axis_notes(shape: tuple[int, int, int]) -> tuple[str, ...]:
    """Say that bands may come first: a square image read along the wrong axes."""
    first, second, third = shape
    if second == third != first:
        return (
            f"read as {first} rows x {second} columns x {third} bands; if the bands "
            "come first in the file, store them last",
        )
    return ()


def _make_scene(name: str, file: ArrayFile, chosen: ChosenCube) -> Scene:
    content = chosen.content
    good_bands = content.good_bands
    if good_bands is None:
        good_bands = np.ones(content.cube.shape[2], dtype=bool)
    return Scene(
        name=name,
        cube=content.cube,
        source=source_of(file, chosen.variable),
        good_bands=good_bands,
        wavelengths=content.wavelengths,
        fwhm=content.fwhm,
        nodata=content.nodata,
        scale=content.scale,
        georeference=content.georeference,
        notes=(chosen.note,) if chosen.note else (),
    )


def _with_file(scene: Scene, file_and_key: str) -> Scene:
    return _with_ground_truth(scene, load_ground_truth(file_and_key, scene))


def _with_ground_truth(scene: Scene, raster: GroundTruth) -> Scene:
    return replace(
        scene,
        ground_truth=raster.values,
        ground_truth_source=raster.source,
        classes=raster.classes,
    )


def _drop_labels_without_data(scene: Scene) -> Scene:
    if scene.ground_truth is None or scene.nodata is None:
        return scene
    dropped = scene.labels_without_data()
    if not dropped.any():
        return scene
    log.warning(
        "%s: the labels of %d pixels are dropped: the cube has no data (%g) there",
        scene.name,
        np.count_nonzero(dropped),
        scene.nodata,
    )
    return replace(scene, ground_truth=np.where(dropped, 0, scene.ground_truth))
