"""Figure of accuracy against work: one line a network, one marker a solver."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

from hsijax.reports.drawing import GRID, LINE, plain_style, save_figure, write_heading

DPI = 200
# Okabe and Ito's colours, which the colour-blind tell apart.
COLOURS = (
    *(LINE, "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000"),
    "#8c6d31",
)
DASHES = ("-", "--", ":", "-.")
AXES = {
    "evaluations": "function evaluations a patch",
    "seconds": "seconds for the test pixels",
}


def save_work_precision_figure(
    path: Path, cells: Mapping[str, Mapping[str, Mapping[str, Any]]], *, title: str
) -> None:
    """Write a PNG: OA against function evaluations, and against seconds.

    Args:
        path: of the PNG.
        cells: for each solver that a network was trained with, and each that it was
            evaluated with, `oa` (with its `mean`), `evaluations` and `seconds`. The
            network's own solver has a filled marker.
        title: stands above.

    Raises:
        HsijaxError: the disk is full.
    """
    with plain_style():
        layout = ConstrainedLayoutEngine(w_pad=0.1, h_pad=0.1)
        figure = Figure(figsize=(9.6, 4.4), dpi=DPI, layout=layout)
        panels = figure.subplots(1, 2, sharey=True)
        for axes, (work, label) in zip(panels, AXES.items(), strict=True):
            for index, (trained, row) in enumerate(cells.items()):
                style = {
                    "color": COLOURS[index % len(COLOURS)],
                    "linestyle": DASHES[index // len(COLOURS) % len(DASHES)],
                }
                found = sorted(
                    (cell[work], cell["oa"]["mean"], evaluated)
                    for evaluated, cell in row.items()
                    if cell["oa"]["mean"] is not None
                )
                if not found:
                    continue
                spent, accuracies, names = zip(*found, strict=True)
                axes.plot(
                    spent,
                    accuracies,
                    marker="o",
                    markerfacecolor="white",
                    label=trained,
                    **style,
                )
                if trained in names:
                    own = names.index(trained)
                    axes.plot(
                        spent[own], accuracies[own], "o", color=style["color"], zorder=3
                    )
            axes.set_xscale("log")
            axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
            axes.xaxis.set_minor_formatter(NullFormatter())
            axes.set_xlabel(label)
            axes.grid(color=GRID)
            axes.set_axisbelow(True)
            axes.spines[["top", "right"]].set_visible(False)
        panels[0].set_ylabel("OA on test pixels (%)")
        if panels[0].lines:
            handles = panels[0].get_legend_handles_labels()
            figure.legend(
                *handles,
                loc="outside right upper",
                title="trained with\n(filled: its own)",
                frameon=False,
            )
        write_heading(figure, panels[0], title)
        save_figure(path, figure)
