"""Where the pixels of a netCDF, HDF5 or Zarr array lie, as CF, GDAL or GeoZarr say."""

import logging

import numpy as np

from hsijax.io.attributes import numbers_of, text_of
from hsijax.io.coordinates import from_centres, from_gdal, name_crs
from hsijax.io.cube import Georeference
from hsijax.io.store import NamedArray, Store

CRS_NAMES = ("proj:code", "proj:wkt2", "crs_wkt", "spatial_ref", "crs")
MAPPING_NAMES = ("spatial_ref", "crs", "transverse_mercator")
# Six numbers in rasterio's order (a, b, c, d, e, f), and in GDAL's.
AFFINE_NAMES = ("spatial:transform", "transform")
GDAL_NAMES = ("GeoTransform", "geotransform")
DEGREES = (("lat", "lon"), ("latitude", "longitude"))

log = logging.getLogger("hsijax")


def find_georeference(
    store: Store, array: NamedArray, axes: tuple[int, int, int]
) -> Georeference | None:
    """Return the georeference of a cube; None if its file has none that is a grid.

    Coordinates of rows and columns come before a written transform, which a crop
    often leaves as it was, unless that transform is rotated.
    """
    around = list(store.attributes_around(array))
    mapping = _find_mapping(store, array)
    if mapping is not None:
        around.insert(1, mapping.attributes)
    crs = next((text for a in around if (text := text_of(a, *CRS_NAMES))), None)
    crs = name_crs(crs) if crs else None
    written = _find_transform(around, crs)
    rows, cols = array.axes[axes[0]].lower(), array.axes[axes[1]].lower()
    y = _find_coordinate(store, array, axes[0])
    x = _find_coordinate(store, array, axes[1])
    if y is None or x is None or (written and any(written.transform[1:4:2])):
        return written
    if crs is None and (rows, cols) in DEGREES:
        log.info(
            "note: %s has latitudes and longitudes without a coordinate system; they "
            "are taken for EPSG:4326",
            store.path,
        )
        crs = "EPSG:4326"
    place = from_centres(crs, x, y)
    if place is None:
        log.warning("%s: its coordinates %s and %s are no grid", store.path, rows, cols)
    return place or written


def _find_mapping(store: Store, array: NamedArray) -> NamedArray | None:
    """Return the variable that describes the coordinate system."""
    named = text_of(array.attributes, "grid_mapping")
    # "crs: x y" is the long form of "crs".
    names = [named.split(":")[0].split()[0].lower()] if named else []
    near = store.near(array)
    for name in [*names, *MAPPING_NAMES]:
        for other in near:
            if other.name == name and other.attributes:
                return other
    return None


def _find_transform(around: list, crs: str | None) -> Georeference | None:
    for attributes in around:
        numbers = numbers_of(attributes, *AFFINE_NAMES)
        if numbers is not None and numbers.size in (6, 9):
            a, b, c, d, e, f = numbers[:6].tolist()
            return Georeference(crs, (a, b, c, d, e, f))
        numbers = numbers_of(attributes, *GDAL_NAMES)
        if numbers is not None and numbers.size == 6:
            return from_gdal(crs, numbers)
    return None


def _find_coordinate(store: Store, array: NamedArray, axis: int) -> np.ndarray | None:
    """Return the coordinates of the pixels along an axis."""
    name, length = array.axes[axis].lower(), array.variable.shape[axis]
    for other in store.near(array):
        if (
            name
            and other.name == name
            and other.variable.shape == (length,)
            and other.variable.is_number
        ):
            return other.variable.read().astype(np.float64)
    return None
