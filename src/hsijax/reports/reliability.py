"""Figures of a run's confidence: is it right as often as it says?"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hsijax.metrics.calibration import Reliability, RiskCoverage
from hsijax.reports.drawing import (
    FAINT,
    GRID,
    INK,
    LINE,
    plain_style,
    save_figure,
    write_heading,
    write_note,
)
from hsijax.reports.figures import DPI, PADDED
from hsijax.reports.tables import SELECTED_ON_TEST


def save_reliability_figure(
    path: Path,
    found: Reliability,
    *,
    title: str,
    note: str = "",
    selected_on_test: bool = False,
) -> None:
    """Write a PNG of the accuracy in each bin of the confidence, and of its pixels.

    Bars up to the diagonal are right as often as they say; below it they say too much.
    `note` stands beneath.

    Raises:
        HsijaxError: the disk is full.
    """
    edges = np.arange(len(found.count)) / len(found.count)
    bars = {"width": 1 / len(found.count), "align": "edge", "edgecolor": "white"}
    with plain_style():
        figure = Figure(figsize=(5, 6), dpi=DPI, layout=PADDED)
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
        some = found.count > 0
        upper.bar(edges[some], found.accuracy[some], color=LINE, **bars)
        upper.plot([0, 1], [0, 1], color=INK, linestyle="--", label="as it says")
        upper.plot(found.confidence, found.accuracy, "o", color=INK, markersize=3)
        upper.set(ylabel="accuracy on test pixels", xlim=(0, 1), ylim=(0, 1))
        upper.legend(frameon=False, loc="upper left")
        lower.bar(edges, found.count / found.count.sum(), color=FAINT, **bars)
        lower.set(xlabel="confidence", ylabel="share of pixels", ylim=(0, 1))
        _finish(path, figure, (upper, lower), title, note, selected_on_test)


def save_risk_coverage_figure(
    path: Path,
    curves: Sequence[RiskCoverage],
    *,
    title: str,
    note: str = "",
    selected_on_test: bool = False,
) -> None:
    """Write a PNG of the error of what is accepted, a curve for each run.

    Raises:
        HsijaxError: the disk is full.
    """
    with plain_style():
        figure = Figure(figsize=(6, 4), dpi=DPI, layout=PADDED)
        axes = figure.subplots()
        for curve in curves:
            axes.plot(
                100 * curve.coverage,
                100 * curve.risk,
                color=LINE,
                alpha=1 if len(curves) == 1 else 0.5,
                marker="o" if len(curve.risk) == 1 else None,
            )
        axes.set(xlabel="accepted test pixels (%)", ylabel="wrong among these (%)")
        axes.set_xlim(0, 100)
        axes.set_ylim(bottom=0)
        _finish(path, figure, (axes,), title, note, selected_on_test)


def _finish(
    path: Path,
    figure: Figure,
    all_axes: Sequence[Axes],
    title: str,
    note: str,
    selected_on_test: bool,
) -> None:
    for axes in all_axes:
        axes.grid(color=GRID)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
    write_heading(figure, all_axes[0], title, SELECTED_ON_TEST * selected_on_test)
    write_note(figure, note)
    save_figure(path, figure)
