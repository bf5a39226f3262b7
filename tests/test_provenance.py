"""Is a reference a formula of the pixels?"""

import numpy as np
import pytest
import scipy.optimize

from hsijax.metrics.unmixing import abundance_errors
from hsijax.scenes.mixing import draw_abundances, mix
from hsijax.scenes.unmixing_scene import load_unmixing_scene
from hsijax.unmixing.abundances import solve_abundances
from hsijax.unmixing.provenance import FORMULA, share_by_formula, trace_provenance

RNG = np.random.default_rng(0)
ENDMEMBERS = RNG.random((3, 12)) * [[1.0], [0.3], [0.6]]
TRUE = draw_abundances((15, 15), 3, seed=0)
CUBE = mix(TRUE, [row[None] for row in ENDMEMBERS], snr=15.0, variability=0.3, seed=0)
SPECTRA = CUBE.reshape(-1, 12).astype(np.float64)


def test_formula_is_scipys_nnls_of_scaled_endmembers():
    scaled = ENDMEMBERS / ENDMEMBERS.max(axis=1, keepdims=True)
    found = np.array([scipy.optimize.nnls(scaled.T, row)[0] for row in SPECTRA])
    expected = found / found.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(
        share_by_formula(SPECTRA, ENDMEMBERS), expected, atol=1e-9
    )


def test_pixels_in_which_nothing_is_found():
    spectra = np.array([[0.0, 0.0], [-1.0, -1.0]])
    np.testing.assert_array_equal(
        share_by_formula(spectra, np.eye(2)), np.full((2, 2), 0.5)
    )


def unit(spectra):
    return spectra / np.linalg.norm(spectra, axis=1, keepdims=True)


@pytest.mark.parametrize(
    ("name", "make"),
    [
        (FORMULA, lambda: share_by_formula(SPECTRA, ENDMEMBERS)),
        (
            "FCLS(Y, M)",
            lambda: solve_abundances("fcls", SPECTRA, ENDMEMBERS).abundances,
        ),
        (
            "FCLS(Y / |Y|, M / |M|)",
            lambda: (
                solve_abundances("fcls", unit(SPECTRA), unit(ENDMEMBERS)).abundances
            ),
        ),
    ],
)
def test_each_formula_is_recognised(name, make):
    found = trace_provenance(SPECTRA, ENDMEMBERS, make())
    assert found.errors[name] < 1e-12
    assert all(error > 0.02 for other, error in found.errors.items() if other != name)
    assert f"is a formula of the pixels, {name} (RMSE 0.0000)" in found.verdict


def test_true_abundances_are_no_formula():
    found = trace_provenance(SPECTRA, ENDMEMBERS, TRUE.reshape(-1, 3))
    assert min(found.errors.values()) > 0.03
    assert "is none of the known formulas (the nearest is " in found.verdict


def test_nearly_a_formula():
    shares = share_by_formula(SPECTRA, ENDMEMBERS)
    near = np.abs(shares + RNG.normal(0, 0.02, shares.shape))
    found = trace_provenance(SPECTRA, ENDMEMBERS, near)
    assert 0.01 < found.errors[FORMULA] < 0.03
    assert f"is close to a formula of the pixels, {FORMULA}" in found.verdict


@pytest.mark.usefixtures("shared_data")
def test_jasper_ridge_is_the_formula():
    scene = load_unmixing_scene("jasper-ridge")
    reference = scene.reference
    assert reference is not None
    assert reference.endmembers is not None
    spectra = scene.cube[scene.valid].astype(np.float64)
    truth = reference.abundances[scene.valid]
    found = trace_provenance(spectra, reference.endmembers.spectra, truth)
    assert found.errors[FORMULA] == pytest.approx(0.0049, abs=5e-5)
    assert found.errors["FCLS(Y, M)"] == pytest.approx(0.085, abs=5e-4)
    assert "is a formula" in found.verdict
    errors = abundance_errors(
        share_by_formula(spectra, reference.endmembers.spectra), truth
    )
    assert errors.sum == pytest.approx(0.017, abs=5e-4)
