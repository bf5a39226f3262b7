"""File formats, both ways."""

import os
from pathlib import Path

from hsijax.errors import HsijaxError
from hsijax.io.arrays import ArrayFile, check_is_data
from hsijax.io.choose import choose_cube
from hsijax.io.cube import CubeFile
from hsijax.io.envi import find_header, open_envi
from hsijax.io.geotiff_reader import open_geotiff
from hsijax.io.mat import open_mat
from hsijax.io.npy import open_npy, open_npz

# MiB of rasters that GDAL keeps in memory; else 5 % of what the machine has.
os.environ.setdefault("GDAL_CACHEMAX", "64")

# What opens a file, by its suffix. Any name with an ENVI header beside it is ENVI.
READERS = {
    ".mat": open_mat,
    ".npy": open_npy,
    ".npz": open_npz,
    ".hdr": open_envi,
    ".tif": open_geotiff,
    ".tiff": open_geotiff,
}


def open_file(path: Path) -> ArrayFile:
    """List what a file of any known format holds.

    Raises:
        HsijaxError: there is no such file, its format is not known, or it is damaged.
    """
    check_is_data(path)
    reader = READERS.get(path.suffix.lower())
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
