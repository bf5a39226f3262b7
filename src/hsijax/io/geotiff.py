"""GeoTIFFs that a GIS opens with the right place, colours and class names."""

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
from jaxtyping import Float, Integer

from hsijax.io.atomic import write_atomically
from hsijax.io.class_table import (
    NamedClass,
    colour_table,
    name_table,
    pack_class_map,
    packed_dtype,
)
from hsijax.io.cloud_optimised import Raster, write_cloud_optimised
from hsijax.io.cube import Georeference
from hsijax.io.qgis_style import printable, write_class_style, write_layer_style
from hsijax.io.row_blocks import RowSource

PALETTE_VALUES = 256  # of a paletted GeoTIFF; maps with larger values have no palette

# Columns of a GDAL raster attribute table: name, type (0 integer, 2 text), usage.
ATTRIBUTES = (
    ("Value", 0, 5),
    ("Class", 2, 2),
    ("Red", 0, 6),
    ("Green", 0, 7),
    ("Blue", 0, 8),
)


def can_write_geotiff() -> bool:
    """Whether rasterio is installed."""
    return importlib.util.find_spec("rasterio") is not None


def write_class_geotiff(
    path: Path,
    class_map: Integer[RowSource, "rows cols"],
    classes: Sequence[NamedClass],
    georeference: Georeference | None,
) -> None:
    """Write a class map with its colours, 0 as no data, and two files beside it.

    `PATH.aux.xml` holds the class names, for which GeoTIFF has no place and GDAL, QGIS
    and ArcGIS look there; the `.qml` of the same name is the legend in QGIS. The map is
    read by blocks of rows.

    Raises:
        HsijaxError: rasterio is missing, the coordinate system is unknown to it, the
            map has a value without a class, or the disk is full.
    """
    dtype = packed_dtype(classes)

    def describe(dataset: Any) -> None:
        dataset.set_band_description(1, "class")
        names = {f"class_{land.id}": printable(land.name) for land in classes}
        dataset.update_tags(1, **names)
        if dtype == np.uint8:
            colours = enumerate(colour_table(classes))
            opaque = {value: (*map(int, rgb), 255) for value, rgb in colours}
            dataset.write_colormap(1, opaque | {0: (0, 0, 0, 0)})

    raster = Raster(
        class_map,
        bands=1,
        dtype=dtype,
        nodata=0.0,
        convert=lambda rows: pack_class_map(rows, classes)[np.newaxis],
        describe=describe,
        resampling="mode",
    )
    # They take their place after the map: a reader sees all or the map alone.
    with write_atomically(_sidecar(path)) as names_file:
        names_file.write_bytes(_class_names_xml(classes))
        with write_class_style(path, classes):
            write_cloud_optimised(path, raster, georeference)


def write_float_geotiff(
    path: Path,
    layers: Float[RowSource, "rows cols layers"],
    names: Sequence[str],
    georeference: Georeference | None,
    description: str = "",
) -> None:
    """Write layers such as the confidence in float32, NaN as no data.

    `description` is what the file says of itself. The `.qml` of the same name shows the
    first layer in QGIS. The layers are read by blocks of rows.

    Raises:
        HsijaxError: rasterio is missing, the coordinate system is unknown to it, or
            the disk is full.
    """

    def describe(dataset: Any) -> None:
        dataset.descriptions = tuple(printable(name) for name in names)
        if description:
            dataset.update_tags(TIFFTAG_IMAGEDESCRIPTION=printable(description))

    raster = Raster(
        layers,
        bands=len(names),
        dtype=np.dtype(np.float32),
        nodata=np.nan,
        convert=lambda rows: np.moveaxis(rows, 2, 0).astype(np.float32),
        describe=describe,
        resampling="average",
    )
    with write_layer_style(path, layers):
        write_cloud_optimised(path, raster, georeference)
    # Statistics that a GIS kept of an older file of this name.
    _sidecar(path).unlink(missing_ok=True)


def _sidecar(path: Path) -> Path:
    """Where GDAL looks for what the format of `path` cannot hold."""
    return path.with_name(path.name + ".aux.xml")


def _class_names_xml(classes: Sequence[NamedClass]) -> bytes:
    """Return GDAL's category names and raster attribute table."""
    root = ElementTree.Element("PAMDataset")
    band = ElementTree.SubElement(root, "PAMRasterBand", band="1")
    names = name_table(classes, no_data="no data")
    if len(names) <= PALETTE_VALUES:
        categories = ElementTree.SubElement(band, "CategoryNames")
        for name in names:
            ElementTree.SubElement(categories, "Category").text = printable(name)
    kind = {"tableType": "thematic"}
    table = ElementTree.SubElement(band, "GDALRasterAttributeTable", kind)
    for index, (column, value_type, usage) in enumerate(ATTRIBUTES):
        field = ElementTree.SubElement(table, "FieldDefn", index=str(index))
        ElementTree.SubElement(field, "Name").text = column
        ElementTree.SubElement(field, "Type").text = str(value_type)
        ElementTree.SubElement(field, "Usage").text = str(usage)
    for index, land in enumerate(classes):
        row = ElementTree.SubElement(table, "Row", index=str(index))
        for cell in (land.id, printable(land.name), *land.colour):
            ElementTree.SubElement(row, "F").text = str(cell)
    ElementTree.indent(root)
    # GDAL (3.6) overlooks what follows an XML declaration.
    return ElementTree.tostring(root, encoding="utf-8")
