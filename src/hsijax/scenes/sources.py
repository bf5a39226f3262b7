"""The files that a path stands for: one, or the tiles of a folder or a pattern."""

import glob
import hashlib
import os
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from hsijax.io import READERS
from hsijax.io.arrays import ArrayFile, Variable

PATTERN = re.compile(r"[*?\[]")
TILE_SUFFIXES = (".tif", ".tiff")  # of a folder's files that are taken for tiles


def hash_file(path: Path) -> str:
    """Return the sha256 of a file's bytes, in hexadecimal digits.

    That of a folder, such as a Zarr store, is the sha256 of a list of its files, in
    the order of their names, each with its own sha256 as `sha256sum` prints it.
    """
    if path.is_dir():
        digest = hashlib.sha256()
        names = sorted(
            file.relative_to(path).as_posix()
            for file in path.rglob("*")
            if file.is_file()
        )
        for name in names:
            digest.update(f"{hash_file(path / name)}  {name}\n".encode())
        return digest.hexdigest()
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


@dataclass(frozen=True)
class SourceFile:
    """Where an array came from."""

    path: Path
    key: str | None = None  # the variable inside the file
    joined: tuple["SourceFile", ...] = ()  # what it was put together from

    @cached_property
    def sha256(self) -> str:
        """Hash of the file's bytes, or of several hashes; read when first asked for."""
        if self.joined:
            hashes = "".join(f"{source.sha256}\n" for source in self.joined)
            return hashlib.sha256(hashes.encode()).hexdigest()
        return hash_file(self.path)


def source_of(file: ArrayFile, variable: Variable) -> SourceFile:
    """Say where an array of an opened file, or of opened tiles, is from."""
    key = variable.name or None
    if file.tiles:
        return SourceFile(file.path, key, tuple(map(SourceFile, file.tiles)))
    return SourceFile(file.path, key)


def is_folder_of_tiles(path: Path) -> bool:
    """Whether it is a folder, and not of a format that is a folder itself."""
    return path.is_dir() and path.suffix.lower() not in READERS


def list_tiles(path: Path) -> list[Path]:
    """List the files that a folder or a glob pattern stands for, sorted.

    Of a folder they are its GeoTIFFs. A path that is no pattern stands for nothing.
    """
    if is_folder_of_tiles(path):
        found = (path / name for name in os.listdir(path) if not name.startswith("."))
        return sorted(each for each in found if each.suffix.lower() in TILE_SUFFIXES)
    if path.exists() or not PATTERN.search(str(path)):
        return []
    found = map(Path, glob.iglob(str(path), recursive=True))
    return sorted(each for each in found if each.is_file())


def is_there(path: Path) -> bool:
    """Whether there is such a file or folder, or a file that fits the pattern."""
    return path.exists() or bool(list_tiles(path))


def to_absolute(text: str) -> str:
    """Let a path, a pattern or FILE:KEY be found from any folder."""
    path = Path(text)
    if PATTERN.search(text) and not path.is_absolute() and not path.exists():
        return os.path.join(glob.escape(os.getcwd()), text)
    return str(path.absolute())


def name_source(path: Path) -> str:
    """Name a scene after its file, its folder or its pattern, safely for file names.

    >>> name_source(Path("enmap/field_*.tif")), name_source(Path("enmap/*.tif"))
    ('field', 'enmap')
    """
    if path.is_dir():
        return path.absolute().name or "tiles"
    if path.exists() or not PATTERN.search(str(path)):
        return path.stem
    for part in (path.stem, *(parent.name for parent in path.absolute().parents)):
        plain = re.sub(r"\[[^]]*\]?|[^\w.-]", "-", part)
        if name := re.sub(r"[-_]{2,}", "-", plain).strip("-_."):
            return name
    return "tiles"
