"""`hsijax train --runs 3` as one program, as on a GPU, against run by run."""

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from small_stripes import as_options, make_stripes, read_epochs
from typer.testing import CliRunner

from hsijax.cli import app
from hsijax.config import TrainConfig
from hsijax.devices import CPU
from hsijax.errors import HsijaxError
from hsijax.experiments import train, train_networks
from hsijax.experiments.train import prepare_run, reopen_run, train_runs
from hsijax.runs import Run, open_run
from hsijax.training import loop

RUNS, EPOCHS = 3, 3


@pytest.fixture(scope="module")
def scene(tmp_path_factory) -> dict:
    folder = tmp_path_factory.mktemp("scene")
    return make_stripes(folder, runs=RUNS, epochs=EPOCHS)


@pytest.fixture
def execute(monkeypatch):
    """Choose side by side or run by run, with a checkpoint after each epoch."""
    monkeypatch.setattr(loop, "SAVING", math.inf)

    def choose(side_by_side: bool) -> None:
        plan = replace(CPU, one_program=side_by_side)
        for module in (train, loop):
            monkeypatch.setattr(module, "plan_execution", lambda: plan)

    return choose


def assert_same(folder: Path, expected: Path) -> None:
    found, known = read_epochs(folder), read_epochs(expected)
    assert set(found) == set(known)
    assert len(found) == RUNS * EPOCHS
    for key, values in found.items():
        np.testing.assert_allclose(values, known[key], atol=1e-5)
    one, other = (
        json.loads((f / "metrics.json").read_text()) for f in (folder, expected)
    )
    assert one["oa"]["values"] == pytest.approx(other["oa"]["values"], abs=1e-9)
    assert one["confusion"] == other["confusion"]
    checkpoints = sorted(path.name for path in (folder / "checkpoints").iterdir())
    assert checkpoints == [f"run-{number}.safetensors" for number in range(RUNS)]


@pytest.fixture(scope="module")
def one_by_one(scene, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("run") / "one-by-one"
    train_runs(*prepare_run(TrainConfig(**scene), folder))
    assert len(set(read_epochs(folder).values())) == RUNS * EPOCHS
    return folder


def test_command_trains_all_runs_as_one_program(scene, one_by_one, execute, tmp_path):
    execute(side_by_side=True)
    out = tmp_path / "run"
    arguments = ["train", *as_options(scene), "--no-map", "-q", f"--out={out}"]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.stderr
    assert_same(out, one_by_one)
    seconds = json.loads((out / "metrics.json").read_text())["seconds"]
    assert seconds["train"] > 0


@pytest.mark.parametrize(
    ("first", "then", "reached"),
    [
        # One after another, stopped in the second epoch of the second run.
        (False, True, [EPOCHS, 1, 0]),
        (True, False, [1, 1, 1]),
        (True, True, [1, 1, 1]),
    ],
)
def test_stopped_and_gone_on_with_in_either_way(
    scene, one_by_one, execute, tmp_path, monkeypatch, first, then, reached
):
    """Each run goes on from its own epoch, whoever trained it that far."""
    note = Run.add_history

    def stop(run, epoch):
        note(run, epoch)
        if (epoch.run, epoch.epoch) == (1, 2):
            raise KeyboardInterrupt

    execute(side_by_side=first)
    folder = tmp_path / "run"
    opened = prepare_run(TrainConfig(**scene), folder)
    with monkeypatch.context() as patch:
        patch.setattr(Run, "add_history", stop)
        with pytest.raises(KeyboardInterrupt):
            train_runs(*opened)
    assert [train._epochs_done(open_run(folder), n) for n in range(RUNS)] == reached
    execute(side_by_side=then)
    train_runs(*reopen_run(open_run(folder)))
    assert_same(folder, one_by_one)


@pytest.mark.parametrize("module", [train_networks, train])
def test_run_that_fails_after_its_training_stops_no_other(
    scene, one_by_one, execute, tmp_path, monkeypatch, module
):
    """Neither where its confidence is calibrated nor where its test pixels are."""
    name = "calibrate_run" if module is train_networks else "_test"
    work = getattr(module, name)

    def fail(run, task, number, *others):
        if number == 1:
            raise HsijaxError("no finite answer")
        return work(run, task, number, *others)

    execute(side_by_side=False)
    folder = tmp_path / "run"
    opened = prepare_run(TrainConfig(**scene), folder)
    with monkeypatch.context() as patch:
        patch.setattr(module, name, fail)
        with pytest.raises(HsijaxError, match="no finite answer"):
            train_runs(*opened)
    known = open_run(folder).read_predictions()
    assert [f"run{n}_truth" in known for n in range(RUNS)] == [True, False, True]
    train_runs(*reopen_run(open_run(folder)))
    assert_same(folder, one_by_one)
