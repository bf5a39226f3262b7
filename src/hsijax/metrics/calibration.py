"""Whether a confidence can be believed: reliability, rejection, intervals."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.special import ndtri

BINS = 15


class Reliability(NamedTuple):
    """Pixels by their confidence, in bins of equal width from 0 to 1."""

    count: Int[np.ndarray, " bins"]
    confidence: Float[np.ndarray, " bins"]  # mean of the bin; NaN if it is empty
    accuracy: Float[np.ndarray, " bins"]  # share that is right; likewise


class RiskCoverage(NamedTuple):
    """What is left, and how wrong it is, as less sure pixels are rejected.

    One point for each value of the confidence that occurs, from the surest down.
    """

    threshold: Float[np.ndarray, " points"]  # pixels at least as sure are accepted
    coverage: Float[np.ndarray, " points"]  # share that is accepted
    risk: Float[np.ndarray, " points"]  # share of the accepted that is wrong

    @property
    def area(self) -> float:
        """Area under the curve (AURC), taken as steps: 0 if no pixel is wrong."""
        return float(self.risk @ np.diff(self.coverage, prepend=0.0))


def reliability(
    confidence: Float[np.ndarray, " pixels"],
    right: Bool[np.ndarray, " pixels"],
    bins: int = BINS,
) -> Reliability:
    """Compare confidence and accuracy, bin by bin; a bin has its upper edge in it.

    >>> found = reliability(np.array([0.4, 0.5, 1.0]), np.array([False, True, True]), 2)
    >>> found.count, found.confidence, found.accuracy
    (array([2, 1]), array([0.45, 1.  ]), array([0.5, 1. ]))
    """
    values = confidence.astype(np.float64)
    bin_of = np.clip(np.ceil(values * bins).astype(int) - 1, 0, bins - 1)
    count = np.bincount(bin_of, minlength=bins)
    sums = (np.bincount(bin_of, weights, bins) for weights in (values, right))
    means = (np.where(count > 0, s / np.maximum(count, 1), np.nan) for s in sums)
    return Reliability(count, *means)


def expected_calibration_error(
    confidence: Float[np.ndarray, " pixels"],
    right: Bool[np.ndarray, " pixels"],
    bins: int = BINS,
) -> float:
    """Return the mean distance between confidence and accuracy (ECE), a share of 1.

    Of each of `bins` bins of equal width, weighted by the pixels in it.

    Source:
        Guo et al., "On calibration of modern neural networks", ICML 2017, eq. (3),
        after Naeini et al., AAAI 2015.

    >>> expected_calibration_error(np.array([0.75, 0.75]), np.array([True, False]))
    0.25
    """
    found = reliability(confidence, right, bins)
    apart = np.abs(found.accuracy - found.confidence)
    return float(np.nansum(found.count * apart) / found.count.sum())


def risk_coverage(
    confidence: Float[np.ndarray, " pixels"], right: Bool[np.ndarray, " pixels"]
) -> RiskCoverage:
    """Return the risk at each coverage that some threshold of the confidence gives.

    Equally sure pixels are accepted together, so that their order cannot matter. Where
    no two are equally sure, the area under the curve is that of the source.

    Source:
        Geifman and El-Yaniv, "Selective classification for deep neural networks",
        NeurIPS 2017; the area from Geifman et al., "Bias-reduced uncertainty estimation
        for deep neural classifiers", ICLR 2019.

    >>> curve = risk_coverage(np.array([0.9, 0.6, 0.6]), np.array([True, True, False]))
    >>> curve.coverage.round(2), curve.risk.round(2), round(curve.area, 3)
    (array([0.33, 1.  ]), array([0.  , 0.33]), 0.222)
    """
    values, group = np.unique(confidence, return_inverse=True)
    accepted = np.cumsum(np.bincount(group)[::-1])
    wrong = np.cumsum(np.bincount(group, ~right)[::-1])
    return RiskCoverage(
        values[::-1].astype(np.float64), accepted / len(right), wrong / accepted
    )


def wilson_interval(right: int, total: int, level: float = 0.95) -> tuple[float, float]:
    """Return the interval in which a share lies, from `right` of `total` pixels.

    From 0 to 1 where there are none. Pixels count as independent of each other, which
    neighbours in a scene are not: it is rather too narrow.

    Source:
        Wilson, "Probable inference, the law of succession, and statistical inference",
        Journal of the American Statistical Association 22, 1927.
        doi:10.1080/01621459.1927.10502953

    >>> low, high = wilson_interval(18, 19)
    >>> round(low, 3), round(high, 3)
    (0.754, 0.991)
    """
    if total == 0:
        return 0.0, 1.0
    # Not scipy.stats, which takes as long to import as all else that evaluates.
    z = float(ndtri(0.5 + level / 2))
    centre = (right + z**2 / 2) / (total + z**2)
    half = z / (total + z**2) * (right * (total - right) / total + z**2 / 4) ** 0.5
    return max(0.0, centre - half), min(1.0, centre + half)
