"""Zarr stores as xarray, GeoZarr and others write them."""

import base64
import json
import shutil
import struct
import sys
from pathlib import Path

import numpy as np
import pytest
from test_io_hdf import check_windows, known
from test_io_plain_stores import PLACE
from typer.testing import CliRunner

from hsijax.cli import app
from hsijax.errors import HsijaxError
from hsijax.io import open_file, read_cube
from hsijax.scenes import load_scene
from hsijax.scenes.sources import hash_file


def write_zarr(path: Path, version: int) -> tuple[Path, np.ndarray]:
    """Write a group as xarray does: coordinates, packed reflectance, no-data."""
    zarr = pytest.importorskip("zarr")
    values = np.arange(6 * 4 * 5, dtype=np.float32).reshape(6, 4, 5)
    values[:, 1, 1] = -9999
    root = zarr.open_group(path, mode="w", zarr_format=version)
    missing = base64.b64encode(struct.pack("<d", -9999.0)).decode()
    arrays = {
        "reflectance": (values, ("wavelength", "y", "x")),
        "wavelength": (np.linspace(400, 900, 6), ("wavelength",)),
        "y": (200.0 - 5 * np.arange(4), ("y",)),
        "x": (100.0 + 5 * np.arange(5), ("x",)),
    }
    for name, (data, axes) in arrays.items():
        more = {"dimension_names": axes} if version == 3 else {"fill_value": None}
        if version == 2 and name == "reflectance":
            more = {"fill_value": -9999.0}  # which is all that xarray writes of it
        array = root.create_array(name, data=data, chunks=(2,) * data.ndim, **more)
        if version == 2:
            array.attrs["_ARRAY_DIMENSIONS"] = list(axes)
    root["reflectance"].attrs["units"] = "1"
    if version == 3:
        root["reflectance"].attrs["_FillValue"] = missing
    root["wavelength"].attrs["units"] = "nm"
    root.attrs["proj:code"] = "EPSG:32611"
    return path, values


@pytest.mark.parametrize("version", [2, 3])
def test_zarr_group(tmp_path, version):
    path, values = write_zarr(tmp_path / "scene.zarr", version)
    content = read_cube(path)
    np.testing.assert_array_equal(check_windows(content), values.transpose(1, 2, 0))
    assert known(content.wavelengths).tolist() == [400, 500, 600, 700, 800, 900]
    assert (content.nodata, content.scale) == (-9999, 1)
    assert content.georeference == PLACE
    result = CliRunner().invoke(app, ["info", str(path), "--json"])
    assert result.exit_code == 0, result.stderr
    summary = json.loads(result.stdout)
    assert summary["nodata_share"] == 1 / 20
    assert len(summary["files"][0]["sha256"]) == 64


def test_zarr_array_whose_attributes_say_it_all(tmp_path):
    zarr = pytest.importorskip("zarr")
    stored = np.arange(4 * 5 * 6, dtype=np.int16).reshape(4, 5, 6)
    array = zarr.create_array(tmp_path / "store", data=stored, chunks=(2, 2, 6))
    array.attrs.update(
        {
            "wavelength": [0.4, 0.5, 0.6, 0.7, 0.8, 0.9],
            "wavelength_units": "um",
            "fwhm": [0.01] * 6,
            "good_bands": [1, 1, 0, 1, 1, 1],
            "nodata": -1,
            "scale_factor": 1e-4,
            "long_name": "reflectance",
            "units": "1",
            "crs": "EPSG:32611",
            "transform": [5.0, 0.0, 97.5, 0.0, -5.0, 202.5],
        }
    )
    content = read_cube(tmp_path / "store")  # a folder of any name
    np.testing.assert_array_equal(check_windows(content), stored)
    assert known(content.wavelengths)[0] == 400
    assert known(content.fwhm)[0] == 10
    assert known(content.good_bands).tolist() == [1, 1, 0, 1, 1, 1]
    assert (content.nodata, content.scale) == (-1, 10_000)
    assert content.georeference == PLACE


def test_the_hash_of_a_store_follows_its_content_and_not_its_place(tmp_path):
    path, _ = write_zarr(tmp_path / "one.zarr", 3)
    copy = Path(shutil.copytree(path, tmp_path / "two.zarr"))
    first = load_scene(str(path)).source.sha256
    assert hash_file(copy) == first
    with (copy / "x" / "zarr.json").open("a") as stream:
        stream.write(" ")
    assert hash_file(copy) != first
    (copy / "notes.txt").write_text("beside the arrays")
    second = hash_file(copy)
    (copy / "notes.txt").rename(copy / "other.txt")
    assert hash_file(copy) != second


def test_bad_zarr(tmp_path, monkeypatch):
    folder = tmp_path / "empty.zarr"
    folder.mkdir()
    with pytest.raises(HsijaxError, match=r"no Zarr store: a folder with .*zarr.json"):
        read_cube(folder)
    (folder / "zarr.json").write_text("{")
    with pytest.raises(HsijaxError, match=r"empty.zarr is damaged or cut short"):
        read_cube(folder)
    path, _ = write_zarr(tmp_path / "scene.zarr", 3)
    (path / "reflectance" / "c" / "0" / "0" / "0").write_bytes(b"???")
    with pytest.raises(HsijaxError, match=r"scene.zarr is damaged or cut short \(.+\)"):
        read_cube(path).cube.load()
    monkeypatch.setitem(sys.modules, "zarr", None)
    with pytest.raises(HsijaxError, match=r"needs zarr: pip install 'hsijax\[zarr\]'"):
        read_cube(path)


def test_a_folder_that_is_no_store(tmp_path):
    with pytest.raises(HsijaxError, match="is a folder; give a file"):
        open_file(tmp_path)
