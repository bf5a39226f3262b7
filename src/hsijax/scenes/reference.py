"""Reference abundances and endmembers: read, checked and put in the cube's order."""

import math
import re
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from hsijax.errors import HsijaxError
from hsijax.io.arrays import ArrayFile, Variable, list_variables
from hsijax.io.mat_text import read_texts
from hsijax.io.spectral_library import SpectralLibrary
from hsijax.scenes.catalogue.sheet import Window
from hsijax.scenes.scene import SourceFile

# By these names, in any case, files call abundances, endmembers and their names.
ABUNDANCES = ("a", "abundances", "s_gt", "s", "abundance")
ENDMEMBERS = ("m", "endmembers", "gt", "e")
NAMES = ("cood", "material_names", "names")

TOLERANCE = 1e-3  # by which abundances may leave the simplex
COMPARED = 20_000  # pixels, about, that pixel orders are compared on
# A wrong order explains the cube no better than its mean spectrum does. The right one
# leaves 0.21 of that error at Jasper Ridge and 0.27 at a part of Urban.
EXPLAINS = 0.75


class NoReferenceError(HsijaxError):
    """A file that holds no abundances of the cube's size."""


@dataclass(frozen=True, eq=False)
class Reference:
    """Abundances that a scene comes with, and the endmembers that belong to them.

    `order` says how their pixels lie in the file, and how that was found.
    """

    abundances: Float[np.ndarray, "rows cols endmembers"]  # float64
    names: tuple[str, ...]
    endmembers: SpectralLibrary | None  # on the cube's good bands and scale
    source: SourceFile | None
    order: str
    fits: bool = True  # whether the abundances explain the cube at all


class Target(NamedTuple):
    """What a reference must fit: the cube, in reflectance and with good bands only."""

    cube: Float[np.ndarray, "rows cols good_bands"]
    valid: Bool[np.ndarray, "rows cols"]
    good_bands: Bool[np.ndarray, " bands"]
    scale: float = 1.0  # by which the stored values were divided
    wavelengths: Float[np.ndarray, " good_bands"] | None = None
    fwhm: Float[np.ndarray, " good_bands"] | None = None
    window: Window | None = None  # of the reference's image that the cube shows

    @property
    def size(self) -> tuple[int, int]:
        """Rows and columns of the reference's image."""
        return self.window.size if self.window else self.cube.shape[:2]


def choose_abundances(
    file: ArrayFile, size: tuple[int, int], key: str | None = None, cube: str = ""
) -> Variable:
    """Find the abundances in a file: the array of the right size, by name if several.

    Args:
        file: where to look.
        size: rows and columns that they must have.
        key: their name, if it is known.
        cube: name of the array in the same file that holds the cube.

    Raises:
        NoReferenceError: none has this size.
        HsijaxError: there are several, or no array called `key`.
    """
    if key is not None:
        variables = [file.named(key)]
    else:
        variables = [v for v in file.variables if not cube or v.name != cube]
    fitting = [v for v in variables if v.is_number and count_endmembers(v.shape, size)]
    if not fitting:
        raise NoReferenceError(
            f"{file.path} holds no abundances of {size[0]} x {size[1]} pixels "
            f"(endmembers x {math.prod(size)}, or rows x columns x endmembers); it "
            f"holds: {list_variables(variables) or 'no array of numbers'}"
        )
    named = [v for name in ABUNDANCES for v in fitting if v.name.lower() == name]
    if named or len(fitting) == 1:
        return (named or fitting)[0]
    raise HsijaxError(
        f"{file.path} holds several arrays that can be the abundances: "
        f"{list_variables(fitting)}; name one with --ground-truth {file.path}:KEY"
    )


def read_reference(
    file: ArrayFile,
    variable: Variable,
    target: Target,
    names: tuple[str, ...] = (),
) -> Reference:
    """Read abundances, and the endmembers beside them, and find their pixel order.

    Of the orders that the array's shape allows, the one is taken in which the
    abundances explain the cube's spectra best, with the best endmembers there are.

    Args:
        file: where they are.
        variable: the abundances in it.
        target: what they must fit.
        names: of the endmembers, where the file has none.

    Raises:
        HsijaxError: they hold NaN, are negative or do not sum to 1.
    """
    where = f"{variable} of {file.path}"
    values = variable.read().astype(np.float64)
    orders = {
        name: _cut(maps, target.window)
        for name, maps in _lay_out(values, target.size).items()
    }
    best, text, fits = _choose_order(orders, target)
    _check_abundances(orders[best][target.valid], where)
    abundances = np.clip(orders[best], 0, None)
    abundances[~target.valid] = 0
    names = _read_names(file, abundances.shape[2], names)
    return Reference(
        abundances=abundances,
        names=names,
        endmembers=_read_endmembers(file, names, target),
        source=SourceFile(file.path, variable.name or None),
        order=text,
        fits=fits,
    )


def count_endmembers(shape: tuple[int, ...], size: tuple[int, int]) -> int:
    """Return of how many endmembers an array is, if its shape is one of abundances.

    >>> count_endmembers((4, 600), (20, 30)), count_endmembers((30, 20, 4), (20, 30))
    (4, 4)
    >>> count_endmembers((20, 30), (20, 30))
    0
    """
    if len(shape) == 2 and math.prod(size) in shape:
        return shape[0] if shape[1] == math.prod(size) else shape[1]
    if len(shape) == 3:
        for image, count in ((shape[:2], shape[2]), (shape[1:], shape[0])):
            if image in (size, size[::-1]):
                return count
    return 0


def _lay_out(values: np.ndarray, size: tuple[int, int]) -> dict[str, np.ndarray]:
    """Return `[rows cols endmembers]` in each order that the shape allows."""
    if values.ndim == 2:
        pixels = values if values.shape[1] == math.prod(size) else values.T
        columns = pixels.reshape(-1, *size[::-1]).transpose(2, 1, 0)
        rows = pixels.reshape(-1, *size).transpose(1, 2, 0)
        return {"pixels column by column": columns, "pixels row by row": rows}
    if values.shape[:2] not in (size, size[::-1]):
        values = np.moveaxis(values, 0, 2)
    orders = {
        "rows x columns as stored": values,
        "rows and columns exchanged": values.swapaxes(0, 1),
    }
    return {name: maps for name, maps in orders.items() if maps.shape[:2] == size}


def _cut(abundances: np.ndarray, window: Window | None) -> np.ndarray:
    if window is None:
        return abundances
    return abundances[slice(*window.rows), slice(*window.cols)]


def _check_abundances(
    abundances: Float[np.ndarray, "pixels endmembers"], where: str
) -> None:
    broken = ~np.isfinite(abundances).all(axis=1)
    if broken.any():
        raise HsijaxError(
            f"{where}: {np.count_nonzero(broken)} pixels hold NaN or infinite values "
            "where the cube has data"
        )
    lowest = abundances.min(initial=0)
    if lowest < -TOLERANCE:
        raise HsijaxError(
            f"{where}: abundances must not be negative; the lowest is {lowest:g}"
        )
    sums = abundances.sum(axis=1)
    worst = np.abs(sums - 1).argmax()
    if abs(sums[worst] - 1) > TOLERANCE:
        wrong = np.count_nonzero(np.abs(sums - 1) > TOLERANCE)
        raise HsijaxError(
            f"{where}: the abundances of a pixel must sum to 1; {wrong} of {len(sums)} "
            f"do not, the worst sum is {sums[worst]:g}"
        )


def _choose_order(
    orders: dict[str, np.ndarray], target: Target
) -> tuple[str, str, bool]:
    """Return the order that explains the cube best, all errors, and if it does at all.

    Spectra of length 1 are compared: brightness is nothing that abundances explain.
    """
    pixels = np.argwhere(target.valid)
    pixels = pixels[:: max(1, len(pixels) // COMPARED)]
    spectra = target.cube[pixels[:, 0], pixels[:, 1]].astype(np.float64)
    spectra /= np.linalg.norm(spectra, axis=1, keepdims=True)
    errors = {
        name: _misfit(spectra, np.nan_to_num(abundances[pixels[:, 0], pixels[:, 1]]))
        for name, abundances in orders.items()
    }
    best = min(errors, key=errors.__getitem__)
    mean = _misfit(spectra, np.ones((len(spectra), 1)))
    tried = ", ".join(f"{error:.3f} {name}" for name, error in errors.items())
    text = f"{best} (relative error of the spectra: {tried}; {mean:.3f} by their mean)"
    return best, text, errors[best] <= EXPLAINS * mean


def _misfit(spectra: np.ndarray, abundances: np.ndarray) -> float:
    """Return the part of the spectra that no endmembers explain: a ratio of norms."""
    endmembers = np.linalg.lstsq(abundances, spectra, rcond=None)[0]
    rest = np.linalg.norm(spectra - abundances @ endmembers)
    return float(rest / np.linalg.norm(spectra))


def _read_names(file: ArrayFile, count: int, known: tuple[str, ...]) -> tuple[str, ...]:
    """Return the file's names, without a number before them, else those known."""
    texts = {name.lower(): found for name, found in read_texts(file.path).items()}
    for name in NAMES:
        if len(texts.get(name, ())) == count:
            return tuple(re.sub(r"^\d+\s*[-_.:]\s*", "", text) for text in texts[name])
    if len(known) == count:
        return known
    return tuple(f"endmember {number + 1}" for number in range(count))


def _read_endmembers(
    file: ArrayFile, names: tuple[str, ...], target: Target
) -> SpectralLibrary | None:
    """Read the spectra beside the abundances, if they have the cube's bands."""
    bands = (len(target.good_bands), target.cube.shape[2])
    shapes = [(b, len(names)) for b in bands]
    for variable in sorted(file.variables, key=lambda v: v.name.lower() != "m"):
        if variable.name.lower() not in ENDMEMBERS or not variable.is_number:
            continue
        if variable.shape in shapes:
            spectra = variable.read().T
        elif variable.shape[::-1] in shapes:
            spectra = variable.read()
        else:
            continue
        if spectra.shape[1] != target.cube.shape[2]:
            spectra = spectra[:, target.good_bands]
        spectra = _rescale(spectra.astype(np.float64), target)
        return SpectralLibrary(names, spectra, target.wavelengths, target.fwhm)
    return None


def _rescale(spectra: np.ndarray, target: Target) -> np.ndarray:
    """Divide endmembers by the cube's scale if they are nearer to it undivided."""
    ratio = np.linalg.norm(spectra, axis=1).max()
    ratio /= np.linalg.norm(target.cube[target.valid], axis=1).max()
    return spectra / target.scale if ratio**2 > target.scale > 1 else spectra
