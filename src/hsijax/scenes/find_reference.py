"""Where the reference abundances of a scene are: named, known, or found beside it."""

import logging
from fnmatch import fnmatch
from pathlib import Path

from hsijax.config import Progress
from hsijax.errors import HsijaxError
from hsijax.io import open_file
from hsijax.io.arrays import ArrayFile, Variable
from hsijax.scenes.catalogue import SceneSheet
from hsijax.scenes.labels import split_key
from hsijax.scenes.lookup import find_file, locate
from hsijax.scenes.reference import (
    NoReferenceError,
    Reference,
    Target,
    choose_abundances,
    count_endmembers,
    read_reference,
)
from hsijax.scenes.scene import Scene

# Files that collections keep beside a cube; compared in lower case.
BESIDE = ("end*.mat", "*groundtruth*.mat", "*_gt.mat")

log = logging.getLogger("hsijax")


def read_named(file_and_key: str, target: Target) -> Reference:
    """Read the abundances that a user names, FILE or FILE:KEY.

    Raises:
        HsijaxError: they cannot be read, or do not fit the cube.
    """
    path, key = split_key(file_and_key)
    file = open_file(path)
    reference = read_reference(file, choose_abundances(file, target.size, key), target)
    _warn_if_unrelated(reference)
    return reference


def read_sheets(
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


def search_reference(
    scene: Scene, known: SceneSheet | None, target: Target, data_dir: Path | None
) -> tuple[Reference | None, tuple[str, ...]]:
    """Look for abundances in the cube's own file, beside it, and in the data folders.

    Only what explains the cube is taken for its reference; the second is what is to be
    said of it.
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
