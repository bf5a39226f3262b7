"""`hsijax endmembers`: the files it writes, what it prints, what it refuses."""

import json

import numpy as np
import pytest
from pictures import assert_nothing_is_cut, mark, open_rgb, parse_colour
from typer.testing import CliRunner

from hsijax.cli import app
from hsijax.io.spectral_library import read_library
from hsijax.reports.drawing import STAMP

PURE = [(0, 3), (4, 7), (9, 1)]


def run(*arguments):
    return CliRunner().invoke(app, ["endmembers", *map(str, arguments)])


@pytest.fixture
def scene(tmp_path):
    """Write a cube of whole numbers with three pure pixels."""
    rng = np.random.default_rng(0)
    abundances = 0.9 * rng.dirichlet(np.ones(3), (10, 10)) + 0.1 / 3
    for number, (row, col) in enumerate(PURE):
        abundances[row, col] = np.eye(3)[number]
    cube = np.round(10_000 * abundances @ rng.uniform(0.1, 0.9, (3, 12)))
    np.save(tmp_path / "field.npy", cube.astype(np.int16))
    return tmp_path / "field.npy"


def test_files_and_output(scene, tmp_path):
    out = tmp_path / "found"
    options = (scene, "--scale", 10_000, "--count", 3, "--out", out)
    done = run(*options)
    assert done.exit_code == 0, done.stderr
    assert "3 endmembers by vca among 100 pixels" in done.stdout
    names = {path.name for path in out.iterdir()}
    assert names == {f"endmembers.{end}" for end in ("csv", "sli", "hdr", "png")}
    cube = np.load(scene)
    for name in ("endmembers.csv", "endmembers.sli"):
        library = read_library(out / name)
        assert library.pixels is not None
        places = [tuple(pixel) for pixel in library.pixels.tolist()]
        assert sorted(places) == PURE
        expected = [cube[place] / 10_000 for place in places]
        np.testing.assert_allclose(library.spectra, expected, rtol=1e-6)
        for row, col in places:
            assert f"{row:>7}{col:>7}" in done.stdout
    again = run(*options)
    assert again.exit_code == 2
    assert "endmembers.csv exists" in again.stderr
    written = (out / "endmembers.csv").read_bytes()
    assert run(*options, "--overwrite").exit_code == 0
    assert (out / "endmembers.csv").read_bytes() == written


def test_auto_shows_both_estimates(scene, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    options = (scene, "--scale", 10_000)
    done = run(*options)
    assert done.exit_code == 0, done.stderr
    assert "HySime estimates 3 endmembers, which counts" in done.stdout
    assert "at 0.001," in done.stdout
    first = tmp_path / "endmembers" / "field-vca-1"
    assert (first / "endmembers.csv").exists()
    report = json.loads(run(*options, "--json", "-q").stdout)
    assert report["hysime"] == report["count"] == len(report["endmembers"]) == 3
    assert list(report["hfc"]) == ["0.001", "0.0001", "1e-05"]
    assert report["out"] == "endmembers/field-vca-2"


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (["--method", "vcaa"], 2, "did you mean 'vca'?"),
        (["--count", "many"], 2, "--count must be a number or auto, not 'many'"),
        (["--count", "1"], 2, "--count"),
        (["--count", "13"], 2, "only 12 bands"),
    ],
)
def test_mistakes(scene, tmp_path, options, code, words):
    out = tmp_path / "none"
    done = run(scene, *options, "--scale", 10_000, "--out", out)
    assert done.exit_code == code
    assert words in done.stderr
    assert done.stdout == ""
    assert not out.exists()


def test_angles_to_the_reference(shared_data, tmp_path):
    out = tmp_path / "jasper"
    options = ("--method", "spa", "--count", 4, "--data-dir", shared_data, "--json")
    done = run("jasper-ridge", *options, "--out", out)
    assert done.exit_code == 0, done.stderr
    rows = json.loads(done.stdout)["endmembers"]
    assert [row["reference"] for row in rows] == ["tree", "water", "dirt", "road"]
    assert all(0 < row["angle"] < 1 for row in rows)
    assert [row["angle"] < 0.2 for row in rows] == [True, False, True, True]


@pytest.mark.usefixtures("shared_data")
def test_simulated_scene_says_so_everywhere(tmp_path):
    """Warnings are errors: the sentence has lines of its own, in the figure too."""
    done = run("simulated-mixtures", "--count", 4, "--out", tmp_path / "em", "-q")
    assert done.exit_code == 0, done.stderr
    first, second = done.stdout.splitlines()[:2]
    assert first == "simulated-mixtures: 4 endmembers by vca among 6400 pixels"
    assert second.startswith("SIMULATED, no real scene: ")
    for name in ("endmembers.csv", "endmembers.hdr"):
        assert "no real scene" in (tmp_path / "em" / name).read_text()
    assert read_library(tmp_path / "em" / "endmembers.csv").spectra.shape[0] == 4
    image = open_rgb(tmp_path / "em" / "endmembers.png")
    assert_nothing_is_cut(image)
    assert mark(image, parse_colour(STAMP)).any()
