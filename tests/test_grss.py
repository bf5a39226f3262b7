"""The named split of the IEEE GRSS: exact counts of the real masks, and its errors."""

import json
import logging
from pathlib import Path

import numpy as np
import pytest
import scipy.io
from typer.testing import CliRunner

from hsijax.cli import app
from hsijax.errors import HsijaxError, UsageError
from hsijax.scenes import lookup
from hsijax.scenes.catalogue import CATALOGUE
from hsijax.scenes.grss import load_grss_masks
from hsijax.scenes.lookup import find_file
from hsijax.scenes.sources import hash_file
from hsijax.settings import make_config
from hsijax.splits import SplitPlan, load_splits, make_splits

HAVING = ["indian-pines", "pavia-university"]


def run_cli(*arguments: object):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_indian_pines_by_name(shared_data, tmp_path):
    out = tmp_path / "grss.npz"
    done = run_cli(
        *("split", "indian-pines", "--split", "grss", "--runs", 2, "--patch", 9),
        *("--data-dir", shared_data, "--out", out, "--json", "--quiet"),
    )
    assert done.exit_code == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["method"] == "grss"
    truth = np.load(shared_data / "indian_pines" / "Indian_pines_gt.npy")
    kept = load_splits(out, truth.astype(np.int32)).settings
    assert kept == {"patch": 9, "runs": 2, "seed": 0, "val_frac": 0.0}
    first, second = report["runs"]
    assert first == second
    assert (first["n_train"], first["n_test"]) == (5528, 4711)
    assert round(first["leakage"]["test_with_train_centre"], 2) == 0.71
    trained = [row["train"] for row in first["per_class"]]
    # Class by class in the ground truth's own numbers, not in the mask's.
    assert trained[:3] == [21, 753, 426]
    assert sum(trained) == 5528
    assert min(trained) == 10
    assert "matched as 1 -> 2, 2 -> 3, 3 -> 5" in done.stderr
    assert "161 of 5689 pixels of the training mask are left out" in done.stderr
    assert "151 have no label in the ground truth, 10 another class" in done.stderr


def test_pavia_university_by_name(shared_data, caplog):
    masks = load_grss_masks("pavia-university", data_dir=shared_data)
    assert list(masks) == ["train_mask", "test_mask"]
    truth = scipy.io.loadmat(shared_data / "pavia_university" / "paviaU_gt.mat")
    with caplog.at_level(logging.WARNING, "hsijax"):
        splits = make_splits(
            truth["paviaU_gt"].astype(np.int32),
            SplitPlan(
                "grss", train_mask=masks["train_mask"], test_mask=masks["test_mask"]
            ),
            seed=0,
            runs=2,
            patch_side=9,
        )
    assert [(len(split.train), len(split.test)) for split in splits] == [
        (2774, 40002)
    ] * 2
    # Once, though there are two runs.
    assert caplog.text.count("1147 of 3921 pixels of the training mask") == 1
    assert caplog.text.count("left out") == 1


def test_masks_are_those_of_the_sheets(shared_data):
    assert [s.name for s in CATALOGUE.values() if s.grss] == HAVING
    for name in HAVING:
        for file in CATALOGUE[name].grss:
            found = find_file(CATALOGUE[name], file, data_dir=shared_data)
            assert found is not None
            assert found.verified
            assert hash_file(found.path) == file.sha256[0]
            assert found.path.stat().st_size == file.size


@pytest.mark.parametrize("dataset", ["salinas-a", "own.npy"])
def test_scene_without_masks_is_told_which_have(dataset, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("own.npy").write_bytes(b"a scene")
    with pytest.raises(UsageError, match=rf"of {dataset}, only of indian-pines, pavia"):
        load_grss_masks(dataset)


def test_masks_that_cannot_be_had_are_named(tmp_path, monkeypatch):
    monkeypatch.delenv("HSIJAX_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(lookup, "SAMPLE_PACKAGES", {})
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with pytest.raises(HsijaxError, match=r"indianpines_disjoint_dset\.mat is in no"):
        load_grss_masks("indian-pines", data_dir=tmp_path)


def test_file_of_another_scene_under_a_masks_name_is_refused(tmp_path, caplog):
    sheet = CATALOGUE["indian-pines"]
    path = tmp_path / "indianpines_disjoint_dset.mat"
    scipy.io.savemat(path, {"indianpines_disjoint_dset": np.ones((9, 9), np.uint8)})
    with caplog.at_level(logging.WARNING, "hsijax"):
        found = find_file(sheet, sheet.grss[0], data_dir=tmp_path)
    assert found is None or not found.path.is_relative_to(tmp_path)
    assert "is not the train mask of indian-pines" in caplog.text


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"frac": 0.1}, "--split grss does not go with --frac"),
        ({"count": 5}, "--split grss does not go with --count"),
        ({"train_mask": "x.mat"}, "--split grss does not go with --train-mask"),
        ({"block_side": 5}, "split by blocks"),
    ],
)
def test_options_that_masks_leave_no_use_for_are_refused(given, words):
    with pytest.raises(UsageError, match=words):
        make_config({"dataset": "indian-pines", "split": "grss", **given}, {})


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--split", "random"], "--split random needs --frac"),
        (["--split", "blocks"], "--split blocks needs --frac"),
        (["--blocks"], "--blocks needs --frac"),
        (["--split", "grss", "--blocks"], "--blocks does not go with --split grss"),
        (["--split", "gras"], "did you mean 'grss'"),
        ([], "--train-mask and --split"),
    ],
)
def test_mistakes_of_the_split_command(arguments, words, tmp_path):
    done = run_cli("split", "salinas-a", *arguments, "--out", tmp_path / "x.npz")
    assert done.exit_code == 2
    assert words in done.stderr
