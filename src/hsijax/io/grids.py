"""Grids of pixels: whether two have one coordinate system, and whether they align."""

import numpy as np
from jaxtyping import Float

from hsijax.io.cube import Georeference

TOLERANCE = 0.05  # of a pixel, by which grids that are meant to align may miss


def to_matrix(place: Georeference) -> Float[np.ndarray, "3 3"]:
    """Return what takes (col, row, 1) of a pixel's corner to (x, y, 1)."""
    return np.array([*place.transform, 0, 0, 1], dtype=float).reshape(3, 3)


def find_corners(
    place: Georeference, size: tuple[int, int]
) -> Float[np.ndarray, "4 2"]:
    """Return x and y of a grid's corners, in order around it.

    >>> find_corners(Georeference(None, (2.0, 0.0, 10.0, 0.0, -2.0, 50.0)), (3, 4))[2]
    array([18., 44.])
    """
    rows, cols = size
    pixels = np.array([[0, cols, cols, 0], [0, 0, rows, rows], [1, 1, 1, 1]])
    return (to_matrix(place) @ pixels)[:2].T


def find_shift(
    place: Georeference, grid: Georeference, size: tuple[int, int]
) -> tuple[int, int] | None:
    """Return how many rows and columns of a grid lie before a raster's first pixel.

    None if the raster's pixels, up to its last corner, are not those of the grid:
    they have another size or direction, or lie between them. The coordinate systems
    are not compared.

    Args:
        place: of the raster.
        grid: any other place.
        size: rows and columns of the raster.

    >>> grid = Georeference(None, (30.0, 0.0, 0.0, 0.0, -30.0, 900.0))
    >>> place = Georeference(None, (30.0, 0.0, 60.0, 0.0, -30.0, 870.0))
    >>> find_shift(place, grid, (5, 5))
    (1, 2)
    """
    matrix = to_matrix(grid)
    if not np.linalg.det(matrix):
        return None
    rows, cols = size
    corners = np.column_stack([find_corners(place, size), np.ones(4)])
    found = (np.linalg.inv(matrix) @ corners.T)[:2].T
    own = np.array([[0, 0], [cols, 0], [cols, rows], [0, rows]])
    shift = np.rint(found[0])
    if np.abs(found - own - shift).max() > TOLERANCE:
        return None
    return int(shift[1]), int(shift[0])


def format_pixel(place: Georeference) -> str:
    """Write the sides of a pixel for a message, in units of its coordinate system.

    >>> format_pixel(Georeference(None, (30.0, 0.0, 0.0, 0.0, -30.0, 0.0)))
    '30 x 30'
    """
    a, b, _, d, e, _ = place.transform
    return f"{np.hypot(a, d):g} x {np.hypot(b, e):g}"


def same_crs(one: str | None, other: str | None) -> bool:
    """Whether two coordinate systems are the same, also if one is WKT.

    Without rasterio only equal texts are the same. So is no system on both sides.
    """
    if one == other or one is None or other is None:
        return one == other
    try:
        from rasterio.crs import CRS
        from rasterio.errors import CRSError
    except ImportError:
        return False
    try:
        return CRS.from_user_input(one) == CRS.from_user_input(other)
    except CRSError:
        return False


def name_crs(crs: str | None) -> str:
    """Name a coordinate system in a message: its code, not a page of WKT.

    >>> name_crs("EPSG:4326"), name_crs('PROJCS["A",GEOGCS["B"]]'), name_crs(None)
    ('EPSG:4326', '"A"', 'none')
    """
    if crs is None:
        return "none"
    parts = crs.split('"')
    return f'"{parts[1][:60]}"' if len(parts) > 1 else crs[:60]
