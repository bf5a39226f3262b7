"""Bands in messages: their numbers, counted from 1, and their wavelengths."""

import numpy as np
from jaxtyping import Float, Int


def describe_bands(
    centres: Float[np.ndarray, " bands"] | None, indices: Int[np.ndarray, " bands"]
) -> str:
    """Name bands, counted from 1, and their range.

    >>> describe_bands(np.array([400.0, 410.0]), np.array([0, 1]))
    'bands 1-2 (400 to 410 nm)'
    >>> describe_bands(np.array([400.0]), np.array([0]))
    'band 1 (400 nm)'
    """
    numbers = format_ranges((indices + 1).tolist())
    text = f"band {numbers}" if indices.size == 1 else f"bands {numbers}"
    if centres is None:
        return text
    ends = dict.fromkeys((f"{centres.min():.5g}", f"{centres.max():.5g}"))
    return f"{text} ({' to '.join(ends)} nm)"


def format_ranges(numbers: list[int]) -> str:
    """Shorten an ascending list of numbers.

    >>> format_ranges([104, 105, 106, 220])
    '104-106, 220'
    """
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ", ".join(f"{a}" if a == b else f"{a}-{b}" for a, b in runs)
