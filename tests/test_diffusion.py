"""Edge-preserving diffusion and minimum noise fractions, against independent ones."""

import numpy as np
import pytest
import scipy.linalg
import scipy.sparse
from scipy.sparse.linalg import expm_multiply
from test_scene import make_scene

from hsijax.config import TrainConfig
from hsijax.errors import UsageError
from hsijax.preprocessing import (
    Diffusion,
    Inputs,
    diffuse,
    fit_diffusion,
    fit_inputs,
    neighbour_steps,
    noise_fractions,
    reach,
)
from hsijax.settings import make_config
from hsijax.splits import (
    SplitPlan,
    guarded_region,
    leakage,
    make_split,
    mask_of,
    neighbourhood,
)

HEAT = Diffusion(times=(0.5, 12.0, 60.0), width=0.7, guide=2)


@pytest.fixture
def field():
    """Three channels of 14 x 11 pixels: two halves, and noise."""
    rng = np.random.default_rng(0)
    cube = rng.normal(0, 0.3, (14, 11, 3))
    cube[:, 5:] += 2
    return cube.astype(np.float32)


def laplacian(cube, diffusion, joined):
    """Return the matrix of the graph, bond by bond."""
    rows, cols, _ = cube.shape
    matrix = scipy.sparse.lil_matrix((rows * cols, rows * cols))
    for row, col in np.ndindex(rows, cols):
        for below, right in ((row + 1, col), (row, col + 1)):
            if below == rows or right == cols or not joined(row, col, below, right):
                continue
            apart = (cube[row, col] - cube[below, right])[: diffusion.guide]
            conductance = np.exp(-np.mean(apart.astype(float) ** 2) / diffusion.width)
            one, other = row * cols + col, below * cols + right
            matrix[one, other] = matrix[other, one] = -conductance
            matrix[one, one] += conductance
            matrix[other, other] += conductance
    return matrix.tocsr()


def test_heat_equation_is_solved_as_by_the_exponential_of_the_matrix(field):
    valid = np.ones(field.shape[:2], bool)
    valid[3, 2:4] = False
    inside = np.zeros_like(valid)
    inside[8:, :4] = True
    found = diffuse(field, valid, HEAT, inside).reshape(14, 11, 3, 3)

    def joined(row, col, below, right):
        both = valid[row, col] and valid[below, right]
        return both and inside[row, col] == inside[below, right]

    matrix = laplacian(field, HEAT, joined)
    for place, time in enumerate(HEAT.times):
        exact = expm_multiply(-time * matrix, field.reshape(-1, 3).astype(float))
        np.testing.assert_allclose(
            found[:, :, place].reshape(-1, 3), exact, atol=2e-5 * np.abs(field).max()
        )
    np.testing.assert_allclose(found[3, 2:4, 2], field[3, 2:4], atol=1e-5)


def test_an_edge_stops_the_flow_and_nothing_is_lost(field):
    valid = np.ones(field.shape[:2], bool)
    steps = neighbour_steps(field, valid)
    fitted = fit_diffusion(steps, times=(60.0,), edges=4.0)
    assert fitted.guide == 3
    usual = np.median(np.mean(steps**2, axis=1))
    assert fitted.width == pytest.approx(4 * usual)
    found = diffuse(field, valid, fitted)
    np.testing.assert_allclose(found.mean((0, 1)), field.mean((0, 1)), atol=1e-4)
    # Within a half the noise is gone, between the halves the step is still there.
    assert found[:, :5].std((0, 1)).max() < 0.25 * field[:, :5].std((0, 1)).min()
    assert (found[:, 5:].mean((0, 1)) - found[:, :5].mean((0, 1))).min() > 1.5


def test_influence_ends_where_it_is_said_to_end():
    times = (0.5, 2.0)
    row = np.zeros((1, 80, 1), np.float32)
    before = diffuse(row, np.ones((1, 80), bool), Diffusion(times, 1.0, 1))
    row[0, 20] = 0.1
    after = diffuse(row, np.ones((1, 80), bool), Diffusion(times, 1.0, 1))
    touched = np.flatnonzero((before != after).any(axis=-1)[0])
    assert 20 + reach(times) == touched.max() < 60


@pytest.mark.parametrize("crop", [(0, 40), (0, 41), (13, 58), (14, 58), (18, 58)])
def test_a_part_diffuses_as_the_whole_does_to_the_last_bit(crop):
    rng = np.random.default_rng(0)
    field = rng.normal(size=(58, 44, 6)).astype(np.float32)
    heat = Diffusion((0.5, 1.0), 1.0, 3)
    far = reach(heat.times)
    whole = diffuse(field, np.ones((58, 44), bool), heat)
    part = slice(*crop)
    found = diffuse(field[part], np.ones(field[part].shape[:2], bool), heat)
    inner = slice(far if crop[0] else 0, len(found) - (far if crop[1] < 58 else 0))
    assert len(found[inner]) > 10
    assert np.array_equal(found[inner], whole[part][inner])


def test_a_scene_of_one_value_stays_as_it_is():
    flat = np.ones((5, 6, 2), np.float32)
    valid = np.ones((5, 6), bool)
    fitted = fit_diffusion(neighbour_steps(flat, valid), times=(3.0,), edges=4.0)
    np.testing.assert_allclose(diffuse(flat, valid, fitted), flat, atol=1e-5)
    nothing = fit_diffusion(np.zeros((0, 2)), times=(3.0,), edges=4.0)
    assert nothing.width > 0


def test_noise_fractions_solve_the_generalised_eigenproblem():
    rng = np.random.default_rng(1)
    spectra = rng.normal(size=(500, 6)) @ rng.normal(size=(6, 6))
    steps = rng.normal(size=(801, 6)) @ rng.normal(size=(6, 6)) / 5
    centred = spectra - spectra.mean(axis=0)
    found = noise_fractions(centred, steps, 6)

    deviation = centred.std(axis=0)
    size = np.abs(steps / deviation).mean(axis=1)
    noise = np.cov((steps[size <= np.median(size)] / deviation).T)
    noise += 1e-3 * np.trace(noise) / 6 * np.eye(6)
    ratios, vectors = scipy.linalg.eigh(np.cov((centred / deviation).T), noise)
    assert (np.diff(ratios) > 0).all()
    expected = vectors[:, ::-1] / deviation[:, None]
    np.testing.assert_allclose(np.abs(found), np.abs(expected), rtol=1e-6, atol=1e-9)
    assert (found[np.abs(found).argmax(axis=0), range(6)] > 0).all()
    np.testing.assert_allclose(found[:, :2], noise_fractions(centred, steps, 2))


def test_first_fraction_is_what_neighbours_share():
    rng = np.random.default_rng(2)
    smooth = np.repeat(np.arange(40.0), 40).reshape(40, 40)
    cube = rng.normal(0, [30.0, 0.2, 20.0], (40, 40, 3))
    cube[..., 1] += smooth / 10  # little variance, and hardly any noise
    config = TrainConfig("field.npy", components="mnf", channels=1, fit="scene")
    everywhere = np.ones((40, 40), bool)
    inputs = fit_inputs(cube, everywhere, everywhere, config)
    found = inputs.apply(cube, everywhere)[..., 0]
    assert abs(np.corrcoef(found.ravel(), smooth.ravel())[0, 1]) > 0.95
    assert found.std() == pytest.approx(1, abs=0.01)


def test_leak_free_split_leaks_nothing_through_diffusion(shared_data):
    folder = shared_data / "indian_pines"
    cube = np.load(folder / "Indian_pines_corrected.npy").astype(np.float32)
    truth = np.load(folder / "Indian_pines_gt.npy").astype(np.int32)
    plan = SplitPlan("blocks", frac=0.1)
    split = make_split(truth, plan, seed=0, run=0, patch_side=5)
    config = TrainConfig("x", patch=5, components="mnf", diffuse="12,60")
    valid = np.ones(truth.shape, bool)
    region = guarded_region(split, 5, truth.shape)
    assert region is not None
    assert leakage(split, 5).test_patch_overlap == 0

    chosen = mask_of(split.train, truth.shape)
    inputs = fit_inputs(cube, valid, chosen, config)
    assert inputs.channels == 60 == config.input_channels(200)
    # Other values in the test patches: what training sees stays as it was, to the bit.
    changed = cube.copy()
    changed[region] = changed[region][::-1]
    again = fit_inputs(changed, valid, chosen, config)
    assert again.diffusion == inputs.diffusion
    one, other = inputs.apply(cube, valid, region), again.apply(changed, valid, region)
    trained = neighbourhood(chosen, 2)
    np.testing.assert_array_equal(one[trained], other[trained])
    # And the other way round: test patches do not know the training pixels.
    changed = cube.copy()
    changed[trained] = 0
    other = inputs.apply(changed, valid, region)
    seen = neighbourhood(mask_of(split.test, truth.shape), 2)
    np.testing.assert_array_equal(one[seen], other[seen])
    # Without the region it would flow.
    assert (inputs.apply(cube, valid)[seen] != one[seen]).any()


def test_overlapping_patches_have_no_region():
    truth = np.arange(144).reshape(12, 12).astype(np.int32) % 2 + 1
    split = make_split(
        truth, SplitPlan("random", frac=0.1), seed=0, run=0, patch_side=5
    )
    assert guarded_region(split, 5, truth.shape) is None


def test_inputs_are_saved_whole(field):
    valid = np.ones(field.shape[:2], bool)
    config = TrainConfig("x", patch=3, components="mnf", channels=2, diffuse="1,4")
    inputs = fit_inputs(field, valid, valid, config)
    again = Inputs.from_saved(inputs.arrays(), inputs.described())
    np.testing.assert_array_equal(again.apply(field, valid), inputs.apply(field, valid))


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"diffuse": "60,12"}, "ascending times"),
        ({"diffuse": "0"}, "ascending times"),
        ({"diffuse": "far"}, "--diffuse far"),
        ({"diffuse": "5000"}, "up to 1000"),
        ({"diffuse": "none", "edges": 2.0}, "--edges is of diffusion"),
        ({"model": "svm", "edges": 2.0}, "--edges is of diffusion"),
        ({"components": "ica"}, "ica"),
    ],
)
def test_wrong_options(given, says):
    with pytest.raises(UsageError, match=says):
        make_config({"dataset": "x", **given}, {})


def test_fewer_bands_than_fractions():
    assert TrainConfig("x", components="mnf").input_channels(9) == 9
    assert TrainConfig("x", components="mnf", diffuse="1,2").input_channels(200) == 60
    assert TrainConfig("x", channels=5).input_channels(200) == 5
    assert TrainConfig("x").input_channels(200) == 200


def test_single_pixels_are_fitted_to_their_neighbours_and_that_counts_as_a_leak():
    assert TrainConfig("x", patch=1).fitted_patch == 1
    assert TrainConfig("x", patch=1, diffuse="4").fitted_patch == 3
    assert TrainConfig("x", patch=1, components="mnf").fitted_patch == 3
    assert TrainConfig("x", patch=5, components="mnf").fitted_patch == 5


def test_bands_that_do_not_vary_in_the_fit_have_no_part():
    rng = np.random.default_rng(3)
    spectra, steps = rng.normal(size=(90, 4)), rng.normal(size=(150, 4))
    spectra[:, 2], steps[:, 2] = 7.0, 0.0
    directions = noise_fractions(spectra - spectra.mean(axis=0), steps, 4)
    assert np.isfinite(directions).all()
    assert not directions[2].any()
    assert directions[[0, 1, 3], :3].any(axis=0).all()


def test_all_bands_tell_neighbours_apart_where_there_are_no_components():
    cube = np.zeros((6, 8, 40))
    cube += np.random.default_rng(4).normal(0, 0.1, cube.shape)
    cube[:, 4:, 30:] += 5  # an edge that the first bands do not show
    everywhere = np.ones((6, 8), bool)
    config = TrainConfig("x", diffuse="60", scaling="none")
    inputs = fit_inputs(cube, everywhere, everywhere, config)
    found = inputs.apply(cube, everywhere)
    assert found[:, 4, 35].mean() - found[:, 3, 35].mean() > 4.9


def test_groups_of_channels_flow_as_all_at_once(field, monkeypatch):
    valid = np.ones(field.shape[:2], bool)
    whole = diffuse(field, valid, HEAT)
    monkeypatch.setattr("hsijax.preprocessing.diffusion.AT_ONCE", 14 * 11 * 4 * 2)
    np.testing.assert_allclose(diffuse(field, valid, HEAT), whole, atol=1e-6)


def test_at_most_so_many_steps_of_a_large_scene():
    cube = np.random.default_rng(5).normal(size=(240, 240, 1))
    steps = neighbour_steps(cube, np.ones((240, 240), bool))
    assert 30_000 < len(steps) <= 50_000
    assert steps.std() == pytest.approx(2**0.5, rel=0.02)


def test_few_differences_are_not_taken_for_the_whole_noise():
    """Without its floor the largest ratio of 20 quiet ones in 50 bands is 5,700."""
    rng = np.random.default_rng(6)
    spectra, steps = rng.normal(size=(500, 50)), rng.normal(size=(4000, 50))
    directions = noise_fractions(spectra - spectra.mean(axis=0), steps[:40], 50)
    unseen = np.square(steps[40:] @ directions).mean(axis=0)
    assert unseen.max() / unseen.min() < 30


def test_pixels_that_lack_some_bands_are_not_fitted_to(caplog):
    """A no-data value in one band of a pixel inside a training patch."""
    rng = np.random.default_rng(7)
    cube = rng.normal(100, 5, (20, 20, 6)).astype(np.float32)
    chosen = np.zeros((20, 20), bool)
    chosen[4:16:3, 4:16:3] = True
    config = TrainConfig("x", patch=5, components="mnf", channels=3, diffuse="2")
    cube[10, 12] = -9999
    without = fit_inputs(*make_scene(cube, nodata=-9999.0).load(), chosen, config)
    cube[10, 12, 1:] = 100
    inputs = fit_inputs(*make_scene(cube, nodata=-9999.0).load(), chosen, config)
    assert inputs.diffusion == without.diffusion
    for name, array in inputs.arrays().items():
        np.testing.assert_array_equal(array, without.arrays()[name])
    caplog.clear()
    spoilt = fit_inputs(*make_scene(cube).load(), chosen, config)
    assert spoilt.diffusion != without.diffusion


@pytest.mark.parametrize("pixels", [1, 6])
def test_scarce_noise_is_said(caplog, pixels):
    """40 pairs of neighbours around each pixel; half of them tell the noise."""
    cube = np.random.default_rng(8).normal(size=(30, 30, 50))
    chosen = np.zeros((30, 30), bool)
    chosen[2 : 5 * pixels : 5, 12] = True
    config = TrainConfig("x", patch=5, components="mnf", channels=3)
    fit_inputs(cube, np.ones((30, 30), bool), chosen, config)
    said = "noise of 50 bands is fitted to half of 40 pairs of neighbours"
    assert (said in caplog.text) == (pixels == 1)
