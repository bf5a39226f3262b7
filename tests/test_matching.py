"""Matching of endmembers: the best of all assignments."""

from itertools import permutations

import numpy as np
import pytest

from hsijax.metrics.unmixing import spectral_angle
from hsijax.unmixing.matching import match_abundances, match_spectra


@pytest.mark.parametrize("seed", range(5))
def test_no_other_order_has_smaller_angles(seed):
    rng = np.random.default_rng(seed)
    estimated, reference = rng.random((2, 4, 9))
    order = match_spectra(estimated, reference)

    def total(chosen):
        return spectral_angle(estimated[list(chosen)], reference).sum()

    assert total(order) == pytest.approx(min(map(total, permutations(range(4)))))


def test_scale_does_not_matter_to_spectra():
    reference = np.random.default_rng(0).random((5, 20))
    shuffled = np.array([3, 0, 4, 2, 1])
    estimated = reference[shuffled] * np.arange(1, 6)[:, None]
    order = match_spectra(estimated, reference)
    np.testing.assert_allclose(
        spectral_angle(estimated[order], reference), 0, atol=1e-7
    )
    assert np.array_equal(shuffled[order], np.arange(5))


def test_more_or_fewer_than_the_reference():
    reference = np.eye(4)[:3]
    more = np.array([[0, 0, 0, 1.0], [0, 0, 1, 0], [1, 0, 0, 0], [0, 1, 0, 0]])
    assert match_spectra(more, reference).tolist() == [2, 3, 1]
    assert match_spectra(more[1:3], reference).tolist() == [1, -1, 0]


def test_abundances_decide_apart_from_spectra():
    rng = np.random.default_rng(0)
    reference = rng.dirichlet(np.ones(3), 50)
    estimated = reference[:, [2, 0, 1]] + rng.normal(0, 0.02, (50, 3))
    order = match_abundances(estimated, reference)
    assert order.tolist() == [1, 2, 0]
    assert np.abs(estimated[:, order] - reference).max() < 0.1
    assert match_abundances(estimated[:, :2], reference).tolist() == [1, -1, 0]
