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
from hsijax.scenes.scene import SourceFile, hash_file

PATTERN = re.compile(r"[*?\[]")
TILE_SUFFIXES = (".tif", ".tiff")  # of a folder's files that are taken for tiles


@dataclass(frozen=True)
class SourceFiles(SourceFile):
    """Several files that are one source: the tiles of a mosaic, or a shapefile."""

    parts: tuple[Path, ...] = ()

    @cached_property
    def sha256(self) -> str:
        """Hash of the hashes of all files, in their order."""
        digests = "".join(f"{hash_file(path)}\n" for path in self.parts)
        return hashlib.sha256(digests.encode()).hexdigest()


def source_of(file: ArrayFile, variable: Variable) -> SourceFile:
    """Say where an array of an opened file, or of opened tiles, is from."""
    key = variable.name or None
    if file.tiles:
        return SourceFiles(file.path, key, file.tiles)
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
