"""HDF5 files as arrays with names: opened for a moment, read window by window."""

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py
import numpy as np

from hsijax.errors import HsijaxError
from hsijax.io.arrays import Variable
from hsijax.io.attributes import Attributes, number_of, text_of
from hsijax.io.store import NamedArray, Store

CHUNK_CACHE = 2**26  # bytes; chunks of products are larger than HDF5's default of 1 MiB
# What netCDF writes into a dimension that has no coordinates.
NO_VARIABLE = "This is a netCDF dimension but not a netCDF variable"
# Pointers inside the file, of which nothing is to be read.
POINTERS = ("DIMENSION_LIST", "REFERENCE_LIST")


@contextmanager
def opened(path: Path) -> Iterator[h5py.File]:
    """Open an HDF5 file; what the library finds wrong becomes one line.

    Raises:
        HsijaxError: the file is damaged or cut short.
    """
    try:
        with h5py.File(path, "r", rdcc_nbytes=CHUNK_CACHE) as file:
            yield file
    except (OSError, RuntimeError, KeyError) as error:
        detail = f"{error}".strip().splitlines()
        raise HsijaxError(
            f"{path} ({path.stat().st_size:,} bytes) is damaged or cut short "
            f"({detail[0] if detail else type(error).__name__}); get the file again"
        ) from error


def list_store(path: Path, file: h5py.File) -> Store:
    """List the datasets of an open file, the names of their axes and all attributes."""
    arrays: list[NamedArray] = []
    groups = {"": _read_attributes(file)}

    def visit(name: str, item: h5py.Group | h5py.Dataset) -> None:
        if isinstance(item, h5py.Dataset) and not _has_numpy_type(item):
            return
        attributes = _read_attributes(item)
        if isinstance(item, h5py.Group):
            groups[name] = attributes
        elif isinstance(item, h5py.Dataset) and item.shape is not None:
            label = text_of(attributes, "NAME") or ""
            if not label.startswith(NO_VARIABLE):
                arrays.append(NamedArray(variable(path, item), _axes(item), attributes))

    file.visititems(visit)
    return Store(path, tuple(arrays), groups)


def variable(path: Path, dataset: h5py.Dataset) -> Variable:
    """Describe a dataset; each read opens the file anew."""
    name = str(dataset.name).strip("/")
    reader = functools.partial(_read, path, name)
    return Variable(name, dataset.shape, dataset.dtype, reader)


def _read(path: Path, name: str, *window: slice) -> np.ndarray:
    with opened(path) as file:
        dataset = file[name]
        assert isinstance(dataset, h5py.Dataset)
        return np.asarray(dataset[window or ()])


def need(file: h5py.File, name: str, path: Path, product: str) -> Variable:
    """Return a dataset that a product must have.

    Raises:
        HsijaxError: it is not there.
    """
    dataset = file.get(name)
    if not isinstance(dataset, h5py.Dataset) or dataset.shape is None:
        raise HsijaxError(f"{path}: this {product} file has no dataset '{name}'")
    return variable(path, dataset)


def need_number(attributes: Attributes, name: str, path: Path, product: str) -> float:
    """Return a number that a product must have among its attributes.

    Raises:
        HsijaxError: it is not there or no number.
    """
    number = number_of(attributes, name)
    if number is None or not np.isfinite(number):
        raise HsijaxError(f"{path}: this {product} file has no number '{name}'")
    return number


def _has_numpy_type(dataset: h5py.Dataset) -> bool:
    try:
        return dataset.dtype is not None
    except TypeError:  # such as a bit field
        return False


def _read_attributes(item: h5py.File | h5py.Group | h5py.Dataset) -> Attributes:
    return {name: item.attrs[name] for name in item.attrs if name not in POINTERS}


def _axes(dataset: h5py.Dataset) -> tuple[str, ...]:
    """Return the names of the axes: their dimension scales, or else their labels."""
    names = []
    for axis in range(len(dataset.shape)):
        dimension = dataset.dims[axis]
        scale = dimension[0].name if len(dimension) else dimension.label
        names.append(str(scale or "").rpartition("/")[2])
    # A coordinate is its own axis.
    if not any(names) and len(names) == 1 and dataset.is_scale:
        return (str(dataset.name).rpartition("/")[2],)
    return tuple(names)
