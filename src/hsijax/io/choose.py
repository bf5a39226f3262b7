"""Which array of a file is the cube."""

import functools
import math
from typing import NamedTuple

import numpy as np

from hsijax.errors import HsijaxError
from hsijax.io.arrays import ArrayFile, Variable, list_variables
from hsijax.io.cube import CubeFile, LazyCube

# Names by which unmixing files call pixels as columns, and the image's two sides.
SPECTRA_NAMES = ("Y", "V")
ROWS_NAMES = ("nrow", "lines", "rows")
COLS_NAMES = ("ncol", "cols", "samples")
# And the value that stands for a reflectance of 1.
SCALE_NAMES = ("maxvalue",)


class NoCubeError(HsijaxError):
    """A file that holds no cube; it may hold a ground truth."""


class ChosenCube(NamedTuple):
    """A cube, the variable that holds it, and what is worth saying about the choice."""

    content: CubeFile
    variable: Variable
    note: str = ""


def choose_cube(
    file: ArrayFile,
    key: str | None = None,
    expected: tuple[int, int, int] | None = None,
) -> ChosenCube:
    """Find the cube: what the format says, else `key`, else by shapes and types.

    Pixels as columns (`Y` or `V` with the numbers of rows and columns beside it) come
    before three-dimensional arrays, because files that have both keep abundances in
    the latter. Where the shape is known beforehand, `expected` decides between arrays
    and gives rows and columns that the file does not.

    Raises:
        NoCubeError: no array can be a cube.
        HsijaxError: there are several, or `key` names none; the message lists them.
    """
    if file.cube:
        return ChosenCube(file.cube, file.variables[0])
    size = _find_image_size(file) or (expected and expected[:2])
    unnamed = len(file.variables) == 1 and not file.variables[0].name
    if key is not None and not unnamed:
        return _as_cube(file, file.named(key), size)
    numbers = [variable for variable in file.variables if variable.is_number]
    cubes = [v for v in numbers if len(v.shape) == 3 and v.shape[2] > 1]
    if file.cubes is not None:
        cubes = [v for v in numbers if v.name in file.cubes]
    spectra = [v for v in numbers if v.name in SPECTRA_NAMES and len(v.shape) == 2]
    fitting = [v for v in spectra if _fits(v, size)]
    if expected:
        cubes = [v for v in cubes if v.shape == expected] or cubes
    for candidates in (fitting, cubes):
        if len(candidates) == 1:
            return _as_cube(file, candidates[0], size)
        if candidates:
            raise HsijaxError(
                f"{file.path} holds several arrays that can be the cube: "
                f"{list_variables(candidates)}; name one with --cube-key"
            )
    hint = ""
    if spectra:
        hint = f"; {spectra[0]} looks like pixels as columns, but no nRow, nCol fit it"
    elif file.cubes is not None and any(len(v.shape) == 3 for v in numbers):
        hint = "; no array of it names an axis of bands (wavelength, band)"
    raise NoCubeError(
        f"{file.path} holds no cube (rows x columns x bands of numbers); it holds: "
        f"{file.contents()}{hint}"
    )


def _as_cube(
    file: ArrayFile, variable: Variable, size: tuple[int, int] | None
) -> ChosenCube:
    scale = _find_number(file, SCALE_NAMES)
    scale = scale if scale and scale > 0 else None
    if file.cubes is not None and variable.name in file.cubes:
        return ChosenCube(file.cubes[variable.name], variable)
    if variable.is_number and len(variable.shape) == 3:
        return ChosenCube(CubeFile(variable.as_cube(), scale=scale), variable)
    if size is None or not _fits(variable, size):
        raise HsijaxError(
            f"{file.path}: {variable} is no cube (rows x columns x bands of numbers)"
        )
    note = (
        f"the cube is '{variable.name}', pixels as columns, taken as {size[0]} rows x "
        f"{size[1]} columns in MATLAB's order (column by column)"
    )
    content = CubeFile(_unfold(variable, size), scale=scale)
    return ChosenCube(content, variable, note)


def _find_image_size(file: ArrayFile) -> tuple[int, int] | None:
    """Return rows and columns if the file has them as numbers of their own."""
    rows = _find_number(file, ROWS_NAMES)
    cols = _find_number(file, COLS_NAMES)
    if rows is None or cols is None:
        return None
    return int(rows), int(cols)


def _find_number(file: ArrayFile, names: tuple[str, ...]) -> float | None:
    """Return the first of these, in any case, that the file has as a single number."""
    scalars = {v.name.lower(): v for v in file.variables if math.prod(v.shape) == 1}
    found = [scalars[name] for name in names if name in scalars]
    return float(found[0].read().item()) if found else None


def _fits(variable: Variable, size: tuple[int, int] | None) -> bool:
    """Whether it is `[bands pixels]` of an image of this size."""
    return (
        size is not None
        and variable.is_number
        and len(variable.shape) == 2
        and variable.shape[1] == size[0] * size[1]
    )


def _unfold(variable: Variable, size: tuple[int, int]) -> LazyCube:
    bands = variable.shape[0]

    @functools.cache
    def load() -> np.ndarray:
        pixels = variable.read()
        return pixels.reshape(bands, *size, order="F").transpose(1, 2, 0)

    return LazyCube((*size, bands), variable.dtype, lambda r, c: load()[r, c])
