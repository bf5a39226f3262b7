"""Trainings to convergence: what the README promises of them."""

import json
import time
from importlib.util import find_spec

import pytest
from typer.testing import CliRunner

from hsijax.cli import app

pytestmark = pytest.mark.slow


def train(folder, *arguments: str) -> dict:
    common = ["train", "--dataset", "indian-pines", "--frac", "0.03", "--quiet"]
    done = CliRunner().invoke(app, [*common, "--out", str(folder), *arguments])
    assert done.exit_code == 0, done.stderr
    return json.loads((folder / "metrics.json").read_text())


@pytest.mark.skipif(not find_spec("tensorly"), reason="needs the extra samples")
def test_main_job_from_the_samples_package(tmp_path, monkeypatch):
    monkeypatch.delenv("HSIJAX_DATA", raising=False)
    start = time.perf_counter()
    metrics = train(tmp_path / "run")
    assert time.perf_counter() - start < 240  # it is 90 s on two quiet cores
    assert metrics["parameters"] == 80_208
    assert (metrics["split"]["n_train"], metrics["split"]["n_test"]) == (314, 9935)
    # Ten seeds: 96.97 ± 0.91, the least 94.54.
    assert metrics["oa"]["mean"] == pytest.approx(96.97, abs=3 * 0.91)
    assert metrics["aa"]["mean"] >= 92
    assert metrics["function_evaluations"]["train"]["mean"] == 4
    assert (tmp_path / "run" / "maps" / "indian-pines-map.png").exists()


@pytest.mark.parametrize(
    ("model", "parameters"), [("odenet", 232_080), ("resnet", 601_872)]
)
def test_paper_preset_lands_where_the_paper_does(tmp_path, model, parameters):
    metrics = train(tmp_path / "run", "--preset", "paper", "--model", model, "--no-map")
    assert metrics["parameters"] == parameters
    assert 60 < metrics["oa"]["mean"] < 90  # printed: 79.98 and 75.18
