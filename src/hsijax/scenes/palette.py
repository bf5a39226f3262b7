"""Colours for classes that come without: far apart, also for the colour-blind."""

import functools

import numpy as np
from jaxtyping import Float

from hsijax.io.arrays import Colour

# Okabe and Ito's palette, of which each two colours differ in any colour vision.
FIRST_COLOURS = (
    (230, 159, 0),
    (86, 180, 233),
    (0, 158, 115),
    (240, 228, 66),
    (0, 114, 178),
    (213, 94, 0),
    (204, 121, 167),
)
# Drawn for unlabelled pixels and for paper: no class may look like them.
TAKEN = ((0, 0, 0), (255, 255, 255))
LEVELS = 12  # of each channel that candidates are made of

# XYZ of linear sRGB (IEC 61966-2-1), relative to the white point D65.
TO_XYZ = np.array(
    [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
) / np.array([[0.9505], [1.0], [1.089]])
# What a deuteranope sees of linear RGB.
DEUTERANOPE = np.array(
    [[0.29275, 0.70725, 0.0], [0.29275, 0.70725, 0.0], [-0.02234, 0.02234, 1.0]]
)


def distinct_colours(count: int) -> tuple[Colour, ...]:
    """Return up to 255 colours, always the same, the most different ones first.

    After the first seven each is the candidate whose nearest colour so far is farthest,
    in CIELAB, in normal vision or in that of a deuteranope, whichever is nearer.

    Source:
        Okabe and Ito, "Color Universal Design", 2008; Viénot, Brettel and Mollon,
        "Digital video colourmaps for checking the legibility of displays by
        dichromats", Color Research and Application 24, 1999.

    >>> distinct_colours(2)
    ((230, 159, 0), (86, 180, 233))
    """
    return _farthest_colours()[:count]


@functools.cache
def _farthest_colours() -> tuple[Colour, ...]:
    steps = np.linspace(0, 255, LEVELS).round()
    grid = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(-1, 3)
    seen_as = _appearances(grid)
    chosen = list(FIRST_COLOURS)
    nearest = np.full(len(grid), np.inf)
    for colour in (*TAKEN, *FIRST_COLOURS):
        looks = _appearances(np.array([colour], dtype=float))
        nearest = np.minimum(nearest, _distance(seen_as, looks))
    while len(chosen) < 255:
        best = int(np.argmax(nearest))
        red, green, blue = grid[best].astype(int).tolist()
        chosen.append((red, green, blue))
        nearest = np.minimum(nearest, _distance(seen_as, seen_as[:, best : best + 1]))
    return tuple(chosen)


def _distance(
    some: Float[np.ndarray, "2 n 3"], one: Float[np.ndarray, "2 1 3"]
) -> Float[np.ndarray, " n"]:
    return np.linalg.norm(some - one, axis=-1).min(axis=0)


def _appearances(rgb: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "2 n 3"]:
    """CIELAB coordinates in normal vision and in a deuteranope's."""
    scaled = rgb / 255
    linear = np.where(
        scaled <= 0.04045, scaled / 12.92, ((scaled + 0.055) / 1.055) ** 2.4
    )
    return np.stack([_lab(linear), _lab(np.clip(linear @ DEUTERANOPE.T, 0, 1))])


def _lab(linear: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "n 3"]:
    xyz = linear @ TO_XYZ.T
    root = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    x, y, z = root.T
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)
