"""Tiles as one scene: real EnMAP tiles, gaps, overlaps, and tiles that do not fit."""

import logging
import shutil
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest
from test_io_geotiff_reader import write_tif
from typer.testing import CliRunner

from hsijax.cli import app
from hsijax.config import TrainConfig, UnmixConfig
from hsijax.errors import HsijaxError, UsageError
from hsijax.experiments import task, unmix_task
from hsijax.io import read_cube
from hsijax.scenes import load_ground_truth, load_scene
from hsijax.scenes.mosaic import open_source
from hsijax.scenes.sources import list_tiles, name_source, to_absolute

rasterio = pytest.importorskip("rasterio")

VALUES = np.random.default_rng(1).integers(1, 9000, (12, 10, 3)).astype(np.int16)
T = TypeVar("T")
ORIGIN = (500_000.0, 4_000_000.0)
SIDE = 20.0


def known(value: T | None) -> T:
    assert value is not None
    return value


def spot(col: float, row: float) -> tuple[float, float]:
    """Return x and y of a place in the grid."""
    return ORIGIN[0] + col * SIDE, ORIGIN[1] - row * SIDE


def place(row: float = 0, col: float = 0, side: float = SIDE):
    x, y = spot(col, row)
    return rasterio.Affine(side, 0, x, 0, -side, y)


def write_tile(
    path: Path, rows: slice, cols: slice, values: np.ndarray = VALUES, **more: Any
) -> Path:
    """Write a window of the values to its place."""
    corner = place(rows.start, cols.start)
    return write_geotiff(path, values[rows, cols], transform=corner, **more)


def write_geotiff(path: Path, values: np.ndarray, tags=(), **more: Any) -> Path:
    rows, cols, bands = values.shape
    profile = {"height": rows, "width": cols, "count": bands, "dtype": values.dtype}
    profile |= {"crs": "EPSG:32633", "transform": place()} | more
    path.parent.mkdir(exist_ok=True)
    with rasterio.open(path, "w", driver="GTiff", **profile) as dataset:
        dataset.write(np.moveaxis(values, 2, 0))
        for band, row in enumerate(tags, 1):
            dataset.update_tags(band, **row)
    return path


@pytest.fixture
def quarters(tmp_path) -> Path:
    """Four tiles of unequal size, named in no order of their places."""
    folder = tmp_path / "field"
    write_tile(folder / "a.tif", slice(7, 12), slice(0, 4))
    write_tile(folder / "b.tif", slice(0, 7), slice(4, 10))
    write_tile(folder / "c.tif", slice(0, 7), slice(0, 4))
    write_tile(folder / "d.TIF", slice(7, 12), slice(4, 10))
    return folder


def test_enmap_tiles(shared_data, caplog):
    folder = shared_data / "enmap_potsdam"
    names = [f"enmap_potsdam_tile_128_{number}.tif" for number in (0, 32)]
    parts = [read_cube(folder / "images" / name) for name in names]
    with caplog.at_level(logging.INFO, "hsijax"):
        scene = load_scene(
            str(folder / "images"), ground_truth=f"{folder}/labels/enmap*.tif"
        )
    assert "images: 2 tiles as one raster of 64 x 32 pixels\n" in caplog.text
    assert (scene.name, scene.shape) == ("images", (64, 32, 224))
    whole = scene.cube.load()
    np.testing.assert_array_equal(whole[:32], parts[0].cube.load())
    np.testing.assert_array_equal(whole[32:], parts[1].cube.load())
    window = scene.cube.read(slice(30, 35), slice(7, 9))
    np.testing.assert_array_equal(window, whole[30:35, 7:9])
    assert known(scene.wavelengths)[[0, -1]].tolist() == [418.24, 2445.53]
    assert np.flatnonzero(~scene.good_bands).tolist() == [*range(129, 135)]
    assert (scene.nodata, scene.scale) == (-32768, 10_000)
    assert scene.georeference == parts[0].georeference
    labels = [load_ground_truth(f"{folder}/labels/{name}").values for name in names]
    np.testing.assert_array_equal(known(scene.ground_truth), np.concatenate(labels))
    assert scene.class_counts().tolist() == [63, 144, 424, 185, 7]


def test_tiles_in_any_order(quarters):
    scene = load_scene(str(quarters))
    assert scene.name == "field"
    np.testing.assert_array_equal(scene.cube.load(), VALUES)
    for rows, cols in ((slice(5, 9), slice(3, 6)), (slice(8, 9), slice(9, 10))):
        np.testing.assert_array_equal(scene.cube.read(rows, cols), VALUES[rows, cols])
    assert scene.cube.dtype == np.int16
    assert scene.nodata is None
    bands = (
        open_source(quarters).variables[0].read(slice(6, 8), slice(2, 5), slice(1, 2))
    )
    np.testing.assert_array_equal(bands, VALUES[6:8, 2:5, 1:2])


def test_a_window_opens_only_the_tiles_it_touches(quarters):
    scene = load_scene(str(quarters))
    (quarters / "a.tif").unlink()
    window = scene.cube.read(slice(0, 7), slice(2, 6))
    np.testing.assert_array_equal(window, VALUES[:7, 2:6])
    with pytest.raises(HsijaxError, match=r"a\.tif"):
        scene.cube.read(slice(6, 8), slice(2, 6))


def test_gaps_have_no_data(quarters, caplog):
    (quarters / "b.tif").unlink()
    expected = VALUES.copy()
    expected[:7, 4:] = 0
    with caplog.at_level(logging.INFO, "hsijax"):
        scene = load_scene(str(quarters))
    assert "; 42 pixels lie in no tile and hold no data\n" in caplog.text
    assert "0 in all bands is no data, as in pixels of no tile" in caplog.text
    np.testing.assert_array_equal(scene.cube.load(), expected)
    assert scene.nodata == 0
    np.testing.assert_array_equal(scene.load()[1], expected.any(axis=2))
    named = load_scene(str(quarters), nodata=-7.0)
    assert named.nodata == -7
    np.testing.assert_array_equal(named.cube.load()[:7, 4:], -7)
    with pytest.raises(HsijaxError, match=r"cannot hold the no-data value 70000, "):
        load_scene(str(quarters), nodata=70_000.0)


@pytest.mark.parametrize("nodata", [None, -1.5])
def test_gaps_of_real_numbers(tmp_path, nodata):
    values = VALUES.astype(np.float32)
    write_tile(tmp_path / "a.tif", slice(0, 3), slice(0, 4), values, nodata=nodata)
    write_tile(tmp_path / "b.tif", slice(3, 6), slice(4, 8), values, nodata=nodata)
    scene = load_scene(f"{tmp_path}/[ab].tif")
    expected = np.nan if nodata is None else nodata
    np.testing.assert_array_equal(scene.nodata, expected)
    np.testing.assert_array_equal(scene.cube.load()[:3, 4:], expected)
    assert scene.load()[1].sum() == 24


def test_the_first_tile_by_name_wins_where_it_has_data(tmp_path, caplog):
    first, second = VALUES.copy(), VALUES + 1
    first[4, 3] = -99
    first[4, 4, 0] = -99  # in one band only, which is data
    write_tile(tmp_path / "b.tif", slice(3, 9), slice(2, 10), second, nodata=-99)
    write_tile(tmp_path / "a.tif", slice(0, 5), slice(0, 6), first, nodata=-99)
    with caplog.at_level(logging.INFO, "hsijax"):
        cube = load_scene(f"{tmp_path}/*.tif").cube.load()
    assert "; 8 pixels lie in several, of which the first by name counts" in caplog.text
    expected = np.full((9, 10, 3), -99)
    expected[3:9, 2:10] = second[3:9, 2:10]
    expected[0:5, 0:6] = first[0:5, 0:6]
    expected[4, 3] = second[4, 3]
    np.testing.assert_array_equal(cube, expected)


def test_labels_in_tiles(tmp_path, quarters):
    labels = (np.arange(120).reshape(12, 10, 1) % 4).astype(np.uint8)
    folder = tmp_path / "labels"
    # They overlap, and the first has no label where the second has one.
    hole = labels.copy()
    hole[5:7] = 0
    tags = [{"class_1": "oak", "class_3": "ash"}]
    write_tile(folder / "1.tif", slice(0, 7), slice(0, 10), hole, tags=tags)
    write_tile(folder / "2.tif", slice(5, 12), slice(0, 10), labels)
    scene = load_scene(str(quarters), ground_truth=str(folder))
    np.testing.assert_array_equal(known(scene.ground_truth), labels[:, :, 0])
    assert [c.name for c in scene.classes] == ["oak", "class 2", "ash"]
    info = CliRunner().invoke(app, ["info", f"{folder}/*.tif"])
    assert "labels: a ground truth of 12 rows x 10 columns" in info.stdout
    (folder / "2.tif").unlink()  # one tile that fits the pattern is a file
    alone = load_scene(str(quarters), ground_truth=f"{folder}/*.tif")
    assert known(alone.ground_truth_source).path == folder / "1.tif"


WAVES = [{"wavelength": str(w), "wavelength_units": "nm"} for w in (400, 500, 600)]
SHIFTED = [*WAVES[:2], {"wavelength": "601", "wavelength_units": "nm"}]


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"crs": "EPSG:32634"}, "systems are EPSG:32634 and EPSG:32633"),
        ({"crs": None}, "systems are none and EPSG:32633"),
        ({"transform": place(0, 10, 10)}, "pixels measure 10 x 10 and 20 x 20"),
        ({"transform": place(0, 10.5)}, "are not whole pixels of 20 x 20 apart"),
        (
            {"values": VALUES[:, :, :2], "tags": WAVES[:2]},
            "bands are 2 and 3",
        ),
        ({"values": VALUES.astype(np.uint16)}, "types are uint16 and int16"),
        ({"nodata": -5}, r"no-data values are -5\.0 and None"),
        ({"tags": SHIFTED}, r"their wavelengths of band 3 are 601 and 600 nm"),
        ({"tags": ()}, "only one of them has wavelengths"),
    ],
)
def test_tiles_that_do_not_fit(tmp_path, other, message):
    write_geotiff(tmp_path / "a.tif", VALUES, WAVES)
    other = {"values": VALUES, "tags": WAVES, "transform": place(0, 10)} | other
    write_geotiff(tmp_path / "b.tif", **other)
    both = r"b\.tif and .*a\.tif are not tiles of one scene: their "
    with pytest.raises(HsijaxError, match=f"{both}.*{message}|{both[:-8]}: {message}"):
        load_scene(str(tmp_path))


def test_rounded_places_are_one_grid(tmp_path):
    write_geotiff(tmp_path / "a.tif", VALUES)
    near = rasterio.Affine(20.000001, 0, ORIGIN[0] + 200.3, 0, -20, ORIGIN[1] - 0.2)
    write_geotiff(tmp_path / "b.tif", VALUES, transform=near)
    cube = load_scene(str(tmp_path)).cube.load()
    np.testing.assert_array_equal(cube, np.concatenate([VALUES, VALUES], axis=1))


def test_a_tile_without_georeference(tmp_path):
    write_geotiff(tmp_path / "a.tif", VALUES)
    bare = tmp_path / "b.tif"
    profile = {"height": 12, "width": 10, "count": 3, "dtype": "int16"}
    with (
        pytest.warns(rasterio.errors.NotGeoreferencedWarning),
        rasterio.open(bare, "w", driver="GTiff", **profile) as dataset,
    ):
        dataset.write(np.moveaxis(VALUES, 2, 0))
    with pytest.raises(HsijaxError, match=r"b\.tif has no georeference, so that its"):
        load_scene(str(tmp_path))


def test_a_truncated_tile(quarters):
    whole = (quarters / "c.tif").read_bytes()
    (quarters / "c.tif").write_bytes(whole[:-90])
    scene = load_scene(str(quarters))
    with pytest.raises(HsijaxError, match=r"c\.tif .* is damaged, cut short"):
        scene.load()
    (quarters / "c.tif").write_bytes(whole[:60])
    with pytest.raises(HsijaxError, match=r"c\.tif \(60 bytes\) is damaged, cut short"):
        load_scene(str(quarters))


def test_nothing_fits(tmp_path):
    with pytest.raises(UsageError, match=r"no file fits the pattern .*none\*\.tif"):
        load_scene(f"{tmp_path}/none*.tif")
    with pytest.raises(HsijaxError, match=r"there is no GeoTIFF .* in the folder"):
        load_scene(str(tmp_path))
    # A name with a bracket is a file where there is one.
    write_tif(tmp_path / "a[1].tif")
    assert load_scene(f"{tmp_path}/a[1].tif").name == "a[1]"
    assert list_tiles(tmp_path / "a[1].tif") == []


def test_the_hash_is_that_of_all_tiles(quarters, tmp_path):
    digest = load_scene(str(quarters)).source.sha256
    shutil.copytree(quarters, tmp_path / "other")
    assert load_scene(f"{tmp_path}/other/*.[tT][iI][fF]").source.sha256 == digest
    write_tile(tmp_path / "other/b.tif", slice(0, 7), slice(4, 10), VALUES + 1)
    assert load_scene(f"{tmp_path}/other").source.sha256 != digest


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("a/enmap_tile_*.tif", "enmap_tile"),
        ("a/s?ene[0-9].tif", "s-ene"),
        ("field 1/**/*.tif", "field-1"),
        ("plain.v2.hdr", "plain.v2"),
    ],
)
def test_names_are_safe_for_files(path, name):
    assert name_source(Path(path)) == name


def test_paths_are_found_from_any_folder(quarters, tmp_path, monkeypatch):
    odd = tmp_path / "[1]"
    shutil.move(quarters, odd / "field")
    monkeypatch.chdir(odd)
    pattern = to_absolute("field/*.tif")
    trained = task.with_absolute_paths(TrainConfig("field", ground_truth="field/?.tif"))
    unmixed = unmix_task.with_absolute_paths(UnmixConfig("field/*.tif"))
    monkeypatch.chdir(tmp_path)
    assert unmixed.scene == pattern
    assert len(list_tiles(Path(pattern))) == 3
    assert trained.dataset == str(odd / "field")
    assert len(list_tiles(Path(str(trained.ground_truth)))) == 3
