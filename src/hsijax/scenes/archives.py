"""One member out of a .zip archive, and nothing that the archive wants beside it."""

import shutil
import stat
import zipfile
import zlib
from pathlib import Path, PurePosixPath

# No catalogue file is as large when unpacked; more is a decompression bomb.
MAX_BYTES = 2 * 1024**3
_CHUNK = 1024 * 1024

# What zipfile raises for a damaged, an encrypted or an oddly packed archive.
_UNREADABLE = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    NotImplementedError,
    RuntimeError,
)


class BadArchiveError(Exception):
    """The archive cannot give the member; the message says why."""


def extract_member(archive: Path, member: str, target: Path, size: int | None) -> None:
    """Write the archive's member of this name, in whatever folder of it, to `target`.

    Args:
        archive: a .zip file.
        member: the name without folders.
        target: written whole; the archive has no say in where.
        size: of the member, in bytes, where it is known.

    Raises:
        BadArchiveError: there is no such member, it is a link, it lies outside the
            archive, it is larger than announced, or the archive is damaged.
    """
    limit = MAX_BYTES if size is None else size
    try:
        with zipfile.ZipFile(archive) as opened:
            info = _find_member(opened, member)
            if info.file_size > limit:
                raise BadArchiveError(
                    f"'{member}' would unpack to {info.file_size} bytes, "
                    f"more than {limit}"
                )
            with opened.open(info) as source, target.open("wb") as sink:
                # zipfile stops at the announced size and checks the CRC.
                shutil.copyfileobj(source, sink, _CHUNK)
    except _UNREADABLE as error:
        raise BadArchiveError(f"the archive cannot be unpacked: {error}") from error


def _find_member(opened: zipfile.ZipFile, member: str) -> zipfile.ZipInfo:
    for info in opened.infolist():
        path = PurePosixPath(info.filename.replace("\\", "/"))
        if path.name != member or info.is_dir():
            continue
        if path.is_absolute() or ".." in path.parts or ":" in path.parts[0]:
            raise BadArchiveError(f"'{info.filename}' points out of the archive")
        if stat.S_ISLNK(info.external_attr >> 16):
            raise BadArchiveError(f"'{info.filename}' is a link")
        return info
    raise BadArchiveError(f"there is no '{member}' in the archive")
