"""Maps of abundances: beside their reference, and as arrays."""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8

from hsijax.io.atomic import write_atomically
from hsijax.io.spectral_library import SpectralLibrary
from hsijax.metrics.unmixing import abundance_errors
from hsijax.reports.colour_scales import read_ramp, round_limit, shade
from hsijax.reports.drawing import shorten
from hsijax.reports.page import ColourBar, Panel
from hsijax.reports.panels import save_panels

NO_DATA = (150, 150, 150)  # a grey, which is in none of the colour scales below
ABUNDANCE, DIFFERENCE, RESIDUAL = (
    read_ramp(name) for name in ("viridis", "RdBu_r", "magma")
)
TOLERANCE = 1e-6  # beyond 0 and 1 that rounding explains
MINUS = "\N{MINUS SIGN}"
MOST_DRAWN = 24  # endmembers
PAGE_SHAPE = 1.3  # height over width that suits a printed page


def save_abundance_figure(
    path: Path,
    estimate: Float[np.ndarray, "rows cols endmembers"],
    names: Sequence[str],
    *,
    reference: Float[np.ndarray, "rows cols endmembers"] | None,
    valid: Bool[np.ndarray, "rows cols"],
    title: str,
    caption: str = "",
    stamp: str = "",
) -> None:
    """Write a PNG of all abundances: reference, estimate and their difference.

    Abundances are on one scale, 0 to 1. Each endmember's RMSE is over all pixels shown,
    also those that a network learned from. Without a reference the estimates stand
    alone. Of many materials the 24 with the largest mean abundances are drawn.

    Args:
        path: of the PNG.
        estimate: what was found.
        names: of the endmembers.
        reference: what is held to be true.
        valid: False where there is no data; such pixels are grey.
        title: stands above the maps.
        caption: stands beneath them.
        stamp: stands beneath them in red, for what nobody may overlook.

    Raises:
        HsijaxError: the disk is full.
    """
    shown = valid & np.isfinite(estimate).all(axis=2)
    drawn = _most_abundant(estimate[shown])
    notes = [caption] if caption else []
    if len(drawn) < len(names):
        notes.append(f"the {len(drawn)} largest of {len(names)} mean abundances")
    names = [shorten(name) for i, name in enumerate(names) if i in drawn]
    estimate = estimate[..., drawn]
    reference = None if reference is None else reference[..., drawn]
    if reference is None:
        groups, bars = _show(estimate, names, shown)
    else:
        groups, bars = _compare(reference, estimate, names, shown)
        notes.append(f"RMSE: of all {np.count_nonzero(shown):,} pixels shown")
    if not shown.all():
        notes.append("grey: no data")
    width = len(groups[0])
    abreast = _count_abreast(len(groups), width, shown.shape)
    panels = [panel for group in groups for panel in group]
    if reference is not None:
        # The headings of the columns stand above the first row alone.
        first, others = panels[: abreast * width], panels[abreast * width :]
        panels = first + [panel._replace(title="") for panel in others]
    save_panels(
        path,
        panels,
        bars,
        heading=title,
        caption="; ".join(notes),
        stamp=stamp,
        per_row=abreast * width,
    )


def save_residual_figure(
    path: Path,
    rmse: Float[np.ndarray, "rows cols"],
    angle: Float[np.ndarray, "rows cols"],
    valid: Bool[np.ndarray, "rows cols"],
    title: str,
    *,
    stamp: str = "",
) -> None:
    """Write a PNG of what the mixtures leave unexplained in each pixel.

    Args:
        path: of the PNG.
        rmse: of the reconstructed spectrum, in the cube's unit.
        angle: between spectrum and reconstruction, in radians.
        valid: False where there is no data; such pixels are grey.
        title: stands above the maps.
        stamp: stands beneath them in red, for what nobody may overlook.

    Raises:
        HsijaxError: the disk is full.
    """
    panels, bars = [], []
    for name, layer in {"RMSE": rmse, "Spectral angle (rad)": angle}.items():
        limit = round_limit(layer[valid])
        panels.append(Panel(name, _paint(layer, valid, RESIDUAL, 0.0, limit)))
        sign = "≥ " if layer[valid].max(initial=0) > limit else ""
        bars.append(ColourBar(RESIDUAL, "0", f"{sign}{limit:g}"))
    caption = "" if valid.all() else "grey: no data"
    save_panels(path, panels, bars, heading=title, caption=caption, stamp=stamp)


def write_abundance_arrays(
    path: Path,
    abundances: Float[np.ndarray, "rows cols endmembers"],
    names: Sequence[str],
    endmembers: SpectralLibrary | None = None,
    notes: Sequence[str] = (),
) -> None:
    """Write an .npz of abundances with the names and, where known, the spectra.

    Its arrays: `abundances`, `names`, `notes` (texts: what nobody may overlook), and
    of the endmembers `spectra` [endmembers bands], `wavelengths` (nm) and `pixels`
    (row, col) as far as they are known. No pickle is in it.

    Raises:
        HsijaxError: the disk is full.
    """
    arrays = {
        "abundances": abundances,
        "names": np.array(names, dtype=np.str_),
        "notes": np.array(notes, dtype=np.str_),
    }
    if endmembers is not None:
        known = {
            "spectra": endmembers.spectra,
            "wavelengths": endmembers.wavelengths,
            "pixels": endmembers.pixels,
        }
        arrays |= {name: array for name, array in known.items() if array is not None}
    with write_atomically(path) as temporary:
        np.savez_compressed(temporary, allow_pickle=False, **arrays)


def _most_abundant(
    abundances: Float[np.ndarray, "pixels endmembers"],
) -> Int[np.ndarray, " drawn"]:
    """Return which endmembers have room on a page, in their order."""
    ranks = np.argsort(-abundances.sum(axis=0), kind="stable")
    return np.sort(ranks[:MOST_DRAWN])


def _show(
    estimate: Float[np.ndarray, "rows cols endmembers"],
    names: Sequence[str],
    shown: Bool[np.ndarray, "rows cols"],
) -> tuple[list[list[Panel]], list[ColourBar]]:
    """Make one panel an endmember, and the scale beneath."""
    groups = [
        [Panel(name, _paint(estimate[..., index], shown))]
        for index, name in enumerate(names)
    ]
    return groups, [_abundance_bar(estimate[shown], 1)]


def _compare(
    reference: Float[np.ndarray, "rows cols endmembers"],
    estimate: Float[np.ndarray, "rows cols endmembers"],
    names: Sequence[str],
    shown: Bool[np.ndarray, "rows cols"],
) -> tuple[list[list[Panel]], list[ColourBar]]:
    """Make three panels an endmember, and the scales beneath."""
    difference = estimate - reference
    limit = round_limit(difference[shown])
    errors = abundance_errors(estimate[shown], reference[shown]).per_endmember
    groups = [
        [
            Panel(
                "Reference",
                _paint(reference[..., index], shown),
                side=f"{name}\nRMSE {errors[index]:.4f}",
            ),
            Panel("Estimate", _paint(estimate[..., index], shown)),
            Panel(
                f"Estimate {MINUS} reference",
                _paint(difference[..., index], shown, DIFFERENCE, -limit, limit),
            ),
        ]
        for index, name in enumerate(names)
    ]
    low, high = (MINUS, "")
    if np.abs(difference[shown]).max(initial=0) > limit:
        low, high = (f"≤ {MINUS}", "≥ ")
    ends = (f"{low}{limit:g}", f"{high}{limit:g}")
    both = np.stack([reference[shown], estimate[shown]])
    return groups, [_abundance_bar(both, 2), ColourBar(DIFFERENCE, *ends, middle="0")]


def _abundance_bar(values: Float[np.ndarray, "..."], panels: int) -> ColourBar:
    """Make the scale from 0 to 1; its ends say where solutions go beyond it."""
    low = "≤ 0" if values.min(initial=0) < -TOLERANCE else "0"
    high = "≥ 1" if values.max(initial=1) > 1 + TOLERANCE else "1"
    return ColourBar(ABUNDANCE, low, high, panels, "abundance")


def _paint(
    layer: Float[np.ndarray, "rows cols"],
    shown: Bool[np.ndarray, "rows cols"],
    ramp: UInt8[np.ndarray, "steps 3"] = ABUNDANCE,
    low: float = 0.0,
    high: float = 1.0,
) -> UInt8[np.ndarray, "rows cols 3"]:
    return shade(np.where(shown, layer, np.nan), ramp, low, high, missing=NO_DATA)


def _count_abreast(endmembers: int, panels: int, shape: tuple[int, ...]) -> int:
    """Say how many endmembers, of so many panels each, stand side by side.

    One, unless the page comes nearer to the shape of a printed one with more.

    >>> _count_abreast(4, 3, (100, 100)), _count_abreast(12, 3, (100, 100))
    (1, 2)
    """

    def misfit(abreast: int) -> float:
        height = math.ceil(endmembers / abreast) * shape[0]
        return abs(math.log(height / (abreast * panels * shape[1]) / PAGE_SHAPE))

    return min(range(1, endmembers + 1), key=misfit)
