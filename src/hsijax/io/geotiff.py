"""GeoTIFFs that a GIS opens with the right place, colours and class names."""

import importlib.util
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
from jaxtyping import Float, Integer

from hsijax.errors import HsijaxError
from hsijax.io.atomic import write_atomically
from hsijax.io.class_table import NamedClass, colour_table, name_table, pack_class_map
from hsijax.io.cube import Georeference

PALETTE_VALUES = 256  # of a paletted GeoTIFF; maps with larger values have no palette
TILES = {"tiled": True, "blockxsize": 256, "blockysize": 256, "compress": "deflate"}

# Columns of a GDAL raster attribute table: name, type (0 integer, 2 text), usage.
ATTRIBUTES = (
    ("Value", 0, 5),
    ("Class", 2, 2),
    ("Red", 0, 6),
    ("Green", 0, 7),
    ("Blue", 0, 8),
)


def can_write_geotiff() -> bool:
    """Whether rasterio is installed; says how to get it where it is not."""
    if importlib.util.find_spec("rasterio") is not None:
        return True
    logging.getLogger("hsijax").info(
        "maps are written as ENVI files; GeoTIFF needs: pip install 'hsijax[geo]'"
    )
    return False


def write_class_geotiff(
    path: Path,
    class_map: Integer[np.ndarray, "rows cols"],
    classes: Sequence[NamedClass],
    georeference: Georeference,
) -> None:
    """Write a class map with its colours, 0 as no data, and `PATH.aux.xml` beside it.

    The second file holds the class names, for which GeoTIFF has no place and GDAL,
    QGIS and ArcGIS look there.

    Raises:
        HsijaxError: rasterio is missing, the coordinate system is unknown to it, the
            map has a value without a class, or the disk is full.
    """
    packed = pack_class_map(class_map, classes)
    paletted = packed.dtype == np.uint8
    colours = colour_table(classes)

    def fill(dataset: Any) -> None:
        dataset.write(packed, 1)
        dataset.set_band_description(1, "class")
        names = {f"class_{land.id}": _printable(land.name) for land in classes}
        dataset.update_tags(1, **names)
        if paletted:
            opaque = {i: (*map(int, rgb), 255) for i, rgb in enumerate(colours)}
            dataset.write_colormap(1, opaque | {0: (0, 0, 0, 0)})

    profile = {"dtype": packed.dtype.name, "count": 1, "nodata": 0}
    if paletted:
        profile["photometric"] = "palette"
    tiff = _encode(packed.shape, profile, georeference, fill)
    # The names take their place after the map: a reader sees both or the map alone.
    with write_atomically(_sidecar(path)) as names_file:
        names_file.write_bytes(_class_names_xml(classes))
        with write_atomically(path) as temporary:
            temporary.write_bytes(tiff)


def write_float_geotiff(
    path: Path,
    layers: Float[np.ndarray, "rows cols layers"],
    names: Sequence[str],
    georeference: Georeference,
    description: str = "",
) -> None:
    """Write layers such as the confidence in float32, NaN as no data.

    `description` is what the file says of itself.

    Raises:
        HsijaxError: rasterio is missing, the coordinate system is unknown to it, or
            the disk is full.
    """

    def fill(dataset: Any) -> None:
        dataset.write(np.moveaxis(layers, 2, 0).astype(np.float32))
        dataset.descriptions = tuple(_printable(name) for name in names)
        if description:
            dataset.update_tags(TIFFTAG_IMAGEDESCRIPTION=_printable(description))

    profile = {"dtype": "float32", "count": len(names), "nodata": np.nan}
    # The third predictor makes the bytes of floating-point numbers compress well.
    profile |= {"predictor": 3, "interleave": "pixel"}
    tiff = _encode(layers.shape[:2], profile, georeference, fill)
    with write_atomically(path) as temporary:
        temporary.write_bytes(tiff)
    # Statistics that a GIS kept of an older file of this name.
    _sidecar(path).unlink(missing_ok=True)


def _encode(
    shape: tuple[int, ...],
    profile: dict[str, Any],
    georeference: Georeference,
    fill: Callable[[Any], None],
) -> bytes:
    """Return the bytes of a GeoTIFF.

    Made in memory, because GDAL only logs that a disk is full while it writes.
    """
    try:
        from rasterio import Affine
        from rasterio.crs import CRS
        from rasterio.errors import CRSError
        from rasterio.io import MemoryFile
    except ImportError as error:
        raise HsijaxError(
            "writing GeoTIFF needs rasterio: pip install 'hsijax[geo]'"
        ) from error
    place: dict[str, Any] = {"transform": Affine(*georeference.transform)}
    if georeference.crs is not None:
        try:
            place["crs"] = CRS.from_user_input(georeference.crs)
        except CRSError as error:
            raise HsijaxError(
                f"not a coordinate system that GDAL knows: {georeference.crs[:80]}"
            ) from error
    height, width = shape
    size = {"driver": "GTiff", "height": height, "width": width}
    with MemoryFile() as memory:
        with memory.open(**size, **TILES, **profile, **place) as dataset:
            fill(dataset)
        return bytes(memory.getbuffer())


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
            ElementTree.SubElement(categories, "Category").text = _printable(name)
    kind = {"tableType": "thematic"}
    table = ElementTree.SubElement(band, "GDALRasterAttributeTable", kind)
    for index, (column, value_type, usage) in enumerate(ATTRIBUTES):
        field = ElementTree.SubElement(table, "FieldDefn", index=str(index))
        ElementTree.SubElement(field, "Name").text = column
        ElementTree.SubElement(field, "Type").text = str(value_type)
        ElementTree.SubElement(field, "Usage").text = str(usage)
    for index, land in enumerate(classes):
        row = ElementTree.SubElement(table, "Row", index=str(index))
        for cell in (land.id, _printable(land.name), *land.colour):
            ElementTree.SubElement(row, "F").text = str(cell)
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)


def _printable(text: str) -> str:
    """Drop control characters, which XML cannot hold."""
    return "".join(letter for letter in text if letter.isprintable())
