"""One process at a time writes a folder: a lock that dies with the process."""

import atexit
import errno
import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from hsijax.errors import HsijaxError
from hsijax.io.atomic import explain_failure

LOCK = ".lock"  # the file that is locked, for as long as a process writes beside it
# What file systems answer that know no locks.
NO_LOCKS = (errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOLCK)

log = logging.getLogger("hsijax")

_held: dict[Path, FileLock] = {}  # by this process


def hold(folder: Path, what: str | None = None) -> None:
    """Let no other process write a folder until `release`, or the end of this one.

    The system itself ends the lock of a process that dies, so a lock file that is left
    does not keep anybody out. A folder that this process holds already, it holds on to.

    Args:
        folder: exists.
        what: is written, in words; None for the folder.

    Raises:
        HsijaxError: another process holds the folder, or it cannot be written.
    """
    path = folder.resolve() / LOCK
    if path in _held:
        return
    # The library's other kind of lock, for systems without any, outlives its process.
    lock = FileLock(path, fallback_to_soft=False)
    with explain_failure(path):
        _acquire(lock, folder, what or str(folder))
    _held[path] = lock


def release(folder: Path) -> None:
    """Let other processes write a folder again."""
    path = folder.resolve() / LOCK
    lock = _held.pop(path, None)
    if lock is None:
        return
    # While it is locked: another process that has it open already looks for a new one.
    with suppress(OSError):
        path.unlink()
    lock.release()


@contextmanager
def claim(folder: Path) -> Iterator[None]:
    """Hold a folder during a block, or as long as it was held anyway.

    Raises:
        HsijaxError: another process holds the folder, or it cannot be written.
    """
    held_before = folder.resolve() / LOCK in _held
    hold(folder)
    try:
        yield
    finally:
        if not held_before:
            release(folder)


@atexit.register
def _release_all() -> None:
    """Leave no lock file behind where a command ends with an error."""
    for path in list(_held):
        release(path.parent)


def _acquire(lock: FileLock, folder: Path, what: str) -> None:
    try:
        lock.acquire(blocking=False)
    except Timeout as error:
        raise HsijaxError(
            f"another process is writing {what}: wait until it has ended, or end it "
            "first"
        ) from error
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
        log.warning(
            "%s lies on a file system without locks: see to it that no other process "
            "writes it",
            folder,
        )
