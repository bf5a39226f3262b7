"""MESMA against brute force, and which spectra made a pixel."""

import itertools

import numpy as np
import pytest
import scipy.io

from hsijax.errors import HsijaxError, UsageError
from hsijax.io.spectral_library import SpectralLibrary
from hsijax.unmixing import mesma as module
from hsijax.unmixing.mesma import count_models, mesma

BANDS = 30
CLASSES = ("soil", "soil", "tree", "tree", "tree", "roof", "roof")
RNG = np.random.default_rng(0)
LIBRARY = SpectralLibrary(
    names=tuple(f"{name} {k}" for k, name in enumerate(CLASSES)),
    spectra=RNG.random((7, BANDS)).cumsum(axis=1) / 15,
    classes=CLASSES,
)


def brute_force(spectrum: np.ndarray, largest: int):
    """All models one by one, each by NumPy's least squares."""
    best = {}
    for size in range(1, largest + 1):
        for members in itertools.combinations(range(7), size):
            if len({CLASSES[m] for m in members}) < size:
                continue
            own = LIBRARY.spectra[list(members)]
            fractions = np.linalg.lstsq(own.T, spectrum, rcond=None)[0]
            shade = 1 - fractions.sum()
            if not (np.abs(np.r_[fractions, shade] - 0.5) <= 0.55).all():
                continue
            rmse = np.sqrt(((spectrum - fractions @ own) ** 2).mean())
            best[rmse] = (members, fractions)
    if not best:
        return np.nan, (), ()
    return min(best), *best[min(best)]


@pytest.mark.parametrize("largest", [1, 2, 3])
def test_agrees_with_brute_force(largest):
    rng = np.random.default_rng(1)
    spectra = rng.dirichlet(np.full(7, 0.4), 60) @ LIBRARY.spectra
    spectra += rng.normal(0, 0.02, spectra.shape)
    spectra[:3] *= 5.0  # beyond all limits
    found = mesma(spectra, LIBRARY, largest=largest, gain=0.0)
    assert found.classes == ("soil", "tree", "roof")
    for place, spectrum in enumerate(spectra):
        rmse, members, fractions = brute_force(spectrum, largest)
        np.testing.assert_allclose(found.rmse[place], rmse, rtol=1e-9)
        taken = found.members[place]
        assert set(taken[taken >= 0]) == set(members)
        for member, fraction in zip(members, fractions, strict=True):
            column = found.classes.index(CLASSES[member])
            assert found.fractions[place, column] == pytest.approx(fraction, abs=1e-9)
        if members:
            assert found.shade[place] == pytest.approx(1 - sum(fractions), abs=1e-9)
    assert np.isnan(found.rmse).any()
    assert np.isnan(found.fractions[np.isnan(found.rmse)]).all()


def test_recovers_the_members_of_real_bundles(shared_data):
    file = shared_data / "urban" / "spectral_library_urban.mat"
    bundles = scipy.io.loadmat(file)
    rng = np.random.default_rng(2)
    chosen = [bundles[f"lib{k}"].T for k in (1, 3, 4, 6)]
    spectra = np.concatenate(
        [bundle[rng.choice(len(bundle), 4, replace=False)] for bundle in chosen]
    )
    owners = np.repeat(["asphalt", "tree", "roof", "dirt"], 4)
    library = SpectralLibrary(
        tuple(map(str, range(16))), spectra, classes=tuple(owners.tolist())
    )
    truth = np.zeros((200, 16))
    for row in truth:
        classes = rng.choice(4, 2, replace=False)
        row[4 * classes + rng.integers(4, size=2)] = rng.uniform(0.25, 0.45, 2)
    pixels = truth @ spectra + rng.normal(0, 0.001, (200, spectra.shape[1]))
    found = mesma(pixels, library)
    right = [
        set(members[members >= 0]) == set(np.flatnonzero(row))
        for members, row in zip(found.members, truth, strict=True)
    ]
    assert np.mean(right) > 0.9
    by_class = truth.reshape(200, 4, 4).sum(axis=2)
    assert np.sqrt(((found.fractions - by_class) ** 2).mean()) < 0.01
    np.testing.assert_allclose(found.abundances.sum(axis=1), 1)
    # Without the gain that a third material must bring, it fits the noise.
    eager = mesma(pixels, library, gain=0.0)
    sizes = [(s.members >= 0).sum(axis=1).mean() for s in (found, eager)]
    assert sizes[0] < sizes[1] - 0.3


def test_exact_mixtures_take_the_smallest_model():
    spectra = np.array([0.7 * LIBRARY.spectra[3], LIBRARY.spectra[[0, 5]].mean(axis=0)])
    found = mesma(spectra, LIBRARY, largest=3, gain=0.0)
    assert found.members.tolist() == [[3, -1, -1], [0, 5, -1]]
    np.testing.assert_allclose(found.shade, [0.3, 0], atol=1e-6)


def test_pixels_without_data_and_blocks(monkeypatch):
    spectra = np.tile(LIBRARY.spectra, (50, 1)) * 0.8
    spectra[10, 3] = np.nan
    found = mesma(spectra, LIBRARY, largest=2)
    assert np.flatnonzero(np.isnan(found.rmse)).tolist() == [10]
    assert np.isnan(found.fractions[10]).all()
    assert (found.members[10] == -1).all()
    monkeypatch.setattr(module, "PIXELS", 64)
    monkeypatch.setattr(module, "MODELS", 5)
    small = mesma(spectra, LIBRARY, largest=2)
    np.testing.assert_array_equal(small.members, found.members)
    np.testing.assert_allclose(small.fractions, found.fractions, atol=1e-12)


def test_library_with_zero_and_proportional_spectra():
    spectra = np.vstack([np.zeros(BANDS), LIBRARY.spectra[0], 2 * LIBRARY.spectra[0]])
    library = SpectralLibrary(("none", "soil", "bright"), spectra)
    found = mesma(0.5 * spectra[1:2], library)
    assert found.rmse[0] < 1e-7
    assert (found.members[0] >= 0).sum() == 1
    dark = mesma(np.zeros((1, BANDS)), library)
    np.testing.assert_allclose(dark.shade, 1, atol=1e-9)
    assert np.isnan(dark.abundances).all()
    nothing = SpectralLibrary(("none",), np.zeros((1, BANDS)))
    assert np.isnan(mesma(np.ones((1, BANDS)), nothing).rmse).all()


def test_counts_its_models():
    assert count_models([2, 3, 2], 1) == 7
    assert count_models([2, 3, 2], 2) == 7 + 6 + 4 + 6
    assert count_models([2, 3, 2], 3) == 23 + 12


def test_errors(monkeypatch):
    spectra = np.ones((2, BANDS))
    with pytest.raises(UsageError, match="not 0 and"):
        mesma(spectra, LIBRARY, largest=0)
    with pytest.raises(HsijaxError, match="have 30 bands and the scene has 4"):
        mesma(spectra[:, :4], LIBRARY)
    monkeypatch.setattr(module, "MOST_MODELS", 34)
    with pytest.raises(HsijaxError, match="7 spectra of 3 classes make 35 models"):
        mesma(spectra, LIBRARY)
