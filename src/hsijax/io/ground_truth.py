"""Which array of a file is the ground truth, and whether it is a valid one."""

import numpy as np
from jaxtyping import Int

from hsijax.errors import HsijaxError
from hsijax.io.arrays import ArrayFile, Variable, format_shape, list_variables
from hsijax.io.choose import ChosenCube

MAX_CLASSES = 255
MAX_VALUE = 65535  # of a class


class GroundTruthSizeError(HsijaxError):
    """A ground truth that does not cover the cube pixel by pixel."""


def choose_ground_truth(
    file: ArrayFile, key: str | None, size: tuple[int, int] | None
) -> Variable:
    """Find the class raster in a file that was named as the ground truth.

    Among several, the one of the cube's size is meant (`size`, if there is a cube).

    Raises:
        HsijaxError: there is none or there are several; the message lists them.
    """
    if key is not None:
        return file.named(key)
    rasters = [variable for variable in file.variables if _is_raster(variable)]
    fitting = [variable for variable in rasters if _raster_size(variable) == size]
    if len(fitting) > 1:
        fitting = [variable for variable in fitting if holds_classes(variable)]
    found = fitting if len(fitting) == 1 else rasters
    if len(found) == 1:
        return found[0]
    if found:
        raise HsijaxError(
            f"{file.path} holds several arrays that can be the ground truth: "
            f"{list_variables(found)}; name one with "
            f"--ground-truth {file.path}:KEY"
        )
    raise HsijaxError(
        f"{file.path} holds no ground truth (rows x columns of class numbers); it "
        f"holds: {file.contents()}"
    )


def find_ground_truth(
    file: ArrayFile, cube: ChosenCube
) -> tuple[Variable | None, tuple[str, ...]]:
    """Look for a class raster in the cube's own file; return it, and notes.

    Raises:
        HsijaxError: there are several; the message lists them.
    """
    rows, cols, bands = cube.content.cube.shape
    others = [v for v in file.variables if v is not cube.variable and _is_raster(v)]
    fitting = [
        v for v in others if _raster_size(v) == (rows, cols) and holds_classes(v)
    ]
    if len(fitting) > 1:
        raise HsijaxError(
            f"{file.path} holds several arrays that can be the ground truth: "
            f"{list_variables(fitting)}; name one with "
            f"--ground-truth {file.path}:KEY"
        )
    if fitting:
        return fitting[0], ()
    # A raster of nearly the cube's size was probably meant as its ground truth.
    notes = tuple(
        f"{variable} is not used as ground truth: the cube is {rows} x {cols} pixels"
        for variable in others
        if _is_near(_raster_size(variable), (rows, cols))
        and _raster_size(variable) != (rows, cols)
        and bands not in variable.shape  # as in a matrix of endmembers
        and holds_classes(variable)
    )
    return None, notes


def _is_raster(variable: Variable) -> bool:
    size = _raster_size(variable)
    return len(size) == 2 and min(size) > 1 and variable.dtype.kind in "iufb"


def _raster_size(variable: Variable) -> tuple[int, ...]:
    shape = variable.shape
    return shape[:2] if len(shape) == 3 and shape[2] == 1 else shape


def _is_near(size: tuple[int, ...], other: tuple[int, ...]) -> bool:
    sides = zip(sorted(size), sorted(other), strict=True)
    return all(a <= 2 * b and b <= 2 * a for a, b in sides)


def holds_classes(variable: Variable) -> bool:
    """Whether all values are whole, none is negative and they are few."""
    values = variable.read()
    whole = values.dtype.kind in "iub" or bool((values == np.rint(values)).all())
    return whole and values.min() >= 0 and np.unique(values).size <= MAX_CLASSES + 1


def read_ground_truth(
    file: ArrayFile, variable: Variable
) -> Int[np.ndarray, "rows cols"]:
    """Read a class raster: whole numbers, 0 where there is no label.

    Raises:
        HsijaxError: it is no raster, or holds numbers that are negative, broken or NaN,
            or more than 255 classes.
    """
    where = f"the ground truth {variable} of {file.path}"
    if not _is_raster(variable):
        raise HsijaxError(
            f"{where} has the shape {format_shape(variable.shape)}, not rows x columns"
        )
    values = variable.read()
    values = values.reshape(values.shape[:2])
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        count = np.count_nonzero(~np.isfinite(values))
        raise HsijaxError(f"{where} holds NaN at {count} pixels; write 0 for no label")
    wrong = (values < 0) | (values > MAX_VALUE) | (values != np.rint(values))
    if wrong.any():
        row, col = np.argwhere(wrong)[0]
        raise HsijaxError(
            f"{where} holds {values[row, col]} at row {row}, column {col}; classes are "
            f"whole numbers from 1 to {MAX_VALUE}, and 0 is no label"
        )
    if np.unique(values).size > MAX_CLASSES + 1:
        raise HsijaxError(
            f"{where} holds {np.unique(values).size} different values: more than "
            f"{MAX_CLASSES} classes, so it is no class raster"
        )
    return values.astype(np.int32)


def check_ground_truth_size(
    size: tuple[int, ...], cube_shape: tuple[int, int, int], path: object
) -> None:
    """Refuse a ground truth that does not cover the cube pixel by pixel.

    Raises:
        GroundTruthSizeError: the sizes differ; the message has both, and a reason.
    """
    rows, cols, _ = cube_shape
    if size == (rows, cols):
        return
    reason = "they must be of the same size"
    if size == (cols, rows):
        reason = "it is transposed"
    elif size in (cube_shape[1:], cube_shape[:0:-1]):
        reason = "the cube has its bands first: store it as rows x columns x bands"
    elif size[0] >= rows and size[1] >= cols:
        reason = f"it is padded by {size[0] - rows} rows and {size[1] - cols} columns"
    raise GroundTruthSizeError(
        f"the ground truth {path} is {format_shape(size)} pixels, but the cube is "
        f"{rows} x {cols} pixels x {cube_shape[2]} bands: {reason}"
    )
