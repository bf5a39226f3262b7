"""GeoTIFFs: values, place, colours and names as another program reads them."""

import sys
from xml.etree import ElementTree

import numpy as np
import pytest

from hsijax.errors import HsijaxError
from hsijax.io.cube import Georeference
from hsijax.io.geotiff import write_class_geotiff, write_float_geotiff
from hsijax.scenes.scene import LandClass

rasterio = pytest.importorskip("rasterio")

CLASSES = (
    LandClass(1, "Corn, no till", (255, 0, 0)),
    LandClass(3, "Bäume & <Sträucher>", (0, 128, 64)),
)
CLASS_MAP = np.array([[1, 3, 0], [3, 3, 1]])
PLACE = Georeference("EPSG:32611", (15.0, 0.0, 353128.5, 0.0, -15.0, 3813729.5))


def test_class_map_has_values_place_and_colours(tmp_path):
    path = tmp_path / "map.tif"
    write_class_geotiff(path, CLASS_MAP, CLASSES, PLACE)
    with rasterio.open(path) as dataset:
        assert dataset.dtypes == ("uint8",)
        assert dataset.read(1).tolist() == CLASS_MAP.tolist()
        assert dataset.nodata == 0
        assert dataset.crs.to_epsg() == 32611
        assert tuple(dataset.transform)[:6] == PLACE.transform
        assert dataset.colormap(1)[3] == (0, 128, 64, 255)
        assert dataset.colormap(1)[0][3] == 0
        assert dataset.tags(1)["class_3"] == CLASSES[1].name
        assert dataset.descriptions == ("class",)
        assert dataset.profile["compress"] == "deflate"
        assert dataset.block_shapes == [(256, 256)]


def test_class_names_stand_beside_the_map(tmp_path):
    path = tmp_path / "map.tif"
    write_class_geotiff(path, CLASS_MAP, CLASSES, PLACE)
    band = (
        ElementTree.parse(tmp_path / "map.tif.aux.xml").getroot().find("PAMRasterBand")
    )
    assert band is not None
    names = [category.text or "" for category in band.findall("CategoryNames/Category")]
    assert names == ["no data", "Corn, no till", "", "Bäume & <Sträucher>"]
    table = [
        [cell.text for cell in row.findall("F")]
        for row in band.findall("GDALRasterAttributeTable/Row")
    ]
    assert table[1] == ["3", "Bäume & <Sträucher>", "0", "128", "64"]
    usages = [field.findtext("Usage") for field in band.iter("FieldDefn")]
    assert usages == ["5", "2", "6", "7", "8"]
    # GDAL overlooks what follows an XML declaration.
    assert (tmp_path / "map.tif.aux.xml").read_bytes().startswith(b"<PAMDataset>")
    assert sorted(file.name for file in tmp_path.iterdir()) == [
        "map.qml",
        "map.tif",
        "map.tif.aux.xml",
    ]


def test_control_characters_do_not_break_the_xml(tmp_path):
    classes = (LandClass(1, "Corn\x00\x0b\n", (1, 2, 3)),)
    write_class_geotiff(tmp_path / "map.tif", np.array([[1]]), classes, PLACE)
    root = ElementTree.parse(tmp_path / "map.tif.aux.xml")
    assert [category.text for category in root.iter("Category")] == ["no data", "Corn"]


def test_large_ids_have_no_palette_but_names(tmp_path):
    path = tmp_path / "map.tif"
    classes = (LandClass(523, "Sea", (1, 2, 3)),)
    write_class_geotiff(path, np.array([[523, 0]]), classes, PLACE)
    with rasterio.open(path) as dataset:
        assert dataset.dtypes == ("uint16",)
        assert dataset.read(1).tolist() == [[523, 0]]
        with pytest.raises(ValueError, match="NULL color table"):
            dataset.colormap(1)
    row = next(ElementTree.parse(tmp_path / "map.tif.aux.xml").iter("Row"))
    assert [cell.text for cell in row] == ["523", "Sea", "1", "2", "3"]


def test_any_coordinate_system_is_kept(tmp_path):
    wkt = rasterio.crs.CRS.from_epsg(3035).to_wkt()
    path = tmp_path / "map.tif"
    for crs, expected in ((wkt, 3035), (None, None)):
        place = Georeference(crs, PLACE.transform)
        write_class_geotiff(path, CLASS_MAP, CLASSES, place)
        with rasterio.open(path) as dataset:
            assert (dataset.crs.to_epsg() if dataset.crs else None) == expected
            assert tuple(dataset.transform)[:6] == PLACE.transform


def test_unknown_coordinate_system_is_named(tmp_path):
    place = Georeference("EPSG:999999", PLACE.transform)
    with pytest.raises(HsijaxError, match="EPSG:999999"):
        write_class_geotiff(tmp_path / "map.tif", CLASS_MAP, CLASSES, place)
    assert list(tmp_path.iterdir()) == []


def test_layers_have_descriptions_and_nodata(tmp_path):
    path = tmp_path / "confidence.tif"
    (tmp_path / "confidence.tif.aux.xml").write_text("of an older file")
    layers = np.array([[[0.5, 0.1], [np.nan, 0.25]]])
    write_float_geotiff(path, layers, ["confidence", "Entropie ä"], PLACE)
    with rasterio.open(path) as dataset:
        assert dataset.dtypes == ("float32", "float32")
        assert np.isnan(dataset.nodata)
        assert dataset.descriptions == ("confidence", "Entropie ä")
        np.testing.assert_array_equal(dataset.read(1), [[0.5, np.nan]])
        assert dataset.read(2, masked=True).tolist() == [[np.float32(0.1), 0.25]]
        assert dataset.crs.to_epsg() == 32611
        assert dataset.tags(ns="IMAGE_STRUCTURE")["PREDICTOR"] == "3"
    names = sorted(file.name for file in tmp_path.iterdir())
    assert names == ["confidence.qml", "confidence.tif"]


def test_same_map_same_bytes(tmp_path):
    for name in ("one.tif", "other.tif"):
        write_class_geotiff(tmp_path / name, CLASS_MAP, CLASSES, PLACE)
    one, other = (tmp_path / name for name in ("one.tif", "other.tif"))
    assert one.read_bytes() == other.read_bytes()


def test_missing_rasterio_is_said(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "rasterio", None)
    with pytest.raises(HsijaxError, match=r"pip install 'hsijax\[geo\]'"):
        write_class_geotiff(tmp_path / "map.tif", CLASS_MAP, CLASSES, PLACE)
    assert list(tmp_path.iterdir()) == []


def test_a_map_without_a_place(tmp_path):
    write_class_geotiff(tmp_path / "map.tif", CLASS_MAP, CLASSES, None)
    with pytest.warns(rasterio.errors.NotGeoreferencedWarning):
        dataset = rasterio.open(tmp_path / "map.tif")
    with dataset:
        assert dataset.crs is None
        assert dataset.read(1).tolist() == CLASS_MAP.tolist()
