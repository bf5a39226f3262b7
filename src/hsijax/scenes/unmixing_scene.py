"""A scene made ready for unmixing: reflectance, a mask, and what is known of it."""

import logging
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float32

from hsijax.config import Progress, no_progress
from hsijax.errors import HsijaxError
from hsijax.scenes.catalogue import SceneSheet
from hsijax.scenes.find_reference import read_named, read_sheets, search_reference
from hsijax.scenes.loading import find_sheet, load_scene
from hsijax.scenes.recognition import list_alike, recognise
from hsijax.scenes.reference import Reference, Target
from hsijax.scenes.scene import Scene
from hsijax.scenes.simulated import simulate
from hsijax.scenes.thinned import thin_scene, thinning

# Bright targets exceed a reflectance of 1, but hardly ever this.
HIGHEST_REFLECTANCE = 1.5

log = logging.getLogger("hsijax")


@dataclass(frozen=True, eq=False)
class UnmixingScene:
    """A cube in reflectance, good bands only; pixels that are not valid are 0 in it.

    `simulated` says how the cube was made, if it is no real one; every output must
    show it. `notes` are what was done to get here. Of a scene that is too large,
    `scene` and all arrays are of every so many rows and columns, and `whole` is all.
    """

    scene: Scene
    cube: Float32[np.ndarray, "rows cols good_bands"]
    valid: Bool[np.ndarray, "rows cols"]
    scale: float  # the stored values were divided by it
    reference: Reference | None = None
    simulated: str = ""
    notes: tuple[str, ...] = ()
    whole: Scene | None = None
    every: int = 1  # how many rows and columns one is of


def load_unmixing_scene(
    name_or_path: str,
    *,
    data_dir: Path | None = None,
    cube_key: str | None = None,
    ground_truth: str | None = None,
    nodata: float | None = None,
    scale: float | None = None,
    most: int | None = None,
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
        most: bytes of the cube in float32 that are read at most; of a larger one as
            many rows and columns are left out.
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
    whole, every = scene, 1 if most is None else thinning(scene, most)
    if every > 1:
        scene = thin_scene(scene, every)
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
    if every > 1:
        return _as_sample(ready, whole, every, ground_truth)
    if sheet and sheet.simulated:
        ready = replace(ready, simulated=sheet.simulated)
    if ground_truth:
        reference, notes = read_named(ground_truth, target), ()
    elif sheet and sheet.simulated:
        reference, notes = simulate(sheet, data_dir, progress).reference(), ()
    elif sheet:
        reference, notes = read_sheets(sheet, target, data_dir, progress), ()
    else:
        reference, notes = search_reference(scene, known, target, data_dir)
    if reference:
        source = f" from {reference.source.path.name}" if reference.source else ""
        notes = (*notes, f"reference abundances{source}: {reference.order}")
    return replace(ready, reference=reference, notes=ready.notes + notes)


def _as_sample(
    ready: UnmixingScene, whole: Scene, every: int, ground_truth: str | None
) -> UnmixingScene:
    """Say that a scene is a part of a larger one, which has no reference."""
    if ground_truth:
        raise HsijaxError(
            f"{whole.source.path} is too large to be compared with reference "
            "abundances: cut out a part of it, or give more --max-memory"
        )
    note = (
        f"the scene is large: endmembers, figures and metrics are of one pixel in "
        f"{every} x {every}, the rasters of every pixel"
    )
    return replace(ready, notes=(*ready.notes, note), whole=whole, every=every)


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
