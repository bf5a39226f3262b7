"""Several scenes as one: where they lie, bands, classes, what is refused."""

import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hsijax.errors import HsijaxError, UsageError
from hsijax.io.cube import Georeference, LazyCube
from hsijax.scenes import LandClass, Scene, SourceFile, stack_scenes
from hsijax.scenes.bands import fit_scene
from hsijax.scenes.sensor import Sensor

WATER, WOOD, SOIL = (
    LandClass(number, name, (number, 0, 0))
    for number, name in enumerate(("water", "wood", "soil"), start=1)
)


@pytest.fixture
def make(tmp_path):
    """Return a function that makes a scene of some size with classes of its own."""

    def make_scene(name: str, rows: int, cols: int, *classes: LandClass, bands=3):
        rng = np.random.default_rng(rows)
        cube = rng.integers(1, 100, (rows, cols, bands)).astype(np.uint8)
        truth = np.resize([0, *(one.id for one in classes)], (rows, cols))
        path = tmp_path / f"{name}-{rows}x{cols}x{bands}.npy"
        np.save(path, cube)
        return Scene(
            name,
            LazyCube.from_array(cube),
            SourceFile(path),
            np.ones(bands, bool),
            np.linspace(400, 700, bands),
            nodata=0.0,
            ground_truth=truth.astype(np.int32),
            ground_truth_source=SourceFile(path),
            classes=classes,
        )

    return make_scene


def test_scenes_lie_below_each_other_with_no_data_between(make):
    one, two = make("a", 4, 6, WATER, WOOD), make("b", 5, 3, WATER, WOOD)
    cube, truth = one.cube.load().copy(), one.ground_truth.copy()
    cube[1, 2] = 0
    truth[1, 2] = 0
    one = replace(one, cube=LazyCube.from_array(cube), ground_truth=truth)
    stack = stack_scenes([one, two], gap=7)
    assert stack.shape == (16, 6, 3)
    assert stack.windows == (
        (slice(0, 4), slice(0, 6)),
        (slice(11, 16), slice(0, 3)),
    )
    values, valid = stack.load()
    expected = np.zeros((16, 6), bool)
    expected[:4] = expected[11:, :3] = True
    expected[1, 2] = False
    assert np.array_equal(valid, expected)
    assert np.array_equal(values[:4][valid[:4]], cube[valid[:4]])
    assert np.array_equal(values[11:, :3], two.cube.load())
    assert not values[~valid].any()
    assert stack.ground_truth is not None
    assert np.array_equal(stack.ground_truth[:4], truth)
    assert np.array_equal(stack.ground_truth[11:, :3], two.ground_truth)
    assert not stack.ground_truth[~valid].any()
    assert stack.georeference is None
    # What is read window by window is what `load` returns.
    window = stack.cube.read(slice(2, 13), slice(1, 5))
    assert np.array_equal(np.isnan(window).all(axis=2), ~valid[2:13, 1:5])
    assert np.array_equal(np.nan_to_num(window), values[2:13, 1:5])
    assert np.array_equal(stack.is_valid(stack.cube.load()), valid)


def test_cubes_are_not_read_before_they_are_looked_at(make):
    def read(rows, cols):
        raise AssertionError

    scenes = [make("a", 4, 6, WATER, WOOD), make("b", 5, 3, WATER, WOOD)]
    scenes[1] = replace(scenes[1], cube=LazyCube(scenes[1].shape, np.dtype("u1"), read))
    stack = stack_scenes(scenes, gap=7)
    stack.cube.read(slice(0, 11), slice(0, 6))
    with pytest.raises(AssertionError):
        stack.cube.read(slice(0, 12), slice(0, 6))


def test_classes_are_one_by_name_and_what_is_renumbered_is_said(make, caplog):
    caplog.set_level("INFO", "hsijax")
    other = replace(WOOD, id=1, name=" Wood"), replace(SOIL, id=2, colour=WATER.colour)
    stack = stack_scenes([make("a", 4, 6, WATER, WOOD), make("b", 5, 3, *other)], gap=2)
    assert [(one.id, one.name) for one in stack.classes] == [
        *((1, "water"), (2, "wood"), (3, "soil")),
    ]
    assert len({one.colour for one in stack.classes}) == 3
    _, second = stack.parts
    assert second.scene.classes == stack.classes
    assert second.scene.ground_truth is not None
    assert second.scene.ground_truth[0].tolist() == [0, 2, 3]
    assert "b numbers its classes in another way" in caplog.text
    assert "wood 1 -> 2, soil 2 -> 3" in caplog.text


def test_classes_without_names_are_one_by_number(make, caplog):
    caplog.set_level("INFO", "hsijax")
    nameless = [
        LandClass(number, f"class {number}", (9, 9, number)) for number in (2, 7)
    ]
    stack = stack_scenes(
        [make("a", 4, 6, *nameless), make("b", 5, 3, WATER, WOOD)], gap=2
    )
    assert [(one.id, one.name) for one in stack.classes] == [
        *((1, "water"), (2, "wood"), (7, "class 7")),
    ]
    assert not caplog.text


def test_classes_that_no_scene_trains_are_left_out_with_their_counts(make, caplog):
    scenes = [make("a", 4, 6, WATER, WOOD), make("b", 5, 3, WOOD, SOIL)]
    stack = stack_scenes(scenes, gap=2, training=1)
    assert stack.classes == (WATER, WOOD)
    assert [part.trains for part in stack.parts] == [True, False]
    assert stack.ground_truth is not None
    assert stack.ground_truth.max() == 2
    assert "b: not tested, because no scene that trains has it" in caplog.text
    assert "soil (5 pixels)" in caplog.text
    caplog.clear()
    assert len(stack_scenes(scenes, gap=2).classes) == 3
    assert not caplog.text


def test_bad_bands_of_one_are_bad_in_all(make, caplog):
    caplog.set_level("INFO", "hsijax")
    scenes = [make("a", 4, 6, WATER, WOOD), make("b", 5, 3, WATER, WOOD)]
    scenes[1] = replace(scenes[1], good_bands=np.array([True, False, True]))
    stack = stack_scenes(scenes, gap=2)
    assert stack.good_bands.tolist() == [True, False, True]
    assert stack.load()[0].shape == (11, 6, 2)
    assert "1 bands are left out" in caplog.text


def test_names_that_are_there_already_are_numbered(make):
    scenes = [make("t", rows, 4, WATER, WOOD) for rows in (4, 5, 6, 7)]
    stack = stack_scenes(scenes, gap=2)
    assert [part.scene.name for part in stack.parts] == ["t", "t-2", "t-3", "t-4"]
    assert stack.name == "t+t-2+t-3+1-more"


def test_what_is_broken_names_its_own_file(make):
    scenes = [make("a", 4, 6, WATER, WOOD), make("b", 5, 3, WATER, WOOD)]
    cube = scenes[1].cube.load().astype(np.float32)
    cube[2, 1, 0] = np.inf
    scenes[1] = replace(scenes[1], cube=LazyCube.from_array(cube))
    with pytest.raises(HsijaxError, match=r"b-5x3x3.* row 2, column 1") as caught:
        stack_scenes(scenes, gap=2).load()
    assert "a-4x6x3" not in str(caught.value)


def test_scenes_that_do_not_fit_are_refused(make):
    first = make("a", 4, 6, WATER, WOOD)
    second = make("b", 5, 3, WATER, WOOD)
    far = replace(second, wavelengths=np.array([400.0, 550.0, 600.0]))
    cases = [
        (
            replace(make("b", 5, 3, WATER, bands=4), wavelengths=None),
            "b has 4 bands",
        ),
        (far, r"b \(400 to 600 nm\) does not cover"),
        (
            replace(second, ground_truth=None),
            "b has no ground truth: give one for each",
        ),
        (
            replace(second, good_bands=np.zeros(3, bool)),
            "no band in common",
        ),
    ]
    for scene, said in cases:
        with pytest.raises(HsijaxError, match=said):
            stack_scenes([replace(first, scale=1.0), scene], gap=2)
    near = replace(second, wavelengths=np.array([400.0, 554.0, 700.0]))
    assert stack_scenes([first, near], gap=2).shape == (11, 6, 3)


def test_other_bands_and_scales_become_those_of_the_first_scene(make):
    first = replace(make("a", 4, 6, WATER, WOOD), scale=1.0)
    second = make("b", 5, 3, WATER, WOOD)
    lengths = np.array([390.0, 560.0, 710.0])
    second = replace(second, wavelengths=lengths, scale=100.0)
    piled, _ = stack_scenes([first, second], gap=2).load()
    assert np.array_equal(piled[:4], first.load()[0])
    expected = fit_scene(second, Sensor.of(first)).load()[0]
    assert np.array_equal(piled[6:11, :3], expected)
    assert not np.allclose(expected, second.load()[0] / 100, rtol=1e-3)


def test_values_of_unknown_scale_are_not_mixed_in_silence(make, caplog):
    first, second = make("a", 4, 6, WATER, WOOD), make("b", 5, 3, WATER, WOOD)
    cube = second.cube.load().astype(np.float32)
    second = replace(second, cube=LazyCube.from_array(cube), scale=None)
    with caplog.at_level(logging.WARNING, "hsijax"):
        stack_scenes([replace(first, scale=None), second], gap=2)
    assert "its values are taken as they are" in caplog.text


def test_a_tile_of_a_training_scene_is_not_tested(make):
    first, second = make("a", 4, 6, WATER, WOOD), make("b", 5, 3, WATER, WOOD)
    tiles = SourceFile(Path("tiles"), None, (first.source, second.source))
    with pytest.raises(UsageError, match="holds the same as"):
        stack_scenes([replace(first, source=tiles), second], gap=2, training=1)


def test_ground_that_trains_and_is_tested_is_said(make, caplog):
    place = Georeference("EPSG:32633", (10.0, 0.0, 0.0, 0.0, -10.0, 0.0))
    beside = Georeference("EPSG:32633", (10.0, 0.0, 60.0, 0.0, -10.0, 0.0))
    first = replace(make("a", 4, 6, WATER, WOOD), georeference=place)
    second = make("b", 5, 3, WATER, WOOD)
    with caplog.at_level(logging.WARNING, "hsijax"):
        apart = replace(second, georeference=beside)
        stack_scenes([first, apart], gap=2, training=1)
        assert "lies partly where" not in caplog.text
        over = replace(second, georeference=place)
        stack_scenes([first, over], gap=2, training=1)
    assert "b, which is tested, lies partly where a lies" in caplog.text


def test_a_file_is_used_once_also_as_a_copy(make, tmp_path):
    scene = make("a", 4, 6, WATER, WOOD)
    with pytest.raises(UsageError, match="holds the same as"):
        stack_scenes([scene, replace(scene, name="b")], gap=2)
    copy = tmp_path / "copy.npy"
    copy.write_bytes(Path(scene.source.path).read_bytes())
    with pytest.raises(UsageError, match=r"copy\.npy holds the same as .*a-4x6x3"):
        stack_scenes([scene, replace(scene, source=SourceFile(copy))], gap=2)
