"""What all figures share: style, colours, and how they are written."""

import textwrap
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import matplotlib.style
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from hsijax.io.atomic import write_atomically

NAME_LETTERS = 36  # longer names are cut
INK = "#1f2328"
FAINT = "#d0d4d9"
GRID = "#e5e8eb"
STAMP = "#b3261e"
LINE = "#1f5fa8"
# Letters of a heading, of the stamp beneath it and of a note that fit into an inch.
HEADING_LETTERS, STAMP_LETTERS, NOTE_LETTERS = 10, 14, 17


@contextmanager
def plain_style() -> Iterator[None]:
    """Draw the same whatever the user's matplotlib settings are."""
    with matplotlib.style.context("default"), warnings.catch_warnings():
        # A name in a script that the font lacks is drawn as boxes; the map is right.
        warnings.filterwarnings("ignore", "Glyph", UserWarning)
        yield


def save_figure(path: Path, figure: Figure) -> None:
    """Write a figure, all at once, with nothing of this machine or hour in it.

    As PNG, or as PDF where the name ends so.
    """
    with write_atomically(path) as temporary:
        if path.suffix.lower() == ".pdf":
            metadata = {"Creator": None, "Producer": None, "CreationDate": None}
            figure.savefig(temporary, format="pdf", metadata=metadata)
        else:
            metadata = {"Software": None}
            FigureCanvasAgg(figure).print_png(temporary, metadata=metadata)


def write_heading(figure: Figure, first: Axes, title: str, stamp: str = "") -> None:
    """Write a title above a figure, and beneath it in red what nobody may overlook.

    Both are broken into as many lines as they need; `first` is the topmost plot.
    """
    width = figure.get_size_inches()[0] - 1
    heading = textwrap.fill(title, int(HEADING_LETTERS * width))
    style = {"x": 0.01, "ha": "left", "fontsize": 11, "weight": "bold"}
    figure.suptitle(heading, parse_math=False, **style)
    if stamp:
        lines = textwrap.fill(stamp, int(STAMP_LETTERS * width))
        style = {"loc": "left", "fontsize": 9, "color": STAMP}
        first.set_title(lines, parse_math=False, **style)


def write_note(figure: Figure, note: str) -> None:
    """Write small lines beneath a figure, as many as they need."""
    width = figure.get_size_inches()[0] - 1
    lines = textwrap.fill(note, int(NOTE_LETTERS * width))
    figure.supxlabel(lines, parse_math=False, x=0.01, ha="left", fontsize=8)


def shorten(name: str) -> str:
    """Cut a long name, and what no font can draw.

    >>> shorten("Corn-notill")
    'Corn-notill'
    """
    name = "".join(letter for letter in name if letter.isprintable())
    return name if len(name) <= NAME_LETTERS else name[: NAME_LETTERS - 1] + "…"
