"""One file from one address, going on where an earlier attempt ended."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import requests

from hsijax import __version__
from hsijax.errors import HsijaxError
from hsijax.io.atomic import FULL_DISK

CONNECT_TIMEOUT = 3.05  # seconds, for each address of a host
READ_TIMEOUT = 20.0  # seconds without a byte
ATTEMPTS = 5  # at a mirror that drops the connection in the middle
MAX_BYTES = 2 * 1024**3  # where the size is not known; no catalogue file is as large
CHUNK = 64 * 1024  # bytes; what a broken connection may cost

# Dropped in the middle: worth going on from there.
_DROPPED = (
    requests.exceptions.ChunkedEncodingError,
    requests.exceptions.ConnectionError,
    requests.exceptions.Timeout,
)


class MirrorError(Exception):
    """This mirror cannot give the file; the message says why, in a few words."""


def transfer(
    url: str,
    part: Path,
    *,
    size: int | None,
    report: Callable[[int, int | None], None],
) -> None:
    """Download to `part`; what it holds already is kept if the server can go on there.

    Args:
        url: of the file, by http or https.
        part: may hold the first bytes of the file; keeps what came if this fails.
        size: of the whole file, in bytes, where it is known.
        report: called with the bytes that are there and the expected ones.

    Raises:
        MirrorError: the server refuses, drops the connection, or offers another file.
        HsijaxError: the disk is full or `part` cannot be written.
    """
    for attempt in range(1, ATTEMPTS + 1):
        before = _size_of(part)
        try:
            _stream(url, part, size, report)
            return
        except _DROPPED as error:
            in_the_middle = isinstance(error, requests.exceptions.ChunkedEncodingError)
            moved = in_the_middle or _size_of(part) > before
            if attempt == ATTEMPTS or not moved:
                raise MirrorError(_explain(error)) from error
        except requests.RequestException as error:
            raise MirrorError(type(error).__name__) from error
        except OSError as error:
            if error.errno in FULL_DISK:
                with suppress(OSError):
                    part.unlink()
                raise HsijaxError(
                    f"the disk is full: could not write {part}; free some space or "
                    "give another folder with --data-dir"
                ) from error
            raise HsijaxError(f"could not write {part}: {error.strerror}") from error


def _stream(
    url: str,
    part: Path,
    size: int | None,
    report: Callable[[int, int | None], None],
) -> None:
    done = _size_of(part)
    if done == size:
        return
    # Compressed on the way, byte ranges and lengths would not be those of the file.
    headers = {"Accept-Encoding": "identity", "User-Agent": f"hsijax/{__version__}"}
    if done and (size is None or done < size):
        headers["Range"] = f"bytes={done}-"
    timeout = (CONNECT_TIMEOUT, READ_TIMEOUT)
    with requests.get(url, headers=headers, stream=True, timeout=timeout) as response:
        if response.status_code == 416:
            part.unlink()
            raise MirrorError("it cannot go on with the part that is here")
        if not response.ok:
            raise MirrorError(f"HTTP {response.status_code}")
        if "text/html" in response.headers.get("Content-Type", ""):
            raise MirrorError("an HTML page in place of the file")
        begun = response.headers.get("Content-Range", "").startswith(f"bytes {done}-")
        if response.status_code != 206 or not begun:
            done = 0
        length = response.headers.get("Content-Length", "")
        total = done + int(length) if length.isdigit() else None
        if size is not None and total is not None and total != size:
            raise MirrorError(f"{total:,} bytes in place of {size:,}")
        limit = MAX_BYTES if size is None else size
        with part.open("ab" if done else "wb") as sink:
            for chunk in response.iter_content(CHUNK):
                done += len(chunk)
                if done > limit:
                    raise MirrorError(f"more than {limit:,} bytes")
                sink.write(chunk)
                report(done, size or total)
    if total is not None and done < total:
        raise requests.exceptions.ChunkedEncodingError("ended early")


def _size_of(part: Path) -> int:
    return part.stat().st_size if part.exists() else 0


def _explain(error: requests.RequestException) -> str:
    """Say in two or three words what went wrong on the way."""
    if isinstance(error, requests.exceptions.ConnectTimeout):
        return "no connection in time"
    if isinstance(error, requests.exceptions.Timeout):
        return "no answer in time"
    if isinstance(error, requests.exceptions.SSLError):
        return "no valid certificate"
    text = str(error)
    if "resolve" in text:
        return "host not found"
    if "refused" in text:
        return "connection refused"
    return "connection dropped"
