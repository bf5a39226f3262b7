"""Images in a row or a grid, each pixel of a scene a crisp square, legends beneath."""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Shaped

from hsijax.reports.drawing import plain_style, save_figure
from hsijax.reports.page import ColourBar, Legend, Page, Panel

SMALL_SIDE = 700  # px; the longer side of a panel is enlarged to at least this
LARGE_SIDE = 4096  # px; a larger scene is thinned out
# px; the same for panels in several rows, which together fill at least GRID_PAGE
GRID_SMALL_SIDE, GRID_LARGE_SIDE, GRID_PAGE = 300, 1024, 1600


def resize_pixels(
    image: Shaped[np.ndarray, "rows cols *channels"],
    small: int = SMALL_SIDE,
    large: int = LARGE_SIDE,
) -> Shaped[np.ndarray, "height width *channels"]:
    """Repeat each pixel a whole number of times, or keep every n-th of a large scene.

    >>> resize_pixels(np.zeros((145, 145))).shape
    (725, 725)
    """
    side = max(image.shape[:2])
    step = math.ceil(side / large)
    if step > 1:
        return image[::step, ::step]
    factor = math.ceil(small / side)
    return image.repeat(factor, axis=0).repeat(factor, axis=1)


def save_panels(
    path: Path,
    panels: Sequence[Panel],
    legends: Sequence[Legend | ColourBar],
    *,
    heading: str,
    caption: str = "",
    stamp: str = "",
    per_row: int | None = None,
) -> None:
    """Write a PNG of panels of one size; the legends share their width, in order.

    The panels stand in one row, or `per_row` of them in each.
    """
    columns = per_row or len(panels)
    small, large = SMALL_SIDE, LARGE_SIDE
    if per_row is not None:
        longest = max(columns, math.ceil(len(panels) / columns))
        small, large = max(GRID_SMALL_SIDE, GRID_PAGE // longest), GRID_LARGE_SIDE
    step = math.ceil(max(panels[0].image.shape) / large)
    if step > 1:
        thinned = f"1 row and column in {step} is shown"
        caption = f"{caption}; {thinned}" if caption else thinned
    images = [resize_pixels(panel.image, small, large) for panel in panels]
    with plain_style():
        page = Page(panels, images, legends, heading, (caption, stamp), columns)
        save_figure(path, page.figure)
