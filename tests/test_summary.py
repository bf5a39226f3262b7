"""What info finds in a cube, and the picture that it draws."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.io
from PIL import Image
from test_scene import make_scene

from hsijax.errors import HsijaxError, UsageError
from hsijax.scenes import SourceFile
from hsijax.scenes import scene as scene_module
from hsijax.scenes.quicklook import choose_bands, draw_quicklook, write_quicklook
from hsijax.scenes.statistics import measure_cube
from hsijax.scenes.summary import describe, summarise

RNG = np.random.default_rng(0)


@pytest.fixture
def summarise_cube(tmp_path):
    """Summarise a scene made of an array, which has a file to hash."""
    (tmp_path / "field.mat").write_bytes(b"abc")

    def summarise_array(cube, **fields):
        scene = make_scene(cube, **fields)
        return summarise(replace(scene, source=SourceFile(tmp_path / "field.mat")))

    return summarise_array


@pytest.fixture
def faults_of(summarise_cube):
    """Join the warnings about a cube."""
    return lambda cube, **fields: "\n".join(summarise_cube(cube, **fields)["warnings"])


def test_a_clean_cube_has_no_faults(summarise_cube):
    cube = RNG.uniform(0.1, 0.9, (5, 4, 3)).astype(np.float32)
    summary = summarise_cube(cube)
    assert summary["warnings"] == []
    assert summary["value_range"] == [float(cube.min()), float(cube.max())]
    assert not summary["whole_numbers"]


def test_bands_of_zeros_and_of_one_value_are_counted_from_1(summarise_cube, faults_of):
    cube = RNG.uniform(0.1, 0.9, (5, 4, 8))
    cube[:, :, [1, 2, 6]] = 0
    cube[:, :, 5] = 0.25
    good = np.ones(8, bool)
    good[0] = False
    assert summarise_cube(cube, good_bands=good)["bad_bands"] == [1]
    faults = faults_of(cube, good_bands=good)
    assert "bands of nothing but zeros (counted from 1): 2-3, 7" in faults
    assert "bands of nothing but one value (counted from 1): 6" in faults


@pytest.mark.parametrize(
    ("highest", "expected"),
    [
        (1, ""),
        (101, "then times about 100"),
        (1200, "then times about 1000"),
        (9604, "then times about 10000"),
        (30_000, "counts or radiance rather than reflectance"),
    ],
)
@pytest.mark.parametrize("dtype", [np.int16, np.float32])
def test_unscaled_reflectance(faults_of, highest, expected, dtype):
    cube = RNG.integers(0, 2, (5, 4, 3)).astype(dtype)
    cube[..., 0] = 1
    cube[2, 2, 2] = highest
    faults = faults_of(cube)
    if expected:
        assert f"whole numbers up to {highest}: " in faults
        assert expected in faults
    else:
        assert "whole numbers" not in faults


def test_missing_pixels(summarise_cube, faults_of):
    cube = RNG.uniform(0.1, 0.9, (5, 4, 3))
    cube[0, 0] = 0
    assert "1 pixels are 0 in all bands: if that means no data" in faults_of(cube)
    cube[0, 0] = -9999
    assert "the lowest value is -9999: if that means no data" in faults_of(cube)
    summary = summarise_cube(cube, nodata=-9999.0)
    assert summary["warnings"] == ["1 pixels (5.00 %) have no data"]
    assert summary["nodata_share"] == 0.05
    assert summary["value_range"][0] > 0
    cube[0, 0] = cube[1, 1, 1] = np.nan
    cube[2, 2, 2] = np.inf
    assert "3 of 20 pixels hold NaN or infinite" in faults_of(cube)
    summary = summarise_cube(cube, nodata=np.nan)
    assert summary["nodata"] == "nan"
    assert "1 of 20 pixels hold NaN" in summary["warnings"][0]
    assert summary["nodata_share"] == 0.1
    assert summary["value_range"][1] < 0.9


def test_nothing_but_nan(summarise_cube):
    summary = summarise_cube(np.full((3, 3, 3), np.nan))
    assert summary["value_range"] is None


def test_figures_do_not_depend_on_blocks(monkeypatch):
    cube = RNG.normal(size=(7, 4, 3))
    cube[3] = np.nan
    scene = make_scene(cube, nodata=np.nan)
    whole = measure_cube(scene)
    monkeypatch.setattr(scene_module, "BLOCK_BYTES", 1)
    parts = measure_cube(scene)
    assert (whole.lowest, whole.highest) == (parts.lowest, parts.highest)
    assert whole.nodata_pixels == parts.nodata_pixels == 4


def test_ground_truth_of_another_shape_is_a_warning(tmp_path):
    scipy.io.savemat(tmp_path / "a.mat", {"cube": np.ones((4, 3, 5)) / 2})
    scipy.io.savemat(tmp_path / "gt.mat", {"gt": np.ones((3, 4))})
    summary = describe(f"{tmp_path}/a.mat", ground_truth=f"{tmp_path}/gt.mat")
    assert "it is transposed; it is left out here" in summary["warnings"][0]
    assert summary["classes"] is None


def test_labels_without_a_cube(tmp_path):
    path = tmp_path / "gt.mat"
    scipy.io.savemat(path, {"gt": np.array([[0, 3], [3, 9]])})
    summary = describe(str(path))
    assert summary["bands"] is None
    assert [(c["id"], c["pixels"]) for c in summary["classes"]] == [(3, 2), (9, 1)]
    assert summary["warnings"][0].startswith("labels without a cube: ")
    with pytest.raises(HsijaxError, match="no quicklook without a cube"):
        describe(str(path), quicklook=tmp_path / "a.png")


def test_quicklook_bands_are_nearest_to_red_green_and_blue():
    cube = np.ones((2, 2, 6))
    wavelengths = np.array([400.0, 470, 545, 600, 650, 900])
    good = np.array([False, True, True, True, True, True])
    scene = make_scene(cube, wavelengths=wavelengths, good_bands=good)
    assert choose_bands(scene) == (3, 1, 0)
    # A thermal sensor sees none of them; nor does one of unknown wavelengths say so.
    thermal = replace(scene, wavelengths=wavelengths + 8000)
    unknown = replace(scene, wavelengths=None)
    assert choose_bands(thermal) == choose_bands(unknown)


def test_quicklook_is_stretched_and_black_without_data(tmp_path):
    cube = np.arange(300.0).reshape(10, 10, 3)
    cube[4, 4] = -9999
    cube[5, 5, 1] = np.nan
    scene = make_scene(cube, nodata=-9999.0)
    picture = draw_quicklook(scene)
    assert picture.shape == (10, 10, 3)
    assert picture[4, 4].tolist() == picture[5, 5].tolist() == [0, 0, 0]
    assert picture[9, 9].tolist() == [255, 255, 255]
    assert 110 < picture[4, 9, 0] < 140
    write_quicklook(scene, tmp_path / "new/a.png")
    with Image.open(tmp_path / "new/a.png") as image:
        np.testing.assert_array_equal(np.asarray(image), picture)
    assert [p.name for p in (tmp_path / "new").iterdir()] == ["a.png"]
    with pytest.raises(UsageError, match=r"let .*a\.jpg end in \.png"):
        write_quicklook(scene, tmp_path / "a.jpg")


def test_real_aviris_ng(shared_data):
    summary = describe(str(shared_data / "aviris_ng/ang20160910t185702_2rdn_img"))
    assert summary["wavelengths_nm"] == [376.44, 2500.12]
    assert summary["georeference"]["crs"] == "EPSG:32611"
    assert summary["nodata"] == -9999


def test_real_jasper_ridge(shared_data):
    summary = describe(str(shared_data / "jasper_ridge/jasperRidge2_R198.mat"))
    assert summary["value_range"] == [0, 5437]
    assert "pixels as columns" in summary["notes"][0]
    assert summary["scale"] == 5000  # the file's maxValue, so it is no riddle
    assert not summary["warnings"]
    path = summary["files"][0]["path"]
    assert describe(path, scale=1000.0)["scale"] == 1000
    with pytest.raises(UsageError, match="--scale must be a positive number, not 0"):
        describe(path, scale=0.0)
