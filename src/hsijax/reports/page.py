"""A page of images with titles and legends: where everything goes."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import UInt8
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from hsijax.reports.drawing import FAINT, INK, STAMP, shorten

DPI = 100

Pixels = int | float
Entry = tuple[str, tuple[int, int, int]]  # a name and its colour


class Panel(NamedTuple):
    """One image, at one pixel of the scene per pixel."""

    title: str
    image: UInt8[np.ndarray, "rows cols 3"]
    side: str = ""  # lines left of the image, upwards, of which the first is bold


class Legend(NamedTuple):
    """Names and colours, beneath one or more panels."""

    entries: Sequence[Entry]
    panels: int = 1  # that it stands under


class ColourBar(NamedTuple):
    """A scale of colours with words at its ends, beneath one or more panels."""

    colours: UInt8[np.ndarray, "steps 3"]
    low: str
    high: str
    panels: int = 1  # that it stands under
    middle: str = ""


class Page:
    """Where everything goes, in pixels from the upper left corner."""

    def __init__(
        self,
        panels: Sequence[Panel],
        images: Sequence[UInt8[np.ndarray, "height width 3"]],
        legends: Sequence[Legend | ColourBar],
        heading: str,
        notes: tuple[str, str],
        columns: int,
    ) -> None:
        self.height, self.width = images[0].shape[:2]
        rows = math.ceil(len(panels) / columns)
        # Text grows with the picture, so that it can be read when a page shrinks it.
        self.em = max(15, columns * self.width // 72, rows * self.height // 64)
        self.gap = 2 * self.em if rows == 1 else self.em
        self.figure = Figure(dpi=DPI)
        self.renderer = FigureCanvasAgg(self.figure).get_renderer()
        self.widths: dict[tuple[str, float], float] = {}
        self.slot = self._slot_width(panels, legends)
        self.left = 1.5 * self.em
        self.lefts, right = self._place_columns(panels[:columns])
        tops, bottom = self._place_rows(panels, columns, 3.1 if heading else 1.2)
        legend_top = bottom + self.em
        arranged = [self._arrange(legend) for legend in legends]
        beneath = max(len(names[0]) if names else 2 for names in arranged)
        y = legend_top + (beneath * 1.7 + 1) * self.em
        least = max(right - round(self.left), self._measure(heading, 1.25))
        lines = [self._wrap(note, max(least, 30 * self.em)) for note in notes]
        written = [self._measure(line, 0.85) for note in lines for line in note]
        page_width = math.ceil(max(least, *written, 0)) + 2 * round(self.left)
        page_height = round(y + (len(written) * 1.5 - 0.1) * self.em)
        self.figure.set_size_inches(page_width / DPI, page_height / DPI)
        self.axes = self._make_axes(page_width, page_height)
        self._write(heading, self.left, 2 * self.em, 1.25, weight="bold")
        for index, (panel, image) in enumerate(zip(panels, images, strict=True)):
            row, column = divmod(index, columns)
            self._draw_panel(panel, image, self.lefts[column], tops[row])
        index = 0
        for legend, names in zip(legends, arranged, strict=True):
            x = self.lefts[index]
            index += legend.panels
            if isinstance(legend, ColourBar):
                end = self.lefts[index - 1] + self.width
                self._draw_colour_bar(legend, x, end, legend_top)
            else:
                self._draw_legend(names, x, legend_top)
        for note, colour in zip(lines, (INK, STAMP), strict=True):
            for line in note:
                self._write(line, self.left, y, 0.85, color=colour)
                y += 1.5 * self.em

    def _place_columns(self, first_row: Sequence[Panel]) -> tuple[list[int], int]:
        """Return where each column begins and where the last one ends."""
        lefts, x = [], round(self.left)
        for panel in first_row:
            lines = len(panel.side.splitlines())
            x += round(lines * 1.5 * self.em)
            lefts.append(x)
            x += self.slot + self.gap
        return lefts, x - self.gap

    def _place_rows(
        self, panels: Sequence[Panel], columns: int, top: float
    ) -> tuple[list[int], int]:
        """Return where the images of each row begin and where the last ones end.

        `top` is the height of the heading in em. Titles have room where there are any.
        """
        tops, y = [], round(top * self.em)
        for start in range(0, len(panels), columns):
            titled = any(panel.title for panel in panels[start : start + columns])
            y += round((1.8 if titled else 0.0) * self.em)
            tops.append(y)
            y += self.height + self.em
        return tops, y - self.em

    def _wrap(self, text: str, width: Pixels) -> list[str]:
        """Break a note into lines, between words."""
        lines: list[str] = []
        for word in text.split():
            longer = f"{lines[-1]} {word}" if lines else word
            if lines and self._measure(longer, 0.85) <= width:
                lines[-1] = longer
            else:
                lines.append(word)
        return lines

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
            words = (legend.low, legend.middle, legend.high)
            return sum(map(self._measure, words))
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
        self, panel: Panel, image: UInt8[np.ndarray, "rows cols 3"], x: int, y: int
    ) -> None:
        self._write(panel.title, x, y - 0.6 * self.em, 1.0)
        lines = panel.side.splitlines()
        for index, line in enumerate(lines):
            baseline = x - (0.6 + 1.5 * (len(lines) - 1 - index)) * self.em
            size = min(1.0, self.height / max(1, self._measure(line)))
            style = {"rotation": 90, "rotation_mode": "anchor", "ha": "center"}
            style["weight"] = "normal" if index else "bold"
            self._write(line, baseline, y + self.height / 2, size, **style)
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

    def _draw_colour_bar(self, bar: ColourBar, left: int, right: int, y: int) -> None:
        extent = (left, right, y + self.em, y)
        strip = bar.colours[np.newaxis]
        self.axes.imshow(strip, extent=extent, aspect="auto", interpolation="nearest")
        baseline = y + 2.3 * self.em
        self._write(bar.low, left, baseline, 1.0)
        self._write(bar.middle, (left + right) / 2, baseline, 1.0, ha="center")
        self._write(bar.high, right, baseline, 1.0, ha="right")
