import json
import tomllib
from pathlib import Path

import pytest
from typer.testing import CliRunner

from hsijax import __version__
from hsijax.cli import app, doctor


@pytest.fixture(autouse=True)
def empty_cache(tmp_path, monkeypatch):
    monkeypatch.delenv("HSIJAX_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def run(*arguments):
    return CliRunner().invoke(app, ["doctor", *arguments])


def test_report_as_json(tmp_path):
    result = run("--json", "--data-dir", str(tmp_path))
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert report["hsijax"] == __version__
    assert set(report["versions"]) >= {"jax", "jaxlib", "flax", "optax", "diffrax"}
    assert all(report["versions"].values())
    assert report["devices"][0]["name"] == "cpu:0"
    assert report["folders"]["--data-dir"] == {
        "path": str(tmp_path),
        "exists": True,
        "bytes": 0,
    }
    assert report["folders"]["scene cache"]["exists"] is False
    assert report["scenes"]["salinas"] is False
    assert report["problems"] == []


def test_report_for_a_person():
    result = run()
    assert result.exit_code == 0
    for text in ("versions", "devices", "cpu:0", "scene cache", "extras", "salinas"):
        assert text in result.stdout


def test_scenes_that_are_here(shared_data):
    scenes = json.loads(run("--json", "--data-dir", str(shared_data)).stdout)["scenes"]
    assert scenes["indian-pines"]
    assert scenes["salinas-a"]
    assert not scenes["salinas"]


def test_missing_extra_has_its_install_line(monkeypatch):
    monkeypatch.setitem(doctor.EXTRAS, "geo", (("no_such_module",), "maps"))
    monkeypatch.setitem(doctor.EXTRAS, "zarr", (("json",), "patches"))
    extras = json.loads(run("--json").stdout)["extras"]
    assert extras["geo"] == {
        "installed": False,
        "adds": "maps",
        "install": "pip install 'hsijax[geo]'",
    }
    assert extras["zarr"]["installed"]
    assert "pip install 'hsijax[geo]'" in run().stdout


def test_extras_are_those_of_the_package():
    text = Path(__file__).parent.parent.joinpath("pyproject.toml").read_text()
    declared = tomllib.loads(text)["project"]["optional-dependencies"]
    for_developers = {"reference", "test", "dev"}
    assert set(doctor.EXTRAS) == set(declared) - for_developers


@pytest.mark.parametrize(
    ("module", "name", "problem"),
    [
        ("no_such_module", "no-such-package", "no-such-package is not installed"),
        ("no_such_module", "optax", "optax does not import: ModuleNotFoundError"),
    ],
)
def test_broken_core_exits_with_1(monkeypatch, module, name, problem):
    monkeypatch.setitem(doctor.CORE, module, name)
    result = run("--json")
    assert result.exit_code == 1
    assert any(row.startswith(problem) for row in json.loads(result.stdout)["problems"])
    assert f"error: {problem}" in result.stderr


def test_device_that_fails_is_a_problem_not_a_crash(monkeypatch):
    def fail():
        raise RuntimeError("driver too old")

    monkeypatch.setattr("hsijax.devices.list_devices", fail)
    result = run("--json")
    assert result.exit_code == 1
    problems = json.loads(result.stdout)["problems"]
    assert problems == ["devices: RuntimeError: driver too old"]


def test_nvidia_smi_is_asked(tmp_path, monkeypatch):
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\necho 'NVIDIA H200, 570.86'\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert json.loads(run("--json").stdout)["driver"] == "NVIDIA H200, 570.86"
