"""Mixtures of known abundances."""

import numpy as np
import pytest

from hsijax.scenes.mixing import draw_abundances, mix

BUNDLES = [np.array([[1.0, 0.0, 2.0]]), np.array([[0.0, 4.0, 0.0], [0.0, 2.0, 0.0]])]


def mix_exactly(abundances, bundles=BUNDLES, snr=np.inf, variability=0.0, seed=0):
    return mix(abundances, bundles, snr=snr, variability=variability, seed=seed)


@pytest.mark.parametrize("endmembers", [2, 4, 12, 40])
def test_abundances_are_on_the_simplex_with_pure_and_empty_places(endmembers):
    maps = draw_abundances((40, 50), endmembers, seed=3)
    assert maps.shape == (40, 50, endmembers)
    assert maps.min() >= 0
    np.testing.assert_allclose(maps.sum(axis=2), 1, atol=1e-12)
    assert (maps == 0).mean() > 0.1
    assert (maps.max(axis=2) > 0.9).mean() > 0.02
    # Not white noise: neighbours resemble each other.
    assert np.abs(np.diff(maps, axis=1)).mean() < 0.5 * np.abs(maps - maps[::-1]).mean()


def test_every_material_is_pure_somewhere():
    maps = draw_abundances((80, 80), 6, seed=0)
    assert (maps > 0.99).any(axis=(0, 1)).all()


def test_tiny_images():
    assert draw_abundances((1, 1), 3, seed=0).sum() == pytest.approx(1)


def test_same_seed_same_scene():
    first, again, other = (draw_abundances((9, 9), 3, s) for s in ([1, 2], [1, 2], 5))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    maps = draw_abundances((9, 9), 2, seed=0)
    one, two, three = (mix_exactly(maps, snr=20.0, seed=s) for s in (1, 1, 2))
    np.testing.assert_array_equal(one, two)
    assert not np.array_equal(one, three)


def test_without_noise_it_is_a_sum_of_members():
    maps = draw_abundances((20, 20), 2, seed=0)
    cube = mix_exactly(maps)
    assert cube.dtype == np.float32
    np.testing.assert_allclose(cube[..., 0], maps[..., 0], rtol=1e-6)
    full = maps[..., 1] > 0
    factors = (cube[..., 1] / np.where(full, maps[..., 1], 1))[full]
    np.testing.assert_allclose(np.unique(factors.round(4)), [2, 4])
    assert 0.4 < (factors > 3).mean() < 0.6


def test_noise_and_brightness_have_the_strength_that_is_asked_for():
    maps = np.ones((100, 100, 1))
    spectrum = [np.array([[1.0, 2.0, 3.0]])]
    noisy = mix_exactly(maps, spectrum, snr=20.0)
    noise = noisy - spectrum[0]
    power = np.square(spectrum[0]).mean() / np.square(noise).mean()
    assert 10 * np.log10(power) == pytest.approx(20, abs=0.1)
    bright = mix_exactly(maps, spectrum, variability=0.3)
    np.testing.assert_allclose(bright[..., 2], 3 * bright[..., 0], rtol=1e-6)
    assert bright[..., 0].std() == pytest.approx(0.3, rel=0.03)
    assert bright[..., 0].mean() == pytest.approx(1, abs=0.01)
    assert bright.min() > 0
