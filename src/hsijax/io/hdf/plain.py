"""netCDF and HDF5 files of no known product."""

from pathlib import Path

import h5py

from hsijax.io.arrays import ArrayFile
from hsijax.io.hdf.access import list_store
from hsijax.io.named_axes import describe_arrays


def read_plain(path: Path, file: h5py.File) -> ArrayFile:
    """List all arrays of numbers; cubes are those with an axis of bands.

    Wavelengths, widths, bad bands, no-data, packing and georeference are taken from
    the attributes and coordinates of the CF conventions.

    Raises:
        HsijaxError: the list of bad bands leaves none.
    """
    store = list_store(path, file)
    return describe_arrays(store, [a for a in store.arrays if a.variable.is_number])
