"""Sweeps of a classification: their tables, and networks tested with other solvers."""

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from classification_scenes import write_salinas_crop
from pictures import assert_nothing_is_cut, mark, open_rgb, parse_colour
from typer.testing import CliRunner

from hsijax.classification.network import TrainedNetwork
from hsijax.classification.trained import TrainedClassifier
from hsijax.cli import app
from hsijax.cli.sweep import _fitting_model
from hsijax.config import OdeSolver, TrainConfig
from hsijax.errors import HsijaxError, UsageError
from hsijax.experiments import repeat, solver_scores, sweep_training, task
from hsijax.experiments.solver_scores import label_solver, score_solver
from hsijax.experiments.sweep_values import SWEEPS, make_points
from hsijax.experiments.train import prepare_run
from hsijax.models.ode import step_stages
from hsijax.reports.work_precision import COLOURS, save_work_precision_figure
from hsijax.runs import Run, open_run
from hsijax.settings import config_values, make_config
from hsijax.splits import read_splits


@pytest.fixture(scope="module")
def config(shared_data, tmp_path_factory) -> TrainConfig:
    """A training of seconds on a crop of Salinas-A."""
    scene, truth = write_salinas_crop(shared_data, tmp_path_factory.mktemp("crop"))
    small = {"patch": 3, "batch": 16, "epochs": 1, "runs": 2, "frac": 0.1}
    return TrainConfig(str(scene), ground_truth=str(truth), **small)


@pytest.fixture(scope="module")
def swept(config, tmp_path_factory) -> tuple[Path, dict[str, Any]]:
    """A sweep over two numbers of Euler steps."""
    folder = tmp_path_factory.mktemp("sweep")
    base = replace(config, solver="euler")
    return folder, sweep_training.sweep_training(base, "steps", [1, 2], folder)[0]


def write_run(folder: Path, config: TrainConfig, _) -> dict[str, Any]:
    """Stand for a whole run: the pixels are split, and nothing is trained."""
    run, loaded = prepare_run(config, folder)
    tested = {f"run{n}_pixels": s.test for n, s in enumerate(loaded.splits.splits)}
    run.write_predictions(tested)
    figures = {"mean": 90.0, "std": None, "values": [90.0]}
    return {
        **dict.fromkeys(("oa", "aa", "kappa"), figures),
        "split": {"method": loaded.splits.method, "leakage": {}}
        | run.read_manifest()["splits"][0],
        "parameters": 1,
        "function_evaluations": {"predict": {"mean": 4.0}},
        "seconds": {"train": 1.0, "evaluate": 2.0},
    }


def invoke(*arguments: object):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_table_holds_the_figures_of_each_run_folder(swept):
    folder, summary = swept
    assert json.loads((folder / "sweep.json").read_text()) == summary
    assert summary["same_test_pixels"]
    with (folder / "sweep.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["value"] for row in rows] == ["1", "2"]
    assert [float(row["evaluations"]) for row in rows] == [1, 2]
    for row in rows:
        metrics = json.loads(
            (folder / f"steps-{row['value']}/metrics.json").read_text()
        )
        for name in ("oa", "aa", "kappa"):
            assert float(row[name]) == metrics[name]["mean"]
            assert float(row[f"{name}_std"]) == metrics[name]["std"]
        overlap = metrics["split"]["leakage"]["test_patch_overlap"]
        assert 0 < float(row["test_patch_overlap"]) == overlap
        assert float(row["train_seconds"]) > 0 < float(row["predict_seconds"])
    accuracies, costs, *matrices = sweep_training.tables(summary)
    assert f"{summary['rows'][0]['oa']['mean']:.2f} ±" in accuracies[1][0][1]
    assert [row[:2] for row in costs[1]] == [["1", "1"], ["2", "2"]]
    assert len(matrices) == 3


def test_each_network_is_tested_with_every_solver(swept):
    folder, summary = swept
    crossed = summary["work_precision"]
    assert crossed["trained"] == ["euler:1", "euler:2"]
    assert crossed["evaluated"] == ["euler:1", "euler:2", "dopri5:1e-05"]
    for trained, row in crossed["cells"].items():
        assert [row[f"euler:{n}"]["evaluations"] for n in (1, 2)] == [1, 2]
        assert row["dopri5:1e-05"]["evaluations"] > 6
        # With its own solver a network says what it said when its run ended.
        metrics = Run(folder / f"steps-{trained[-1]}").read_metrics()
        assert row[trained]["oa"]["values"] == metrics["oa"]["values"]
        assert all(cell["seconds"] > 0 for cell in row.values())
    with (folder / "work-precision.csv").open(newline="") as file:
        assert len(list(csv.DictReader(file))) == 6


def test_nothing_is_done_twice(swept, config, monkeypatch):
    folder, summary = swept

    def refuse(*_, **__):
        raise AssertionError("done again")

    monkeypatch.setattr(repeat, "train_runs", refuse)
    monkeypatch.setattr(solver_scores, "score_solver", refuse)
    monkeypatch.setattr(sweep_training, "reload_task", refuse)
    base = replace(config, solver="euler")
    again, _ = sweep_training.sweep_training(base, "steps", [1, 2], folder)
    assert again == summary
    other = replace(base, epochs=3)
    with pytest.raises(UsageError, match="epochs = 1, not 3: choose another --out"):
        sweep_training.sweep_training(other, "steps", [1, 2], folder)


def test_a_folder_is_not_read_for_a_scene_of_another_name(swept, config):
    one = swept[0] / "steps-1"
    same = make_points(replace(config, solver="euler"), "steps", [1])[0].config
    elsewhere = replace(same, data_dir="/elsewhere")
    metrics = repeat.ensure_classification(one, elsewhere)
    assert metrics == Run(one).read_metrics()
    with pytest.raises(UsageError, match=r"dataset = .*crop.mat, not .*other.mat"):
        repeat.ensure_classification(one, replace(same, dataset="other.mat"))


def test_interrupted_run_is_gone_on_with(config, tmp_path):
    quick = replace(config, model="no-block", epochs=1, runs=1)
    prepare_run(quick, tmp_path / "run")
    metrics = repeat.ensure_classification(tmp_path / "run", quick)
    manifest = open_run(tmp_path / "run").read_manifest()
    assert manifest["status"] == "done"
    assert len(manifest["resumed"]) == 1
    assert metrics["oa"]["values"]
    # Stopped before anything was prepared, it begins anew.
    Run(tmp_path / "new").update_manifest(status="prepared")
    assert repeat.ensure_classification(tmp_path / "new", quick)["oa"] == metrics["oa"]


def test_compilation_is_no_part_of_the_seconds(swept, config, monkeypatch):
    run = Run(swept[0] / "steps-1")
    classifier = TrainedClassifier.load(run.network_file(0))
    loaded = task.reload_task(run)
    padded = classifier.prepare(loaded.cube, loaded.valid)
    pixels = loaded.splits.splits[0].test
    compiled, at_start = [], []
    jax.monitoring.register_event_duration_secs_listener(
        lambda event, *_, **__: compiled.append(event)
    )
    clock = solver_scores.time.perf_counter

    def look():
        at_start.append(sum("backend_compile" in event for event in compiled))
        return clock()

    monkeypatch.setattr(solver_scores.time, "perf_counter", look)
    truth = loaded.class_ids(pixels)
    score_solver(classifier, padded, pixels, truth, OdeSolver("euler", 3))
    assert 0 < at_start[0] == at_start[-1]
    assert len(at_start) >= 2


def test_solver_that_does_not_reach_the_end_has_no_score(swept, monkeypatch):
    run = Run(swept[0] / "steps-1")
    classifier = TrainedClassifier.load(run.network_file(0))
    loaded = task.reload_task(run)
    padded = classifier.prepare(loaded.cube, loaded.valid)
    network = classifier.learned
    assert isinstance(network, TrainedNetwork)
    wild = jax.tree.map(lambda array: array * np.nan, network.params)
    pixels = loaded.splits.splits[0].test
    score = score_solver(
        replace(classifier, learned=replace(network, params=wild)),
        padded,
        pixels,
        loaded.class_ids(pixels),
        OdeSolver("euler", 1),
    )
    assert score == {"oa": None, "evaluations": 1.0, "seconds": None}


def test_another_scene_is_refused(swept, config, tmp_path):
    run = Run(swept[0] / "steps-1")
    found = {"scene": {"sha256": "0", "path": "there"}}
    with pytest.raises(HsijaxError, match="there has another sha256"):
        task.check_sources(run, found)


@pytest.mark.parametrize("over", ["patch", "frac"])
def test_sizes_of_a_patch_are_tested_on_the_same_pixels(
    config, over, tmp_path, monkeypatch
):
    monkeypatch.setattr(sweep_training, "ensure_classification", write_run)
    score = {"oa": 90.0, "evaluations": 4.0, "seconds": 1.0}
    monkeypatch.setattr(sweep_training, "score_networks", lambda *_: {"rk4:1": [score]})
    blocks = replace(config, split="blocks", block_side=4, frac=0.3, runs=1)
    values = {"patch": [3, 5], "frac": [0.3, 0.5]}[over]
    summary, _ = sweep_training.sweep_training(blocks, over, values, tmp_path)
    alike = over == "patch"
    assert summary["same_test_pixels"] == alike
    assert summary["split"] == "blocks"
    assert summary["apart"] == (5 if alike else None)
    said = " ".join(sweep_training.notes(summary))
    assert ("not tested on the same pixels" in said) != alike
    assert ("Patches of 5 pixels are kept apart" in said) == alike
    if alike:
        assert {r["leakage"]["test_patch_overlap"] for r in summary["rows"]} == {0}


def test_classical_classifier_is_swept(config, tmp_path):
    arguments = [
        *("sweep", config.dataset, "--ground-truth", config.ground_truth),
        *("--model", "knn", "--over", "frac", "--values", "0.05,0.1", "--runs", 2),
        *("--out", tmp_path / "sweep", "--quiet"),
    ]
    done = invoke(*arguments)
    assert done.exit_code == 0, done.stderr
    assert "evaluations" not in done.stdout
    assert "compiled" not in done.stdout
    with (tmp_path / "sweep" / "sweep.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["value"] for row in rows] == ["0.05", "0.1"]
    for row in rows:
        metrics = Run(tmp_path / "sweep" / f"frac-{row['value']}").read_metrics()
        assert float(row["oa"]) == metrics["oa"]["mean"] > 50
        assert float(row["predict_seconds"]) == metrics["seconds"]["evaluate"]
        assert row["evaluations"] == ""
    accuracies, costs = sweep_training.tables(
        json.loads(invoke(*arguments, "--json").stdout)
    )
    assert f"{float(rows[0]['oa']):.2f} ±" in accuracies[1][0][1]
    assert list(costs[0]) == ["value", "training (s)", "prediction (s)"]
    assert len(costs[1][0]) == 3


@pytest.mark.parametrize("model", ["resnet", "ssrn"])
def test_opponents_have_no_other_solvers(config, model, tmp_path, monkeypatch):
    measured = []

    def score(run, *_):
        measured.append(run)
        return {"rk4:1": [{"oa": 90.0, "evaluations": 4.0, "seconds": 1.0}]}

    def write_opponent(*arguments):
        none = {"predict": {"mean": 0.0}}
        return write_run(*arguments) | {"function_evaluations": none}

    opponent = model == "ssrn"
    make = write_opponent if opponent else write_run
    monkeypatch.setattr(sweep_training, "ensure_classification", make)
    monkeypatch.setattr(sweep_training, "score_networks", score)
    one = replace(config, model=model, runs=1)
    summary, _ = sweep_training.sweep_training(one, "lr", [0.1, 0.01], tmp_path)
    assert len(measured) == (0 if opponent else 2)
    seconds = {row["seconds"]["predict"] for row in summary["rows"]}
    assert seconds == {2.0 if opponent else 1.0}
    _, (header, _) = sweep_training.tables(summary)
    assert ("evaluations" in header) != opponent
    said = " ".join(sweep_training.notes(summary))
    assert ("Prediction: with what had to be compiled." in said) == opponent


def test_usual_values_are_valid_and_solvers_cost_alike():
    config = TrainConfig("scene")
    for over, sweep in SWEEPS.items():
        base = replace(config, solver="dopri5") if over == "tolerance" else config
        points = make_points(base, over, None)
        assert len(points) == len(sweep.usual)
        assert len({point.config for point in points}) == len(points)
    fixed = [p.config for p in make_points(config, "solver", None)][:-1]
    calls = {
        label_solver(c.ode_solver): c.steps * len(step_stages(c.solver).nodes)
        for c in fixed
    }
    assert set(calls.values()) <= {4, 6}, calls
    adaptive = make_points(config, "solver", ["dopri5:1e-3"])[0].config
    assert (adaptive.rtol, adaptive.atol) == (1e-3, 1e-3)
    # What was adaptive steps evenly where steps are what varies.
    paper = make_config({"dataset": "scene", "preset": "paper"}, {})
    assert make_points(paper, "steps", [2])[0].config.rtol is None
    assert len(make_points(config, "solver", ["rk4", "rk4:1", "euler"])) == 2
    assert config_values(fixed[0])["solver"] == "euler"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--over", "steps", "--model", "resnet"), "--model resnet has none"),
        (("--over", "solver", "--model", "svm"), "--model svm has none"),
        (("--over", "patch", "--model", "knn"), "--patch changes nothing of knn"),
        (("--over", "lr", "--model", "svm"), "--lr changes nothing of svm"),
        (("--over", "steps", "--steps", "2"), "--steps does not go with --over"),
        (("--over", "steps", "--values", "1.5"), "are whole numbers"),
        (("--over", "patch", "--values", "4"), "must be odd"),
        (("--over", "frac", "--split", "count", "--count", "5"), "--count does not go"),
        (("--over", "solver", "--values", "rk4:x"), "after the colon"),
        (("--over", "solver", "--values", "rk5"), "ODE solver named 'rk5'"),
        (("--over", "tolerance", "--solver", "rk4"), "no error estimate"),
        (("--over", "lr", "--values", "a,b"), "separate them by commas"),
        (("--over", "depth"), "no sweep named 'depth'"),
        (("--over", "lr", "--model", "resnot"), "did you mean 'resnet'"),
        (("--over", "lr", "--model", "cube-cnn", "--count", "5"), "of classification"),
    ],
)
def test_mistakes(tmp_path, options, words):
    done = invoke("sweep", "salinas-a", *options, "--out", tmp_path / "sweep")
    assert done.exit_code == 2
    assert words in done.stderr
    assert not (tmp_path / "sweep").exists()


def test_value_without_a_figure_leaves_the_others_theirs(
    swept, config, monkeypatch, caplog
):
    made = sweep_training.ensure_classification

    def fail(folder, config, progress):
        if config.steps == 2:
            raise HsijaxError("the loss is nan")
        return made(folder, config, progress)

    monkeypatch.setattr(sweep_training, "ensure_classification", fail)
    base = replace(config, solver="euler")
    # In the folder of the whole sweep, so that nothing is trained.
    found, _ = sweep_training.sweep_training(base, "steps", [1, 2], swept[0])
    assert [row["label"] for row in found["rows"]] == ["1"]
    assert found["failed"] == {"2": "the loss is nan"}
    assert "steps 2 has none: the loss is nan" in caplog.text
    with pytest.raises(HsijaxError, match="no value of the sweep has a figure"):
        sweep_training.sweep_training(base, "steps", [2], swept[0])


def test_scene_decides_the_network():
    assert _fitting_model("urban") == _fitting_model("simulated-mixtures") == "cube-cnn"
    assert _fitting_model("indian-pines") == "odenet"


def test_figure_has_a_line_a_network_and_fills_its_own_solver(tmp_path):
    def cell(evaluations, accuracy):
        oa = {"mean": accuracy}
        return {"oa": oa, "evaluations": evaluations, "seconds": evaluations / 10}

    cells = {
        name: {"euler:1": cell(1, oa), "euler:4": cell(4, oa), "rk4:1": cell(4, None)}
        for name, oa in (("euler:1", 80.0), ("euler:4", 90.0))
    }
    path = tmp_path / "figure.png"
    save_work_precision_figure(path, cells, title=r"A $\bad$")
    image = open_rgb(path)
    assert_nothing_is_cut(image)
    left = image[:, : 45 * image.shape[1] // 100]
    lines = [mark(left, parse_colour(COLOURS[n])).sum(axis=1).argmax() for n in (0, 1)]
    assert lines[0] > lines[1] + 100  # 90 % stands above 80 %
    assert not mark(image, parse_colour(COLOURS[2])).any()
    # A filled marker has more of the colour: at 1 for the first, at 4 for the second.
    for number, end in ((0, 0), (1, 1)):
        colour = mark(left, parse_colour(COLOURS[number]))
        columns = np.flatnonzero(colour.any(axis=0))
        sides = [colour[:, columns[:24]].sum(), colour[:, columns[-24:]].sum()]
        assert int(np.argmax(sides)) == end


def test_split_of_all_patches_is_not_made_shorter(config, tmp_path):
    """A sweep that is refused, because there are more runs, leaves these their file."""
    blocks = replace(config, split="blocks", patch=3)
    points = make_points(blocks, "patch", [3])
    for runs in (2, 1):
        asked = [point._replace(config=replace(blocks, runs=runs)) for point in points]
        sweep_training._split_for_all(asked, 3, tmp_path, lambda *_: None)
        assert len(read_splits(tmp_path / "split-patch-3.npz")) == 2
