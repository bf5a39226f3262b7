"""Class rasters on the grid of a scene: compared with it, or resampled to it."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from hsijax.errors import HsijaxError
from hsijax.io.arrays import ArrayFile
from hsijax.io.cube import Georeference
from hsijax.io.grids import find_shift, format_pixel, name_crs, same_crs, to_matrix
from hsijax.io.ground_truth import check_ground_truth_size
from hsijax.scenes.scene import Scene

# Formats that have no room for a georeference: their pixels are taken as they lie.
PLACELESS = (".mat", ".npy", ".npz")
BLOCK_PIXELS = 2**20  # whose places are worked out in one go
EDGE = 1e-6  # of a pixel, more than rounding moves a place

log = logging.getLogger("hsijax")


def fit_to_scene(
    values: Int[np.ndarray, "labels_rows labels_cols"], file: ArrayFile, scene: Scene
) -> Int[np.ndarray, "rows cols"]:
    """Return a class raster on the grid of a scene.

    One on the same grid is returned as it is, one on another grid is resampled by
    nearest neighbour, which is said. Where one of the two is of a format without
    georeferences, or neither has one, they must be of the same size.

    Args:
        values: 0 where there is no label.
        file: of the raster; says where it lies.
        scene: gives the grid.

    Raises:
        GroundTruthSizeError: the sizes differ, and that is all that can be compared.
        HsijaxError: only one has a georeference or a coordinate system, or no label
            lies in the scene.
    """
    place, grid = file.georeference, scene.georeference
    if place is None or grid is None:
        bare = file.path if place is None else scene.source.path
        if place is grid or bare.suffix.lower() in PLACELESS:
            check_ground_truth_size(values.shape, scene.shape, file.path)
            return values
        other = scene.source.path if place is None else file.path
        raise HsijaxError(
            f"{bare} has no georeference and {other} has one, so that labels cannot be "
            f"placed: give {bare.name} one, or, if the two show the same pixels, save "
            "the labels as .npy"
        )
    check_both_placed(file.path, place.crs, scene.source.path, grid.crs)
    size = scene.shape[:2]
    fits = values.shape == size and find_shift(place, grid, size) == (0, 0)
    if fits and same_crs(place.crs, grid.crs):
        return values
    with warp_errors(file.path):
        found, covered = _resample(values, place, grid, size)
    if not covered:
        raise HsijaxError(
            f"{file.path} and {scene.source.path} do not overlap: they are rasters of "
            f"different places ({_describe_places(place, grid)})"
        )
    log.info(
        "%s is on another grid (%s): resampled by nearest neighbour, which gives %d "
        "pixels of %s a label",
        *(file.path, _describe_difference(values.shape, place, size, grid)),
        *(np.count_nonzero(found), scene.source.path),
    )
    if not found.any():
        raise HsijaxError(f"no label of {file.path} lies in {scene.source.path}")
    return found


def check_both_placed(
    path: Path, crs: str | None, scene_path: Path, scene_crs: str | None
) -> None:
    """Refuse labels and a scene of which only one has a coordinate system.

    Raises:
        HsijaxError: says which has none.
    """
    if (crs is None) == (scene_crs is None):
        return
    bare, other = (path, scene_path) if crs is None else (scene_path, path)
    raise HsijaxError(
        f"{bare} has no coordinate system and {other} has one "
        f"({name_crs(crs or scene_crs)}), so that labels cannot be placed: give "
        f"{bare.name} its own"
    )


@contextmanager
def warp_errors(path: Path) -> Iterator[None]:
    """Turn what GDAL cannot reproject into one line.

    Raises:
        HsijaxError: rasterio is missing, or a coordinate system cannot be used.
    """
    try:
        yield
    except ImportError as error:
        raise HsijaxError(
            f"placing {path} on another grid needs rasterio: pip install 'hsijax[geo]'"
        ) from error
    except Exception as error:
        if not type(error).__module__.startswith("rasterio."):
            raise
        raise HsijaxError(
            f"{path} cannot be placed on the scene: {str(error).splitlines()[0][:200]}"
        ) from error


def _resample(
    values: Int[np.ndarray, "labels_rows labels_cols"],
    place: Georeference,
    grid: Georeference,
    size: tuple[int, int],
) -> tuple[Int[np.ndarray, "rows cols"], int]:
    """Return the label in which each pixel's centre lies, and how many lie in any."""
    found, covered = np.zeros(size, dtype=values.dtype), 0
    to_place, to_pixel = to_matrix(grid), np.linalg.inv(to_matrix(place))
    is_same = same_crs(place.crs, grid.crs)
    limits = np.array(values.shape)
    step = max(1, BLOCK_PIXELS // size[1])
    for start in range(0, size[0], step):
        rows, cols = np.mgrid[start : min(start + step, size[0]), : size[1]]
        centres = np.stack([cols.ravel() + 0.5, rows.ravel() + 0.5])
        points = to_place[:2, :2] @ centres + to_place[:2, 2:]
        if not is_same:
            points = move_points(points, grid.crs, place.crs)
        pixels = to_pixel[:2, :2] @ points + to_pixel[:2, 2:]
        # Centres on the edge of two labels are of the second, whatever is rounded.
        inner = np.floor(pixels[::-1].T + EDGE)
        known = ((inner >= 0) & (inner < limits)).all(axis=1)
        chosen = inner[known].astype(int)
        covered += len(chosen)
        block = found[start : start + step].reshape(-1)
        block[known] = values[chosen[:, 0], chosen[:, 1]]
    return found, covered


def move_points(
    points: Float[np.ndarray, "2 n"], source: str | None, target: str | None
) -> Float[np.ndarray, "2 n"]:
    """Return x and y of points in another coordinate system; infinite where it ends."""
    from rasterio.warp import transform

    return np.array(transform(source, target, *points))


def _describe_places(one: Georeference, other: Georeference) -> str:
    """Name two coordinate systems, or the corners of two rasters in the same one."""
    if not same_crs(one.crs, other.crs):
        return f"{name_crs(one.crs)}, {name_crs(other.crs)}"
    corners = (f"{p.transform[2]:.10g}, {p.transform[5]:.10g}" for p in (one, other))
    return f"{name_crs(one.crs)}, from " + " and from ".join(corners)


def _describe_difference(
    size: tuple[int, ...],
    place: Georeference,
    grid_size: tuple[int, int],
    grid: Georeference,
) -> str:
    """Say in what a raster's grid differs from the scene's, the first such thing."""
    if not same_crs(place.crs, grid.crs):
        return f"{name_crs(place.crs)}, not {name_crs(grid.crs)}"
    sides = format_pixel(place), format_pixel(grid)
    if sides[0] != sides[1]:
        return f"pixels of {sides[0]}, not {sides[1]}"
    if tuple(size) != grid_size:
        return f"{size[0]} x {size[1]} pixels, not {grid_size[0]} x {grid_size[1]}"
    return "another origin or direction"
