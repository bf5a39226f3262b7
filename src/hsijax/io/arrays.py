"""What a file holds before it is known which of it is the cube."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hsijax.errors import HsijaxError
from hsijax.io.cube import CubeFile, Georeference, LazyCube

Colour = tuple[int, int, int]  # RGB, 0..255

HTML_STARTS = (b"<!doctype", b"<html", b"<head", b"<?xml")
GIT_LFS_START = b"version https://git-lfs"


@dataclass(frozen=True)
class Variable:
    """An array in a file, not yet read.

    `read(*slices)` returns what indexing the array by them does, so `read()` is all of
    it. The name is empty where the format has none.
    """

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype
    read: Callable[..., np.ndarray]

    @property
    def is_number(self) -> bool:
        """Whether it holds integers or real numbers."""
        return self.dtype.kind in "iuf"

    def as_cube(self, axes: tuple[int, int, int] = (0, 1, 2)) -> LazyCube:
        """View a three-dimensional array as `[rows cols bands]`.

        `axes` says which of its axes are rows, columns and bands.
        """
        rows, cols, bands = (self.shape[axis] for axis in axes)
        if axes == (0, 1, 2):
            return LazyCube((rows, cols, bands), self.dtype, self.read)

        def read(rows: slice, cols: slice) -> np.ndarray:
            window = [slice(None)] * 3
            window[axes[0]], window[axes[1]] = rows, cols
            return self.read(*window).transpose(axes)

        return LazyCube((rows, cols, bands), self.dtype, read)

    def __str__(self) -> str:
        name = f"'{self.name}' " if self.name else "an array "
        return f"{name}({format_shape(self.shape)}, {self.dtype.name})"


@dataclass(frozen=True)
class ArrayFile:
    """The arrays of a file, and what the file itself says about them.

    `cube` is set by formats that describe a cube; elsewhere it is worked out from
    shapes. `class_table` has (value, name, colour) of a classification raster, and
    `georeference` its place. Formats that name the axes of arrays list all arrays with
    an axis of bands in `cubes`. `tiles` are the files of a mosaic.
    """

    path: Path
    variables: tuple[Variable, ...]
    cube: CubeFile | None = None
    class_table: tuple[tuple[int, str, Colour | None], ...] = ()
    cubes: Mapping[str, CubeFile] | None = None
    georeference: Georeference | None = None
    tiles: tuple[Path, ...] = ()

    def named(self, key: str) -> Variable:
        """Return one variable.

        Raises:
            HsijaxError: there is none of this name; the message lists what there is.
        """
        for variable in self.variables:
            if variable.name == key:
                return variable
        raise HsijaxError(
            f"{self.path} holds no variable '{key}'; it holds: {self.contents()}"
        )

    def contents(self) -> str:
        """List all variables for a message."""
        return list_variables(self.variables) or "no array of numbers"


def list_variables(variables: Sequence[Variable]) -> str:
    """Join variables with their shapes and types for a message."""
    return ", ".join(str(variable) for variable in variables)


def format_shape(shape: Sequence[int]) -> str:
    """Write a shape for a message.

    >>> format_shape((145, 145, 200))
    '145 x 145 x 200'
    """
    return " x ".join(str(length) for length in shape)


def check_is_data(path: Path) -> None:
    """Refuse what a failed download leaves under the name of a scene.

    Raises:
        HsijaxError: there is no such file, it is empty, a web page, or the pointer that
            git leaves where large files were not fetched.
    """
    if path.is_dir():
        raise HsijaxError(f"{path} is a folder; give a file")
    try:
        with path.open("rb") as stream:
            start = stream.read(512)
    except OSError as error:
        raise HsijaxError(f"cannot read {path}: {error.strerror}") from error
    if not start:
        raise HsijaxError(f"{path} is empty; get the file again")
    text = start.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    is_xml = path.suffix.lower() == ".xml" and b"<html" not in text
    if text.startswith(HTML_STARTS) and not is_xml:
        raise HsijaxError(
            f"{path} is a web page, not data: the server answered the download with "
            "an HTML page; delete the file and get it from another address"
        )
    if start.startswith(GIT_LFS_START):
        raise HsijaxError(
            f"{path} is a git-lfs pointer, not data; fetch it with `git lfs pull`"
        )
