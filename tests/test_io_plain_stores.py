"""Plain netCDF and HDF5: axes by name, packing, no-data, and what is refused."""

from pathlib import Path

import h5py
import numpy as np
import product_files
import pytest
from product_files import add_axes
from scipy.io import netcdf_file
from test_io_hdf import check_windows, known

from hsijax.errors import HsijaxError
from hsijax.io import open_file, read_cube
from hsijax.io.choose import NoCubeError
from hsijax.io.cube import Georeference, LazyCube
from hsijax.io.packing import Packing, unpack
from hsijax.scenes import load_scene

PLACE = Georeference("EPSG:32611", (5.0, 0.0, 97.5, 0.0, -5.0, 202.5))


def write_cf(path: Path, stored: np.ndarray, attributes=(), **more) -> Path:
    """Write `data` [band y x] as xarray and rioxarray do, its wavelengths in um."""
    bands, rows, cols = stored.shape
    with h5py.File(path, "w") as file:
        file["y"] = 200.0 - 5 * np.arange(rows)
        file["x"] = 100.0 + 5 * np.arange(cols)
        file["band"] = np.arange(1, bands + 1)
        file["spatial_ref"] = 0
        file["spatial_ref"].attrs["crs_wkt"] = product_files.UTM
        # What a crop left behind: the coordinates are right.
        file["spatial_ref"].attrs["GeoTransform"] = "0 5 0 300 0 -5"
        file["wavelength"] = 0.4 + 0.1 * np.arange(bands)
        file["wavelength"].attrs["units"] = "um"
        file.create_dataset("data", data=stored)
        file["data"].attrs.update(dict(attributes))
        add_axes(file, "data", ("band", "y", "x"))
        for name, values in more.items():
            file[name] = values
    return path


def test_packed_netcdf_of_reflectance_keeps_its_integers(tmp_path):
    stored = np.arange(60, dtype=np.int16).reshape(5, 3, 4)
    said = {"long_name": "surface reflectance", "units": "1", "_FillValue": -1}
    path = write_cf(tmp_path / "a.nc", stored, {**said, "scale_factor": 1e-4})
    content = read_cube(path)
    assert content.cube.dtype == np.int16
    np.testing.assert_array_equal(check_windows(content), stored.transpose(1, 2, 0))
    np.testing.assert_allclose(
        known(content.wavelengths), [400, 500, 600, 700, 800], rtol=1e-12
    )
    assert (content.nodata, content.scale) == (-1, 10_000)
    assert content.georeference == PLACE


def test_packed_netcdf_of_something_else_is_unpacked(tmp_path):
    stored = np.arange(60, dtype=np.int16).reshape(5, 3, 4)
    stored[2, 1, 1] = -1
    attributes = {"scale_factor": 0.5, "add_offset": 3.0, "_FillValue": -1}
    content = read_cube(write_cf(tmp_path / "a.nc", stored, attributes))
    expected = stored.transpose(1, 2, 0) * 0.5 + 3
    expected[1, 1, 2] = -9999
    np.testing.assert_array_equal(check_windows(content), expected)
    assert (content.nodata, content.scale) == (-9999, None)


def test_no_data_that_differs_from_band_to_band(tmp_path):
    stored = np.arange(1.0, 61).reshape(5, 3, 4)
    missing = np.array([1.0, 2.0, np.nan, 4.0, 5.0])
    stored[:, 0, 0] = missing
    path = write_cf(tmp_path / "a.nc", stored, {"_FillValue": missing})
    content = read_cube(path)
    expected = stored.transpose(1, 2, 0).copy()
    expected[0, 0] = -9999
    # 4 is data in the first band, where 1 is not.
    assert stored[0, 0, 3] == 4
    np.testing.assert_array_equal(check_windows(content), expected)
    assert content.nodata == -9999
    _, valid = load_scene(str(path)).load()
    assert np.argwhere(~valid).tolist() == [[0, 0]]


def test_values_without_a_word_are_not_called_reflectance(tmp_path):
    stored = product_files.random_values(5, 3, 4)
    content = read_cube(write_cf(tmp_path / "a.nc", stored))
    assert (content.nodata, content.scale) == (None, None)


def test_a_netcdf_with_two_cubes_and_labels(tmp_path):
    stored = product_files.random_values(5, 3, 4)
    truth = np.array([[0, 1, 1, 2], [2, 2, 1, 0], [1, 1, 1, 1]], dtype=np.uint8)
    path = write_cf(tmp_path / "two.nc", stored, labels=truth, other=stored + 1)
    with h5py.File(path, "r+") as file:
        add_axes(file, "other", ("band", "y", "x"))
    with pytest.raises(HsijaxError, match=r"several arrays .*'data' .*'other'"):
        read_cube(path)
    scene = load_scene(str(path), cube_key="other")
    assert scene.georeference == PLACE
    np.testing.assert_array_equal(scene.cube.load(), stored.transpose(1, 2, 0) + 1)
    np.testing.assert_array_equal(known(scene.ground_truth), truth)


def test_hdf5_without_names_of_axes(tmp_path):
    values = product_files.random_values(6, 3, 4)
    path = tmp_path / "plain.h5"
    with h5py.File(path, "w") as file:
        file["site/cube"] = values
        file["site/Wavelength"] = 400.0 + 10 * np.arange(6)
    content = read_cube(path)  # the list of wavelengths says that bands come first
    np.testing.assert_array_equal(check_windows(content), values.transpose(1, 2, 0))
    assert known(content.wavelengths)[-1] == 450
    with h5py.File(path, "r+") as file:
        del file["site/Wavelength"]
    assert read_cube(path).cube.shape == (6, 3, 4)


def test_an_image_that_lies_on_its_side(tmp_path):
    values = product_files.random_values(4, 3, 6)
    path = tmp_path / "side.nc"
    with h5py.File(path, "w") as file:
        file["lon"], file["lat"] = 10 + 0.5 * np.arange(4), 50 - 0.5 * np.arange(3)
        file["cube"] = values
        add_axes(file, "cube", ("lon", "lat", "wavelength"))
    content = read_cube(path)
    np.testing.assert_array_equal(check_windows(content), values.transpose(1, 0, 2))
    place = Georeference("EPSG:4326", (0.5, 0.0, 9.75, 0.0, -0.5, 50.25))
    assert content.georeference == place


def test_uneven_coordinates_are_no_grid(tmp_path, caplog):
    path = write_cf(tmp_path / "a.nc", product_files.random_values(5, 3, 4))
    with h5py.File(path, "r+") as file:
        product_files.as_dataset(file["x"])[1] = 107.0
        del file["spatial_ref"].attrs["GeoTransform"]
    assert read_cube(path).georeference is None
    assert "its coordinates y and x are no grid" in caplog.text


def test_a_netcdf_without_bands(tmp_path):
    path = tmp_path / "series.nc"
    with h5py.File(path, "w") as file:
        file["ndvi"] = product_files.random_values(3, 4, 5)
        add_axes(file, "ndvi", ("time", "y", "x"))
    message = r"no cube .* 'ndvi' \(3 x 4 x 5, float32\); no array .* an axis of bands"
    with pytest.raises(NoCubeError, match=message):
        read_cube(path)


def test_an_hdf5_of_unknown_groups_says_what_it_holds(tmp_path):
    path = tmp_path / "what.h5"
    with h5py.File(path, "w") as file:
        file["a/b/counts"] = np.zeros((2, 3), dtype=np.int32)
        file["a/note"] = "text"
    with pytest.raises(NoCubeError, match=r"it holds: 'a/b/counts' \(2 x 3, int32\)"):
        read_cube(path)


def test_a_truncated_hdf5(tmp_path):
    path = write_cf(tmp_path / "cut.nc", product_files.random_values(50, 30, 40))
    path.write_bytes(path.read_bytes()[:9000])
    with pytest.raises(HsijaxError, match=r"cut.nc \(9,000 bytes\) is damaged or cut"):
        open_file(path)


def test_a_chunk_that_is_damaged(tmp_path):
    path = tmp_path / "chunk.h5"
    values = product_files.random_values(30, 30, 9)
    with h5py.File(path, "w") as file:
        file.create_dataset("cube", data=values, chunks=(30, 30, 9), fletcher32=True)
        place = file["cube"].id.get_chunk_info(0).byte_offset
    content = bytearray(path.read_bytes())
    content[place + 100] ^= 255
    path.write_bytes(content)
    with pytest.raises(HsijaxError, match="is damaged or cut short"):
        read_cube(path).cube.load()


def test_netcdf_3_says_how_to_convert_it(tmp_path):
    path = tmp_path / "old.nc"
    with netcdf_file(path, "w") as file:
        file.createDimension("x", 2)
    with pytest.raises(HsijaxError, match=r"netCDF-3 .*nccopy -k nc4 old.nc new.nc"):
        read_cube(path)


def test_other_formats_under_the_suffix(tmp_path):
    path = tmp_path / "a.h5"
    path.write_bytes(b"\x0e\x03\x13\x01....")
    with pytest.raises(HsijaxError, match="HDF4"):
        open_file(path)
    path.write_bytes(b"no such format")
    with pytest.raises(HsijaxError, match=r"no HDF5 or netCDF-4 file .*b'no s'"):
        open_file(path)


def test_unpack_keeps_what_one_scale_describes():
    content = LazyCube.from_array(np.arange(12, dtype=np.uint16).reshape(2, 2, 3))
    packing = Packing(np.full(3, 1e-4), np.zeros(3), np.full(3, 7.0))
    assert unpack(content, packing, reflectance=True)[1:] == (7, 10_000)
    converted = unpack(content, packing, reflectance=False)
    assert converted.nodata == -9999
    expected = [6e-4, -9999, 8e-4]
    np.testing.assert_allclose(converted.cube.load()[1, 0], expected, rtol=1e-6)
