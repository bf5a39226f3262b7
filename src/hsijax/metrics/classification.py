"""Accuracy of a classification: OA, AA, kappa, per class; from a confusion matrix."""

import numpy as np
from jaxtyping import Float, Int


def confusion_matrix(
    truth: Int[np.ndarray, " pixels"],
    predicted: Int[np.ndarray, " pixels"],
    classes: int,
) -> Int[np.ndarray, "classes classes"]:
    """Count the pixels of each true class (row) by the class predicted (column).

    Args:
        truth: labels from 0 to `classes - 1`.
        predicted: likewise.
        classes: how many there are, met or not.

    >>> confusion_matrix(np.array([0, 0, 1]), np.array([0, 1, 1]), 2)
    array([[1, 1],
           [0, 1]])
    """
    cells = np.bincount(truth * classes + predicted, minlength=classes**2)
    return cells.reshape(classes, classes)


def overall_accuracy(confusion: Int[np.ndarray, "classes classes"]) -> float:
    """Return the share of pixels with the right class (OA).

    >>> overall_accuracy(np.array([[3, 1], [0, 4]]))
    0.875
    """
    return float(np.trace(confusion) / confusion.sum())


def per_class_accuracy(
    confusion: Int[np.ndarray, "classes classes"],
) -> Float[np.ndarray, " classes"]:
    """Return the share of each class's pixels that were found; NaN if it has none.

    >>> per_class_accuracy(np.array([[3, 1, 0], [0, 4, 0], [0, 0, 0]]))
    array([0.75, 1.  ,  nan])
    """
    pixels = confusion.sum(axis=1)
    return np.where(pixels > 0, np.diag(confusion) / np.maximum(pixels, 1), np.nan)


def average_accuracy(confusion: Int[np.ndarray, "classes classes"]) -> float:
    """Return the mean of the classes' accuracies (AA), of those that have pixels.

    >>> average_accuracy(np.array([[3, 1, 0], [0, 4, 0], [0, 0, 0]]))
    0.875
    """
    return float(np.nanmean(per_class_accuracy(confusion)))


def kappa(confusion: Int[np.ndarray, "classes classes"]) -> float:
    """Return Cohen's kappa: the agreement beyond chance, 1 if perfect, 0 by chance.

    1 too if there is one class, in the truth and in the prediction: chance agrees then.

    Source:
        Cohen, "A coefficient of agreement for nominal scales", Educational and
        Psychological Measurement 20, 1960. doi:10.1177/001316446002000104

    >>> kappa(np.array([[3, 1], [0, 4]]))
    0.75
    """
    total = confusion.sum()
    by_chance = float(confusion.sum(axis=0) @ confusion.sum(axis=1)) / float(total) ** 2
    if by_chance == 1:
        return 1.0
    return (overall_accuracy(confusion) - by_chance) / (1 - by_chance)
