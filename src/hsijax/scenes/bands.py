"""A scene on the bands and the scale of another one, read window by window."""

import logging
from dataclasses import replace

import numpy as np
from jaxtyping import Bool, Float, Float32, Int

from hsijax.errors import HsijaxError
from hsijax.io.cube import LazyCube
from hsijax.scenes.band_names import describe_bands
from hsijax.scenes.gaussian_bands import (
    gaussian_weights,
    missing_blur,
    nearest,
    uncovered,
)
from hsijax.scenes.scene import Scene
from hsijax.scenes.sensor import Sensor, find_factor

# Largest distance between a band and that of the same number, nm, if all bands of two
# scenes are to be the same ones: the wavelengths of one sensor drift.
BAND_TOLERANCE = 5.0
# Bands of other sensors are the same if they are apart by less than this share of
# their width, and their widths differ by less than that share.
SAME_BAND, SAME_WIDTH = 0.05, 0.1
# What bands of more than this many times the width show says nothing of narrow ones.
COARSEST = 3.0
# Smaller weights are left out.
FAINTEST = 1e-6

log = logging.getLogger("hsijax")


def fit_scene(scene: Scene, sensor: Sensor) -> Scene:
    """Let a scene's cube have the good bands of a sensor, in its order and scale.

    Bands that are the same keep their values; the others are resampled: a spectrum is
    linear between the scene's good bands, and seen through Gaussians of the sensor's
    FWHM. Pixels that lack a value which this takes have no data. All bands of the new
    scene are good ones, and what is read of them is made of no more than the window.

    Args:
        scene: of any sensor.
        sensor: of the scene that a classifier was trained on.

    Raises:
        HsijaxError: the scene does not cover all of the sensor's good bands; names
            which. Or there are no wavelengths to match, and the numbers of bands
            differ.
    """
    own = Sensor.of(scene)
    said = own.path != sensor.path
    if sensor.wavelengths is None or scene.wavelengths is None:
        sources, weights = _take_by_number(own, sensor, scene.name, said), None
    else:
        sources, weights = _match(own, sensor, scene.name, said)
    factor = find_factor(own, sensor, scene.name)
    if weights is not None or factor != 1:
        if weights is None:
            weights = np.eye(len(sources), dtype=np.float32)
        cube, nodata = _weigh(scene, sources, weights * np.float32(factor)), np.nan
    else:
        cube, nodata = _pick(scene.cube, sources), scene.nodata
    good, lengths, widths = sensor.good_bands, sensor.wavelengths, sensor.fwhm
    if lengths is not None:
        lengths = lengths[good]
    elif scene.wavelengths is not None:
        lengths = scene.wavelengths[sources]
    return replace(
        scene,
        cube=cube,
        good_bands=np.ones(cube.shape[2], dtype=bool),
        wavelengths=lengths,
        fwhm=None if widths is None else widths[good],
        nodata=nodata,
        scale=scene.scale if factor == 1 else sensor.scale,
    )


def _take_by_number(
    own: Sensor, sensor: Sensor, name: str, said: bool
) -> Int[np.ndarray, " targets"]:
    """Take a scene's bands for those of the sensor, if they are as many.

    Raises:
        HsijaxError: they are not, or some of them are bad.
    """
    bands, wanted = len(own.good_bands), len(sensor.good_bands)
    lacking = name if own.wavelengths is None else "the run's scene"
    if bands != wanted:
        raise HsijaxError(
            f"{name} has {bands} bands{own.span}, the run was trained on "
            f"{wanted}{sensor.span}: without wavelengths of {lacking} a "
            "map needs the same bands in the same order"
        )
    lost = np.flatnonzero(sensor.good_bands & ~own.good_bands)
    if lost.size:
        lengths = own.wavelengths if sensor.wavelengths is None else sensor.wavelengths
        listed = describe_bands(None if lengths is None else lengths[lost], lost)
        raise HsijaxError(
            f"{name} marks bands as bad that the run was trained on: {listed}; mark "
            "them as bad in the run's scene too, and train again"
        )
    if said:
        log.info(
            "note: %s has no wavelengths; the %d bands of %s are taken for the run's",
            *(lacking, bands, name),
        )
    return np.flatnonzero(sensor.good_bands)


def _match(
    own: Sensor, sensor: Sensor, name: str, said: bool
) -> tuple[Int[np.ndarray, " sources"], Float32[np.ndarray, "targets sources"] | None]:
    """Find what each of the sensor's good bands is made of.

    Returns:
        The scene's bands that take part, and their weights; None for the weights where
        each band is one of these, in this order.

    Raises:
        HsijaxError: the scene does not cover some of them; names which.
    """
    assert own.wavelengths is not None
    assert sensor.wavelengths is not None
    good = sensor.good_bands
    centres, widths = sensor.wavelengths[good], sensor.widths[good]
    if not own.good_bands.any():
        raise HsijaxError(f"{name} marks all of its bands as bad")
    partners, same = _find_same(own, sensor)
    bare = ~same & _find_uncovered(own, centres, widths)
    _check_coverage(own, sensor, bare, name)
    shift = np.abs(own.wavelengths[partners] - centres)
    if said:
        known = same.all() or (own.has_widths and sensor.has_widths)
        log.info(
            "note: of the run's %d bands %d are matched in %s and %d resampled from "
            "its %d good ones, largest shift %.2g nm%s",
            *(centres.size, same.sum(), name, (~same).sum(), own.good_bands.sum()),
            *(shift.max(), "" if known else "; unknown FWHM are taken as the spacing"),
        )
    if same.all():
        return partners, None
    bands, lengths = _sort_bands(own)
    blur = missing_blur(lengths, own.widths[bands], centres, widths)
    weights = np.zeros((centres.size, len(own.good_bands)))
    weights[:, bands] = gaussian_weights(lengths, centres, blur)
    weights[weights < FAINTEST] = 0
    weights /= weights.sum(axis=1, keepdims=True)
    weights[same] = 0
    weights[np.flatnonzero(same), partners[same]] = 1
    sources = np.flatnonzero(weights.any(axis=0))
    return sources, weights[:, sources].astype(np.float32)


def band_tolerance(sensor: Sensor) -> Float[np.ndarray, " bands"]:
    """Return how far, in nm, bands of the same numbers may lie apart to be the same.

    Half a band's width at most: a list that is off by a band is another one.
    """
    return np.minimum(BAND_TOLERANCE, sensor.widths / 2)


def _find_same(
    own: Sensor, sensor: Sensor
) -> tuple[Int[np.ndarray, " targets"], Bool[np.ndarray, " targets"]]:
    """Return the scene's band next to each good one of the sensor, and which are it."""
    assert own.wavelengths is not None
    assert sensor.wavelengths is not None
    good = sensor.good_bands
    centres, widths = sensor.wavelengths[good], sensor.widths[good]
    if len(own.good_bands) == len(good):
        near = np.abs(own.wavelengths[good] - centres) <= band_tolerance(sensor)[good]
        wide = np.abs(own.widths[good] / widths - 1) <= SAME_WIDTH
        unknown = not own.has_widths or not sensor.has_widths
        if near.all() and (unknown or wide.all()):
            return np.flatnonzero(good), own.good_bands[good]
    usable = np.flatnonzero(own.good_bands)
    partners = usable[nearest(own.wavelengths[usable], centres)]
    near = np.abs(own.wavelengths[partners] - centres) <= SAME_BAND * widths
    return partners, near & (np.abs(own.widths[partners] / widths - 1) <= SAME_WIDTH)


def _find_uncovered(
    own: Sensor,
    centres: Float[np.ndarray, " targets"],
    widths: Float[np.ndarray, " targets"],
) -> Bool[np.ndarray, " targets"]:
    """Which bands a scene has no good band near enough for, or too wide a one."""
    bands, lengths = _sort_bands(own)
    coarse = own.widths[bands][nearest(lengths, centres)] > COARSEST * widths
    # A single band lies apart from nothing.
    return coarse | (uncovered(lengths, centres, widths) if len(bands) > 1 else True)


def _sort_bands(
    own: Sensor,
) -> tuple[Int[np.ndarray, " bands"], Float[np.ndarray, " bands"]]:
    """Return the good bands by ascending wavelength, and these, each once."""
    assert own.wavelengths is not None
    lengths, order = np.unique(own.wavelengths[own.good_bands], return_index=True)
    return np.flatnonzero(own.good_bands)[order], lengths


def _check_coverage(
    own: Sensor, sensor: Sensor, bare: Bool[np.ndarray, " targets"], name: str
) -> None:
    """Refuse a scene without values at some of the sensor's bands.

    Raises:
        HsijaxError: names these bands, and what the scene has instead.
    """
    if not bare.any():
        return
    assert own.wavelengths is not None
    assert sensor.wavelengths is not None
    numbers = np.flatnonzero(sensor.good_bands)[bare]
    there = own.wavelengths[own.good_bands]
    bad = np.flatnonzero(~own.good_bands)
    but = f" but for its bad {describe_bands(None, bad)}" if bad.size else ""
    raise HsijaxError(
        f"{name} ({there.min():.5g} to {there.max():.5g} nm{but}) does not cover, or "
        f"not finely enough, {numbers.size} of the {len(bare)} bands that the run was "
        f"trained on: {describe_bands(sensor.wavelengths[numbers], numbers)}; mark "
        "these as bad in the run's scene and train again"
    )


def _pick(cube: LazyCube, bands: Int[np.ndarray, " targets"]) -> LazyCube:
    """Let a cube have some of its bands."""
    rows, cols, count = cube.shape
    if np.array_equal(bands, np.arange(count)):
        return cube
    return LazyCube(
        (rows, cols, len(bands)), cube.dtype, lambda r, c: cube.read(r, c)[:, :, bands]
    )


def _weigh(
    scene: Scene,
    sources: Int[np.ndarray, " sources"],
    weights: Float32[np.ndarray, "targets sources"],
) -> LazyCube:
    """Let a cube have sums of its bands, NaN where a pixel has no data in some."""
    # Here, because few scenes need it.
    from scipy.sparse import csr_array

    # Band by band in one order, so that a pixel does not depend on its window.
    sparse = csr_array(weights)
    rows, cols, _ = scene.shape
    picked = _pick(scene.cube, sources)

    def read(r: slice, c: slice) -> Float32[np.ndarray, "rows cols targets"]:
        window = np.asarray(picked.read(r, c))
        valid = scene.is_valid(window)
        with np.errstate(over="ignore"):  # a value too large for float32 is inf
            bands = np.ascontiguousarray(np.moveaxis(window, 2, 0), dtype=np.float32)
        sums = sparse @ bands.reshape(len(sources), -1)
        sums = sums.reshape(-1, *window.shape[:2])
        sums[:, ~valid] = np.nan
        return np.moveaxis(sums, 0, 2)

    return LazyCube((rows, cols, len(weights)), np.dtype(np.float32), read)
