"""PRISMA L2D: reflectance of two spectrometers on a map grid (.he5).

Source:
    ASI, PRISMA Products Specification Document, issue 2.3, 2020: L2D, swath HCO.
"""

import logging
from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np

from hsijax.errors import HsijaxError
from hsijax.io.arrays import ArrayFile, Variable
from hsijax.io.attributes import Attributes, numbers_of
from hsijax.io.cube import CubeFile, Georeference, LazyCube, stack_bands
from hsijax.io.hdf.access import need, need_number
from hsijax.io.packing import NODATA

SWATHS = "HDFEOS/SWATHS"
LEVEL = "PRS_L2D_HCO"
HIGHEST = 65535  # stored number of the highest reflectance

log = logging.getLogger("hsijax")


class Detector(NamedTuple):
    """The bands of one spectrometer as they are stored, those never acquired too."""

    variable: Variable  # rows, bands, columns
    wavelengths: np.ndarray  # nm; 0 where a band was not acquired
    fwhm: np.ndarray  # nm
    gain: float
    offset: float


def is_prisma(file: h5py.File) -> bool:
    """Whether a file has swaths of PRISMA, of any level."""
    swaths = file.get(SWATHS)
    return isinstance(swaths, h5py.Group) and any(
        str(name).startswith("PRS_L") for name in swaths
    )


def read_prisma(path: Path, file: h5py.File) -> ArrayFile:
    """Describe the cube of both spectrometers, as reflectance, by wavelength.

    Bands that were not acquired are left out; those of the VNIR from where the SWIR
    begins are marked as bad. The error matrices are not used.

    Raises:
        HsijaxError: it is another level, or a part of it is missing.
    """
    swaths = file[SWATHS]
    assert isinstance(swaths, h5py.Group)
    if LEVEL not in swaths:
        raise HsijaxError(
            f"{path} is PRISMA of another level ({', '.join(swaths)}), which is not "
            f"reflectance on a map grid; get the L2D file of the scene"
        )
    attributes = dict(file.attrs)
    vnir, swir = (_read_detector(path, file, attributes, n) for n in ("Vnir", "Swir"))
    if vnir.variable.shape[::2] != swir.variable.shape[::2]:
        raise HsijaxError(
            f"{path}: {vnir.variable} and {swir.variable} are not of one size"
        )
    wavelengths = np.concatenate([vnir.wavelengths, swir.wavelengths])
    fwhm = np.concatenate([vnir.fwhm, swir.fwhm])
    order = np.argsort(wavelengths, kind="stable")
    order = order[wavelengths[order] > 0]
    if not order.size or not (swir.wavelengths > 0).any():
        raise HsijaxError(f"{path}: its lists of wavelengths hold none above 0")
    first_swir = swir.wavelengths[swir.wavelengths > 0].min()
    twice = (order < vnir.wavelengths.size) & (wavelengths[order] >= first_swir)
    if twice.any():
        log.info(
            "note: %s: %d bands of the VNIR from %.0f nm on are marked as bad, because "
            "the SWIR covers them",
            path,
            np.count_nonzero(twice),
            first_swir,
        )
    cube = CubeFile(
        _scale([vnir, swir], order),
        wavelengths=wavelengths[order],
        fwhm=fwhm[order],
        good_bands=~twice,
        nodata=NODATA,
        scale=1.0,
        georeference=_read_georeference(path, attributes, vnir.variable.shape[::2]),
    )
    return ArrayFile(path, (vnir.variable, swir.variable), cube=cube)


def _read_detector(
    path: Path, file: h5py.File, attributes: Attributes, name: str
) -> Detector:
    cube = f"{SWATHS}/{LEVEL}/Data Fields/{name.upper()}_Cube"
    variable = need(file, cube, path, "PRISMA")
    lowest, highest = (
        need_number(attributes, f"L2Scale{name}{end}", path, "PRISMA")
        for end in ("Min", "Max")
    )
    lists = []
    for field in (f"List_Cw_{name}", f"List_Fwhm_{name}"):
        numbers = numbers_of(attributes, field)
        if numbers is None or len(variable.shape) != 3:
            raise HsijaxError(f"{path}: this PRISMA file has no list '{field}'")
        if numbers.size != variable.shape[1]:
            raise HsijaxError(
                f"{path}: '{field}' has {numbers.size} values for {variable}, which is "
                "rows x bands x columns"
            )
        lists.append(numbers)
    wavelengths, fwhm = lists
    return Detector(variable, wavelengths, fwhm, (highest - lowest) / HIGHEST, lowest)


def _scale(detectors: list[Detector], order: np.ndarray) -> LazyCube:
    """Map stored numbers to reflectance; pixels that are 0 in all bands are no data.

    A 0 in some bands is an ordinary value, the lowest: the product has no other mark.
    """
    cubes = [detector.variable.as_cube((0, 2, 1)) for detector in detectors]
    stored = stack_bands(cubes, order)
    counts = [detector.wavelengths.size for detector in detectors]
    gains = np.repeat([d.gain for d in detectors], counts)[order].astype(np.float32)
    offsets = np.repeat([d.offset for d in detectors], counts)[order].astype(np.float32)

    def read(rows: slice, cols: slice) -> np.ndarray:
        numbers = stored.read(rows, cols)
        values = numbers.astype(np.float32) * gains + offsets
        values[~numbers.any(axis=2)] = NODATA
        return values

    return LazyCube(stored.shape, np.dtype(np.float32), read)


def _read_georeference(
    path: Path, attributes: Attributes, size: tuple[int, ...]
) -> Georeference:
    """The corners are the centres of the corner pixels."""
    left, top, right, bottom = (
        need_number(attributes, f"Product_{corner}", path, "PRISMA")
        for corner in (
            "ULcorner_easting",
            "ULcorner_northing",
            "LRcorner_easting",
            "LRcorner_northing",
        )
    )
    code = int(need_number(attributes, "Epsg_Code", path, "PRISMA"))
    rows, cols = size
    if min(size) < 2:
        raise HsijaxError(
            f"{path}: an image of {rows} x {cols} pixels is no PRISMA L2D"
        )
    width, height = (right - left) / (cols - 1), (bottom - top) / (rows - 1)
    corner = (left - width / 2, top - height / 2)
    return Georeference(f"EPSG:{code}", (width, 0.0, corner[0], 0.0, height, corner[1]))
