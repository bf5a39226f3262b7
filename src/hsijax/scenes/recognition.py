"""Is a file a scene of the catalogue? Its size alone does not say so."""

from pathlib import Path

from hsijax.errors import HsijaxError
from hsijax.io import open_file
from hsijax.scenes.catalogue import CATALOGUE, SceneFile, SceneSheet
from hsijax.scenes.lookup import find_file
from hsijax.scenes.reference import Target, choose_abundances, read_reference
from hsijax.scenes.scene import Scene, SourceFile


def list_alike(scene: Scene) -> list[SceneSheet]:
    """List the catalogue's scenes of the same size that have reference abundances."""
    return [
        sheet
        for sheet in CATALOGUE.values()
        if sheet.shape == scene.shape
        and sheet.file("abundances")
        and not sheet.simulated
    ]


def recognise(
    scene: Scene, target: Target, data_dir: Path | None = None
) -> SceneSheet | None:
    """Return the catalogue's scene that a file holds, None if nothing shows that.

    Shown it is by the name or the hash of the cube's file, or by the catalogue's
    abundances, in a data folder or beside the cube, if they explain the cube.
    """
    for sheet in list_alike(scene):
        cube = sheet.file("cube")
        if cube and _is_file(scene.source, cube):
            return sheet
        if any(
            _explains(path, sheet, target)
            for path in _find_abundances(sheet, scene.source.path.parent, data_dir)
        ):
            return sheet
    return None


def _is_file(source: SourceFile, known: SceneFile) -> bool:
    names = [name.lower() for name in known.names]
    return source.path.name.lower() in names or source.sha256 in known.sha256


def _find_abundances(
    sheet: SceneSheet, beside: Path, data_dir: Path | None
) -> list[Path]:
    """List where the catalogue's abundances of a scene may be."""
    described = sheet.file("abundances")
    if described is None:
        return []
    found = find_file(sheet, described, data_dir=data_dir)
    paths = [beside / name for name in described.names]
    return [*([found.path] if found else []), *filter(Path.is_file, paths)]


def _explains(path: Path, sheet: SceneSheet, target: Target) -> bool:
    """Say whether a file has the scene's abundances, and the cube is made of them."""
    target = target._replace(window=sheet.window)
    try:
        file = open_file(path)
        variable = choose_abundances(file, target.size)
        reference = read_reference(file, variable, target)
    except HsijaxError:
        return False
    return reference.fits and len(reference.names) == len(sheet.endmembers)
