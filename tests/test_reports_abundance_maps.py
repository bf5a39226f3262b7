"""Abundances as pictures and as arrays: each value where it belongs."""

import warnings
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from pictures import assert_nothing_is_cut, find, mark, open_rgb, parse_colour

from hsijax.io.spectral_library import SpectralLibrary
from hsijax.reports.abundance_maps import (
    NO_DATA,
    save_abundance_figure,
    save_residual_figure,
    write_abundance_arrays,
)
from hsijax.reports.colour_scales import read_ramp, round_limit, shade
from hsijax.reports.drawing import STAMP
from hsijax.reports.panels import GRID_PAGE, resize_pixels

RNG = np.random.default_rng(11)
NAMES = ("Tree", r"Soil $\bad$", "Road", "Water")


def make_abundances(rows: int, cols: int, endmembers: int) -> np.ndarray:
    return RNG.dirichlet(np.ones(endmembers), (rows, cols))


def make_valid(rows: int, cols: int) -> np.ndarray:
    valid = np.ones((rows, cols), bool)
    valid[2:5, 3:6] = False
    return valid


def paint(layer, valid, side, ramp="viridis", low=0.0, high=1.0) -> np.ndarray:
    """Colour a layer and enlarge it, so that it can be searched for in a figure."""
    layer = np.where(valid, layer, np.nan)
    image = shade(layer, read_ramp(ramp), low, high, missing=NO_DATA)
    return resize_pixels(image, side, 1024)


def draw(path: Path, estimate, reference=None, valid=None, **options) -> np.ndarray:
    valid = np.ones(estimate.shape[:2], bool) if valid is None else valid
    names = [f"{NAMES[i % 4]} {i}" for i in range(estimate.shape[2])]
    options = {"title": r"A scene $\bad$"} | options
    save_abundance_figure(
        path, estimate, names, reference=reference, valid=valid, **options
    )
    return open_rgb(path)


def test_colours_are_those_of_the_values():
    values = RNG.uniform(-0.2, 0.2, (9, 9))
    ours = shade(values, read_ramp("RdBu_r"), -0.2, 0.2)
    theirs = matplotlib.colormaps["RdBu_r"]((values + 0.2) / 0.4)[..., :3] * 255
    assert np.abs(ours - theirs).max() < 6
    ends = shade(np.array([[-9.0, 9.0, 0.0]]), read_ramp("RdBu_r"), -0.2, 0.2)[0]
    assert ends[0].tolist() == [5, 48, 97]
    assert ends[1].tolist() == [103, 0, 31]
    assert ends[2].min() > 240


@pytest.mark.parametrize("scale", [1e-4, 0.03, 0.5, 7.0, 300.0])
def test_limits_are_round_and_large_enough(scale):
    values = RNG.normal(0, scale, 1000)
    limit = round_limit(values)
    assert f"{limit:.0e}"[0] in "125"
    assert float(f"{limit:.0e}") == limit
    assert (np.abs(values) <= limit).mean() >= 0.99
    assert round_limit(values * 0) == 1.0
    assert round_limit(np.eye(1, 1000) * scale) >= scale


@pytest.mark.parametrize(("shape", "side"), [((20, 30), 400), ((300, 40), 300)])
def test_figure_has_reference_estimate_and_difference_of_each(tmp_path, shape, side):
    reference = make_abundances(shape[0], shape[1], 4)
    estimate = reference + RNG.uniform(-0.018, 0.018, reference.shape)
    valid = make_valid(shape[0], shape[1])
    image = draw(tmp_path / "a.png", estimate, reference, valid)
    assert_nothing_is_cut(image)
    scale = ("RdBu_r", -0.02, 0.02)
    places = []
    for index in range(4):
        known, found = reference[..., index], estimate[..., index]
        parts = [paint(layer, valid, side) for layer in (known, found)]
        parts.append(paint(found - known, valid, side, *scale))
        where = [find(image, part) for part in parts]
        assert [len(once) for once in where] == [1, 1, 1]
        places.append([once[0] for once in where])
    tops, lefts = np.moveaxis(np.array(places), 2, 0)
    # Three of one height in each row, one beside the other.
    assert (tops == tops[:, :1]).all()
    assert (np.diff(lefts, axis=1) > 0).all()
    assert len(set(zip(tops[:, 0], lefts[:, 0], strict=True))) == 4


def test_each_row_has_the_error_of_its_endmember(tmp_path):
    """Only the words that name an error differ between these two figures."""
    reference = np.full((50, 50, 2), 0.5)
    wrong = reference + np.array([0.5, -0.5])
    images = [
        draw(tmp_path / "a.png", estimate, reference, title="")
        for estimate in (reference, wrong)
    ]
    assert images[0].shape == images[1].shape
    left = [image[:, : image.shape[1] // 20] for image in images]
    assert not np.array_equal(left[0], left[1])


def test_twelve_endmembers_stand_in_two_blocks(tmp_path):
    reference = make_abundances(40, 40, 12)
    image = draw(tmp_path / "a.png", reference, reference)
    assert_nothing_is_cut(image)
    assert 0.7 < image.shape[0] / image.shape[1] < 1.5
    # One after the other, from left to right and then down.
    ones = np.ones((40, 40), bool)
    drawn = [paint(reference[..., index], ones, 300) for index in (0, 1, 2, 11)]
    places = [find(image, part) for part in drawn]
    assert {len(found) for found in places} == {2}  # reference and estimate
    zero, one, two, last = (found[0] for found in places)
    assert zero[0] == one[0] < two[0] < last[0]
    assert zero[1] == two[1] < one[1] == last[1]


def test_estimates_stand_alone_without_a_reference(tmp_path):
    estimate = make_abundances(40, 40, 4)
    valid = make_valid(40, 40)
    image = draw(tmp_path / "a.png", estimate, valid=valid)
    for index in range(4):
        assert len(find(image, paint(estimate[..., index], valid, 800))) == 1
    assert mark(image, NO_DATA, 0).sum() == 4 * 9 * 20**2


def test_most_abundant_of_many_are_drawn(tmp_path):
    """A library of hundreds would make a page that nobody can open."""
    estimate = np.concatenate(
        [np.full((9, 9, 40), 1e-4), make_abundances(9, 9, 24)], axis=2
    )
    image = draw(tmp_path / "a.png", estimate)
    assert image.shape[0] < 3000
    ones = np.ones((9, 9), bool)
    assert all(find(image, paint(estimate[..., i], ones, 300)) for i in (40, 63))


def test_pixels_without_an_estimate_are_grey_and_not_measured(tmp_path):
    reference = make_abundances(20, 20, 2)
    estimate = reference.copy()
    estimate[0, 0] = np.nan
    image = draw(tmp_path / "a.png", estimate, reference)
    assert mark(image, NO_DATA, 0).sum() == 2 * 3 * (GRID_PAGE // 3 // 20 + 1) ** 2


def test_scene_without_data_is_drawn(tmp_path):
    zeros = np.zeros((10, 10, 2))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        image = draw(tmp_path / "a.png", zeros, valid=np.zeros((10, 10), bool))
    assert mark(image, NO_DATA, 0).any()


def test_stamp_is_red_and_long_ones_are_wrapped(tmp_path):
    estimate = make_abundances(10, 10, 2)
    red = parse_colour(STAMP)
    plain = draw(tmp_path / "a.png", estimate)
    sentence = "Simulated scene: real abundances, spectra drawn from bundles. " * 5
    stamped = draw(tmp_path / "b.png", estimate, stamp=sentence)
    assert not mark(plain, red).any()
    assert mark(stamped, red).any()
    assert_nothing_is_cut(stamped)
    assert stamped.shape[1] < 1.3 * plain.shape[1]
    assert stamped.shape[0] > plain.shape[0]


def test_residuals_have_scales_of_their_own(tmp_path):
    rmse = RNG.uniform(0, 0.01, (30, 30))
    angle = RNG.uniform(0, 0.18, (30, 30))
    valid = make_valid(30, 30)
    path = tmp_path / "a.png"
    save_residual_figure(path, rmse, angle, valid, "A scene", stamp="Simulated.")
    image = open_rgb(path)
    assert_nothing_is_cut(image)
    for layer, limit in ((rmse, 0.01), (angle, 0.2)):
        part = paint(layer, valid, 700, "magma", 0.0, limit)
        assert len(find(image, part)) == 1
    assert mark(image, parse_colour(STAMP)).any()


def test_arrays_come_back_without_pickle(tmp_path):
    path = tmp_path / "abundances.npz"
    abundances = make_abundances(3, 4, 2)
    library = SpectralLibrary(
        ("Bäume", "Soil"),
        RNG.random((2, 5)),
        wavelengths=np.linspace(400, 800, 5),
        pixels=np.array([[0, 1], [2, 3]]),
    )
    notes = ["simulated scene", "trained on simulated mixtures"]
    write_abundance_arrays(path, abundances, library.names, library, notes)
    always = {"abundances", "names", "notes"}
    with np.load(path, allow_pickle=False) as file:
        assert set(file) == {*always, "spectra", "wavelengths", "pixels"}
        assert file["notes"].tolist() == notes
        np.testing.assert_array_equal(file["abundances"], abundances)
        np.testing.assert_array_equal(file["spectra"], library.spectra)
        assert file["names"].tolist() == ["Bäume", "Soil"]
        assert file["pixels"].tolist() == [[0, 1], [2, 3]]
    write_abundance_arrays(path, abundances, ["a", "b"])
    with np.load(path, allow_pickle=False) as file:
        assert set(file) == always
        assert file["notes"].shape == (0,)


def test_jasper_ridge_panel(shared_data, tmp_path):
    """The reference maps stand in the figure as the file has them, column-major."""
    import scipy.io

    file = scipy.io.loadmat(shared_data / "jasper_ridge" / "end4.mat")
    reference = file["A"].reshape(4, 100, 100, order="F").transpose(1, 2, 0)
    image = draw(tmp_path / "a.png", reference, reference)
    ones = np.ones((100, 100), bool)
    for index in range(4):
        assert len(find(image, paint(reference[..., index], ones, 400))) == 2
