"""The benchmarks work; what they measure is for a quiet machine."""

import importlib
import json
import subprocess
import sys
from argparse import Namespace
from pathlib import Path

import jax
import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
HELPERS = ("measure", "ours", "pytorch")
SCRIPTS = sorted(p for p in BENCHMARKS.glob("*.py") if p.stem not in HELPERS)


@pytest.fixture(scope="module")
def measure():
    sys.path.insert(0, str(BENCHMARKS))
    yield importlib.import_module("measure")
    sys.path.remove(str(BENCHMARKS))


def run(*arguments: str | Path) -> str:
    done = subprocess.run(
        [sys.executable, *map(str, arguments)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_opponents_take_turns(measure):
    order = []
    ticks = iter(range(100))
    cases = {name: lambda name=name: order.append(name) for name in "ab"}
    times = measure.interleave(cases, 3, clock=lambda: next(ticks))
    assert order == ["a", "b"] * 3
    assert times == {"a": [1, 1, 1], "b": [1, 1, 1]}


def test_a_summary_and_a_ratio_are_of_medians(measure):
    assert measure.summarise([0.001, 0.002, 0.003, 0.004, 0.1]) == {
        "median_ms": 3.0,
        "least_ms": 1.0,
        "first_quartile_ms": 2.0,
        "third_quartile_ms": 4.0,
    }
    assert measure.ratio([1.0, 3.0, 50.0], [2.0, 2.0, 0.1]) == 1.5


@pytest.mark.parametrize(
    ("platform", "kind", "slug"),
    [("cpu", "cpu", "cpu"), ("gpu", "NVIDIA H200", "nvidia-h200")],
)
def test_a_device_names_its_file(measure, monkeypatch, platform, kind, slug):
    device = Namespace(platform=platform, device_kind=kind)
    monkeypatch.setattr(jax, "devices", lambda: [device])
    assert measure.device_slug() == slug


def test_a_result_says_where_it_is_from(measure, tmp_path):
    options = Namespace(out=tmp_path / "new", rounds=7, quick=True)
    path = measure.write_results("x", ["jax"], {"side": 9}, [{"a": 1}], options, b=2)
    found = json.loads(path.read_text())
    assert path.parent == tmp_path / "new"
    assert found["versions"] == {"jax": jax.__version__}
    assert found["settings"] == {"side": 9, "rounds": 7, "quick": True}
    assert (found["rows"], found["b"]) == ([{"a": 1}], 2)


def test_a_quick_run_leaves_results_alone(measure, monkeypatch, tmp_path):
    monkeypatch.setattr(measure, "RESULTS", tmp_path)
    options = Namespace(out=None, rounds=1, quick=True)
    assert measure.write_results("x", ["jax"], {}, [], options) is None
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_help_of_a_script_says_how_to_run_it(measure, monkeypatch, capsys, script):
    if "torch" in script.read_text():
        pytest.importorskip("torchdiffeq", reason="the reference needs PyTorch")
    module = importlib.import_module(script.stem)
    monkeypatch.setattr(sys, "argv", [script.name, "--help"])
    with pytest.raises(SystemExit) as stopped:
        module.main()
    assert stopped.value.code == 0
    shown = capsys.readouterr().out
    assert f"python benchmarks/{script.name}" in shown
    assert f"results/{script.stem}-" in shown
    assert "--rounds" in shown
    assert f"| `{script.name}` |" in (BENCHMARKS / "README.md").read_text()


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux")
def test_a_scene_is_predicted_and_its_memory_measured():
    script = BENCHMARKS / "scene_prediction.py"
    shown = run(script, "--quick", "--bands", "3", "--child", "hsijax")
    found = json.loads(shown.splitlines()[-1])
    assert found["first_s"] > found["seconds"] > 0
    assert 0 < found["peak_above_start_mb"] < found["peak_above_scene_mb"]
