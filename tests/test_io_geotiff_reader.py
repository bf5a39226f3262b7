"""GeoTIFFs as scenes and ground truths: real EnMAP tiles, and all that can be wrong."""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from hsijax.cli import app
from hsijax.errors import HsijaxError
from hsijax.io import open_file, read_cube
from hsijax.io.cube import Georeference
from hsijax.io.geotiff import write_class_geotiff, write_float_geotiff
from hsijax.scenes import LandClass, load_ground_truth, load_scene

rasterio = pytest.importorskip("rasterio")

TILE = "enmap_potsdam/{}/enmap_potsdam_tile_128_0.tif"
PLACE = Georeference("EPSG:32633", (30.0, 0.0, 366015.0, 0.0, -30.0, 5809965.0))
VALUES = np.random.default_rng(0).integers(1, 9000, (4, 5, 3)).astype(np.int16)


def write_tif(
    path, values: np.ndarray = VALUES, tags=(), namespace=None, **more: Any
) -> Path:
    """Write `[rows cols bands]` with rasterio alone, and tags of each band."""
    rows, cols, bands = values.shape
    size = {"height": rows, "width": cols, "count": bands, "dtype": values.dtype.name}
    place = {"crs": "EPSG:32633", "transform": rasterio.Affine(*PLACE.transform)}
    attributes = {key: more.pop(key) for key in ("scales", "offsets") if key in more}
    descriptions = more.pop("descriptions", None)
    with rasterio.open(path, "w", driver="GTiff", **size, **place, **more) as dataset:
        dataset.write(np.moveaxis(values, 2, 0))
        for band, row in enumerate(tags, 1):
            dataset.update_tags(band, ns=namespace, **row)
        for key, value in attributes.items():
            setattr(dataset, key, value)
        if descriptions:
            dataset.descriptions = descriptions
    return path


def known(array: np.ndarray | None) -> np.ndarray:
    assert array is not None
    return array


def info(*arguments):
    return CliRunner().invoke(app, ["info", *map(str, arguments)])


def test_enmap_tile(shared_data):
    path = shared_data / TILE.format("images")
    content = read_cube(path)
    with rasterio.open(path) as dataset:
        values = np.moveaxis(dataset.read(), 0, 2)
    assert content.cube.shape == (32, 32, 224)
    assert content.cube.dtype == np.float32
    np.testing.assert_array_equal(content.cube.load(), values)
    window = content.cube.read(slice(3, 9), slice(30, 32))
    np.testing.assert_array_equal(window, values[3:9, 30:32])
    assert known(content.wavelengths)[[0, -1]].tolist() == [418.24, 2445.53]
    assert known(content.fwhm)[0] == 6.99561
    bad = np.flatnonzero(~known(content.good_bands)) + 1
    assert bad.tolist() == [*range(130, 136)]
    assert content.nodata == -32768
    assert content.scale == 10_000
    assert content.georeference == PLACE


def test_info_of_an_enmap_tile_with_labels(shared_data, tmp_path):
    images, labels = (shared_data / TILE.format(kind) for kind in ("images", "labels"))
    picture = tmp_path / "quick.png"
    result = info(images, "--ground-truth", labels, "--json", "--quicklook", picture)
    assert result.exit_code == 0, result.stderr
    summary = json.loads(result.stdout)
    assert (summary["rows"], summary["cols"], summary["bands"]) == (32, 32, 224)
    assert summary["good_bands"] == 218
    assert summary["value_range"] == [214, 7432]
    assert summary["nodata"] == -32768
    assert summary["georeference"]["crs"] == "EPSG:32633"
    assert [c["pixels"] for c in summary["classes"]] == [18, 52, 350, 83, 5]
    assert picture.exists()
    alone = info(labels)
    assert alone.exit_code == 0
    assert "a ground truth of 32 rows x 32 columns, without a cube" in alone.stdout


def test_variables_index_like_arrays(tmp_path):
    variable = open_file(write_tif(tmp_path / "x.tif")).variables[0]
    assert str(variable) == "an array (4 x 5 x 3, int16)"
    for window in ((), (slice(1, 3),), (slice(None), slice(2, 4), slice(1, None))):
        np.testing.assert_array_equal(variable.read(*window), VALUES[window])


def test_gdal_s_own_names_of_wavelengths(tmp_path):
    tags = [{"CENTRAL_WAVELENGTH_UM": f"0.{n}", "FWHM_UM": "0.01"} for n in (4, 5, 6)]
    content = read_cube(write_tif(tmp_path / "x.tif", tags=tags, namespace="IMAGERY"))
    np.testing.assert_allclose(known(content.wavelengths), [400, 500, 600])
    np.testing.assert_allclose(known(content.fwhm), [10, 10, 10])


def test_wavelengths_in_band_names_and_tags_without_unit(tmp_path):
    names = ("band 1 (418.24 Nanometers)", "band 2 (0.5 um)", "700 nm")
    named = read_cube(write_tif(tmp_path / "x.tif", descriptions=names))
    np.testing.assert_allclose(known(named.wavelengths), [418.24, 500, 700])
    assert named.fwhm is None
    assert named.good_bands is None
    tags = [{"WAVELENGTH": text} for text in ("0.4", "0.5", "0.6")]
    tagged = read_cube(write_tif(tmp_path / "y.tif", tags=tags, descriptions=names))
    np.testing.assert_allclose(known(tagged.wavelengths), [400, 500, 600])
    some = read_cube(write_tif(tmp_path / "z.tif", tags=tags[:2]))
    assert some.wavelengths is None


def test_all_bands_bad(tmp_path):
    path = write_tif(tmp_path / "x.tif", tags=[{"bbl": "0"}] * 3)
    with pytest.raises(HsijaxError, match="marks all bands as bad"):
        open_file(path)


def test_scales(tmp_path, caplog):
    same = write_tif(tmp_path / "x.tif", scales=(0.0001,) * 3)
    assert read_cube(same).scale == 10_000
    np.testing.assert_array_equal(read_cube(same).cube.load(), VALUES)
    assert read_cube(write_tif(tmp_path / "y.tif")).scale is None
    odd: list[dict[str, Any]]
    odd = [{"scales": (0.1, 0.2, 0.3)}, {"offsets": (0.0, 0.0, 5.0)}]
    for more in odd:
        assert read_cube(write_tif(tmp_path / "z.tif", **more)).scale is None
        assert "scales of their own or offsets" in caplog.text
        caplog.clear()


def test_without_a_place(tmp_path):
    path = tmp_path / "x.tiff"
    with (
        pytest.warns(rasterio.errors.NotGeoreferencedWarning),
        rasterio.open(
            *(path, "w"), driver="GTiff", height=4, width=5, count=3, dtype="int16"
        ) as dataset,
    ):
        dataset.write(np.moveaxis(VALUES, 2, 0))
    scene = load_scene(str(path))
    assert scene.georeference is None
    np.testing.assert_array_equal(scene.load()[0], VALUES)


def test_a_coordinate_system_without_a_code(tmp_path):
    wkt = rasterio.crs.CRS.from_proj4("+proj=laea +lat_0=47 +lon_0=9 +ellps=GRS80")
    place = Georeference(wkt.to_wkt(), PLACE.transform)
    write_float_geotiff(tmp_path / "x.tif", VALUES.astype(float), list("abc"), place)
    found = read_cube(tmp_path / "x.tif").georeference
    assert found is not None
    assert found.transform == place.transform
    assert rasterio.crs.CRS.from_wkt(found.crs) == wkt


def test_our_class_map_is_a_ground_truth(tmp_path):
    classes = (
        LandClass(1, "Corn, no till", (255, 0, 0)),
        LandClass(3, "Bäume", (0, 9, 7)),
    )
    class_map = np.array([[1, 3, 0], [3, 3, 1]])
    path = tmp_path / "map.tif"
    write_class_geotiff(path, class_map, classes, PLACE)
    raster = load_ground_truth(str(path))
    np.testing.assert_array_equal(raster.values, class_map)
    assert raster.classes == classes
    # The names are also in the file beside it, which is all that other programs write.
    with rasterio.open(path, "r+", IGNORE_COG_LAYOUT_BREAK="YES") as dataset:
        dataset.update_tags(1, class_1="", class_3="")
    assert load_ground_truth(str(path)).classes == classes
    (tmp_path / "map.tif.aux.xml").write_text("<PAMDataset")
    assert [c.name for c in load_ground_truth(str(path)).classes] == [
        "class 1",
        "class 3",
    ]


@pytest.mark.parametrize(
    ("dtype", "nodata"),
    [("uint8", 255), ("int16", -9999), ("float32", float("nan")), ("float32", None)],
)
def test_labels_of_any_type_and_no_data(tmp_path, dtype, nodata):
    labels = np.array([[1, 2, 0], [2, 5, 5]]).astype(dtype)
    expected = labels.astype(int)
    if nodata is not None:
        labels[0, 1], expected[0, 1] = nodata, 0
    path = write_tif(tmp_path / "gt.tif", labels[:, :, None], nodata=nodata)
    np.testing.assert_array_equal(load_ground_truth(str(path)).values, expected)


def test_cube_and_labels_make_a_scene(tmp_path):
    cube = write_tif(tmp_path / "x.tif", nodata=-1)
    labels = np.arange(20, dtype=np.uint8).reshape(4, 5, 1) % 3
    path = write_tif(tmp_path / "gt.tif", labels)
    scene = load_scene(str(cube), ground_truth=str(path))
    np.testing.assert_array_equal(scene.ground_truth, labels[:, :, 0])
    assert scene.georeference == PLACE
    # A raster that covers a part of the scene labels this part.
    short = write_tif(tmp_path / "short.tif", labels[:, :4])
    part = load_scene(str(cube), ground_truth=str(short)).ground_truth
    np.testing.assert_array_equal(part, labels[:, :, 0] * ([1] * 4 + [0]))


def test_complex_numbers_are_refused(tmp_path):
    path = write_tif(tmp_path / "x.tif", VALUES.astype(np.complex64))
    with pytest.raises(HsijaxError, match="complex64 values, not real numbers"):
        open_file(path)


def test_truncated_tile(shared_data, tmp_path):
    whole = (shared_data / TILE.format("images")).read_bytes()
    for size in (100, 3_000, 500_000):
        (tmp_path / "cut.tif").write_bytes(whole[:size])
        result = info(tmp_path / "cut.tif")
        assert result.exit_code == 1
        assert result.stderr.count("\n") == 1
        assert f"cut.tif ({size:,} bytes) is damaged, cut short or" in result.stderr


# GDAL's own text format, which can name any other file.
VRT = """<VRTDataset rasterXSize="2" rasterYSize="2">
<VRTRasterBand dataType="Byte" band="1"/></VRTDataset>
"""


@pytest.mark.parametrize("text", ["hello\n", VRT, "\x89PNG\r\n"])
def test_what_is_no_geotiff(tmp_path, text):
    (tmp_path / "x.tif").write_text(text, encoding="latin-1")
    result = info(tmp_path / "x.tif")
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1
    assert "is damaged, cut short or no GeoTIFF" in result.stderr


def test_missing_rasterio_is_said(tmp_path, monkeypatch):
    path = write_tif(tmp_path / "x.tif")
    monkeypatch.setitem(sys.modules, "rasterio", None)
    result = info(path)
    assert result.exit_code == 1
    assert "pip install 'hsijax[geo]'" in result.stderr


def test_messages_list_the_suffix(tmp_path):
    (tmp_path / "x.foo").write_text("1")
    assert ".hdr, .tif, .tiff, " in info(tmp_path / "x.foo").stderr
    assert "there is no file none.tif" in info("none.tif").stderr
