import jax
import numpy as np
import pytest
from scipy.io import loadmat
from scipy.optimize import linear_sum_assignment

import hsijax.unmixing.edaa as module
from hsijax.errors import HsijaxError, UsageError
from hsijax.metrics.unmixing import spectral_angle
from hsijax.unmixing.edaa import choose_run, coherence, edaa


@pytest.fixture(scope="module")
def mixtures():
    """Three endmembers, mixtures of them with some pure ones, and their abundances."""
    rng = np.random.default_rng(0)
    endmembers = rng.uniform(0.1, 1, (3, 12))
    abundances = rng.dirichlet(np.full(3, 0.3), 400)
    return endmembers, abundances @ endmembers, abundances


def order_of(estimated, reference):
    """The estimated endmember of each reference one, by their abundances."""
    costs = np.square(estimated[:, :, None] - reference[:, None]).mean(axis=0)
    return linear_sum_assignment(costs.T)[1]


def test_endmembers_of_clean_mixtures_are_found(mixtures):
    endmembers, spectra, abundances = mixtures
    blind = edaa(spectra, 3, seed=0, runs=8)
    order = order_of(blind.abundances, abundances)
    assert spectral_angle(blind.endmembers[order], endmembers).max() < 0.1
    assert np.sqrt(np.mean((blind.abundances[:, order] - abundances) ** 2)) < 0.1
    assert blind.abundances.min() >= 0
    assert blind.abundances.sum(axis=1) == pytest.approx(1, abs=1e-12)


def test_the_model_holds_for_normalised_spectra(mixtures):
    _, spectra, _ = mixtures
    blind = edaa(spectra, 3, seed=0, runs=4)
    units = spectra / np.linalg.norm(spectra, axis=1, keepdims=True)
    left = np.abs(units - blind.abundances @ blind.archetypes).sum()
    # Up to the abundances' rounding this is what the runs are compared by.
    assert left == pytest.approx(blind.losses[blind.chosen], rel=1e-3)


def test_the_seed_decides(mixtures):
    _, spectra, _ = mixtures
    one, same = (edaa(spectra, 3, seed=3, runs=3) for _ in range(2))
    other = edaa(spectra, 3, seed=4, runs=3)
    pair = edaa(spectra, 3, seed=(3, 1), runs=3)
    assert np.array_equal(one.abundances, same.abundances)
    assert np.array_equal(one.endmembers, same.endmembers)
    assert not np.array_equal(one.losses, other.losses)
    assert not np.array_equal(one.losses, pair.losses)


def test_the_descent_multiplies_by_exponentials_of_gradients():
    """Against a plain NumPy version of the whole descent, one run."""
    rng = np.random.default_rng(1)
    pixels = rng.uniform(size=(30, 6))
    log_weights = rng.uniform(0, 0.1, (2, 30))
    ours = jax.device_get(
        module._descend(
            pixels.astype(np.float32),
            log_weights[None].astype(np.float32),
            np.array([0.5], np.float32),
        )
    )

    weights = np.exp(log_weights) / np.exp(log_weights).sum(axis=1, keepdims=True)
    step = 0.5 / np.linalg.svd(weights @ pixels)[1][0] ** 2
    abundances = np.full((30, 2), 0.5)
    for _ in range(module.ROUNDS):
        for _ in range(module.STEPS):
            means = weights @ pixels
            left = abundances @ means - pixels
            abundances = abundances * np.exp(-step * left @ means.T)
            abundances /= abundances.sum(axis=1, keepdims=True)
        for _ in range(module.STEPS):
            left = abundances @ weights @ pixels - pixels
            gradient = abundances.T @ left @ pixels.T
            weights = weights * np.exp(-step * np.sqrt(2 / 30) * gradient)
            weights /= weights.sum(axis=1, keepdims=True)
    assert ours.weights[0] == pytest.approx(weights, abs=1e-3)
    assert ours.archetypes[0] == pytest.approx(weights @ pixels, abs=1e-3)
    left = np.abs(pixels - abundances @ (weights @ pixels)).sum()
    assert ours.loss[0] == pytest.approx(left, rel=1e-3)


def test_archetypes_come_from_a_part_of_many_pixels(mixtures, monkeypatch):
    _, spectra, abundances = mixtures
    monkeypatch.setattr(module, "SOUGHT", 200)
    monkeypatch.setattr(module, "TILE", 64)
    blind = edaa(spectra, 3, seed=0, runs=8)
    assert blind.abundances.shape == (400, 3)
    order = order_of(blind.abundances, abundances)
    assert np.sqrt(np.mean((blind.abundances[:, order] - abundances) ** 2)) < 0.1
    monkeypatch.setattr(module, "TILE", 96)
    again = edaa(spectra, 3, seed=0, runs=8)
    assert again.abundances == pytest.approx(blind.abundances, abs=1e-5)


def test_pixels_that_are_all_zero_are_no_endmember(mixtures):
    _, spectra, _ = mixtures
    with_zeros = np.concatenate([spectra, np.zeros((50, 12))])
    plain, blind = (edaa(each, 3, seed=0, runs=3) for each in (spectra, with_zeros))
    assert np.array_equal(blind.endmembers, plain.endmembers)
    assert np.isfinite(blind.abundances).all()


def test_the_least_alike_of_the_fitting_runs_is_chosen():
    losses = np.array([10.5, 10.0, 10.6, 10.2])
    coherences = np.array([0.7, 0.9, 0.1, 0.8])
    assert choose_run(losses, coherences) == 0
    assert choose_run(losses[1:], coherences[1:]) == 2


def test_coherence_is_of_the_most_alike_pair():
    rising, falling = np.arange(5.0), -np.arange(5.0)
    assert coherence(np.stack([rising, falling])) == -1
    assert coherence(np.stack([rising, falling, rising * 2 + 3])) == 1


def test_bad_counts_are_refused(mixtures):
    _, spectra, _ = mixtures
    with pytest.raises(UsageError, match="--count 1"):
        edaa(spectra, 1, seed=0)
    with pytest.raises(HsijaxError, match="2 pixels"):
        edaa(np.concatenate([spectra[:2], np.zeros((9, 12))]), 3, seed=0)


def test_a_quarter_of_jasper_ridge_is_unmixed(shared_data):
    folder = shared_data / "jasper_ridge"
    cube = loadmat(folder / "jasperRidge2_R198.mat")["Y"]
    truth = loadmat(folder / "end4.mat")["A"].reshape(4, 100, 100, order="F")
    # Every second pixel of every second row, every fourth band.
    cube = cube.reshape(198, 100, 100, order="F")[::4, ::2, ::2] / 5000
    truth = truth[:, ::2, ::2].reshape(4, -1).T
    spectra = cube.reshape(len(cube), -1).T.astype(np.float32)
    blind = edaa(spectra, 4, seed=0)
    order = order_of(blind.abundances, truth)
    assert np.sqrt(np.mean((blind.abundances[:, order] - truth) ** 2)) < 0.14
