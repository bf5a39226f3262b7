"""MATLAB files: versions 4 to 7 by SciPy, 7.3 (HDF5) by h5py."""

import functools
import struct
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

import h5py
import numpy as np

from hsijax.errors import HsijaxError
from hsijax.io.arrays import ArrayFile, Variable

# MATLAB's names of numeric classes.
CLASS_DTYPES = {
    "double": "f8",
    "single": "f4",
    "logical": "u1",
    **{f"{s}int{8 * n}": f"{s or 'i'}{n}" for s in ("", "u") for n in (1, 2, 4, 8)},
}
# Type codes of stored numbers (MAT-File Format, R2024b, table 1-1).
STORED_DTYPES = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4"}
STORED_DTYPES |= {9: "f8", 12: "i8", 13: "u8"}
MATRIX, COMPRESSED = 14, 15


def open_mat(path: Path) -> ArrayFile:
    """List the numeric arrays of a MATLAB file of any version.

    Axes are MATLAB's own; a version 7.3 file, which stores them reversed, is read
    window by window. Older ones are read whole when they are first looked at.

    Raises:
        HsijaxError: the file is damaged or no MATLAB file.
    """
    if h5py.is_hdf5(path):
        return ArrayFile(path, tuple(_list_hdf5(path)))
    # Here and below, because it takes 0.1 s to import and other formats do without.
    from scipy.io import whosmat

    try:
        listing = whosmat(path)
        stored = dict(_stored_dtypes(path))
    except Exception as error:  # SciPy's parser fails in many ways on damaged bytes
        raise damaged(path, error) from error
    return ArrayFile(
        path,
        tuple(
            Variable(
                name,
                tuple(shape),
                np.dtype(stored.get(name, CLASS_DTYPES[matlab_class])),
                _make_reader(path, name),
            )
            for name, shape, matlab_class in listing
            if matlab_class in CLASS_DTYPES
        ),
    )


def _make_reader(path: Path, name: str):
    @functools.cache
    def load() -> np.ndarray:
        from scipy.io import loadmat

        try:
            return loadmat(path, variable_names=[name])[name]
        except Exception as error:  # as above
            raise damaged(path, error) from error

    return lambda *window: load()[window]


def damaged(path: Path, error: Exception) -> HsijaxError:
    """Say that a file cannot be read, with the reason that its parser gave."""
    detail = f"{error}".strip().splitlines()
    return HsijaxError(
        f"{path} ({path.stat().st_size:,} bytes) is damaged, cut short or no MATLAB "
        f"file ({detail[0] if detail else type(error).__name__}); get the file again"
    )


def _list_hdf5(path: Path) -> Iterator[Variable]:
    """Yield numeric datasets at the top of a v7.3 file; cells lie below `#refs#`."""
    try:
        with h5py.File(path) as file:
            for name, item in file.items():
                matlab_class = item.attrs.get("MATLAB_class", b"double")
                if isinstance(matlab_class, bytes):
                    matlab_class = matlab_class.decode()
                if (
                    isinstance(item, h5py.Dataset)
                    and matlab_class in CLASS_DTYPES
                    and item.dtype.kind in "iufb"
                    and not item.attrs.get("MATLAB_empty", 0)
                ):
                    reader = functools.partial(_read_hdf5, path, name)
                    yield Variable(name, item.shape[::-1], item.dtype, reader)
    except OSError as error:
        raise damaged(path, error) from error


def _read_hdf5(path: Path, name: str, *window: slice) -> np.ndarray:
    try:
        with h5py.File(path) as file:
            dataset = file[name]
            assert isinstance(dataset, h5py.Dataset)
            return dataset[(..., *reversed(window))].T
    except OSError as error:
        raise damaged(path, error) from error


def _stored_dtypes(path: Path) -> Iterator[tuple[str, str]]:
    """Yield (name, type) of the numbers as a version 5 file stores them.

    MATLAB saves a double array of small whole numbers as integers, and that is what
    SciPy returns; `whosmat` says "double". Elements that are not understood are left
    out, and so is everything in a version 4 file.
    """
    with path.open("rb") as stream:
        header = stream.read(128)
        order = {b"IM": "<", b"MI": ">"}.get(header[126:128])
        while order and len(tag := stream.read(8)) == 8:
            kind, size = struct.unpack(f"{order}II", tag)
            start = stream.tell()
            if kind in (MATRIX, COMPRESSED):
                with suppress(struct.error, zlib.error):
                    found = _parse_matrix(_matrix_head(stream, kind, size), order)
                    if found:
                        yield found
            stream.seek(start + size)


def _matrix_head(stream: BinaryIO, kind: int, size: int) -> bytes:
    """Return the first bytes of a matrix, up to the tag of its numbers."""
    head = stream.read(min(size, 4096))
    if kind == COMPRESSED:
        return zlib.decompressobj().decompress(head, 4096)[8:]
    return head


def _parse_matrix(head: bytes, order: str) -> tuple[str, str] | None:
    """Skip flags and dimensions; return the name and the type of the real part."""
    parts = []
    for _ in range(3):
        _, data, head = _parse_element(head, order)
        parts.append(data)
    kind, _, _ = _parse_element(head, order)
    if kind not in STORED_DTYPES:
        return None
    return parts[2].decode("latin-1"), STORED_DTYPES[kind]


def _parse_element(head: bytes, order: str) -> tuple[int, bytes, bytes]:
    """Split off one data element: its type, its bytes and the rest."""
    first, size = struct.unpack(f"{order}II", head[:8])
    if first >> 16:  # the small format packs size and type into one word
        return first & 0xFFFF, head[4 : 4 + (first >> 16)], head[8:]
    end = 8 + (size + 7) // 8 * 8
    return first, head[8 : 8 + size], head[end:]
