"""A box plot of several runs' overall accuracies, each run a dot."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from hsijax.reports.drawing import (
    GRID,
    INK,
    LINE,
    STAMP,
    plain_style,
    save_figure,
    shorten,
    write_heading,
    write_note,
)
from hsijax.reports.figures import DPI, PADDED
from hsijax.reports.tables import SELECTED_ON_TEST, leakage_note

HEIGHT, NOTE_LINE = 4.5, 0.14  # inches, of the plot and of each line of the note


def save_box_plot(path: Path, comparison: Mapping[str, Any]) -> None:
    """Write a PNG, or a PDF by its name, of what `compare_runs` returns.

    The box holds the middle half of the runs, the line in it is their median, and the
    whiskers reach to the lowest and the highest; every run is a dot. A note says what
    leaks.

    Raises:
        HsijaxError: the file cannot be written.
    """
    runs = comparison["runs"]
    values = [run["metrics"]["oa"]["values"] for run in runs]
    on_test = [bool(run["metrics"].get("selected_on_test")) for run in runs]
    places = range(1, len(runs) + 1)
    with plain_style():
        width = max(4.5, 1.5 + 0.7 * len(runs))
        figure = Figure(figsize=(width, HEIGHT), dpi=DPI, layout=PADDED)
        axes = figure.subplots()
        for place, each, stamped in zip(places, values, on_test, strict=True):
            colour = STAMP if stamped else LINE
            style = {"color": colour}
            axes.boxplot(
                each,
                positions=[place],
                widths=0.5,
                whis=(0, 100),
                boxprops=style,
                whiskerprops=style,
                capprops=style,
                medianprops={"color": INK},
            )
            # Side by side, because equal accuracies would hide each other.
            across = [place + 0.1 * (number % 3 - 1) for number in range(len(each))]
            axes.plot(across, each, "o", markersize=3.5, alpha=0.6, color=colour)
        names = [shorten(run["name"]) for run in runs]
        axes.set_xticks(places, names, rotation=30, ha="right", parse_math=False)
        axes.set_xlim(0.4, len(runs) + 0.6)
        axes.set_ylabel("overall accuracy on test pixels (%)")
        axes.grid(axis="y", color=GRID)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
        title = f"{comparison['scene']}: OA of each run"
        write_heading(figure, axes, title, SELECTED_ON_TEST * any(on_test))
        write_note(figure, describe_splits(runs))
        lines = figure.get_supxlabel().splitlines()
        figure.set_figheight(HEIGHT + NOTE_LINE * len(lines))
        save_figure(path, figure)


def describe_splits(runs: Sequence[Mapping[str, Any]]) -> str:
    """Say how the pixels of each run were split, and what leaks; of like runs once."""
    alike: dict[str, list[str]] = {}
    for run in runs:
        split = run["metrics"]["split"]
        said = f"split {split['method']}. {leakage_note(split['leakage'])}"
        alike.setdefault(said, []).append(shorten(run["name"]))
    return " ".join(f"{', '.join(names)}: {said}" for said, names in alike.items())
