"""A split: which labelled pixels train, validate and test."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int


@dataclass(frozen=True, eq=False)
class Split:
    """Three disjoint sets of labelled pixels (row, col), each in row-major order.

    Labelled pixels in none of them are not used.
    """

    train: Int[np.ndarray, "n_train 2"]
    validation: Int[np.ndarray, "n_validation 2"]
    test: Int[np.ndarray, "n_test 2"]


def class_ids(
    ground_truth: Int[np.ndarray, "rows cols"],
) -> Int[np.ndarray, " classes"]:
    """Return the class ids in ascending order; they need not be contiguous.

    >>> class_ids(np.array([[0, 14], [1, 10]]))
    array([ 1, 10, 14])
    """
    ids = np.unique(ground_truth)
    return ids[ids != 0]


def class_counts(
    ground_truth: Int[np.ndarray, "rows cols"],
    pixels: Int[np.ndarray, "n 2"],
    ids: Int[np.ndarray, " classes"],
) -> Int[np.ndarray, " classes"]:
    """Count the pixels of each class.

    >>> ground_truth = np.array([[0, 14], [1, 14]])
    >>> class_counts(ground_truth, np.array([[0, 1], [1, 1]]), np.array([1, 14]))
    array([0, 2])
    """
    labels = ground_truth[pixels[:, 0], pixels[:, 1]]
    return np.count_nonzero(labels[:, None] == ids[None, :], axis=0)


def pixels_where(member: Bool[np.ndarray, "rows cols"]) -> Int[np.ndarray, "n 2"]:
    """Return (row, col) of the true cells in row-major order.

    >>> pixels_where(np.array([[False, True], [True, False]])).tolist()
    [[0, 1], [1, 0]]
    """
    return np.argwhere(member).astype(np.int32)


def mask_of(
    pixels: Int[np.ndarray, "n 2"], shape: tuple[int, ...]
) -> Bool[np.ndarray, "rows cols"]:
    """Return a raster that is true at the pixels: the inverse of `pixels_where`.

    >>> mask_of(np.array([[0, 1]]), (1, 3))
    array([[False,  True, False]])
    """
    mask = np.zeros(shape, dtype=bool)
    mask[pixels[:, 0], pixels[:, 1]] = True
    return mask


def no_pixels() -> Int[np.ndarray, "0 2"]:
    """Return an empty set of pixels."""
    return np.empty((0, 2), dtype=np.int32)
