import json

import numpy as np
import pytest

from hsijax.errors import HsijaxError, UsageError
from hsijax.runs import Run, create_run, open_run
from hsijax.runs.lock import LOCK
from hsijax.settings import make_config
from hsijax.training.course import Epoch


def epoch(run: int, number: int) -> Epoch:
    return Epoch(run, number, 0.5, 1e-3, None, 1.25)


def test_each_new_run_gets_the_next_free_number(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    first = create_run(None, "x-odenet", overwrite=False)
    second = create_run(None, "x-odenet", overwrite=False)
    assert [first.folder.name, second.folder.name] == ["x-odenet-1", "x-odenet-2"]


def test_existing_folder_is_never_overwritten_silently(tmp_path):
    (tmp_path / "thesis.txt").write_text("precious")
    for overwrite in (False, True):
        with pytest.raises(UsageError, match=str(tmp_path)):
            create_run(tmp_path, "x", overwrite=overwrite)
    assert (tmp_path / "thesis.txt").read_text() == "precious"


def test_overwrite_replaces_a_run_folder(tmp_path):
    run = create_run(tmp_path / "run", "x", overwrite=False)
    run.update_manifest(status="done")
    again = create_run(tmp_path / "run", "x", overwrite=True)
    assert [path.name for path in again.folder.iterdir()] == [LOCK]


def test_configuration_comes_back(tmp_path):
    config = make_config({"dataset": "salinas", "preset": "paper"}, {})
    Run(tmp_path).write_config(config)
    assert Run(tmp_path).read_config() == config


def test_history_after_a_crash_keeps_what_a_checkpoint_covers(tmp_path):
    run = Run(tmp_path)
    for row in (epoch(0, 1), epoch(0, 2), epoch(1, 1), epoch(1, 2)):
        run.add_history(row)
    with (tmp_path / "history.csv").open("a") as stream:
        stream.write("1,3,0.4")  # the power went here
    run.rewind_history([2, 1])
    rows = [(row["run"], row["epoch"]) for row in run.read_history()]
    assert rows == [(0, 1), (0, 2), (1, 1)]


def test_folder_without_a_run_is_refused(tmp_path):
    with pytest.raises(UsageError, match=r"no run\.json"):
        open_run(tmp_path)


def test_run_of_another_format_is_refused(tmp_path):
    (tmp_path / "run.json").write_text(json.dumps({"schema": 99}))
    with pytest.raises(HsijaxError, match="format 99"):
        open_run(tmp_path)


def test_damaged_manifest_is_named(tmp_path):
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(HsijaxError, match=r"run\.json is damaged"):
        open_run(tmp_path)


def test_predictions_come_back_and_pickles_do_not(tmp_path):
    run = Run(tmp_path)
    assert run.read_predictions() == {}
    run.write_predictions({"run0_truth": np.array([1, 2])})
    assert run.read_predictions()["run0_truth"].tolist() == [1, 2]
    np.savez(tmp_path / "predictions.npz", truth=np.array([{}], dtype=object))
    with pytest.raises(HsijaxError, match="damaged"):
        run.read_predictions()
