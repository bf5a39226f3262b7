"""Several tiles as one scene: a folder or a pattern of files on one grid."""

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from hsijax.errors import HsijaxError
from hsijax.io import open_file
from hsijax.io.arrays import ArrayFile, Variable
from hsijax.io.cube import Georeference
from hsijax.io.grids import find_corners, find_shift, format_pixel, name_crs, same_crs
from hsijax.scenes.scene import holds_data
from hsijax.scenes.sources import is_folder_of_tiles, list_tiles

SAME_WAVELENGTH = 0.1  # nm, by which bands of one sensor's tiles may differ

log = logging.getLogger("hsijax")


class _Tile(NamedTuple):
    """An array that begins at this row and column of the mosaic."""

    variable: Variable
    row: int
    col: int

    @property
    def end(self) -> tuple[int, int]:
        rows, cols = self.variable.shape[:2]
        return self.row + rows, self.col + cols


def open_source(path: Path, nodata: float | None = None) -> ArrayFile:
    """Open a file, or the tiles of a folder or a pattern as if they were one file.

    Where several tiles overlap, the first by name that has data counts. `nodata`
    replaces the value that the tiles declare; it marks pixels in no tile.

    Raises:
        HsijaxError: a file cannot be read, there is none, or two are not on one grid
            or not of one kind; the message names both.
    """
    paths = list_tiles(path)
    if not paths and is_folder_of_tiles(path):
        raise HsijaxError(
            f"there is no GeoTIFF (.tif, .tiff) in the folder {path}: name the folder "
            "that holds the tiles, or one file"
        )
    if len(paths) < 2:
        return open_file(paths[0] if paths else path)
    files = [open_file(each) for each in paths]
    grid = _place_of(files[0], path)
    tiles = []
    for file in files:
        _check_content(file, files[0])
        place = _place_of(file, path)
        shift = _check_grid(file, place, files[0], grid)
        tiles.append(_Tile(file.variables[0], *shift))
    return _join(path, files, tiles, nodata)


def _place_of(file: ArrayFile, where: Path) -> Georeference:
    """Return where a tile lies.

    Raises:
        HsijaxError: it does not say.
    """
    place = file.cube.georeference if file.cube else file.georeference
    if place is None:
        raise HsijaxError(
            f"{file.path} has no georeference, so that its place among the tiles of "
            f"{where} is not known"
        )
    return place


def _check_grid(
    file: ArrayFile, place: Georeference, first: ArrayFile, grid: Georeference
) -> tuple[int, int]:
    """Return how many rows and columns a tile lies from the first one.

    Raises:
        HsijaxError: it lies on another grid; the message names both.
    """
    pair = f"{file.path} and {first.path} are not tiles of one scene"
    if not same_crs(place.crs, grid.crs):
        raise HsijaxError(
            f"{pair}: their coordinate systems are {name_crs(place.crs)} and "
            f"{name_crs(grid.crs)}"
        )
    rows, cols = file.variables[0].shape[:2]
    shift = find_shift(place, grid, (rows, cols))
    if shift is not None:
        return shift
    sides = format_pixel(place), format_pixel(grid)
    if sides[0] != sides[1]:
        raise HsijaxError(f"{pair}: their pixels measure {sides[0]} and {sides[1]}")
    corners = [find_corners(each, (1, 1))[0] for each in (place, grid)]
    raise HsijaxError(
        f"{pair}: their corners {corners[0].tolist()} and {corners[1].tolist()} are "
        f"not whole pixels of {sides[0]} apart, or their pixels are turned"
    )


def _check_content(file: ArrayFile, first: ArrayFile) -> None:
    """Refuse a tile of other bands, type, no-data value or scale than the first one.

    Raises:
        HsijaxError: the message names both.
    """
    pair = f"{file.path} and {first.path} are not tiles of one scene"
    for what, one, other in zip(
        ("numbers of bands", "types", "no-data values", "scales"),
        _describe(file),
        _describe(first),
        strict=True,
    ):
        if one != other:
            raise HsijaxError(f"{pair}: their {what} are {one} and {other}")
    if not (file.cube and first.cube):
        return
    ours, theirs = file.cube.wavelengths, first.cube.wavelengths
    if (ours is None) != (theirs is None):
        raise HsijaxError(f"{pair}: only one of them has wavelengths")
    if ours is None or theirs is None:
        return
    differences = np.abs(ours - theirs)
    if differences.max() > SAME_WAVELENGTH:
        band = int(differences.argmax())
        raise HsijaxError(
            f"{pair}: their wavelengths of band {band + 1} are {ours[band]:g} and "
            f"{theirs[band]:g} nm"
        )


def _describe(file: ArrayFile) -> tuple[int, str, str, str]:
    """Say what must be equal in all tiles; as text, in which NaN equals NaN."""
    variable, cube = file.variables[0], file.cube
    bands = variable.shape[2] if len(variable.shape) == 3 else 1
    nodata, scale = (cube.nodata, cube.scale) if cube else (0, None)
    return bands, variable.dtype.name, str(nodata), str(scale)


def _join(
    where: Path, files: list[ArrayFile], tiles: list[_Tile], nodata: float | None
) -> ArrayFile:
    """Describe tiles that fit each other as one file."""
    top, left = min(tile.row for tile in tiles), min(tile.col for tile in tiles)
    tiles = [t._replace(row=t.row - top, col=t.col - left) for t in tiles]
    rows, cols = max(t.end[0] for t in tiles), max(t.end[1] for t in tiles)
    gaps, overlaps = _count_cover(tiles)
    said = f"{where}: {len(tiles)} tiles as one raster of {rows} x {cols} pixels"
    if gaps:
        said += f"; {gaps} pixels lie in no tile and hold no data"
    if overlaps:
        said += f"; {overlaps} pixels lie in several, of which the first by name counts"
    log.info("%s", said)
    first = files[0]
    grid = _place_of(first, where)
    a, b, c, d, e, f = grid.transform
    corner = (a, b, c + a * left + b * top, d, e, f + d * left + e * top)
    place = Georeference(grid.crs, corner)
    shape = (rows, cols, *first.variables[0].shape[2:])
    dtype = first.variables[0].dtype.newbyteorder("=")
    declared, fill, content = 0.0, 0.0, None  # labels are 0 where there is none
    if first.cube:
        declared = first.cube.nodata if nodata is None else nodata
        fill = _choose_fill(declared, dtype, where) if gaps else 0.0
    reader = _make_reader(tiles, shape, dtype, fill, declared if overlaps else None)
    variable = Variable("", shape, dtype, reader)
    if first.cube:
        masks = [file.cube.good_bands for file in files if file.cube]
        known = [mask for mask in masks if mask is not None]
        content = replace(
            first.cube,
            cube=variable.as_cube(),
            good_bands=np.logical_and.reduce(known) if known else None,
            nodata=fill if gaps else declared,
            georeference=place,
        )
    table = {row[0]: row for file in reversed(files) for row in file.class_table}
    return ArrayFile(
        where,
        (variable,),
        cube=content,
        class_table=tuple(table[value] for value in sorted(table)),
        georeference=place,
        tiles=tuple(file.path for file in files),
    )


def _choose_fill(declared: float | None, dtype: np.dtype, where: Path) -> float:
    """Return what pixels in no tile hold: the no-data value, or one that is made up.

    Raises:
        HsijaxError: the type of the tiles cannot hold the value.
    """
    if declared is None:
        fill = np.nan if dtype.kind == "f" else 0.0
        log.info("%s: %g in all bands is no data, as in pixels of no tile", where, fill)
        return fill
    with np.errstate(invalid="ignore", over="ignore"):
        held = np.array([declared]).astype(dtype)[0]
    if held != declared and not (np.isnan(declared) and dtype.kind == "f"):
        raise HsijaxError(
            f"{where}: pixels in no tile cannot hold the no-data value {declared:g}, "
            f"because the tiles are {dtype.name}: give another one with --nodata"
        )
    return declared


def _count_cover(tiles: list[_Tile]) -> tuple[int, int]:
    """Count the pixels in no tile and in several, from the tiles' edges alone."""
    row_edges = np.unique([edge for t in tiles for edge in (t.row, t.end[0])])
    col_edges = np.unique([edge for t in tiles for edge in (t.col, t.end[1])])
    cover = np.zeros((len(row_edges) - 1, len(col_edges) - 1), dtype=np.int32)
    for tile in tiles:
        top, bottom = np.searchsorted(row_edges, (tile.row, tile.end[0]))
        left, right = np.searchsorted(col_edges, (tile.col, tile.end[1]))
        cover[top:bottom, left:right] += 1
    area = np.outer(np.diff(row_edges), np.diff(col_edges))
    return int(area[cover == 0].sum()), int(area[cover > 1].sum())


def _make_reader(
    tiles: list[_Tile],
    shape: tuple[int, ...],
    dtype: np.dtype,
    fill: float,
    nodata: float | None,
) -> Any:
    """Make what indexes the mosaic; pixels of the value `nodata` let others through."""

    def read(*window: slice) -> np.ndarray:
        chosen = (*window, *[slice(None)] * (len(shape) - len(window)))
        spans = [
            range(*part.indices(length))
            for part, length in zip(chosen, shape, strict=True)
        ]
        rows, cols = spans[:2]
        values = np.full([len(span) for span in spans], fill, dtype)
        for tile in reversed(tiles):
            top, bottom = max(rows.start, tile.row), min(rows.stop, tile.end[0])
            left, right = max(cols.start, tile.col), min(cols.stop, tile.end[1])
            if top >= bottom or left >= right:
                continue
            part = tile.variable.read(
                slice(top - tile.row, bottom - tile.row),
                slice(left - tile.col, right - tile.col),
                *chosen[2:],
            )
            here = values[
                top - rows.start : bottom - rows.start,
                left - cols.start : right - cols.start,
            ]
            known = holds_data(part, nodata)
            if known.all():
                here[:] = part
            else:
                here[known] = part[known]
        return values

    return read
