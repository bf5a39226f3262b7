"""Libraries on the bands of a scene: Gaussians, coverage, holes and scales."""

import logging

import numpy as np
import pytest

from hsijax.errors import HsijaxError
from hsijax.io import read_cube
from hsijax.io.spectral_library import SpectralLibrary, read_library
from hsijax.scenes.gaussian_bands import gaussian_weights
from hsijax.unmixing.resampling import check_scale, fit_library

FINE = np.arange(400.0, 1001.0, 1.0)  # nm
CENTRES = np.arange(450.0, 951.0, 10.0)
WIDTHS = np.full(CENTRES.size, 12.0)
ALL = np.ones(CENTRES.size, dtype=bool)


def library(spectra, wavelengths: np.ndarray | None = FINE, **fields):
    spectra = np.atleast_2d(spectra)
    names = tuple(f"s{number}" for number in range(len(spectra)))
    return SpectralLibrary(names, spectra, wavelengths, source="lib.csv", **fields)


def gaussian(wavelengths, centre, fwhm):
    return np.exp(-4 * np.log(2) * ((wavelengths - centre) / fwhm) ** 2)


def test_weights_are_the_integral_of_the_gaussian():
    """Against a sum over a grid of 0.01 nm of the library's linear interpolation."""
    rng = np.random.default_rng(0)
    wavelengths = np.sort(rng.uniform(400, 500, 15))
    spectrum = rng.random(15)
    centres, widths = np.array([430.0, 455.5, 498.0]), np.array([3.0, 15.0, 30.0])
    grid = np.arange(300, 600, 0.01)
    response = np.stack(
        [gaussian(grid, *band) for band in zip(centres, widths, strict=True)]
    )
    response /= response.sum(axis=1, keepdims=True)
    expected = response @ np.interp(grid, wavelengths, spectrum)
    weights = gaussian_weights(wavelengths, centres, widths)
    np.testing.assert_allclose(weights @ spectrum, expected, rtol=1e-5)
    np.testing.assert_allclose(weights.sum(axis=1), 1, rtol=1e-12)


def test_a_straight_line_is_kept_and_an_absorption_widens():
    grid = np.arange(400.0, 1000.1, 0.25)
    line = 0.1 + grid / 2000
    dip = 1 - gaussian(grid, 700, 20)
    fitted = fit_library(library([line, dip], grid), CENTRES, WIDTHS, ALL, "scene")
    np.testing.assert_allclose(fitted.spectra[0], 0.1 + CENTRES / 2000, rtol=1e-9)
    # A Gaussian seen through a Gaussian: widths add in squares, the area stays.
    wide = np.hypot(20, 12)
    expected = 1 - 20 / wide * gaussian(CENTRES, 700, wide)
    np.testing.assert_allclose(fitted.spectra[1], expected, atol=1e-4)
    np.testing.assert_array_equal(fitted.wavelengths, CENTRES)
    np.testing.assert_array_equal(fitted.fwhm, WIDTHS)


def test_what_the_library_has_blurred_is_not_blurred_again():
    grid = np.arange(400.0, 1000.1, 0.25)
    own = np.full(grid.size, 5.0)
    dip = library(1 - gaussian(grid, 700, 20), grid, fwhm=own)
    fitted = fit_library(dip, CENTRES, WIDTHS, ALL, "scene")
    wide = np.sqrt(20**2 + 12**2 - 5**2)
    expected = 1 - 20 / wide * gaussian(CENTRES, 700, wide)
    np.testing.assert_allclose(fitted.spectra[0], expected, atol=1e-4)


def test_agrees_with_spy():
    from spectral import BandResampler

    spectrum = 0.3 + 0.2 * np.sin(FINE / 60)
    theirs = BandResampler(FINE.tolist(), CENTRES.tolist(), None, WIDTHS.tolist())
    ours = fit_library(library(spectrum), CENTRES, WIDTHS, ALL, "scene").spectra[0]
    # SPy cuts the Gaussian off at half its height.
    np.testing.assert_allclose(ours, theirs(spectrum), atol=2e-3)


def test_the_same_bands_are_not_blurred():
    rng = np.random.default_rng(0)
    spectra = rng.random((3, CENTRES.size))
    good = ALL.copy()
    good[[3, 20]] = False
    # The scene's bands lie in the order of two overlapping detectors.
    order = np.r_[0:30, 40:51, 30:40]
    same = library(spectra, CENTRES + 0.01)
    fitted = fit_library(same, CENTRES[order], WIDTHS, good, "scene")
    np.testing.assert_array_equal(fitted.spectra, spectra[:, order[good]])


def test_unknown_widths_are_the_spacing(caplog):
    caplog.set_level(logging.INFO)
    dip = library(1 - gaussian(FINE, 700, 20))
    unknown = fit_library(dip, CENTRES, None, ALL, "scene")
    known = fit_library(dip, CENTRES, np.full(CENTRES.size, 10.0), ALL, "scene")
    np.testing.assert_array_equal(unknown.spectra, known.spectra)
    assert unknown.fwhm is None
    assert "scene has no band widths (FWHM)" in caplog.text
    assert "10 nm in the middle" in caplog.text


def test_bands_are_taken_by_their_number(caplog):
    caplog.set_level(logging.INFO)
    spectra = np.arange(12.0).reshape(2, 6)
    good = np.array([True, True, False, True, True, True])
    whole = fit_library(library(spectra, None), None, None, good, "scene")
    np.testing.assert_array_equal(whole.spectra, spectra[:, good])
    assert "the 6 bands of lib.csv are taken for the bands of scene" in caplog.text
    lengths = np.arange(400.0, 460.0, 10.0)
    part = library(spectra[:, :5], None)
    fitted = fit_library(part, lengths, None, good, "scene")
    np.testing.assert_array_equal(fitted.spectra, spectra[:, :5])
    np.testing.assert_array_equal(fitted.wavelengths, lengths[good])
    assert "lib.csv has no wavelengths; the 5 bands" in caplog.text
    with pytest.raises(
        HsijaxError,
        match=r"lib.csv has 4 bands, but scene has 6 \(5 of them good\); .* because "
        "scene has no wavelengths",
    ):
        fit_library(library(spectra[:, :4], lengths[:4]), None, None, good, "scene")


def test_bands_beyond_the_library_are_an_error():
    short = library(np.ones(FINE.size))
    centres = np.linspace(950, 1060, CENTRES.size)
    with pytest.raises(
        HsijaxError,
        match=r"lib.csv \(400 to 1000 nm\) has no values at 25 of 51 good bands of "
        r"scene: bands 27-51 \(1007.2 to 1060 nm\); mark",
    ):
        fit_library(short, centres, WIDTHS, ALL, "scene")
    # The bad bands are not asked for.
    assert fit_library(short, centres, WIDTHS, centres < 1007, "scene")


def test_no_overlap_is_an_error():
    in_micrometres = library(np.ones(FINE.size), FINE / 1000)
    with pytest.raises(HsijaxError, match="no band in common with scene"):
        fit_library(in_micrometres, CENTRES, WIDTHS, ALL, "scene")


def test_a_gap_inside_is_not_bridged():
    kept = (FINE < 600) | (FINE > 700)
    gap = library(np.ones((1, kept.sum())), FINE[kept])
    with pytest.raises(HsijaxError, match=r"bands 18-24 \(620 to 680 nm\)"):
        fit_library(gap, CENTRES, WIDTHS, ALL, "scene")


def test_few_bands_beyond_are_said(caplog):
    centres = CENTRES.copy()
    centres[-1] = 1010.0
    line = library(FINE / 1000)
    fitted = fit_library(line, centres, WIDTHS, ALL, "scene")
    assert "no values at 1 of 51 good bands of scene: band 51 (1010 nm)" in caplog.text
    assert 0.99 < fitted.spectra[0, -1] <= 1.0


def test_few_spectra_with_holes_are_left_out(caplog):
    rng = np.random.default_rng(0)
    spectra = rng.random((20, FINE.size))
    spectra[4, 200:300] = np.nan  # 600 to 699 nm
    spectra[7, :30] = np.nan  # where the scene has no band
    classes = tuple(f"c{number % 3}" for number in range(20))
    holed = library(spectra, classes=classes, pixels=np.zeros((20, 2), int))
    fitted = fit_library(holed, CENTRES, WIDTHS, ALL, "scene")
    assert "1 of 20 spectra of lib.csv, such as 's4', have no values at" in caplog.text
    assert "(620 to 680 nm) of scene; they are left out" in caplog.text
    assert fitted.names == holed.names[:4] + holed.names[5:]
    assert fitted.classes == classes[:4] + classes[5:]
    assert fitted.pixels is not None
    assert len(fitted.pixels) == len(fitted.spectra) == 19
    whole = fit_library(library(spectra[7:8, 30:], FINE[30:]), CENTRES, WIDTHS, ALL, "")
    np.testing.assert_allclose(fitted.spectra[6], whole.spectra[0], rtol=1e-12)
    few = library(spectra[3:9])
    with pytest.raises(HsijaxError, match=r"1 of 6 spectra .* take them out"):
        fit_library(few, CENTRES, WIDTHS, ALL, "scene")


def test_holes_count_where_bands_are_the_same():
    spectra = np.ones((2, CENTRES.size))
    spectra[1, 5] = np.nan
    for wavelengths in (CENTRES, None):
        with pytest.raises(HsijaxError, match="'s1', have no values at band 6"):
            fit_library(library(spectra, wavelengths), CENTRES, WIDTHS, ALL, "scene")


@pytest.mark.parametrize(
    ("factor", "message"),
    [
        (
            1e4,
            r"the pixels of scene are about 1\d,000 times the endmembers of lib.csv: "
            "divide them by --scale 10000",
        ),
        (
            1e-4,
            r"endmembers of lib.csv are about \d,\d00 times the pixels of scene: "
            "divide them by 10000",
        ),
        (100.0, "--scale 100$"),
        (1.0, None),
        (8.0, None),
    ],
)
def test_a_forgotten_factor_is_an_error(factor, message):
    rng = np.random.default_rng(0)
    members = library(np.vstack([rng.uniform(0.1, 0.5, (4, 30)), np.zeros(30)]), None)
    pixels = factor * 1.2 * rng.dirichlet(np.ones(5), 200) @ members.spectra * 1.4
    pixels[:50] = 0  # without data
    if message is None:
        check_scale(members, pixels, "scene")
        return
    with pytest.raises(HsijaxError, match=message):
        check_scale(members, pixels, "scene")


def test_dark_water_is_no_other_scale():
    rng = np.random.default_rng(0)
    pixels = rng.uniform(0.002, 0.008, (500, 30))
    pixels[:20] = 0.4  # a harbour
    check_scale(library(rng.uniform(0.2, 0.5, (6, 30)), None), pixels, "sea")


def test_usgs_library_on_real_sensors(shared_data):
    usgs = read_library(shared_data / "spectral_libraries/USGS_1995_Library.mat")
    cube = read_cube(shared_data / "emit/emit20250324t221005_jpl_unmix_ex")
    assert cube.wavelengths is not None
    assert cube.good_bands is not None
    fitted = fit_library(usgs, cube.wavelengths, cube.fwhm, cube.good_bands, "emit")
    assert fitted.spectra.shape == (498, 244)
    assert fitted.wavelengths is not None
    assert usgs.wavelengths is not None
    linear = [np.interp(fitted.wavelengths, usgs.wavelengths, s) for s in usgs.spectra]
    # The library's bands (10 nm) are wider than EMIT's: there is nothing to blur.
    np.testing.assert_allclose(fitted.spectra, linear, atol=5e-3)


def test_berlin_library_does_not_cover_enmap(shared_data):
    pytest.importorskip("rasterio")
    berlin = read_library(shared_data / "spectral_libraries/library_berlin.sli")
    cube = read_cube(shared_data / "enmap_potsdam/images/enmap_potsdam_tile_128_0.tif")
    good = cube.good_bands
    assert good is not None
    with pytest.raises(
        HsijaxError, match=r"\(460 to 2409 nm\) has no values at 29 of 218 good bands"
    ):
        fit_library(berlin, cube.wavelengths, cube.fwhm, good, "enmap")
