"""A scene made ready for unmixing: reflectance, a mask, and what is known of it."""

import logging
from dataclasses import dataclass, replace
from fnmatch import fnmatch
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float32

from hsijax.config import Progress, no_progress
from hsijax.errors import HsijaxError
from hsijax.io import open_file
from hsijax.io.arrays import ArrayFile, Variable
from hsijax.scenes.catalogue import SceneSheet
from hsijax.scenes.labels import split_key
from hsijax.scenes.loading import find_sheet, load_scene
from hsijax.scenes.lookup import find_file, locate
from hsijax.scenes.recognition import list_alike, recognise
from hsijax.scenes.reference import (
    NoReferenceError,
    Reference,
    Target,
    choose_abundances,
    count_endmembers,
    read_reference,
)
from hsijax.scenes.scene import Scene
from hsijax.scenes.simulated import simulate

# Bright targets exceed a reflectance of 1, but hardly ever this.
HIGHEST_REFLECTANCE = 1.5
# Files that collections keep beside a cube; compared in lower case.
BESIDE = ("end*.mat", "*groundtruth*.mat", "*_gt.mat")

log = logging.getLogger("hsijax")


@dataclass(frozen=True, eq=False)
class UnmixingScene:
    """A cube in reflectance, good bands only; pixels that are not valid are 0 in it.

    `simulated` says how the cube was made, if it is no real one; every output must
    show it. `notes` are what was done to get here.
    """

    scene: Scene
    cube: Float32[np.ndarray, "rows cols good_bands"]
    valid: Bool[np.ndarray, "rows cols"]
    scale: float  # the stored values were divided by it
    reference: Reference | None = None
    simulated: str = ""
    notes: tuple[str, ...] = ()


def load_unmixing_scene(
    name_or_path: str,
    *,
    data_dir: Path | None = None,
    cube_key: str | None = None,
    ground_truth: str | None = None,
    nodata: float | None = None,
    scale: float | None = None,
    progress: Progress = no_progress,
) -> UnmixingScene:
    """Read a scene of the catalogue or a file, and the reference that belongs to it.

    Pixels without data, with broken values or with nothing but zeros are left out with
    a warning. A reference is what `ground_truth` (FILE or FILE:KEY) names, or the
    catalogue has, or lies in the cube's file or beside it, in this order.

    Args:
        name_or_path: of the scene.
        data_dir: folder that is searched first, and downloaded to.
        cube_key: the variable that holds the cube.
        ground_truth: file of the reference abundances.
        nodata: replaces the value that the file declares.
        scale: the values are divided by it; None for what the catalogue or the file
            says, else 1.
        progress: is told of downloads.

    Raises:
        UsageError: it is neither a name in the catalogue nor a file.
        HsijaxError: a file cannot be had or read, no pixel has data, or the reference
            does not fit the cube or is not on the simplex.
    """
    sheet = find_sheet(name_or_path)
    scene = load_scene(
        name_or_path,
        data_dir=data_dir,
        cube_key=cube_key,
        nodata=nodata,
        scale=scale,
        progress=progress,
    )
    cube, valid = _read_cube(scene)
    good = scene.good_bands
    target = Target(
        cube=cube,
        valid=valid,
        good_bands=good,
        wavelengths=None if scene.wavelengths is None else scene.wavelengths[good],
        fwhm=None if scene.fwhm is None else scene.fwhm[good],
    )
    known = sheet or recognise(scene, target, data_dir)
    scale, note = _find_scale(scene, known, scale, float(cube.max()))
    cube /= np.float32(scale)
    target = target._replace(scale=scale)
    ready = UnmixingScene(scene, cube, valid, scale, notes=(*scene.notes, *note))
    if sheet and sheet.simulated:
        ready = replace(ready, simulated=sheet.simulated)
    if ground_truth:
        reference, notes = _read_named(ground_truth, target), ()
    elif sheet and sheet.simulated:
        reference, notes = simulate(sheet, data_dir, progress).reference(), ()
    elif sheet:
        reference, notes = _read_sheets(sheet, target, data_dir, progress), ()
    else:
        reference, notes = _search(scene, known, target, data_dir)
    if reference:
        source = f" from {reference.source.path.name}" if reference.source else ""
        notes = (*notes, f"reference abundances{source}: {reference.order}")
    return replace(ready, reference=reference, notes=ready.notes + notes)


def _read_cube(scene: Scene) -> tuple[np.ndarray, np.ndarray]:
    cube, valid = scene.load(drop_broken=True)
    empty = valid & ~cube.any(axis=2)
    if empty.any():
        log.warning(
            "%s: %d pixels are 0 in all bands; they are left out",
            scene.source.path,
            np.count_nonzero(empty),
        )
    valid &= ~empty
    if not valid.any():
        raise HsijaxError(
            f"{scene.source.path}: no pixel has data in all {cube.shape[2]} bands; "
            "mark bands without data as bad (bbl of an ENVI header)"
        )
    return cube, valid


def _find_scale(
    scene: Scene, sheet: SceneSheet | None, scale: float | None, highest: float
) -> tuple[float, tuple[str, ...]]:
    """Return what to divide by for reflectance, and a note on where that is from."""
    if scale is not None:
        return scale, (f"the values are divided by {scale:g}, as --scale says",)
    for found, teller in (
        (sheet and sheet.scale, "data sheet"),
        (scene.scale, "file"),
    ):
        if not found or found == 1:
            continue
        if highest <= HIGHEST_REFLECTANCE:
            return 1.0, (
                f"the values reach {highest:g} and are taken for reflectance as they "
                f"are, though the {teller} has a factor of {found:g}",
            )
        return found, (f"the values are divided by {found:g}, as the {teller} says",)
    if highest <= HIGHEST_REFLECTANCE:
        return 1.0, ()
    alike = next((s for s in list_alike(scene) if s is not sheet and s.scale), None)
    hint = (
        f"; the cube has the size of {alike.name}: if it is that scene, --scale "
        f"{alike.scale:g}"
        if alike
        else ""
    )
    return 1.0, (
        f"the values reach {highest:g} and are used as they are: nothing says by what "
        f"to divide them for reflectance (--scale){hint}",
    )


def _read_named(file_and_key: str, target: Target) -> Reference:
    path, key = split_key(file_and_key)
    file = open_file(path)
    reference = read_reference(file, choose_abundances(file, target.size, key), target)
    _warn_if_unrelated(reference)
    return reference


def _read_sheets(
    sheet: SceneSheet, target: Target, data_dir: Path | None, progress: Progress
) -> Reference | None:
    """Read the abundances of a scene of the catalogue; None if it has no such."""
    described = sheet.file("abundances")
    if described is None:
        return None
    file = open_file(locate(sheet, described, data_dir, progress))
    target = target._replace(window=sheet.window)
    variable = choose_abundances(file, target.size)
    reference = read_reference(file, variable, target, sheet.endmembers)
    _warn_if_unrelated(reference)
    return reference


def _warn_if_unrelated(reference: Reference) -> None:
    if not reference.fits and reference.source:
        log.warning(
            "%s: these abundances hardly explain the cube, in no order of the pixels: "
            "%s",
            reference.source.path,
            reference.order,
        )


def _search(
    scene: Scene, known: SceneSheet | None, target: Target, data_dir: Path | None
) -> tuple[Reference | None, tuple[str, ...]]:
    """Look for abundances in the cube's own file, beside it, and in the data folders.

    Only what explains the cube is taken for its reference.
    """
    path, names = scene.source.path, known.endmembers if known else ()
    key = scene.source.key  # of the cube; without one there is nothing else in the file
    own = _find_abundances(path, target.size, key) if key else None
    beside, notes = _find_beside(path, target.size)
    for found in filter(None, (own, beside)):
        reference = _read_if_it_fits(*found, target, names)
        if reference:
            return reference, notes if found is beside else ()
    described = known and known.file("abundances")
    here = known and described and find_file(known, described, data_dir=data_dir)
    if not known or not here:
        return None, ()
    target = target._replace(window=known.window)
    found = _find_abundances(here.path, target.size)
    reference = found and _read_if_it_fits(*found, target, names)
    if not reference:
        return None, ()
    return reference, (
        f"the cube has the size of {known.name}, and {here.path} explains it",
    )


def _find_beside(
    path: Path, size: tuple[int, int]
) -> tuple[tuple[ArrayFile, Variable] | None, tuple[str, ...]]:
    """Return the abundances of most endmembers in the cube's folder; say if several."""
    if not path.parent.is_dir():  # of a pattern that goes through several folders
        return None, ()
    found = [
        abundances
        for other in sorted(path.parent.iterdir())
        if other != path and any(fnmatch(other.name.lower(), form) for form in BESIDE)
        if (abundances := _find_abundances(other, size))
    ]
    if not found:
        return None, ()
    best = max(found, key=lambda each: count_endmembers(each[1].shape, size))
    if len(found) == 1:
        return best, ()
    listed = ", ".join(file.path.name for file, _ in found)
    return best, (
        f"{listed} fit the cube; {best[0].path.name} is taken, which has most "
        "endmembers (--ground-truth FILE chooses another)",
    )


def _find_abundances(
    path: Path, size: tuple[int, int], cube: str = ""
) -> tuple[ArrayFile, Variable] | None:
    """Return the array that has the size of abundances; None if there is none."""
    try:
        file = open_file(path)
        return file, choose_abundances(file, size, cube=cube)
    except NoReferenceError:
        return None
    except HsijaxError as error:
        log.warning("no reference abundances from %s: %s", path, error)
        return None


def _read_if_it_fits(
    file: ArrayFile, variable: Variable, target: Target, names: tuple[str, ...]
) -> Reference | None:
    try:
        reference = read_reference(file, variable, target, names)
    except HsijaxError as error:
        log.warning("not used as reference: %s", error)
        return None
    if not reference.fits:
        log.warning(
            "%s is not used as reference: these abundances hardly explain the cube: %s",
            file.path,
            reference.order,
        )
        return None
    return reference
