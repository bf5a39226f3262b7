"""Polygons and points as a class raster on a scene's grid."""

import logging
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Int, Shaped

from hsijax.errors import HsijaxError
from hsijax.io.cube import Georeference
from hsijax.io.grids import find_corners, name_crs, same_crs
from hsijax.io.ground_truth import MAX_CLASSES, MAX_VALUE
from hsijax.io.polygons import Shapes, read_shapes
from hsijax.scenes.label_grids import check_both_placed, move_points, warp_errors
from hsijax.scenes.scene import Scene

log = logging.getLogger("hsijax")


def read_polygon_labels(
    path: Path, key: str | None, scene: Scene
) -> tuple[Int[np.ndarray, "rows cols"], Shapes, dict[int, str]]:
    """Read a vector file as labels of a scene's pixels.

    A pixel has the class of the polygons that hold its centre and of the points that
    lie in it; where these have different classes it has no label. Whole numbers are
    the classes, 0 or nothing is no label; texts are numbered from 1 in sorted order.

    Args:
        path: of the file.
        key: ATTRIBUTE or LAYER:ATTRIBUTE; None where there is only one.
        scene: gives the grid.

    Returns:
        The labels, what was read, and the names of classes that have any.

    Raises:
        HsijaxError: the file cannot be read, its attribute holds no classes, it cannot
            be placed on the scene, or no pixel gets a label.
    """
    shapes = read_shapes(path, key)
    place = scene.georeference
    if place is None:
        raise HsijaxError(
            f"the polygons of {path} cannot be placed on {scene.source.path}, which "
            "has no georeference (map info of an ENVI header, tags of a GeoTIFF)"
        )
    check_both_placed(path, shapes.crs, scene.source.path, place.crs)
    ids, names = _number_classes(shapes)
    parts, owner = _take_apart(shapes.geometries, ids > 0)
    said = _say("have no class or no usable geometry", len(ids) - len(set(owner)))
    if not same_crs(shapes.crs, place.crs):
        said.insert(0, f"reprojected from {name_crs(shapes.crs)}")
    with warp_errors(path):
        parts, inside = _lay_on(parts, shapes.crs, place, scene.shape[:2])
    if not inside.any():
        raise HsijaxError(
            f"of the {len(ids)} polygons of {path} none lies in {scene.source.path} "
            f"and has a class in '{shapes.attribute}'{'; '.join(['', *said])}"
        )
    kept = np.unique(owner[inside])
    said += _say("lie outside the scene", len(set(owner)) - len(kept))
    values, mixed = _burn(parts[inside], ids[owner[inside]], place, scene.shape[:2])
    said += _say("pixels lie in several of different classes and get none", mixed)
    lost = np.setdiff1d(ids[ids > 0], values).tolist()
    listed = ", ".join(names.get(number, str(number)) for number in lost[:10])
    said += [f"no pixel has the class {listed}"] if lost else []
    log.info(
        "%s: %d polygons or points give %d pixels their class in '%s'%s",
        *(path, len(kept), np.count_nonzero(values), shapes.attribute),
        "; ".join(["", *said]),
    )
    if not values.any():
        raise HsijaxError(
            f"no pixel of {scene.source.path} gets a label from {path}: its polygons "
            "hold no centre of a pixel, or lie in others of another class"
        )
    return values, shapes, names


def _say(what: str, count: int) -> list[str]:
    return [f"{count} {what}"] if count else []


def _number_classes(shapes: Shapes) -> tuple[Int[np.ndarray, " n"], dict[int, str]]:
    """Return the class of each geometry, 0 for none, and the names of classes.

    Raises:
        HsijaxError: the values are no class numbers, or there are too many.
    """
    where = f"the attribute '{shapes.attribute}' of {shapes.path}"
    values, names = shapes.values, {}
    if values.dtype.kind == "O":
        texts, ids = np.unique(["", *values], return_inverse=True)
        values = ids[1:]
        names = {number: str(text) for number, text in enumerate(texts) if number}
    values = np.array(np.nan_to_num(values))
    wrong = (values < 0) | (values > MAX_VALUE) | (values != np.rint(values))
    if np.any(wrong) and not names:
        raise HsijaxError(
            f"{where} holds {values[wrong][0]:g}; classes are whole numbers from 1 to "
            f"{MAX_VALUE}, and 0 or nothing is no label"
        )
    count = len(np.setdiff1d(values, 0))
    if count > MAX_CLASSES:
        raise HsijaxError(
            f"{where} holds {count} different values: more than {MAX_CLASSES} classes"
        )
    return np.asarray(values, dtype=np.int32), names


def _take_apart(
    geometries: Shaped[np.ndarray, " n"], wanted: Bool[np.ndarray, " n"]
) -> tuple[Shaped[np.ndarray, " parts"], Int[np.ndarray, " parts"]]:
    """Return polygons and points of the wanted geometries, and whose each one is.

    Lines and empty geometries are no part.
    """
    import shapely

    parts, outer = shapely.get_parts(geometries[wanted], return_index=True)
    # A collection may hold polygons of several parts.
    parts, inner = shapely.get_parts(parts, return_index=True)
    kinds = (shapely.GeometryType.POLYGON, shapely.GeometryType.POINT)
    usable = np.isin(shapely.get_type_id(parts), kinds) & ~shapely.is_empty(parts)
    return parts[usable], np.flatnonzero(wanted)[outer[inner]][usable]


def _lay_on(
    parts: Shaped[np.ndarray, " parts"],
    crs: str | None,
    place: Georeference,
    size: tuple[int, int],
) -> tuple[Shaped[np.ndarray, " parts"], Bool[np.ndarray, " parts"]]:
    """Return geometries in a scene's system, and which of them reach into the scene."""
    import shapely
    from rasterio.warp import transform_bounds

    corners = find_corners(place, size)
    box = *corners.min(axis=0), *corners.max(axis=0)
    if same_crs(crs, place.crs):
        return parts, _overlap(parts, box)
    # A system may not reach as far as the file: only what is near is moved to it.
    left, bottom, right, top = transform_bounds(place.crs, crs, *box)
    if left > right:  # across the date line
        left, right = -np.inf, np.inf
    margin = 0.01 * (top - bottom)  # of a rectangle that is approximate
    around = (left - margin, bottom - margin, right + margin, top + margin)
    near = _overlap(parts, around)
    parts = parts.copy()
    parts[near] = shapely.transform(
        parts[near], lambda points: move_points(points.T, crs, place.crs).T
    )
    return parts, near & _overlap(parts, box)


def _overlap(
    parts: Shaped[np.ndarray, " parts"], box: tuple[float, float, float, float]
) -> Bool[np.ndarray, " parts"]:
    """Return which geometries' rectangles overlap one (west, south, east, north)."""
    import shapely

    bounds = shapely.bounds(parts)
    west, south, east, north = bounds.T
    across = (east >= box[0]) & (west <= box[2])
    along = (north >= box[1]) & (south <= box[3])
    return across & along & np.isfinite(bounds).all(axis=1)


def _burn(
    parts: Shaped[np.ndarray, " parts"],
    ids: Int[np.ndarray, " parts"],
    place: Georeference,
    size: tuple[int, int],
) -> tuple[Int[np.ndarray, "rows cols"], int]:
    """Return the labels, and how many pixels lie in parts of different classes.

    Of a polygon that crosses itself GDAL fills what its line goes round an odd number
    of times.
    """
    from rasterio import Affine
    from rasterio.features import rasterize

    order = np.argsort(ids, kind="stable")
    # The last one drawn remains: once it is the largest class, once the smallest.
    largest, smallest = (
        rasterize(
            list(zip(parts[which], ids[which].tolist(), strict=True)),
            size,
            transform=Affine(*place.transform),
            dtype=np.int32,
        )
        for which in (order, order[::-1])
    )
    mixed = largest != smallest
    return np.where(mixed, 0, largest), int(np.count_nonzero(mixed))
