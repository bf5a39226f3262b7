"""Where a scene's files are on this machine: by hash first, then by name and content.

Searched are, in this order: `--data-dir`, the folder that `HSIJAX_DATA` names, the
user's cache, and an installed package of the extra `samples`.
"""

import importlib.util
import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from hsijax.config import Progress, no_progress
from hsijax.scenes.catalogue import SceneFile, SceneSheet
from hsijax.scenes.content import misfit
from hsijax.scenes.sources import hash_file

# Packages whose wheels ship real scenes, and the folder inside that holds them.
SAMPLE_PACKAGES = {"tensorly": "datasets/data"}

# Bounds of the search: a data folder may be somebody's home or an archive.
MAX_DEPTH = 4
MAX_FILES = 20_000

_logger = logging.getLogger("hsijax")


@dataclass(frozen=True)
class FoundFile:
    """A file of a scene on this machine; `verified` if its hash is a known one."""

    path: Path
    verified: bool


def cache_folder() -> Path:
    """Return the folder of this user that downloads go to."""
    import pooch

    return Path(pooch.os_cache("hsijax")) / "scenes"


def list_folders(data_dir: Path | None = None) -> list[Path]:
    """List the folders that scenes are looked for in, also those that do not exist."""
    named = os.environ.get("HSIJAX_DATA")
    folders = [
        *([data_dir] if data_dir else []),
        *([Path(named)] if named else []),
        cache_folder(),
        *_find_sample_folders(),
    ]
    return list(dict.fromkeys(folders))


def locate(
    sheet: SceneSheet,
    file: SceneFile,
    data_dir: Path | None = None,
    progress: Progress = no_progress,
) -> Path:
    """Return where a file of a scene is on this machine; download it if it is not.

    Downloads go to `data_dir`, or else to the user's cache.

    Raises:
        HsijaxError: it is in no local folder and cannot be downloaded.
    """
    found = find_file(sheet, file, data_dir=data_dir)
    if found:
        return found.path
    # Here, because most scenes are on this machine already.
    from hsijax.scenes.download import download

    return download(sheet, file, data_dir or cache_folder(), progress)


def find_file(
    sheet: SceneSheet, file: SceneFile, *, data_dir: Path | None = None
) -> FoundFile | None:
    """Find a file of a scene in the local folders; None where it is in none of them.

    A file of a known hash is taken under any name, if its size is the official one.
    A file of a known name but another hash is taken only if its content fits.
    """
    for folder in list_folders(data_dir):
        found = _find_in(folder, sheet, file)
        if found:
            return found
    return None


def _find_in(folder: Path, sheet: SceneSheet, file: SceneFile) -> FoundFile | None:
    named: list[Path] = []
    stems = {_stem(name) for name in file.names}
    for path in _walk(folder):
        fits_name = _stem(path.name) in stems
        try:
            # Only these are hashed: reading a whole archive of scenes takes minutes.
            if not fits_name and path.stat().st_size != file.size:
                continue
            if file.sha256 and hash_file(path) in file.sha256:
                return FoundFile(path, verified=True)
        except OSError as error:
            _logger.warning("cannot read %s: %s", path, error.strerror)
            continue
        if fits_name:
            named.append(path)
    for path in named:
        reason = misfit(path, sheet, file)
        if reason is None:
            known = "the known one" if file.sha256 else "known for it"
            _logger.info(
                "note: %s is taken for %s by its content; its hash is not %s",
                path,
                sheet.name,
                known,
            )
            return FoundFile(path, verified=False)
        _logger.warning(
            "%s is not the %s of %s: %s",
            path,
            file.role.replace("_", " "),
            sheet.name,
            reason,
        )
    return None


def _stem(name: str) -> str:
    """Return what is compared of a file name: all before the first dot, in lower case.

    So a variant such as `Salinas_corrected.old.mat` is looked at too, and refused with
    a reason if it does not fit.

    >>> _stem("Salinas_corrected.TRUNCATED.mat")
    'salinas_corrected'
    """
    return name.split(".")[0].lower()


def _walk(folder: Path) -> Iterator[Path]:
    """Yield the files below a folder in a fixed order, within the bounds."""
    count = 0
    for root, folders, names in os.walk(folder, followlinks=True):
        depth = len(Path(root).relative_to(folder).parts)
        folders[:] = sorted(folders) if depth < MAX_DEPTH else []
        for name in sorted(names):
            if not name.startswith("."):
                yield Path(root, name)
            count += 1
        if count > MAX_FILES:
            _logger.warning("searched only the first %d files of %s", count, folder)
            return


def _find_sample_folders() -> Iterator[Path]:
    """Find the scenes that installed packages ship, without importing the packages."""
    for package, inside in SAMPLE_PACKAGES.items():
        spec = importlib.util.find_spec(package)
        for location in (spec and spec.submodule_search_locations) or ():
            yield Path(location, inside)
