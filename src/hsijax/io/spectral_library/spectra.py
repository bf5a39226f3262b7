"""Spectral libraries: named spectra, the form in which endmembers travel."""

import logging
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from hsijax.errors import HsijaxError
from hsijax.io.envi_header import LONGEST_MICROMETRES, UNITS

# The USGS libraries write -1.23e34 where a channel was deleted.
DELETED = -1e30

log = logging.getLogger("hsijax")


@dataclass(frozen=True, eq=False)
class SpectralLibrary:
    """Named spectra, one a row; None where nothing is known.

    A spectrum is NaN where its file has no value. `classes` has the material of each
    spectrum, where several show the same one. `pixels` says where in a scene (row,
    col) each was found. `source` is the name of the file, for messages.
    """

    names: tuple[str, ...]
    spectra: Float[np.ndarray, "spectra bands"]
    wavelengths: Float[np.ndarray, " bands"] | None = None  # nm
    fwhm: Float[np.ndarray, " bands"] | None = None  # nm
    classes: tuple[str, ...] | None = None
    pixels: Int[np.ndarray, "spectra 2"] | None = None
    source: str = ""


def tidy_library(library: SpectralLibrary, path: Path) -> SpectralLibrary:
    """Return what a file holds as every user of a library wants it.

    Bands are in the order of their wavelengths, deleted cells are NaN.

    Raises:
        HsijaxError: there is no spectrum, only one band, or a wavelength that is not
            positive or stands there twice.
    """
    spectra = np.asarray(library.spectra, dtype=np.float64)
    if not len(spectra) or spectra.shape[1] < 2:
        raise HsijaxError(
            f"{path} holds {len(spectra)} spectra of {spectra.shape[1]} bands: no "
            "spectral library"
        )
    spectra = np.where(np.isfinite(spectra) & (spectra > DELETED), spectra, np.nan)
    wavelengths, fwhm = library.wavelengths, library.fwhm
    if wavelengths is not None:
        wavelengths, order = _sort_wavelengths(wavelengths, path)
        spectra = spectra[:, order]
        fwhm = None if fwhm is None else fwhm[order]
    return SpectralLibrary(
        library.names,
        spectra,
        wavelengths,
        fwhm,
        library.classes,
        library.pixels,
        path.name,
    )


def _sort_wavelengths(
    wavelengths: Float[np.ndarray, " bands"], path: Path
) -> tuple[Float[np.ndarray, " bands"], Int[np.ndarray, " bands"]]:
    if not (np.isfinite(wavelengths) & (wavelengths > 0)).all():
        raise HsijaxError(f"{path}: not every wavelength is a positive number")
    order = np.argsort(wavelengths, kind="stable")
    ascending = wavelengths[order]
    twice = np.flatnonzero(np.diff(ascending) == 0)
    if twice.size:
        raise HsijaxError(
            f"{path} gives the wavelength {ascending[twice[0]]:g} nm twice"
        )
    if (order[1:] < order[:-1]).any():
        log.info("note: the bands of %s are sorted by their wavelengths", path)
    return ascending, order


def nanometres(unit: str, values: Float[np.ndarray, " bands"], path: Path) -> float:
    """Return how many nanometres the unit of wavelengths is.

    `unit` is any text; where no word of it is a unit of length, values up to 100 are
    taken for micrometres, which is said, and others for nanometres.
    """
    for word in re.split(r"[^a-zµμ]+", unit.lower()):
        if word in UNITS:
            return UNITS[word]
    if np.nanmax(values) > LONGEST_MICROMETRES:
        return 1.0
    log.info(
        "note: the wavelengths of %s, %g to %g, are taken for micrometres",
        path,
        np.nanmin(values),
        np.nanmax(values),
    )
    return 1e3


def number_repeats(names: Sequence[str]) -> tuple[str, ...]:
    """Number the names that occur more than once.

    >>> number_repeats(["soil", "soil", "tree"])
    ('soil 1', 'soil 2', 'tree')
    """
    times, seen, numbered = Counter(names), Counter(), []
    for name in names:
        seen[name] += 1
        numbered.append(f"{name} {seen[name]}" if times[name] > 1 else name)
    return tuple(numbered)
