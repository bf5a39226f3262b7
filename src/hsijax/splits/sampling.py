"""Splits drawn at random in each class: by fraction or by number, and validation."""

import math
from collections.abc import Callable, Sequence
from fractions import Fraction

import numpy as np
from jaxtyping import Int

from hsijax.errors import UsageError
from hsijax.splits.split import Split, class_ids, mask_of, no_pixels, pixels_where

# Anything that `np.random.default_rng` takes; [seed, run] gives each run its own.
Seed = int | Sequence[int]


def check_fraction(frac: float, option: str = "--frac") -> None:
    """Refuse a fraction outside (0, 1).

    Raises:
        UsageError: it is outside, or not a number.
    """
    if not 0 < frac < 1:
        raise UsageError(
            f"{option} {frac} is not a fraction: give a number between 0 and 1, "
            "such as 0.03 for 3 %"
        )


def share_of(frac: float, count: int) -> int:
    """Return `ceil(frac * count)` of the decimal number that the user wrote.

    >>> math.ceil(0.07 * 100), share_of(0.07, 100)
    (8, 7)
    """
    return math.ceil(Fraction(str(float(frac))) * count)


def random_split(
    ground_truth: Int[np.ndarray, "rows cols"], *, frac: float, seed: Seed
) -> Split:
    """Draw `ceil(frac * N_c)` training pixels of each class; the others are for test.

    This is the protocol of most published tables, and the one that leaks most.

    Raises:
        UsageError: `frac` is not between 0 and 1.

    >>> split = random_split(np.array([[1, 1, 1, 0], [2, 2, 2, 2]]), frac=0.5, seed=0)
    >>> len(split.train), len(split.test)
    (4, 3)
    """
    check_fraction(frac)
    return draw(ground_truth, lambda available: share_of(frac, available), seed)


def count_split(
    ground_truth: Int[np.ndarray, "rows cols"], *, count: int, seed: Seed
) -> Split:
    """Draw `count` training pixels of each class; the others are for test.

    A class with `count` pixels or fewer gives half of them, rounded down, so that
    every class keeps pixels for test.

    Raises:
        UsageError: `count` is less than 1.
    """
    if count < 1:
        raise UsageError(f"--count {count} trains on nothing: give 1 or more")
    return draw(ground_truth, lambda available: drawn_of_class(count, available), seed)


def drawn_of_class(count: int, available: int) -> int:
    """Return how many of a class's pixels `count_split` trains on.

    >>> drawn_of_class(50, 1428), drawn_of_class(50, 20), drawn_of_class(50, 1)
    (50, 10, 0)
    """
    return count if count < available else available // 2


def hold_out_validation(
    split: Split, ground_truth: Int[np.ndarray, "rows cols"], *, frac: float, seed: Seed
) -> Split:
    """Move `ceil(frac * n_c)` training pixels of each class to validation.

    One training pixel of each class always stays; the test pixels are not touched.

    Raises:
        UsageError: `frac` is not between 0 and 1, or no class has a pixel to spare.
    """
    check_fraction(frac, "--val-frac")
    train_truth = np.where(mask_of(split.train, ground_truth.shape), ground_truth, 0)
    drawn = draw(train_truth, lambda n: min(share_of(frac, n), n - 1), seed)
    if not len(drawn.train):
        raise UsageError(
            f"--val-frac {frac} finds no validation pixel: every class has a single "
            "training pixel"
        )
    return Split(train=drawn.test, validation=drawn.train, test=split.test)


def draw(
    ground_truth: Int[np.ndarray, "rows cols"],
    how_many: Callable[[int], int],
    seed: Seed,
) -> Split:
    """Draw training pixels of each class, as many as `how_many` says of its pixels.

    All others are for test.
    """
    rng = np.random.default_rng(seed)
    drawn = np.zeros(ground_truth.shape, dtype=bool)
    for class_id in class_ids(ground_truth):
        members = np.flatnonzero(ground_truth == class_id)
        chosen = rng.permutation(members)[: how_many(len(members))]
        drawn.flat[chosen] = True
    rest = (ground_truth != 0) & ~drawn
    return Split(pixels_where(drawn), no_pixels(), pixels_where(rest))
