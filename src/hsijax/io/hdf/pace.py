"""PACE OCI: L1B and L2 swaths, L3 maps.

Source:
    NASA OB.DAAC, PACE OCI Level-1B and Level-2 data product formats, 2024-2025.
"""

import logging
from pathlib import Path

import h5py
import numpy as np

from hsijax.errors import HsijaxError
from hsijax.io.arrays import ArrayFile
from hsijax.io.attributes import number_of, text_of
from hsijax.io.cube import CubeFile, stack_bands
from hsijax.io.hdf.access import list_store, need
from hsijax.io.named_axes import describe_arrays
from hsijax.io.packing import Packing, unpack

OBSERVED = "observation_data"  # L1B: at the top of the atmosphere
RETRIEVED = "geophysical_data"  # L2
DETECTORS = ("blue", "red", "SWIR")

log = logging.getLogger("hsijax")


def is_pace(file: h5py.File) -> bool:
    """Whether a file says that it comes from the instrument OCI."""
    return (text_of(dict(file.attrs), "instrument") or "").upper() == "OCI"


def read_pace(path: Path, file: h5py.File) -> ArrayFile:
    """Describe L1B reflectance, what an L2 file has in many bands, or an L3 map.

    L1B and L2 lie as the sensor saw them, so they have no georeference.

    Raises:
        HsijaxError: it is another level, or a part of it is missing.
    """
    if OBSERVED in file:
        return _read_observed(path, file)
    store = list_store(path, file)
    if RETRIEVED in file:
        log.info("note: %s is a swath without a map grid: no georeference", path)
        inside = [a for a in store.arrays if a.group == RETRIEVED]
        return describe_arrays(store, [a for a in inside if a.variable.is_number])
    found = describe_arrays(store, [a for a in store.arrays if a.variable.is_number])
    if found.cubes:
        return found
    level = text_of(dict(file.attrs), "processing_level") or "unknown"
    raise HsijaxError(
        f"{path} is PACE OCI of another level or without spectra (processing level "
        f"'{level}', holding {', '.join(file) or 'nothing'}); L1B, L2 with rhos or "
        "Rrs, and L3 mapped are read"
    )


def _read_observed(path: Path, file: h5py.File) -> ArrayFile:
    """Stack the three detectors' reflectance, stored bands first, by wavelength."""
    parts = [need(file, f"{OBSERVED}/rhot_{n}", path, "PACE OCI") for n in DETECTORS]
    lists = [
        need(file, f"sensor_band_parameters/{n}_wavelength", path, "PACE OCI").read()
        for n in DETECTORS
    ]
    for part, numbers in zip(parts, lists, strict=True):
        fits = len(part.shape) == 3 and part.shape[:1] == numbers.shape
        if not fits or part.shape[1:] != parts[0].shape[1:]:
            raise HsijaxError(
                f"{path}: {part} does not fit {numbers.size} wavelengths and {parts[0]}"
            )
    wavelengths = np.concatenate(lists).astype(np.float64)
    order = np.argsort(wavelengths, kind="stable")
    packing = [
        np.repeat(
            [_attribute(file, part.name, name, default) for part in parts],
            [numbers.size for numbers in lists],
        )[order]
        for name, default in (
            ("scale_factor", 1.0),
            ("add_offset", 0.0),
            ("_FillValue", np.nan),
        )
    ]
    stored = stack_bands([part.as_cube((1, 2, 0)) for part in parts], order)
    cube = unpack(stored, Packing(*packing), reflectance=True)
    log.info("note: %s is a swath without a map grid: no georeference", path)
    content = CubeFile(
        cube.cube, wavelengths=wavelengths[order], nodata=cube.nodata, scale=cube.scale
    )
    return ArrayFile(path, tuple(parts), cube=content)


def _attribute(file: h5py.File, name: str, attribute: str, default: float) -> float:
    number = number_of(dict(file[name].attrs), attribute)
    return default if number is None else number
