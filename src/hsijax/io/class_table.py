"""Names and colours of the classes of a map, as its writers need them."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Integer, UInt, UInt8

from hsijax.errors import HsijaxError

NO_DATA = (0, 0, 0)  # colour of the value 0, which no class has


@runtime_checkable
class NamedClass(Protocol):
    """A class of a map: its value there, its name, its colour (RGB)."""

    @property
    def id(self) -> int:
        """Value in the map, from 1."""
        ...

    @property
    def name(self) -> str:
        """What a person calls it."""
        ...

    @property
    def colour(self) -> tuple[int, int, int]:
        """Red, green, blue, 0 to 255."""
        ...


def packed_dtype(classes: Sequence[NamedClass]) -> np.dtype:
    """Return the smallest unsigned type that holds every class."""
    return np.min_scalar_type(max((land.id for land in classes), default=0))


def pack_class_map(
    class_map: Integer[np.ndarray, "rows cols"], classes: Sequence[NamedClass]
) -> UInt[np.ndarray, "rows cols"]:
    """Return the map, or some rows of it, in the smallest type that holds every class.

    Raises:
        HsijaxError: the map has a value that is neither 0 nor a class.
    """
    known = np.isin(class_map, [0, *(land.id for land in classes)])
    if not known.all():
        raise HsijaxError(
            f"a map has the value {class_map[~known].min()}, which is none of its "
            f"{len(classes)} classes (0 is no data)"
        )
    return class_map.astype(packed_dtype(classes))


def colour_table(
    classes: Sequence[NamedClass], no_data: tuple[int, int, int] = NO_DATA
) -> UInt8[np.ndarray, "values 3"]:
    """Return the colour of each value from 0 to the largest class.

    Values in between that are no class have the colour of no data.
    """
    last = max((land.id for land in classes), default=0)
    colours = np.tile(np.array(no_data, np.uint8), (last + 1, 1))
    for land in classes:
        colours[land.id] = land.colour
    return colours


def name_table(classes: Sequence[NamedClass], no_data: str) -> list[str]:
    """Return the name of each value from 0 to the largest class; "" in between."""
    last = max((land.id for land in classes), default=0)
    names = [no_data] + [""] * last
    for land in classes:
        names[land.id] = land.name
    return names
