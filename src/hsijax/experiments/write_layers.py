"""Maps as files for a GIS: GeoTIFF or ENVI, as the user or the scene decides."""

import logging
from collections.abc import Sequence
from pathlib import Path

from jaxtyping import Float, Integer

from hsijax.config import RASTER_FORMATS
from hsijax.errors import HsijaxError, UsageError, suggest
from hsijax.io.class_table import NamedClass
from hsijax.io.cube import Georeference
from hsijax.io.envi_classification import write_envi_classification, write_envi_layers
from hsijax.io.geotiff import (
    can_write_geotiff,
    write_class_geotiff,
    write_float_geotiff,
)
from hsijax.io.row_blocks import RowSource

log = logging.getLogger("hsijax")


def check_raster_format(chosen: str) -> None:
    """Refuse, before anything is computed, a format that cannot be written.

    Raises:
        UsageError: there is none of this name.
        HsijaxError: GeoTIFF is wanted and rasterio is missing.
    """
    if chosen not in RASTER_FORMATS:
        raise UsageError(
            f"--format cannot be '{chosen}'{suggest(chosen, RASTER_FORMATS)}"
        )
    if chosen == "geotiff" and not can_write_geotiff():
        raise HsijaxError(
            "--format geotiff needs rasterio: pip install 'hsijax[geo]', or give "
            "--format envi"
        )


def choose_raster_format(chosen: str, georeference: Georeference | None) -> str:
    """Return "geotiff" or "envi", of what the user chose: one of them, or "auto".

    The latter is GeoTIFF where the scene has a coordinate system and rasterio is
    installed.

    Raises:
        UsageError: there is no format of this name.
        HsijaxError: GeoTIFF is wanted and rasterio is missing.
    """
    check_raster_format(chosen)
    placed = georeference is not None and georeference.crs is not None
    if chosen == "geotiff" and not placed:
        log.warning("the scene has no coordinate system, and so have its GeoTIFFs none")
    if chosen != "auto":
        return chosen
    if placed and can_write_geotiff():
        return "geotiff"
    if placed:
        log.info(
            "maps are written as ENVI files; GeoTIFF needs: pip install 'hsijax[geo]'"
        )
    return "envi"


def write_class_raster(
    stem: Path,
    class_map: Integer[RowSource, "rows cols"],
    classes: Sequence[NamedClass],
    georeference: Georeference | None,
    raster_format: str,
) -> Path:
    """Write a class map, and its legend for QGIS, as `STEM.tif` or `STEM.img`.

    Args:
        stem: the path without a suffix.
        class_map: 0 is no data; read by blocks of rows.
        classes: of the map.
        georeference: where it lies.
        raster_format: "geotiff" or "envi".

    Returns:
        The raster; what belongs to it lies beside it.

    Raises:
        HsijaxError: the map has a value without a class, or the disk is full.
    """
    if raster_format == "geotiff":
        path = stem.with_name(f"{stem.name}.tif")
        write_class_geotiff(path, class_map, classes, georeference)
    else:
        path = stem.with_name(f"{stem.name}.img")
        write_envi_classification(path, class_map, classes, georeference)
    return path


def write_float_raster(
    stem: Path,
    layers: Float[RowSource, "rows cols layers"],
    names: Sequence[str],
    georeference: Georeference | None,
    raster_format: str,
    description: str = "",
) -> Path:
    """Write named layers, a band each, in float32 with NaN as no data.

    Args:
        stem: the path without a suffix; the file is `STEM.tif` or `STEM.img`.
        layers: such as abundances; read by blocks of rows.
        names: of the layers.
        georeference: where they lie.
        raster_format: "geotiff" or "envi".
        description: what the layers are, and what nobody may overlook.

    Returns:
        The raster; what belongs to it lies beside it.

    Raises:
        HsijaxError: the disk is full.
    """
    if raster_format == "geotiff":
        path = stem.with_name(f"{stem.name}.tif")
        write_float_geotiff(path, layers, names, georeference, description)
    else:
        path = stem.with_name(f"{stem.name}.img")
        write_envi_layers(path, layers, names, georeference, description)
    return path
