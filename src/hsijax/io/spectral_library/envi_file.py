"""ENVI spectral libraries: numbers in a .sli file, names in its header."""

import re
from pathlib import Path

import numpy as np
from jaxtyping import Int

from hsijax.errors import HsijaxError, UsageError
from hsijax.io.atomic import write_atomically
from hsijax.io.envi import find_data, find_header, map_pixels
from hsijax.io.envi_header import (
    Header,
    parse_scale,
    parse_wavelengths,
    read_header,
)
from hsijax.io.spectral_library.csv_file import read_labels
from hsijax.io.spectral_library.spectra import SpectralLibrary, log, tidy_library

# Of the plot of a library: "reflectance [*10000]".
PLOT_SCALE = re.compile(r"\[\s*\*\s*(\d+)\s*\]")
# What would end a list in a header.
PLAIN = str.maketrans(",{}=", "-()-")


def read_envi_library(path: Path, key: str | None = None) -> SpectralLibrary:
    """Read a .sli file and its header, and the table of classes beside it.

    A table of the same name (.csv) with a row for each spectrum is where EnMAP-Box
    keeps classes; `key` names the column that is meant. Values of which the header
    says that they are reflectance times a number are divided by it, which is said.

    Raises:
        HsijaxError: a file is missing or damaged, or it is no spectral library.
    """
    header_path = find_header(path)
    if header_path is None or not header_path.is_file():
        raise HsijaxError(f"no ENVI header (.hdr) beside {path}")
    header = read_header(header_path)
    if "spectral library" not in str(header.get("file type", "")).lower():
        raise HsijaxError(
            f"{header_path} describes an image, not a spectral library: its 'file "
            f"type' is '{header.get('file type', '')}'"
        )
    data_path = path if path != header_path else find_data(header_path)
    spectra = np.asarray(map_pixels(data_path, header_path, header)()[:, :, 0])
    scale = _find_scale(header, header_path)
    if scale != 1:
        log.info(
            "note: the spectra of %s are divided by %g, of which its header says that "
            "they are reflectance times it",
            data_path,
            scale,
        )
    # A library's bands are what the header calls samples.
    bands = header | {"bands": header["samples"]}
    wavelengths, fwhm = parse_wavelengths(bands, header_path)
    names = _list(header, "spectra names", len(spectra), header_path)
    library = SpectralLibrary(
        names or tuple(f"spectrum {n}" for n in range(1, len(spectra) + 1)),
        spectra.astype(np.float64) / scale,
        wavelengths,
        fwhm,
        _list(header, "spectra classes", len(spectra), header_path),
        _parse_pixels(header, len(spectra), header_path),
    )
    return tidy_library(_with_table(library, data_path, key), data_path)


def write_library_envi(path: Path, library: SpectralLibrary, note: str = "") -> None:
    """Write NAME.sli and NAME.hdr.

    Commas and braces in names, which would end a list there, become others. Classes
    and pixels stand in fields of our own, which ENVI passes over; `note`, what nobody
    may overlook, in the description.

    Raises:
        HsijaxError: it cannot be written.
        UsageError: `path` does not end in .sli.
    """
    if path.suffix != ".sli":
        raise UsageError(f"an ENVI library is called NAME.sli, not {path.name}")
    single = library.spectra.dtype == np.float32
    spectra = library.spectra.astype("<f4" if single else "<f8")
    fields: dict[str, object] = {
        "description": _braced(
            [f"spectral library: {note}" if note else "spectral library"]
        ),
        "samples": library.spectra.shape[1],
        "lines": library.spectra.shape[0],
        "bands": 1,
        "header offset": 0,
        "file type": "ENVI Spectral Library",
        "data type": 4 if single else 5,
        "interleave": "bsq",
        "byte order": 0,
        "spectra names": _braced(library.names),
    }
    if library.wavelengths is not None:
        fields["wavelength units"] = "Nanometers"
        fields["wavelength"] = _braced(map(str, library.wavelengths))
    if library.fwhm is not None:
        fields["fwhm"] = _braced(map(str, library.fwhm))
    if library.classes is not None:
        fields["spectra classes"] = _braced(library.classes)
    if library.pixels is not None:
        fields["spectra pixels"] = _braced(
            f"{row} {col}" for row, col in library.pixels
        )
    lines = ["ENVI", *(f"{name} = {value}" for name, value in fields.items())]
    with (
        write_atomically(path.with_suffix(".hdr")) as header,
        # The numbers are renamed first: a header never stands without them.
        write_atomically(path) as numbers,
    ):
        header.write_text("\n".join(lines) + "\n", encoding="utf-8")
        numbers.write_bytes(spectra.tobytes())


def _braced(texts) -> str:
    plain = (" ".join(text.translate(PLAIN).split()) for text in texts)
    return f"{{{', '.join(plain)}}}"


def _find_scale(header: Header, path: Path) -> float:
    """Return what reflectance was multiplied with, if the header says so."""
    scale = parse_scale(header, path)
    if scale is None:
        found = PLOT_SCALE.search(str(header.get("z plot titles", "")))
        scale = float(found[1]) if found else 1.0
    return scale or 1.0


def _list(header: Header, field: str, count: int, path: Path) -> tuple[str, ...] | None:
    """Return a list of the header with a text for each spectrum."""
    texts = header.get(field)
    if texts is None:
        return None
    texts = [texts] if isinstance(texts, str) else texts
    if len(texts) != count:
        log.warning(
            "%s: '%s' has %d texts for %d spectra and is not used",
            path,
            field,
            len(texts),
            count,
        )
        return None
    return tuple(" ".join(text.split()) for text in texts)


def _parse_pixels(
    header: Header, count: int, path: Path
) -> Int[np.ndarray, "spectra 2"] | None:
    texts = _list(header, "spectra pixels", count, path)
    if texts is None or not all(re.fullmatch(r"\d+ \d+", text) for text in texts):
        return None
    return np.array([text.split() for text in texts], dtype=np.int32)


def _with_table(
    library: SpectralLibrary, data_path: Path, key: str | None
) -> SpectralLibrary:
    """Add the classes of the table beside the library, if its names are the same."""
    table_path = data_path.with_suffix(".csv")
    if library.classes is not None and key is None:
        return library
    if not table_path.is_file():
        if key is not None:
            raise HsijaxError(
                f"'{key}' names a column of classes, but there is no {table_path}"
            )
        return library
    labels = read_labels(table_path, len(library.names), key)
    if labels is None or [_braced([n]) for n in labels.names] != [
        _braced([n]) for n in library.names
    ]:
        log.warning(
            "%s lies beside %s but names other spectra; it is not used",
            table_path,
            data_path,
        )
        return library
    return SpectralLibrary(
        labels.names,
        library.spectra,
        library.wavelengths,
        library.fwhm,
        labels.classes,
        library.pixels,
    )
