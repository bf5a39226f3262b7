"""File formats, both ways."""

import os
from pathlib import Path

from hsijax.errors import HsijaxError
from hsijax.io.arrays import ArrayFile, check_is_data
from hsijax.io.choose import choose_cube
from hsijax.io.cube import CubeFile
from hsijax.io.envi import find_header, open_envi
from hsijax.io.hdf import open_hdf
from hsijax.io.mat import open_mat
from hsijax.io.metadata_xml import open_metadata, open_tiff
from hsijax.io.npy import open_npy, open_npz
from hsijax.io.zarr_store import is_zarr, open_zarr

# MiB of rasters that GDAL keeps in memory; else 5 % of what the machine has.
os.environ.setdefault("GDAL_CACHEMAX", "64")

# What opens a file, by its suffix. Any name with an ENVI header beside it is ENVI.
READERS = {
    ".mat": open_mat,
    ".npy": open_npy,
    ".npz": open_npz,
    ".hdr": open_envi,
    ".tif": open_tiff,
    ".tiff": open_tiff,
    ".xml": open_metadata,
    ".nc": open_hdf,
    ".nc4": open_hdf,
    ".h5": open_hdf,
    ".hdf5": open_hdf,
    ".he5": open_hdf,
    ".zarr": open_zarr,
}


def open_file(path: Path) -> ArrayFile:
    """List what a file of any known format holds.

    Raises:
        HsijaxError: there is no such file, its format is not known, or it is damaged.
    """
    reader = READERS.get(path.suffix.lower())
    if is_zarr(path):  # a folder of any name
        reader = open_zarr
    elif reader is not open_zarr:
        check_is_data(path)
    if reader is None and find_header(path):
        reader = open_envi
    if reader is None:
        raise HsijaxError(
            f"no reader for {path}: its name ends in none of {', '.join(READERS)}, "
            "and no ENVI header (.hdr) lies beside it"
        )
    return reader(path)


def read_cube(path: Path, key: str | None = None) -> CubeFile:
    """Open the cube of a file of any known format; its values are read lazily.

    Raises:
        HsijaxError: the file cannot be read, or it is not clear which array is meant.
    """
    return choose_cube(open_file(path), key).content
