"""AVIRIS-3, AVIRIS-5 and AVIRIS-NG as netCDF: orthorectified radiance, reflectance.

Source:
    ORNL DAAC, AVIRIS-3 L2A Orthocorrected Surface Reflectance (doi:10.3334/
    ORNLDAAC/2357) and AVIRIS-NG L2A (BioSCape), user guides, 2024-2025.
"""

from pathlib import Path

import h5py

from hsijax.errors import HsijaxError
from hsijax.io.arrays import ArrayFile
from hsijax.io.hdf.access import list_store
from hsijax.io.named_axes import describe_cube

CUBES = ("reflectance/reflectance", "radiance/radiance")
OTHERS = ("uncertainty", "observation_parameters", "geolocation_lookup_table")
MAP_GRID = ("easting", "northing", "transverse_mercator")
RAW_GRID = "geolocation_lookup_table"


def is_aviris(file: h5py.File) -> bool:
    """Whether a file has groups as AVIRIS products have them, of any level."""
    holds = any(name in file for name in (*CUBES, *OTHERS))
    return holds and any(name in file for name in (*MAP_GRID, RAW_GRID))


def read_aviris(path: Path, file: h5py.File) -> ArrayFile:
    """Describe the orthorectified cube with its wavelengths and UTM grid.

    Raises:
        HsijaxError: it is another level, or it has no axis of bands.
    """
    if RAW_GRID in file:
        raise HsijaxError(
            f"{path} is AVIRIS of another level, on the sensor's own grid with a "
            "lookup table; get the orthorectified file (its name ends in _ORT.nc)"
        )
    store = list_store(path, file)
    held = {array.variable.name: array for array in store.arrays}
    name = next((name for name in CUBES if name in held), None)
    if name is None:
        raise HsijaxError(
            f"{path} is AVIRIS of another level: it has neither reflectance (L2A RFL) "
            f"nor radiance (L1B RDN), but {', '.join(file)}"
        )
    array = held[name]
    cube = describe_cube(store, array, reflectance=name == CUBES[0])
    if cube is None:
        raise HsijaxError(f"{path}: {array.variable} has no axis of bands")
    return ArrayFile(path, (array.variable,), cube=cube)
