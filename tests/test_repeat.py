import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from classification_scenes import write_salinas_crop
from typer.testing import CliRunner

from hsijax.cli import app
from hsijax.config import TrainConfig
from hsijax.errors import HsijaxError, UsageError
from hsijax.experiments import train
from hsijax.experiments.repeat import ensure_classification
from hsijax.experiments.write_split import write_split
from hsijax.runs import Run
from hsijax.settings import make_config


def test_a_folder_is_not_read_for_another_scene_of_the_same_name(tmp_path):
    scenes = [tmp_path / place / "cube.npy" for place in ("here", "there")]
    for scene in scenes:
        scene.parent.mkdir()
        scene.write_bytes(b"a scene")
    config = make_config({"dataset": str(scenes[0])}, {})
    folder = tmp_path / "run"
    folder.mkdir()
    run = Run(folder)
    run.update_manifest(status="done")
    run.write_config(config)
    run.write_metrics({"oa": 1})
    assert ensure_classification(folder, config) == {"oa": 1}
    other = replace(config, dataset=str(scenes[1]))
    with pytest.raises(UsageError, match=r"there.* choose another --out"):
        ensure_classification(folder, other)
    scenes[0].unlink()  # now it may well have been moved
    assert ensure_classification(folder, other) == {"oa": 1}


@pytest.fixture(scope="module")
def config(shared_data, tmp_path_factory) -> TrainConfig:
    scene, truth = write_salinas_crop(shared_data, tmp_path_factory.mktemp("crop"))
    small = {"model": "no-block", "patch": 3, "epochs": 1, "frac": 0.1}
    return make_config({"dataset": str(scene), "ground_truth": str(truth), **small}, {})


@pytest.fixture(scope="module")
def one_run(config, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "one"
    ensure_classification(folder, config)
    return folder


@pytest.fixture
def copy(one_run, tmp_path) -> Run:
    return Run(Path(shutil.copytree(one_run, tmp_path / "copy")))


def test_added_runs_are_those_of_so_many_from_the_start(
    copy, config, tmp_path, monkeypatch
):
    two = ensure_classification(tmp_path / "two", replace(config, runs=2))
    trained = []
    together = train.train_networks

    def record(run, task, numbers, progress):
        trained.extend(numbers)
        return together(run, task, numbers, progress)

    monkeypatch.setattr(train, "train_networks", record)
    ensure_classification(copy.folder, replace(config, runs=2))
    assert trained == [1]
    found = copy.read_metrics()
    for name in ("oa", "aa", "kappa", "per_class", "confusion"):
        assert found[name] == two[name]
    assert found["split"] == two["split"]
    assert copy.read_config() == replace(config, runs=2)
    manifests = [run.read_manifest() for run in (copy, Run(tmp_path / "two"))]
    for name in ("seeds", "splits"):
        assert manifests[0][name] == manifests[1][name]
    assert len(manifests[0]["resumed"]) == 1
    # Fewer are not what a folder of two is asked for.
    with pytest.raises(UsageError, match="runs = 2, not 1: choose another --out"):
        ensure_classification(copy.folder, config)


def test_runs_are_added_by_a_command(copy):
    arguments = ["train", "--resume", str(copy.folder), "--no-map", "--quiet"]
    done = CliRunner().invoke(app, [*arguments, "--runs", "2"])
    assert done.exit_code == 0, done.stderr
    assert len(copy.read_metrics()["oa"]["values"]) == 2
    assert copy.read_manifest()["status"] == "done"
    # The same command goes on, and here there is nothing left to do.
    done = CliRunner().invoke(app, [*arguments, "--runs", "2"])
    assert done.exit_code == 0, done.stderr
    done = CliRunner().invoke(app, [*arguments, "--runs", "1"])
    assert done.exit_code == 2
    assert "is of 2 runs: give --runs 2 or more" in done.stderr


def test_no_run_is_added_to_a_folder_that_has_none(copy):
    (copy.folder / "config.toml").unlink()
    manifest = copy.read_manifest()
    del manifest["splits"]
    (copy.folder / "run.json").write_text(json.dumps(manifest))
    with pytest.raises(HsijaxError, match="stopped before its training began"):
        train.add_runs(copy, 2)


def test_folder_that_was_only_prepared_is_made_with_more_runs(copy, config):
    """Killed between its settings and its splits."""
    manifest = copy.read_manifest() | {"status": "prepared"}
    del manifest["splits"]
    (copy.folder / "run.json").write_text(json.dumps(manifest))
    found = ensure_classification(copy.folder, replace(config, runs=2))
    assert len(found["oa"]["values"]) == 2


def test_runs_are_added_with_the_split_file_where_it_is_now(config, tmp_path):
    places = [tmp_path / name / "split.npz" for name in ("here", "there")]
    for place in places:
        write_split(replace(config, runs=2), place)
    there = [
        replace(config, split="file", split_file=str(place), model="knn", patch=1)
        for place in places
    ]
    ensure_classification(tmp_path / "run", there[0])
    places[0].unlink()
    found = ensure_classification(tmp_path / "run", replace(there[1], runs=2))
    assert len(found["oa"]["values"]) == 2
    assert Run(tmp_path / "run").read_config().split_file == str(places[1])


def test_no_run_is_added_where_other_pixels_would_train(copy, config):
    with np.load(copy.split_file, allow_pickle=False) as arrays:
        moved = dict(arrays)
    moved["train_0"], moved["test_0"] = moved["test_0"], moved["train_0"]
    np.savez(copy.split_file, **moved)
    before = copy.split_file.read_bytes()
    with pytest.raises(HsijaxError, match="other pixels would train in its first ones"):
        train.add_runs(copy, 2)
    assert copy.split_file.read_bytes() == before
    assert copy.read_config() == config


def test_adding_that_was_killed_leaves_what_there_was_and_can_be_done_again(
    config, tmp_path, monkeypatch
):
    # Of blocks, of which no two runs test as many pixels.
    config = replace(config, split="blocks", block_side=4, model="knn", patch=1)
    copy = Run(tmp_path / "run")
    ensure_classification(copy.folder, config)

    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(Run, "write_config", stop)
    with pytest.raises(KeyboardInterrupt):
        train.add_runs(copy, 3)
    monkeypatch.undo()
    counts = {split["n_test"] for split in copy.read_manifest()["splits"]}
    assert len(counts) > 1
    before = copy.read_metrics()
    oa = before["oa"]["values"]
    again = ensure_classification(copy.folder, config)
    assert {**again, "seconds": None} == {**before, "seconds": None}
    found = ensure_classification(copy.folder, replace(config, runs=2))
    assert found["oa"]["values"][:1] == oa
    assert len(found["oa"]["values"]) == len(copy.read_manifest()["splits"]) == 2
