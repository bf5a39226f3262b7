"""What the text header of an ENVI file says, in our terms."""

import logging
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from hsijax.errors import HsijaxError
from hsijax.io.cube import Georeference

Header = dict[str, Any]  # field -> text, or a list of texts
log = logging.getLogger("hsijax")

# The field "data type"; 6 and 9 are complex.
DTYPES = {1: "u1", 2: "i2", 3: "i4", 4: "f4", 5: "f8", 12: "u2", 13: "u4"}
DTYPES |= {14: "i8", 15: "u8"}
# Axes on disk (0 rows, 1 columns, 2 bands), outermost first.
INTERLEAVES = {"bsq": (2, 0, 1), "bil": (0, 2, 1), "bip": (0, 1, 2)}

# A line "field = value", or a list in braces over several; ";" begins a comment.
FIELD = re.compile(r"^([^=;{}\n]+)=[ \t]*(\{[^}]*\}|[^\n]*)", re.MULTILINE)

# Nanometres in one unit of length.
UNITS = {
    "nanometers": 1.0,
    "nanometres": 1.0,
    "nanometer": 1.0,
    "nm": 1.0,
    "micrometers": 1e3,
    "micrometres": 1e3,
    "micrometer": 1e3,
    "microns": 1e3,
    "micron": 1e3,
    "um": 1e3,
    "µm": 1e3,  # micro sign
    "μm": 1e3,  # Greek letter mu
    "angstroms": 0.1,
    "millimeters": 1e6,
    "centimeters": 1e7,
    "meters": 1e9,
}
# The longest wavelength of a header without a unit that is taken for micrometres;
# sensors that measure reflected or emitted light lie between 0.3 and 15.
LONGEST_MICROMETRES = 100.0

BAND_NAME = re.compile(r"(\d+(?:\.\d+)?)\s*([a-zµμ]+)\b", re.IGNORECASE)

# EPSG code of UTM zone 0, by datum and hemisphere.
UTM_CODES = {
    ("wgs84", "north"): 32600,
    ("wgs84", "south"): 32700,
    ("nad83", "north"): 26900,
    ("northamerica1983", "north"): 26900,
    ("nad27", "north"): 26700,
    ("northamerica1927", "north"): 26700,
    ("etrs89", "north"): 25800,
}


def read_header(path: Path) -> Header:
    """Parse a header and check the fields without which nothing can be read.

    Raises:
        HsijaxError: it is no ENVI header, or a field is missing or wrong.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise HsijaxError(f"cannot read {path}: {error.strerror}") from error
    if not content.removeprefix(b"\xef\xbb\xbf").startswith(b"ENVI"):
        raise HsijaxError(f"{path} is no ENVI header: it does not begin with 'ENVI'")
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:  # an umlaut or a micro sign of older tools
        text = content.decode("latin-1")
    header: Header = {}
    for name, value in FIELD.findall(text):
        value = value.strip()
        if value.startswith("{"):
            value = [part.strip() for part in value.strip("{}").split(",")]
        header[" ".join(name.lower().split())] = value
    _check_header(header, path)
    return header


def _check_header(header: Header, path: Path) -> None:
    for field in ("samples", "lines", "bands", "data type", "header offset"):
        text = header.get(field, "0" if field == "header offset" else "")
        if not (isinstance(text, str) and text.isdigit()):
            raise HsijaxError(f"{path}: '{field}' is '{text}', not a whole number")
    if int(header["data type"]) not in DTYPES:
        raise HsijaxError(
            f"{path}: data type {header['data type']} is not supported; real numbers "
            f"are {', '.join(map(str, DTYPES))}"
        )
    interleave = str(header.get("interleave", "bsq")).lower()
    if interleave not in INTERLEAVES:
        raise HsijaxError(
            f"{path}: interleave '{interleave}' is none of {', '.join(INTERLEAVES)}"
        )
    if header.get("byte order", "0") not in ("0", "1"):
        raise HsijaxError(f"{path}: byte order '{header['byte order']}' is not 0 or 1")


def parse_numbers(header: Header, field: str, path: Path) -> np.ndarray | None:
    """Return a list with a number for each band; warn if it is none, return None."""
    if field not in header:
        return None
    texts = header[field]
    bands = int(header["bands"])
    try:
        values = np.array([texts] if isinstance(texts, str) else texts, dtype=float)
    except ValueError:
        log.warning("%s: '%s' holds text, not numbers, and is not used", path, field)
        return None
    if values.shape != (bands,):
        log.warning(
            "%s: '%s' has %d values for %d bands and is not used",
            path,
            field,
            values.size,
            bands,
        )
        return None
    return values


def parse_wavelengths(
    header: Header, path: Path
) -> tuple[Float[np.ndarray, " bands"] | None, Float[np.ndarray, " bands"] | None]:
    """Return wavelengths and widths (FWHM) of all bands in nm, each None if unknown.

    Without a unit, values up to 100 are taken for micrometres and others for
    nanometres. Where there is no list of wavelengths, band names such as
    "376.44 Nanometers" are read.
    """
    values = parse_numbers(header, "wavelength", path)
    if values is None:
        return _parse_band_names(header), None
    if not np.all(values > 0):
        log.warning("%s: wavelengths are not all positive and are not used", path)
        return None, None
    unit = str(header.get("wavelength units", "unknown")).strip().lower()
    if unit in UNITS:
        factor = UNITS[unit]
    elif unit in ("unknown", "index", ""):
        factor = 1e3 if values.max() <= LONGEST_MICROMETRES else 1.0
    else:
        log.warning("%s: wavelengths in '%s' are not used", path, unit)
        return None, None
    widths = parse_numbers(header, "fwhm", path)
    return values * factor, None if widths is None else widths * factor


def _parse_band_names(header: Header) -> Float[np.ndarray, " bands"] | None:
    names = header.get("band names", [])
    names = [names] if isinstance(names, str) else names
    found = []
    for name in names:
        lengths = [
            float(number) * UNITS[unit.lower()]
            for number, unit in BAND_NAME.findall(name)
            if unit.lower() in UNITS
        ]
        if len(lengths) != 1:
            return None
        found += lengths
    return np.array(found) if len(found) == int(header["bands"]) else None


def parse_good_bands(header: Header, path: Path) -> Bool[np.ndarray, " bands"] | None:
    """Return the bad-band list (`bbl`), True where a band is good.

    Raises:
        HsijaxError: it leaves no band.
    """
    values = parse_numbers(header, "bbl", path)
    if values is None:
        return None
    if not values.any():
        raise HsijaxError(f"{path}: the bad-band list (bbl) marks all bands as bad")
    return values != 0


def parse_nodata(header: Header, path: Path) -> float | None:
    """Return the data ignore value."""
    return _parse_number(header, "data ignore value", path)


def parse_scale(header: Header, path: Path) -> float | None:
    """Return the number that the values are to be divided by to be reflectance."""
    scale = _parse_number(header, "reflectance scale factor", path)
    return scale if scale and scale > 0 else None


def _parse_number(header: Header, field: str, path: Path) -> float | None:
    text = header.get(field)
    if text is None:
        return None
    try:
        return float(text[0] if isinstance(text, list) else text)
    except ValueError:
        log.warning("%s: %s '%s' is no number", path, field, text)
        return None


def parse_georeference(header: Header, path: Path) -> Georeference | None:
    """Return where the pixels lie, from `map info` and `coordinate system string`.

    UTM zones on a known datum become EPSG codes, other systems stay as the text (WKT)
    of the header.
    """
    info = header.get("map info")
    if not isinstance(info, list) or len(info) < 7:
        return None
    words = dict(
        part.lower().replace(" ", "").split("=", 1) for part in info if "=" in part
    )
    try:
        ref_col, ref_row, x, y, width, height = (float(text) for text in info[1:7])
        angle = -math.radians(float(words.get("rotation", 0)))
    except ValueError:
        log.warning("%s: 'map info' holds no numbers where they belong", path)
        return None
    cosine, sine = math.cos(angle), math.sin(angle)
    a, b, d, e = cosine * width, -sine * width, -sine * height, -cosine * height
    # The header gives the place of one pixel corner, counted from 1.
    c = x - a * (ref_col - 1) - b * (ref_row - 1)
    f = y - d * (ref_col - 1) - e * (ref_row - 1)
    crs = _parse_crs(info, header)
    if crs is None and info[0].lower() == "arbitrary":
        return None
    return Georeference(crs, (a, b, c, d, e, f))


def _parse_crs(info: list[str], header: Header) -> str | None:
    plain = [re.sub(r"[\s_-]", "", part.lower()) for part in info]
    if plain[0] == "utm" and len(plain) > 9:
        # Fields 7 to 9: zone, hemisphere, datum ("North America 1983").
        start = UTM_CODES.get((plain[9], plain[8]))
        if start is not None and plain[7].isdigit():
            return f"EPSG:{start + int(plain[7])}"
    if plain[0] == "geographiclat/lon" and "wgs84" in plain:
        return "EPSG:4326"
    text = header.get("coordinate system string")
    if text is None:
        return None
    return ",".join(text) if isinstance(text, list) else text
