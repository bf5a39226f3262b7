"""Spectral libraries in the MATLAB files that circulate among unmixing codes."""

import re
from pathlib import Path

import numpy as np
from jaxtyping import Float

from hsijax.errors import HsijaxError
from hsijax.io.arrays import ArrayFile, Variable, list_variables
from hsijax.io.choose import SPECTRA_NAMES
from hsijax.io.mat import open_mat
from hsijax.io.mat_text import read_texts
from hsijax.io.spectral_library.spectra import (
    SpectralLibrary,
    log,
    nanometres,
    number_repeats,
    tidy_library,
)

BUNDLE = re.compile(r"lib\d+")  # the spectra of one material, as columns
# Endmembers of benchmark scenes, and whether a spectrum is a row.
ENDMEMBERS = {"M": False, "GT": True}
NAMES = ("cood", "names", "material_names", "endmember_names", "labels")
LAST_LETTER = 0x10FFFF  # of Unicode
WAVELENGTHS = ("wavelength", "wavelengths", "wavlen", "wl", "lambda")
NUMBERED = re.compile(r"(\d+)\s*[-.]\s*(.+)")  # as in Zhu's files: "1-tree"


def read_mat_library(path: Path, key: str | None = None) -> SpectralLibrary:
    """Read the spectra of a .mat file.

    Known layouts are the USGS library (`datalib` with `names`), bundles (`lib1`,
    `lib2`, ... with `material_names`) and endmembers (`M` with `cood`, or `GT`). Of
    another array, or of the one that `key` names, the columns are the spectra unless
    the file's wavelengths or names tell otherwise.

    Raises:
        HsijaxError: the file is damaged, or it is not clear which array is meant.
    """
    file = open_mat(path)
    matrices = {v.name: v for v in file.variables if v.is_number and len(v.shape) == 2}
    bundles = [name for name in matrices if BUNDLE.fullmatch(name)]
    if key is None and "datalib" in matrices:
        return tidy_library(_read_usgs(file, path), path)
    if key is None and len(bundles) > 1:
        return tidy_library(_read_bundles(file, bundles, path), path)
    variable = file.named(key) if key else _choose(matrices, file)
    return tidy_library(_read_matrix(file, variable, path), path)


def _choose(matrices: dict[str, Variable], file: ArrayFile) -> Variable:
    for name in ENDMEMBERS:
        if name in matrices:
            return matrices[name]
    found = [
        variable
        for name, variable in matrices.items()
        if min(variable.shape) > 1 and name not in (*SPECTRA_NAMES, *NAMES)
    ]
    if len(found) == 1:
        return found[0]
    if found:
        raise HsijaxError(
            f"{file.path} holds several arrays that can be the spectra: "
            f"{list_variables(found)}; name one with FILE:KEY"
        )
    raise HsijaxError(
        f"{file.path} holds no spectral library (bands x spectra); it holds: "
        f"{file.contents()}"
    )


def _read_usgs(file: ArrayFile, path: Path) -> SpectralLibrary:
    """Read `datalib`: columns of wavelengths, widths, channel numbers, then spectra."""
    columns = file.named("datalib").read().T
    names = _read_names(file, path)
    if len(names) != len(columns):
        raise HsijaxError(
            f"{path}: 'names' has {len(names)} names for the {len(columns)} columns of "
            "'datalib'"
        )
    about: dict[str, int] = {}
    for index, name in enumerate(names):
        word = name.lower().split(" ")[0]
        if word in ("wavelengths", "resolution", "data"):
            about[word] = index
    if "wavelengths" not in about:
        raise HsijaxError(f"{path}: no column of 'datalib' is named 'Wavelengths ...'")
    at = about["wavelengths"]
    factor = nanometres(names[at], columns[at], path)
    widths = about.get("resolution")
    spectra = [index for index in range(len(names)) if index not in about.values()]
    return SpectralLibrary(
        tuple(names[index] for index in spectra),
        columns[spectra],
        columns[at] * factor,
        None if widths is None else columns[widths] * factor,
    )


def _read_bundles(file: ArrayFile, bundles: list[str], path: Path) -> SpectralLibrary:
    bundles = sorted(bundles, key=lambda name: int(name[3:]))
    materials = _read_names(file, path)
    if len(materials) != len(bundles):
        materials = bundles
    spectra = [file.named(name).read().T for name in bundles]
    if len({bundle.shape[1] for bundle in spectra}) > 1:
        raise HsijaxError(f"{path}: {', '.join(bundles)} differ in their bands")
    classes = [
        material
        for material, bundle in zip(materials, spectra, strict=True)
        for _ in bundle
    ]
    wavelengths = _read_wavelengths(file, (spectra[0].shape[1],), path)
    return SpectralLibrary(
        number_repeats(classes),
        np.concatenate(spectra).astype(np.float64),
        wavelengths,
        classes=tuple(classes),
    )


def _read_matrix(file: ArrayFile, variable: Variable, path: Path) -> SpectralLibrary:
    if not variable.is_number or len(variable.shape) != 2:
        raise HsijaxError(f"{path}: {variable} is no library (bands x spectra)")
    spectra = variable.read().astype(np.float64)
    names = _read_names(file, path)
    wavelengths = _read_wavelengths(file, spectra.shape, path)
    if not _rows_are_spectra(variable.name, spectra.shape, names, wavelengths):
        spectra = spectra.T
        if variable.name not in ENDMEMBERS:
            log.info("note: the columns of %s:%s are the spectra", path, variable.name)
    if wavelengths is not None and len(wavelengths) != spectra.shape[1]:
        wavelengths = None
    if len(names) != len(spectra):
        names = [f"endmember {number}" for number in range(1, len(spectra) + 1)]
    names = number_repeats(_without_numbers(names))
    return SpectralLibrary(names, spectra, wavelengths)


def _rows_are_spectra(
    name: str,
    shape: tuple[int, ...],
    names: list[str],
    wavelengths: Float[np.ndarray, " bands"] | None,
) -> bool:
    if name in ENDMEMBERS:
        return ENDMEMBERS[name]
    if shape[0] == shape[1]:
        return False
    if wavelengths is not None:
        return len(wavelengths) == shape[1]
    return len(names) == shape[0]


def _read_wavelengths(
    file: ArrayFile, lengths: tuple[int, ...], path: Path
) -> Float[np.ndarray, " bands"] | None:
    """Return the vector of wavelengths in nm, if the file has one that fits."""
    for variable in file.variables:
        if variable.name.lower() in WAVELENGTHS and variable.is_number:
            values = variable.read().ravel().astype(np.float64)
            if values.size in lengths:
                return values * nanometres("", values, path)
    return None


def _read_names(file: ArrayFile, path: Path) -> list[str]:
    """Return the names in a file: texts, or a matrix of the codes of their letters."""
    for variable in file.variables:
        if variable.name in NAMES and len(variable.shape) == 2:
            codes = variable.read()
            if not (codes >= 0).all() or codes.max() > LAST_LETTER:
                continue
            codes = codes.astype(np.uint32)
            return ["".join(map(chr, row)).strip("\0 \n") for row in codes]
    texts = read_texts(path)
    return next((list(texts[name]) for name in NAMES if name in texts), [])


def _without_numbers(names: list[str]) -> list[str]:
    """Take their own positions off names that all begin with them.

    >>> _without_numbers(["1-tree", "2-water"]), _without_numbers(["1-tree", "water"])
    (['tree', 'water'], ['1-tree', 'water'])
    """
    found = [NUMBERED.fullmatch(name) for name in names]
    if [match and int(match[1]) for match in found] != list(range(1, len(names) + 1)):
        return names
    return [match[2] for match in found if match]
