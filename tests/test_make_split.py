"""The splits of a configuration: made, or read from a split file."""

import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hsijax.config import TrainConfig
from hsijax.errors import UsageError
from hsijax.experiments.make_split import splits_of_config
from hsijax.io.cube import LazyCube
from hsijax.scenes import Scene, SourceFile
from hsijax.splits import save_splits

GROUND_TRUTH = np.kron([[1, 2], [2, 1]], np.ones((6, 6))).astype(np.int32)
SCENE = Scene(
    name="x",
    cube=LazyCube.from_array(np.zeros((12, 12, 1), dtype=np.int16)),
    source=SourceFile(Path("x.npy")),
    good_bands=np.ones(1, dtype=bool),
    ground_truth=GROUND_TRUTH,
)


def make(config, split_file=None):
    return splits_of_config(config, SCENE, GROUND_TRUTH, split_file)


@pytest.fixture
def config(tmp_path):
    """Write a file of two splits; return the configuration that reads it."""
    made = make(TrainConfig(dataset="x", frac=0.2, runs=2))
    path = tmp_path / "split.npz"
    save_splits(path, made.splits, shape=(12, 12), method=made.method)
    return TrainConfig(dataset="x", split="file", split_file=str(path), runs=2)


def test_splits_of_a_file_are_those_that_were_made(config):
    made = make(TrainConfig(dataset="x", frac=0.2, runs=2))
    read = make(config)
    assert read.method == "random"
    for one, other in zip(made.splits, read.splits, strict=True):
        assert np.array_equal(one.train, other.train)
        assert np.array_equal(one.test, other.test)
    assert made.settings["frac"] == 0.2


def test_fewer_runs_than_splits_take_the_first(config, caplog):
    with caplog.at_level(logging.INFO, "hsijax"):
        assert len(make(replace(config, runs=1)).splits) == 1
    assert "holds 2 splits; --runs 1 uses the first" in caplog.text


def test_blocks_of_a_smaller_patch_are_named(tmp_path, caplog):
    made = make(TrainConfig(dataset="x", frac=0.2))
    path = tmp_path / "split.npz"
    settings = {"patch": 3}
    save_splits(path, made.splits, shape=(12, 12), method="blocks", settings=settings)
    reads = TrainConfig(dataset="x", split="file", split_file=str(path), patch=3)
    make(reads)
    assert "patches of" not in caplog.text
    make(replace(reads, patch=5))
    assert "keeps patches of 3 pixels apart, not those of 5" in caplog.text


def test_more_runs_than_splits(config):
    with pytest.raises(UsageError, match="holds 2 splits, and --runs 3"):
        make(replace(config, runs=3))


def test_validation_is_held_out_of_a_file_without(config):
    without, held = make(config), make(replace(config, val_frac=0.25))
    for before, after in zip(without.splits, held.splits, strict=True):
        assert np.array_equal(before.test, after.test)
        assert len(after.validation) == 8
        assert len(after.train) + 8 == len(before.train)
    with pytest.raises(UsageError, match="--select validation needs validation"):
        make(replace(config, select="validation"))


def test_validation_is_not_held_out_twice(config, tmp_path):
    wanted = replace(config, val_frac=0.25)
    held = make(wanted)
    path = tmp_path / "held.npz"
    save_splits(path, held.splits, shape=(12, 12), method=held.method)
    with pytest.raises(UsageError, match="validation pixels of its own"):
        make(replace(wanted, split_file=str(path)))
    # A run folder's own file, on the other hand, is what the options led to.
    again = make(wanted, path)
    assert np.array_equal(again.splits[1].validation, held.splits[1].validation)
