"""Errors of abundances and angles between spectra."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hsijax.metrics.unmixing import abundance_errors, rms_aad, spectral_angle

RNG = np.random.default_rng(0)
ESTIMATED, REFERENCE = RNG.dirichlet(np.ones(4), size=(2, 50))


def test_the_four_errors_are_what_their_names_say():
    errors = abundance_errors(ESTIMATED, REFERENCE)
    columns = [
        np.sqrt(np.mean((ESTIMATED[:, k] - REFERENCE[:, k]) ** 2)) for k in range(4)
    ]
    rows = [np.sqrt(np.mean(pixel**2)) for pixel in ESTIMATED - REFERENCE]
    np.testing.assert_allclose(errors.per_endmember, columns)
    assert errors.sum == pytest.approx(sum(columns))
    assert errors.overall == pytest.approx(np.sqrt(np.mean(np.square(columns))))
    assert errors.mean_per_pixel == pytest.approx(np.mean(rows))
    assert len({round(value, 6) for value in errors[1:]}) == 3


def test_float32_is_summed_in_float64():
    far = np.full((200_000, 2), 0.1, dtype=np.float32)
    errors = abundance_errors(far + np.float32(0.25), far)
    assert errors.overall == pytest.approx(0.25, rel=1e-7)


def test_angle_of_single_spectra_and_of_whole_cubes():
    assert spectral_angle(np.array([1.0, 1.0]), np.array([2.0, 2.0])) == 0
    assert spectral_angle(RNG.random((3, 4, 9)), RNG.random((3, 4, 9))).shape == (3, 4)


def test_angles_keep_their_digits():
    for angle in (1e-12, 1e-7, 1e-3, 1.0, np.pi - 1e-7):
        turned = np.array([np.cos(angle), np.sin(angle)])
        assert spectral_angle(turned, np.array([1.0, 0.0])) == pytest.approx(
            angle, rel=1e-9
        )


@settings(deadline=None, max_examples=20)
@given(st.floats(1e-6, 1e6), st.integers(0, 1000))
def test_angle_is_blind_to_scale(scale, seed):
    one, other = np.random.default_rng(seed).random((2, 7))
    assert spectral_angle(scale * one, other) == pytest.approx(
        float(spectral_angle(one, other)), rel=1e-9
    )


def test_zero_vectors():
    zero, one = np.zeros(3), np.ones(3)
    assert spectral_angle(zero, one) == pytest.approx(np.pi / 2)
    assert spectral_angle(zero, zero) == 0
    assert rms_aad(np.zeros((2, 3)), np.zeros((2, 3))) == 0


def test_rms_aad_is_the_root_mean_square_of_the_angles():
    cosines = (ESTIMATED * REFERENCE).sum(axis=1)
    cosines /= np.linalg.norm(ESTIMATED, axis=1) * np.linalg.norm(REFERENCE, axis=1)
    expected = np.sqrt(np.mean(np.arccos(cosines) ** 2))
    assert rms_aad(ESTIMATED, REFERENCE) == pytest.approx(expected)
