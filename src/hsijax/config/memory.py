"""How much memory may be used."""

import os
import re

from hsijax.errors import UsageError

UNITS = {"": 1, "k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40}
# More makes no map faster.
MOST = 3 * 2**29


def parse_memory(text: str) -> int:
    """Return the bytes that a text such as 800M, 1.5G or 2GB means.

    Raises:
        UsageError: it is no such text.

    >>> parse_memory("1.5G"), parse_memory("800 MB")
    (1610612736, 838860800)
    """
    found = re.fullmatch(r"\s*(\d+(?:\.\d*)?)\s*([kmgt]?)i?b?\s*", text.lower())
    size = int(float(found[1]) * UNITS[found[2]]) if found else 0
    if not size:
        raise UsageError(
            f"'{text}' is no amount of memory: give one such as 800M or 2G"
        )
    return size


def default_memory() -> int:
    """Return a quarter of the memory that is free here, at most 1.5 GB; in bytes."""
    try:
        with open("/proc/meminfo", encoding="ascii") as lines:
            told = dict(line.split(":") for line in lines)
        free = 1024 * int(told["MemAvailable"].split()[0])
    except (OSError, KeyError, ValueError):  # Linux alone tells
        free = total_memory() // 2
    return min(free // 4, MOST)


def total_memory() -> int:
    """Return the bytes of memory of this machine; 8 GB where it does not tell."""
    return _count_pages("SC_PHYS_PAGES")


def _count_pages(name: str) -> int:
    try:
        return os.sysconf(name) * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):  # not every system tells
        return 2**33


def resident_memory() -> int:
    """Return the bytes of memory that this program has now; half a GB elsewhere."""
    try:
        with open("/proc/self/statm", encoding="ascii") as counts:
            pages = int(counts.read().split()[1])
    except OSError:  # Linux alone tells
        return 2**29
    return pages * os.sysconf("SC_PAGE_SIZE")
