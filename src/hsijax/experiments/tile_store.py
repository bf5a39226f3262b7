"""The tiles of a map on their way to its files: on disk, and known to be there.

What is classified is kept at once, so that a map that was stopped goes on where it was,
with tiles of any size, and so that memory does not grow with the scene.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Shaped

from hsijax.errors import HsijaxError
from hsijax.io.atomic import explain_failure, remove, write_text
from hsijax.runs.lock import LOCK, hold, release
from hsijax.scenes.tiles import UNIT, Window


@dataclass(frozen=True)
class TileStore:
    """A folder with one raw file a layer `[rows cols values]`, and one of what is done.

    A layer is written with plain calls: a full disk is an error then, where a memory
    map would end the program.
    """

    folder: Path
    shape: tuple[int, int]  # of the scene
    layers: Mapping[str, tuple[np.dtype, int]]  # type, and values of a pixel

    @classmethod
    def open(
        cls,
        folder: Path,
        shape: tuple[int, int],
        layers: Mapping[str, tuple[np.dtype, int]],
        plan: Mapping[str, Any],
    ) -> "TileStore":
        """Go on with a folder, or start anew if it is of another plan.

        No other process may, until the folder is removed or this process ends.

        Args:
            folder: to be made, if it is not there.
            shape: rows and columns.
            layers: by name.
            plan: all that what is written follows from, as plain values.

        Raises:
            HsijaxError: another process is at it, the disk is full or the folder cannot
                be written.
        """
        with explain_failure(folder):
            folder.mkdir(parents=True, exist_ok=True)
        hold(folder, f"the map {folder.with_name(folder.stem.lstrip('.'))}")
        store = cls(folder, shape, layers)
        described = json.dumps([plan, shape, [*map(str, layers.items())]], indent=1)
        path = folder / "plan.json"
        if path.exists() and path.read_text(encoding="utf-8") == described:
            return store
        remove(path)  # the rest is nothing without it
        try:
            with explain_failure(folder):
                for found in folder.iterdir():
                    if found.name != LOCK:
                        remove(found)
                for name, (dtype, values) in layers.items():
                    _allot(store._path(name), store._pixels * dtype.itemsize * values)
                _allot(store._path("done"), int(np.prod(store._units)))
            write_text(path, described)
        except HsijaxError:
            store.remove()
            raise
        return store

    def done(self, tile: Window) -> bool:
        """Whether all units of a tile are there."""
        return bool(self._read_done()[_units_of(tile)].all())

    def pixels_done(self) -> int:
        """Count the pixels of the units that are there."""
        sides = [
            np.minimum(UNIT, length - UNIT * np.arange(count))
            for length, count in zip(self.shape, self._units, strict=True)
        ]
        return int((np.outer(*sides) * self._read_done()).sum())

    def write(self, tile: Window, **arrays: Shaped[np.ndarray, "rows cols ..."]):
        """Keep a tile of each layer.

        Raises:
            HsijaxError: the disk is full or the folder cannot be written.
        """
        for name, array in arrays.items():
            dtype, values = self.layers[name]
            size = dtype.itemsize * values
            with (
                explain_failure(self._path(name)),
                self._path(name).open("r+b") as file,
            ):
                for row, line in enumerate(array.astype(dtype, copy=False)):
                    place = (tile.rows.start + row) * self.shape[1] + tile.cols.start
                    file.seek(place * size)
                    file.write(line.tobytes())
                file.flush()
                os.fsync(file.fileno())
        # Only now, so that what is marked is there even after the power has gone.
        rows, cols = _units_of(tile)
        with (
            explain_failure(self._path("done")),
            self._path("done").open("r+b") as file,
        ):
            for row in range(rows.start, rows.stop):
                file.seek(row * self._units[1] + cols.start)
                file.write(b"\1" * (cols.stop - cols.start))

    def layer(self, name: str) -> Shaped[np.ndarray, "rows cols ..."]:
        """Map a layer into memory, to be read; `[rows cols]` if it has one value."""
        dtype, values = self.layers[name]
        shape = self.shape if values == 1 else (*self.shape, values)
        return np.memmap(self._path(name), dtype, mode="r", shape=shape)

    def remove(self) -> None:
        """Delete the folder, and let other processes make it again."""
        remove(self.folder)
        release(self.folder)

    @property
    def _pixels(self) -> int:
        return self.shape[0] * self.shape[1]

    @property
    def _units(self) -> tuple[int, int]:
        rows, cols = self.shape
        return -(-rows // UNIT), -(-cols // UNIT)

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}.raw"

    def _read_done(self) -> Bool[np.ndarray, "units_down units_across"]:
        marks = np.fromfile(self._path("done"), np.uint8).reshape(self._units)
        return marks.astype(bool)


def _allot(path: Path, size: int) -> None:
    """Make a file of zeros that take no space yet."""
    with path.open("wb") as file:
        file.truncate(size)


def _units_of(tile: Window) -> tuple[slice, slice]:
    """Return which units a tile consists of."""
    rows, cols = (slice(s.start // UNIT, -(-s.stop // UNIT)) for s in tile)
    return rows, cols
