"""Attributes of netCDF, HDF5 and Zarr files, whatever their writer made of them."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float

Attributes = Mapping[str, Any]

LONGEST_TEXT = 20_000  # characters; the definition of a coordinate system has 2,000


def text_of(attributes: Attributes, *names: str) -> str | None:
    r"""Return the first of these attributes that is a text, on one line.

    >>> text_of({"units": b"nm\n"}, "unit", "units")
    'nm'
    """
    for name in names:
        value = attributes.get(name)
        if isinstance(value, np.ndarray) and value.size == 1:
            value = value.ravel()[0]
        if isinstance(value, bytes):
            value = value.decode("utf-8", "replace")
        if isinstance(value, str) and len(value) <= LONGEST_TEXT:
            line = " ".join(value.replace("\0", " ").split())
            return "".join(letter for letter in line if letter.isprintable())
    return None


def numbers_of(attributes: Attributes, *names: str) -> Float[np.ndarray, " n"] | None:
    """Return the first of these attributes that is a list of numbers, or their text.

    >>> numbers_of({"GeoTransform": "10 30 0"}, "GeoTransform").tolist()
    [10.0, 30.0, 0.0]
    """
    for name in names:
        value = attributes.get(name)
        if value is None:
            continue
        if isinstance(value, str | bytes):
            value = (text_of(attributes, name) or "").strip("[](){}")
            value = value.replace(",", " ").split()
        try:
            numbers = np.asarray(value, dtype=np.float64).ravel()
        except (TypeError, ValueError):
            continue
        if numbers.size:
            return numbers
    return None


def number_of(attributes: Attributes, *names: str) -> float | None:
    """Return the first of these attributes that is a single number.

    >>> number_of({"scale_factor": np.array([0.0001])}, "scale_factor")
    0.0001
    """
    for name in names:
        numbers = numbers_of(attributes, name)
        if numbers is not None and numbers.size == 1:
            return float(numbers[0])
    return None
