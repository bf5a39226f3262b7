"""Spectral libraries: named spectra, and the files that hold them."""

from pathlib import Path

from hsijax.errors import HsijaxError
from hsijax.io.arrays import check_is_data
from hsijax.io.envi import find_header
from hsijax.io.spectral_library.csv_file import read_csv_library, write_library_csv
from hsijax.io.spectral_library.envi_file import (
    read_envi_library,
    write_library_envi,
)
from hsijax.io.spectral_library.mat_file import read_mat_library
from hsijax.io.spectral_library.spectra import SpectralLibrary

__all__ = [
    "SpectralLibrary",
    "read_library",
    "write_library_csv",
    "write_library_envi",
]

LIBRARY_READERS = {
    ".csv": read_csv_library,
    ".txt": read_csv_library,
    ".tsv": read_csv_library,
    ".mat": read_mat_library,
    ".sli": read_envi_library,
    ".hdr": read_envi_library,
}


def read_library(path: Path, key: str | None = None) -> SpectralLibrary:
    """Read a spectral library: CSV, .mat or ENVI, by its suffix.

    `key` names the array of a .mat file, or the column of a CSV that has the classes.

    Raises:
        HsijaxError: there is no such file, its format is not known, it is damaged, or
            it is not clear which of it is the library.
    """
    check_is_data(path)
    reader = LIBRARY_READERS.get(path.suffix.lower())
    if reader is None and find_header(path):
        reader = read_envi_library
    if reader is None:
        raise HsijaxError(
            f"{path} is no spectral library that can be read: its name ends in none of "
            f"{', '.join(LIBRARY_READERS)}, and no ENVI header (.hdr) lies beside it"
        )
    return reader(path, key)
