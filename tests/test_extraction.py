"""Endmember extraction: exact on noiseless mixtures, deterministic, robust."""

import logging

import numpy as np
import pytest

from hsijax.errors import HsijaxError, UsageError
from hsijax.unmixing.extraction import EXTRACTORS, extract_endmembers

METHODS = sorted(EXTRACTORS)
PURE = [7, 60, 99, 250]  # the pixels that show one material alone
BANDS = 30


def mixtures(pixels: int = 300, pure=PURE, seed: int = 0) -> np.ndarray:
    """Mix some spectra without noise; one pure pixel of each."""
    rng = np.random.default_rng(seed)
    spectra = rng.uniform(0.05, 0.8, (len(pure), BANDS))
    abundances = rng.dirichlet(np.full(len(pure), 0.8), pixels)
    # None is so nearly pure that rounding could prefer it.
    abundances = 0.9 * abundances + 0.1 / len(pure)
    abundances[pure] = np.eye(len(pure))
    return abundances @ spectra


def crowded(copies: int = 8, noise: float = 0.003) -> np.ndarray:
    """Mix with some noise; the first pixels are pure, `copies` of each material."""
    rng = np.random.default_rng(1)
    spectra = mixtures(268)
    pure = np.repeat(spectra[PURE], copies, axis=0)
    return np.concatenate([pure, spectra]) + rng.normal(0, noise, (300, BANDS))


@pytest.mark.parametrize("method", METHODS)
def test_noiseless_mixtures_are_recovered_exactly(method):
    spectra = mixtures()
    for seed in (0, 5):
        found = extract_endmembers(method, spectra, 4, seed=seed)
        assert sorted(found) == PURE
    found = extract_endmembers(method, spectra.astype(np.float32), 4)
    assert sorted(found) == PURE


@pytest.mark.parametrize("method", METHODS)
def test_same_seed_same_pixels_whatever_numpy_drew(method):
    spectra = np.random.default_rng(3).random((300, BANDS))
    state = np.random.get_state()  # noqa: NPY002 - this is the state it must not use
    try:
        results = []
        for other in (1, 2):
            np.random.seed(other)  # noqa: NPY002
            results.append(extract_endmembers(method, spectra, 4, seed=4))
            assert results[0].tolist() == results[-1].tolist()
    finally:
        np.random.set_state(state)  # noqa: NPY002
    assert len(set(results[0].tolist())) == 4


def test_another_seed_may_find_others():
    spectra = np.random.default_rng(3).random((300, BANDS))
    found = {tuple(extract_endmembers("vca", spectra, 4, seed=s)) for s in range(4)}
    assert len(found) > 1


@pytest.mark.parametrize("method", METHODS)
def test_whole_numbers_few_pixels_and_constant_bands(method):
    spectra = np.round(10_000 * mixtures(12, [2, 5, 9])).astype(np.int16)
    spectra[:, 3] = 77
    spectra[:, 8] = 0
    assert sorted(extract_endmembers(method, spectra, 3)) == [2, 5, 9]


def test_no_more_pixels_than_endmembers():
    assert sorted(extract_endmembers("vca", mixtures()[PURE], 4)) == [0, 1, 2, 3]


@pytest.mark.parametrize("method", METHODS)
def test_as_many_endmembers_as_bands(method):
    spectra = np.concatenate([np.eye(3), np.full((9, 3), 1 / 3)]) + 0.1
    assert sorted(extract_endmembers(method, spectra, 3)) == [0, 1, 2]


def test_nfindr_has_the_largest_volume():
    spectra = np.random.default_rng(2).random((14, 3))  # the start is not the best
    spectra[:, 2] = 0.5
    found = extract_endmembers("nfindr", spectra, 3)

    def volume(chosen):
        points = np.column_stack([spectra[chosen][:, :2], np.ones(3)])
        return abs(np.linalg.det(points))

    for vertex in range(3):
        others = [volume([*np.delete(found, vertex), pixel]) for pixel in range(14)]
        assert volume(found) >= max(others) * (1 - 1e-9)


@pytest.mark.parametrize("method", METHODS)
def test_noisy_pixels_are_those_nearly_pure(method):
    found = extract_endmembers(method, crowded(), 4)
    # Any method may take a copy or the pure pixel that the mixtures have themselves.
    materials = sorted(
        PURE.index(index - 32) if index >= 32 else index // 8 for index in found
    )
    assert materials == [0, 1, 2, 3]


@pytest.mark.parametrize("method", METHODS)
def test_broken_and_empty_pixels_are_left_out_and_counted(method, caplog):
    spectra = np.concatenate([np.full((4, BANDS), np.nan), mixtures()])
    spectra[1, 4:] = 9.0
    spectra[2] = 0
    spectra[3, 1:] = np.inf
    with caplog.at_level(logging.WARNING, "hsijax"):
        found = extract_endmembers(method, spectra, 4)
    assert sorted(found) == [pixel + 4 for pixel in PURE]
    assert "3 of 304 pixels hold NaN" in caplog.text


@pytest.mark.parametrize("method", METHODS)
def test_robust_extraction_passes_over_dead_and_hot_pixels(method, caplog):
    rng = np.random.default_rng(2)
    spectra = crowded()
    broken = np.arange(100, 120)
    clean = extract_endmembers(method, spectra, 4, robust=True)
    assert not set(clean) & set(broken)
    assert caplog.text == ""
    for pixel in broken[:8]:  # a spike in one band
        spectra[pixel, rng.integers(BANDS)] = 20.0
    spectra[broken[8:12]] = 13.1  # full in all bands
    spectra[broken[12:16]] *= 12  # a wrong gain
    spectra[broken[16:], 5:] = 0  # dead in most bands
    plain = extract_endmembers(method, spectra, 4)
    assert set(plain) & set(broken)
    with caplog.at_level(logging.INFO, "hsijax"):
        found = extract_endmembers(method, spectra, 4, robust=True)
    assert not set(found) & set(broken)
    assert "of 300 pixels left out: outliers" in caplog.text


def test_robust_extraction_of_nothing_but_outliers_ends():
    spectra = 100 * np.eye(40) + 1
    with pytest.raises(HsijaxError, match="do without --robust"):
        extract_endmembers("spa", spectra, 3, robust=True)


@pytest.mark.parametrize(
    ("spectra", "count", "kind", "words"),
    [
        (mixtures()[:3], 4, UsageError, "3 pixels with data"),
        (mixtures()[:, :3], 4, UsageError, "3 bands"),
        (mixtures(), 1, UsageError, "2 or more"),
        (mixtures(), 5, HsijaxError, "vary in only 3 ways, enough for 4"),
        (np.ones((20, 5)), 2, HsijaxError, "vary in only 0 ways"),
        (np.full((20, 5), np.nan), 2, UsageError, "only 0 pixels"),
    ],
)
def test_impossible_counts(spectra, count, kind, words):
    with pytest.raises(kind, match=words) as caught:
        extract_endmembers("vca", spectra, count)
    assert type(caught.value) is kind


def test_unknown_method():
    with pytest.raises(UsageError, match="did you mean 'vca'"):
        extract_endmembers("vcaa", mixtures(), 3)


def test_jasper_ridge_materials(shared_data):
    from hsijax.metrics.unmixing import spectral_angle
    from hsijax.scenes.unmixing_scene import load_unmixing_scene
    from hsijax.unmixing.matching import match_spectra

    data = load_unmixing_scene("jasper-ridge", data_dir=shared_data)
    spectra = data.cube[data.valid]
    reference = data.reference and data.reference.endmembers
    assert reference
    found = spectra[extract_endmembers("nfindr", spectra, 4, robust=True)]
    order = match_spectra(found, reference.spectra)
    angles = spectral_angle(found[order], reference.spectra)
    assert np.mean(angles) < 0.17
