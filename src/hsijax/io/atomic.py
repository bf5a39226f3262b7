"""Files that appear whole or not at all."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hsijax.errors import HsijaxError

# No space left, quota exceeded, file larger than the file system or a limit allows.
FULL_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextmanager
def explain_failure(path: Path) -> Iterator[None]:
    """Turn an error of the system while `path` is written into a line for the user.

    Raises:
        HsijaxError: the disk is full or the folder cannot be written.
    """
    try:
        yield
    except OSError as error:
        if error.errno in FULL_DISK:
            raise HsijaxError(
                f"the disk is full: could not write {path}; free some space and run "
                "the command again"
            ) from error
        raise HsijaxError(f"could not write {path}: {error.strerror}") from error


@contextmanager
def write_atomically(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; rename it there if the block succeeds.

    The temporary name keeps the suffix, because writers choose a format by it. Nothing
    is left behind when the block fails.

    Raises:
        HsijaxError: the disk is full or the folder cannot be written.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.stem}.{os.getpid()}.part{path.suffix}")
    try:
        with explain_failure(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            yield temporary
            with temporary.open("rb") as stream:
                os.fsync(stream.fileno())
            temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically, in UTF-8."""
    with write_atomically(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
