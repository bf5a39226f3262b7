"""Temperature scaling: a confidence that is right as often as it says."""

from dataclasses import replace

import numpy as np
from jaxtyping import Array, Float, Int
from scipy.special import log_softmax

from hsijax.classification.trained import TrainedClassifier

# Far beyond what a trained classifier needs: a minimum is always inside, or a bound.
LIMITS = (0.02, 50.0)


def calibrate(
    classifier: TrainedClassifier,
    padded: Float[Array, "padded_rows padded_cols channels"],
    pixels: Int[np.ndarray, "pixels 2"],
    labels: Int[np.ndarray, " pixels"],
) -> TrainedClassifier:
    """Return the classifier with the temperature that fits some pixels of its scene.

    Args:
        classifier: trained.
        padded: the scene, as the classifier has prepared it.
        pixels: labelled ones that it has not learned from.
        labels: theirs, 0 to K - 1.
    """
    logits = classifier.learned.logits(padded, pixels)
    return replace(classifier, temperature=fit_temperature(logits, labels))


def fit_temperature(
    logits: Float[np.ndarray, "pixels classes"], labels: Int[np.ndarray, " pixels"]
) -> float:
    """Find what to divide logits by, so that their softmax says how often it is right.

    The temperature of the least negative log likelihood. A pixel's own label counts as
    n + 1 of n + 2, and the most probable of the other classes as the rest: with pixels
    that are all right the temperature would else be 0, and each confidence 1. So a few
    pixels, or one, cannot make it surer than they show; of many it is next to nothing.
    Classes without pixels change nothing: all share the one parameter. It is 1 where
    logits say nothing: no pixels, one class, or all logits of each pixel equal.

    Returns:
        A value within `LIMITS`; the upper one where logits are worse than none.

    Source:
        Guo et al., "On calibration of modern neural networks", ICML 2017, section 4.2;
        the weights of the labels after Platt, "Probabilistic outputs for support vector
        machines", Advances in Large Margin Classifiers, 1999.

    >>> logits = np.log(np.array([[0.9, 0.1]] * 1000))  # sure to 0.9
    >>> labels = (np.arange(1000) % 4 == 0).astype(int)  # and right 3 times of 4
    >>> round(fit_temperature(logits, labels), 1)  # 2 = log(9) / log(3)
    2.0
    """
    # Here, because no training need wait for it.
    from scipy.optimize import minimize_scalar

    count = len(logits)
    logits = logits.astype(np.float64)
    if count == 0 or not np.ptp(logits, axis=1).any():
        return 1.0
    each = np.arange(count)
    others = logits.copy()
    others[each, labels] = -np.inf
    targets = np.zeros_like(logits)
    targets[each, labels] = (count + 1) / (count + 2)
    targets[each, others.argmax(axis=1)] = 1 / (count + 2)

    def loss(log_temperature: float) -> float:
        scaled = logits / np.exp(log_temperature)
        return -float((targets * log_softmax(scaled, axis=1)).sum()) / count

    # In 1 / T the loss is convex, so that it has one minimum only.
    bounds = (np.log(LIMITS[0]), np.log(LIMITS[1]))
    found = minimize_scalar(loss, bounds=bounds, method="bounded")
    return float(np.exp(found.x))
