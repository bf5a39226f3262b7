"""A scene on the bands of another sensor: matched, resampled, refused, scaled."""

import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from test_scene import make_scene

from hsijax.errors import HsijaxError
from hsijax.io.cube import LazyCube
from hsijax.scenes import load_scene
from hsijax.scenes.bands import fit_scene
from hsijax.scenes.sensor import Sensor

TEN = np.arange(400.0, 1001.0, 10.0)  # nm
WIDTHS = np.full(TEN.size, 10.0)
ALL = np.ones(TEN.size, dtype=bool)
FINE = np.arange(370.0, 1031.0, 2.0)
ENMAP = "enmap_potsdam/images/enmap_potsdam_tile_128_0.tif"
AVIRIS_NG = "aviris_ng/ang20160910t185702_2rdn_img"


def spectra_at(wavelengths, width=0.0):
    """Two smooth spectra and one with an absorption at 700 nm, seen at this width."""
    seen = np.hypot(24, width)
    dip = 1 - 24 / seen * np.exp(-4 * np.log(2) * ((wavelengths - 700) / seen) ** 2)
    return np.stack([wavelengths / 1000, 2 - wavelengths / 800, dip])


def scene_at(wavelengths, width: float | None = None, dtype="f4", factor=1.0, **fields):
    """A scene of 2 x 3 pixels, three spectra."""
    cube = factor * spectra_at(wavelengths, width or 0.0)
    fields["fwhm"] = None if width is None else np.full(wavelengths.size, width)
    cube = np.stack([cube, cube]).astype(dtype)
    return make_scene(cube, wavelengths=wavelengths, **fields)


def said(caplog):
    return " | ".join(record.message for record in caplog.records)


@pytest.fixture
def trained(caplog):
    """The sensor of a run: 61 bands, two of them bad."""
    caplog.set_level(logging.INFO, "hsijax")
    good = ALL.copy()
    good[[3, 20]] = False
    return Sensor(good, TEN, WIDTHS, path="/elsewhere/train.hdr")


def test_the_same_bands_keep_their_bits(trained, caplog):
    cube = np.random.default_rng(0).integers(-99, 9999, (4, 5, 61)).astype(">i2")
    scene = make_scene(cube, wavelengths=TEN + 1.5, fwhm=WIDTHS, nodata=-99.0)
    fitted = fit_scene(scene, trained)
    assert fitted.cube.shape == (4, 5, 59)
    assert fitted.cube.dtype == cube.dtype
    assert fitted.nodata == -99
    window = fitted.cube.read(slice(1, 3), slice(2, 5))
    np.testing.assert_array_equal(window, cube[1:3, 2:5][..., trained.good_bands])
    np.testing.assert_array_equal(fitted.wavelengths, TEN[trained.good_bands])
    assert fitted.good_bands.all()
    assert "59 bands 59 are matched in field and 0 resampled" in said(caplog)
    assert "largest shift 1.5 nm" in said(caplog)


def test_bands_are_found_in_another_order_and_number(trained, caplog):
    """A product without water bands and with detectors that overlap."""
    kept = np.r_[30:61, 0:3, 4:30]
    scene = scene_at(TEN[kept], 10.0)
    sensor = replace(trained, good_bands=np.isin(TEN, TEN[kept]))
    fitted = fit_scene(scene, sensor)
    np.testing.assert_array_equal(
        fitted.cube.load(), scene.cube.load()[..., np.argsort(kept)]
    )
    assert fitted.cube.load().shape[2] == 60
    assert "60 bands 60 are matched" in said(caplog)


def test_only_the_window_is_read(trained):
    asked = []

    def read(rows, cols):
        asked.append((rows, cols))
        return np.ones((rows.stop - rows.start, cols.stop - cols.start, 331), "f4")

    scene = replace(
        scene_at(FINE, 2.0), cube=LazyCube((9**6, 9**6, 331), FINE.dtype, read)
    )
    fitted = fit_scene(scene, trained)
    window = slice(10**5, 10**5 + 4), slice(7, 9)
    np.testing.assert_allclose(fitted.cube.read(*window), 1, rtol=1e-6)
    assert asked == [window]


def test_other_bands_are_the_integral_over_a_gaussian(trained, caplog):
    """Against a sum over a grid of 0.02 nm of what is linear between the bands."""
    scene = scene_at(FINE, 6.0, "f8")
    fitted = fit_scene(scene, trained)
    assert fitted.cube.dtype == np.float32
    found = fitted.cube.load()
    grid = np.arange(360.0, 1040.0, 0.02)
    linear = np.stack([np.interp(grid, FINE, s) for s in scene.cube.load()[0]])
    good = trained.good_bands
    response = np.exp(-4 * np.log(2) * ((grid - TEN[good, None]) / 8.0) ** 2)
    response /= response.sum(axis=1, keepdims=True)  # 8 of 10 nm are yet to be blurred
    np.testing.assert_allclose(found[0], linear @ response.T, rtol=1e-5, atol=2e-6)
    np.testing.assert_array_equal(found[1], found[0])
    # What a sensor of 10 nm would have seen.
    np.testing.assert_allclose(found[0], spectra_at(TEN[good], 10.0), atol=4e-3)
    np.testing.assert_array_equal(fitted.fwhm, WIDTHS[good])
    assert "of the run's 59 bands 0 are matched in field and 59 resampled" in said(
        caplog
    )
    assert "331 good ones, largest shift 0 nm" in said(caplog)


def test_wider_bands_are_interpolated(trained):
    centres = np.arange(395.0, 1011.0, 12.0)
    scene = scene_at(centres, 14.0, "f8")
    found = fit_scene(scene, trained).cube.load()[0]
    linear = [
        np.interp(TEN[trained.good_bands], centres, s) for s in scene.cube.load()[0]
    ]
    np.testing.assert_allclose(found, linear, rtol=1e-5)


def test_unknown_widths_are_the_spacing(trained, caplog):
    fitted = fit_scene(scene_at(FINE), trained)
    known = fit_scene(scene_at(FINE, 2.0), trained)
    np.testing.assert_allclose(
        fitted.cube.load()[:, 0], known.cube.load()[:, 0], rtol=1e-6
    )
    assert "unknown FWHM are taken as the spacing" in caplog.records[0].message
    assert "unknown" not in caplog.records[1].message


def test_pixels_do_not_depend_on_their_window(trained):
    rng = np.random.default_rng(1)
    scene = scene_at(FINE, 2.0)
    scene = replace(scene, cube=LazyCube.from_array(rng.random((13, 17, 331), "f4")))
    fitted = fit_scene(scene, trained)
    whole = fitted.cube.load()
    for row, col in ((0, 0), (5, 11), (12, 16)):
        pixel = fitted.cube.read(slice(row, row + 1), slice(col, col + 1))
        np.testing.assert_array_equal(pixel[0, 0], whole[row, col])


def test_pixels_without_data_stay_so(trained):
    good = np.ones(331, bool)
    good[200] = False
    whole = scene_at(FINE, 2.0, "i2", 10_000, nodata=-9999.0, good_bands=good)
    cube = whole.cube.load().copy()
    cube[0, 0] = -9999
    cube[0, 1, 100] = -9999  # in a band that is needed
    cube[0, 2, 0] = -9999  # in one that is not
    cube[1, 0, 200] = -9999  # in a bad one
    fitted = fit_scene(replace(whole, cube=LazyCube.from_array(cube)), trained)
    assert np.isnan(fitted.cube.read(slice(0, 1), slice(0, 2))).all()
    values, valid = fitted.load()
    assert np.argwhere(~valid).tolist() == [[0, 0], [0, 1]]
    np.testing.assert_array_equal(
        values[valid], fit_scene(whole, trained).load()[0][valid]
    )


def test_bands_that_are_bad_in_the_scene_take_no_part(trained, caplog):
    good = ALL.copy()
    good[[30, 41]] = False
    scene = scene_at(TEN, 10.0)
    cube = scene.cube.load().copy()
    cube[..., ~good] = 1e6
    scene = replace(scene, cube=LazyCube.from_array(cube), good_bands=good)
    found = fit_scene(scene, trained).cube.load()
    assert "57 are matched in field and 2 resampled from its 59 good" in said(caplog)
    place = int(np.flatnonzero(np.flatnonzero(trained.good_bands) == 41)[0])
    np.testing.assert_allclose(
        found[..., place], (cube[..., 40] + cube[..., 42]) / 2, rtol=1e-6
    )
    others = np.isin(np.flatnonzero(trained.good_bands), [30, 41], invert=True)
    kept = trained.good_bands & good
    np.testing.assert_array_equal(found[..., others], cube[..., kept])


def test_what_is_not_covered_is_refused_by_name(trained):
    short = scene_at(np.arange(400.0, 900.0, 4.0), 5.0)
    with pytest.raises(
        HsijaxError,
        match=r"field \(400 to 896 nm\) does not cover, or not finely enough, 10 of "
        r"the 59 bands that the run was trained on: bands 52-61 \(910 to 1000 nm\); "
        "mark these as bad in the run's scene and train again",
    ):
        fit_scene(short, trained)
    good = ALL.copy()
    good[[29, 30, 31, 32]] = False
    holed = replace(scene_at(TEN, 10.0), good_bands=good)
    with pytest.raises(
        HsijaxError,
        match=r"but for its bad bands 30-33\) does not .* 2 of .*: bands 31-32 \(700",
    ):
        fit_scene(holed, trained)
    coarse = scene_at(np.arange(380.0, 1021.0, 40.0), 40.0)
    with pytest.raises(HsijaxError, match="not finely enough, 59 of the 59"):
        fit_scene(coarse, trained)
    with pytest.raises(HsijaxError, match="marks all of its bands as bad"):
        fit_scene(replace(holed, good_bands=~ALL), trained)


def test_without_wavelengths_as_many_bands_are_the_same(trained, caplog):
    cube = np.arange(122.0).reshape(1, 2, 61)
    fitted = fit_scene(make_scene(cube), trained)
    np.testing.assert_array_equal(fitted.cube.load(), cube[..., trained.good_bands])
    np.testing.assert_array_equal(fitted.wavelengths, TEN[trained.good_bands])
    assert "field has no wavelengths; the 61 bands of field are taken" in said(caplog)
    unknown = replace(trained, wavelengths=None, fwhm=None)
    fitted = fit_scene(make_scene(cube, wavelengths=TEN), unknown)
    np.testing.assert_array_equal(fitted.cube.load(), cube[..., trained.good_bands])
    assert "the run's scene has no wavelengths" in said(caplog)
    with pytest.raises(
        HsijaxError, match=r"field has 60 bands, the run .* on 61 \(400"
    ):
        fit_scene(make_scene(cube[..., 1:]), trained)
    with pytest.raises(HsijaxError, match=r"bad that .* trained on: band 2 \(410 nm\)"):
        fit_scene(make_scene(cube, good_bands=np.arange(61) != 1), trained)


def test_the_own_scene_needs_no_words(trained, caplog):
    cube = np.arange(122.0).reshape(1, 2, 61)
    for fields in ({}, {"wavelengths": TEN, "scale": 1e4}):
        scene = make_scene(cube, **fields)
        fitted = fit_scene(scene, Sensor.of(scene))
        assert fitted.cube is scene.cube
        assert fitted.scale == scene.scale
    assert not caplog.records


@pytest.mark.parametrize("wavelengths", [TEN, FINE])
def test_values_come_to_the_scale_of_the_run(trained, caplog, wavelengths):
    run = replace(trained, scale=10_000.0, dtype="int16")
    scene = scene_at(wavelengths, 10.0, scale=1.0, nodata=-9.0)
    stored = scene_at(wavelengths, 10.0, factor=1e4, scale=1e4, nodata=-9.0)
    fitted, known = fit_scene(scene, run), fit_scene(stored, run)
    assert fitted.scale == known.scale == 10_000
    np.testing.assert_allclose(fitted.cube.load(), known.cube.load(), rtol=1e-6)
    assert said(caplog).count("multiplied by") == 1
    assert (
        "field is multiplied by 10000: reflectance 1 is 1 in it, and 10000 in the run's"
    ) in said(caplog)


@pytest.mark.parametrize(
    ("run", "own", "words"),
    [
        (
            (1e4, "int16"),
            (None, "f4"),
            "is 10000 in the run's scene and unknown (float",
        ),
        (
            (None, "int16"),
            (1e4, "i2"),
            "is unknown (int16) in the run's scene and 10000",
        ),
        (
            (None, "int16"),
            (None, "f4"),
            "unknown (int16) in the run's scene and unknown",
        ),
        ((None, "uint16"), (None, "i2"), ""),
        ((None, None), (None, "f4"), ""),
    ],
)
def test_a_scale_is_never_guessed(trained, caplog, run, own, words):
    sensor = replace(trained, scale=run[0], dtype=run[1])
    scene = scene_at(TEN, 10.0, own[1], 1e4, scale=own[0])
    fitted = fit_scene(scene, sensor)
    np.testing.assert_array_equal(
        fitted.cube.load(), scene.cube.load()[..., trained.good_bands]
    )
    warnings = [r.message for r in caplog.records if r.levelno == logging.WARNING]
    assert len(warnings) == bool(words)
    assert words in "".join(warnings)
    assert not words or "taken as they are; --scale" in warnings[0]


def test_enmap_bands_out_of_real_aviris_ng(shared_data: Path, caplog):
    """376 to 2500 nm every 5 nm, to the widths and the overlap of EnMAP's detectors."""
    pytest.importorskip("rasterio")
    caplog.set_level(logging.INFO, "hsijax")
    enmap = load_scene(str(shared_data / ENMAP))
    scene = load_scene(str(shared_data / AVIRIS_NG))
    fitted = fit_scene(scene, Sensor.of(enmap))
    assert fitted.shape == (25, 30, 218)
    assert "of the run's 218 bands 0 are matched in ang2016" in said(caplog)
    assert "218 resampled from its 425 good ones, largest shift 2.5 nm" in said(caplog)
    values, valid = fitted.load()
    assert valid.all()
    assert enmap.wavelengths is not None
    assert enmap.fwhm is not None
    assert scene.wavelengths is not None
    good = enmap.good_bands
    grid = np.arange(360.0, 2520.0, 0.1)
    spectrum = np.interp(grid, scene.wavelengths, scene.cube.load()[7, 8])
    blur = np.sqrt(np.maximum(enmap.fwhm[good] ** 2 - 5.01**2, 1e-3))
    response = np.exp(
        -4
        * np.log(2)
        * ((grid - enmap.wavelengths[good][:, None]) / blur[:, None]) ** 2
    )
    expected = response @ spectrum / response.sum(axis=1)
    np.testing.assert_allclose(values[7, 8], expected, rtol=2e-3, atol=1e-4)
    # The other way round EnMAP does not reach far enough.
    with pytest.raises(HsijaxError, match=r"\(376.44 to 2500.1 nm\)|bands 1-8"):
        fit_scene(enmap, Sensor.of(scene))
    cut = replace(scene, good_bands=scene.wavelengths < 1000)
    with pytest.raises(
        HsijaxError, match=r"376.44 to 997.\d+ nm but for its bad bands"
    ):
        fit_scene(cut, Sensor.of(enmap))
