"""NumPy files: .npy memory-mapped, .npz array by array; never with pickle."""

import functools
import zipfile
import zlib
from pathlib import Path

import numpy as np

from hsijax.errors import HsijaxError
from hsijax.io.arrays import ArrayFile, Variable


def open_npy(path: Path) -> ArrayFile:
    """Map a .npy file into memory.

    Raises:
        HsijaxError: it is damaged, or holds pickled Python objects.
    """
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise _unreadable(path, error) from error
    if not isinstance(array, np.ndarray):  # an archive under the wrong suffix
        array.close()
        raise HsijaxError(f"{path} is a .npz archive; rename it to {path.stem}.npz")

    # Opened anew, because what was read of a map that stays open counts as memory.
    def read(*window: slice) -> np.ndarray:
        return np.array(np.load(path, mmap_mode="r", allow_pickle=False)[window])

    return ArrayFile(path, (Variable("", array.shape, array.dtype, read),))


def open_npz(path: Path) -> ArrayFile:
    """List the arrays of a .npz archive; each is read when it is first looked at.

    Raises:
        HsijaxError: it is damaged, or an array of it holds pickled Python objects.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = [name for name in archive.namelist() if name.endswith(".npy")]
            heads = [_read_head(archive, name) for name in members]
    except (zipfile.BadZipFile, zlib.error, ValueError, OSError, EOFError) as error:
        raise _unreadable(path, error) from error
    variables = []
    for member, (shape, dtype) in zip(members, heads, strict=True):
        name = member.removesuffix(".npy")
        variables.append(Variable(name, shape, dtype, _make_reader(path, name)))
    return ArrayFile(path, tuple(variables))


def _read_head(
    archive: zipfile.ZipFile, member: str
) -> tuple[tuple[int, ...], np.dtype]:
    """Return shape and type of an array in an archive without reading its numbers."""
    with archive.open(member) as stream:
        version = np.lib.format.read_magic(stream)
        if version == (1, 0):
            shape, _, dtype = np.lib.format.read_array_header_1_0(stream)
        else:
            shape, _, dtype = np.lib.format.read_array_header_2_0(stream)
    return shape, dtype


def _make_reader(path: Path, name: str):
    @functools.cache
    def load() -> np.ndarray:
        try:
            with np.load(path, allow_pickle=False) as archive:
                return archive[name]
        except (zipfile.BadZipFile, zlib.error, ValueError, OSError) as error:
            raise _unreadable(path, error) from error

    return lambda *window: load()[window]


def _unreadable(path: Path, error: Exception) -> HsijaxError:
    text = f"{error}".lower()
    if "pickle" in text or "python objects" in text:
        return HsijaxError(
            f"{path} holds pickled Python objects, which hsijax never opens because "
            "they can run code; save a plain array of numbers with numpy.save"
        )
    return HsijaxError(
        f"{path} ({path.stat().st_size:,} bytes) is damaged or cut short "
        f"({error}); get the file again"
    )
