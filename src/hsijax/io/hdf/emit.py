"""EMIT L1B radiance and L2A reflectance, put on the map by their lookup table (GLT).

Source:
    EMIT L1B and L2A product user guides, JPL / LP DAAC, 2023 (EMITL1BRAD, EMITL2ARFL).
"""

import functools
from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np
from jaxtyping import Int

from hsijax.errors import HsijaxError
from hsijax.io.arrays import ArrayFile, Variable
from hsijax.io.attributes import number_of, numbers_of, text_of
from hsijax.io.coordinates import from_gdal, name_crs
from hsijax.io.cube import CubeFile, Georeference, LazyCube
from hsijax.io.envi_header import parse_good_bands, parse_wavelengths
from hsijax.io.hdf.access import list_store, need
from hsijax.io.lookup_table import gather
from hsijax.io.packing import NODATA

TABLE = ("location/glt_y", "location/glt_x")  # line and sample of each pixel, from 1
BANDS = {
    "wavelength": "sensor_band_parameters/wavelengths",
    "fwhm": "sensor_band_parameters/fwhm",
    "bbl": "sensor_band_parameters/good_wavelengths",  # not in L1B
}
CUBES = ("reflectance", "radiance")


class LookupTable(NamedTuple):
    """Row and column of the raw pixel that each pixel of the map shows; -1 for none."""

    rows: Int[np.ndarray, "rows cols"]
    cols: Int[np.ndarray, "rows cols"]


def is_emit(file: h5py.File) -> bool:
    """Whether a file has the lookup table of an EMIT granule."""
    return all(name in file for name in TABLE)


def read_emit(path: Path, file: h5py.File) -> ArrayFile:
    """Describe the orthorectified cube; the raw pixels of a window are read with it.

    Raises:
        HsijaxError: it is another EMIT product, or a part of it is missing.
    """
    name = next((name for name in CUBES if name in file), None)
    if name is None:
        arrays = list_store(path, file).arrays
        held = ", ".join(a.variable.name for a in arrays if not a.group) or "none"
        raise HsijaxError(
            f"{path} is an EMIT file of another level: it has neither reflectance (L2A "
            f"RFL) nor radiance (L1B RAD), but {held}"
        )
    raw = need(file, name, path, "EMIT")
    if len(raw.shape) != 3 or raw.dtype.kind != "f":
        raise HsijaxError(f"{path}: {raw} is no cube of an EMIT file")
    attributes = dict(file[name].attrs)
    nodata = number_of(attributes, "_FillValue")
    nodata = NODATA if nodata is None else nodata
    header = {"bands": raw.shape[2], "wavelength units": "nm"}
    for field, place in BANDS.items():
        if place in file:
            header[field] = need(file, place, path, "EMIT").read().tolist()
    wavelengths, fwhm = parse_wavelengths(header, path)
    cube = CubeFile(
        _rectify(path, raw, [need(file, part, path, "EMIT") for part in TABLE], nodata),
        wavelengths=wavelengths,
        fwhm=fwhm,
        good_bands=parse_good_bands(header, path),
        nodata=nodata,
        scale=1.0 if name == "reflectance" else None,
        georeference=_read_georeference(path, file),
    )
    return ArrayFile(path, (raw,), cube=cube)


def _rectify(
    path: Path, raw: Variable, table: list[Variable], nodata: float
) -> LazyCube:
    shape = (*table[0].shape, raw.shape[2])
    if table[0].shape != table[1].shape or len(shape) != 3:
        raise HsijaxError(f"{path}: {table[0]} and {table[1]} are no lookup table")

    @functools.cache
    def load_table() -> LookupTable:
        lines, samples = (part.read().astype(np.int32) for part in table)
        if np.abs(lines).max() > raw.shape[0] or np.abs(samples).max() > raw.shape[1]:
            raise HsijaxError(
                f"{path}: its lookup table names pixels outside of {raw}; it is damaged"
            )
        # A pixel that is filled from a neighbour has its place with a minus sign.
        shown = (lines != 0) & (samples != 0)
        return LookupTable(
            np.where(shown, np.abs(lines) - 1, -1),
            np.where(shown, np.abs(samples) - 1, -1),
        )

    def read(rows: slice, cols: slice) -> np.ndarray:
        lookup = load_table()
        window = lookup.rows[rows, cols]
        values = np.full((*window.shape, raw.shape[2]), nodata, dtype=raw.dtype)
        gather(raw.read, window, lookup.cols[rows, cols], values)
        return values

    return LazyCube(shape, raw.dtype, read)


def _read_georeference(path: Path, file: h5py.File) -> Georeference:
    attributes = dict(file.attrs)
    numbers = numbers_of(attributes, "geotransform")
    if numbers is None or numbers.size != 6:
        raise HsijaxError(f"{path}: this EMIT file has no attribute 'geotransform'")
    crs = text_of(attributes, "spatial_ref")
    return from_gdal(name_crs(crs) if crs else None, numbers)
