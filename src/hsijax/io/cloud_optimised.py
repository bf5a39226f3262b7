"""Cloud-optimised GeoTIFFs of any size: tiles, compressed, with overviews, in order.

The order of such a file is known only once all is there, so GDAL copies a draft of it.
"""

import os
import shutil
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Shaped

from hsijax.errors import HsijaxError
from hsijax.io.atomic import scratch_folder, write_atomically
from hsijax.io.cube import Georeference
from hsijax.io.row_blocks import RowSource, read_blocks

IN_MEMORY = 2**25  # bytes of a raster up to which its file is made in memory
TILE = 256  # pixels
# Of draft, overviews and file, in sizes of the raster, where nothing compresses.
MOST_SPACE = 2.8
MEBIBYTE = 2**20


@dataclass(frozen=True)
class Raster:
    """What a GeoTIFF is to hold.

    `convert` makes of some rows of `source` the bands [bands rows cols] as stored;
    `describe` names them in the open file; overviews are made by `resampling`.
    """

    source: RowSource
    bands: int
    dtype: np.dtype
    nodata: float
    convert: Callable[[Shaped[np.ndarray, "rows ..."]], np.ndarray]
    describe: Callable[[Any], None]
    resampling: str

    @property
    def size(self) -> int:
        """Bytes without overviews and compression."""
        rows, cols = self.source.shape[:2]
        return rows * cols * self.bands * self.dtype.itemsize


def write_cloud_optimised(
    path: Path, raster: Raster, georeference: Georeference | None
) -> None:
    """Write a raster as a GeoTIFF in the layout for the cloud, row block by row block.

    GDAL may only log that a disk is full while it writes. A small file is therefore
    made in memory; a large one, beside its place, is read again and compared.

    Raises:
        HsijaxError: rasterio is missing, the coordinate system is unknown to it, or
            the disk is full.
    """
    place = _find_place(georeference)
    import rasterio
    from rasterio.errors import NotGeoreferencedWarning
    from rasterio.io import MemoryFile

    # GDAL would write what it found out about a file into one more beside it.
    settings = {"GDAL_PAM_ENABLED": False, "GDAL_NUM_THREADS": "ALL_CPUS"}
    with (
        write_atomically(path) as temporary,
        rasterio.Env(**settings),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        if raster.size <= IN_MEMORY:
            with MemoryFile() as draft, MemoryFile() as file:
                _write_draft(draft.name, raster, place)
                _copy_ordered(draft.name, file.name, raster)
                temporary.write_bytes(file.getbuffer())
            return
        with scratch_folder(path) as folder:  # GDAL makes more files beside its own
            draft, file = (f"{folder}/{name}.tif" for name in ("draft", "file"))
            with _explain_gdal(path, raster.size):
                _write_draft(draft, raster, place)
                _copy_ordered(draft, file, raster)
                _compare(file, raster)
            os.replace(file, temporary)


def _find_place(georeference: Georeference | None) -> dict[str, Any]:
    """Return rasterio's words for a place on Earth."""
    try:
        from rasterio import Affine
        from rasterio.crs import CRS
        from rasterio.errors import CRSError
    except ImportError as error:
        raise HsijaxError(
            "writing GeoTIFF needs rasterio: pip install 'hsijax[geo]'"
        ) from error
    if georeference is None:
        return {}
    place: dict[str, Any] = {"transform": Affine(*georeference.transform)}
    if georeference.crs is not None:
        try:
            place["crs"] = CRS.from_user_input(georeference.crs)
        except CRSError as error:
            raise HsijaxError(
                f"not a coordinate system that GDAL knows: {georeference.crs[:80]}"
            ) from error
    return place


def _write_draft(name: str, raster: Raster, place: dict[str, Any]) -> None:
    """Write all values, tags and colours; tiles without compression, as they come."""
    import rasterio
    from rasterio.windows import Window

    rows, cols = raster.source.shape[:2]
    profile = {
        "driver": "GTiff",
        "height": rows,
        "width": cols,
        "count": raster.bands,
        "dtype": raster.dtype.name,
        "nodata": raster.nodata,
        "tiled": True,
        "blockxsize": TILE,
        "blockysize": TILE,
        "interleave": "pixel",
        "bigtiff": "if_safer",
    }
    with rasterio.open(name, "w", **profile, **place) as dataset:
        for start, block in read_blocks(raster.source):
            window = Window(0, start, cols, len(block))  # pyright: ignore[reportCallIssue]
            dataset.write(raster.convert(block), window=window)
        raster.describe(dataset)


def _copy_ordered(draft: str, file: str, raster: Raster) -> None:
    import rasterio.shutil

    options = {"compress": "deflate", "blocksize": TILE, "bigtiff": "if_safer"}
    if raster.dtype.kind == "f":
        # It makes the bytes of floating-point numbers compress well.
        options["predictor"] = "floating_point"
    options["overview_resampling"] = raster.resampling
    rasterio.shutil.copy(draft, file, driver="COG", **options)


def _compare(file: str, raster: Raster) -> None:
    """Fail unless all values are in the file, which end it: overviews stand before."""
    import rasterio
    from rasterio.errors import RasterioIOError
    from rasterio.windows import Window

    cols = raster.source.shape[1]
    with rasterio.open(file) as dataset:
        for start, block in read_blocks(raster.source):
            window = Window(0, start, cols, len(block))  # pyright: ignore[reportCallIssue]
            found, expected = dataset.read(window=window), raster.convert(block)
            if not np.array_equal(found, expected, equal_nan=True):
                raise RasterioIOError(f"other values than written from row {start}")


@contextmanager
def _explain_gdal(path: Path, size: int) -> Iterator[None]:
    """Turn a failure of GDAL into a line for the user."""
    from rasterio._err import CPLE_BaseError
    from rasterio.errors import RasterioError

    free = shutil.disk_usage(path.parent).free
    try:
        yield
    except (RasterioError, CPLE_BaseError) as error:
        raise HsijaxError(
            f"the disk is full, or fails: could not write {path}, which may need "
            f"{MOST_SPACE * size / MEBIBYTE:,.0f} MiB in its folder for a while; "
            f"{free / MEBIBYTE:,.0f} were free ({error.__cause__ or error})"
        ) from error
