"""Spectral libraries as CSV: what spreadsheets, EMIT and EnMAP-Box write, and ours."""

import csv
import io
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from hsijax.errors import HsijaxError
from hsijax.io.atomic import write_text
from hsijax.io.envi_header import UNITS
from hsijax.io.spectral_library.spectra import (
    SpectralLibrary,
    nanometres,
    number_repeats,
    tidy_library,
)

# Titles of columns, in any case.
WAVELENGTH = re.compile(r"wave|lambda|λ|\bwl\b|^(nm|um|µm|μm)$", re.IGNORECASE)
NAME = re.compile(r"name|spectr|label|sample|^id$", re.IGNORECASE)
CLASS = re.compile(r"class|material|type|^level", re.IGNORECASE)
INDEX = re.compile(r"^(band|channel|index|#)?s?$", re.IGNORECASE)
BAND = re.compile(r"^b(and)?[ _]?\d+$", re.IGNORECASE)
# A band's wavelength as the title of its column: "418.24", "418.24 nm", "X418.24".
NUMBER = re.compile(
    rf"^x?(\d+(?:\.\d*)?(?:e[+-]?\d+)?)\s*({'|'.join(UNITS)}|)$", re.IGNORECASE
)

FWHM = "fwhm (nm)"  # name of the row of widths in the files written here
MISSING = ("", "nan", "na", "n/a", "null")


class Labels(NamedTuple):
    """What the columns of text say of each spectrum."""

    names: tuple[str, ...]
    classes: tuple[str, ...] | None
    pixels: Int[np.ndarray, "spectra 2"] | None


class _Table(NamedTuple):
    path: Path
    titles: list[str]
    rows: list[list[str]]

    def column(self, index: int) -> list[str]:
        return [row[index] for row in self.rows]


def read_csv_library(path: Path, key: str | None = None) -> SpectralLibrary:
    """Read a table whose first line, the titles, says how it is laid out.

    A column titled "wavelength" (or "lambda", "nm", ...) makes every other column a
    spectrum. Titles that are numbers are the wavelengths of spectra that are rows, and
    so are bands "band 1", "band 2", ...; the other columns then have names, classes
    and pixels, and `key` says which column has the classes. Without any of these, the
    columns are spectra of unknown wavelengths.

    Raises:
        HsijaxError: it is none of these, or a cell is no number.
    """
    table = _read_table(path)
    waves = [i for i, title in enumerate(table.titles) if WAVELENGTH.search(title)]
    waves = [i for i in waves if all(map(_is_number, table.column(i)))]
    numbers = [i for i, title in enumerate(table.titles) if NUMBER.match(title)]
    bands = [i for i, title in enumerate(table.titles) if BAND.match(title)]
    if waves:
        library = _read_columns(table, waves[0])
    elif len(numbers) == len(table.titles):
        raise HsijaxError(
            f"{path} has numbers in its first line: begin it with titles, such as "
            "'wavelength,tree,soil' or 'name,400,410,420'"
        )
    elif len(numbers) > 1:
        library = _read_rows(table, numbers, key)
    elif len(bands) > 1:
        library = _read_rows(table, bands, key)
    else:
        library = _read_columns(table, None)
    return tidy_library(library, path)


def read_labels(path: Path, count: int, key: str | None = None) -> Labels | None:
    """Read names and classes of `count` spectra from a table beside their file.

    None if the table is of something else.

    Raises:
        HsijaxError: the file is no table, or has no column `key`.
    """
    table = _read_table(path)
    text = [i for i, title in enumerate(table.titles) if not NUMBER.match(title)]
    rows = [row for row in table.rows if row[text[0]] != FWHM] if text else []
    if len(rows) != count:
        return None
    return _label(table._replace(rows=rows), text, key)


def write_library_csv(path: Path, library: SpectralLibrary, note: str = "") -> None:
    """Write a spectrum a row, after its name, class and pixel; numbers are exact.

    Titles of the bands are their wavelengths in nm, or "band 1" and so on. Widths
    stand in a row of their own, the first. `note`, what nobody may overlook, stands
    in each row, in a column that `read_csv_library` passes over.

    Raises:
        HsijaxError: it cannot be written.
    """
    columns: dict[str, Sequence[object]] = {"name": library.names}
    if library.classes is not None:
        columns["class"] = library.classes
    if library.pixels is not None:
        columns["row"], columns["col"] = library.pixels.T
    if note:
        columns["note"] = [note] * len(library.names)
    bands = range(1, library.spectra.shape[1] + 1)
    titles = [f"band {band}" for band in bands]
    if library.wavelengths is not None:
        titles = [str(wavelength) for wavelength in library.wavelengths]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*columns, *titles])
    if library.fwhm is not None:
        writer.writerow([FWHM, *[""] * (len(columns) - 1), *map(str, library.fwhm)])
    for *labels, spectrum in zip(*columns.values(), library.spectra, strict=True):
        writer.writerow([*labels, *map(str, spectrum)])
    write_text(path, text.getvalue())


def _read_table(path: Path) -> _Table:
    """Split a text into cells, by commas, semicolons or tabs."""
    content = path.read_bytes()
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:  # of older spreadsheets
        text = content.decode("latin-1")
    if "\0" in text:
        raise HsijaxError(f"{path} is no text: save the library as CSV")
    first = text.lstrip().split("\n", 1)[0]
    delimiter = max(",;\t", key=first.count)
    try:
        lines = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter))
    except csv.Error as error:
        raise HsijaxError(f"{path} is no CSV file ({error})") from error
    cells = [[cell.strip() for cell in line] for line in lines if any(line)]
    if len(cells) < 2 or len(cells[0]) < 2:
        raise HsijaxError(
            f"{path} is no table: a spectral library has a line of titles, lines of "
            "numbers, and commas, semicolons or tabs between its cells"
        )
    for number, line in enumerate(cells, 1):
        if len(line) != len(cells[0]):
            raise HsijaxError(
                f"{path}: line {number} has {len(line)} cells, but there are "
                f"{len(cells[0])} titles"
            )
    if delimiter == ";":  # where numbers have a decimal comma
        comma = re.compile(r"^([+-]?\d+),(\d+)", re.ASCII)
        cells = [[comma.sub(r"\1.\2", cell) for cell in line] for line in cells]
    return _Table(path, cells[0], cells[1:])


def _read_columns(table: _Table, wave: int | None) -> SpectralLibrary:
    """Read a table in which a column is a spectrum."""
    titles = table.titles
    widths = [i for i, title in enumerate(titles) if "fwhm" in title.lower()]
    skipped = {wave, *widths[:1]}
    if wave is None and INDEX.match(titles[0]):
        skipped.add(0)
    spectra = [i for i in range(len(titles)) if i not in skipped]
    if not any(_is_number(cell) for cell in table.rows[0]):
        raise HsijaxError(
            f"{table.path} holds names but no numbers: give the file of the spectra"
        )
    wavelengths = fwhm = None
    if wave is not None:
        wavelengths = _numbers(table, wave)
        factor = nanometres(titles[wave], wavelengths, table.path)
        wavelengths = wavelengths * factor
        if widths:
            fwhm = _numbers(table, widths[0]) * factor
    return SpectralLibrary(
        number_repeats([titles[i] for i in spectra]),
        np.array([_numbers(table, i) for i in spectra]),
        wavelengths,
        fwhm,
    )


def _read_rows(table: _Table, bands: list[int], key: str | None) -> SpectralLibrary:
    """Read a table in which a row is a spectrum, after what is said of it."""
    matches = [NUMBER.match(table.titles[i]) for i in bands]
    wavelengths = fwhm = None
    factor = 1.0
    if all(matches):
        wavelengths = np.array([float(match[1]) for match in matches if match])
        unit = next((match[2] for match in matches if match and match[2]), "")
        factor = nanometres(unit, wavelengths, table.path)
        wavelengths = wavelengths * factor
    text = [i for i in range(len(table.titles)) if i not in bands]
    values = np.stack([_numbers(table, i) for i in bands], axis=1)
    names = table.column(text[0]) if text else []
    is_width = np.array([name == FWHM for name in names] or [False] * len(values))
    if is_width.any():
        fwhm = values[is_width][0]
    kept = [row for row, width in zip(table.rows, is_width, strict=True) if not width]
    labels = _label(table._replace(rows=kept), text, key)
    return SpectralLibrary(
        labels.names,
        values[~is_width],
        wavelengths,
        fwhm,
        labels.classes,
        labels.pixels,
    )


def _label(table: _Table, text: list[int], key: str | None) -> Labels:
    """Read names, classes and pixels from the columns of text."""
    titles = {table.titles[i].lower(): i for i in text}
    if key is not None and key.lower() not in titles:
        raise HsijaxError(
            f"{table.path} has no column '{key}'; its columns of text are: "
            f"{', '.join(table.titles[i] for i in text) or 'none'}"
        )
    # Of several levels of classes the last one is the finest.
    material = next((i for i in reversed(text) if CLASS.search(table.titles[i])), None)
    material = titles[key.lower()] if key is not None else material
    name = next((i for i in text if NAME.search(table.titles[i])), None)
    name = text[0] if name is None and text else name
    if name is None:
        names = [f"spectrum {number}" for number in range(1, len(table.rows) + 1)]
        return Labels(tuple(names), None, None)
    names = table.column(name)
    classes = None
    if material is not None or len(set(names)) < len(names):
        classes = tuple(table.column(name if material is None else material))
    return Labels(number_repeats(names), classes, _pixels(table, titles))


def _pixels(
    table: _Table, titles: dict[str, int]
) -> Int[np.ndarray, "spectra 2"] | None:
    if not {"row", "col"} <= titles.keys():
        return None
    places = [[row[titles["row"]], row[titles["col"]]] for row in table.rows]
    if not all(text.isdecimal() for place in places for text in place):
        return None
    return np.array(places, dtype=np.int32)


def _is_number(cell: str) -> bool:
    if cell.lower() in MISSING:
        return True
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _numbers(table: _Table, column: int) -> Float[np.ndarray, " cells"]:
    """Read a column of numbers; NaN where a cell is empty."""
    cells = table.column(column)
    for line, cell in enumerate(cells, 2):
        if not _is_number(cell):
            raise HsijaxError(
                f"{table.path}: '{cell}' in line {line}, column "
                f"'{table.titles[column]}', is no number"
            )
    return np.array([np.nan if c.lower() in MISSING else float(c) for c in cells])
