"""Figure of a sweep: how an error depends on one setting."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import NullLocator

from hsijax.reports.drawing import (
    GRID,
    LINE,
    plain_style,
    save_figure,
    shorten,
    write_heading,
)

DPI = 200
COLOURS = (LINE, "#d55e00", "#009e73", "#cc79a7")
MARKERS = "osD^"
MOST_TICKS = 9
PADDED = ConstrainedLayoutEngine(w_pad=0.1, h_pad=0.1)

Number = int | float
Numbers = Sequence[Number | None]


def save_sweep_figure(
    path: Path,
    values: Sequence[Number],
    series: Mapping[str, tuple[Numbers, Numbers | None]],
    *,
    xlabel: str,
    ylabel: str,
    title: str,
    log_x: bool = False,
    stamp: str = "",
    ticks: Sequence[str] | None = None,
    from_zero: bool = True,
) -> None:
    """Write a PNG of one line a series, with a bar of a standard deviation each way.

    Args:
        path: of the PNG.
        values: of the setting.
        series: for each name, such as a way of splitting, the mean at each value and
            the standard deviations; None where there is none.
        xlabel: name of the setting.
        ylabel: name of what was measured.
        title: stands above the lines.
        log_x: whether the setting goes up by factors.
        stamp: stands above them in red, for what nobody may overlook.
        ticks: what stands under each value, if not the value.
        from_zero: whether the axis of what was measured begins at zero.

    Raises:
        HsijaxError: the disk is full.
    """
    with plain_style():
        figure = Figure(figsize=(6.4, 4.2), dpi=DPI, layout=PADDED)
        axes = figure.subplots()
        for index, (name, (means, stds)) in enumerate(series.items()):
            bars = _to_floats(stds or [None] * len(means))
            known = np.isfinite(heights := _to_floats(means))
            axes.errorbar(
                np.asarray(values, dtype=float)[known],
                heights[known],
                yerr=np.nan_to_num(bars[known]) if np.isfinite(bars).any() else None,
                label=shorten(name),
                capsize=3,
                color=COLOURS[index % len(COLOURS)],
                marker=MARKERS[index % len(MARKERS)],
            )
        if log_x:
            axes.set_xscale("log")
        if len(values) <= MOST_TICKS:
            axes.set_xticks(values, ticks or [f"{value:g}" for value in values])
            axes.xaxis.set_minor_locator(NullLocator())
        if from_zero:
            axes.set_ylim(bottom=0)
        axes.set_xlabel(xlabel, parse_math=False)
        axes.set_ylabel(ylabel, parse_math=False)
        write_heading(figure, axes, title, stamp)
        axes.grid(color=GRID)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
        for text in axes.legend(frameon=False).get_texts():
            text.set_parse_math(False)
        save_figure(path, figure)


def _to_floats(numbers: Numbers) -> np.ndarray:
    """Return an array with NaN for what is not there."""
    return np.array([np.nan if n is None else n for n in numbers], dtype=float)
