"""Standard deviations of abundances against a Monte Carlo, and residuals."""

import numpy as np
import pytest

from hsijax.errors import UsageError
from hsijax.unmixing.abundances import Solution, solve_abundances
from hsijax.unmixing.uncertainty import abundance_deviations, residuals

BANDS, NOISE = 60, 0.01
TRUTH = np.array([0.5, 0.3, 0.2])
ENDMEMBERS = np.random.default_rng(0).random((3, BANDS)).cumsum(axis=1) / 30


@pytest.mark.parametrize("method", ["fcls", "nnls", "scls", "ucls"])
def test_agrees_with_monte_carlo(method):
    rng = np.random.default_rng(1)
    spectra = TRUTH @ ENDMEMBERS + rng.normal(0, NOISE, (4_000, BANDS))
    solution = solve_abundances(method, spectra, ENDMEMBERS)
    assert (solution.abundances > 0).all()  # so no bound plays a part
    found = abundance_deviations(method, solution, spectra, ENDMEMBERS)
    scatter = solution.abundances.std(axis=0)
    # A standard deviation of 4,000 draws is uncertain by 1.1 %.
    np.testing.assert_allclose(np.sqrt((found**2).mean(axis=0)), scatter, rtol=0.05)
    within = np.abs(solution.abundances - TRUTH) < 1.96 * found
    np.testing.assert_allclose(within.mean(axis=0), 0.95, atol=0.015)


def test_agrees_with_the_covariance_of_least_squares():
    rng = np.random.default_rng(2)
    spectra = TRUTH @ ENDMEMBERS + rng.normal(0, NOISE, (5, BANDS))
    solution = solve_abundances("ucls", spectra, ENDMEMBERS)
    rest = spectra - solution.abundances @ ENDMEMBERS
    noise = (rest**2).sum(axis=1) / (BANDS - 3)
    expected = np.sqrt(
        noise[:, None] * np.linalg.inv(ENDMEMBERS @ ENDMEMBERS.T).diagonal()
    )
    found = abundance_deviations("ucls", solution, spectra, ENDMEMBERS)
    np.testing.assert_allclose(found, expected, rtol=1e-9)


@pytest.mark.parametrize("method", ["fcls", "nnls"])
def test_zero_outside_the_support(method):
    spectra = np.array([0.65, 0.4]) @ ENDMEMBERS[:2] - 0.05 * ENDMEMBERS[2:]
    solution = solve_abundances(method, spectra, ENDMEMBERS)
    assert solution.abundances[0, 2] == 0
    found = abundance_deviations(method, solution, spectra, ENDMEMBERS)
    assert found[0, 2] == 0
    assert (found[0, :2] > 0).all()
    # As if the endmember did not exist.
    fewer = solve_abundances(method, spectra, ENDMEMBERS[:2])
    expected = abundance_deviations(method, fewer, spectra, ENDMEMBERS[:2])
    np.testing.assert_allclose(found[:, :2], expected, rtol=1e-9)


def test_with_a_sum_a_pure_pixel_is_certain():
    spectra = ENDMEMBERS[:1] * 0 + ENDMEMBERS[0] + NOISE * np.sin(np.arange(BANDS))
    solution = Solution(np.array([[1.0, 0.0, 0.0]]), np.zeros(1), 1.0)
    found = abundance_deviations("fcls", solution, spectra, ENDMEMBERS)
    np.testing.assert_allclose(found, 0, atol=1e-12)


def test_combinations_are_infinitely_uncertain():
    endmembers = np.vstack([ENDMEMBERS, ENDMEMBERS[:1]])
    rng = np.random.default_rng(3)
    spectra = TRUTH @ ENDMEMBERS + rng.normal(0, NOISE, (4, BANDS))
    for method in ("ucls", "scls"):
        solution = solve_abundances(method, spectra, endmembers)
        found = abundance_deviations(method, solution, spectra, endmembers)
        assert np.isinf(found[:, [0, 3]]).all()
        assert np.isfinite(found[:, 1:3]).all()


def test_pixels_without_data_or_freedom():
    spectra = np.vstack([TRUTH @ ENDMEMBERS + 0.01, np.full(BANDS, np.nan)])
    solution = solve_abundances("fcls", spectra, ENDMEMBERS)
    found = abundance_deviations("fcls", solution, spectra, ENDMEMBERS)
    assert np.isfinite(found[0]).all()
    assert np.isnan(found[1]).all()
    few = solve_abundances("ucls", spectra[:1, :3], ENDMEMBERS[:, :3])
    found = abundance_deviations("ucls", few, spectra[:1, :3], ENDMEMBERS[:, :3])
    assert np.isnan(found).all()


def test_many_endmembers():
    rng = np.random.default_rng(4)
    endmembers = rng.random((20, BANDS))
    spectra = rng.dirichlet(np.ones(20), 50) @ endmembers
    spectra += rng.normal(0, NOISE, spectra.shape)
    solution = solve_abundances("fcls", spectra, endmembers)
    found = abundance_deviations("fcls", solution, spectra, endmembers)
    np.testing.assert_array_equal(found > 0, solution.abundances > 0)


def test_unknown_method():
    solution = Solution(TRUTH[None], np.zeros(1), 1.0)
    with pytest.raises(UsageError, match="no method named 'sunsal'"):
        abundance_deviations("sunsal", solution, ENDMEMBERS[:1], ENDMEMBERS)


def test_residuals():
    spectra = np.vstack([ENDMEMBERS[0], ENDMEMBERS[0] + 0.1, np.full(BANDS, np.nan)])
    abundances = np.eye(1, 3).repeat(3, axis=0)
    rmse, angle = residuals(spectra, abundances, ENDMEMBERS)
    np.testing.assert_allclose(rmse, [0, 0.1, np.nan], atol=1e-15)
    cosine = (spectra[0] @ spectra[1]) / np.prod(np.linalg.norm(spectra[:2], axis=1))
    np.testing.assert_allclose(angle, [0, np.arccos(cosine), np.nan], atol=1e-9)
