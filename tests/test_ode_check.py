"""`evaluate --ode-check`: finer solvers on a run's own networks and test pixels."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from classification_scenes import write_salinas_crop
from typer.testing import CliRunner

from hsijax.classification.network import TrainedNetwork
from hsijax.classification.trained import TrainedClassifier
from hsijax.cli import app
from hsijax.config import OdeSolver
from hsijax.experiments import ode_check, solver_scores
from hsijax.experiments.ode_check import check_ode, refine, table_rows
from hsijax.experiments.task import Task, reload_task
from hsijax.reports.tables import leakage_note
from hsijax.runs import Run


@pytest.fixture(scope="module")
def run(shared_data, tmp_path_factory) -> Path:
    """A short training of an ODE-net with one Euler step."""
    folder = tmp_path_factory.mktemp("run")
    scene, truth = write_salinas_crop(shared_data, folder)
    done = invoke(
        *("train", "--dataset", scene, "--ground-truth", truth, "--no-map", "-q"),
        *("--frac", "0.1", "--epochs", "1", "--patch", "3", "--batch", "16"),
        *("--solver", "euler", "--diffuse", "none", "--components", "pca"),
        *("--out", folder / "run"),
    )
    assert done.exit_code == 0, done.stderr
    return folder / "run"


def invoke(*arguments: object):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_check_stands_beside_the_figures(run):
    done = invoke("evaluate", run, "--ode-check", "--json", "-q")
    assert done.exit_code == 0, done.stderr
    printed = json.loads(done.stdout)
    found = printed.pop("ode_check")
    assert printed == Run(run).read_metrics()
    assert found == json.loads((run / "ode-check.json").read_text())
    own, reference, finer = found["checks"]
    assert [c["solver"] for c in found["checks"]] == [
        *("euler:1", "dopri5:1e-05", "euler:2")
    ]
    assert own["runs"][0]["oa"] == printed["oa"]["values"][0]
    assert own["runs"][0]["change"] == 0
    assert finer["runs"][0]["evaluations"] == 2
    assert reference["runs"][0]["evaluations"] > 6
    again = invoke("evaluate", run, "--ode-check", "-q")
    _, *lines, leaks = again.stdout.splitlines()
    assert [line.split()[1] for line in lines] == [
        *("euler:1", "dopri5:1e-05", "euler:2")
    ]
    assert leaks == leakage_note(printed["split"]["leakage"])
    assert f"{printed['oa']['mean']:.2f}" in again.stdout


def test_what_diffuses_stays_on_its_side_of_a_split_without_leaks(
    shared_data, tmp_path, monkeypatch
):
    scene, truth = write_salinas_crop(shared_data, tmp_path)
    done = invoke(
        *("train", "--dataset", scene, "--ground-truth", truth, "--no-map", "-q"),
        *("--split", "blocks", "--frac", "0.1", "--epochs", "1", "--patch", "3"),
        *("--batch", "16", "--diffuse", "5,50", "--solver", "euler"),
        *("--out", tmp_path / "run"),
    )
    assert done.exit_code == 0, done.stderr
    seen = []
    score = solver_scores.score_solver

    def record(classifier, padded, *others):
        seen.append(padded)
        return score(classifier, padded, *others)

    monkeypatch.setattr(solver_scores, "score_solver", record)
    run = Run(tmp_path / "run")
    check_ode(run, run.read_metrics())
    task = reload_task(run)
    [split] = task.splits.splits
    inputs = TrainedClassifier.load(run.network_file(0)).inputs
    kept = task.prepare(inputs, split)
    assert all(np.array_equal(padded, kept) for padded in seen)
    monkeypatch.setattr(Task, "region", lambda *_: None)
    assert not np.allclose(task.prepare(inputs, split), kept, atol=1e-3)


def test_network_that_is_no_flow_is_found(run, tmp_path):
    """A field many times as large as it was trained leaves Euler far from the truth."""
    folder = tmp_path / "run"
    shutil.copytree(run, folder)
    (folder / "solvers.json").unlink(missing_ok=True)
    copy = Run(folder)
    classifier = TrainedClassifier.load(copy.network_file(0))
    assert isinstance(classifier.learned, TrainedNetwork)
    norm = classifier.learned.params["block"]["field"]["norm3"]
    norm["scale"] = 50 * norm["scale"] + 3
    classifier.save(copy.network_file(0), epoch=4, seconds=0.0)
    done = invoke("evaluate", folder, "--ode-check", "-q")
    assert done.exit_code == 0, done.stderr
    assert "this network is not a flow" in done.stderr
    assert "euler:1" in done.stderr


@pytest.mark.parametrize(
    ("accuracies", "is_flow"),
    [([90.0, 89.5], True), ([90.0, 89.4], False), ([90.6, 90.0], False)],
)
@pytest.mark.parametrize("fails", [False, True])
def test_warning_begins_at_half_a_point(
    run, accuracies, is_flow, fails, monkeypatch, caplog
):
    scores = {
        label: [{"oa": oa, "evaluations": 1.0, "seconds": 1.0}]
        for label, oa in zip(("dopri5:1e-05", "euler:2"), accuracies, strict=True)
    }
    if fails:
        scores["euler:2"][0]["oa"] = None
    monkeypatch.setattr(ode_check, "score_networks", lambda *_: scores)
    monkeypatch.setattr(ode_check, "write_text", lambda *_: None)
    metrics = {"oa": {"values": [90.0]}, "selected_on_test": False}
    metrics["split"] = {"leakage": {}}
    result = check_ode(Run(run), metrics)
    if fails:
        # What the other solver shows holds; without it nothing is known.
        is_flow = False if abs(accuracies[0] - 90) > 0.5 else None
        assert table_rows(result)[1][2:4] == ["-", "-"]
    assert result["is_flow"] is is_flow
    assert bool(caplog.messages) == (is_flow is not True)
    if is_flow is None:
        assert "a flow is not known" in caplog.text
    elif not is_flow:
        assert f"{next(a for a in accuracies if a != 90):.2f} %" in caplog.text


def test_finer_solvers():
    assert refine(OdeSolver("euler", 3)).steps == 6
    finer = refine(OdeSolver("dopri5", rtol=1e-3))
    assert (finer.rtol, finer.atol) == pytest.approx((1e-4, 1e-4))
    assert refine(OdeSolver("dopri5", rtol=1e-3, atol=1e-5)).atol == pytest.approx(1e-6)


def test_mistakes(run, tmp_path):
    both = invoke("evaluate", run, "--ode-check", "--csv")
    assert both.exit_code == 2
    assert "printed as a table" in both.stderr
    idle = invoke("evaluate", run, "--data-dir", tmp_path)
    assert idle.exit_code == 2
    assert "--data-dir is of --ode-check" in idle.stderr
    other = Run(tmp_path)
    other.update_manifest(status="done")
    other.write_config(replace(Run(run).read_config(), model="resnet"))
    with pytest.raises(ode_check.UsageError, match="resnet, which solves no"):
        check_ode(other, {})
    Run(tmp_path / "unmixed").update_manifest(status="done", task="unmixing")
    unmixed = invoke("evaluate", tmp_path / "unmixed", "--ode-check")
    assert unmixed.exit_code == 2
    assert "hsijax unmix" in unmixed.stderr
