"""Scenes from the net: mirrors in order, size and hash always checked."""

import contextlib
import logging
import os
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from hsijax.config import Progress
from hsijax.errors import HsijaxError
from hsijax.io.arrays import format_shape
from hsijax.scenes.archives import BadArchiveError, extract_member
from hsijax.scenes.catalogue import SceneFile, SceneSheet
from hsijax.scenes.content import misfit
from hsijax.scenes.lookup import cache_folder
from hsijax.scenes.sources import hash_file
from hsijax.scenes.transfer import MirrorError, transfer

_logger = logging.getLogger("hsijax")


def download(
    sheet: SceneSheet, file: SceneFile, folder: Path, progress: Progress
) -> Path:
    """Fetch a file of a scene into `folder`, from the first mirror that has it.

    Raises:
        HsijaxError: no mirror has it, or it cannot be written.
    """
    import pooch

    # It announces each file, and the hash of those whose hash is not known.
    pooch.get_logger().setLevel(logging.WARNING)
    target = folder / sheet.name / file.names[0]
    if target.exists():
        # The search has just refused it and said why.
        if folder != cache_folder():
            raise HsijaxError(
                f"{target} is in the way of the download, and is another file: move or "
                "delete it and run the command again"
            )
        target.unlink()
    known_hash = f"sha256:{file.sha256[0]}" if file.sha256 else None
    downloader: Any = _MirrorDownloader(sheet, file, target, progress)
    try:
        pooch.retrieve(
            file.urls[0],
            known_hash=known_hash,
            fname=target.name,
            path=target.parent,
            downloader=downloader,
        )
    except OSError as error:
        raise HsijaxError(
            f"could not write to {target.parent}: {error.strerror}; give another "
            "folder with --data-dir"
        ) from error
    finally:
        # Nothing came: leave no empty folder behind.
        with contextlib.suppress(OSError):
            target.parent.rmdir()
    return target


class _MirrorDownloader:
    """What pooch calls to get a file; it has neither mirrors nor resumption itself."""

    def __init__(
        self, sheet: SceneSheet, file: SceneFile, target: Path, progress: Progress
    ):
        self.sheet = sheet
        self.file = file
        self.target = target
        self.progress = progress

    def __call__(self, url: str, output_file: str, pooch: object) -> None:
        """Fill `output_file` from the first mirror that has the right bytes.

        Raises:
            HsijaxError: none has; the message names each and what was wrong with it.
        """
        del url, pooch
        reasons: dict[str, list[str]] = {}
        for mirror in self.file.urls:
            host = urlsplit(mirror).netloc
            try:
                ready = self._try_mirror(mirror)
            except (MirrorError, BadArchiveError) as error:
                hosts = reasons.setdefault(str(error), [])
                if host not in hosts:
                    hosts.append(host)
                continue
            os.replace(ready, output_file)
            for stale in self.target.parent.glob(self._part_name("*")):
                stale.unlink()
            if not self.file.sha256:
                _logger.info(
                    "note: no hash of %s is known; it was checked by its content",
                    self.target.name,
                )
            return
        raise HsijaxError(_explain_failure(self.sheet, self.file, reasons))

    def _try_mirror(self, mirror: str) -> Path:
        """Download from one mirror; return the temporary file once it is checked."""
        path = urlsplit(mirror).path.lower()
        if ".rar" in path:
            raise MirrorError(
                f"a .rar archive: unpack {self.file.archive_member} from it by hand"
            )
        is_archive = ".zip" in path
        # Without the hash of what comes, parts of two mirrors must not be joined.
        one_for_all = bool(self.file.sha256) and not is_archive
        index = "" if one_for_all else f".{self.file.urls.index(mirror)}"
        part = self.target.with_name(self._part_name(index))
        resumed = part.exists()
        try:
            return self._download(mirror, part, is_archive)
        except (_WrongBytesError, BadArchiveError):
            part.unlink(missing_ok=True)
            if not resumed:
                raise
        # The part may have come from another file: once more, from the first byte on.
        return self._download(mirror, part, is_archive)

    def _download(self, mirror: str, part: Path, is_archive: bool) -> Path:
        transfer(
            mirror,
            part,
            size=None if is_archive else self.file.size,
            report=self._report,
        )
        ready = part
        if is_archive:
            ready = part.with_name(f".{self.target.stem}.member{part.suffix}")
            extract_member(part, self.file.archive_member or "", ready, self.file.size)
            part.unlink()
        reason = _check(ready, self.sheet, self.file)
        if reason:
            ready.unlink()
            raise _WrongBytesError(reason)
        return ready

    def _part_name(self, index: str) -> str:
        """Name what is there of a download: hidden, and of the same format."""
        return f".{self.target.stem}{index}.part{self.target.suffix}"

    def _report(self, done: int, total: int | None) -> None:
        detail = f"{done / 1e6:.1f} MB"
        if total:
            detail = f"{done / 1e6:.1f} of {total / 1e6:.1f} MB"
        # A total that nobody knows lies always ahead.
        ahead = float(total or 2 * done)
        self.progress(f"download {self.target.name}", float(done), ahead, detail)


class _WrongBytesError(MirrorError):
    """What came is whole but not the file that the data sheet means."""


def _check(path: Path, sheet: SceneSheet, file: SceneFile) -> str | None:
    """Say why these bytes are not the official file, or None if they are."""
    size = path.stat().st_size
    if file.size is not None and size != file.size:
        return f"{size:,} bytes in place of {file.size:,}"
    if not file.sha256:
        return misfit(path, sheet, file)
    if hash_file(path) != file.sha256[0]:
        return "wrong sha256"
    return None


def _explain_failure(
    sheet: SceneSheet, file: SceneFile, reasons: dict[str, list[str]]
) -> str:
    tried = "; ".join(f"{', '.join(hosts)}: {why}" for why, hosts in reasons.items())
    samples = ", or pip install 'hsijax[samples]'" if sheet.in_samples else ""
    identity = (
        f"sha256 {file.sha256[0]}"
        if file.sha256
        else f"of a scene of {format_shape(sheet.shape)}"
    )
    return (
        f"{sheet.name}: {file.names[0]} is in no local folder and could not be "
        f"downloaded ({tried})\n"
        f"put {file.names[0]} ({identity}) into a folder and give --data-dir FOLDER or "
        f"set HSIJAX_DATA{samples}"
    )
