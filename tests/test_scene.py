"""A scene: what `load` makes of bands, no-data and broken numbers; labels."""

import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hsijax.errors import HsijaxError
from hsijax.io.cube import LazyCube
from hsijax.scenes import scene as scene_module
from hsijax.scenes.palette import distinct_colours
from hsijax.scenes.scene import LandClass, Scene, SourceFile

CLASSES = (LandClass(10, "oak", (1, 2, 3)), LandClass(4, "pine", (4, 5, 6)))


def make_scene(cube, *, good_bands=None, **fields):
    bands = cube.shape[2]
    return Scene(
        name="field",
        cube=LazyCube.from_array(cube),
        source=SourceFile(Path("field.mat")),
        good_bands=np.ones(bands, bool) if good_bands is None else good_bands,
        **fields,
    )


@pytest.fixture
def cube():
    return np.arange(1, 61, dtype=np.int16).reshape(3, 4, 5)


def test_load_keeps_values_and_good_bands(cube):
    good = np.array([True, False, True, True, False])
    values, valid = make_scene(cube, good_bands=good).load()
    assert values.dtype == np.float32
    np.testing.assert_array_equal(values, cube[:, :, good])
    assert valid.all()


@pytest.mark.parametrize("dtype", ["u1", "i2", ">i2", "u4", "f4", ">f8"])
def test_load_in_blocks_is_load_at_once(cube, dtype, monkeypatch):
    scene = make_scene(cube.astype(dtype), nodata=0.0)
    whole, _ = scene.load()
    monkeypatch.setattr(scene_module, "BLOCK_BYTES", 1)
    assert len(list(scene.blocks())) == 3
    np.testing.assert_array_equal(scene.load()[0], whole)
    np.testing.assert_array_equal(whole, cube)


def test_a_pixel_without_data_in_a_good_band_is_left_out(cube, caplog):
    cube = cube.astype(float)
    cube[0, 0] = -9999
    cube[0, 1, :3] = -9999  # in some bands only
    cube[1, 2] = np.nan
    cube[2, 3] = [7, 7, -9999, np.nan, -9999]
    scene = make_scene(cube, nodata=-9999.0)
    expected = np.ones((3, 4), bool)
    expected[0, :2] = expected[1, 2] = expected[2, 3] = False
    np.testing.assert_array_equal(scene.is_valid(cube[..., scene.good_bands]), expected)
    with caplog.at_level(logging.WARNING, "hsijax"):
        values, valid = scene.load()
    assert "2 pixels hold no data in some bands; they are left out" in caplog.text
    np.testing.assert_array_equal(valid, expected)
    assert (values[~valid] == 0).all()
    # Bad bands have no part in it.
    good = np.array([True, True, False, False, False])
    scene = replace(scene, good_bands=good)
    expected[2, 3] = True
    np.testing.assert_array_equal(scene.is_valid(cube[..., scene.good_bands]), expected)
    np.testing.assert_array_equal(scene.load()[1], expected)


def test_zero_is_no_data_only_where_the_whole_spectrum_is(cube, caplog):
    cube[0, 0] = 0
    cube[1, 1, 2] = 0
    values, valid = make_scene(cube, nodata=0.0).load()
    assert np.argwhere(~valid).tolist() == [[0, 0]]
    np.testing.assert_array_equal(values, cube)
    assert not caplog.text


def test_a_band_without_any_data_is_named(cube):
    cube[:, :, [1, 2]] = -99
    cube[0, 0] = -99
    scene = make_scene(cube, nodata=-99.0, wavelengths=np.arange(400.0, 450, 10))
    message = r"data in all 5 bands, because bands 2-3 \(410 to 420 nm\) have none"
    with pytest.raises(HsijaxError, match=message):
        scene.load()
    good = np.array([True, False, False, True, True])
    assert replace(scene, good_bands=good).load()[1].sum() == 11
    # A scene without any data is no fault of its bands.
    cube[:] = -99
    assert not scene.load()[1].any()


def test_without_a_nodata_value_all_pixels_are_valid(cube):
    cube = cube.astype(float)
    cube[0, 0] = 0
    scene = make_scene(cube)
    assert scene.load()[1].all()


@pytest.mark.parametrize("broken", [np.nan, np.inf, -np.inf, 1e300])
def test_broken_numbers_are_refused_with_their_place(cube, broken):
    cube = cube.astype(float)
    cube[1, 2, 3] = cube[2, 0, 1] = broken
    good = np.array([True, False, True, True, True])
    lengths = np.arange(400.0, 450, 10)
    message = (
        r"field\.mat: 1 pixels hold NaN or infinite values, the first at row 1, "
        r"column 2 \(from 0\), band 4 \(from 1\), 430 nm"
    )
    with pytest.raises(HsijaxError, match=message):
        make_scene(cube, good_bands=good, wavelengths=lengths).load()
    scene = make_scene(cube, nodata=np.nan)
    if np.isnan(broken):
        assert np.argwhere(~scene.load()[1]).tolist() == [[1, 2], [2, 0]]
        return
    with pytest.raises(HsijaxError, match="2 pixels hold"):
        scene.load()


def test_broken_numbers_are_left_out_where_that_is_asked_for(cube, caplog):
    cube = cube.astype(float)
    cube[1, 2, 3], cube[2, 0, 1], cube[0, 0, 0] = np.nan, np.inf, -9
    values, valid = make_scene(cube, nodata=-9.0).load(drop_broken=True)
    assert np.argwhere(~valid).tolist() == [[0, 0], [1, 2], [2, 0]]
    assert (values[~valid] == 0).all()
    assert "3 pixels hold NaN, infinite or no-data values in some bands" in caplog.text


def test_advice_for_pixels_of_nan(cube):
    cube = cube.astype(float)
    cube[1, 2] = np.nan
    with pytest.raises(HsijaxError, match="--nodata nan"):
        make_scene(cube).load()
    _, valid = make_scene(cube, nodata=np.nan).load()
    assert np.argwhere(~valid).tolist() == [[1, 2]]


def test_labels_follow_the_order_of_the_classes(cube):
    raster = np.array([[0, 10, 4, 4], [4, 0, 0, 0], [0, 0, 0, 10]], dtype=np.int32)
    scene = make_scene(cube, ground_truth=raster, classes=CLASSES)
    assert scene.class_ids.tolist() == [10, 4]
    assert scene.class_counts().tolist() == [2, 3]
    pixels = np.array([[0, 1], [1, 0], [2, 3]])
    assert scene.labels(pixels).tolist() == [0, 1, 0]
    with pytest.raises(ValueError, match="row 0, column 0 has no label"):
        scene.labels(np.array([[0, 1], [0, 0]]))


def test_without_ground_truth(cube):
    with pytest.raises(HsijaxError, match=r"field has no ground truth.*--ground-truth"):
        make_scene(cube).class_counts()


def test_ground_truth_of_another_size(cube):
    with pytest.raises(HsijaxError, match=r"4 x 3 pixels, .*3 x 4 .*transposed"):
        make_scene(cube, ground_truth=np.zeros((4, 3), np.int32))


def test_sha256(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    assert SourceFile(tmp_path / "a").sha256.startswith("ba7816bf8f01cfea")


def test_colours_differ_and_stay(cube):
    colours = distinct_colours(255)
    assert len(set(colours)) == 255
    assert colours[:30] == distinct_colours(30)
    assert not {(0, 0, 0), (255, 255, 255)} & set(colours)
    few = np.array(distinct_colours(16), dtype=int)
    gaps = np.abs(few[:, None] - few).sum(axis=-1) + 1000 * np.eye(16, dtype=int)
    assert gaps.min() > 60
