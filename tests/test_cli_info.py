"""`hsijax info` as a person and as a script call it."""

import json

import numpy as np
import pytest
import scipy.io
from PIL import Image
from typer.testing import CliRunner

from hsijax.cli import app

CUBE = np.random.default_rng(0).integers(1, 9000, (4, 3, 6)).astype(np.int16)
RASTER = np.array([[0, 1, 1], [2, 2, 0], [0, 5, 5], [1, 1, 1]], dtype=np.uint8)


def run(*arguments):
    return CliRunner().invoke(app, ["info", *map(str, arguments)])


@pytest.fixture
def field(tmp_path):
    scipy.io.savemat(tmp_path / "field.mat", {"cube": CUBE, "gt": RASTER})
    return tmp_path / "field.mat"


def test_table(field):
    result = run(field)
    assert result.exit_code == 0
    for text in (
        "field: 4 rows x 3 columns x 6 bands, int16",
        f"values        {CUBE.min()} to {CUBE.max()}, whole numbers",
        "wavelengths   unknown",
        "bad bands     none marked",
        "no data       no value set",
        "georeference  none",
        f"cube          {field}:cube",
        f"ground truth  {field}:gt",
        "classes       3; 9 of 12 pixels labelled",
        "    1  class 1         5",
    ):
        assert text in result.stdout
    assert "warning: the values are whole numbers up to" in result.stderr
    assert "warning" not in result.stdout


def test_json_is_all_that_is_on_stdout(field, tmp_path):
    picture = tmp_path / "quick.png"
    result = run(field, "--json", "--quicklook", picture, "--nodata", "nan")
    summary = json.loads(result.stdout)
    assert (summary["rows"], summary["cols"], summary["bands"]) == (4, 3, 6)
    assert [c["pixels"] for c in summary["classes"]] == [5, 2, 2]
    assert summary["nodata"] == "nan"
    assert summary["files"][0]["key"] == "cube"
    assert len(summary["files"][0]["sha256"]) == 64
    with Image.open(picture) as image:
        assert image.size == (3, 4)


def test_options_reach_the_loader(tmp_path):
    scipy.io.savemat(tmp_path / "a.mat", {"a": CUBE, "b": CUBE[:, :, :2]})
    np.savez(tmp_path / "gt.npz", gt=RASTER, other=RASTER)
    result = run(tmp_path / "a.mat")
    assert result.exit_code == 1
    assert "name one with --cube-key" in result.stderr
    raster = f"{tmp_path}/gt.npz:other"
    result = run(tmp_path / "a.mat", "--cube-key", "b", "--ground-truth", raster)
    assert result.exit_code == 0
    assert "x 2 bands" in result.stdout
    assert "gt.npz:other" in result.stdout


def test_a_file_of_labels_only(tmp_path):
    np.save(tmp_path / "gt.npy", RASTER)
    result = run(tmp_path / "gt.npy")
    assert result.exit_code == 0
    assert "gt: a ground truth of 4 rows x 3 columns, without a cube" in result.stdout
    assert "warning: labels without a cube" in result.stderr


@pytest.mark.parametrize(
    ("name", "code", "message"),
    [
        ("salinsa", 2, "did you mean 'salinas'?"),
        ("none.mat", 2, "there is no file none.mat"),
        ("page.mat", 1, "page.mat is a web page, not data"),
    ],
)
def test_errors_are_one_line(tmp_path, monkeypatch, name, code, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "page.mat").write_text("<html></html>")
    result = run(name)
    assert result.exit_code == code
    assert result.stdout == ""
    assert result.stderr.startswith("error: ")
    assert message in result.stderr
    assert result.stderr.count("\n") == 1


def test_help_has_examples_on_lines_of_their_own():
    lines = [line.strip() for line in run("--help").stdout.splitlines()]
    assert "$ hsijax info indian-pines" in lines


def test_truncated_scene(shared_data):
    result = run(shared_data / "salinas/Salinas_corrected.TRUNCATED.mat")
    assert result.exit_code == 1
    assert "TRUNCATED.mat (1,097,728 bytes) is damaged" in result.stderr


def test_data_dir(shared_data, monkeypatch):
    monkeypatch.delenv("HSIJAX_DATA")
    result = run("salinas-a", "--data-dir", shared_data)
    assert f"{shared_data}/salinas_a/SalinasA_corrected.mat" in result.stdout


def test_real_scene(shared_data, tmp_path):
    picture = tmp_path / "pines.png"
    data = ("--data-dir", shared_data)
    result = run("indian-pines", *data, "--quicklook", picture)
    assert result.exit_code == 0
    assert "values        955 to 9604, whole numbers" in result.stdout
    assert "16; 10249 of 21025 pixels labelled" in result.stdout
    with Image.open(picture) as image:
        assert image.size == (145, 145)
