"""Cubes in files that name the axes of their arrays: netCDF, HDF5 and Zarr.

Source:
    NetCDF Climate and Forecast (CF) Metadata Conventions 1.11: coordinate variables,
    grid mappings, packed data; and what xarray, rioxarray and GDAL write of them.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from hsijax.io.arrays import ArrayFile
from hsijax.io.attributes import number_of, numbers_of, text_of
from hsijax.io.cube import CubeFile
from hsijax.io.envi_header import UNITS, Header, parse_good_bands, parse_wavelengths
from hsijax.io.grid_mapping import find_georeference
from hsijax.io.packing import Packing, unpack
from hsijax.io.store import NamedArray, Store

WAVELENGTHS = ("wavelength", "wavelengths", "wavelength_3d", "wl", "wvl")
WIDTHS = ("fwhm",)
GOOD_BANDS = ("good_wavelengths", "good_wavelength", "good_bands", "bbl")
BAND_AXES = (*WAVELENGTHS, "band", "bands", "channel", "channels", "spectral")
# Names of columns; an array that has them first has its image lying on its side.
COLUMN_AXES = ("x", "lon", "longitude", "easting", "col", "cols", "column", "columns")
MISSING = ("_FillValue", "missing_value", "nodata", "_nodata")
UNITLESS = ("", "1", "unitless", "dimensionless", "none", "-")


class _Vector(NamedTuple):
    values: np.ndarray
    unit: str


def describe_arrays(store: Store, offered: Sequence[NamedArray]) -> ArrayFile:
    """List these arrays of a file, and describe those that are cubes.

    Raises:
        HsijaxError: the list of bad bands leaves none.
    """
    cubes = {}
    for array in offered:
        cube = describe_cube(store, array)
        if cube is not None:
            cubes[array.variable.name] = cube
    return ArrayFile(store.path, tuple(a.variable for a in offered), cubes=cubes)


def describe_cube(
    store: Store, array: NamedArray, *, reflectance: bool | None = None
) -> CubeFile | None:
    """Say all that a file knows of an array as a cube; None if it is none.

    `reflectance` is what is known of the values beforehand; None asks the attributes.

    Raises:
        HsijaxError: the list of bad bands leaves none.
    """
    axes = find_axes(store, array)
    if axes is None:
        return None
    stored = array.variable.as_cube(axes)
    bands = stored.shape[2]
    header: Header = {"bands": bands}
    wavelengths = _find_vector(store, array, WAVELENGTHS, bands, array.axes[axes[2]])
    if wavelengths is not None:
        header["wavelength"] = wavelengths.values.tolist()
        header["wavelength units"] = wavelengths.unit
    for field, names in (("fwhm", WIDTHS), ("bbl", GOOD_BANDS)):
        vector = _find_vector(store, array, names, bands)
        if vector is not None:
            header[field] = vector.values.tolist()
    centres, fwhm = parse_wavelengths(header, store.path)
    if reflectance is None:
        reflectance = _says_reflectance(array)
    cube = unpack(stored, _read_packing(array, bands), reflectance=reflectance)
    return CubeFile(
        cube.cube,
        wavelengths=centres,
        fwhm=fwhm,
        good_bands=parse_good_bands(header, store.path),
        nodata=cube.nodata,
        scale=cube.scale,
        georeference=find_georeference(store, array, axes),
    )


def find_axes(store: Store, array: NamedArray) -> tuple[int, int, int] | None:
    """Return which axes of an array are rows, columns and bands; None if it is no cube.

    Where a file names no axes, bands are those of the file's list of wavelengths, or
    else come last.
    """
    shape = array.variable.shape
    if len(shape) != 3 or not array.variable.is_number or not min(shape):
        return None
    names = [name.lower() for name in array.axes]
    found = [axis for axis, name in enumerate(names) if name in BAND_AXES]
    if not found and not any(names):
        found = [
            axis
            for axis, length in enumerate(shape)
            if _find_vector(store, array, WAVELENGTHS, length)
        ]
        found = found if len(found) == 1 else [2]
    if len(found) != 1 or shape[found[0]] < 2:
        return None
    rows, cols = (axis for axis in range(3) if axis != found[0])
    if names[rows] in COLUMN_AXES:
        rows, cols = cols, rows
    return rows, cols, found[0]


def _find_vector(
    store: Store, array: NamedArray, names: Sequence[str], length: int, axis: str = ""
) -> _Vector | None:
    """Find a list with a number for each band: an attribute, or an array nearby.

    The coordinate of an axis of another name (`axis`), such as "band", is often but a
    count; it is taken if it has a unit of length.
    """
    for attributes in store.attributes_around(array):
        numbers = numbers_of(attributes, *names)
        if numbers is not None and numbers.size == length:
            unit = text_of(attributes, "wavelength_units") or "unknown"
            return _Vector(numbers, unit)
    near = [
        other
        for other in store.near(array)
        if other.variable.shape == (length,) and other.variable.is_number
    ]
    for name in (axis.lower(), *names):
        for other in near:
            unit = (text_of(other.attributes, "units", "unit") or "unknown").lower()
            if other.name == name and (name in names or unit in UNITS):
                return _Vector(other.variable.read().astype(np.float64), unit)
    return None


def _read_packing(array: NamedArray, bands: int) -> Packing:
    gain = number_of(array.attributes, "scale_factor")
    offset = number_of(array.attributes, "add_offset")
    missing = numbers_of(array.attributes, *MISSING)
    if missing is not None and missing.size not in (1, bands):
        missing = None
    return Packing(
        np.full(bands, 1.0 if gain is None else gain),
        np.full(bands, 0.0 if offset is None else offset),
        None if missing is None else np.broadcast_to(missing, (bands,)),
    )


def _says_reflectance(array: NamedArray) -> bool:
    """Whether the attributes say reflectance, without a unit, and not a ratio of it."""
    attributes = array.attributes
    said = [text_of(attributes, name) or "" for name in ("standard_name", "long_name")]
    unit = text_of(attributes, "units", "unit")
    text = " ".join([array.name, *said]).lower()
    is_packed = "scale_factor" in attributes
    return (
        unit is not None
        and unit.lower() in UNITLESS
        and "reflectance" in text
        and "uncertainty" not in text
        and (is_packed or array.variable.dtype.kind == "f")
    )
