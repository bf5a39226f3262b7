"""Class maps as pictures: every pixel of the scene in its colour, nothing cut off."""

import subprocess
import sys

import matplotlib
import numpy as np
import pytest
from pictures import assert_nothing_is_cut, find, open_rgb
from PIL import Image

from hsijax.errors import HsijaxError
from hsijax.reports.drawing import STAMP
from hsijax.reports.maps import (
    ERROR_CLASSES,
    NOT_EVALUATED_COLOUR,
    error_map,
    save_class_map_figure,
    save_confidence_png,
    save_palette_png,
)
from hsijax.reports.panels import resize_pixels
from hsijax.scenes.scene import LandClass

WHITE = (255, 255, 255)

# Ids with gaps; names that mathematics, HTML and old encodings stumble over.
CLASSES = (
    LandClass(1, r"Corn, notill $\bad$", (255, 0, 0)),
    LandClass(10, "Bäume & Sträucher <b>", (0, 128, 0)),
    LandClass(14, "Wasser", (0, 0, 255)),
)
RNG = np.random.default_rng(7)


def enlarge(values: np.ndarray, colours: dict[int, tuple[int, int, int]]) -> np.ndarray:
    """Paint a map and enlarge it as the figure does."""
    rgb = np.zeros((*values.shape, 3), np.uint8)
    for value, colour in colours.items():
        rgb[values == value] = colour
    return resize_pixels(rgb)


def make_maps(rows: int, cols: int) -> tuple[np.ndarray, np.ndarray]:
    ids = [land.id for land in CLASSES]
    ground_truth = RNG.choice([0, *ids], (rows, cols))
    class_map = np.where(ground_truth == 0, ids[0], ground_truth)
    class_map[::3, ::3] = ids[2]
    return class_map, ground_truth


def test_error_map_marks_each_kind_of_pixel():
    class_map = np.array([[1, 2, 3], [0, 1, 2]])
    ground_truth = np.array([[1, 1, 0], [1, 1, 2]], np.uint8)
    train_pixels = np.array([[1, 1]])
    expected = [[1, 2, 0], [0, 3, 1]]
    assert error_map(class_map, ground_truth, train_pixels).tolist() == expected


def test_only_test_pixels_are_evaluated_where_they_are_named():
    """Labelled pixels in the buffer around blocks are neither right nor wrong."""
    ones = np.ones((1, 4), dtype=np.int32)
    errors = error_map(ones, ones, np.array([[0, 0]]), np.array([[0, 3]]))
    assert errors.tolist() == [[3, 0, 0, 1]]


@pytest.mark.parametrize(("rows", "cols"), [(25, 30), (145, 145), (512, 217)])
def test_figure_shows_every_pixel_of_three_maps(tmp_path, rows, cols):
    class_map, ground_truth = make_maps(rows, cols)
    train_pixels = np.argwhere(ground_truth > 0)[::10]
    path = tmp_path / "map.png"
    save_class_map_figure(
        path,
        class_map,
        CLASSES,
        title=r"A scene, $\bad$",
        ground_truth=ground_truth,
        train_pixels=train_pixels,
        note="EPSG:32611",
    )
    image = open_rgb(path)
    assert_nothing_is_cut(image)
    # None of the classes is dark, so black is the colour least like them.
    colours = {land.id: land.colour for land in CLASSES}
    errors = error_map(class_map, ground_truth, train_pixels)
    error_colours = {land.id: land.colour for land in ERROR_CLASSES}
    places = [
        find(image, enlarge(class_map, colours)),
        find(image, enlarge(ground_truth, colours | {0: (242, 242, 242)})),
        find(image, enlarge(errors, error_colours | {0: NOT_EVALUATED_COLOUR})),
    ]
    assert [len(found) for found in places] == [1, 1, 1]
    (top, left), (_, middle), (_, right) = (found[0] for found in places)
    assert {found[0][0] for found in places} == {top}
    assert left < middle < right
    # The legends: each colour again, as a square beneath the maps.
    bottom = top + len(resize_pixels(class_map))
    for colour in [*colours.values(), *error_colours.values()]:
        assert find(image[bottom:], np.full((14, 14, 3), colour, np.uint8))


def test_figure_of_a_map_alone(tmp_path):
    class_map, _ = make_maps(20, 20)
    path = tmp_path / "map.png"
    save_class_map_figure(path, class_map, CLASSES, title="")
    image = open_rgb(path)
    colours = {land.id: land.colour for land in CLASSES}
    assert len(find(image, enlarge(class_map, colours))) == 1
    assert image.shape[1] < 900


@pytest.mark.parametrize("shape", [(25, 30), (300, 8), (8, 300)])
def test_legend_of_sixty_long_names_is_not_cut(tmp_path, shape):
    classes = [
        LandClass(
            3 * i + 2, f"A name of many letters, number {i} " * 2, (4 * i, 90, 200)
        )
        for i in range(60)
    ]
    class_map = RNG.choice([land.id for land in classes], shape)
    path = tmp_path / "map.png"
    save_class_map_figure(path, class_map, classes, title="A", ground_truth=class_map)
    image = open_rgb(path)
    assert_nothing_is_cut(image)
    beneath = image[len(resize_pixels(class_map)) :]
    packed = beneath.astype(int) @ [65536, 256, 1]
    counts = np.bincount(packed.ravel(), minlength=2**24)
    for land in classes:
        assert counts[int.from_bytes(land.colour)] > 12 * 12, land


def test_long_words_around_a_narrow_map_are_not_cut(tmp_path):
    for words in (("A " * 60, ""), ("A", "B " * 90)):
        path = tmp_path / "map.png"
        class_map = np.ones((300, 8), int)
        save_class_map_figure(path, class_map, CLASSES, title=words[0], note=words[1])
        assert_nothing_is_cut(open_rgb(path))


def test_no_class_differs_from_a_black_class(tmp_path):
    classes = (LandClass(1, "asphalt", (0, 0, 0)), LandClass(2, "snow", WHITE))
    class_map = np.array([[0, 1], [2, 1]])
    path = tmp_path / "map.png"
    save_class_map_figure(path, class_map, classes, title="A")
    colours = {0: (128, 128, 128), 1: (0, 0, 0), 2: WHITE}
    assert len(find(open_rgb(path), enlarge(class_map, colours))) == 1


def test_selection_on_test_is_stamped_in_red(tmp_path):
    class_map, _ = make_maps(20, 20)
    red = tuple(bytes.fromhex(STAMP[1:]))
    confidence = np.ones((20, 20), np.float32)
    for stamped in (True, False):
        one, other = tmp_path / "map.png", tmp_path / "confidence.png"
        save_class_map_figure(
            one, class_map, CLASSES, title="A", selected_on_test=stamped
        )
        save_confidence_png(other, confidence, title="A", selected_on_test=stamped)
        for path in (one, other):
            assert (open_rgb(path) == red).all(axis=2).any() == stamped


def test_figure_does_not_depend_on_the_users_settings(tmp_path):
    class_map, ground_truth = make_maps(20, 20)
    paths = [tmp_path / "one.png", tmp_path / "other.png"]
    for path, family in zip(paths, ("sans-serif", "monospace"), strict=True):
        with matplotlib.rc_context({"font.family": family}):
            save_class_map_figure(
                path, class_map, CLASSES, title="A", ground_truth=ground_truth
            )
    assert paths[0].read_bytes() == paths[1].read_bytes()


@pytest.mark.parametrize("greys", [False, True])
def test_rejected_pixels_are_grey_and_named(tmp_path, greys):
    """Whatever the classes look like, and apart from what has no data."""
    class_map, _ = make_maps(30, 30)
    class_map[:10], class_map[20:, 20:] = 0, 0
    rejected = np.zeros((30, 30), bool)
    rejected[:10] = True
    classes = list(CLASSES)
    if greys:
        classes[0] = LandClass(1, "Asphalt", (160, 160, 160))
    one, other = tmp_path / "one.png", tmp_path / "other.png"
    save_class_map_figure(one, class_map, classes, title="A")
    save_class_map_figure(other, class_map, classes, title="A", rejected=rejected)
    before, after = open_rgb(one), open_rgb(other)
    grey = after[150, 300]  # among the first rows, which are enlarged by 24
    assert len(set(grey)) == 1
    assert tuple(grey) not in {land.colour for land in classes}
    assert not np.array_equal(before[150, 300], grey)
    area = (after == grey).all(axis=2).sum()
    # A third of the map, and the patch in the legend.
    assert 720 * 240 < area < 720 * 240 + 1000
    assert (before == grey).all(axis=2).sum() < 1000


def test_letters_that_the_font_lacks_do_not_stop_the_map(tmp_path):
    classes = (LandClass(1, "水田", (1, 2, 3)),)
    save_class_map_figure(
        tmp_path / "map.png", np.ones((5, 5), int), classes, title="稻"
    )
    assert (tmp_path / "map.png").exists()


def test_large_scenes_are_thinned_out():
    assert resize_pixels(np.zeros((3000, 1000))).shape == (3000, 1000)
    large = np.arange(9000)[:, np.newaxis] * np.ones((1, 30))
    assert resize_pixels(large)[:3, 0].tolist() == [0, 3, 6]


def test_thinning_out_is_said_beneath_the_map(tmp_path):
    heights = []
    for length in (4096, 8192):
        path = tmp_path / f"{length}.png"
        save_class_map_figure(path, np.ones((4, length), int), CLASSES, title="A")
        heights.append(open_rgb(path).shape[0])
    # Two rows fewer of the map, and a line of text more.
    assert heights[1] > heights[0] + 40


def test_palette_png_holds_the_class_ids(tmp_path):
    class_map = np.array([[1, 10, 14], [0, 14, 1]])
    path = tmp_path / "bare.png"
    save_palette_png(path, class_map, CLASSES)
    with Image.open(path) as image:
        assert image.mode == "P"
        assert np.asarray(image).tolist() == class_map.tolist()
    rgb = open_rgb(path)
    assert rgb[0].tolist() == [[255, 0, 0], [0, 128, 0], [0, 0, 255]]
    assert rgb[1, 0].tolist() == [0, 0, 0]


def test_palette_png_of_large_ids_has_the_colours(tmp_path):
    classes = (LandClass(523, "Sea", (1, 2, 3)),)
    path = tmp_path / "bare.png"
    save_palette_png(path, np.array([[523, 0]]), classes)
    with Image.open(path) as image:
        assert image.mode == "RGB"
    assert open_rgb(path).tolist() == [[[1, 2, 3], [0, 0, 0]]]


def test_value_without_a_class_is_refused(tmp_path):
    with pytest.raises(HsijaxError, match="value 7, which is none of its 3 classes"):
        save_palette_png(tmp_path / "bare.png", np.array([[1, 7]]), CLASSES)
    assert list(tmp_path.iterdir()) == []


def test_confidence_goes_from_dark_to_bright(tmp_path):
    confidence = np.array([[0.0, 1.0], [np.nan, 0.5]], np.float32)
    path = tmp_path / "confidence.png"
    save_confidence_png(path, confidence, title="A")
    image = open_rgb(path)
    assert_nothing_is_cut(image)
    viridis = [matplotlib.colormaps["viridis"](value)[:3] for value in (0, 0.999, 0.5)]
    low, high, half = (np.array(rgb) * 255 for rgb in viridis)
    middle = image.shape[1] // 2
    left, right = middle - 200, middle + 200
    rows = [
        row for row in range(len(image)) if np.allclose(image[row, left], low, 0, 1)
    ]
    assert np.allclose(image[rows[0] + 20, right], high, atol=1)
    assert image[rows[0] + 400, left].tolist() == [255, 255, 255]
    assert np.allclose(image[rows[0] + 400, right], half, atol=2)


FULL_DISK = """
import resource, sys
from pathlib import Path
import matplotlib.font_manager
import numpy as np
from hsijax.errors import HsijaxError
from hsijax.reports.figures import save_confusion_figure, save_training_figure
from hsijax.reports.maps import *
from hsijax.scenes.scene import LandClass

folder = Path(sys.argv[1])
classes = [LandClass(i, f"class {i}", (i, 0, 0)) for i in range(1, 17)]
rng = np.random.default_rng(0)
noise = rng.integers(1, 17, (200, 200))
history = [{"run": 0, "epoch": 1, "loss": 1.0, "lr": 0.1, "score": None}]
calls = {
    "figure": lambda p: save_class_map_figure(p, noise, classes, title="A"),
    "bare": lambda p: save_palette_png(p, noise, classes),
    "sure": lambda p: save_confidence_png(p, rng.random((200, 200)), title="A"),
    "curve": lambda p: save_training_figure(p, history, title="A"),
    "matrix": lambda p: save_confusion_figure(p, noise[:16, :16], classes, title="A"),
}
resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))
for name, call in calls.items():
    try:
        call(folder / f"{name}.png")
    except HsijaxError as error:
        assert "the disk is full" in str(error), error
    else:
        raise AssertionError(f"{name} was written")
assert "matplotlib.pyplot" not in sys.modules
print(list(folder.iterdir()))
"""


def test_full_disk_leaves_nothing_behind(tmp_path):
    pytest.importorskip("resource")
    command = [sys.executable, "-c", FULL_DISK, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"


def test_indian_pines_map(shared_data, tmp_path):
    ground_truth = np.load(shared_data / "indian_pines" / "Indian_pines_gt.npy")
    classes = [
        LandClass(i, f"class {i}", (15 * i, 255 - 15 * i, (80 * i) % 256))
        for i in range(1, 17)
    ]
    path = tmp_path / "map.png"
    save_palette_png(path, ground_truth, classes)
    with Image.open(path) as image:
        assert np.array_equal(np.asarray(image), ground_truth)
