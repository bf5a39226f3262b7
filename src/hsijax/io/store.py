"""What netCDF, HDF5 and Zarr files hold: arrays in groups, with named axes."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from hsijax.io.arrays import Variable
from hsijax.io.attributes import Attributes


@dataclass(frozen=True)
class NamedArray:
    """An array, the names of its axes ("" where unknown), and its attributes.

    The variable's name is its path inside the file: "group/name".
    """

    variable: Variable
    axes: tuple[str, ...]
    attributes: Attributes

    @property
    def group(self) -> str:
        """Path of the group that holds it; empty for the root."""
        return self.variable.name.rpartition("/")[0]

    @property
    def name(self) -> str:
        """Its name without the group, in lower case."""
        return self.variable.name.rpartition("/")[2].lower()


@dataclass(frozen=True)
class Store:
    """The arrays of a file and the attributes of its groups; "" is the root."""

    path: Path
    arrays: tuple[NamedArray, ...]
    groups: Mapping[str, Attributes]

    def near(self, array: NamedArray) -> list[NamedArray]:
        """List all arrays, those that share the most groups with this one first."""
        parts = array.group.split("/")

        def distance(other: NamedArray) -> int:
            shared = 0
            for one, two in zip(parts, other.group.split("/"), strict=False):
                if one != two:
                    break
                shared += 1
            return -shared

        return sorted(self.arrays, key=distance)

    def attributes_around(self, array: NamedArray) -> Iterator[Attributes]:
        """Yield the attributes of an array, then of its groups from the inside."""
        yield array.attributes
        group = array.group
        while True:
            yield self.groups.get(group, {})
            if not group:
                return
            group = group.rpartition("/")[0]
