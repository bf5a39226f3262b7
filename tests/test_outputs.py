"""A real scene with a place, from training to rasters that other programs open."""

import json
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from spectral.io import envi
from spectral.io.spyfile import SpyFile
from typer.testing import CliRunner

from hsijax.cli import app
from hsijax.runs import Run

rasterio = pytest.importorskip("rasterio")

TILE = "enmap_potsdam_tile_128_0.tif"


def invoke(*arguments: object) -> dict:
    done = CliRunner().invoke(app, [*map(str, arguments), "--json", "--quiet"])
    assert done.exit_code == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def run(shared_data, tmp_path_factory) -> Run:
    """An EnMAP tile of Potsdam, trained for an epoch."""
    folder = tmp_path_factory.mktemp("potsdam") / "run"
    data = shared_data / "enmap_potsdam"
    invoke(
        *("train", "--dataset", data / "images" / TILE, "--out", folder, "--no-map"),
        *("--ground-truth", data / "labels" / TILE, "--frac", "0.2", "--epochs", "1"),
        *("--model", "no-block", "--patch", "3", "--diffuse", "none", "--components"),
        "pca",
    )
    return Run(folder)


def rasters(run: Run, *options: str) -> list[Path]:
    files = [Path(name) for name in invoke("map", run.folder, *options)["files"]]
    return [path for path in files if path.suffix != ".png"]


@pytest.fixture(scope="module")
def mapped(run) -> list[Path]:
    return rasters(run)


def test_map_as_geotiff(run, mapped, shared_data):
    classes, confidence = mapped
    tile = rasterio.open(shared_data / "enmap_potsdam" / "images" / TILE)
    found = run.read_predictions()
    rows, cols = found["run0_pixels"].T
    legend = {row["id"]: row["name"] for row in run.read_manifest()["classes"]}
    with tile, rasterio.open(classes) as dataset:
        assert (dataset.crs, dataset.transform) == (tile.crs, tile.transform)
        assert dataset.shape == tile.shape
        assert dataset.nodata == 0
        assert dataset.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert dataset.tags(1) == {f"class_{i}": name for i, name in legend.items()}
        values = dataset.read(1)
        colours = dataset.colormap(1)
    np.testing.assert_array_equal(values[rows, cols], found["run0_predicted"])
    names = ElementTree.parse(f"{classes}.aux.xml").iter("Category")
    listed = {i: category.text for i, category in enumerate(names) if category.text}
    assert listed == {0: "no data"} | legend
    entries = ElementTree.parse(classes.with_suffix(".qml")).iter("paletteEntry")
    shown = {int(e.get("value", "")): (e.get("label"), e.get("color")) for e in entries}
    assert shown == {
        value: (name, "#{:02x}{:02x}{:02x}".format(*colours[value]))
        for value, name in legend.items()
    }
    with tile, rasterio.open(confidence) as dataset:
        assert (dataset.crs, dataset.transform) == (tile.crs, tile.transform)
        assert dataset.descriptions == ("confidence",)
        assert np.isnan(dataset.nodata)
        values = dataset.read(1)
    np.testing.assert_allclose(values[rows, cols], found["run0_confidence"], atol=1e-6)


def test_map_as_envi_is_the_same_map(run, mapped):
    for path, other in zip(mapped, rasters(run, "--format", "envi"), strict=True):
        assert (path.suffix, other.suffix) == (".tif", ".img")
        image = envi.open(str(other.with_suffix(".hdr")))
        assert isinstance(image, SpyFile)
        with rasterio.open(path) as ours, rasterio.open(other) as theirs:
            assert ours.crs == theirs.crs
            assert ours.transform.almost_equals(theirs.transform)
            values = ours.read(1)
            np.testing.assert_array_equal(theirs.read(1), values)
        np.testing.assert_array_equal(np.asarray(image.load())[..., 0], values)


def test_rejected_pixels_are_no_data(run, mapped):
    with rasterio.open(mapped[1]) as dataset:
        confidence = dataset.read(1)
    threshold = f"{np.median(confidence):.3f}"
    with rasterio.open(rasters(run, "--reject", threshold)[0]) as dataset:
        masked = dataset.read_masks(1) == 0
    np.testing.assert_array_equal(masked, confidence < float(threshold))


def test_unknown_format_is_refused_at_once(run):
    for command in (["map"], ["unmix", "--model", "fcls"]):
        arguments = [*command, str(run.folder), "--format", "tiff"]
        done = CliRunner().invoke(app, arguments)
        assert done.exit_code == 2
        assert "'tiff'; did you mean 'geotiff'?" in done.stderr.replace("\n", " ")
