"""EMIT, PRISMA, PACE and AVIRIS products in small files of their published layouts."""

import json
import logging

import h5py
import numpy as np
import product_files
import pytest
from typer.testing import CliRunner

from hsijax.cli import app
from hsijax.errors import HsijaxError
from hsijax.io import read_cube
from hsijax.io.cube import CubeFile, Georeference
from hsijax.io.lookup_table import gather
from hsijax.scenes import load_scene


def known(value):
    assert value is not None
    return value


def check_windows(content: CubeFile) -> np.ndarray:
    """Compare windows with slices of the whole cube, which is returned."""
    whole = content.cube.load()
    assert whole.shape == content.cube.shape
    assert whole.dtype == content.cube.dtype
    rows, cols, _ = whole.shape
    for window in (
        (slice(0, 1), slice(0, cols)),
        (slice(1, rows), slice(1, cols - 1)),
        (slice(rows - 1, rows), slice(cols - 1, cols)),
    ):
        np.testing.assert_array_equal(content.cube.read(*window), whole[window])
    return whole


def emit_case(tmp_path, **options):
    """An EMIT file of 9 x 7 raw pixels on a map of 6 x 8, with gaps."""
    raw = product_files.random_values(9, 7, 5)
    rng = np.random.default_rng(1)
    glt = np.stack([rng.integers(1, 8, (6, 8)), rng.integers(1, 10, (6, 8))], axis=2)
    glt[0, 0] = glt[5, 2:4] = glt[3, 6, 0] = 0
    path = product_files.write_emit(tmp_path / "emit.nc", raw, glt, **options)
    expected = raw[glt[..., 1] - 1, glt[..., 0] - 1]
    expected[(glt == 0).any(axis=2)] = -9999
    return path, expected


def test_emit_reflectance_lies_on_the_map(tmp_path):
    path, expected = emit_case(tmp_path)
    content = read_cube(path)
    np.testing.assert_array_equal(check_windows(content), expected)
    assert known(content.wavelengths).tolist() == [400, 900, 1400, 1900, 2400]
    assert known(content.fwhm).tolist() == [8.5] * 5
    assert known(content.good_bands).tolist() == [True, True, False, True, True]
    assert (content.nodata, content.scale) == (-9999, 1)
    place = Georeference("EPSG:4326", (0.5, 0.0, 10.0, 0.0, -0.5, 50.0))
    assert content.georeference == place


def test_emit_radiance_has_no_bad_bands_and_no_scale(tmp_path):
    path, expected = emit_case(tmp_path, level="radiance")
    content = read_cube(path)
    np.testing.assert_array_equal(check_windows(content), expected)
    assert content.good_bands is None
    assert content.scale is None


def test_a_whole_emit_scene_loads_with_its_gaps(tmp_path):
    path, expected = emit_case(tmp_path)
    values, valid = load_scene(str(path)).load()
    np.testing.assert_array_equal(valid, expected[..., 0] != -9999)
    np.testing.assert_array_equal(values[valid], np.delete(expected, 2, axis=2)[valid])
    assert not values[~valid].any()


def test_info_of_emit(tmp_path):
    path, _ = emit_case(tmp_path)
    result = CliRunner().invoke(app, ["info", str(path), "--json"])
    assert result.exit_code == 0, result.stderr
    summary = json.loads(result.stdout)
    assert summary["wavelengths_nm"] == [400, 2400]
    assert summary["bad_bands"] == [3]
    assert summary["nodata_share"] == 4 / 48
    assert summary["georeference"]["crs"] == "EPSG:4326"


def test_a_window_reads_the_raw_pixels_it_needs_and_few_others():
    raw = product_files.random_values(400, 400, 2)
    # A swath that lies askew: the map's rows run down the diagonals of the raw image.
    row, col = np.mgrid[:200, :200]
    rows, cols = row + col, 199 + col - row
    read = []

    def read_raw(r: slice, c: slice) -> np.ndarray:
        read.append((r.stop - r.start) * (c.stop - c.start))
        return raw[r, c]

    for window in ((slice(3, 5), slice(4, 6)), (slice(100, 102), slice(0, 200))):
        read.clear()
        values = np.zeros((*rows[window].shape, 2), dtype=np.float32)
        gather(read_raw, rows[window], cols[window], values)
        np.testing.assert_array_equal(values, raw[rows[window], cols[window]])
        assert sum(read) < 40 * rows[window].size  # 400 pixels: 160,000 in one box
    assert len(read) > 1


def test_emit_of_another_level(tmp_path):
    path, _ = emit_case(tmp_path, level="mask")
    with pytest.raises(HsijaxError, match=r"another level: .* but .*mask"):
        read_cube(path)


def test_a_lookup_table_that_points_outside(tmp_path):
    path, _ = emit_case(tmp_path)
    with h5py.File(path, "r+") as file:
        product_files.as_dataset(file["location/glt_x"])[1, 1] = 8
    with pytest.raises(HsijaxError, match="names pixels outside of 'reflectance'"):
        read_cube(path).cube.load()


def prisma_case(tmp_path, **more):
    rng = np.random.default_rng(2)
    vnir, swir = (
        rng.integers(1, 65536, (4, bands, 6)).astype(np.uint16) for bands in (5, 4)
    )
    vnir[0, :, 0] = swir[0, :, 0] = 0  # beside the swath
    vnir[1, 1, 1] = 0  # the lowest value of one band
    path = product_files.write_prisma(tmp_path / "p.he5", vnir, swir, **more)
    return path, vnir, swir


def test_prisma(tmp_path, caplog):
    path, vnir, swir = prisma_case(tmp_path)
    with caplog.at_level(logging.INFO, logger="hsijax"):
        content = read_cube(path)
    assert known(content.wavelengths).tolist() == [450, 700, 945, 950, 960, 1600, 2400]
    assert known(content.fwhm).tolist() == [10, 11, 11, 12, 12, 10, 9]
    # 950 and 960 nm of the VNIR are also the SWIR's.
    assert known(content.good_bands).tolist() == [1, 1, 1, 0, 0, 1, 1]
    assert "2 bands of the VNIR from 945 nm on" in caplog.text
    values = check_windows(content)
    assert values.dtype == np.float32
    np.testing.assert_allclose(values[1:, :, 0], vnir[1:, 3] * 1.2 / 65535, rtol=1e-6)
    expected = -0.1 + swir[1:, 2] * 0.9 / 65535
    np.testing.assert_allclose(values[1:, :, 5], expected, atol=1e-6)
    assert (values[0, 0] == -9999).all()
    assert values[1, 1, 3] == 0
    assert (values[1:] != -9999).all()
    assert (content.nodata, content.scale) == (-9999, 1)
    # The corners are centres of pixels.
    place = Georeference("EPSG:32633", (30.0, 0.0, 5e5, 0.0, -30.0, 5_000_060.0))
    assert content.georeference == place


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"level": "L2C"}, r"PRISMA of another level \(PRS_L2C_HCO\)"),
        ({"L2ScaleSwirMax": None}, "no number 'L2ScaleSwirMax'"),
        ({"List_Cw_Vnir": np.zeros(3)}, "'List_Cw_Vnir' has 3 values for"),
        ({"List_Cw_Swir": np.zeros(4)}, "wavelengths hold none above 0"),
    ],
)
def test_bad_prisma(tmp_path, more, message):
    path, _, _ = prisma_case(tmp_path, **more)
    with pytest.raises(HsijaxError, match=message):
        read_cube(path)


def test_pace_l1b(tmp_path):
    values = product_files.random_values(8, 4, 5)
    values[1, 2, 3] = -32767
    parts = {"blue": values[:4], "red": values[4:7], "SWIR": values[7:]}
    path = product_files.write_pace_l1b(tmp_path / "PACE_OCI.L1B.nc", parts)
    content = read_cube(path)
    # Blue ends at 605 nm, red begins at 600.
    expected = [590, 595, 600, 600, 605, 605, 610, 940]
    assert known(content.wavelengths).tolist() == expected
    order = [0, 1, 2, 4, 3, 5, 6, 7]
    whole = check_windows(content)
    np.testing.assert_array_equal(whole, values[order].transpose(1, 2, 0))
    assert (content.nodata, content.scale) == (-32767, 1)
    assert content.georeference is None
    assert content.fwhm is None


def test_pace_l2(tmp_path):
    stored = np.arange(4 * 5 * 3, dtype=np.int16).reshape(4, 5, 3) * 100
    stored[1, 2] = -32767
    path = product_files.write_pace_l2(tmp_path / "PACE_OCI.L2.SFREFL.nc", stored)
    content = read_cube(path)
    assert known(content.wavelengths).tolist() == [350, 360, 370]
    values = check_windows(content)
    expected = stored * 2e-5 + 0.5
    expected[1, 2] = -9999
    np.testing.assert_allclose(values, expected, rtol=1e-6)
    assert (content.nodata, content.scale) == (-9999, 1)
    assert content.georeference is None


def test_pace_of_another_level(tmp_path):
    path = tmp_path / "PACE_OCI.L1A.nc"
    with h5py.File(path, "w") as file:
        file.attrs.update({"instrument": "OCI", "processing_level": "L1A"})
        file["science_data/sci_blue"] = np.zeros((2, 3), dtype=np.uint16)
    with pytest.raises(HsijaxError, match=r"another level .*'L1A', holding science"):
        read_cube(path)


def test_aviris(tmp_path):
    values = product_files.random_values(6, 4, 5)
    values[:, 0, 1] = -9999
    path = product_files.write_aviris(tmp_path / "AV3_RFL_ORT.nc", values)
    content = read_cube(path)
    np.testing.assert_array_equal(check_windows(content), values.transpose(1, 2, 0))
    assert known(content.wavelengths)[[0, -1]].tolist() == [380, 2500]
    np.testing.assert_allclose(known(content.fwhm), 7.4, rtol=1e-6)
    assert (content.nodata, content.scale) == (-9999, 1)
    place = Georeference("EPSG:32611", (5.0, 0.0, 699997.5, 0.0, -5.0, 4000002.5))
    assert content.georeference == place
    assert load_scene(str(path)).source.key == "reflectance/reflectance"


def test_aviris_radiance_has_no_scale(tmp_path):
    values = product_files.random_values(6, 4, 5)
    path = product_files.write_aviris(tmp_path / "a.nc", values, name="radiance")
    assert read_cube(path).scale is None


def test_aviris_of_another_level(tmp_path):
    values = product_files.random_values(6, 4, 5)
    path = product_files.write_aviris(tmp_path / "u.nc", values, name="uncertainty")
    with pytest.raises(HsijaxError, match=r"another level: .*, but .*uncertainty"):
        read_cube(path)
    path = product_files.write_aviris(
        tmp_path / "r.nc", values, name="radiance", raw=True
    )
    with pytest.raises(HsijaxError, match="on the sensor's own grid"):
        read_cube(path)
