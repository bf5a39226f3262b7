"""Is one classifier better than another? Paired tests, and their correction."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float
from scipy import stats

# Fewer discordant pixels than this: the chi-square distribution is no approximation.
FEW = 25
LEVEL = 0.05  # of significance


class SignedRank(NamedTuple):
    """Wilcoxon's test of the differences of several runs."""

    p: float  # two-sided
    pairs: int  # runs whose figures differ; equal ones say nothing
    smallest: float  # the p that as many pairs can reach at best


class McNemar(NamedTuple):
    """McNemar's test of two classifications of the same pixels."""

    only_first: int  # pixels that the first classifier alone has right
    only_second: int
    p: float  # two-sided
    exact: bool  # binomial, not chi-square with continuity correction


def signed_rank(
    first: Float[np.ndarray, " runs"], second: Float[np.ndarray, " runs"]
) -> SignedRank:
    """Test whether the figures of two classifiers differ over the same runs.

    Of fewer than 6 runs, `smallest` is above 0.05: they cannot show a difference.

    Source:
        Wilcoxon, "Individual comparisons by ranking methods", Biometrics Bulletin 1,
        1945. doi:10.2307/3001968

    >>> signed_rank(np.array([1.0, 2.0, 3.0]), np.array([2.0, 4.0, 6.0]))
    SignedRank(p=0.25, pairs=3, smallest=0.25)
    """
    # Rounded, because equal counts of pixels must give equal ranks.
    differences = np.round(second - first, 9)
    differences = differences[differences != 0]
    pairs = len(differences)
    smallest = min(1.0, 2.0 / 2.0**pairs)
    if not pairs:
        return SignedRank(1.0, 0, smallest)
    result: Any = stats.wilcoxon(differences)
    return SignedRank(float(result.pvalue), pairs, smallest)


def mcnemar(
    first_right: Bool[np.ndarray, " pixels"], second_right: Bool[np.ndarray, " pixels"]
) -> McNemar:
    """Test whether two classifiers are right on the same pixels equally often.

    It takes the pixels for independent, which those of a scene are not: p is too small.

    Source:
        McNemar, "Note on the sampling error of the difference between correlated
        proportions or percentages", Psychometrika 12, 1947. doi:10.1007/BF02295996;
        the continuity correction is Edwards', Psychometrika 13, 1948.

    >>> mcnemar(np.array([True, True, True]), np.array([True, False, False]))
    McNemar(only_first=2, only_second=0, p=0.5, exact=True)
    """
    first = int(np.count_nonzero(first_right & ~second_right))
    second = int(np.count_nonzero(second_right & ~first_right))
    discordant = first + second
    if discordant == 0:
        return McNemar(0, 0, 1.0, True)
    if discordant < FEW:
        p = stats.binomtest(first, discordant).pvalue
        return McNemar(first, second, float(p), True)
    statistic = max(abs(first - second) - 1, 0) ** 2 / discordant
    return McNemar(first, second, float(stats.chi2.sf(statistic, df=1)), False)


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjust p-values of several tests so that 5 % bounds the chance of any mistake.

    Source:
        Holm, "A simple sequentially rejective multiple test procedure", Scandinavian
        Journal of Statistics 6, 1979.

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    count = len(p_values)
    adjusted = [0.0] * count
    largest = 0.0
    for rank, index in enumerate(np.argsort(p_values, kind="stable").tolist()):
        largest = max(largest, min(1.0, (count - rank) * p_values[index]))
        adjusted[index] = largest
    return adjusted
