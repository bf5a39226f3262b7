"""Polygons and points with a class attribute: GeoPackage, GeoJSON, shapefile, ...

They are read by GDAL through pyogrio; geometries are shapely's.
"""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from hsijax.errors import HsijaxError
from hsijax.io.arrays import check_is_data

# How files of these formats begin. GDAL goes by content and not by names, and some of
# its text formats lead to any other file.
STARTS = {
    ".gpkg": b"SQLite format 3\0",
    ".geojson": b"{",
    ".json": b"{",
    ".shp": b"\x00\x00\x27\x0a",
    ".fgb": b"fgb",
}
PIPELINE = b"gdal_streamed_alg"  # type of a JSON file that GDAL would execute
BESIDE = (".dbf", ".shx", ".prj", ".cpg")  # what belongs to a .shp
MAX_NAME = 80  # letters of a class name

log = logging.getLogger("hsijax")


class Shapes(NamedTuple):
    """Geometries as their file has them, each with the value of one attribute.

    `geometries` holds shapely's, or None where one cannot be used. `values` are floats,
    NaN where there is none, or texts, empty where there is none.
    """

    path: Path
    layer: str
    attribute: str
    geometries: np.ndarray
    values: np.ndarray
    crs: str | None

    @property
    def parts(self) -> tuple[Path, ...]:
        """All files that these come from."""
        beside = (self.path.with_suffix(suffix) for suffix in BESIDE)
        if self.path.suffix.lower() != ".shp":
            return (self.path,)
        return (self.path, *(path for path in beside if path.exists()))


def holds_polygons(path: Path) -> bool:
    """Whether a name is that of a vector file."""
    return path.suffix.lower() in STARTS


def read_shapes(path: Path, key: str | None = None) -> Shapes:
    """Read the geometries of a layer and one attribute.

    Args:
        path: of the file.
        key: ATTRIBUTE or LAYER:ATTRIBUTE; None where there is only one that can be
            meant, which is said.

    Raises:
        HsijaxError: pyogrio is missing, the file is damaged, or it is not clear which
            layer or attribute is meant; the message lists those there are.
    """
    _check_start(path)
    try:
        import pyogrio
        import pyogrio.raw
        import shapely
    except ImportError as error:
        raise HsijaxError(
            f"reading {path} needs pyogrio and shapely: pip install 'hsijax[geo]'"
        ) from error
    with _gdal(path):
        names, kinds = pyogrio.list_layers(path).T
        # QGIS keeps styles in a layer without geometries.
        layers = [name for name, kind in zip(names, kinds, strict=True) if kind]
        layer, attribute = _choose_layer(path, layers, key)
        fields = _list_fields(pyogrio.read_info(path, layer=layer))
        attribute = _choose_attribute(path, layer, fields, attribute)
        meta, _, geometries, columns = pyogrio.raw.read(
            path, layer=layer, columns=[attribute], force_2d=True
        )
    return Shapes(
        path,
        layer,
        attribute,
        shapely.from_wkb(geometries, on_invalid="ignore"),
        _clean_values(columns[0], path, attribute),
        meta["crs"],
    )


def _check_start(path: Path) -> None:
    check_is_data(path)
    with path.open("rb") as stream:
        start = stream.read(8192)
    text = start.removeprefix(b"\xef\xbb\xbf").lstrip()
    wanted = STARTS[path.suffix.lower()]
    if not (text if wanted == b"{" else start).startswith(wanted) or PIPELINE in start:
        raise HsijaxError(
            f"{path} does not begin as a {path.suffix} file does: it is damaged or of "
            "another format"
        )


@contextmanager
def _gdal(path: Path) -> Iterator[None]:
    """Turn what GDAL finds wrong into one line, and what it warns of into another.

    Raises:
        HsijaxError: the file cannot be read.
    """
    from pyogrio import errors

    kinds = (
        errors.DataSourceError,
        errors.DataLayerError,
        errors.FeatureError,
        errors.FieldError,
        errors.GeometryError,
        errors.CRSError,
    )
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        try:
            yield
        except kinds as error:
            raise HsijaxError(
                f"{path} cannot be read: {_first_line(error)}; get the file again"
            ) from error
    for text in dict.fromkeys(_first_line(warning.message) for warning in found):
        log.warning("%s: %s", path, text)


def _first_line(message: object) -> str:
    return _clean("".join(str(message).splitlines()[:1]), 200)


def _choose_layer(
    path: Path, layers: list[str], key: str | None
) -> tuple[str, str | None]:
    """Take LAYER:ATTRIBUTE apart; the layer may be left out where there is one."""
    layer, _, attribute = (key or "").rpartition(":")
    if layer in layers:
        return layer, attribute
    if len(layers) == 1:  # a colon may be part of an attribute's name
        return layers[0], key
    if not layers:
        raise HsijaxError(f"{path} holds no layer of polygons or points")
    raise HsijaxError(
        f"{path} holds the layers {_enumerate(layers)}: name one and its attribute "
        f"with --ground-truth {path}:LAYER:ATTRIBUTE"
    )


def _list_fields(info: dict[str, Any]) -> dict[str, str]:
    """Return what kind of values each attribute has: number, text or other."""
    kinds = {"i": "number", "u": "number", "f": "real number", "O": "text"}
    found = {}
    for name, dtype in zip(info["fields"], info["dtypes"], strict=True):
        # Lists and binary values are no NumPy types or objects with another name.
        plain = str(dtype) in np.sctypeDict or str(dtype) == "object"
        found[name] = kinds.get(np.dtype(str(dtype)).kind, "") if plain else ""
    return {name: kind or "other" for name, kind in found.items()}


def _choose_attribute(
    path: Path, layer: str, fields: dict[str, str], wanted: str | None
) -> str:
    listed = ", ".join(f"'{_clean(name)}' ({kind})" for name, kind in fields.items())
    where = f"{path}, layer '{_clean(layer)}'," if layer != path.stem else f"{path}"
    usable = [name for name, kind in fields.items() if kind in ("number", "text")]
    if wanted is None and len(usable) == 1:
        log.info("%s: the attribute '%s' has the classes", path, _clean(usable[0]))
        return usable[0]
    if wanted is None and usable:
        raise HsijaxError(
            f"{where} has several attributes that can be the classes: {listed}; name "
            f"one with --ground-truth {path}:ATTRIBUTE"
        )
    if wanted is None:
        raise HsijaxError(
            f"{where} has no attribute of whole numbers or text that can be the "
            f"classes; it has: {listed or 'none'}"
        )
    if wanted not in fields:
        raise HsijaxError(
            f"{where} has no attribute '{wanted}'; it has: {listed or 'none'}"
        )
    if fields[wanted] == "other":
        raise HsijaxError(
            f"{where}: the attribute '{wanted}' is neither whole numbers nor text"
        )
    return wanted


def _clean_values(column: np.ndarray, path: Path, attribute: str) -> np.ndarray:
    """Return numbers as floats, and texts without what a name cannot have."""
    if column.dtype.kind != "O":
        return column.astype(float)
    missing = [value is None for value in column]
    texts = ["" if none else str(v) for none, v in zip(missing, column, strict=True)]
    names = {text: _clean(text) for text in set(texts)}
    if len(set(names.values())) < len(names):
        log.warning(
            "%s: some values of '%s' differ only in spaces, control characters or what "
            "follows %d letters; they are one class",
            *(path, _clean(attribute), MAX_NAME),
        )
    return np.array([names[text] for text in texts], dtype=object)


def _clean(text: str, length: int = MAX_NAME) -> str:
    """Drop control characters, and spaces at the ends; cut what is long.

    >>> _clean(" winter\\nwheat ")
    'winterwheat'
    """
    return "".join(c for c in text if c.isprintable()).strip()[:length]


def _enumerate(names: list[str]) -> str:
    return ", ".join(f"'{_clean(name)}'" for name in names)
