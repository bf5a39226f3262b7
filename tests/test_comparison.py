"""Paired tests against enumeration, hand computation and independent formulas."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsijax.metrics.comparison import FEW, holm, mcnemar, signed_rank


def classify(only_first: int, only_second: int, both: int = 7, neither: int = 3):
    """Mark right pixels so that so many are right for one classifier alone."""
    counts = [only_first, only_second, both, neither]
    first = np.repeat([True, False, True, False], counts)
    second = np.repeat([False, True, True, False], counts)
    return first, second


def binomial_p(smaller: int, count: int) -> float:
    tail = sum(math.comb(count, k) for k in range(smaller + 1)) / 2**count
    return min(1.0, 2 * tail)


@pytest.mark.parametrize(("first", "second"), [(2, 0), (0, 5), (9, 3), (12, 12)])
def test_few_discordant_pixels_are_tested_exactly(first, second):
    found = mcnemar(*classify(first, second))
    assert found[:2] == (first, second)
    assert found.exact
    assert found.p == pytest.approx(binomial_p(min(first, second), first + second))


@pytest.mark.parametrize(
    ("first", "second", "statistic"),
    [(40, 20, 19**2 / 60), (5, 95, 89**2 / 100), (30, 30, 0.0), (13, 12, 0.0)],
)
def test_many_discordant_pixels_are_tested_by_chi_square(first, second, statistic):
    found = mcnemar(*classify(first, second))
    assert not found.exact
    # A chi-square of one degree of freedom is a squared normal.
    assert found.p == pytest.approx(math.erfc(math.sqrt(statistic / 2)))


def test_exact_test_ends_where_the_approximation_begins():
    assert mcnemar(*classify(FEW - 1, 0)).exact
    assert not mcnemar(*classify(FEW, 0)).exact


def test_alike_classifications_do_not_differ():
    right = np.array([True, False, True])
    assert mcnemar(right, right) == (0, 0, 1.0, True)


@pytest.mark.parametrize(
    "differences",
    [
        [0.5, 1.2, 0.3, 2.2, 0.9, 1.1],
        [0.5, -1.2, 0.3, 2.2, -0.9, 1.1, 0.7],
        [-0.1, -0.2, 0.3, 0.45, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0],
    ],
)
def test_signed_rank_is_the_share_of_signs_as_extreme(differences):
    first = np.full(len(differences), 90.0)
    found = signed_rank(first, first + np.array(differences))
    ranks = np.argsort(np.argsort(np.abs(differences))) + 1
    total = ranks.sum()
    observed = ranks[np.array(differences) > 0].sum()
    sums = [
        ranks[np.array(signs)].sum()
        for signs in itertools.product([False, True], repeat=len(ranks))
    ]
    lower = np.mean([s <= min(observed, total - observed) for s in sums])
    assert found.p == pytest.approx(min(1.0, 2 * lower))
    assert found.pairs == len(differences)


def test_signed_rank_of_few_runs_cannot_be_significant():
    for runs in range(1, 9):
        first = np.linspace(80, 90, runs)
        found = signed_rank(first, first + np.arange(1.0, runs + 1))
        assert found.p == pytest.approx(found.smallest)
        assert (found.smallest < 0.05) == (runs >= 6)


def test_equal_runs_say_nothing_and_rounding_makes_none_unequal():
    first = np.array([90.1, 91.3, 92.7, 89.9])
    assert signed_rank(first, first) == (1.0, 0, 1.0)
    # Equal to 13 digits: the same count of pixels.
    assert signed_rank(first, first * (1 + 1e-15)).pairs == 0


def test_holm_by_hand():
    assert holm([]) == []
    assert holm([0.2]) == [0.2]
    assert holm([0.04, 0.001, 0.03, 0.005]) == pytest.approx([0.06, 0.004, 0.06, 0.015])
    assert holm([0.6, 0.7]) == [1.0, 1.0]


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12), st.floats(0.01, 0.2))
def test_holm_rejects_what_the_step_down_procedure_rejects(p_values, level):
    rejected = set()
    for rank, index in enumerate(
        sorted(range(len(p_values)), key=p_values.__getitem__)
    ):
        if p_values[index] * (len(p_values) - rank) >= level:
            break
        rejected.add(index)
    found = {at for at, p in enumerate(holm(p_values)) if p < level}
    # Equal p-values may stand in either order.
    assert {p_values[i] for i in found} == {p_values[i] for i in rejected}
