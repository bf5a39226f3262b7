"""HFC and HySime on mixtures whose number of endmembers is known."""

import numpy as np
import pytest

from hsijax.errors import HsijaxError
from hsijax.unmixing.counting import count_endmembers

BANDS = 60


def mixtures(count: int, pixels: int = 4000, noise: float = 0.0, tilt: float = 0.0):
    """Mix smooth spectra; the noise of the last band is 1 + tilt times the first's."""
    rng = np.random.default_rng(count)
    smooth = np.hanning(21) / 10
    spectra = [
        np.convolve(rng.random(BANDS + 20), smooth, "valid") for _ in "x" * count
    ]
    levels = noise * (1 + tilt * np.linspace(0, 1, BANDS))
    clean = rng.dirichlet(np.full(count, 0.7), pixels) @ np.array(spectra)
    return clean + rng.normal(0, 1, clean.shape) * levels


@pytest.mark.parametrize("count", [2, 4, 7])
@pytest.mark.parametrize("tilt", [0.0, 9.0])
def test_hysime_finds_the_number(count, tilt):
    assert count_endmembers(mixtures(count, noise=5e-4, tilt=tilt)).hysime == count


@pytest.mark.parametrize("count", [2, 5])
def test_no_noise_is_no_trap(count):
    counts = count_endmembers(mixtures(count))
    assert counts.hysime == count
    assert 1 <= counts.hfc <= count


def test_hfc_at_several_rates():
    counts = count_endmembers(mixtures(3, noise=1e-3))
    assert list(counts.hfc_by_rate) == [1e-3, 1e-4, 1e-5]
    values = list(counts.hfc_by_rate.values())
    assert values == sorted(values, reverse=True)
    assert counts.hfc == values[0]
    assert 2 <= counts.hfc <= 4


@pytest.mark.parametrize("pixels", [80, 120, 400])
def test_noise_of_few_pixels_is_not_signal(pixels):
    assert count_endmembers(mixtures(3, pixels, noise=1e-3)).hysime == 3


def test_any_scale_whole_numbers_and_constant_bands():
    spectra = np.round(20_000 * mixtures(4, noise=1e-3))
    spectra[:, 7] = 0
    spectra[:, 30] = 500
    counts = count_endmembers(spectra.astype(np.uint16))
    assert counts.hysime in (4, 5)  # the constant band is a direction of its own
    assert count_endmembers(spectra / 1e4) == counts
    assert count_endmembers(spectra.astype(np.float32)) == counts


def test_broken_and_empty_pixels_do_not_count():
    spectra = mixtures(3, noise=1e-3)
    holes = np.concatenate(
        [spectra, np.zeros((50, BANDS)), np.full((9, BANDS), np.nan)]
    )
    assert count_endmembers(holes) == count_endmembers(spectra)


def test_too_few_pixels():
    with pytest.raises(HsijaxError, match="60 and 60; give --count N"):
        count_endmembers(mixtures(3, 60, noise=1e-3))
