"""Plots of spectra: endmembers, and libraries of hundreds."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D
from scipy.ndimage import median_filter

from hsijax.io.spectral_library import SpectralLibrary
from hsijax.reports.drawing import (
    GRID,
    INK,
    LINE,
    plain_style,
    save_figure,
    shorten,
    write_heading,
)
from hsijax.scenes.palette import distinct_colours

DPI = 200
MOST_NAMED = 40  # spectra, or classes, that a legend names
LEGEND_ROWS = 20
MOST_MARKED = 30  # bands that each have a dot: those of a multispectral sensor
GAP = 3.0  # times the usual step between bands that a gap is at least
LUMINANCES = (0.18, 0.62)  # of lines that are neither all black nor hard to see
PADDED = ConstrainedLayoutEngine(w_pad=0.1, h_pad=0.1)


def save_spectra_figure(
    path: Path,
    library: SpectralLibrary,
    *,
    title: str,
    reference: SpectralLibrary | None = None,
    stamp: str = "",
) -> None:
    """Write a PNG of spectra against wavelength, or band number where that is unknown.

    A line is broken where bands are missing. Up to 40 spectra have a colour and a name
    each, more of them a colour a class, or one colour and their mean.

    Args:
        path: of the PNG.
        library: the spectra.
        title: stands above them.
        reference: as many spectra, each to compare with the same row of `library`;
            dashed.
        stamp: stands above them in red, for what nobody may overlook.

    Raises:
        HsijaxError: the disk is full.
    """
    with plain_style():
        figure = Figure(figsize=(8, 4.2), dpi=DPI, layout=PADDED)
        axes = figure.subplots()
        if len(library.names) <= MOST_NAMED:
            handles = _draw_named(axes, library, reference)
        elif library.classes and len(set(library.classes)) <= MOST_NAMED:
            handles = _draw_classes(axes, library)
        else:
            handles = _draw_all(axes, library)
        write_heading(figure, axes, title, stamp)
        known = library.wavelengths is not None
        axes.set_xlabel("wavelength (nm)" if known else "band")
        axes.set_ylabel(_name_values(library))
        axes.margins(x=0.01)
        axes.grid(color=GRID)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
        columns = -(-len(handles) // LEGEND_ROWS)
        place = {"loc": "center left", "bbox_to_anchor": (1.0, 0.5)}
        legend = axes.legend(
            handles=handles, fontsize=8, frameon=False, ncols=columns, **place
        )
        for text in legend.get_texts():
            text.set_parse_math(False)
        save_figure(path, figure)


def break_at_gaps(
    wavelengths: Float[np.ndarray, " bands"],
    spectra: Float[np.ndarray, "spectra bands"],
) -> tuple[Float[np.ndarray, " places"], Float[np.ndarray, "spectra places"]]:
    """Put a NaN, which breaks a line, into each gap between ascending wavelengths.

    A gap is three times as wide as the steps around it usually are.

    >>> wavelengths = np.array([400.0, 410, 420, 430, 500, 510, 520, 530])
    >>> places, values = break_at_gaps(wavelengths, np.ones((1, 8)))
    >>> places[3:6], values[0, 3:6]
    (array([430., 465., 500.]), array([ 1., nan,  1.]))
    """
    steps = np.diff(wavelengths)
    if steps.size == 0:
        return wavelengths, spectra
    usual = median_filter(steps, size=9, mode="nearest")
    gaps = np.flatnonzero(steps > GAP * usual)
    middles = (wavelengths[gaps] + wavelengths[gaps + 1]) / 2
    places = np.insert(wavelengths, gaps + 1, middles)
    return places, np.insert(spectra, gaps + 1, np.nan, axis=1)


def _draw_named(
    axes: Axes, library: SpectralLibrary, reference: SpectralLibrary | None
) -> list[Line2D]:
    """Draw each spectrum in its colour; the reference's in the same one, dashed."""
    names = [shorten(name) for name in library.names]
    colours = _line_colours(len(names))
    if reference is not None:
        _draw(axes, reference, colours, linestyle="--", linewidth=1.0)
        pairs = zip(names, map(shorten, reference.names), strict=True)
        names = [one if one == other else f"{one} / {other}" for one, other in pairs]
    _draw(axes, library, colours, linewidth=1.4)
    handles = _make_handles(names, colours)
    if reference is not None:
        dashed = {"color": INK, "linestyle": "--", "linewidth": 1.0}
        handles.append(Line2D([], [], label="dashed: reference", **dashed))
    return handles


def _draw_classes(axes: Axes, library: SpectralLibrary) -> list[Line2D]:
    """Draw thin lines in the colour of their class."""
    counts = Counter(library.classes)
    colours = dict(zip(counts, _line_colours(len(counts)), strict=True))
    each = [colours[material] for material in library.classes or ()]
    _draw(axes, library, each, linewidth=0.5, alpha=_alpha(len(each)))
    names = [f"{shorten(name)} ({count})" for name, count in counts.items()]
    return _make_handles(names, list(colours.values()))


def _draw_all(axes: Axes, library: SpectralLibrary) -> list[Line2D]:
    """Draw thin lines in one colour, and their mean."""
    count = len(library.names)
    _draw(axes, library, [LINE] * count, linewidth=0.5, alpha=_alpha(count))
    known = np.isfinite(library.spectra)
    mean = np.nansum(library.spectra, axis=0) / np.maximum(known.sum(axis=0), 1)
    mean = np.where(known.any(axis=0), mean, np.nan)[np.newaxis]
    middle = SpectralLibrary(("mean",), mean, library.wavelengths)
    _draw(axes, middle, [INK], linewidth=1.6)
    return _make_handles([f"{count} spectra", "mean"], [LINE, INK])


def _draw(
    axes: Axes,
    library: SpectralLibrary,
    colours: Sequence[str],
    **style: Any,
) -> None:
    """Draw the spectra of a library, each in its colour."""
    spectra = library.spectra
    bands = spectra.shape[1]
    if library.wavelengths is None:
        places = np.arange(1.0, bands + 1)
    else:
        order = np.argsort(library.wavelengths, kind="stable")
        places, spectra = library.wavelengths[order], spectra[:, order]
        if bands > MOST_MARKED:
            places, spectra = break_at_gaps(places, spectra)
    if bands <= MOST_MARKED:
        style |= {"marker": "o", "markersize": 3}
    for values, colour in zip(spectra, colours, strict=True):
        axes.plot(places, values, color=colour, **style)


def _make_handles(names: Sequence[str], colours: Sequence[str]) -> list[Line2D]:
    return [
        Line2D([], [], color=colour, linewidth=1.8, label=name)
        for name, colour in zip(names, colours, strict=True)
    ]


def _alpha(lines: int) -> float:
    """Return how opaque one of many lines is."""
    return max(0.1, min(0.8, 40 / lines))


def _line_colours(count: int) -> list[str]:
    """Return colours of which a line can be told from others and from the paper."""
    weights = (0.2126 / 255, 0.7152 / 255, 0.0722 / 255)
    suited = [
        "#{:02x}{:02x}{:02x}".format(*colour)
        for colour in distinct_colours(255)
        if LUMINANCES[0] < np.dot(colour, weights) < LUMINANCES[1]
    ]
    return suited[:count]


def _name_values(library: SpectralLibrary) -> str:
    """Take values about 0 to 1 for reflectance."""
    known = library.spectra[np.isfinite(library.spectra)]
    scaled = known.size > 0 and known.min() > -0.2 and known.max() < 2
    return "reflectance" if scaled else "value"
