"""Checks that every kind of configuration makes of its values."""

from collections.abc import Mapping, Sequence
from typing import Any

from hsijax.errors import UsageError, suggest

# What maps are written as; auto: GeoTIFF where the scene has a coordinate system.
RASTER_FORMATS = ["auto", "geotiff", "envi"]
# A setting, its least and its largest value.
Range = tuple[str, int | float, int | float]


def check_ranges(config: Any, ranges: Sequence[Range]) -> None:
    """Refuse a number out of its range.

    Raises:
        UsageError: names the option.
    """
    for name, low, high in ranges:
        value = getattr(config, name)
        if value is not None and not low <= value <= high:
            raise UsageError(
                f"{option(name)} must be between {low:g} and {high:g}, not {value:g}"
            )


def check_choices(config: Any, choices: Mapping[str, list[str]]) -> None:
    """Refuse a word that is none of a setting's.

    Raises:
        UsageError: names the option and the nearest word.
    """
    for name, words in choices.items():
        value = getattr(config, name)
        if value not in words:
            raise UsageError(
                f"{option(name)} cannot be '{value}'{suggest(str(value), words)}"
            )


def check_patch(patch: int) -> None:
    """Refuse a patch without a centre.

    Raises:
        UsageError: the side is even.
    """
    if patch % 2 == 0:
        raise UsageError(
            f"--patch must be odd so that a patch has a centre, not {patch}; "
            f"try {patch - 1} or {patch + 1}"
        )


def option(name: str) -> str:
    """Return the command line's option of a setting.

    >>> option("val_frac")
    '--val-frac'
    """
    return f"--{name.replace('_', '-')}"
