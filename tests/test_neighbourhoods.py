"""A scene that is too large for memory trains on what lies around its labels."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from hsijax.cli import app
from hsijax.config import TrainConfig
from hsijax.errors import HsijaxError
from hsijax.experiments import run_scenes, task
from hsijax.io.cube import LazyCube
from hsijax.runs import Run
from hsijax.scenes import LandClass, Scene, SourceFile
from hsijax.scenes import scene as scene_module
from hsijax.scenes.neighbourhoods import find_neighbourhoods

ROWS, COLS = 500, 400


@pytest.fixture
def scene() -> Scene:
    """A scene with labels in three places, two of them at its borders."""
    rng = np.random.default_rng(0)
    truth = np.zeros((ROWS, COLS), np.int32)
    truth[:6, :9] = 1
    truth[120:127, 60:70] = 2
    truth[494:, 395:] = [1, 1, 2, 2, 1]
    cube = rng.normal(size=(ROWS, COLS, 4)) + 3 * truth[..., None]
    return Scene(
        "large",
        LazyCube.from_array(cube.astype(np.float32)),
        SourceFile(Path("large.npy")),
        np.ones(4, bool),
        ground_truth=truth,
        ground_truth_source=SourceFile(Path("labels.npy")),
        classes=(LandClass(1, "one", (1, 0, 0)), LandClass(2, "two", (2, 0, 0))),
    )


@pytest.fixture
def load(monkeypatch, scene):
    """Return a function that loads the task of the scene with so much memory."""

    def load_task(memory: int, **settings) -> task.Task:
        monkeypatch.setattr(task, "total_memory", lambda: memory)
        monkeypatch.setattr(run_scenes, "load_scene", lambda *_, **__: scene)
        monkeypatch.setattr(SourceFile, "sha256", "0" * 64)
        config = TrainConfig("large.npy", channels=3, patch=5, **settings)
        return task.load_task(config)

    return load_task


@pytest.mark.parametrize(
    "settings", [{"diffuse": "2"}, {"diffuse": "2", "split": "blocks", "frac": 0.2}]
)
def test_what_is_seen_of_labelled_pixels_is_that_of_the_whole_scene(load, settings):
    whole, near = load(10**9, **settings), load(10**6, **settings)
    assert whole.near is None
    assert near.near is not None
    assert near.valid.size < whole.valid.size / 2
    assert len(near.near.scene.parts) > 2
    split = whole.splits.splits[0]
    for role in ("train", "test"):
        drawn = getattr(near.splits.splits[0], role)
        assert np.array_equal(drawn, getattr(split, role))
    one, other = (each.fit_inputs(split) for each in (whole, near))
    for name, array in one.arrays().items():
        np.testing.assert_allclose(other.arrays()[name], array, rtol=1e-6, atol=1e-9)
    assert (whole.region(split) is not None) == ("split" in settings)
    # With the same inputs, so that nothing but the windows differs.
    everything, some = whole.prepare(one, split), near.prepare(one, split)
    labelled = np.argwhere(whole.ground_truth).astype(np.int32)
    offsets = np.mgrid[:5, :5].reshape(2, -1).T
    for pixels, placed in zip(labelled, near.place(labelled), strict=True):
        np.testing.assert_allclose(
            some[tuple((placed + offsets).T)],
            everything[tuple((pixels + offsets).T)],
            rtol=1e-5,
            atol=1e-5,
        )


def test_only_what_lies_around_labels_is_read(scene, load):
    looked_at = np.zeros((ROWS, COLS), bool)
    cube = scene.cube.load()

    def read(rows, cols):
        looked_at[rows, cols] = True
        return cube[rows, cols]

    lazy = replace(scene, cube=LazyCube(cube.shape, cube.dtype, read))
    near = find_neighbourhoods(lazy, margin=6, gap=4)
    assert not looked_at.any()
    near.scene.load()
    assert looked_at[scene.ground_truth > 0].all()
    assert looked_at.mean() < 0.5
    assert not looked_at[160:220, :100].any()


def test_all_is_read_where_labels_are_everywhere(load, scene):
    scene.ground_truth[::9, ::9] = 1
    with pytest.raises(HsijaxError, match="what lies around its labels"):
        load(10**6)
    assert load(8 * 10**6).near is None


def test_what_is_broken_is_named_by_its_place_in_the_file(scene, load):
    values = scene.cube.load()
    values[497, 390, 2] = np.nan
    with pytest.raises(HsijaxError, match="row 497, column 390"):
        load(10**6)


def test_labels_without_data_are_found_around_labels_only(scene, monkeypatch):
    rows_read = np.zeros(ROWS, bool)
    cube = scene.cube.load()
    cube[3, 4] = cube[250, 250] = -1

    def read(rows, cols):
        rows_read[rows] = True
        return cube[rows, cols]

    monkeypatch.setattr(scene_module, "BLOCK_BYTES", cube[:10].nbytes)
    lazy = LazyCube(cube.shape, cube.dtype, read)
    found = replace(scene, cube=lazy, nodata=-1.0).labels_without_data()
    assert np.argwhere(found).tolist() == [[3, 4]]
    assert rows_read.sum() == 30
    assert not replace(scene, nodata=None).labels_without_data().any()


@pytest.mark.parametrize("model", ["no-block", "knn"])
def test_predictions_are_those_of_the_map_of_the_whole(
    scene, monkeypatch, tmp_path, model
):
    np.savez(tmp_path / "large.npz", cube=scene.cube.load(), gt=scene.ground_truth)
    # Less than what the spectra of the scene take.
    monkeypatch.setattr(task, "total_memory", lambda: 10**6)
    out = tmp_path / "run"
    options = ["--patch", "3", "--epochs", "15", "--components", "pca"]
    options = [] if model == "knn" else [*options, "--diffuse", "none"]
    done = CliRunner().invoke(
        app,
        [
            *("train", "--dataset", str(tmp_path / "large.npz"), "--model", model),
            *("--frac", "0.3", "--val-frac", "0.3", "--out", str(out), "--quiet"),
            *options,
        ],
    )
    assert done.exit_code == 0, done.output + done.stderr
    assert "large is large: kept are the 4 windows around labelled" in done.stderr
    predictions = Run(out).read_predictions()
    classes = np.fromfile(out / "maps" / "large-classes.img", np.uint8)
    row, col = predictions["run0_pixels"].T
    mapped = classes.reshape(ROWS, COLS)[row, col]
    assert np.array_equal(mapped, predictions["run0_predicted"])
    assert np.array_equal(scene.ground_truth[row, col], predictions["run0_truth"])
    assert np.mean(mapped == predictions["run0_truth"]) > 0.9
