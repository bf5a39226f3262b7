"""How much of the test set has been seen in training."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool

from hsijax.splits.split import Split, mask_of


@dataclass(frozen=True)
class Leakage:
    """Shares (of 1) of the test pixels that training has come close to.

    Validation pixels count as training pixels: their labels choose too.
    """

    test_with_train_centre: float  # their patch holds a training pixel
    test_patch_overlap: float  # their patch shares pixels with a training patch


def leakage(split: Split, patch_side: int) -> Leakage:
    """Measure what a classifier of patches has seen of the test pixels' patches.

    Two patches of side S share pixels if their centres are less than S rows and less
    than S columns apart; that holds at the border of the scene too, because what pads
    a patch there is zero or mirrored from the same patch.

    Args:
        split: its test set must not be empty.
        patch_side: odd, in pixels; 1 for a classifier of single spectra.

    >>> train, test = np.array([[0, 0]]), np.array([[0, 1], [0, 2], [0, 3], [0, 4]])
    >>> leakage(Split(train, train[:0], test), patch_side=3)
    Leakage(test_with_train_centre=0.25, test_patch_overlap=0.5)
    """
    known = np.concatenate([split.train, split.validation])
    rows, cols = (np.concatenate([known, split.test]).max(axis=0) + 1).tolist()
    train = mask_of(known, (rows, cols))
    row, col = split.test.T
    return Leakage(
        float(neighbourhood(train, patch_side // 2)[row, col].mean()),
        float(neighbourhood(train, patch_side - 1)[row, col].mean()),
    )


def neighbourhood(
    mask: Bool[np.ndarray, "rows cols"], distance: int
) -> Bool[np.ndarray, "rows cols"]:
    """Mark every pixel at most `distance` rows and columns from a marked one.

    The time is proportional to the pixels, whatever the distance.

    >>> neighbourhood(np.array([[True, False, False, False]]), 2)
    array([[ True,  True,  True, False]])
    """
    size = 2 * distance + 1
    for _ in "rows", "cols":
        padded = np.pad(mask, ((distance + 1, distance), (0, 0)))
        marked = padded.cumsum(axis=0, dtype=np.int32)
        mask = (marked[size:] > marked[:-size]).T
    return mask
