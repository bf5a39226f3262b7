"""Styles with which QGIS opens a raster: legend, names and colours at once.

QGIS takes the `.qml` beside a raster, of the same name but for the suffix. Renderers of
QGIS 3: https://docs.qgis.org/latest/en/docs/user_manual/appendices/qgis_file_formats.html
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
from jaxtyping import Float

from hsijax.io.atomic import write_atomically
from hsijax.io.class_table import NamedClass
from hsijax.io.row_blocks import RowSource, read_rows

VERSION = "3.16.0"  # of QGIS, of which the words are
VIRIDIS = ("#440154", "#3b528b", "#21918c", "#5ec962", "#fde725")
SAMPLED_ROWS = 64  # of a raster, for the ends of its scale


@contextmanager
def write_class_style(path: Path, classes: Sequence[NamedClass]) -> Iterator[None]:
    """Write the style of the class map `path` once the block has written that.

    Each class has its name and colour; the value 0 has none, so that it is transparent.

    Raises:
        HsijaxError: the disk is full.
    """
    root, renderer = _make_style("paletted")
    palette = ElementTree.SubElement(renderer, "colorPalette")
    for land in classes:
        entry = {
            "value": str(land.id),
            "color": "#{:02x}{:02x}{:02x}".format(*land.colour),
            "label": printable(land.name),
            "alpha": "255",
        }
        ElementTree.SubElement(palette, "paletteEntry", entry)
    with _beside(path, root):
        yield


@contextmanager
def write_layer_style(
    path: Path, layers: Float[RowSource, "rows cols layers"]
) -> Iterator[None]:
    """Write the style of the layers `path` once the block has written those.

    The first layer is in colours from dark to light, others are for the user to choose.

    Raises:
        HsijaxError: the disk is full.
    """
    low, high = _find_scale(layers)
    limits = {"classificationMin": f"{low:g}", "classificationMax": f"{high:g}"}
    root, renderer = _make_style("singlebandpseudocolor", **limits)
    shader = ElementTree.SubElement(renderer, "rastershader")
    ramp = ElementTree.SubElement(
        shader,
        "colorrampshader",
        colorRampType="INTERPOLATED",
        classificationMode="1",
        clip="0",
        minimumValue=f"{low:g}",
        maximumValue=f"{high:g}",
    )
    for value, colour in zip(
        np.linspace(low, high, len(VIRIDIS)), VIRIDIS, strict=True
    ):
        item = {"value": f"{value:g}", "label": f"{value:g}", "color": colour}
        ElementTree.SubElement(ramp, "item", item, alpha="255")
    with _beside(path, root):
        yield


def printable(text: str) -> str:
    """Drop control characters, which XML cannot hold.

    >>> printable("Corn\\x00, no till")
    'Corn, no till'
    """
    return "".join(letter for letter in text if letter.isprintable())


def _make_style(
    kind: str, **settings: str
) -> tuple[ElementTree.Element, ElementTree.Element]:
    """Return the root of a style, and its renderer of the first band."""
    root = ElementTree.Element("qgis", version=VERSION, styleCategories="Symbology")
    pipe = ElementTree.SubElement(root, "pipe")
    fixed = {"type": kind, "band": "1", "opacity": "1", "alphaBand": "-1"}
    return root, ElementTree.SubElement(pipe, "rasterrenderer", fixed, **settings)


@contextmanager
def _beside(path: Path, root: ElementTree.Element) -> Iterator[None]:
    """Put a style beside `path` if the block succeeds."""
    ElementTree.indent(root)
    text = ElementTree.tostring(root, encoding="utf-8")
    with write_atomically(path.with_suffix(".qml")) as temporary:
        temporary.write_bytes(b"<!DOCTYPE qgis>\n" + text + b"\n")
        yield


def _find_scale(layers: Float[RowSource, "rows cols layers"]) -> tuple[float, float]:
    """Return round ends of a scale for the first layer, from some of its rows.

    >>> _find_scale(np.array([[[0.2], [0.9], [np.nan]]]))
    (0.0, 1.0)
    >>> _find_scale(np.array([[[-0.03], [120.0]]]))
    (-0.05, 200.0)
    """
    rows = layers.shape[0]
    sampled = np.linspace(0, rows - 1, min(rows, SAMPLED_ROWS)).astype(int)
    values = np.stack(
        [read_rows(layers, row, row + 1)[..., 0] for row in sampled.tolist()]
    )
    values = values[np.isfinite(values)]
    low = 0.0 - _round_up(-float(values.min(initial=0)))
    high = _round_up(float(values.max(initial=0)))
    return low, high if high > low else low + 1


def _round_up(value: float) -> float:
    """Return the next of 1, 2, 5 or 10 times a power of ten, but for rounding.

    >>> _round_up(0.031), _round_up(1.0000001), _round_up(0.0)
    (0.05, 1.0, 0.0)
    """
    if value <= 0:
        return 0.0
    power = 10.0 ** np.floor(np.log10(value))
    step = next(s for s in (1, 2, 5, 10) if s * power >= value * (1 - 1e-6))
    return float(f"{step * power:g}")
