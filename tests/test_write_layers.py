"""GeoTIFF or ENVI, as the user or the scene decides."""

import logging
import warnings

import numpy as np
import pytest
from spectral.io import envi

from hsijax.errors import HsijaxError, UsageError
from hsijax.experiments.write_layers import (
    choose_raster_format,
    write_class_raster,
    write_float_raster,
)
from hsijax.io.cube import Georeference
from hsijax.io.envi import open_envi
from hsijax.scenes.scene import LandClass

PLACE = Georeference("EPSG:32610", (30.0, 0.0, 5e5, 0.0, -30.0, 4e6))
NOWHERE = [None, Georeference(None, PLACE.transform)]
NAMES = ["Tree, alive", "Röad"]
LAYERS = np.array(
    [
        [[0.25, 0.75], [np.nan, np.nan]],
        [[1.0, 0.0], [0.0, 1.0]],
        [[0.5, 0.5], [0.125, 0.875]],
    ]
)
DESCRIPTION = "jasper-ridge, fcls (simulated), abundances"


def test_format_follows_the_scene_unless_it_is_chosen(caplog):
    pytest.importorskip("rasterio")
    for chosen in ("geotiff", "envi"):
        assert choose_raster_format(chosen, PLACE) == chosen
    assert choose_raster_format("auto", PLACE) == "geotiff"
    assert [choose_raster_format("auto", place) for place in NOWHERE] == ["envi"] * 2
    assert not caplog.records


@pytest.mark.parametrize("place", NOWHERE)
def test_geotiff_without_a_place_is_written_and_that_is_said(place, tmp_path, caplog):
    rasterio = pytest.importorskip("rasterio")
    chosen = choose_raster_format("geotiff", place)
    assert "no coordinate system" in caplog.text
    classes = (LandClass(1, "Sea", (1, 2, 3)),)
    path = write_class_raster(
        tmp_path / "a", np.ones((2, 3), int), classes, place, chosen
    )
    assert path == tmp_path / "a.tif"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # rasterio says that there is no place
        with rasterio.open(path) as dataset:
            assert dataset.crs is None
            assert tuple(dataset.transform)[:6] == (
                place.transform if place else (1, 0, 0, 0, 1, 0)
            )


def test_unknown_format_is_refused():
    with pytest.raises(UsageError, match=r"--format cannot be 'tiff'.*'geotiff'"):
        choose_raster_format("tiff", PLACE)


def test_missing_rasterio_is_said(monkeypatch, caplog):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with caplog.at_level(logging.INFO, "hsijax"):
        assert choose_raster_format("auto", PLACE) == "envi"
    assert "pip install 'hsijax[geo]'" in caplog.text
    with pytest.raises(
        HsijaxError, match=r"pip install 'hsijax\[geo\]'.*--format envi"
    ):
        choose_raster_format("geotiff", PLACE)


def test_layers_as_geotiff(tmp_path):
    rasterio = pytest.importorskip("rasterio")
    path = write_float_raster(
        tmp_path / "maps" / "a-0.8", LAYERS, NAMES, PLACE, "geotiff", DESCRIPTION
    )
    assert path == tmp_path / "maps" / "a-0.8.tif"
    with rasterio.open(path) as dataset:
        assert dataset.dtypes == ("float32", "float32")
        assert dataset.descriptions == tuple(NAMES)
        assert np.isnan(dataset.nodata)
        assert dataset.crs.to_epsg() == 32610
        assert tuple(dataset.transform)[:6] == PLACE.transform
        assert dataset.tags()["TIFFTAG_IMAGEDESCRIPTION"] == DESCRIPTION
        np.testing.assert_array_equal(
            dataset.read(), np.moveaxis(LAYERS, 2, 0).astype("f4")
        )
        assert dataset.read(1, masked=True).mask.sum() == 1


@pytest.mark.parametrize("place", [None, PLACE])
def test_layers_as_envi(tmp_path, place):
    path = write_float_raster(
        tmp_path / "a-0.8", LAYERS, NAMES, place, "envi", DESCRIPTION
    )
    assert path == tmp_path / "a-0.8.img"
    header = envi.read_envi_header(str(tmp_path / "a-0.8.hdr"))
    assert header["band names"][0] == "Tree- alive"
    assert header["description"].strip() == DESCRIPTION
    assert header["data type"] == "4"
    cube = open_envi(path).cube
    assert cube is not None
    assert cube.nodata is not None
    assert np.isnan(cube.nodata)
    assert cube.georeference == place
    np.testing.assert_array_equal(cube.cube.load(), LAYERS.astype("f4"))
    rasterio = pytest.importorskip("rasterio")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # rasterio says that there is no place
        with rasterio.open(path) as dataset:
            assert dataset.read(2, masked=True).mask.sum() == 1
