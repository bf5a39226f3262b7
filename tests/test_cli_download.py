import hashlib
import json
from dataclasses import replace

import pytest
from loopback import run_loopback
from typer.testing import CliRunner

from hsijax.cli import app
from hsijax.scenes import catalogue, lookup

CONTENT = b"a cube, say"


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Run the command with two scenes in the catalogue, one of which can be had."""
    monkeypatch.delenv("HSIJAX_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(lookup, "SAMPLE_PACKAGES", {})
    with run_loopback() as server:
        file = replace(
            catalogue.CATALOGUE["salinas"].files[0],
            sha256=(hashlib.sha256(CONTENT).hexdigest(),),
            size=len(CONTENT),
            urls=(server.serve("/cube", "good", CONTENT),),
        )
        missing = replace(
            catalogue.CATALOGUE["ksc"].files[0], urls=(server.serve("/no", "missing"),)
        )
        scenes = {
            name: replace(catalogue.CATALOGUE[name], files=(known,))
            for name, known in (("salinas", file), ("ksc", missing))
        }
        monkeypatch.setattr(catalogue, "CATALOGUE", scenes)
        yield lambda *arguments: CliRunner().invoke(app, ["download", *arguments])


def test_download_prints_where_the_file_is(run, tmp_path):
    result = run("salinas", "--data-dir", str(tmp_path / "d"))
    path = tmp_path / "d" / "salinas" / "Salinas_corrected.mat"
    assert (result.exit_code, result.stdout) == (0, f"salinas cube: {path}\n")
    assert path.read_bytes() == CONTENT
    assert "download Salinas_corrected.mat 100% 0.0 of 0.0 MB" in result.stderr


def test_json_is_all_of_stdout(run):
    result = run("salinas", "--json")
    [scene] = json.loads(result.stdout)["scenes"]
    assert scene["name"] == "salinas"
    assert scene["error"] is None
    assert set(scene["files"]) == {"cube"}
    assert result.stderr == ""


def test_one_failure_does_not_stop_the_rest(run):
    result = run("ksc", "salinas")
    assert result.exit_code == 1
    assert "salinas cube: " in result.stdout
    errors = [row for row in result.stderr.splitlines() if row.startswith("error: ")]
    assert len(errors) == 1
    assert "HTTP 404" in errors[0]


def test_failure_in_json(run):
    result = run("--all", "--json")
    assert result.exit_code == 1
    scenes = {scene["name"]: scene for scene in json.loads(result.stdout)["scenes"]}
    assert "HTTP 404" in scenes["ksc"]["error"]
    assert scenes["salinas"]["error"] is None


def test_list_says_what_is_here(run, tmp_path):
    run("salinas")
    lines = run("--list").stdout.splitlines()
    assert lines[0].startswith("name ")
    rows = {line.split()[0]: line for line in lines[1:]}
    assert rows["salinas"].endswith(str(tmp_path / "cache/hsijax/scenes/salinas"))
    assert "512 x 217 x 204" in rows["salinas"]
    assert rows["ksc"].endswith("not here")
    listed = {
        row["name"]: row for row in json.loads(run("--list", "--json").stdout)["scenes"]
    }
    assert listed["ksc"]["files"] == {"cube": None}
    assert listed["salinas"]["files"]["cube"].endswith("Salinas_corrected.mat")
    assert listed["salinas"]["bytes"] == len(CONTENT)


@pytest.mark.parametrize(
    "arguments", [(), ("--all", "--list"), ("salinas", "--all"), ("salinas", "--list")]
)
def test_what_to_get_must_be_said_once(run, arguments):
    result = run(*arguments)
    assert result.exit_code == 2
    assert "name one or more scenes, or give --list, or --all" in result.stderr


def test_unknown_scene_has_a_suggestion(run):
    result = run("salinsa")
    assert result.exit_code == 2
    assert "did you mean 'salinas'?" in result.stderr


def test_data_dir_must_be_a_folder(run, tmp_path):
    (tmp_path / "file").touch()
    result = run("salinas", "--data-dir", str(tmp_path / "file"))
    assert result.exit_code == 2
    assert "is a file; give a folder" in result.stderr
