"""Figures of a run: how the training went, which classes are taken for which."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float, Integer
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import MaxNLocator

from hsijax.reports.drawing import (
    GRID,
    LINE,
    plain_style,
    save_figure,
    shorten,
    write_heading,
    write_note,
)
from hsijax.reports.tables import SELECTED_ON_TEST
from hsijax.scenes.scene import LandClass

History = Sequence[Mapping[str, float | int | None]]

DPI = 150
CELL = 0.36  # inches, of a confusion matrix
PADDED = ConstrainedLayoutEngine(w_pad=0.1, h_pad=0.1)


def save_training_figure(
    path: Path,
    history: History,
    *,
    title: str,
    selected_on_test: bool = False,
    stamp: str = "",
) -> None:
    """Write a PNG of loss, learning rate and, where there is one, accuracy by epoch.

    `history` has the rows of `history.csv`: run, epoch, loss, lr, and score, the
    accuracy (share of 1) on the pixels that select the epoch. Drawn are the mean over
    the runs and the range between the lowest and the highest. `stamp` stands above
    them in red, for what nobody may overlook.

    Raises:
        HsijaxError: the disk is full.
    """
    scored = "test accuracy (%)" if selected_on_test else "validation accuracy (%)"
    curves = {
        "loss": by_epoch(history, "loss"),
        "learning rate": by_epoch(history, "lr"),
        scored: {
            epoch: [100 * score for score in scores]
            for epoch, scores in by_epoch(history, "score").items()
        },
    }
    curves = {name: values for name, values in curves.items() if values}
    runs = len({row["run"] for row in history})
    with plain_style():
        height = 0.9 + 1.9 * max(1, len(curves))
        figure = Figure(figsize=(7, height), dpi=DPI, layout=PADDED)
        all_axes = figure.subplots(max(1, len(curves)), 1, sharex=True, squeeze=False)
        for axes, (name, values) in zip(all_axes[:, 0], curves.items(), strict=False):
            epochs = list(values)
            means = [np.mean(values[epoch]) for epoch in epochs]
            label = f"mean of {runs} runs" if runs > 1 else None
            marker = "o" if len(epochs) == 1 else None
            axes.plot(epochs, means, color=LINE, marker=marker, label=label)
            if runs > 1:
                lowest = [min(values[epoch]) for epoch in epochs]
                highest = [max(values[epoch]) for epoch in epochs]
                band = {"color": LINE, "alpha": 0.2, "linewidth": 0}
                axes.fill_between(epochs, lowest, highest, label="range", **band)
            axes.set_ylabel(name)
            axes.grid(color=GRID)
            axes.set_axisbelow(True)
            axes.spines[["top", "right"]].set_visible(False)
        stamps = [SELECTED_ON_TEST] if selected_on_test else []
        stamps += [stamp] if stamp else []
        write_heading(figure, all_axes[0, 0], title, "; ".join(stamps))
        last = all_axes[-1, 0]
        last.set_xlabel("epoch")
        last.xaxis.set_major_locator(MaxNLocator(integer=True))
        if runs > 1:
            all_axes[0, 0].legend(frameon=False)
        save_figure(path, figure)


def save_confusion_figure(
    path: Path,
    confusion: Integer[np.ndarray, "classes classes"],
    classes: Sequence[LandClass],
    *,
    title: str,
    note: str = "",
    selected_on_test: bool = False,
) -> None:
    """Write a PNG of a confusion matrix: rows are the truth, columns the prediction.

    The colour is the share of the row, the number the count of pixels. `note` stands
    beneath.

    Raises:
        HsijaxError: the disk is full.
    """
    count = len(classes)
    names = [shorten(land.name) for land in classes]
    shares = row_shares(confusion)
    with plain_style():
        letters = 0.065 * max(len(name) for name in names)
        side = CELL * count + letters
        size = (max(side + 1.9, 5.0), side + 1.2)
        figure = Figure(figsize=size, dpi=DPI, layout=PADDED)
        axes = figure.subplots()
        write_heading(figure, axes, title, SELECTED_ON_TEST * selected_on_test)
        image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        ticks = range(count)
        axes.set_xticks(ticks, names, rotation=90, fontsize=8, parse_math=False)
        axes.set_yticks(ticks, names, fontsize=8, parse_math=False)
        axes.tick_params(length=0)
        axes.set_xlabel("predicted")
        axes.set_ylabel("truth")
        for row, col in np.argwhere(confusion > 0):
            cell = int(confusion[row, col])
            text = {"ha": "center", "va": "center", "fontsize": _cell_points(cell)}
            colour = "white" if shares[row, col] > 0.55 else "#1f2328"
            axes.text(col, row, f"{cell}", color=colour, **text)
        bar = figure.colorbar(image, ax=axes, shrink=min(1.0, 8 / count), aspect=25)
        bar.set_label("share of the true class")
        bar.outline.set_visible(False)
        axes.spines[:].set_color("#d0d4d9")
        write_note(figure, note)
        save_figure(path, figure)


def by_epoch(history: History, column: str) -> dict[int, list[float | int]]:
    """Collect what the runs say of each epoch, in the order of the epochs.

    >>> by_epoch([{"epoch": 1, "loss": 2.0}, {"epoch": 1, "loss": 4.0}], "loss")
    {1: [2.0, 4.0]}
    """
    values: dict[int, list[float | int]] = defaultdict(list)
    for row in history:
        value = row.get(column)
        if value is not None and row["epoch"] is not None:
            values[int(row["epoch"])].append(value)
    return dict(sorted(values.items()))


def row_shares(
    confusion: Integer[np.ndarray, "classes classes"],
) -> Float[np.ndarray, "classes classes"]:
    """Divide each row by its sum; a row of zeros stays one.

    >>> row_shares(np.array([[3, 1], [0, 0]]))
    array([[0.75, 0.25],
           [0.  , 0.  ]])
    """
    return confusion / np.maximum(confusion.sum(axis=1, keepdims=True), 1)


def _cell_points(count: int) -> float:
    """Size of letters with which a count fits into its cell."""
    return min(7.5, CELL * 72 / (0.68 * len(f"{count}")))
