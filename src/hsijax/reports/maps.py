"""Pictures of class maps: beside the ground truth, bare, and how sure they are."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, Integer, UInt8
from PIL import Image

from hsijax.io.atomic import write_atomically
from hsijax.io.class_table import colour_table, pack_class_map
from hsijax.reports.colour_scales import read_ramp, shade
from hsijax.reports.page import ColourBar, Legend, Panel
from hsijax.reports.panels import save_panels
from hsijax.reports.tables import SELECTED_ON_TEST
from hsijax.scenes.scene import LandClass

Colour = tuple[int, int, int]

NOT_EVALUATED, CORRECT, WRONG, TRAINING = range(4)

# Light and dark as well as blue and red, so that they differ to every eye and in print.
ERROR_CLASSES = (
    LandClass(CORRECT, "correct", (158, 202, 225)),
    LandClass(WRONG, "wrong", (203, 24, 29)),
    LandClass(TRAINING, "training pixel", (37, 37, 37)),
)
NOT_EVALUATED_COLOUR = (242, 242, 242)

# What a pixel without a class may look like in a figure; the least like any class.
NO_CLASS_COLOURS = ((0, 0, 0), (242, 242, 242), (128, 128, 128))
# Likewise of one that is rejected: greys.
REJECTED_COLOURS = ((160, 160, 160), (112, 112, 112), (208, 208, 208), (64, 64, 64))


def error_map(
    class_map: Integer[np.ndarray, "rows cols"],
    ground_truth: Integer[np.ndarray, "rows cols"],
    train_pixels: Integer[np.ndarray, "trained 2"] | None = None,
    test_pixels: Integer[np.ndarray, "tested 2"] | None = None,
) -> UInt8[np.ndarray, "rows cols"]:
    """Mark each pixel: 0 not evaluated, 1 correct, 2 wrong, 3 training pixel.

    Evaluated is what has a label and a class, is among the test pixels, where those
    are given, and was not trained on.

    >>> error_map(np.array([[1, 2, 2]]), np.array([[1, 1, 0]]))
    array([[1, 2, 0]], dtype=uint8)
    """
    evaluated = (ground_truth != 0) & (class_map != 0)
    if test_pixels is not None:
        tested = np.zeros(ground_truth.shape, dtype=bool)
        tested[test_pixels[:, 0], test_pixels[:, 1]] = True
        evaluated &= tested
    verdict = np.where(class_map == ground_truth, CORRECT, WRONG)
    errors = np.where(evaluated, verdict, NOT_EVALUATED).astype(np.uint8)
    if train_pixels is not None:
        errors[train_pixels[:, 0], train_pixels[:, 1]] = TRAINING
    return errors


def save_class_map_figure(
    path: Path,
    class_map: Integer[np.ndarray, "rows cols"],
    classes: Sequence[LandClass],
    *,
    title: str,
    ground_truth: Integer[np.ndarray, "rows cols"] | None = None,
    train_pixels: Integer[np.ndarray, "trained 2"] | None = None,
    test_pixels: Integer[np.ndarray, "tested 2"] | None = None,
    rejected: Bool[np.ndarray, "rows cols"] | None = None,
    note: str = "",
    selected_on_test: bool = False,
) -> None:
    """Write a PNG of a class map (0 = no class) with the names of its colours.

    With a ground truth: that, and where the map is right and wrong, beside it. What is
    `rejected` is grey and counted in the legend. `note` stands beneath.

    Raises:
        HsijaxError: a map has a value without a class, or the disk is full.
    """
    maps = {"Class map": class_map}
    if ground_truth is not None:
        maps["Ground truth"] = ground_truth
    no_class = _farthest(NO_CLASS_COLOURS, [land.colour for land in classes])
    colours = colour_table(classes, no_class)
    panels = [
        Panel(name, colours[pack_class_map(values, classes)])
        for name, values in maps.items()
    ]
    entries = [(land.name, land.colour) for land in classes]
    empty = {name: values == 0 for name, values in maps.items()}
    if rejected is not None:
        taken = [no_class, *(land.colour for land in classes)]
        grey = _farthest(REJECTED_COLOURS, taken)
        panels[0].image[rejected] = grey
        entries.append((f"rejected ({rejected.sum():,})", grey))
        empty["Class map"] &= ~rejected
    if any(where.any() for where in empty.values()):
        entries.append(("no class", no_class))
    legends = [Legend(entries, panels=len(maps))]
    if ground_truth is not None:
        errors = error_map(class_map, ground_truth, train_pixels, test_pixels)
        error_colours = colour_table(ERROR_CLASSES, NOT_EVALUATED_COLOUR)
        panels.append(Panel("Errors", error_colours[errors]))
        legends.append(_error_legend(errors))
    save_panels(
        path,
        panels,
        legends,
        heading=title,
        caption=note,
        stamp=SELECTED_ON_TEST if selected_on_test else "",
    )


def save_palette_png(
    path: Path,
    class_map: Integer[np.ndarray, "rows cols"],
    classes: Sequence[LandClass],
) -> None:
    """Write a bare PNG, one pixel per pixel of the scene, black where there is none.

    Its values are the class ids, with a palette; in colours alone if one is over 255.

    Raises:
        HsijaxError: the map has a value without a class, or the disk is full.
    """
    packed = pack_class_map(class_map, classes)
    colours = colour_table(classes)
    if packed.dtype == np.uint8:
        image = Image.fromarray(packed)
        image.putpalette(colours.tobytes())
    else:
        image = Image.fromarray(colours[packed])
    with write_atomically(path) as temporary:
        image.save(temporary, format="PNG", optimize=True)


def save_confidence_png(
    path: Path,
    confidence: Float[np.ndarray, "rows cols"],
    *,
    title: str,
    selected_on_test: bool = False,
) -> None:
    """Write a PNG of the largest class probability, 0 to 1; white where it is NaN.

    Raises:
        HsijaxError: the disk is full.
    """
    colours = read_ramp("viridis")
    panel = Panel("Largest class probability", shade(confidence, colours))
    bar = ColourBar(colours, "0", "1")
    stamp = SELECTED_ON_TEST if selected_on_test else ""
    save_panels(path, [panel], [bar], heading=title, stamp=stamp)


def _error_legend(errors: UInt8[np.ndarray, "rows cols"]) -> Legend:
    """Name the values of an error map that occur, with how many pixels have them."""
    entries = []
    for land in (*ERROR_CLASSES, LandClass(0, "not evaluated", NOT_EVALUATED_COLOUR)):
        where: Bool[np.ndarray, "rows cols"] = errors == land.id
        if where.any():
            entries.append((f"{land.name} ({where.sum():,})", land.colour))
    return Legend(entries)


def _farthest(candidates: Sequence[Colour], taken: Sequence[Colour]) -> Colour:
    """Choose the colour that is least like any that is taken."""

    def distance(candidate: Colour) -> float:
        return min((_distance(candidate, colour) for colour in taken), default=0.0)

    return max(candidates, key=distance)


def _distance(one: Colour, other: Colour) -> float:
    return sum((a - b) ** 2 for a, b in zip(one, other, strict=True)) ** 0.5
