"""What tests of figures look at: colours at places, and one image inside another."""

from pathlib import Path

import numpy as np
from PIL import Image


def open_rgb(path: Path) -> np.ndarray:
    """Read a picture as `[height width 3]`."""
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def parse_colour(text: str) -> tuple[int, ...]:
    """Return red, green and blue of `#rrggbb`."""
    return tuple(bytes.fromhex(text[1:]))


def mark(image: np.ndarray, colour: tuple[int, ...], tolerance: int = 2) -> np.ndarray:
    """Say which pixels have a colour."""
    near = np.abs(image.astype(int) - colour) <= tolerance
    return np.asarray(near.all(axis=2))


def find(image: np.ndarray, part: np.ndarray) -> list[tuple[int, int]]:
    """Say where `part` occurs in `image`, pixel for pixel."""
    image, part = (array.astype(np.int32) @ [65536, 256, 1] for array in (image, part))
    height, width = part.shape
    rows, cols = image.shape[0] - height + 1, image.shape[1] - width + 1
    places = np.argwhere(image[:rows, :cols] == part[0, 0])
    for y, x in ((height - 1, width - 1), (0, width - 1), (height // 2, width // 3)):
        places = places[image[places[:, 0] + y, places[:, 1] + x] == part[y, x]]
    return [
        (int(y), int(x))
        for y, x in places
        if np.array_equal(image[y : y + height, x : x + width], part)
    ]


def assert_nothing_is_cut(image: np.ndarray) -> None:
    """Check that the margin of the page is white all around."""
    for edge in (image[:6], image[-6:], image[:, :6], image[:, -6:]):
        assert (edge == 255).all()
