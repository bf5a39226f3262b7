"""EnMAP and DESIS: a GeoTIFF of the spectra, and all that is known of it in an XML.

Source:
    DLR, EnMAP L2A product specification EN-PCV-ICD-2009-2; DESIS products guide
    PAV-DES-TN-4049; as EnMAP-Box 3 reads them.
"""

import logging
import re
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

import numpy as np
from jaxtyping import Bool, Float

from hsijax.errors import HsijaxError
from hsijax.io.arrays import ArrayFile, check_is_data
from hsijax.io.geotiff_reader import open_geotiff
from hsijax.io.packing import Packing, unpack

METADATA = re.compile(r"(?P<stem>.+)-METADATA\.xml$", re.IGNORECASE)
IMAGE = re.compile(r"(?P<stem>.+)-SPECTRAL_IMAGE(_[A-Z]+)?\.tiff?$", re.IGNORECASE)
METADATA_SUFFIXES = ("-METADATA.XML", "-METADATA.xml")
IMAGE_SUFFIXES = tuple(
    f"-SPECTRAL_IMAGE{part}.{end}"
    for part in ("", "_COG")
    for end in ("TIF", "tif", "TIFF", "tiff")
)
LARGEST_XML = 2**26  # bytes; the response curves of DESIS take some 10 MB

# Levels on a map grid, and whether their values are reflectance.
LEVELS = {"L1C": False, "L2A": True}
LEVEL = re.compile(r"L\d[A-Z]")

# What the two sensors call a band: its element, and in it centre, width, gain, offset.
BANDS = {
    "bandID": (
        "wavelengthCenterOfBand",
        "FWHMOfBand",
        "GainOfBand",
        "OffsetOfBand",
    ),
    "band": (
        "wavelengthCenterOfBand",
        "wavelengthWidthOfBand",
        "gainOfBand",
        "offsetOfBand",
    ),
}
# The mean of a band that holds nothing but no-data; its standard deviation is 0.
NO_STATISTICS = -1_000_000.0

log = logging.getLogger("hsijax")


class Metadata(NamedTuple):
    """What the XML says of the bands."""

    level: str | None
    wavelengths: Float[np.ndarray, " bands"]  # nm
    fwhm: Float[np.ndarray, " bands"]  # nm
    gains: Float[np.ndarray, " bands"]
    offsets: Float[np.ndarray, " bands"]
    good_bands: Bool[np.ndarray, " bands"]


def open_tiff(path: Path) -> ArrayFile:
    """Open a GeoTIFF, with the XML beside it if it is of EnMAP or DESIS.

    Raises:
        HsijaxError: rasterio is missing, a file is damaged or they do not fit, or it
            is another level of the product.
    """
    match = IMAGE.match(path.name)
    if match is None:
        return open_geotiff(path)
    metadata = _find(path, match["stem"], METADATA_SUFFIXES)
    if metadata is None:
        log.warning(
            "%s: its metadata %s is not beside it; wavelengths, scale and bad bands "
            "are those of the TIFF's tags",
            path,
            match["stem"] + METADATA_SUFFIXES[0],
        )
        return open_geotiff(path)
    check_is_data(metadata)
    return _join(path, metadata)


def open_metadata(path: Path) -> ArrayFile:
    """Open a product of EnMAP or DESIS by its XML.

    Raises:
        HsijaxError: it is no such XML, its GeoTIFF is missing, or as `open_tiff`.
    """
    match = METADATA.match(path.name)
    if match is None:
        raise HsijaxError(
            f"{path} is no metadata of EnMAP or DESIS: its name does not end in "
            "-METADATA.XML"
        )
    _check_level(path, read_metadata(path))
    image = _find(path, match["stem"], IMAGE_SUFFIXES)
    if image is None:
        raise HsijaxError(
            f"no image beside {path}; looked for {match['stem']}{IMAGE_SUFFIXES[0]} "
            "and the like"
        )
    check_is_data(image)
    return _join(image, path)


def _find(path: Path, stem: str, suffixes: tuple[str, ...]) -> Path | None:
    tried = (path.with_name(stem + suffix) for suffix in suffixes)
    return next((other for other in tried if other.is_file()), None)


def _join(image: Path, path: Path) -> ArrayFile:
    metadata = read_metadata(path)
    _check_level(path, metadata)
    file = open_geotiff(image)
    bands = metadata.wavelengths.size
    if file.cube is None or file.cube.cube.shape[2] != bands:
        raise HsijaxError(
            f"{image} holds {file.contents()}, but {path.name} describes {bands} "
            "bands: are they of one product?"
        )
    nodata = file.cube.nodata
    packing = Packing(
        metadata.gains,
        metadata.offsets,
        None if nodata is None else np.full(bands, nodata),
    )
    is_reflectance = LEVELS.get(metadata.level or "", False)
    cube = unpack(file.cube.cube, packing, reflectance=is_reflectance)
    content = replace(
        file.cube,
        cube=cube.cube,
        wavelengths=metadata.wavelengths,
        fwhm=metadata.fwhm,
        good_bands=metadata.good_bands,
        nodata=cube.nodata,
        scale=cube.scale,
    )
    return replace(file, cube=content)


def _check_level(path: Path, metadata: Metadata) -> None:
    if metadata.level is not None and metadata.level not in LEVELS:
        raise HsijaxError(
            f"{path} is of level {metadata.level}, which is not on a map grid; get the "
            f"{' or '.join(LEVELS)} of the scene"
        )


def read_metadata(path: Path) -> Metadata:
    """Read the bands of an XML of EnMAP or DESIS; wavelengths and widths in nm.

    Bad are the bands that the product does not expect to measure, and those whose
    statistics say that they hold nothing but no-data.

    Raises:
        HsijaxError: it is damaged, or says nothing of the bands.
    """
    root = _parse_xml(path)
    bands = root.find(".//{*}bandCharacterisation")
    rows = []
    for element, names in BANDS.items():
        for band in [] if bands is None else bands.findall(f"{{*}}{element}"):
            number = band.get("number") or band.findtext("{*}bandNumber")
            rows.append([number, *(band.findtext(f"{{*}}{name}") for name in names)])
    try:
        table = np.array(rows, dtype=np.float64)
    except (TypeError, ValueError):
        table = np.empty(0)
    if table.ndim != 2 or not np.isfinite(table).all() or not (table[:, 1] > 0).all():
        raise HsijaxError(
            f"{path} does not describe bands as EnMAP and DESIS do: number, "
            "wavelength, width, gain and offset of each in <bandCharacterisation>"
        )
    table = table[np.argsort(table[:, 0], kind="stable")]
    level = root.findtext(".//{*}base/{*}level") or path.name
    match = LEVEL.search(level) or LEVEL.search(path.name)
    return Metadata(
        match.group() if match else None,
        *table[:, 1:].T.copy(),
        good_bands=_read_good_bands(path, root, table[:, 0]),
    )


def _read_good_bands(
    path: Path, root: ElementTree.Element, numbers: Float[np.ndarray, " bands"]
) -> Bool[np.ndarray, " bands"]:
    good = np.ones(numbers.size, dtype=bool)
    lists = [
        element.text or "" for element in root.findall(".//{*}expectedChannelsList")
    ]
    expected = [int(text) for text in re.findall(r"\d+", " ".join(lists))]
    if expected:
        good &= np.isin(numbers, expected)
    for band in root.findall(".//{*}bandStatistics/{*}bandID"):
        values = [band.findtext(f"{{*}}{name}") for name in ("mean", "stdDeviation")]
        if [_number(value) for value in values] == [NO_STATISTICS, 0.0]:
            good &= numbers != _number(band.get("number"))
    if not good.any():
        raise HsijaxError(f"{path}: its lists of bands mark all of them as bad")
    return good


def _number(text: str | None) -> float | None:
    try:
        return float(text or "")
    except ValueError:
        return None


def _parse_xml(path: Path) -> ElementTree.Element:
    """Parse an XML that defines no entities of its own.

    Raises:
        HsijaxError: it cannot be read or is damaged, too large, or has a DTD.
    """
    try:
        if path.stat().st_size > LARGEST_XML:
            raise HsijaxError(f"{path} is larger than any metadata of EnMAP or DESIS")
        content = path.read_bytes()
    except OSError as error:
        raise HsijaxError(f"cannot read {path}: {error.strerror}") from error
    # A NUL byte would be UTF-16, in which a DTD could hide.
    if b"<!DOCTYPE" in content or b"<!ENTITY" in content or b"\0" in content:
        raise HsijaxError(f"{path} has a document type, which metadata never needs")
    try:
        return ElementTree.fromstring(content)
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        raise HsijaxError(f"{path} is damaged or no XML ({error})") from error
