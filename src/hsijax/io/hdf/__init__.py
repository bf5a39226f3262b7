"""netCDF-4 and HDF5: products of imaging spectrometers, and plain files."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import h5py

from hsijax.errors import HsijaxError
from hsijax.io.arrays import ArrayFile
from hsijax.io.hdf.access import opened
from hsijax.io.hdf.aviris import is_aviris, read_aviris
from hsijax.io.hdf.emit import is_emit, read_emit
from hsijax.io.hdf.pace import is_pace, read_pace
from hsijax.io.hdf.plain import read_plain
from hsijax.io.hdf.prisma import is_prisma, read_prisma


class Product(NamedTuple):
    """How to know the files of a product, and how to read them."""

    recognise: Callable[[h5py.File], bool]
    read: Callable[[Path, h5py.File], ArrayFile]


PRODUCTS = {
    "EMIT": Product(is_emit, read_emit),
    "PRISMA": Product(is_prisma, read_prisma),
    "PACE OCI": Product(is_pace, read_pace),
    "AVIRIS": Product(is_aviris, read_aviris),
}

# First bytes of formats that share the suffixes, and what to do with them.
OTHER_FORMATS = {
    b"CDF": "netCDF-3 (classic), which is not HDF5; convert it: nccopy -k nc4 {name} "
    "new.nc, or ncks -4",
    b"\x0e\x03\x13\x01": "HDF4, which is not HDF5; convert it: h4toh5 {name} new.h5",
}


def open_hdf(path: Path) -> ArrayFile:
    """Open a netCDF-4 or HDF5 file of a known product, or a plain one.

    Raises:
        HsijaxError: it is damaged, another format, or another level of a product.
    """
    with path.open("rb") as stream:
        start = stream.read(4)
    for signature, advice in OTHER_FORMATS.items():
        if start.startswith(signature):
            raise HsijaxError(f"{path} is {advice.format(name=path.name)}")
    if not h5py.is_hdf5(path):
        raise HsijaxError(
            f"{path} is no HDF5 or netCDF-4 file (it begins with {start!r}); get the "
            "file again"
        )
    with opened(path) as file:
        for product in PRODUCTS.values():
            if product.recognise(file):
                return product.read(path, file)
        return read_plain(path, file)
