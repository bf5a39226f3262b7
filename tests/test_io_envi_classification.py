"""ENVI rasters as SPy and GDAL read them."""

import logging
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import spectral.io.envi as envi
from spectral.io.spyfile import SpyFile

from hsijax.errors import HsijaxError, UsageError
from hsijax.io.cube import Georeference
from hsijax.io.envi import open_envi
from hsijax.io.envi_classification import write_envi_classification, write_envi_layers
from hsijax.scenes.scene import LandClass

CLASSES = (
    LandClass(1, "Corn, no till {x}", (255, 0, 0)),
    LandClass(3, "Bäume & Sträucher", (0, 128, 64)),
)
CLASS_MAP = np.array([[1, 3, 0], [3, 3, 1]])
NORTH_UP = (15.0, 0.0, 353128.751647949, 0.0, -10.0, 3813729.76806641)


def read_header(path: Path) -> dict:
    return envi.read_envi_header(str(path.with_suffix(".hdr")))


def open_image(path: Path) -> SpyFile:
    image = envi.open(str(path.with_suffix(".hdr")))
    assert isinstance(image, SpyFile)
    return image


def test_spectral_reads_values_names_and_colours(tmp_path):
    path = tmp_path / "map.img"
    write_envi_classification(path, CLASS_MAP, CLASSES)
    header = read_header(path)
    assert header["file type"] == "ENVI Classification"
    assert header["classes"] == "4"
    assert header["class names"] == [
        "Unclassified",
        "Corn- no till (x)",
        "unused 2",
        "Bäume & Sträucher",
    ]
    lookup = [int(channel) for channel in header["class lookup"]]
    assert lookup == [0, 0, 0, 255, 0, 0, 0, 0, 0, 0, 128, 64]
    assert "map info" not in header
    image = open_image(path)
    assert np.asarray(image.load())[..., 0].tolist() == CLASS_MAP.tolist()
    assert np.dtype(image.dtype) == np.uint8
    names = sorted(file.name for file in tmp_path.iterdir())
    assert names == ["map.hdr", "map.img", "map.qml"]


def test_gdal_reads_place_names_and_colours(tmp_path):
    rasterio = pytest.importorskip("rasterio")
    path = tmp_path / "map.img"
    place = Georeference("EPSG:32611", NORTH_UP)
    write_envi_classification(path, CLASS_MAP, CLASSES, place)
    with rasterio.open(path) as dataset:
        assert dataset.read(1).tolist() == CLASS_MAP.tolist()
        assert dataset.crs.to_epsg() == 32611
        assert tuple(dataset.transform)[:6] == pytest.approx(NORTH_UP, abs=1e-9)
        assert dataset.colormap(1)[3] == (0, 128, 64, 255)


def test_map_info_is_a_list_of_plain_tokens(tmp_path):
    path = tmp_path / "map.img"
    place = Georeference("EPSG:32733", NORTH_UP)
    write_envi_classification(path, CLASS_MAP, CLASSES, place)
    info = read_header(path)["map info"]
    assert info[:3] == ["UTM", "1", "1"]
    assert [float(text) for text in info[3:7]] == [*NORTH_UP[2::3], 15.0, 10.0]
    assert info[7:] == ["33", "South", "WGS-84", "units=Meters"]


@pytest.mark.parametrize("code", [26911, 26711, 4326, 3035, 32661, 26929])
def test_coordinate_systems_come_back(tmp_path, code):
    rasterio = pytest.importorskip("rasterio")
    path = tmp_path / "map.img"
    for crs in (f"EPSG:{code}", rasterio.crs.CRS.from_epsg(code).to_wkt()):
        write_envi_classification(path, CLASS_MAP, CLASSES, Georeference(crs, NORTH_UP))
        with rasterio.open(path) as dataset:
            assert dataset.crs.to_epsg(confidence_threshold=20) == code


@pytest.mark.parametrize("code", [32600, 32661, 26929])
def test_neighbours_of_utm_codes_are_not_taken_for_zones(tmp_path, code):
    path = tmp_path / "map.img"
    place = Georeference(f"EPSG:{code}", NORTH_UP)
    write_envi_classification(path, CLASS_MAP, CLASSES, place)
    assert read_header(path)["map info"][0] == "Arbitrary"


def test_place_is_kept_without_rasterio(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "rasterio.crs", None)
    path = tmp_path / "map.img"
    wkt = 'PROJCS["x",GEOGCS["y"]]'
    expected = {
        "EPSG:32611": "UTM",
        "EPSG:4326": "Geographic Lat/Lon",
        wkt: "Arbitrary",
    }
    for crs, projection in expected.items():
        write_envi_classification(path, CLASS_MAP, CLASSES, Georeference(crs, NORTH_UP))
        header = read_header(path)
        assert header["map info"][0] == projection
        text = header.get("coordinate system string")
        assert (",".join(text) if text else None) == (wkt if crs == wkt else None)


def test_rotated_grid_comes_back(tmp_path):
    rasterio = pytest.importorskip("rasterio")
    path = tmp_path / "map.img"
    cosine, sine = np.cos(np.radians(-20)), np.sin(np.radians(-20))
    a, b = float(15 * cosine), float(15 * sine)
    transform = (a, b, 353128.5, b, -a, 3813729.5)
    place = Georeference("EPSG:32611", transform)
    write_envi_classification(path, CLASS_MAP, CLASSES, place)
    with rasterio.open(path) as dataset:
        assert tuple(dataset.transform)[:6] == pytest.approx(transform, abs=1e-6)


def test_skewed_grid_is_left_out_with_a_warning(tmp_path, caplog):
    place = Georeference("EPSG:32611", (15.0, 3.0, 0.0, 0.0, -15.0, 0.0))
    path = tmp_path / "map.img"
    with caplog.at_level(logging.WARNING, "hsijax"):
        write_envi_classification(path, CLASS_MAP, CLASSES, place)
    assert "skewed" in caplog.text
    assert "map info" not in read_header(path)


def test_layers_have_band_names(tmp_path):
    layers = np.array([[[0.5, 0.1], [np.nan, 0.25], [1.0, 0.0]]])
    path = tmp_path / "confidence.img"
    place = Georeference("EPSG:32611", NORTH_UP)
    write_envi_layers(path, layers, ["confidence", "Corn, notill"], place)
    header = read_header(path)
    assert header["file type"] == "ENVI Standard"
    assert header["band names"] == ["confidence", "Corn- notill"]
    image = open_image(path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # SPy announces that NaN are there
        read = np.asarray(image.load())
    np.testing.assert_array_equal(read, layers.astype(np.float32))
    rasterio = pytest.importorskip("rasterio")
    with rasterio.open(path) as dataset:
        assert dataset.crs.to_epsg() == 32611
        np.testing.assert_array_equal(dataset.read(2), layers[..., 1].astype("f4"))


def test_large_ids(tmp_path):
    path = tmp_path / "map.img"
    classes = (LandClass(523, "Sea", (1, 2, 3)),)
    write_envi_classification(path, np.array([[523, 0]]), classes)
    image = open_image(path)
    assert np.asarray(image.load())[..., 0].tolist() == [[523, 0]]


def test_an_older_pair_is_replaced(tmp_path):
    path = tmp_path / "map.img"
    write_envi_classification(path, CLASS_MAP, CLASSES)
    write_envi_classification(path, np.array([[3], [1]]), CLASSES)
    image = open_image(path)
    assert np.asarray(image.load())[..., 0].tolist() == [[3], [1]]


def test_wrong_suffix_and_unknown_value_leave_nothing(tmp_path):
    with pytest.raises(UsageError, match=r"NAME\.img, not map\.dat"):
        write_envi_classification(tmp_path / "map.dat", CLASS_MAP, CLASSES)
    with pytest.raises(HsijaxError, match="value 2"):
        write_envi_classification(tmp_path / "map.img", np.array([[2]]), CLASSES)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("crs", ["EPSG:32611", "EPSG:4326"])
def test_our_reader_reads_what_we_write(tmp_path, crs):
    path = tmp_path / "map.img"
    place = Georeference(crs, NORTH_UP)
    write_envi_classification(path, CLASS_MAP, CLASSES, place)
    file = open_envi(path)
    assert np.squeeze(file.variables[0].read()).tolist() == CLASS_MAP.tolist()
    assert (3, "Bäume & Sträucher", (0, 128, 64)) in file.class_table
    write_envi_layers(path, np.ones((2, 3, 2)), ["one", "other"], place)
    cube_file = open_envi(path).cube
    assert cube_file is not None
    assert cube_file.georeference == place
    assert cube_file.cube.load().tolist() == np.ones((2, 3, 2)).tolist()


def test_blocks_of_a_memory_map_make_the_same_file(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    layers = rng.random((70, 9, 2)).astype(np.float32)
    class_map = rng.choice([0, 1, 3], (70, 9))
    np.save(tmp_path / "c.npy", class_map)
    np.save(tmp_path / "f.npy", layers)
    write_envi_classification(tmp_path / "whole-c.img", class_map, CLASSES)
    write_envi_layers(tmp_path / "whole-f.img", layers, ["one", "other"])
    monkeypatch.setattr("hsijax.io.row_blocks.BLOCK_BYTES", 9 * 8 * 16)
    mapped = np.load(tmp_path / "c.npy", mmap_mode="r")
    write_envi_classification(tmp_path / "blocks-c.img", mapped, CLASSES)
    mapped = np.load(tmp_path / "f.npy", mmap_mode="r")
    write_envi_layers(tmp_path / "blocks-f.img", mapped, ["one", "other"])
    for suffix in ("c.img", "c.hdr", "f.img", "f.hdr"):
        one, other = (tmp_path / f"{name}-{suffix}" for name in ("whole", "blocks"))
        assert one.read_bytes() == other.read_bytes()
    found = np.asarray(open_image(tmp_path / "blocks-f.img").load())
    np.testing.assert_array_equal(found, layers)
