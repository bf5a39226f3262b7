"""Preprocessing: what is fitted, that it is affine, and that memory is bounded."""

import tracemalloc

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from hsijax.errors import HsijaxError, UsageError
from hsijax.preprocessing import (
    affine,
    apply,
    fit_preprocessing,
    from_arrays,
    to_arrays,
)


@pytest.fixture
def spectra():
    """Make 60 correlated spectra of 5 bands, far from 0 as radiances are."""
    rng = np.random.default_rng(0)
    mixed = rng.normal(size=(60, 5)) @ rng.normal(size=(5, 5))
    return (3000 + 200 * mixed).astype(np.float32)


def apply_to(fitted, spectra):
    cube = spectra[:, None, :]
    return apply(fitted, cube, np.ones(cube.shape[:2], dtype=bool))[:, 0]


@pytest.mark.parametrize(
    ("scaling", "scaler"), [("standard", StandardScaler), ("minmax", MinMaxScaler)]
)
def test_scaling_of_bands_equals_scikit_learn(spectra, scaling, scaler):
    train, others = spectra[:40], spectra[40:]
    fitted = fit_preprocessing(train, scaling=scaling, components=0)
    expected = scaler().fit(train.astype(np.float64)).transform(others)
    np.testing.assert_allclose(apply_to(fitted, others), expected, atol=1e-5)


def test_no_scaling_changes_nothing(spectra):
    fitted = fit_preprocessing(spectra, scaling="none", components=0)
    assert np.array_equal(apply_to(fitted, spectra), spectra)


def test_principal_components_equal_scikit_learn(spectra):
    fitted = fit_preprocessing(spectra, scaling="none", components=3)
    expected = PCA(3, svd_solver="full").fit_transform(spectra.astype(np.float64))
    found = apply_to(fitted, spectra)
    signs = np.sign(np.sum(found * expected, axis=0))
    np.testing.assert_allclose(found, expected * signs, rtol=1e-4, atol=1e-2)


def test_sign_of_principal_components_does_not_depend_on_the_order(spectra):
    one = fit_preprocessing(spectra, scaling="none", components=5)
    other = fit_preprocessing(spectra[::-1], scaling="none", components=5)
    assert one.projection is not None
    assert other.projection is not None
    np.testing.assert_allclose(one.projection, other.projection, atol=1e-8)
    largest = np.abs(one.projection).argmax(axis=0)
    assert (one.projection[largest, np.arange(5)] > 0).all()


def test_scaled_components_keep_their_proportions(spectra):
    raw = apply_to(fit_preprocessing(spectra, scaling="none", components=3), spectra)
    for scaling in ("standard", "minmax"):
        fitted = fit_preprocessing(spectra, scaling=scaling, components=3)
        scaled = apply_to(fitted, spectra)
        ratio = scaled.std(axis=0) / raw.std(axis=0)
        np.testing.assert_allclose(ratio, ratio[0], rtol=1e-4)
        if scaling == "minmax":
            np.testing.assert_allclose(scaled.min(axis=0), 0, atol=1e-6)
            assert scaled.max() == pytest.approx(1, abs=1e-6)
        else:
            np.testing.assert_allclose(scaled.mean(axis=0), 0, atol=1e-5)
            assert np.mean(scaled.var(axis=0)) == pytest.approx(1, rel=1e-4)


@pytest.mark.parametrize("scaling", ["standard", "minmax", "none"])
@pytest.mark.parametrize("components", [0, 2])
def test_constant_bands_stay_finite(spectra, scaling, components):
    spectra[:, 2] = 0.1  # not exact in binary: its mean is off by rounding
    fitted = fit_preprocessing(spectra, scaling=scaling, components=components)
    mapped = apply_to(fitted, spectra)
    assert np.isfinite(mapped).all()
    if not components and scaling != "none":
        assert np.abs(mapped[:, 2]).max() < 1e-6


def test_pixels_without_data_become_zero(spectra):
    cube = spectra.reshape(6, 10, 5)
    valid = np.ones((6, 10), dtype=bool)
    valid[2, 3] = valid[5, 9] = False
    cube[~valid] = np.nan
    fitted = fit_preprocessing(cube[valid], scaling="standard", components=2)
    mapped = apply(fitted, cube, valid)
    assert (mapped.shape, mapped.dtype) == ((6, 10, 2), np.float32)
    assert (mapped[~valid] == 0).all()
    assert (mapped[valid] != 0).all()


def test_a_part_comes_out_as_the_whole_does(monkeypatch):
    rng = np.random.default_rng(0)
    cube = rng.normal(size=(70, 90, 37)).astype(np.float32)
    valid = rng.random((70, 90)) < 0.9
    fitted = fit_preprocessing(cube[valid], scaling="standard", components=11)
    whole = apply(fitted, cube, valid)
    part = slice(13, 70), slice(5, 88)
    assert np.array_equal(apply(fitted, cube[part], valid[part]), whole[part])
    monkeypatch.setattr(affine, "TOGETHER", 64)
    assert np.allclose(apply(fitted, cube, valid), whole, rtol=0, atol=1e-6)


def test_no_pixels_are_no_error(spectra):
    fitted = fit_preprocessing(spectra, scaling="standard", components=2)
    found = apply(fitted, np.zeros((0, 1, 5)), np.zeros((0, 1), bool))
    assert found.shape == (0, 1, 2)


def test_memory_beside_the_result_is_a_few_blocks(monkeypatch):
    monkeypatch.setattr(affine, "TOGETHER", 1024)
    cube = np.ones((400, 100, 100), dtype=np.float32)  # 16 MB
    valid = np.ones((400, 100), dtype=bool)
    fitted = fit_preprocessing(cube[0], scaling="none", components=0)
    tracemalloc.start()
    result = apply(fitted, cube, valid)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak - result.nbytes < 4 * 2**20


@pytest.mark.parametrize("components", [0, 2])
def test_arrays_round_trip(spectra, components):
    fitted = fit_preprocessing(spectra, scaling="minmax", components=components)
    again = from_arrays(to_arrays(fitted))
    assert np.array_equal(apply_to(again, spectra), apply_to(fitted, spectra))
    assert (again.bands, again.channels) == (5, components or 5)


@pytest.mark.parametrize(
    ("rows", "components", "least"), [(60, 6, 5), (4, 5, 4), (60, -1, 5)]
)
def test_more_components_than_bands_or_pixels(spectra, rows, components, least):
    with pytest.raises(UsageError, match=f"{components} principal .* {least} or less"):
        fit_preprocessing(spectra[:rows], scaling="none", components=components)


@pytest.mark.parametrize("rows", [1, 60])
def test_components_of_constant_spectra(spectra, rows):
    constant = np.full_like(spectra, 0.1)[:rows]
    with pytest.raises(HsijaxError, match=f"the {rows} pixels .* all the same"):
        fit_preprocessing(constant, scaling="minmax", components=1)
    fitted = fit_preprocessing(constant, scaling="minmax", components=0)
    assert np.abs(apply_to(fitted, constant)).max() < 1e-6


def test_unknown_scaling(spectra):
    with pytest.raises(UsageError, match="did you mean 'minmax'"):
        fit_preprocessing(spectra, scaling="min-max", components=0)
