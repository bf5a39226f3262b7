"""Files and folders that appear whole or not at all."""

import errno
import os
import re
import shutil
import socket
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from hsijax.errors import WriteError

# No space left, quota exceeded, file larger than the file system or a limit allows.
FULL_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
# Whose process ids those in temporary names are: a folder may be shared by machines.
MACHINE = f"{zlib.crc32(socket.gethostname().encode()):08x}"


@contextmanager
def explain_failure(path: Path) -> Iterator[None]:
    """Turn an error of the system while `path` is written into a line for the user.

    Raises:
        WriteError: the disk is full or the folder cannot be written.
    """
    try:
        yield
    except OSError as error:
        if error.errno in FULL_DISK:
            raise WriteError(
                f"the disk is full: could not write {path}; free some space and run "
                "the command again"
            ) from error
        reason = error.strerror or error
        raise WriteError(f"could not write {path}: {reason}") from error


@contextmanager
def write_atomically(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; rename it there if the block succeeds.

    The block makes a file of it, or a folder. The temporary name keeps the suffix,
    because writers choose a format by it. Nothing is left behind when the block fails;
    what is left when the system ends the process, the next one that writes `path`
    removes.

    Raises:
        WriteError: the disk is full or the folder cannot be written.
    """
    path = Path(path)
    temporary = _name_temporary(path, path.suffix)
    try:
        with explain_failure(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            _remove_leftovers(path)
            yield temporary
            if temporary.is_dir():
                _replace_folder(temporary, path)
            else:
                with temporary.open("rb") as stream:
                    os.fsync(stream.fileno())
                temporary.replace(path)
    finally:
        remove(temporary)


@contextmanager
def scratch_folder(path: Path) -> Iterator[Path]:
    """Yield a folder for what is needed while `path` is written, and remove it."""
    folder = _name_temporary(path, ".scratch")
    try:
        with explain_failure(path):
            folder.mkdir(parents=True)
        yield folder
    finally:
        remove(folder)


def remove(path: Path) -> None:
    """Delete a file, or a folder with all that is in it, as far as that goes."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink()


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically, in UTF-8."""
    with write_atomically(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _name_temporary(path: Path, suffix: str) -> Path:
    return path.with_name(f".{path.stem}.{MACHINE}-{os.getpid()}.part{suffix}")


def _remove_leftovers(path: Path) -> None:
    """Remove what is left of `path` by processes of this machine that were killed."""
    name = re.compile(rf"\.{re.escape(path.stem)}\.{MACHINE}-(\d+)\.part(\..*)?")
    for found in path.parent.iterdir():
        match = name.fullmatch(found.name)
        if match and not _is_alive(int(match[1])):
            remove(found)


def _is_alive(process: int) -> bool:
    if os.name == "nt":  # there, the call below would end it
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # it is another user's
        return True
    return True


def _replace_folder(temporary: Path, path: Path) -> None:
    """Rename a folder to `path`, and only then delete what was there."""
    old = temporary.with_name(f"{temporary.name}.old")
    if path.exists():
        path.replace(old)
    temporary.replace(path)
    remove(old)
