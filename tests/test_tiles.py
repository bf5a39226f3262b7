"""Tiles: what they are, and that nothing in a map depends on them."""

import errno
import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from hsijax.classification import tiles
from hsijax.classification.trained import TrainedClassifier
from hsijax.cli import app
from hsijax.config.memory import parse_memory
from hsijax.errors import HsijaxError, UsageError
from hsijax.experiments import classify_scene as scenes
from hsijax.experiments import map_scene
from hsijax.experiments.map_run import map_run
from hsijax.experiments.map_scene import LAYERS, MapSettings
from hsijax.experiments.tile_store import TileStore
from hsijax.io.cube import LazyCube
from hsijax.runs import Run
from hsijax.scenes import Scene, load_scene
from hsijax.scenes.scene import SourceFile
from hsijax.scenes.tiles import UNIT, Window, choose_side, plan_tiles, surround

sides = st.integers(1, 300)


@given(sides, sides, st.integers(1, 4))
def test_tiles_cover_each_pixel_once_and_consist_of_whole_units(rows, cols, units):
    count = np.zeros((rows, cols), int)
    seen = []
    for tile in plan_tiles((rows, cols), units * UNIT):
        count[tile] += 1
        seen += tile.units()
    assert (count == 1).all()
    everything = plan_tiles((rows, cols), UNIT)
    assert sorted(map(str, seen)) == sorted(map(str, everything))


@given(sides, sides, st.integers(1, 3), st.integers(0, 90))
def test_windows_are_of_one_size_and_hold_the_surroundings(rows, cols, units, margin):
    side = units * UNIT
    shapes = set()
    for tile in plan_tiles((rows, cols), side):
        window = surround(tile, margin, (rows, cols), side)
        shapes.add(window.shape)
        for inner, outer, length in zip(tile, window, (rows, cols), strict=True):
            assert 0 <= outer.start <= max(inner.start - margin, 0)
            assert min(inner.stop + margin, length) <= outer.stop <= length
    assert len(shapes) == 1


def test_side_keeps_to_the_budget_and_is_never_less_than_a_unit():
    shape = (5000, 3000)
    side = choose_side(10**9, 2000, 71, shape)
    assert side % UNIT == 0
    assert (side + 142) ** 2 * 2000 <= 10**9 < (side + UNIT + 142) ** 2 * 2000
    assert choose_side(1, 2000, 71, shape) == UNIT
    assert choose_side(10**12, 2000, 71, (100, 145)) == 3 * UNIT  # all of it


@pytest.mark.parametrize("text", ["", "much", "-1G", "0", "1.5X"])
def test_what_is_no_amount_of_memory_is_refused(text):
    with pytest.raises(UsageError, match="amount of memory"):
        parse_memory(text)


@given(st.integers(1, 200), st.integers(1, 200), st.data())
@settings(max_examples=8, deadline=None)
def test_store_gives_back_what_was_written(tmp_path_factory, rows, cols, data):
    folder = tmp_path_factory.mktemp("store") / "tiles"
    layers = {"one": (np.dtype(np.uint16), 1), "three": (np.dtype(np.float32), 3)}
    store = TileStore.open(folder, (rows, cols), layers, {"seed": 1})
    rng = np.random.default_rng(0)
    one = rng.integers(0, 999, (rows, cols)).astype(np.uint16)
    three = rng.random((rows, cols, 3)).astype(np.float32)
    written = data.draw(st.lists(st.sampled_from(plan_tiles((rows, cols), UNIT))))
    for tile in written:
        store.write(tile, one=one[tile], three=three[tile])
    again = TileStore.open(folder, (rows, cols), layers, {"seed": 1})
    there = np.zeros((rows, cols), bool)
    for tile in plan_tiles((rows, cols), UNIT):
        assert again.done(tile) == (tile in written)
        there[tile] = tile in written
    assert again.pixels_done() == there.sum()
    assert np.array_equal(again.layer("one"), np.where(there, one, 0))
    assert np.array_equal(again.layer("three"), np.where(there[..., None], three, 0))
    other = TileStore.open(folder, (rows, cols), layers, {"seed": 2})
    assert other.pixels_done() == 0
    assert not other.layer("one").any()
    other.remove()
    assert not folder.exists()


def train(folder, shared_data, *options) -> Run:
    command = ["train", "--dataset", "salinas-a", "--data-dir", shared_data]
    command += ["--frac", "0.01", "--no-map", "--quiet", "--out", folder, *options]
    done = CliRunner().invoke(app, [str(word) for word in command])
    assert done.exit_code == 0, done.output
    return Run(folder)


QUICK = ("--epochs", "1", "--channels", "8", "--patch", "3")


@pytest.fixture(scope="module")
def diffused(shared_data, tmp_path_factory) -> Run:
    """A run whose pixels have an influence over 17 of their neighbours."""
    folder = tmp_path_factory.mktemp("diffused") / "run"
    return train(folder, shared_data, *QUICK, "--diffuse", "1,2")


def classify(run: Run, scene: Scene, side: int):
    classifier = TrainedClassifier.load(run.network_file(0))
    job = tiles.Job(classifier.fit_scene(scene), side)
    classes = np.full(scene.shape[:2], -1)
    confidence = np.zeros(scene.shape[:2], np.float32)
    for tile, found in tiles.classify_tiles(
        classifier, job, plan_tiles(scene.shape, side)
    ):
        classes[tile], confidence[tile] = found
    return classes, confidence


def whole(run: Run, scene: Scene):
    """Predict all pixels in one go, as the test pixels of a run are."""
    classifier = TrainedClassifier.load(run.network_file(0))
    cube, valid = scene.load()
    classes = np.zeros(valid.shape, int)
    confidence = np.full(valid.shape, np.nan, np.float32)
    padded = classifier.prepare(cube, valid)
    classes[valid], confidence[valid] = classifier.predict(padded, np.argwhere(valid))
    return classes, confidence


def cut(scene: Scene, cols: slice) -> Scene:
    cube = LazyCube.from_array(scene.cube.load()[:21, cols])
    return replace(scene, cube=cube, ground_truth=None)


def wide_scene(shared_data) -> Scene:
    """Salinas-A beside its mirror image, with a hole of no data."""
    scene = load_scene("salinas-a", data_dir=shared_data)
    cube = scene.cube.load().astype(np.float32)
    cube = np.concatenate([cube, cube[:, ::-1]], axis=1)
    cube[30:40, 60:70] = np.nan
    source = SourceFile(scene.source.path)
    made = Scene("wide", LazyCube.from_array(cube), source, scene.good_bands)
    return replace(made, nodata=float("nan"))


def test_map_is_the_same_for_tiles_of_every_size(diffused, shared_data):
    scene = wide_scene(shared_data)
    expected = whole(diffused, scene)
    assert len(np.unique(expected[0])) > 2
    assert np.isnan(expected[1]).sum() == 100
    for side in (UNIT, 2 * UNIT, 3 * UNIT):
        found = classify(diffused, scene, side)
        assert np.array_equal(found[0], expected[0])
        assert np.array_equal(found[1], expected[1], equal_nan=True)


def test_so_it_is_where_a_batch_shares_its_steps(shared_data, tmp_path):
    adaptive = ("--solver", "bosh3", "--rtol", "1e-1")
    run = train(tmp_path / "run", shared_data, *QUICK, "--diffuse", "none", *adaptive)
    assert run.read_config().step_control == "batch"
    scene = cut(load_scene("salinas-a", data_dir=shared_data), slice(0, 70))
    first, second = (classify(run, scene, side) for side in (UNIT, 2 * UNIT))
    assert np.array_equal(first[0], second[0])
    assert np.array_equal(first[1], second[1])


def test_so_it_is_of_a_classifier_of_single_pixels(shared_data, tmp_path):
    run = train(tmp_path / "run", shared_data, "--model", "svm")
    scene = wide_scene(shared_data)
    expected = whole(run, scene)
    for side in (UNIT, 3 * UNIT):
        found = classify(run, scene, side)
        assert np.array_equal(found[0], expected[0])
        assert np.array_equal(found[1], expected[1], equal_nan=True)


def map_files(run: Run, shared_data, **settings) -> dict[str, bytes]:
    files, _ = map_run(run, MapSettings(**settings), data_dir=shared_data)
    return {path.name: path.read_bytes() for path in files}


def test_files_are_the_same_with_little_memory_and_after_a_kill(
    diffused, shared_data, monkeypatch
):
    expected = map_files(diffused, shared_data)
    predicted = []
    predict = TrainedClassifier.predict

    def stop_at_the_third(self, padded, pixels, progress=None):
        if len(predicted) == 2:
            raise KeyboardInterrupt
        predicted.append(len(pixels))
        return predict(self, padded, pixels)

    monkeypatch.setattr(TrainedClassifier, "predict", stop_at_the_third)
    with pytest.raises(KeyboardInterrupt):
        map_run(diffused, MapSettings(memory=1), data_dir=shared_data)
    (left,) = diffused.maps.glob(".*.tiles")
    assert json.loads((left / "plan.json").read_text())
    predicted.clear()

    def count(self, padded, pixels, progress=None):
        predicted.append(len(pixels))
        return predict(self, padded, pixels)

    monkeypatch.setattr(TrainedClassifier, "predict", count)
    assert map_files(diffused, shared_data, memory=1) == expected
    # Of four tiles one was kept; the second was on its way when the third failed.
    assert len(predicted) in (2, 3)
    assert not list(diffused.maps.glob(".*"))


def test_tiles_of_other_settings_are_not_gone_on_with(diffused, shared_data):
    scene = load_scene("salinas-a", data_dir=shared_data)
    folder = diffused.maps / ".salinas-a.tiles"
    store = TileStore.open(folder, scene.shape[:2], LAYERS, {"network": "another"})
    wrong = np.full(scene.shape[:2], 1)
    for tile in plan_tiles(scene.shape, UNIT):
        store.write(tile, classes=wrong[tile], confidence=wrong[tile])
    expected = map_files(diffused, shared_data)
    assert map_files(diffused, shared_data) == expected
    classes = np.fromfile(diffused.maps / "salinas-a-classes.img", np.uint8)
    assert len(np.unique(classes)) > 2


def test_a_full_disk_is_said_and_the_map_goes_on_later(
    diffused, shared_data, monkeypatch
):
    expected = map_files(diffused, shared_data)
    calls = []

    def fill_up(_):
        calls.append(1)
        if len(calls) == 6:  # two layers a tile
            raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fill_up)
        with pytest.raises(HsijaxError, match="the disk is full"):
            map_run(diffused, MapSettings(memory=1), data_dir=shared_data)
    assert map_files(diffused, shared_data, memory=1) == expected


def map_foreign(run: Run, path: Path, key: str, **settings) -> dict[str, bytes]:
    files, _ = map_run(run, MapSettings(**settings), [str(path)], cube_key=key)
    return {path.name: path.read_bytes() for path in files}


def two_cubes(shared_data, folder) -> Path:
    """A file of two cubes of Salinas-A's bands."""
    cube = load_scene("salinas-a", data_dir=shared_data).cube.load()
    folder.mkdir()
    np.savez(folder / "two.npz", a=cube, b=cube[::-1, ::-1])
    return folder / "two.npz"


def test_another_cube_of_the_file_is_not_gone_on_with(
    diffused, shared_data, tmp_path, monkeypatch
):
    path = two_cubes(shared_data, tmp_path / "one")
    predict, calls = TrainedClassifier.predict, []

    def stop(self, padded, pixels, progress=None):
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return predict(self, padded, pixels)

    with monkeypatch.context() as patch:
        patch.setattr(TrainedClassifier, "predict", stop)
        with pytest.raises(KeyboardInterrupt):
            map_foreign(diffused, path, "a", memory=1)
    after_a_stop = map_foreign(diffused, path, "b", memory=1)
    files = {name: data for name, data in after_a_stop.items() if "classes" in name}
    again = two_cubes(shared_data, tmp_path / "other")
    clean = map_foreign(diffused, again, "b", memory=1)
    # Not over the map of the scene of the same name and content, and the same.
    assert list(files.values()) == [d for n, d in clean.items() if "classes" in n]


def test_a_map_of_another_scene_of_this_name_stays(diffused, shared_data, tmp_path):
    first = map_foreign(diffused, two_cubes(shared_data, tmp_path / "x"), "a")
    second = map_foreign(diffused, two_cubes(shared_data, tmp_path / "y"), "b")
    assert not set(first) & set(second)
    for name, data in first.items():
        assert (diffused.maps / name).read_bytes() == data


def test_pictures_of_large_scenes_are_thinned(diffused, shared_data, monkeypatch):
    from PIL import Image

    monkeypatch.setattr(map_scene, "LARGEST_PICTURE", 30)
    files, _ = map_run(diffused, MapSettings(), data_dir=shared_data)
    bare = next(path for path in files if path.name.endswith("classes.png"))
    raster = np.fromfile(bare.with_suffix(".img"), np.uint8).reshape(83, 86)
    assert np.array_equal(np.asarray(Image.open(bare)), raster[::3, ::3])


def test_memory_is_what_a_tile_is_given(diffused, shared_data, monkeypatch):
    given = []
    choose = scenes.choose_tile_side

    def note(classifier, scene, memory):
        given.append(memory)
        return choose(classifier, scene, memory)

    monkeypatch.setattr(scenes, "choose_tile_side", note)
    monkeypatch.setattr(scenes, "resident_memory", lambda: 10**8)
    map_run(diffused, MapSettings(memory=3 * 10**8), data_dir=shared_data)
    assert given == [2 * 10**8]


def test_window_of_a_scene_is_a_part_of_the_whole(shared_data):
    scene = wide_scene(shared_data)
    values, valid = scene.load()
    part = Window(slice(20, 50), slice(40, 100))
    found = scene.load(part)
    assert np.array_equal(found[0], values[part])
    assert np.array_equal(found[1], valid[part])
