"""Baselines that learn nothing."""

import numpy as np
import pytest

from hsijax.metrics.unmixing import abundance_errors
from hsijax.scenes.mixing import draw_abundances, mix
from hsijax.scenes.unmixing_scene import load_unmixing_scene
from hsijax.unmixing.controls import run_controls
from hsijax.unmixing.provenance import FORMULA

SPECTRA = np.array([[1.0, 0.2, 0.1, 0.5], [0.1, 0.9, 0.3, 0.2], [0.3, 0.1, 1.2, 0.4]])
MAPS = draw_abundances((20, 20), 3, seed=1)
CUBE = mix(MAPS, [row[None] for row in SPECTRA], snr=np.inf, variability=0.3, seed=0)
VALID = np.ones((20, 20), dtype=bool)
PIXELS = np.random.default_rng(0).permutation(np.argwhere(VALID))
TRAIN, TEST = PIXELS[:300], PIXELS[300:]


def has_ties(pixel: np.ndarray) -> bool:
    """Whether it is open which training pixel is the fourth in nearness."""
    distances = np.sort(np.square(TRAIN - pixel).sum(axis=1))
    return distances[3] == distances[4]


def test_controls_are_neighbours_and_the_formula():
    found = run_controls(CUBE, VALID, MAPS, TRAIN, TEST, SPECTRA)
    assert list(found) == [
        "1-NN, raw spectra",
        "1-NN, L2 spectra",
        "3-NN, L2 spectra",
        "4-NN, coordinates alone",
        FORMULA,
    ]
    assert FORMULA not in run_controls(CUBE, VALID, MAPS, TRAIN, TEST)
    for estimate in found.values():
        assert estimate.shape == (100, 3)
        np.testing.assert_allclose(estimate.sum(axis=1), 1, atol=1e-9)
    index = next(i for i in range(len(TEST)) if not has_ties(TEST[i]))
    distances = np.square(TRAIN - TEST[index]).sum(axis=1)
    known = MAPS[tuple(TRAIN[distances.argsort()[:4]].T)].mean(axis=0)
    np.testing.assert_allclose(found["4-NN, coordinates alone"][index], known)
    row, col = TEST[0]
    nearest = np.square(CUBE[TRAIN[:, 0], TRAIN[:, 1]] - CUBE[row, col]).sum(axis=1)
    best = TRAIN[nearest.argmin()]
    np.testing.assert_array_equal(found["1-NN, raw spectra"][0], MAPS[best[0], best[1]])


def test_brightness_hurts_raw_spectra_only():
    found = run_controls(CUBE, VALID, MAPS, TRAIN, TEST)
    truth = MAPS[TEST[:, 0], TEST[:, 1]]
    errors = {name: abundance_errors(e, truth).overall for name, e in found.items()}
    assert errors["1-NN, L2 spectra"] < 0.7 * errors["1-NN, raw spectra"]


def test_pixels_without_data_are_no_neighbours():
    valid = VALID.copy()
    valid[TRAIN[2:, 0], TRAIN[2:, 1]] = False
    found = run_controls(CUBE, valid, MAPS, TRAIN, TEST)
    known = MAPS[TRAIN[:2, 0], TRAIN[:2, 1]]
    np.testing.assert_allclose(
        found["3-NN, L2 spectra"], np.tile(known.mean(axis=0), (100, 1))
    )


@pytest.mark.usefixtures("shared_data")
def test_jasper_ridge():
    scene = load_unmixing_scene("jasper-ridge")
    reference = scene.reference
    assert reference is not None
    assert reference.endmembers is not None
    pixels = np.random.default_rng(0).permutation(np.argwhere(scene.valid))
    train, test = pixels[:7500], pixels[7500:]
    found = run_controls(
        scene.cube,
        scene.valid,
        reference.abundances,
        train,
        test,
        reference.endmembers.spectra,
    )
    truth = reference.abundances[test[:, 0], test[:, 1]]
    sums = {name: abundance_errors(e, truth).sum for name, e in found.items()}
    # Measured over three such splits: 0.104, 0.063, 0.309, 0.015; one varies by 0.006.
    assert sums["1-NN, raw spectra"] == pytest.approx(0.104, abs=0.013)
    assert sums["3-NN, L2 spectra"] == pytest.approx(0.063, abs=0.010)
    assert sums["4-NN, coordinates alone"] == pytest.approx(0.31, abs=0.03)
    assert sums[FORMULA] == pytest.approx(0.015, abs=0.007)
