"""ENVI rasters: class maps with names and colours, and layers of numbers.

Each is a pair: the raw numbers in PATH (`.img`), what they mean in a header (`.hdr`).
"""

import locale
import logging
import math
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import spectral.io.envi as envi
from jaxtyping import Float, Integer

from hsijax.errors import UsageError
from hsijax.io.atomic import write_atomically
from hsijax.io.class_table import (
    NamedClass,
    colour_table,
    name_table,
    pack_class_map,
    packed_dtype,
)
from hsijax.io.cube import Georeference
from hsijax.io.envi_header import DTYPES
from hsijax.io.qgis_style import write_class_style, write_layer_style
from hsijax.io.row_blocks import RowSource, read_blocks

# EPSG codes of UTM zones 1 to the last: code of zone 0, last, hemisphere, datum.
UTM = (
    (32600, 60, "North", "WGS-84"),
    (32700, 60, "South", "WGS-84"),
    (26900, 23, "North", "North America 1983"),
    (26700, 22, "North", "North America 1927"),
    (25800, 38, "North", "ETRS89"),
)


def write_envi_classification(
    path: Path,
    class_map: Integer[RowSource, "rows cols"],
    classes: Sequence[NamedClass],
    georeference: Georeference | None = None,
) -> None:
    """Write a class map as an ENVI classification file; 0 is "Unclassified".

    The `.qml` of the same name is its legend in QGIS. The map is read by blocks of
    rows.

    Raises:
        HsijaxError: the map has a value without a class, or the disk is full.
        UsageError: `path` does not end in .img.
    """
    names = name_table(classes, no_data="Unclassified")
    # A header's list has a name for every value; those without a class get a filler.
    names = [_plain(name) or f"unused {value}" for value, name in enumerate(names)]
    fields = {
        "file type": "ENVI Classification",
        "bands": 1,
        "classes": len(names),
        "class names": names,
        "class lookup": colour_table(classes).ravel().tolist(),
    }
    _write_pair(
        path,
        class_map,
        fields,
        packed_dtype(classes),
        convert=lambda rows: pack_class_map(rows, classes),
        style=write_class_style(path, classes),
        georeference=georeference,
    )


def write_envi_layers(
    path: Path,
    layers: Float[RowSource, "rows cols layers"],
    names: Sequence[str],
    georeference: Georeference | None = None,
    description: str = "",
) -> None:
    """Write layers such as the confidence in float32, with their names; NaN is no data.

    `description` is what the file says of itself. The `.qml` of the same name shows the
    first layer in QGIS. The layers are read by blocks of rows.

    Raises:
        HsijaxError: the disk is full.
        UsageError: `path` does not end in .img.
    """
    fields: dict[str, Any] = {
        "file type": "ENVI Standard",
        "bands": len(names),
        "band names": [_plain(name) for name in names],
        "data ignore value": "nan",
    }
    if description:
        fields["description"] = _plain(description, "{}", "()")
    _write_pair(
        path,
        layers,
        fields,
        np.dtype(np.float32),
        convert=lambda rows: np.moveaxis(rows, 2, 1).astype(np.float32),
        style=write_layer_style(path, layers),
        georeference=georeference,
    )


def _write_pair(
    path: Path,
    source: RowSource,
    fields: dict[str, Any],
    dtype: np.dtype,
    *,
    convert: Callable[[np.ndarray], np.ndarray],
    style: AbstractContextManager[None],
    georeference: Georeference | None,
) -> None:
    """Write an image, line by line all bands, its header and its style.

    `convert` makes [rows bands cols] as stored of some rows of the source.
    """
    if path.suffix != ".img":
        raise UsageError(f"an ENVI raster is called NAME.img, not {path.name}")
    rows, cols = source.shape[:2]
    fields |= {
        "lines": rows,
        "samples": cols,
        "header offset": 0,
        "data type": next(n for n, name in DTYPES.items() if dtype == name),
        "interleave": "bil",
        "byte order": int(sys.byteorder == "big"),
    }
    if georeference is not None:
        fields |= _georeference_fields(georeference)
    with (
        style,
        write_atomically(path.with_suffix(".hdr")) as header,
        # The image is renamed first: a header never stands without its image.
        write_atomically(path) as image,
    ):
        with image.open("wb") as stream:
            for _, block in read_blocks(source):
                stream.write(np.ascontiguousarray(convert(block)).data)
        envi.write_envi_header(str(header), fields)


def _georeference_fields(georeference: Georeference) -> dict[str, Any]:
    """Return `map info` and, where there is WKT, `coordinate system string`."""
    grid = _grid(georeference.transform)
    if grid is None:
        logging.getLogger("hsijax").warning(
            "ENVI cannot hold this scene's skewed pixel grid: the map is written "
            "without its place; a GeoTIFF keeps it"
        )
        return {}
    # A list of plain tokens: SPy replaces the commas inside one.
    corner, rotation = grid
    crs = georeference.crs or ""
    zone = _utm_zone(crs)
    wkt = _esri_wkt(crs)
    if zone is not None:
        info = ["UTM", *corner, *zone, "units=Meters"]
    elif crs == "EPSG:4326":
        info = ["Geographic Lat/Lon", *corner, "WGS-84", "units=Degrees"]
    elif wkt is not None and wkt.startswith("GEOG"):
        info = ["Geographic Lat/Lon", *corner, "units=Degrees"]
    else:
        info = ["Arbitrary", *corner]
    fields: dict[str, Any] = {"map info": [*info, *rotation]}
    if wkt is not None:
        fields["coordinate system string"] = f"{{{wkt}}}"
    return fields


def _grid(
    transform: tuple[float, float, float, float, float, float],
) -> tuple[list[Any], list[str]] | None:
    """Return corner and pixel size, and the rotation; None if ENVI has no word for it.

    >>> _grid((15.0, 0.0, 353128.5, 0.0, -15.0, 3813729.5))
    ([1, 1, 353128.5, 3813729.5, 15.0, 15.0], [])
    """
    a, b, x, d, e, y = transform
    if b == d == 0:
        return [1, 1, x, y, a, -e], []
    side = math.hypot(a, b)
    if not (math.isclose(b, d) and math.isclose(a, -e)):
        return None
    degrees = math.degrees(math.atan2(b, a))
    return [1, 1, x, y, side, side], [f"rotation={degrees!r}"]


def _utm_zone(crs: str) -> tuple[int, str, str] | None:
    """Return zone, hemisphere and datum of an authority string, if it is UTM.

    >>> _utm_zone("EPSG:32611")
    (11, 'North', 'WGS-84')
    """
    code = crs.removeprefix("EPSG:")
    if code.isdecimal():
        for base, last, hemisphere, datum in UTM:
            if 1 <= int(code) - base <= last:
                return int(code) - base, hemisphere, datum
    return None


def _esri_wkt(crs: str) -> str | None:
    """Return the coordinate system in the dialect of ENVI headers.

    Without rasterio only what is WKT already can be said.
    """
    given = crs if crs and not crs.startswith("EPSG:") else None
    try:
        from rasterio.crs import CRS
        from rasterio.errors import CRSError
    except ImportError:
        return given
    try:
        return CRS.from_user_input(crs).to_wkt(version="WKT1_ESRI") if crs else None
    except CRSError:
        return given


def _plain(name: str, marks: str = ",{}=", instead: str = "-()-") -> str:
    """Take out what would end a list in an ENVI header, or cannot be encoded there.

    >>> _plain("Corn, no till {2020}")
    'Corn- no till (2020)'
    """
    name = name.translate(str.maketrans(marks, instead))
    name = "".join(letter for letter in name if letter.isprintable())
    # SPy opens the header in the encoding of the locale.
    encoding = locale.getpreferredencoding(False)
    return name.encode(encoding, "replace").decode(encoding).strip()
