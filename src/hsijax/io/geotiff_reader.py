"""GeoTIFFs as cubes and as class rasters, read window by window."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np

from hsijax.errors import HsijaxError
from hsijax.io.arrays import ArrayFile, Colour, Variable, check_is_data
from hsijax.io.cube import CubeFile, Georeference, LazyCube
from hsijax.io.envi_header import Header, parse_good_bands, parse_wavelengths

# GDAL's names of what it knows of a band of an image, in its domain IMAGERY.
IMAGERY = {"wavelength": "CENTRAL_WAVELENGTH_UM", "fwhm": "FWHM_UM"}
BLACK = (0, 0, 0)  # of entries of a palette that nobody set

log = logging.getLogger("hsijax")


def open_geotiff(path: Path) -> ArrayFile:
    """Open a GeoTIFF: several bands are a cube, a single one is a class raster.

    Wavelengths, widths and bad bands are those of the bands' tags, as EnMAP-Box and
    GDAL's ENVI driver write them, of GDAL's domain IMAGERY, or of the bands' names.
    No-data pixels of a class raster are 0, unlabelled.

    Raises:
        HsijaxError: rasterio is missing, or the file is damaged or no GeoTIFF.
    """
    with _open(path) as dataset:
        dtype = np.dtype(dataset.dtypes[0])
        shape = (dataset.height, dataset.width, dataset.count)
        if dtype.kind not in "iuf":
            raise HsijaxError(f"{path} holds {dtype.name} values, not real numbers")
        if dataset.count == 1:
            raster = Variable("", shape[:2], dtype, _make_raster_reader(path))
            table = _read_class_table(dataset, path)
            place = _parse_georeference(dataset)
            return ArrayFile(path, (raster,), class_table=table, georeference=place)
        flags = {flag.name for band in dataset.mask_flag_enums for flag in band}
        if "per_dataset" in flags:
            log.warning(
                "%s has a mask, which is not applied: what it hides is read like all "
                "else; write a no-data value into its pixels instead",
                path,
            )
        header = _band_header(dataset)
        wavelengths, fwhm = parse_wavelengths(header, path)
        variable = Variable("", shape, dtype, _make_cube_reader(path, shape))
        cube = CubeFile(
            LazyCube(shape, dtype, variable.read),
            wavelengths=wavelengths,
            fwhm=fwhm,
            good_bands=parse_good_bands(header, path),
            nodata=dataset.nodata,
            scale=_parse_scale(dataset, path),
            georeference=_parse_georeference(dataset),
        )
    return ArrayFile(path, (variable,), cube=cube)


@contextmanager
def _open(path: Path) -> Iterator[Any]:
    """Open a dataset; what GDAL finds wrong while it is read becomes one line.

    Raises:
        HsijaxError: rasterio is missing, or the file is damaged or no GeoTIFF.
    """
    try:
        import rasterio
        from rasterio.errors import NotGeoreferencedWarning, RasterioIOError
    except ImportError as error:
        raise HsijaxError(
            f"reading {path} needs rasterio: pip install 'hsijax[geo]'"
        ) from error
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            # No other driver: a text of GDAL's (VRT) may lead to any other file.
            dataset = rasterio.open(path, driver="GTiff")
        with dataset:
            yield dataset
    except RasterioIOError as error:
        check_is_data(path)  # it may have gone since it was opened first
        detail = str(error.__cause__ or error).replace(f"{path}", path.name)
        raise HsijaxError(
            f"{path} ({path.stat().st_size:,} bytes) is damaged, cut short or no "
            f"GeoTIFF ({detail.splitlines()[0]}); get the file again"
        ) from error


def _make_cube_reader(path: Path, shape: tuple[int, int, int]):
    def read(*window: slice) -> np.ndarray:
        chosen = (*window, *[slice(None)] * (3 - len(window)))
        (top, bottom, _), (left, right, _), bands = (
            part.indices(length) for part, length in zip(chosen, shape, strict=True)
        )
        indexes = [band + 1 for band in range(*bands)]
        area = ((top, bottom), (left, right))
        with _open(path) as dataset:
            return np.moveaxis(dataset.read(indexes, window=area), 0, 2)

    return read


def _make_raster_reader(path: Path):
    def read(*window: slice) -> np.ndarray:
        with _open(path) as dataset:
            values = dataset.read(1)
            if dataset.nodata is not None:
                missing = values == dataset.nodata
                if np.isnan(dataset.nodata):
                    missing = np.isnan(values)
                values[missing] = 0
        return values[window]

    return read


def _band_header(dataset: Any) -> Header:
    """Say of the bands what an ENVI header says of them."""
    bands = range(1, dataset.count + 1)
    tags = [{k.lower(): v for k, v in dataset.tags(i).items()} for i in bands]
    header: Header = {"bands": dataset.count}
    for field in ("wavelength", "fwhm", "bbl"):
        if all(field in band for band in tags):
            header[field] = [band[field] for band in tags]
    if "wavelength" in header:
        units = {band.get("wavelength_units", "unknown") for band in tags}
        header["wavelength units"] = units.pop() if len(units) == 1 else "unknown"
        return header
    tags = [dataset.tags(i, ns="IMAGERY") for i in bands]
    for field, name in IMAGERY.items():
        if all(name in band for band in tags):
            header[field] = [band[name] for band in tags]
            header["wavelength units"] = "um"
    header["band names"] = [name or "" for name in dataset.descriptions]
    return header


def _parse_scale(dataset: Any, path: Path) -> float | None:
    """Return what the values are to be divided by, where the bands' tags say it.

    GDAL means values x scale + offset; a scale of 0.0001 is a division by 10000.
    """
    scales, offsets = set(dataset.scales), set(dataset.offsets)
    if scales == {1.0} and offsets == {0.0}:
        return None
    if len(scales) > 1 or offsets != {0.0} or not min(scales) > 0:
        log.warning(
            "%s: its bands have scales of their own or offsets (%g to %g, %g to %g), "
            "which are not applied",
            path,
            *(min(scales), max(scales)),
            *(min(offsets), max(offsets)),
        )
        return None
    return float(f"{1 / scales.pop():.12g}")


def _parse_georeference(dataset: Any) -> Georeference | None:
    if dataset.crs is None and dataset.transform.is_identity:
        return None
    crs = None
    if dataset.crs is not None:
        code = dataset.crs.to_epsg()
        crs = f"EPSG:{code}" if code else dataset.crs.to_wkt()
    a, b, c, d, e, f = tuple(dataset.transform)[:6]
    return Georeference(crs, (a, b, c, d, e, f))


def _read_class_table(
    dataset: Any, path: Path
) -> tuple[tuple[int, str, Colour | None], ...]:
    """Return value, name and colour of classes: the palette, and names in tags or XML.

    The names are `class_1`, ... in the band's tags, or GDAL's categories.
    """
    try:
        palette = {i: rgba[:3] for i, rgba in dataset.colormap(1).items()}
    except ValueError:  # there is none
        palette = {}
    names = dict(enumerate(_read_categories(path.with_name(f"{path.name}.aux.xml"))))
    for tag, text in dataset.tags(1).items():
        kind, _, number = tag.partition("_")
        if kind == "class" and number.isdecimal():
            names[int(number)] = text
    colours = {value: rgb for value, rgb in palette.items() if rgb != BLACK}
    return tuple(
        (value, names.get(value) or f"class {value}", colours.get(value))
        for value in sorted(names.keys() | colours.keys())
    )


def _read_categories(path: Path) -> list[str]:
    try:
        root = ElementTree.parse(path).getroot()
    except (OSError, ElementTree.ParseError):
        return []
    return [category.text or "" for category in root.iter("Category")]
