"""A picture of a scene in three bands."""

from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from hsijax.errors import UsageError
from hsijax.io.atomic import write_atomically
from hsijax.scenes.scene import Scene

RED_GREEN_BLUE = (640.0, 550.0, 460.0)  # nm
FARTHEST = 50.0  # nm between a band and the colour that it may stand for
# Where red, green and blue lie among the bands of a sensor for 400 to 2500 nm.
FRACTIONS = (0.14, 0.08, 0.03)
STRETCH = (2, 98)  # percentiles that become black and full colour


def choose_bands(scene: Scene) -> tuple[int, int, int]:
    """Return the good bands (counted among these) nearest to red, green and blue.

    Without wavelengths, or where they leave out visible light, bands at fixed places.
    """
    count = int(scene.good_bands.sum())
    if scene.wavelengths is not None:
        lengths = scene.wavelengths[scene.good_bands]
        gaps = np.abs(lengths[:, None] - np.array(RED_GREEN_BLUE))
        if gaps.min(axis=0).max() <= FARTHEST:
            red, green, blue = gaps.argmin(axis=0).tolist()
            return red, green, blue
    red, green, blue = (round(fraction * (count - 1)) for fraction in FRACTIONS)
    if red == green or green == blue:  # there are too few of them
        return count - 1, (count - 1) // 2, 0
    return red, green, blue


def draw_quicklook(scene: Scene) -> UInt8[np.ndarray, "rows cols 3"]:
    """Return red, green and blue, each stretched from its 2nd to its 98th percentile.

    No-data pixels are black.
    """
    bands = list(choose_bands(scene))
    parts, valid_parts = [], []
    for _, block in scene.blocks():
        valid_parts.append(scene.is_valid(block))
        parts.append(block[:, :, bands].astype(np.float32))
    values = np.concatenate(parts)
    valid = np.concatenate(valid_parts) & np.isfinite(values).all(axis=2)
    picture = np.zeros(values.shape, dtype=np.uint8)
    if valid.any():
        low, high = np.percentile(values[valid], STRETCH, axis=0)
        span = np.where(high > low, high - low, 1)
        picture[valid] = np.clip((values[valid] - low) / span, 0, 1) * 255
    return picture


def write_quicklook(scene: Scene, path: Path) -> None:
    """Write the picture as PNG.

    Raises:
        UsageError: the path does not end in .png.
        HsijaxError: the disk is full or the folder cannot be written.
    """
    if path.suffix.lower() != ".png":
        raise UsageError(f"a quicklook is a PNG: let {path} end in .png")
    with write_atomically(path) as temporary:
        Image.fromarray(draw_quicklook(scene)).save(temporary)
