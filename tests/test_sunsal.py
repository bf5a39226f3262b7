"""Sparse unmixing against scikit-learn's Lasso, and on the USGS library."""

import logging

import numpy as np
import pytest
import scipy.io
from sklearn.linear_model import Lasso

from hsijax.errors import HsijaxError, UsageError
from hsijax.unmixing.abundances import solve_abundances
from hsijax.unmixing.sunsal import sunsal

RNG = np.random.default_rng(0)
LIBRARY = RNG.random((20, 50))
SPECTRA = RNG.dirichlet(np.full(20, 0.1), 12) @ LIBRARY
SPECTRA += RNG.normal(0, 0.02, SPECTRA.shape)


def objective(spectra, library, abundances, sparsity):
    error = ((spectra - abundances @ library) ** 2).sum(axis=1)
    return error / 2 + sparsity * abundances.sum(axis=1)


@pytest.mark.parametrize("sparsity", [1e-3, 0.05, 0.5])
def test_agrees_with_lasso(sparsity):
    found = sunsal(SPECTRA, LIBRARY, sparsity=sparsity, tolerance=1e-8)
    model = Lasso(
        sparsity / SPECTRA.shape[1],
        positive=True,
        fit_intercept=False,
        tol=1e-12,
        max_iter=10**6,
    )
    expected = np.array([model.fit(LIBRARY.T, s).coef_ for s in SPECTRA])
    np.testing.assert_allclose(found.abundances, expected, atol=1e-6)
    assert found.converged.all()
    assert (found.abundances >= 0).all()


@pytest.mark.parametrize(("method", "sum_to_one"), [("nnls", False), ("fcls", True)])
def test_without_sparsity_it_is_least_squares(method, sum_to_one):
    found = sunsal(
        SPECTRA, LIBRARY, sparsity=0.0, sum_to_one=sum_to_one, tolerance=1e-9
    )
    expected = solve_abundances(method, SPECTRA, LIBRARY).abundances
    np.testing.assert_allclose(found.abundances, expected, atol=1e-6)


def test_stopping_rule_bounds_the_error():
    exact = sunsal(SPECTRA, LIBRARY, tolerance=1e-9).abundances
    errors, iterations = [], []
    for tolerance in (1e-2, 1e-4, 1e-6):
        found = sunsal(SPECTRA, LIBRARY, tolerance=tolerance)
        errors.append(np.abs(found.abundances - exact).max())
        iterations.append(found.iterations.mean())
    assert errors[0] > errors[1] > errors[2]
    assert errors[2] < 1e-5
    assert iterations[0] < iterations[1] < iterations[2]


def test_warns_of_pixels_that_did_not_converge(caplog):
    with caplog.at_level(logging.WARNING, "hsijax"):
        found = sunsal(SPECTRA, LIBRARY, iterations=3)
    assert not found.converged.any()
    assert (found.iterations == 3).all()
    assert "12 of 12 pixels did not converge in 3 iterations" in caplog.text


def test_pixels_do_not_depend_on_each_other():
    spectra = SPECTRA.copy()
    spectra[4, 7] = np.nan
    found = sunsal(spectra, LIBRARY)
    others = np.arange(12) != 4
    assert np.isnan(found.abundances[4]).all()
    assert found.converged.all()
    alone = sunsal(SPECTRA, LIBRARY)
    np.testing.assert_array_equal(found.abundances[others], alone.abundances[others])
    small = sunsal(SPECTRA, LIBRARY, block=5)
    np.testing.assert_allclose(small.abundances, alone.abundances, atol=1e-12)
    np.testing.assert_array_equal(small.iterations, alone.iterations)


def test_scale_of_the_values_does_not_matter():
    found = sunsal(SPECTRA, LIBRARY, sparsity=0.01)
    large = sunsal(1e4 * SPECTRA, 1e4 * LIBRARY, sparsity=0.01e8)
    np.testing.assert_allclose(large.abundances, found.abundances, atol=1e-9)


def test_dark_pixel_has_no_abundances():
    found = sunsal(np.zeros((1, 50)), LIBRARY)
    np.testing.assert_allclose(found.abundances, 0, atol=1e-6)
    assert found.converged.all()


def test_errors():
    with pytest.raises(UsageError, match="at least 0, not -1"):
        sunsal(SPECTRA, LIBRARY, sparsity=-1.0)
    with pytest.raises(HsijaxError, match="have 30 bands and the scene has 50"):
        sunsal(SPECTRA, LIBRARY[:, :30])


def test_recovers_sparse_mixtures_of_usgs_minerals(shared_data):
    """Spectra at least 4.44 degrees apart, as in the literature of sparse unmixing."""
    file = shared_data / "spectral_libraries" / "USGS_1995_Library.mat"
    table = scipy.io.loadmat(file)["datalib"]
    spectra = table[np.argsort(table[:, 0]), 3:].T
    spectra = spectra[((spectra > -1) & (spectra < 2)).all(axis=1)]
    shapes = spectra / np.linalg.norm(spectra, axis=1, keepdims=True)
    kept: list[int] = []
    for place, shape in enumerate(shapes):
        if (shapes[kept] @ shape < np.cos(np.deg2rad(4.44))).all():
            kept.append(place)
    library = spectra[kept]
    assert len(library) == 240
    rng = np.random.default_rng(0)
    truth = np.zeros((8, len(library)))
    for row in truth:
        row[rng.choice(len(library), 3, replace=False)] = [0.5, 0.3, 0.2]
    found = sunsal(truth @ library, library, sparsity=1e-3, tolerance=1e-4)
    assert found.converged.all()
    # Never worse than the truth, and as sparse.
    objectives = [
        objective(truth @ library, library, x, 1e-3) for x in (found.abundances, truth)
    ]
    assert (objectives[0] <= 1.05 * objectives[1]).all()
    error = ((found.abundances - truth) ** 2).sum() / (truth**2).sum()
    assert -10 * np.log10(error) > 10  # dB: signal to reconstruction error
    largest = np.argsort(found.abundances, axis=1)[:, -3:]
    hits = [
        set(row) == set(np.flatnonzero(t))
        for row, t in zip(largest, truth, strict=True)
    ]
    assert np.mean(hits) >= 0.75
