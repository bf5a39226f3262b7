"""Spectral libraries on the bands of a scene."""

import logging
import math
from dataclasses import replace

import numpy as np
from jaxtyping import Bool, Float, Int

from hsijax.errors import HsijaxError
from hsijax.io.spectral_library import SpectralLibrary
from hsijax.scenes.band_names import describe_bands
from hsijax.scenes.gaussian_bands import (
    known_widths,
    nearest,
    resample,
    spacing,
    uncovered,
)

# Bands whose wavelengths differ by less than this share of their width are the same:
# 0.2 % of a Gaussian band lies beside it then.
SAME_BAND = 0.05
# A library's bands of less than this share of the sensor's width are narrower ones.
NARROW = 0.5
# A library may lack this share of the scene's bands; the nearest values serve there.
FEW_BANDS = 0.02
# Spectra with holes at the scene's bands are left out, unless they are more than this
# share of a library.
MAX_LEFT_OUT = 0.1
# Reflectance of ordinary scenes and ordinary libraries differs by less than this.
MAX_SCALE = 20.0

log = logging.getLogger("hsijax")


def fit_library(
    library: SpectralLibrary,
    wavelengths: Float[np.ndarray, " bands"] | None,
    fwhm: Float[np.ndarray, " bands"] | None,
    good_bands: Bool[np.ndarray, " bands"],
    name: str,
) -> SpectralLibrary:
    """Put a library on the good bands of a scene, called `name` in messages.

    Where both have wavelengths, spectra are resampled to Gaussian bands of the
    sensor's width, or taken over where library and sensor have the same bands. Where
    one has none, the library must have as many bands as the scene, or as it has good
    ones.

    Args:
        library: NaN where a spectrum has no value.
        wavelengths: of all bands of the scene, in nm.
        fwhm: of all bands of the scene, in nm; taken from their spacing if unknown.
        good_bands: which bands to return.
        name: of the scene.

    Raises:
        HsijaxError: the library does not cover the scene's good bands, or wavelengths
            are missing and the numbers of bands differ.
    """
    if wavelengths is None or library.wavelengths is None:
        return _take_by_number(library, wavelengths, fwhm, good_bands, name)
    known = known_widths(fwhm, good_bands)
    widths = spacing(wavelengths) if known is None else known
    centres, widths = wavelengths[good_bands], widths[good_bands]
    if known is None:
        log.info(
            "note: %s has no band widths (FWHM); the distance between its bands is "
            "taken, %.3g nm in the middle",
            name,
            np.median(widths),
        )
    same = _find_same(library, centres, widths)
    if same is not None:
        spectra = library.spectra[:, same]
    else:
        log.info(
            "note: %s is resampled from its %d bands to the %d of %s",
            _called(library),
            library.spectra.shape[1],
            centres.size,
            name,
        )
        _check_coverage(library, centres, widths, np.flatnonzero(good_bands), name)
        spectra = resample(
            library.spectra, library.wavelengths, library.fwhm, centres, widths
        )
    fitted = replace(
        library,
        spectra=spectra,
        wavelengths=centres,
        fwhm=None if fwhm is None else fwhm[good_bands],
    )
    return _leave_out_holes(fitted, np.flatnonzero(good_bands), name)


def check_scale(
    library: SpectralLibrary, spectra: Float[np.ndarray, "pixels bands"], name: str
) -> None:
    """Refuse endmembers of another scale than the pixels, such as a forgotten 1e-4.

    Scales differ if both the typical spectra and the brightest ones (99 of 100 are
    darker) differ twentyfold; so a library does not have to be as dark as the sea.

    Raises:
        HsijaxError: the scales differ; the message has the power of ten in between.
    """
    pixels = _brightness(spectra)
    members = _brightness(library.spectra)
    if not pixels.size or not members.size:
        return
    ratios = np.quantile(pixels, (0.5, 0.99)) / np.quantile(members, (0.5, 0.99))
    if (ratios >= MAX_SCALE).all():
        times, power = _round(ratios[0])
        raise HsijaxError(
            f"the pixels of {name} are about {times} times the endmembers of "
            f"{_called(library)}: divide them by --scale {power}"
        )
    if (ratios <= 1 / MAX_SCALE).all():
        times, power = _round(1 / ratios[0])
        raise HsijaxError(
            f"the endmembers of {_called(library)} are about {times} times the pixels "
            f"of {name}: divide them by {power}, or give a --scale that is {power} "
            f"times smaller ({1 / power:g} where none is set)"
        )


def _round(ratio: float) -> tuple[str, int]:
    """Write a ratio with two digits, and return the nearest power of ten.

    >>> _round(9876.5)
    ('9,900', 10000)
    """
    return f"{float(f'{ratio:.2g}'):,.0f}", 10 ** round(math.log10(ratio))


def _take_by_number(
    library: SpectralLibrary,
    wavelengths: Float[np.ndarray, " bands"] | None,
    fwhm: Float[np.ndarray, " bands"] | None,
    good_bands: Bool[np.ndarray, " bands"],
    name: str,
) -> SpectralLibrary:
    """Take the library's bands for the scene's, or for its good ones."""
    bands, good = good_bands.size, int(good_bands.sum())
    count = library.spectra.shape[1]
    lacking = name if wavelengths is None else _called(library)
    if count not in (bands, good):
        of_these = f" ({good} of them good)" if good < bands else ""
        raise HsijaxError(
            f"{_called(library)} has {count} bands, but {name} has {bands}{of_these}; "
            f"it cannot be resampled, because {lacking} has no wavelengths"
        )
    log.info(
        "note: %s has no wavelengths; the %d bands of %s are taken for the %s of %s",
        lacking,
        count,
        _called(library),
        "bands" if count == bands else "good bands",
        name,
    )
    kept = good_bands if count == bands else np.ones(count, dtype=bool)
    own = library.wavelengths
    fitted = replace(
        library,
        spectra=library.spectra[:, kept],
        wavelengths=own[kept] if own is not None else None,
        fwhm=library.fwhm[kept] if library.fwhm is not None else None,
    )
    if wavelengths is not None:
        widths = None if fwhm is None else fwhm[good_bands]
        fitted = replace(fitted, wavelengths=wavelengths[good_bands], fwhm=widths)
    return _leave_out_holes(fitted, np.flatnonzero(good_bands), name)


def _find_same(
    library: SpectralLibrary,
    centres: Float[np.ndarray, " targets"],
    widths: Float[np.ndarray, " targets"],
) -> Int[np.ndarray, " targets"] | None:
    """Return the library's band that each band of the sensor is, if all are there."""
    wavelengths = library.wavelengths
    assert wavelengths is not None
    same = nearest(wavelengths, centres)
    if (np.abs(wavelengths[same] - centres) > SAME_BAND * widths).any():
        return None
    # A spectrometer's narrow bands may have the same centres, too.
    own = spacing(wavelengths) if library.fwhm is None else library.fwhm
    if np.median(own[same] / widths) < NARROW:
        return None
    return same


def _check_coverage(
    library: SpectralLibrary,
    centres: Float[np.ndarray, " targets"],
    widths: Float[np.ndarray, " targets"],
    numbers: Int[np.ndarray, " targets"],
    name: str,
) -> None:
    """Refuse a library without values at bands of the scene; warn where they are few.

    Raises:
        HsijaxError: they are many; the message has the library's range and the bands.
    """
    wavelengths = library.wavelengths
    assert wavelengths is not None
    bare = uncovered(wavelengths, centres, widths)
    if not bare.any():
        return
    span = f"{wavelengths[0]:.5g} to {wavelengths[-1]:.5g} nm"
    if bare.all():
        raise HsijaxError(
            f"{_called(library)} ({span}) has no band in common with {name} "
            f"({centres.min():.5g} to {centres.max():.5g} nm): a wrong unit of the "
            "wavelengths, or another part of the spectrum?"
        )
    message = (
        f"{_called(library)} ({span}) has no values at {np.count_nonzero(bare)} of "
        f"{centres.size} good bands of {name}: "
        f"{describe_bands(centres[bare], numbers[bare])}"
    )
    if np.count_nonzero(bare) > FEW_BANDS * centres.size:
        raise HsijaxError(
            f"{message}; mark these bands as bad in the scene's file, or take another "
            "library"
        )
    log.warning("%s; its nearest ones are taken", message)


def _leave_out_holes(
    library: SpectralLibrary, numbers: Int[np.ndarray, " bands"], name: str
) -> SpectralLibrary:
    """Leave out the few spectra without a value at some band of the scene.

    Raises:
        HsijaxError: they are many.
    """
    holes = np.isnan(library.spectra)
    broken = holes.any(axis=1)
    if not broken.any():
        return library
    count, first = np.count_nonzero(broken), int(np.argmax(broken))
    bands = numbers[holes.any(axis=0)]
    centres = library.wavelengths
    if centres is not None:
        centres = centres[holes.any(axis=0)]
    message = (
        f"{count} of {broken.size} spectra of {_called(library)}, such as "
        f"'{library.names[first]}', have no values at {describe_bands(centres, bands)}"
        f" of {name}"
    )
    if count > MAX_LEFT_OUT * broken.size:
        raise HsijaxError(
            f"{message}; take them out of the library, or mark these bands as bad in "
            "the scene's file"
        )
    log.warning("%s; they are left out", message)
    kept = np.flatnonzero(~broken)
    return replace(
        library,
        names=tuple(library.names[index] for index in kept),
        spectra=library.spectra[kept],
        classes=library.classes and tuple(library.classes[index] for index in kept),
        pixels=None if library.pixels is None else library.pixels[kept],
    )


def _brightness(
    spectra: Float[np.ndarray, "n bands"],
) -> Float[np.ndarray, " not_black"]:
    """Mean absolute value of each spectrum that is not zero, as shade is."""
    level = np.abs(spectra.astype(np.float64)).mean(axis=1)
    return level[level > 0]


def _called(library: SpectralLibrary) -> str:
    return library.source or "the library"
