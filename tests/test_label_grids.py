"""Labels on other grids than the scene's, against sums of their own."""

import logging

import numpy as np
import pytest
from test_io_envi import write_envi
from test_io_geotiff_reader import info
from test_mosaic import SIDE, VALUES, known, place, spot, write_geotiff

from hsijax.errors import HsijaxError
from hsijax.io.cube import Georeference
from hsijax.io.grids import find_shift, same_crs
from hsijax.io.ground_truth import GroundTruthSizeError
from hsijax.scenes import load_scene

rasterio = pytest.importorskip("rasterio")
warp = pytest.importorskip("rasterio.warp")

LABELS = np.random.default_rng(2).integers(0, 5, (12, 10, 1)).astype(np.uint8)


@pytest.fixture
def cube(tmp_path) -> str:
    return str(write_geotiff(tmp_path / "cube.tif", VALUES))


def labels_of(cube: str, path) -> np.ndarray:
    return known(load_scene(cube, ground_truth=str(path)).ground_truth)


def test_the_same_grid_is_taken_as_it_is(cube, tmp_path, caplog):
    near = rasterio.Affine(SIDE, 0, 500_000.4, 0, -SIDE, 4_000_000.4)
    path = write_geotiff(tmp_path / "gt.tif", LABELS, transform=near)
    with caplog.at_level(logging.INFO, "hsijax"):
        np.testing.assert_array_equal(labels_of(cube, path), LABELS[:, :, 0])
    assert caplog.text == ""


@pytest.mark.parametrize(("row", "col"), [(2, -3), (-1.4, 1.3), (0.3, 0.0)])
def test_a_shifted_grid(cube, tmp_path, caplog, row, col):
    transform = place(row, col)
    path = write_geotiff(tmp_path / "gt.tif", LABELS, transform=transform)
    expected = np.zeros((12, 10), int)
    for i in range(12):
        for j in range(10):
            k, m = int(np.floor(i + 0.5 - row)), int(np.floor(j + 0.5 - col))
            if 0 <= k < 12 and 0 <= m < 10:
                expected[i, j] = LABELS[k, m, 0]
    with caplog.at_level(logging.INFO, "hsijax"):
        np.testing.assert_array_equal(labels_of(cube, path), expected)
    assert (
        "gt.tif is on another grid (another origin or direction): resampled by nearest "
        f"neighbour, which gives {np.count_nonzero(expected)} pixels of" in caplog.text
    )


def test_a_finer_grid(cube, tmp_path, caplog):
    fine = np.random.default_rng(3).integers(0, 9, (60, 50, 1)).astype(np.uint8)
    path = write_geotiff(tmp_path / "gt.tif", fine, transform=place(side=SIDE / 5))
    with caplog.at_level(logging.INFO, "hsijax"):
        found = labels_of(cube, path)
    np.testing.assert_array_equal(found, fine[2::5, 2::5, 0])
    assert "another grid (pixels of 4 x 4, not 20 x 20)" in caplog.text


def test_centres_on_an_edge_go_one_way(cube, tmp_path):
    fine = np.arange(24 * 20).reshape(24, 20, 1).astype(np.uint16) % 200
    path = write_geotiff(tmp_path / "gt.tif", fine, transform=place(side=SIDE / 2))
    np.testing.assert_array_equal(labels_of(cube, path), fine[1::2, 1::2, 0])


def test_a_coarser_and_larger_grid_in_blocks(cube, tmp_path, monkeypatch):
    coarse = np.arange(1, 101).reshape(10, 10, 1).astype(np.uint8)
    transform = place(-8, -4, side=4 * SIDE)
    path = write_geotiff(tmp_path / "gt.tif", coarse, transform=transform)
    monkeypatch.setattr("hsijax.scenes.label_grids.BLOCK_PIXELS", 35)
    rows, cols = (np.arange(12) + 8) // 4, (np.arange(10) + 4) // 4
    np.testing.assert_array_equal(labels_of(cube, path), coarse[rows][:, cols, 0])


def test_another_coordinate_system(cube, tmp_path, caplog):
    """Zone 32 and degrees, where each pixel is looked up by itself."""
    rng = np.random.default_rng(4)
    for crs, side in (("EPSG:32632", 7.0), ("EPSG:4326", 6e-5)):
        xs, ys = warp.transform("EPSG:32633", crs, [500_100], [3_999_880])
        x, y = xs[0] - 20 * side, ys[0] + 20 * side
        values = rng.integers(0, 7, (40, 40, 1)).astype(np.uint8)
        transform = rasterio.Affine(side, 0, x, 0, -side, y)
        path = write_geotiff(
            tmp_path / "gt.tif", values, transform=transform, crs=crs, nodata=6
        )
        values[values == 6] = 0
        expected = np.zeros((12, 10), int)
        for i in range(12):
            for j in range(10):
                east, north = spot(j + 0.5, i + 0.5)
                (u,), (v,) = warp.transform("EPSG:32633", crs, [east], [north])
                k, m = int((y - v) // side), int((u - x) // side)
                if 0 <= k < 40 and 0 <= m < 40:
                    expected[i, j] = values[k, m, 0]
        with caplog.at_level(logging.INFO, "hsijax"):
            np.testing.assert_array_equal(labels_of(cube, path), expected)
        assert 0 < np.count_nonzero(expected) < 120
        assert f"another grid ({crs}, not EPSG:32633)" in caplog.text


def test_only_classes_in_the_scene_remain(cube, tmp_path):
    labels = LABELS.copy()
    labels[:3] = 9
    path = write_geotiff(tmp_path / "gt.tif", labels, transform=place(-3, 0))
    scene = load_scene(cube, ground_truth=str(path))
    assert scene.class_ids.tolist() == [1, 2, 3, 4]


def test_real_labels_turned_to_degrees_and_back(shared_data, tmp_path):
    folder = shared_data / "enmap_potsdam"
    name = "enmap_potsdam_tile_128_0.tif"
    with rasterio.open(folder / "labels" / name) as dataset:
        labels = dataset.read(1).astype(np.uint8)
        a, _, c, _, e, f = tuple(dataset.transform)[:6]
        west, _, _, north = warp.transform_bounds(
            dataset.crs, "EPSG:4326", *dataset.bounds
        )
    turned = np.zeros((300, 500), np.uint8)
    transform = rasterio.Affine(3.5e-5, 0, west, 0, -3.5e-5, north)
    warp.reproject(
        np.kron(labels, np.ones((8, 8), np.uint8)),
        turned,
        src_transform=rasterio.Affine(a / 8, 0, c, 0, e / 8, f),
        src_crs="EPSG:32633",
        dst_transform=transform,
        dst_crs="EPSG:4326",
    )
    path = write_geotiff(
        tmp_path / "gt.tif", turned[..., None], crs="EPSG:4326", transform=transform
    )
    found = labels_of(str(folder / "images" / name), path)
    np.testing.assert_array_equal(found, labels)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"transform": place(100, 0)}, "do not overlap: they are rasters of different"),
        ({"crs": "EPSG:32618"}, r"do not overlap: .*\(EPSG:32618, EPSG:32633\)"),
        ({"crs": None}, r"gt\.tif has no coordinate system and .*cube\.tif has one"),
        ({"transform": place(-11, 0)}, r"no label of .*gt\.tif lies in .*cube\.tif"),
        (
            {"crs": 'LOCAL_CS["mine",UNIT["metre",1]]'},
            "cannot be placed on the",
        ),
    ],
)
def test_labels_that_cannot_be_placed(cube, tmp_path, more, message):
    labels = LABELS.copy()
    labels[11] = 0
    path = write_geotiff(tmp_path / "gt.tif", labels, **more)
    with pytest.raises(HsijaxError, match=message) as found:
        labels_of(cube, path)
    assert "\n" not in str(found.value)


def test_only_one_side_has_a_georeference(cube, tmp_path):
    write_envi(tmp_path / "gt.img", LABELS)
    write_envi(tmp_path / "bare.img", VALUES)
    placed = write_geotiff(tmp_path / "gt.tif", LABELS)
    with pytest.raises(HsijaxError, match=r"gt\.img has no georeference and .*cube"):
        labels_of(cube, tmp_path / "gt.img")
    with pytest.raises(HsijaxError, match=r"bare\.img has no georeference and .*gt\.t"):
        labels_of(f"{tmp_path}/bare.img", placed)
    # Formats that have none are taken pixel by pixel, on both sides.
    np.save(tmp_path / "cube.npy", VALUES)
    np.save(tmp_path / "gt.npy", LABELS[:, :, 0])
    for scene, labels in (
        (cube, tmp_path / "gt.npy"),
        (f"{tmp_path}/cube.npy", placed),
        (f"{tmp_path}/bare.img", tmp_path / "gt.img"),
    ):
        np.testing.assert_array_equal(labels_of(scene, labels), LABELS[:, :, 0])
    np.save(tmp_path / "gt.npy", LABELS[:11, :, 0])
    with pytest.raises(GroundTruthSizeError, match="11 x 10 pixels, but the cube is"):
        labels_of(cube, tmp_path / "gt.npy")


def test_envi_labels_have_a_place_too(cube, tmp_path):
    info = "{UTM, 1, 1, 500040, 3999980, 20, 20, 33, North, WGS-84, units=Meters}"
    write_envi(tmp_path / "gt.img", LABELS, map_info=info)
    expected = np.zeros((12, 10), int)
    expected[1:, 2:] = LABELS[:11, :8, 0]
    np.testing.assert_array_equal(labels_of(cube, tmp_path / "gt.img"), expected)


def test_info_says_what_was_done(cube, tmp_path):
    path = write_geotiff(tmp_path / "gt.tif", LABELS, transform=place(0, 1))
    result = info(cube, "--ground-truth", path)
    assert result.exit_code == 0
    assert result.stderr.count("resampled by nearest neighbour") == 1
    assert (
        f"; {np.count_nonzero(LABELS[:, :9])} of 120 pixels labelled" in result.stdout
    )


def test_grids():
    grid = Georeference("EPSG:32633", (2.0, 0.0, 10.0, 0.0, -2.0, 50.0))
    turned = Georeference("EPSG:32633", (0.0, 2.0, 10.0, -2.0, 0.0, 50.0))
    wider = Georeference("EPSG:32633", (2.01, 0.0, 10.0, 0.0, -2.0, 50.0))
    flat = Georeference("EPSG:32633", (0.0, 0.0, 10.0, 0.0, -2.0, 50.0))
    assert find_shift(grid, grid, (500, 500)) == (0, 0)
    assert find_shift(turned, turned, (9, 9)) == (0, 0)
    assert find_shift(turned, grid, (9, 9)) is None
    # Pixels that differ a little do so more the farther one goes.
    assert find_shift(wider, grid, (9, 9)) == (0, 0)
    assert find_shift(wider, grid, (9, 90)) is None
    assert find_shift(grid, flat, (9, 9)) is None
    text = rasterio.crs.CRS.from_epsg(32633).to_wkt()
    assert same_crs("EPSG:32633", text)
    assert not same_crs("EPSG:32634", text)
    assert not same_crs("nonsense", text)
