"""Figures of a run: curves over the epochs and the confusion matrix."""

import numpy as np
import pytest
from pictures import mark, open_rgb, parse_colour

from hsijax.reports.drawing import STAMP
from hsijax.reports.figures import by_epoch, save_confusion_figure, save_training_figure
from hsijax.scenes.scene import LandClass

CLASSES = (
    LandClass(1, r"Gräser $\bad$", (0, 1, 0)),
    LandClass(9, "Water & ice", (0, 0, 1)),
)
BAND = (210, 223, 238)  # a fifth of the line's blue on white


def has_colour(image: np.ndarray, colour: tuple[int, ...]) -> bool:
    return bool(mark(image, colour, 1).any())


def make_history(runs: int, epochs: int, score: float | None) -> list[dict]:
    return [
        {"run": run, "epoch": e, "loss": (1 + run) / e, "lr": 0.1 / e, "score": score}
        for run in range(runs)
        for e in range(1, epochs + 1)
    ]


def test_band_is_drawn_for_several_runs_only(tmp_path):
    for runs in (1, 3):
        path = tmp_path / f"{runs}.png"
        save_training_figure(
            path, make_history(runs, 20, None), title=r"A $\bad$ scene"
        )
        assert (mark(open_rgb(path), BAND, 1).sum() > 1000) == (runs > 1)


def test_accuracy_has_a_panel_where_there_is_one(tmp_path):
    heights = []
    for score in (None, 0.9):
        path = tmp_path / "curve.png"
        save_training_figure(path, make_history(1, 5, score), title="A")
        heights.append(open_rgb(path).shape[0])
    assert heights[0] < heights[1]


@pytest.mark.parametrize("rows", [0, 1])
def test_shortest_histories_are_drawn(tmp_path, rows):
    path = tmp_path / "curve.png"
    save_training_figure(path, make_history(1, rows, None), title="A")
    assert open_rgb(path).shape[1] == 1050


def test_epochs_that_not_all_runs_reached():
    history = [*make_history(2, 2, None), {"run": 0, "epoch": 3, "loss": 0.5}]
    assert by_epoch(history, "loss") == {1: [1.0, 2.0], 2: [0.5, 1.0], 3: [0.5]}


def test_confusion_is_coloured_by_the_share_of_its_row(tmp_path):
    full, none, half = (8, 48, 107), (247, 251, 255), (107, 174, 214)
    path = tmp_path / "confusion.png"
    # The colours are those of the shares, not of the counts.
    save_confusion_figure(path, np.array([[9000, 0], [0, 1]]), CLASSES, title="A")
    image = open_rgb(path)
    rows, cols = np.nonzero((image == full).all(axis=2))
    top, bottom, left, right = rows.min(), rows.max(), cols.min(), cols.max()
    # The colour bar reaches the full colour too; it stands right of the matrix.
    cell = [(image[row] == full).all(axis=1) for row in (top + 9, bottom - 9)]
    assert cell[0][left + 9]
    assert not cell[1][left + 9]
    assert has_colour(image[top:bottom, left:right], none)
    save_confusion_figure(path, np.array([[5, 5], [0, 0]]), CLASSES, title="A")
    image = open_rgb(path)
    share = (np.abs(image.astype(int) - half) <= 2).all(axis=2).mean()
    assert share > 0.02


def test_stamps_of_a_training_stand_beside_each_other(tmp_path):
    path, history = tmp_path / "a.png", make_history(1, 5, None)
    counts = []
    for stamp, selected in (("", True), ("simulated", False), ("simulated", True)):
        save_training_figure(
            path, history, title="A", stamp=stamp, selected_on_test=selected
        )
        counts.append(mark(open_rgb(path), parse_colour(STAMP)).sum())
    assert 0 < counts[1] < counts[0] < counts[0] + counts[1] <= counts[2] * 1.05


@pytest.mark.parametrize("stamped", [True, False])
def test_selection_on_test_is_stamped_in_red(tmp_path, stamped):
    red = tuple(bytes.fromhex(STAMP[1:]))
    path = tmp_path / "figure.png"
    history = make_history(1, 3, 0.5)
    save_training_figure(path, history, title="A", selected_on_test=stamped)
    assert has_colour(open_rgb(path), red) == stamped
    matrix = np.eye(2, dtype=int)
    save_confusion_figure(path, matrix, CLASSES, title="A", selected_on_test=stamped)
    assert has_colour(open_rgb(path), red) == stamped
