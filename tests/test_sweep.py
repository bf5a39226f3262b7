"""Sweeps: every value is tested on the same pixels, and simulated scenes say so."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pictures import assert_nothing_is_cut, mark, open_rgb, parse_colour
from typer.testing import CliRunner
from unmixing_scenes import write_jasper_crop

from hsijax.cli import app
from hsijax.config import UnmixConfig
from hsijax.experiments import sweep
from hsijax.experiments.unmix import prepare_unmixing
from hsijax.reports.drawing import STAMP


def run(*arguments: object):
    return CliRunner().invoke(app, ["sweep", *map(str, arguments)])


def read_rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "sweep.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def split_only(folder: Path, config: UnmixConfig, _) -> dict[str, Any]:
    """Stand for a whole run: the pixels are split, and nothing is trained."""
    manifest = prepare_unmixing(config, folder)[0].read_manifest()
    figures = {"sum": 0.1, "rms_aad": 0.1}
    column = {"mean": figures, "std": None, "values": [figures]}
    column |= manifest["splits"][0] | {"seconds": {"train": 0.0}}
    return {"scene": "crop", "simulated": "", "splits": {"blocks": column}}


def read_split(folder: Path) -> dict[str, np.ndarray]:
    with np.load(folder / "split.npz") as arrays:
        return {name: arrays[name] for name in arrays if "settings" not in name}


def test_all_sizes_of_a_patch_are_tested_on_the_same_pixels(
    shared_data, tmp_path, monkeypatch
):
    monkeypatch.setattr(sweep, "ensure_unmixing", split_only)
    scene = write_jasper_crop(shared_data, tmp_path / "crop")
    out = tmp_path / "sweep"
    options = ("--over", "patch", "--values", "1,7", "--split", "blocks")
    done = run(scene, "--model", "cube-cnn", *options, "--out", out, "-q")
    assert done.exit_code == 0, done.stderr
    small, large = read_split(out / "patch-1"), read_split(out / "patch-7")
    assert set(small) == set(large)
    for name in small:
        np.testing.assert_array_equal(small[name], large[name])
    column = json.loads((out / "patch-7" / "run.json").read_text())["splits"][0]
    assert column["leakage"]["test_patch_overlap"] == 0
    rows = read_rows(out)
    assert [row["n_test"] for row in rows] == [f"{column['n_test']:g}"] * 2
    assert [row["simulated"] for row in rows] == ["", ""]
    assert rows[0]["n_test"] in done.stdout


@pytest.mark.usefixtures("shared_data")
def test_simulated_scene_says_so_in_every_output(tmp_path):
    out = tmp_path / "sweep"
    options = ("--over", "lr", "--values", "1e-2", "--epochs", 1, "--model", "pca-net")
    done = run("simulated-mixtures", *options, "--out", out, "-q")
    assert done.exit_code == 0, done.stderr
    assert done.stdout.startswith("SIMULATED, no real scene: ")
    assert all("no real scene" in row["simulated"] for row in read_rows(out))
    one = out / "lr-0.01"
    figures = [out / "sweep.png"]
    figures += [one / "figures" / f"{name}.png" for name in ("endmembers", "training")]
    for figure in figures:
        image = open_rgb(figure)
        assert mark(image, parse_colour(STAMP)).any(), figure
    assert_nothing_is_cut(open_rgb(figures[0]))
    with np.load(one / "maps" / "abundances.npz") as arrays:
        assert arrays["notes"][0] == "simulated scene"
    assert "simulated scene" in (one / "endmembers.csv").read_text()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--over", "patch", "--model", "fcls"), "--model fcls has no patch"),
        (("--over", "patch", "--values", "1.5"), "are whole numbers"),
        (("--over", "depth"), "sweep"),
        (("--over", "lr", "--values", "a,b"), "separate them by commas"),
    ],
)
def test_mistakes(tmp_path, options, words):
    done = run("simulated-mixtures", *options, "--out", tmp_path / "sweep")
    assert done.exit_code == 2
    assert words in done.stderr
    assert not (tmp_path / "sweep").exists()
