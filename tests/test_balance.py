"""`--balance`: what reaches the training, and what is refused."""

import numpy as np
import pytest
from classification_scenes import write_salinas_crop
from typer.testing import CliRunner

from hsijax.cli import app
from hsijax.config import TrainConfig, no_progress
from hsijax.errors import HsijaxError, UsageError
from hsijax.experiments import train_networks
from hsijax.experiments.train import prepare_run
from hsijax.settings import config_values, make_config


@pytest.mark.parametrize("balance", ["none", "sampling", "loss"])
def test_training_gets_its_draws_or_weights(
    shared_data, tmp_path, monkeypatch, balance
):
    scene, truth = write_salinas_crop(shared_data, tmp_path)
    config = TrainConfig(
        str(scene),
        ground_truth=str(truth),
        frac=0.2,
        patch=3,
        model="no-block",
        runs=2,
        balance=balance,
    )
    run, task = prepare_run(config, tmp_path / "run")
    seen = []

    def record(trainings):
        seen.extend(trainings)
        return [HsijaxError("not trained here")] * len(trainings)

    monkeypatch.setattr(train_networks, "train_together", record)
    train_networks.train_networks(run, task, [0, 1], no_progress)
    assert len(seen) == 2
    for number, training in enumerate(seen):
        assert training.loop.balanced == (balance == "sampling")
        labels = task.scene.labels(task.splits.splits[number].train)
        targets = training.data.targets
        if balance == "loss":
            assert np.array_equal(targets.argmax(axis=1), labels)
            sums = [targets[labels == label].sum() for label in set(labels)]
            assert sums == pytest.approx([len(labels) / len(sums)] * len(sums))
        else:
            assert np.array_equal(targets, labels)


@pytest.mark.parametrize("preset", ["best", "paper"])
def test_complete_file_of_earlier_days_reads_as_not_balanced(preset):
    given = {"dataset": "x", "preset": preset, "steps": 2}
    config = make_config(given, {})
    earlier = config_values(config)
    del earlier["balance"]
    assert make_config({}, earlier) == config
    assert config.balance == "none"


def test_unknown_word_is_a_usage_error():
    with pytest.raises(UsageError, match=r"--balance cannot be 'samplin'.*'sampling'"):
        make_config({"dataset": "x", "balance": "samplin"}, {})


@pytest.mark.parametrize("model", ["svm", "random-forest", "knn"])
def test_classifier_without_epochs_refuses_it(model):
    options = ["train", "--dataset", "salinas-a", "--model", model]
    done = CliRunner().invoke(app, [*options, "--balance", "loss"])
    assert done.exit_code == 2
    assert f"--balance changes nothing of {model}" in done.stderr
