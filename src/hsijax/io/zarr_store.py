"""Zarr stores of version 2 and 3 in a folder, as xarray, GeoZarr and others write."""

import base64
import binascii
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from hsijax.errors import HsijaxError
from hsijax.io.arrays import ArrayFile, Variable
from hsijax.io.attributes import Attributes
from hsijax.io.named_axes import describe_arrays
from hsijax.io.store import NamedArray, Store

MARKS = ("zarr.json", ".zgroup", ".zarray")  # one of these lies in each store
AXES = "_ARRAY_DIMENSIONS"  # where xarray names the axes in version 2


def is_zarr(path: Path) -> bool:
    """Whether a folder is a Zarr array or group."""
    return path.is_dir() and any((path / name).is_file() for name in MARKS)


def open_zarr(path: Path) -> ArrayFile:
    """List the arrays of a Zarr store; cubes are those with an axis of bands.

    Raises:
        HsijaxError: zarr is missing, or the store is damaged or none.
    """
    try:
        import zarr
    except ImportError as error:
        raise HsijaxError(
            f"reading {path} needs zarr: pip install 'hsijax[zarr]'"
        ) from error
    if not is_zarr(path):
        raise HsijaxError(
            f"{path} is no Zarr store: a folder with one of {', '.join(MARKS)} in it"
        )
    try:
        root: Any = zarr.open(store=str(path), mode="r")
        if isinstance(root, zarr.Array):
            members = [("", root)]
        else:
            members = list(root.members(max_depth=None))
        groups: dict[str, Attributes] = {"": _attributes(root)}
        arrays = []
        for name, item in members:
            if isinstance(item, zarr.Array):
                arrays.append(_describe(path, name, item))
            else:
                groups[name] = _attributes(item)
    except Exception as error:  # zarr's parsers fail in many ways on damaged metadata
        raise _damaged(path, error) from error
    arrays.sort(key=lambda array: array.variable.name)
    store = Store(path, tuple(arrays), groups)
    return describe_arrays(store, [a for a in arrays if a.variable.is_number])


def _describe(path: Path, name: str, array: Any) -> NamedArray:
    def read(*window: slice) -> np.ndarray:
        try:
            return np.asarray(array[window or ...])
        except Exception as error:  # of its codecs, on damaged chunks
            raise _damaged(path, error) from error

    attributes = dict(_attributes(array))
    # Where xarray names the axes, a fill value of version 2 is its mark for no data;
    # elsewhere it is but what chunks that were never written read as.
    if array.metadata.zarr_format == 2 and AXES in attributes:
        attributes.setdefault("_FillValue", array.fill_value)
    axes = getattr(array.metadata, "dimension_names", None) or attributes.get(AXES)
    names = [axis if isinstance(axis, str) else "" for axis in axes or ()]
    if len(names) != len(array.shape):
        names = [""] * len(array.shape)
    variable = Variable(name, tuple(array.shape), np.dtype(array.dtype), read)
    return NamedArray(variable, tuple(names), attributes)


def _attributes(item: Any) -> Mapping[str, Any]:
    attributes = item.attrs.asdict()
    missing = attributes.get("_FillValue")
    if isinstance(missing, str):
        attributes["_FillValue"] = _decode_missing(missing)
    return attributes


def _decode_missing(text: str) -> float | str:
    """Read a no-data value; xarray writes those of version 3 as eight bytes in base64.

    >>> _decode_missing("NaN"), _decode_missing("AAAAAICHw8A=")
    (nan, -9999.0)
    """
    try:
        return float(text)
    except ValueError:
        pass
    try:
        return struct.unpack("<d", base64.b64decode(text, validate=True))[0]
    except (binascii.Error, struct.error):
        return text


def _damaged(path: Path, error: Exception) -> HsijaxError:
    detail = f"{error}".strip().splitlines()
    return HsijaxError(
        f"{path} is damaged or cut short "
        f"({detail[0] if detail else type(error).__name__}); get the store again"
    )
