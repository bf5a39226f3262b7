"""The page on scenes of one's own: its commands, and what GDAL reads of their maps."""

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

import numpy as np
import pytest
import rasterio
from examples import read_examples, run_example

PAGE = Path(__file__).parent.parent / "docs" / "own-scenes.md"
SHOWN = ("enmap_potsdam", "aviris_ng", "emit", "spectral_libraries")
AVIRIS = "ang20160910t185702_2rdn_img"
LAYERS = ("classes", "confidence")
NORTH, SOUTH = (f"enmap_potsdam_tile_128_{row}" for row in (0, 32))


class Page(NamedTuple):
    folder: Path  # in which the commands were run
    said: dict[str, str]  # by each of them


@pytest.fixture(scope="module")
def page(shared_data, tmp_path_factory) -> Iterator[Page]:
    """Run all commands of the page, in a folder with the files that it names."""
    folder = tmp_path_factory.mktemp("own")
    for name in SHOWN:
        (folder / name).symlink_to(shared_data / name)
    said = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("XDG_CACHE_HOME", os.environ.get("XDG_CACHE_HOME", str(folder)))
        for example in read_examples(PAGE):
            done = run_example(example)
            said[example] = f"{done.stdout}{done.stderr}"
            assert done.exit_code == 0, f"{example}\n{said[example]}"
        yield Page(folder, said)


def read_layers(path: Path) -> np.ndarray:
    with rasterio.open(path) as raster:
        return raster.read()


def place_of(path: Path) -> tuple:
    with rasterio.open(path) as raster:
        return raster.crs, raster.transform, raster.shape


def bounds_of(path: Path) -> tuple:
    with rasterio.open(path) as raster:
        return raster.bounds


def test_the_page_shows_each_command(page):
    shown = {example.split()[1] for example in page.said}
    assert shown == {"info", "split", "train", "map", "endmembers", "unmix"}
    used = " ".join(page.said)
    assert all(name in used for name in SHOWN)


def test_what_the_page_says_is_what_the_commands_say(page):
    said = list(page.said.values())
    assert "values / 10000" in said[0]
    assert "130-135" in said[0]
    assert re.search(r"class 5 +7\n", said[0])
    assert "no scale set" in said[1]
    assert re.search("georeference +none", said[2])
    trained = next(text for text in said if "test patches that overlap" in text)
    assert len(re.findall(r"test patches .* 0\.0 %", trained)) == 2
    other = next(text for text in said if "resampled from its 425 good ones" in text)
    assert "218 bands 0 are matched" in other
    assert "reflectance 1 is 10000 in the run's scene and unknown" in other


def test_class_map_lies_where_the_tiles_lie_and_has_its_legend(page):
    run = page.folder / "runs" / "potsdam"
    path = run / "maps" / "images-classes.tif"
    tiles = sorted((page.folder / "enmap_potsdam" / "images").glob("*.tif"))
    left, bottom, right, top = np.transpose([bounds_of(tile) for tile in tiles])
    classes = json.loads((run / "run.json").read_text())["classes"]
    with rasterio.open(path) as raster:
        assert raster.crs == place_of(tiles[0])[0] == "EPSG:32633"
        assert raster.bounds == (left.min(), bottom.min(), right.max(), top.max())
        assert (raster.shape, raster.res) == ((64, 32), (30, 30))
        assert (raster.dtypes, raster.nodata) == (("uint8",), 0)
        assert raster.block_shapes == [(256, 256)]
        assert raster.overviews(1) == []  # of a map of one tile there are none
        assert raster.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert raster.descriptions == ("class",)
        table, tags = raster.colormap(1), raster.tags(1)
    assert table[0][3] == 0
    for each in classes:
        assert table[each["id"]] == (*each["colour"], 255)
        assert tags[f"class_{each['id']}"] == each["name"]
    names = ElementTree.parse(f"{path}.aux.xml").iterfind(".//Category")
    assert [name.text for name in names] == ["no data", *(c["name"] for c in classes)]
    style = ElementTree.parse(path.with_suffix(".qml")).iterfind(".//paletteEntry")
    shown = [tuple(map(entry.get, ("value", "label", "color"))) for entry in style]
    assert shown == [
        (str(c["id"]), c["name"], "#{:02x}{:02x}{:02x}".format(*c["colour"]))
        for c in classes
    ]


def test_pixels_of_the_maps_are_the_predictions(page):
    run = page.folder / "runs" / "potsdam"
    found = np.load(run / "predictions.npz")
    rows, cols = found["run0_pixels"].T
    maps = [read_layers(run / "maps" / f"images-{n}.tif")[0] for n in LAYERS]
    assert len(rows) > 100
    assert np.array_equal(maps[0][rows, cols], found["run0_predicted"])
    assert np.array_equal(maps[1][rows, cols], found["run0_confidence"])
    assert len(np.unique(maps[0])) > 1


def test_confidence_is_a_named_layer_in_the_same_place(page):
    maps = page.folder / "runs" / "potsdam" / "maps"
    places = [place_of(maps / f"images-{name}.tif") for name in LAYERS]
    assert places[0] == places[1]
    with rasterio.open(maps / "images-confidence.tif") as raster:
        assert raster.descriptions == ("confidence",)
        assert raster.dtypes == ("float32",)
        assert np.isnan(raster.nodata)
        assert ((raster.read() > 0) & (raster.read() <= 1)).all()


def test_each_scene_of_a_transfer_has_its_map(page):
    run = page.folder / "runs" / "transfer"
    found = np.load(run / "predictions.npz")
    entries = json.loads((run / "run.json").read_text())["scenes"]
    assert [entry["name"] for entry in entries] == [NORTH, SOUTH]
    for entry in entries:
        tile = page.folder / "enmap_potsdam" / "images" / f"{entry['name']}.tif"
        assert place_of(run / "maps" / f"{entry['name']}-classes.tif") == place_of(tile)
    rows, cols = found["run0_pixels"].T
    first, last = entries[1]["rows"]
    assert ((rows >= first) & (rows < last)).all()
    classes = read_layers(run / "maps" / f"{SOUTH}-classes.tif")[0]
    assert np.array_equal(classes[rows - first, cols], found["run0_predicted"])


def test_map_of_another_sensor_lies_on_its_own_ground(page):
    scene = page.folder / "aviris_ng" / AVIRIS
    path = page.folder / "runs" / "potsdam" / "maps" / f"{AVIRIS}-classes.tif"
    assert place_of(path) == place_of(scene)
    assert place_of(path)[0] == "EPSG:32611"
    assert (read_layers(path) > 0).all()


@pytest.mark.parametrize(
    ("name", "tile", "count"),
    [
        ("potsdam", f"enmap_potsdam/images/{NORTH}.tif", 4),
        ("aviris", f"aviris_ng/{AVIRIS}", 3),
    ],
)
def test_abundances_lie_where_the_scene_lies(page, name, tile, count):
    run = page.folder / "runs" / f"{name}-fcls"
    crs, transform, _ = place_of(page.folder / tile)
    for layer in ("abundances", "uncertainty", "residuals"):
        assert place_of(run / "maps" / f"{layer}.tif")[:2] == (crs, transform)
    with rasterio.open(run / "maps" / "abundances.tif") as raster:
        assert raster.descriptions == tuple(
            f"endmember {number}" for number in range(1, count + 1)
        )
        assert set(raster.dtypes) == {"float32"}
        assert np.isnan(raster.nodatavals).all()
        layers = raster.read()
    known = np.load(run / "maps" / "abundances.npz")
    expected = known["abundances"].astype(np.float32)
    assert np.array_equal(np.moveaxis(layers, 0, 2), expected)
    assert (layers >= 0).all()
    assert np.allclose(layers.sum(axis=0), 1, atol=1e-6)
    style = (run / "maps" / "abundances.qml").read_text()
    assert "singlebandpseudocolor" in style


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_abundances_of_a_library_bear_its_names_also_without_a_map(page):
    path = page.folder / "runs" / "emit-fcls" / "maps" / "abundances.img"
    with rasterio.open(path) as raster:
        assert raster.driver == "ENVI"
        assert raster.crs is None
        assert raster.shape == (10, 10)
        assert raster.descriptions == ("SOIL", "PV", "NPV")
        assert np.allclose(raster.read().sum(axis=0), 1, atol=1e-6)
