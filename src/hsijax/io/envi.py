"""ENVI files: a text header beside raw numbers, mapped into memory."""

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np

from hsijax.errors import HsijaxError
from hsijax.io.arrays import ArrayFile, Colour, Variable
from hsijax.io.cube import CubeFile, LazyCube
from hsijax.io.envi_header import (
    DTYPES,
    INTERLEAVES,
    Header,
    log,
    parse_georeference,
    parse_good_bands,
    parse_nodata,
    parse_scale,
    parse_wavelengths,
    read_header,
)

DATA_SUFFIXES = (
    "",
    ".img",
    ".dat",
    ".raw",
    ".bsq",
    ".bil",
    ".bip",
    ".bin",
    ".IMG",
    ".sli",
)


def open_envi(path: Path) -> ArrayFile:
    """Open an ENVI image by its header or its data file, in any interleave.

    A single band is a raster and no cube; a classification brings its class names and
    colours.

    Raises:
        HsijaxError: header or data file is missing or damaged, they do not fit each
            other, or it is a spectral library.
    """
    header_path = find_header(path)
    if header_path is None:
        raise HsijaxError(f"no ENVI header (.hdr) beside {path}")
    header = read_header(header_path)
    kind = str(header.get("file type", "")).lower()
    if "spectral library" in kind:
        raise HsijaxError(f"{header_path} describes a spectral library, not a cube")
    data_path = path if path != header_path else find_data(header_path)
    open_map = map_pixels(data_path, header_path, header)
    pixels = open_map()
    variable = Variable(
        "", pixels.shape, pixels.dtype, lambda *window: np.array(open_map()[window])
    )
    if pixels.shape[2] == 1:
        return ArrayFile(
            data_path,
            (variable,),
            class_table=_parse_classes(header, header_path),
            georeference=parse_georeference(header, header_path),
        )
    wavelengths, fwhm = parse_wavelengths(header, header_path)
    cube = CubeFile(
        LazyCube(pixels.shape, pixels.dtype, variable.read),
        wavelengths=wavelengths,
        fwhm=fwhm,
        good_bands=parse_good_bands(header, header_path),
        nodata=parse_nodata(header, header_path),
        scale=parse_scale(header, header_path),
        georeference=parse_georeference(header, header_path),
    )
    return ArrayFile(data_path, (variable,), cube=cube)


def find_header(path: Path) -> Path | None:
    """Return the header of an ENVI data file (`x.img` -> `x.img.hdr` or `x.hdr`)."""
    if path.suffix.lower() == ".hdr":
        return path
    beside = [path.with_name(path.name + suffix) for suffix in (".hdr", ".HDR")]
    beside += [path.with_suffix(suffix) for suffix in (".hdr", ".HDR")]
    return next((header for header in beside if header.is_file()), None)


def find_data(header_path: Path) -> Path:
    """Return the data file of an ENVI header.

    Raises:
        HsijaxError: there is none of a known suffix; the message lists those.
    """
    tried = [header_path.with_suffix(suffix) for suffix in DATA_SUFFIXES]
    for path in tried:
        if path.is_file():
            return path
    raise HsijaxError(
        f"no data file beside {header_path}; tried {', '.join(p.name for p in tried)}"
    )


def map_pixels(
    path: Path, header_path: Path, header: Header
) -> Callable[[], np.ndarray]:
    """Return what maps the data file as `[rows cols bands]`, in any order on disk.

    Raises:
        HsijaxError: it cannot be read, or is shorter than its header says.
    """
    dtype = np.dtype("<" + DTYPES[int(header["data type"])])
    if header.get("byte order", "0") == "1":
        dtype = dtype.newbyteorder(">")
    shape = tuple(int(header[field]) for field in ("lines", "samples", "bands"))
    offset = int(header.get("header offset", "0"))
    needed = offset + math.prod(shape) * dtype.itemsize
    try:
        size = path.stat().st_size
    except OSError as error:
        raise HsijaxError(f"cannot read {path}: {error.strerror}") from error
    if size < needed or not math.prod(shape):
        raise HsijaxError(
            f"{path} has {size:,} bytes, but its header {header_path.name} describes "
            f"{needed:,} ({shape[0]} lines x {shape[1]} samples x {shape[2]} bands of "
            f"{dtype.name} after {offset} bytes): it is cut short or not the header's"
        )
    if size > needed:
        log.warning(
            "%s has %d bytes more than its header describes; is the header its own?",
            path,
            size - needed,
        )
    axes = INTERLEAVES[str(header.get("interleave", "bsq")).lower()]
    stored = tuple(shape[axis] for axis in axes)

    def open_map() -> np.ndarray:
        mapped = np.memmap(path, dtype, mode="r", offset=offset, shape=stored)
        return mapped.transpose(np.argsort(axes))

    return open_map


def _parse_classes(
    header: Header, path: Path
) -> tuple[tuple[int, str, Colour | None], ...]:
    """Return value, name and colour of each class of a classification."""
    names = header.get("class names", [])
    names = [names] if isinstance(names, str) else names
    try:
        flat = [int(float(text)) for text in header.get("class lookup", [])]
    except ValueError:
        flat = []
    if len(flat) != 3 * len(names) or not all(0 <= part <= 255 for part in flat):
        if flat:
            log.warning("%s: 'class lookup' does not fit the class names", path)
        return tuple((value, name, None) for value, name in enumerate(names))
    return tuple(
        (value, name, (flat[3 * value], flat[3 * value + 1], flat[3 * value + 2]))
        for value, name in enumerate(names)
    )
