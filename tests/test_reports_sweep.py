"""Figure of a sweep: a line a split, its deviations, and what no one may overlook."""

from pathlib import Path
from typing import Any

import numpy as np
from pictures import assert_nothing_is_cut, mark, open_rgb, parse_colour

from hsijax.reports.drawing import STAMP
from hsijax.reports.sweep_figure import COLOURS, save_sweep_figure
from hsijax.scenes.catalogue.derived import SIMULATED_MIXTURES

SIZES = [1, 3, 9, 15, 21]
FLAT = [0.1] * 5


def draw(path: Path, values=SIZES, log_x=False, stamp="", **series) -> np.ndarray:
    words: dict[str, Any] = {
        "xlabel": "patch $x$",
        "ylabel": "sum of RMSE",
        "title": r"A $\bad$",
    }
    save_sweep_figure(path, values, series, log_x=log_x, stamp=stamp, **words)
    return open_rgb(path)


def mark_series(image: np.ndarray, index: int) -> np.ndarray:
    return mark(image, parse_colour(COLOURS[index]))


def find_dots(image: np.ndarray, index: int) -> np.ndarray:
    """Return the columns at whose middle the markers of a series stand."""
    marked = mark_series(image, index)
    line = marked.sum(axis=1).argmax()
    high = marked[line - 12 : line + 13].sum(axis=0) > 12
    edges = np.flatnonzero(np.diff(high.astype(int)))
    return edges.reshape(-1, 2).mean(axis=1)


def test_both_splits_have_a_line_through_all_values(tmp_path):
    image = draw(tmp_path / "a.png", random=(FLAT, None), blocks=([0.2] * 5, None))
    dots = find_dots(image, 0)
    assert len(dots) == 5
    # To scale: from 1 to 3 is a tenth of the way from 1 to 21.
    places = (dots - dots[0]) / (dots[-1] - dots[0])
    assert np.allclose(places, (np.array(SIZES) - 1) / 20, atol=0.005)
    lines = [mark_series(image, index).sum(axis=1).argmax() for index in (0, 1)]
    assert lines[0] > lines[1] + 100  # 0.2 stands above 0.1
    assert not mark_series(image, 2).any()


def test_factors_are_steps_of_one_length_on_a_logarithmic_axis(tmp_path):
    rates = [1e-5, 1e-4, 1e-3, 1e-2]
    image = draw(tmp_path / "a.png", rates, log_x=True, random=(FLAT[:4], None))
    assert np.allclose(np.diff(find_dots(image, 0), 2), 0, atol=2)


def test_deviations_have_bars(tmp_path):
    bare, same, bars = (
        mark_series(draw(tmp_path / "a.png", random=(FLAT, stds)), 0).sum(axis=0)
        for stds in (None, [None] * 5, [0.05] * 5)
    )
    assert np.array_equal(bare, same)
    assert bars.max() > 200 > bare.max()


def test_values_that_failed_are_left_out(tmp_path):
    means = [0.1, None, 0.1, 0.1, 0.1]
    stds = [0.0, None, 0.0, 0.0, 0.0]
    image = draw(tmp_path / "a.png", random=(means, stds))
    assert len(find_dots(image, 0)) == 4


def test_stamp_stands_above_in_red_and_in_full(tmp_path):
    """Warnings are errors: a stamp must not take the plot's room."""
    red = parse_colour(STAMP)
    bare = draw(tmp_path / "a.png", random=(FLAT, None))
    assert not mark(bare, red).any()
    counts = []
    for stamp in ("simulated scene", SIMULATED_MIXTURES.simulated):
        image = draw(tmp_path / "a.png", random=(FLAT, None), stamp=stamp)
        assert_nothing_is_cut(image)
        marked = mark(image, red)
        assert not marked[image.shape[0] // 3 :].any()
        counts.append(marked.sum() / len(stamp))
    assert 0.7 < counts[0] / counts[1] < 1.4  # no letter is missing


def test_axis_begins_at_zero(tmp_path):
    """Twice the error stands twice as high."""
    image = draw(tmp_path / "a.png", random=(FLAT, None), blocks=([0.2] * 5, None))
    low, high = (mark_series(image, index).sum(axis=1).argmax() for index in (0, 1))
    dark = (image < 60).all(axis=2).sum(axis=1)
    bottom = np.flatnonzero(dark > 900)[-1]
    assert abs((bottom - high) - 2 * (bottom - low)) < 6
