"""Polygons as labels: from real labels and back, and all that can be wrong in them."""

import json
import logging
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_io_geotiff_reader import info
from test_mosaic import VALUES, known, spot, write_geotiff

from hsijax.errors import HsijaxError
from hsijax.io.polygons import read_shapes
from hsijax.scenes import Scene, load_ground_truth, load_scene

rasterio = pytest.importorskip("rasterio")
raw = pytest.importorskip("pyogrio.raw")
shapely = pytest.importorskip("shapely")
features = pytest.importorskip("rasterio.features")
warp = pytest.importorskip("rasterio.warp")

DRIVERS = {
    ".gpkg": "GPKG",
    ".geojson": "GeoJSON",
    ".shp": "ESRI Shapefile",
    ".fgb": "FlatGeobuf",
}
NAMES = np.array([None, "water", "urban", "forest", "meadow", "field"], dtype=object)


def write_shapes(
    path: Path, shapes, crs: str | None = "EPSG:32633", layer=None, **columns
) -> Path:
    """Write geometries and their attributes with pyogrio alone."""
    shapes = np.array(shapes, dtype=object)
    kinds = {geometry.geom_type for geometry in shapes if geometry is not None}
    more: dict[str, Any] = {"layer": layer, "append": True} if layer else {}
    raw.write(
        path,
        shapely.to_wkb(shapes),
        list(columns.values()),
        list(columns),
        driver=DRIVERS[path.suffix],
        geometry_type=kinds.pop() if len(kinds) == 1 else "Unknown",
        crs=crs,
        **more,
    )
    return path


def pixels(rows: slice, cols: slice):
    """Return the rectangle of some pixels of the small cube."""
    left, top = spot(cols.start, rows.start)
    right, bottom = spot(cols.stop, rows.stop)
    return shapely.box(left, bottom, right, top)


def labels_of(cube, file_and_key) -> np.ndarray:
    return known(load_scene(str(cube), ground_truth=str(file_and_key)).ground_truth)


BOX = [pixels(slice(0, 2), slice(0, 2))]
ONE: dict[str, Any] = {"crop": np.array([1], np.int32)}


@pytest.fixture
def cube(tmp_path) -> Path:
    return write_geotiff(tmp_path / "cube.tif", VALUES)


@pytest.fixture(scope="module")
def potsdam(shared_data) -> tuple[Scene, np.ndarray, np.ndarray]:
    """The real scene of two tiles, its labels as polygons, and their classes."""
    folder = shared_data / "enmap_potsdam"
    scene = load_scene(f"{folder}/images/*.tif", ground_truth=f"{folder}/labels/*.tif")
    labels = known(scene.ground_truth).astype(np.int32)
    transform = rasterio.Affine(*known(scene.georeference).transform)
    found = list(features.shapes(labels, labels > 0, transform=transform))
    shapes = np.array([shapely.geometry.shape(shape) for shape, _ in found])
    return scene, shapes, np.array([value for _, value in found], dtype=np.int32)


@pytest.mark.parametrize(
    ("suffix", "crs"),
    [
        (suffix, crs)
        for suffix in DRIVERS
        for crs in ("EPSG:32633", "EPSG:4326")
        if (suffix, crs) != (".geojson", "EPSG:32633")  # is always in degrees
    ],
)
def test_real_labels_as_polygons_and_back(potsdam, tmp_path, suffix, crs, caplog):
    scene, shapes, ids = potsdam
    if crs == "EPSG:4326":
        shapes = shapely.transform(
            shapes, lambda xy: np.transpose(warp.transform("EPSG:32633", crs, *xy.T))
        )
    path = write_shapes(tmp_path / f"gt{suffix}", shapes, crs, name=NAMES[ids])
    with caplog.at_level(logging.INFO, "hsijax"):
        raster = load_ground_truth(str(path), scene)
    assert [c.name for c in raster.classes] == sorted(NAMES[1:])
    order = np.array([0, *(1 + np.argsort(np.argsort(NAMES[1:])))])
    labels = known(scene.ground_truth)
    np.testing.assert_array_equal(raster.values, order[labels])
    assert "gt" + suffix + ": the attribute 'name' has the classes" in caplog.text
    assert f"{len(ids)} polygons or points give 823 pixels their class" in caplog.text
    assert ("; reprojected from EPSG:4326" in caplog.text) == (crs == "EPSG:4326")


def test_info_and_split_on_a_shapefile_of_numbers(potsdam, tmp_path, shared_data):
    _, shapes, ids = potsdam
    tile = shared_data / "enmap_potsdam/images"
    path = write_shapes(tmp_path / "gt.shp", shapes, code=ids, other=NAMES[ids])
    result = info(tile, "--ground-truth", f"{path}:code", "--json")
    summary = json.loads(result.stdout)
    assert [c["pixels"] for c in summary["classes"]] == [63, 144, 424, 185, 7]
    assert summary["classes"][0]["name"] == "class 1"
    assert summary["files"][1]["key"] == "gt:code"
    # The classes are in the .dbf, so its bytes count too.
    before = summary["files"][1]["sha256"]
    write_shapes(path, shapes, code=ids % 5 + 1)
    again = info(tile, "--ground-truth", path, "--json")
    assert json.loads(again.stdout)["files"][1]["sha256"] != before


def test_a_pixel_is_of_the_polygon_that_holds_its_centre(cube, tmp_path):
    left, top = spot(2.45, 3.45)
    right, bottom = spot(4.55, 4.55)
    path = write_shapes(
        tmp_path / "a.gpkg",
        [shapely.box(left, bottom, right, top)],
        crop=np.array([7], np.int32),
    )
    expected = np.zeros((12, 10), int)
    expected[3:5, 2:5] = 7
    np.testing.assert_array_equal(labels_of(cube, path), expected)


def test_points_on_the_edges_of_the_scene(cube, tmp_path):
    points = [shapely.Point(spot(*xy)) for xy in ((0, 0), (3, 12), (10, 5), (9, 11))]
    ids = np.arange(1, 5).astype(np.int32)
    path = write_shapes(tmp_path / "a.gpkg", points, id=ids)
    found = labels_of(cube, path)
    assert {*zip(*np.nonzero(found), strict=True)} == {(0, 0), (11, 9)}


def test_overlaps_of_classes_have_no_label(cube, tmp_path, caplog):
    boxes = [
        pixels(slice(0, 4), slice(0, 4)),
        pixels(slice(2, 6), slice(2, 6)),  # overlaps the first in 4 pixels
        pixels(slice(0, 1), slice(0, 2)),  # and of the first one's class
        pixels(slice(3, 4), slice(3, 4)),  # the third class there
    ]
    ids = np.array([2, 1, 2, 5], np.int32)
    path = write_shapes(tmp_path / "a.gpkg", boxes, crop=ids)
    expected = np.zeros((12, 10), int)
    expected[:4, :4], expected[2:6, 2:6], expected[2:4, 2:4] = 2, 1, 0
    with caplog.at_level(logging.INFO, "hsijax"):
        np.testing.assert_array_equal(labels_of(cube, path), expected)
    assert "; 4 pixels lie in several of different classes and get none" in caplog.text
    assert "; no pixel has the class 5" in caplog.text


def test_points_holes_collections_and_what_cannot_be_used(cube, tmp_path, caplog):
    corner = shapely.Point(spot(9.01, 11.99))
    ring = pixels(slice(0, 3), slice(0, 3)) - pixels(slice(1, 2), slice(1, 2))
    far = shapely.Point(spot(500, 500))
    both = shapely.MultiPoint([spot(5.5, 5.5), spot(6.5, 6.5)])
    part = pixels(slice(8, 9), slice(8, 9))
    mixed = shapely.GeometryCollection([shapely.MultiPolygon([part]), corner])
    line = shapely.LineString([spot(0, 5), spot(9, 5)])
    bow = [spot(*xy) for xy in ((0, 6.2), (4, 9.8), (4, 6.2), (0, 9.8))]
    shapes = [mixed, ring, far, both, line, shapely.Polygon(bow), None, shapely.Point()]
    ids = np.arange(1, 9).astype(np.int32)
    path = write_shapes(tmp_path / "a.gpkg", [*shapes, ring], id=np.append(ids, 0))
    with caplog.at_level(logging.INFO, "hsijax"):
        found = labels_of(cube, path)
    expected = np.zeros((12, 10), int)
    expected[:3, :3], expected[1, 1] = 2, 0
    expected[11, 9] = expected[8, 8] = 1
    expected[5, 5] = expected[6, 6] = 4
    expected[7:9, [0, 3]] = 6  # two triangles: it crosses itself
    np.testing.assert_array_equal(found, expected)
    assert "4 polygons or points give" in caplog.text
    assert "; 4 have no class or no usable geometry; 1 lie outside" in caplog.text


def test_numbers_with_nulls_and_whole_real_numbers(cube, tmp_path):
    boxes = [pixels(slice(i, i + 1), slice(0, 5)) for i in range(3)]
    values = np.array([3.0, np.nan, 2.0])
    path = write_shapes(tmp_path / "a.gpkg", boxes, real=values)
    found = labels_of(cube, f"{path}:real")
    assert found[:, 0].tolist() == [3, 0, 2, *[0] * 9]
    with pytest.raises(HsijaxError, match=r"no attribute of whole numbers .*re"):
        labels_of(cube, path)  # areas are real numbers too: not taken unnamed
    path = write_shapes(tmp_path / "b.gpkg", boxes, real=values / 2)
    with pytest.raises(HsijaxError, match=r"'real' of .* holds 1\.5; classes are"):
        labels_of(cube, f"{path}:real")


def test_names_without_what_a_name_cannot_have(cube, tmp_path, caplog):
    boxes = [pixels(slice(i, i + 1), slice(0, 5)) for i in range(4)]
    names = np.array([" oak\x07 ", "oak", "", "x" * 999], dtype=object)
    path = write_shapes(tmp_path / "a.gpkg", boxes, crop=names)
    scene = load_scene(str(cube), ground_truth=str(path))
    assert [c.name for c in scene.classes] == ["oak", "x" * 80]
    assert scene.class_counts().tolist() == [10, 5]
    assert "some values of 'crop' differ only in spaces" in caplog.text


def test_layers(cube, tmp_path):
    box = [pixels(slice(0, 2), slice(0, 2))]
    for layer, number in (("old", 1), ("new", 2)):
        ids = np.array([number], np.int32)
        write_shapes(tmp_path / "a.gpkg", box, layer=layer, crop=ids, year=ids)
    assert labels_of(cube, f"{tmp_path}/a.gpkg:new:crop").max() == 2
    with pytest.raises(HsijaxError, match="the layers 'old', 'new': name one and its"):
        labels_of(cube, f"{tmp_path}/a.gpkg:crop")
    with pytest.raises(HsijaxError, match="layer 'old', has no attribute 'x'; it has:"):
        labels_of(cube, f"{tmp_path}/a.gpkg:old:x")


def test_a_table_of_styles_is_no_layer(cube, tmp_path):
    path = write_shapes(tmp_path / "a.gpkg", BOX, layer="fields", **ONE)
    styles = [np.array(["<qgis/>"], dtype=object)]
    raw.write(path, None, styles, ["style"], layer="layer_styles", append=True)
    assert labels_of(cube, path).sum() == 4


def test_polygons_in_all_the_world(cube, tmp_path):
    """Most lie where the scene's coordinate system ends."""
    west, north = warp.transform(
        "EPSG:32633", "EPSG:4326", *zip(spot(4.5, 6.5), strict=True)
    )
    degrees = [(lon, lat) for lon in range(-180, 181, 20) for lat in range(-90, 91, 15)]
    points = [shapely.Point(xy) for xy in [*degrees, (0, 1000), (west[0], north[0])]]
    ids = np.ones(len(points), np.int32)
    path = write_shapes(tmp_path / "a.geojson", points, "EPSG:4326", id=ids)
    assert np.argwhere(labels_of(cube, path)).tolist() == [[6, 4]]


@pytest.mark.parametrize(
    ("shapes", "columns", "key", "message"),
    [
        (
            BOX,
            ONE,
            ":kind",
            r"a\.gpkg has no attribute 'kind'; it has: 'crop' \(n",
        ),
        (BOX, {**ONE, "b": NAMES[1:2]}, "", r"several .*'crop' \(number\), 'b' \(text"),
        (BOX, {}, "", "no attribute of whole numbers or text .*; it has: none"),
        (BOX, {"crop": np.array([-1], np.int32)}, "", "holds -1; classes are whole"),
        (BOX, {"crop": np.array([70000], np.int32)}, "", "holds 70000; classes are"),
        (BOX, {"day": np.array(["2024-05-01"], "M8[D]")}, ":day", "neither whole num"),
        (
            [pixels(slice(50, 60), slice(0, 9))],
            ONE,
            "",
            "of the 1 polygons .* none l",
        ),
        (
            BOX,
            {"crop": np.array([0], np.int32)},
            "",
            "and has a class in 'crop'; 1 h",
        ),
        (
            BOX * 300,
            {"n": np.arange(1, 301)},
            "",
            "300 different values: more than",
        ),
        (BOX * 2, {"n": np.array([1, 2])}, "", "no pixel of .*cube.tif gets a label"),
    ],
)
def test_polygons_that_are_no_labels(cube, tmp_path, shapes, columns, key, message):
    path = write_shapes(tmp_path / "a.gpkg", shapes, **columns)
    with pytest.raises(HsijaxError, match=message):
        labels_of(cube, f"{path}{key}")


def test_a_coordinate_system_on_one_side_only(cube, tmp_path, recwarn):
    path = write_shapes(tmp_path / "a.shp", BOX, crs=None, **ONE)
    with pytest.raises(HsijaxError, match=r"a\.shp has no coordinate system and .*cu"):
        labels_of(cube, path)
    bare = write_geotiff(tmp_path / "bare.tif", VALUES, crs=None)
    assert labels_of(bare, path).sum() == 4  # neither has one: the numbers are compared
    write_shapes(tmp_path / "b.gpkg", BOX, **ONE)
    with pytest.raises(HsijaxError, match=r"bare\.tif has no coordinate system and"):
        labels_of(bare, tmp_path / "b.gpkg")
    np.save(tmp_path / "cube.npy", VALUES)
    with pytest.raises(HsijaxError, match=r"cannot be placed on .*cube\.npy, which"):
        labels_of(tmp_path / "cube.npy", path)


def test_polygons_are_no_scene_and_no_mask(tmp_path):
    path = str(write_shapes(tmp_path / "a.gpkg", BOX, **ONE))
    assert "holds polygons and no cube: give the" in info(path).stderr
    with pytest.raises(HsijaxError, match="which say nothing without the grid"):
        load_ground_truth(path)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.gpkg", "<OGRVRTDataSource><OGRVRTLayer/></OGRVRTDataSource>"),
        ("a.shp", "hello"),
        ("a.geojson", '{"type": "gdal_streamed_alg", "command_line": "gdal x"}'),
        ("a.fgb", "{}"),
    ],
)
def test_other_formats_under_these_names(cube, tmp_path, name, text):
    (tmp_path / name).write_text(text)
    with pytest.raises(HsijaxError, match=r"does not begin as a .* file does"):
        labels_of(cube, tmp_path / name)


@pytest.mark.parametrize("suffix", DRIVERS)
def test_damaged_files(cube, tmp_path, suffix):
    path = write_shapes(
        tmp_path / f"a{suffix}", BOX * 20, "EPSG:4326", **{"n": np.ones(20, int)}
    )
    path.write_bytes(path.read_bytes()[:600])
    with pytest.raises(HsijaxError) as found:
        labels_of(cube, path)
    assert "\n" not in str(found.value)
    with pytest.raises(HsijaxError, match=r"cannot read .*none.*: No such file"):
        labels_of(cube, tmp_path / f"none{suffix}")


def test_missing_pyogrio_is_said(cube, tmp_path, monkeypatch):
    path = write_shapes(tmp_path / "a.gpkg", BOX, **ONE)
    monkeypatch.setitem(sys.modules, "pyogrio", None)
    with pytest.raises(HsijaxError, match=r"pyogrio and shapely: pip install"):
        read_shapes(path)
