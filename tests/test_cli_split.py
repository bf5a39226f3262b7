"""`hsijax split` as a person and as a script call it."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from hsijax.cli import app
from hsijax.config import TrainConfig
from hsijax.experiments.task import load_task
from hsijax.splits import load_splits, random_split

ROWS, COLS, BANDS = 24, 20, 6
GROUND_TRUTH = np.kron([[1, 7, 1], [7, 0, 9], [1, 9, 7]], np.ones((8, 8)))[:, :COLS]


def run(*arguments):
    return CliRunner().invoke(app, ["split", *map(str, arguments)])


@pytest.fixture
def scene(tmp_path):
    """Write a cube and its ground truth; return the arguments that name them."""
    cube = np.random.default_rng(0).integers(1, 99, (ROWS, COLS, BANDS))
    np.save(tmp_path / "field.npy", cube.astype(np.int16))
    np.save(tmp_path / "truth.npy", GROUND_TRUTH.astype(np.uint8))
    return [tmp_path / "field.npy", "--ground-truth", tmp_path / "truth.npy"]


def test_table_and_file(scene, tmp_path):
    out = tmp_path / "split.npz"
    done = run(*scene, "--frac", 0.05, "--patch", 5, "--out", out)
    assert done.exit_code == 0, done.stderr
    lines = [line.split() for line in done.stdout.splitlines()]
    assert lines[1] == ["class", "labelled", "train", "validation", "test"]
    assert lines[2] == ["1", "class", "1", "160", "8", "0", "152"]
    assert lines[5] == ["all", "416", "21", "0", "395"]
    assert "holds a training pixel" in done.stdout
    assert f"wrote {out}" in done.stderr
    file = load_splits(out, GROUND_TRUTH.astype(np.int32))
    assert len(file.splits) == 1
    assert file.settings["frac"] == 0.05
    assert len(file.ground_truth_sha256 or "") == 64


def test_json_has_every_run(scene, tmp_path):
    out = tmp_path / "split.npz"
    done = run(
        *(*scene, "--frac", 0.1, "--val-frac", 0.2, "--runs", 2, "--out", out),
        *("--json", "--patch", 5),
    )
    report = json.loads(done.stdout)
    assert (report["method"], report["patch"]) == ("random", 5)
    splits = load_splits(out, GROUND_TRUTH.astype(np.int32)).splits
    for found, split in zip(report["runs"], splits, strict=True):
        assert found["n_train"] == len(split.train)
        assert found["n_validation"] == len(split.validation) > 0
        assert found["n_test"] == len(split.test)
        assert sum(c["test"] for c in found["per_class"]) == len(split.test)
        assert 0 < found["leakage"]["test_with_train_centre"] <= 1


def test_same_pixels_as_training_and_as_the_second_time(scene, tmp_path):
    out = tmp_path / "split.npz"
    options = (*scene, "--frac", 0.1, "--runs", 2, "--seed", 5, "--out", out)
    run(*options)
    config = TrainConfig(
        dataset=str(scene[0]), ground_truth=str(scene[2]), frac=0.1, runs=2, seed=5
    )
    trained = load_task(config).splits.splits
    file = load_splits(out, GROUND_TRUTH.astype(np.int32))
    for run_number, (one, other) in enumerate(zip(trained, file.splits, strict=True)):
        drawn = random_split(
            GROUND_TRUTH.astype(np.int32), frac=0.1, seed=[5, run_number]
        )
        assert np.array_equal(one.train, other.train)
        assert np.array_equal(one.train, drawn.train)
    before = out.read_bytes()
    assert run(*options, "--overwrite").exit_code == 0
    assert out.read_bytes() == before


def test_blocks_leak_nothing(scene, tmp_path):
    done = run(
        *(*scene, "--frac", 0.05, "--blocks", "--block-side", 3, "--patch", 5),
        *("--out", tmp_path / "split.npz", "--json"),
    )
    assert done.exit_code == 0, done.stderr
    (found,) = json.loads(done.stdout)["runs"]
    assert set(found["leakage"].values()) == {0.0}
    assert found["n_test"] > 0


def test_masks_report_conflicts(scene, tmp_path):
    mask = np.zeros((ROWS, COLS), dtype=np.uint8)
    mask[0:4, 0:4] = 1
    mask[0, 8:12] = 7
    mask[8, 8:11] = 9  # unlabelled there
    mask[1, 8] = 1  # another class there
    np.save(tmp_path / "train.npy", mask)
    done = run(
        *(*scene, "--train-mask", tmp_path / "train.npy"),
        *("--out", tmp_path / "split.npz", "--json"),
    )
    assert done.exit_code == 0, done.stderr
    (found,) = json.loads(done.stdout)["runs"]
    assert found["n_train"] == 20
    assert (
        "4 of 24 pixels of the training mask are left out: 3 have no label in the "
        "ground truth, 1 another class" in done.stderr
    )
    assert "warning: no training pixel for class 9" in done.stderr


def test_split_file_is_not_overwritten(scene, tmp_path):
    out = tmp_path / "split.npz"
    out.write_text("precious")
    done = run(*scene, "--frac", 0.1, "--out", out)
    assert done.exit_code == 2
    assert "give --overwrite" in done.stderr
    assert out.read_text() == "precious"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ([], "give one of --frac, --count, --train-mask and --split"),
        (["--frac", 0.1, "--count", 3], "give one of --frac, --count, not 2"),
        (["--count", 3, "--blocks"], "--split blocks does not go with --count"),
        (["--frac", 0.1, "--block-side", 3], "--block-side is the side of blocks"),
        (["--frac", 0.1, "--test-mask", "x.npy"], "--test-mask needs --train-mask"),
        (["--frac", 1.0], "--frac must lie between 0 and 1, not 1"),
        (["--count", 0], "--count must be between 1"),
        (["--frac", 0.1, "--patch", 8], "odd"),
        (["--frac", 0.1, "--patch", 21], "larger than the scene of 24 x 20"),
        (["--frac", 0.1, "--blocks", "--block-side", 25], "--block-side 25"),
        (["--frac", 0.1, "--out", "split.csv"], "name it split.npz"),
    ],
)
def test_mistakes(scene, tmp_path, monkeypatch, options, words):
    monkeypatch.chdir(tmp_path)
    done = run(*scene, "--out", "split.npz", *options)
    assert done.exit_code == 2
    assert words in done.stderr
    assert len(done.stderr.strip().splitlines()) <= 2
    assert not list(tmp_path.glob("*.npz"))


def test_scene_without_ground_truth(scene, tmp_path):
    done = run(scene[0], "--frac", 0.1, "--out", tmp_path / "split.npz")
    assert done.exit_code == 1
    assert "give --ground-truth FILE" in done.stderr
