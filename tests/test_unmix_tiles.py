"""Unmixing of scenes larger than the memory for it."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from spectral.io import envi
from spectral.io.spyfile import SpyFile
from typer.testing import CliRunner

from hsijax.cli import app
from hsijax.experiments import unmix_tiles
from hsijax.experiments.tile_store import TileStore
from hsijax.scenes import load_scene
from hsijax.scenes.thinned import thin_scene
from hsijax.scenes.unmixing_scene import load_unmixing_scene

SMALL = "4.5M"  # the scene is 2.3 MB in float32


@pytest.fixture(scope="module")
def field(tmp_path_factory) -> Path:
    """A scene of 130 x 90 mixtures of three spectra, some pixels of it broken."""
    rng = np.random.default_rng(0)
    spectra = rng.random((3, 70))
    abundances = rng.dirichlet(np.ones(3), (130, 90))
    cube = (abundances @ spectra * 1000).astype(np.float32)
    cube[10:20, 70:80] = np.nan
    cube[100, 3] = 0
    folder = tmp_path_factory.mktemp("field")
    header = folder / "field.hdr"
    lines = ",".join(f"{400 + 10 * band}" for band in range(70))
    metadata = {"wavelength": lines.split(","), "wavelength units": "nm"}
    envi.save_image(str(header), cube, metadata=metadata, interleave="bil", ext="img")
    rows = zip(400 + 10 * np.arange(70), *spectra, strict=True)
    text = "wavelength,a,b,c\n" + "\n".join(",".join(map(str, row)) for row in rows)
    (folder / "library.csv").write_text(text)
    return header


def unmix(field: Path, out: Path, *options: str, code: int = 0):
    command = ["unmix", field, "--scale", "1000", "--quiet"]
    if "--model" not in options:
        command += ["--model", "fcls"]
    if "--endmembers" not in options:
        command += ["--endmembers", field.with_name("library.csv")]
    command = [str(word) for word in (*command, "--out", out, *options)]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == code, done.output
    return done


def read(folder: Path, name: str) -> np.ndarray:
    image = envi.open(folder / "maps" / f"{name}.hdr")
    assert isinstance(image, SpyFile)
    return np.asarray(image.open_memmap(interleave="bip"))


def rasters(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (folder / "maps").glob("*.img")}


@pytest.fixture(scope="module")
def tiled(field, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("tiled") / "run"
    done = unmix(field, folder, "--max-memory", SMALL)
    assert "one pixel in 3 x 3" in done.stdout
    return folder


def test_rasters_of_tiles_are_those_of_the_whole(field, tiled, tmp_path):
    unmix(field, tmp_path / "whole")
    names = {path.stem for path in (tiled / "maps").glob("*.img")}
    assert names == {"abundances", "uncertainty", "residuals"}
    for name in sorted(names):
        whole, found = read(tmp_path / "whole", name), read(tiled, name)
        assert found.shape == whole.shape == (130, 90, found.shape[2])
        np.testing.assert_allclose(found, whole, rtol=1e-4, atol=1e-7)
    abundances = read(tiled, "abundances")
    assert np.isnan(abundances).any(axis=2).sum() == 101
    assert not list((tiled / "maps").glob(".*"))


def test_metrics_say_what_they_are_of(tiled):
    metrics = json.loads((tiled / "metrics.json").read_text())
    assert (
        metrics["pixels"] == np.isfinite(read(tiled, "abundances")[::3, ::3, 0]).sum()
    )
    assert "one pixel in 3 x 3" in " ".join(metrics["notes"])
    scene = json.loads((tiled / "run.json").read_text())["scene"]
    assert (scene["shape"], scene["every"]) == ([130, 90, 70], 3)
    assert not (tiled / "maps" / "abundances.npz").exists()


def test_bytes_do_not_depend_on_the_tiles_and_a_kill_loses_nothing(
    field, tiled, tmp_path, monkeypatch
):
    monkeypatch.setattr(unmix_tiles, "resident_memory", lambda: 0)
    monkeypatch.setattr(unmix_tiles, "choose_side", lambda *_: 64)
    written = []
    write = TileStore.write

    def stop(self, tile, **arrays):
        if len(written) == 2:
            raise KeyboardInterrupt
        written.append(tile)
        write(self, tile, **arrays)

    with monkeypatch.context() as patch:
        patch.setattr(TileStore, "write", stop)
        done = unmix(field, tmp_path / "run", "--max-memory", SMALL, code=130)
    assert "--resume" in done.stderr
    kept = (tmp_path / "run" / "maps" / ".tiles" / "done.raw").read_bytes()
    assert sum(kept) == 2
    command = ["unmix", "--resume", str(tmp_path / "run"), "--max-memory", SMALL, "-q"]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    assert rasters(tmp_path / "run") == rasters(tiled)


def test_endmembers_are_found_in_the_thinned_scene(field, tmp_path):
    options = ("--endmembers", "vca", "--count", "3", "--max-memory", SMALL)
    unmix(field, tmp_path / "run", *options)
    cube = load_scene(str(field)).cube.load() / 1000
    with (tmp_path / "run" / "endmembers.csv").open(newline="") as stream:
        for found in csv.DictReader(line for line in stream if line[0] != "#"):
            place = int(found.pop("row")), int(found.pop("col"))
            del found["name"]
            spectrum = np.array(list(found.values()), float)
            np.testing.assert_allclose(cube[place], spectrum, rtol=1e-4)
    abundances = read(tmp_path / "run", "abundances")
    sums = abundances[np.isfinite(abundances).all(axis=2)].sum(axis=1)
    np.testing.assert_allclose(sums, 1, atol=1e-5)


@pytest.mark.parametrize("model", ["cube-cnn", "esvm"])
def test_networks_see_their_neighbours_in_tiles_too(
    field, tmp_path, model, monkeypatch
):
    options = ["--model", model, "--mixtures", "300"]
    options += [] if model == "esvm" else ["--epochs", "2", "--no-controls"]
    unmix(field, tmp_path / "whole", *options)
    whole = read(tmp_path / "whole", "abundances")
    found = []
    for side in (64, 128):
        monkeypatch.setattr(unmix_tiles, "choose_side", lambda *_, side=side: side)
        folder = tmp_path / f"tiles-{side}"
        unmix(field, folder, *options, "--max-memory", SMALL)
        found.append(rasters(folder))
        tiled = read(folder, "abundances")
        np.testing.assert_allclose(tiled, whole, rtol=1e-4, atol=1e-5)
        figures = json.loads((folder / "metrics.json").read_text())["reconstruction"]
        rmse = read(folder, "residuals")[::3, ::3, 0]
        rmse = np.sqrt(np.nanmean(rmse.astype(float) ** 2))
        assert figures["rmse"] == pytest.approx(rmse, rel=1e-5)
    assert found[0] == found[1]


def test_what_looks_for_endmembers_in_all_of_the_scene_is_refused(field, tmp_path):
    options = ["unmix", str(field), "--model", "edaa", "--max-memory", SMALL]
    done = CliRunner().invoke(app, [*options, "--out", str(tmp_path / "run")])
    assert done.exit_code == 2
    assert "for scenes that fit into memory" in done.stderr


def test_thinned_scene_is_every_nth_pixel(field):
    scene = load_scene(str(field))
    thinned = thin_scene(scene, 4)
    expected = scene.cube.load()[::4, ::4]
    assert thinned.shape == expected.shape
    np.testing.assert_array_equal(thinned.cube.load(), expected)
    part = slice(2, 9), slice(3, 20)
    np.testing.assert_array_equal(thinned.cube.read(*part), expected[part])
    data = load_unmixing_scene(str(field), scale=1000.0, most=400_000)
    assert data.every == 3
    assert 4 * data.cube.size <= 400_000
