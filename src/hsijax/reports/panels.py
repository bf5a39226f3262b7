"""Images side by side, each pixel of a scene a crisp square, legends beneath."""

import math
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib.style
import numpy as np
from jaxtyping import Shaped, UInt8
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from hsijax.io.atomic import write_atomically

DPI = 100
SMALL_SIDE = 700  # px; the longer side of a panel is enlarged to at least this
LARGE_SIDE = 4096  # px; a larger scene is thinned out
NAME_LETTERS = 36  # longer names are cut
INK = "#1f2328"
FAINT = "#d0d4d9"
STAMP = "#b3261e"


Pixels = int | float
Entry = tuple[str, tuple[int, int, int]]  # a name and its colour


class Panel(NamedTuple):
    """One image, at one pixel of the scene per pixel."""

    title: str
    image: UInt8[np.ndarray, "rows cols 3"]


class Legend(NamedTuple):
    """Names and colours, beneath one or more panels."""

    entries: Sequence[Entry]
    panels: int = 1  # that it stands under


class ColourBar(NamedTuple):
    """A scale of colours with the words of its ends, beneath one panel."""

    colours: UInt8[np.ndarray, "steps 3"]
    low: str
    high: str
    panels: int = 1


def resize_pixels(
    image: Shaped[np.ndarray, "rows cols *channels"],
) -> Shaped[np.ndarray, "height width *channels"]:
    """Repeat each pixel a whole number of times, or keep every n-th of a large scene.

    >>> resize_pixels(np.zeros((145, 145))).shape
    (725, 725)
    """
    side = max(image.shape[:2])
    step = math.ceil(side / LARGE_SIDE)
    if step > 1:
        return image[::step, ::step]
    factor = math.ceil(SMALL_SIDE / side)
    return image.repeat(factor, axis=0).repeat(factor, axis=1)


@contextmanager
def plain_style() -> Iterator[None]:
    """Draw the same whatever the user's matplotlib settings are."""
    with matplotlib.style.context("default"), warnings.catch_warnings():
        # A name in a script that the font lacks is drawn as boxes; the map is right.
        warnings.filterwarnings("ignore", "Glyph", UserWarning)
        yield


def save_figure(path: Path, figure: Figure) -> None:
    """Write a figure as PNG, all at once, with nothing of this machine in it."""
    with write_atomically(path) as temporary:
        metadata = {"Software": None}
        FigureCanvasAgg(figure).print_png(temporary, metadata=metadata)


def save_panels(
    path: Path,
    panels: Sequence[Panel],
    legends: Sequence[Legend | ColourBar],
    *,
    heading: str,
    caption: str = "",
    stamp: str = "",
) -> None:
    """Write a PNG of panels of one size; the legends share their width, in order."""
    step = math.ceil(max(panels[0].image.shape) / LARGE_SIDE)
    if step > 1:
        thinned = f"1 row and column in {step} is shown"
        caption = f"{caption}; {thinned}" if caption else thinned
    with plain_style():
        save_figure(path, _Page(panels, legends, heading, caption, stamp).figure)


class _Page:
    """Where everything goes, in pixels from the upper left corner."""

    def __init__(
        self,
        panels: Sequence[Panel],
        legends: Sequence[Legend | ColourBar],
        heading: str,
        caption: str,
        stamp: str,
    ) -> None:
        images = [resize_pixels(panel.image) for panel in panels]
        self.height, self.width = images[0].shape[:2]
        # Text grows with the picture, so that it can be read when a page shrinks it.
        self.em = max(15, len(panels) * self.width // 72, self.height // 64)
        self.gap = 2 * self.em
        self.figure = Figure(dpi=DPI)
        self.renderer = FigureCanvasAgg(self.figure).get_renderer()
        self.widths: dict[tuple[str, float], float] = {}
        self.slot = self._slot_width(panels, legends)
        total = len(panels) * (self.slot + self.gap) - self.gap
        head = [self._measure(heading, 1.25), self._measure(caption, 0.85)]
        total = math.ceil(max(total, *head, self._measure(stamp, 0.85)))
        self.left = 1.5 * self.em
        top = self.em * (3.1 if heading else 1.2)
        image_top = round(top + 1.8 * self.em)
        legend_top = image_top + self.height + self.em
        columns = [self._arrange(legend) for legend in legends]
        rows = max(len(names[0]) if names else 2 for names in columns)
        beneath = rows * 1.7 * self.em
        notes = [note for note in (caption, stamp) if note]
        page_width = total + 2 * round(self.left)
        page_height = round(legend_top + beneath + (len(notes) * 1.5 + 0.9) * self.em)
        self.figure.set_size_inches(page_width / DPI, page_height / DPI)
        self.axes = self._make_axes(page_width, page_height)
        self._write(heading, self.left, 2 * self.em, 1.25, weight="bold")
        for index, (panel, image) in enumerate(zip(panels, images, strict=True)):
            self._draw_panel(panel.title, image, self._slot_left(index), image_top)
        index = 0
        for legend, names in zip(legends, columns, strict=True):
            x = self._slot_left(index)
            if isinstance(legend, ColourBar):
                self._draw_colour_bar(legend, x, legend_top)
            else:
                self._draw_legend(names, x, legend_top)
            index += legend.panels
        y = legend_top + beneath + self.em
        for note in notes:
            colour = STAMP if note == stamp else INK
            self._write(note, self.left, y, 0.85, color=colour)
            y += 1.5 * self.em

    def _make_axes(self, width: int, height: int) -> Axes:
        axes = self.figure.add_axes((0, 0, 1, 1))
        axes.set_xlim(0, width)
        axes.set_ylim(height, 0)
        axes.autoscale(False)
        axes.axis("off")
        return axes

    def _measure(self, text: str, size: float = 1.0) -> float:
        """Width of a text whose letters are `size` em high; bold ones fit as well."""
        if (text, size) not in self.widths:
            points = self._points(size)
            artist = self.figure.text(0, 0, text, fontsize=points, parse_math=False)
            width = artist.get_window_extent(self.renderer).width if text else 0.0
            self.widths[text, size] = 1.1 * width
            artist.remove()
        return self.widths[text, size]

    def _points(self, size: float) -> float:
        return size * self.em * 72 / DPI

    def _write(
        self, text: str, x: Pixels, y: Pixels, size: float, **style: Any
    ) -> None:
        """Write a text with its baseline at y; a `$` in it is a dollar sign."""
        style = {"color": INK} | style
        points = self._points(size)
        self.axes.text(x, y, text, fontsize=points, parse_math=False, **style)

    def _slot_left(self, index: int) -> int:
        return round(self.left) + index * (self.slot + self.gap)

    def _slot_width(
        self, panels: Sequence[Panel], legends: Sequence[Legend | ColourBar]
    ) -> int:
        """Width of a panel, or of the widest words above or beneath it."""
        titles = [self._measure(panel.title) for panel in panels]
        needed = [
            (self._least_width(legend) - (legend.panels - 1) * self.gap) / legend.panels
            for legend in legends
        ]
        return math.ceil(max(self.width, *titles, *needed))

    def _least_width(self, legend: Legend | ColourBar) -> Pixels:
        """Width of the widest thing that cannot be broken."""
        if isinstance(legend, ColourBar):
            return self._measure(legend.low) + self._measure(legend.high)
        return max((self._entry_width(name) for name, _ in legend.entries), default=0)

    def _entry_width(self, name: str) -> float:
        """Width of a coloured square, its name, and the space to the next column."""
        return self._measure(shorten(name)) + 2.4 * self.em

    def _arrange(self, legend: Legend | ColourBar) -> list[list[Entry]]:
        """Break the names into as many columns as there is room for."""
        if isinstance(legend, ColourBar):
            return []
        entries = list(legend.entries)
        span = legend.panels * (self.slot + self.gap)
        for count in range(len(entries), 1, -1):
            rows = math.ceil(len(entries) / count)
            columns = [entries[i : i + rows] for i in range(0, len(entries), rows)]
            if sum(map(self._column_width, columns)) <= span:
                return columns
        return [entries]

    def _column_width(self, column: list[Entry]) -> Pixels:
        return max((self._entry_width(name) for name, _ in column), default=0)

    def _draw_panel(
        self, title: str, image: UInt8[np.ndarray, "rows cols 3"], x: int, y: int
    ) -> None:
        self._write(title, x, y - 0.6 * self.em, 1.0)
        extent = (x, x + self.width, y + self.height, y)
        self.axes.imshow(image, extent=extent, aspect="auto", interpolation="nearest")
        # A frame outside the image, because its edge may be as white as the page.
        line = max(1, self.em // 16)
        corner = (x - line / 2, y - line / 2)
        size = (self.width + line, self.height + line)
        self._add_box(corner, size, "none", FAINT, line)

    def _add_box(
        self,
        corner: tuple[Pixels, Pixels],
        size: tuple[Pixels, Pixels],
        face: str | tuple[float, ...],
        edge: str,
        line: Pixels,
    ) -> None:
        style = {"facecolor": face, "edgecolor": edge, "linewidth": line * 72 / DPI}
        # Snapping would move the line by half a pixel, onto the image.
        self.axes.add_patch(Rectangle(corner, *size, snap=False, **style))

    def _draw_legend(self, columns: list[list[Entry]], x: Pixels, y: int) -> None:
        for column in columns:
            for row, (name, colour) in enumerate(column):
                top = y + row * 1.7 * self.em
                face = tuple(channel / 255 for channel in colour)
                self._add_box((x, top), (self.em, self.em), face, FAINT, 1)
                baseline = top + 0.87 * self.em
                self._write(shorten(name), x + 1.5 * self.em, baseline, 1.0)
            x += self._column_width(column)

    def _draw_colour_bar(self, bar: ColourBar, x: int, y: int) -> None:
        extent = (x, x + self.width, y + self.em, y)
        strip = bar.colours[np.newaxis]
        self.axes.imshow(strip, extent=extent, aspect="auto", interpolation="nearest")
        baseline = y + 2.3 * self.em
        self._write(bar.low, x, baseline, 1.0)
        self._write(bar.high, x + self.width, baseline, 1.0, ha="right")


def shorten(name: str) -> str:
    """Cut a long name, and what no font can draw.

    >>> shorten("Corn-notill")
    'Corn-notill'
    """
    name = "".join(letter for letter in name if letter.isprintable())
    return name if len(name) <= NAME_LETTERS else name[: NAME_LETTERS - 1] + "…"
