"""The user's mistakes: each says what is wrong, the value seen and what to do."""

import difflib
from collections.abc import Mapping
from typing import TypeVar

Value = TypeVar("Value")


class HsijaxError(Exception):
    """A problem with the user's files, scenes or machine; printed without traceback."""

    exit_code = 1


class WriteError(HsijaxError):
    """A file that could not be written, such as on a full disk."""


class UsageError(HsijaxError):
    """A wrong option, name or value on the command line or in a configuration."""

    exit_code = 2


def describe(error: BaseException) -> str:
    """Return an error's message, or kind and first line of one that nobody foresaw.

    >>> describe(UsageError("no such file")), describe(KeyError("cube"))
    ('no such file', "unexpected KeyError: 'cube'")
    """
    if isinstance(error, HsijaxError):
        return str(error)
    first = f"{type(error).__name__}: {error}".strip().splitlines()[0]
    return f"unexpected {first}"


def suggest(name: str, known: list[str]) -> str:
    """Return "; did you mean 'x'?" for the nearest known name, or the list of them.

    >>> suggest("salinsa", ["salinas", "urban"])
    "; did you mean 'salinas'?"
    """
    near = difflib.get_close_matches(name.lower(), known, n=1)
    if near:
        return f"; did you mean '{near[0]}'?"
    return f"; known: {', '.join(known)}"


def lookup(table: Mapping[str, Value], name: str, kind: str) -> Value:
    """Return `table[name]`.

    Raises:
        UsageError: there is no such name; the message has the nearest one.
    """
    if name not in table:
        raise UsageError(f"no {kind} named '{name}'{suggest(name, list(table))}")
    return table[name]
