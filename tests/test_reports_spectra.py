"""Plots of spectra: each in its colour, broken where bands are missing."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pictures import assert_nothing_is_cut, mark, open_rgb, parse_colour

from hsijax.io.spectral_library import SpectralLibrary
from hsijax.reports.drawing import INK, LINE, STAMP
from hsijax.reports.spectra import break_at_gaps, save_spectra_figure
from hsijax.scenes.catalogue.derived import SIMULATED_MIXTURES

RNG = np.random.default_rng(3)
# Ten bands, a gap of 500 nm, ten bands.
WAVELENGTHS = np.concatenate([np.arange(400.0, 900, 10), np.arange(1400.0, 1900, 10)])
FLAT = SpectralLibrary(("one",), np.full((1, 100), 0.5), WAVELENGTHS)
LEGEND = 1200  # px; where it begins, or further to the right
GREEN, BLUE = (0, 158, 115), (0, 114, 178)  # of the first two spectra


def draw(path: Path, library: SpectralLibrary, **options) -> np.ndarray:
    save_spectra_figure(path, library, title=r"A scene $\bad$", **options)
    return open_rgb(path)


def longest_line(image: np.ndarray, colour: tuple[int, ...]) -> np.ndarray:
    """Return where the row that has most of a colour has it, left of the legend."""
    marked = mark(image[:, :LEGEND], colour)
    return marked[marked.sum(axis=1).argmax()]


def longest_hole(line: np.ndarray) -> int:
    """Return the widest gap between two places."""
    return int(np.diff(np.flatnonzero(line)).max())


def test_line_is_broken_where_bands_are_missing(tmp_path):
    line = longest_line(draw(tmp_path / "a.png", FLAT), GREEN)
    assert line.sum() > 600
    assert 350 < longest_hole(line) < 500
    whole = replace(FLAT, wavelengths=np.linspace(400, 1900, 100))
    line = longest_line(draw(tmp_path / "b.png", whole), GREEN)
    assert longest_hole(line) < 5


def test_band_numbers_stand_where_wavelengths_are_unknown(tmp_path):
    line = longest_line(
        draw(tmp_path / "a.png", replace(FLAT, wavelengths=None)), GREEN
    )
    assert longest_hole(line) < 5


def test_steps_that_change_slowly_are_no_gap():
    """Beckman spectrometers step 2 nm in the visible and 20 nm in the infrared."""
    wavelengths = np.cumsum(np.concatenate([np.full(50, 2.0), np.full(50, 20.0)]))
    places, _ = break_at_gaps(wavelengths, np.ones((1, 100)))
    # The one step where they change may count, no other.
    assert len(places) <= 101


def test_unsorted_bands_are_drawn_in_order(tmp_path):
    order = RNG.permutation(100)
    ramp = replace(FLAT, spectra=np.linspace(0, 1, 100)[np.newaxis])
    shuffled = replace(
        ramp, spectra=ramp.spectra[:, order], wavelengths=WAVELENGTHS[order]
    )
    one, other = (
        draw(tmp_path / f"{n}.png", lib) for n, lib in enumerate((ramp, shuffled))
    )
    assert np.array_equal(one, other)


def test_few_bands_have_dots(tmp_path):
    """The six bands of Landsat lie far apart, and each is seen."""
    wavelengths = np.array([480.0, 560, 655, 865, 1610, 2200])
    few = SpectralLibrary(("one",), np.full((1, 6), 0.5), wavelengths)
    image = draw(tmp_path / "a.png", few)
    assert longest_hole(longest_line(image, GREEN)) < 5
    heights = mark(image, GREEN).sum(axis=0)
    high = heights[:LEGEND] > 6  # a dot is higher than the line
    assert np.count_nonzero(np.diff(high.astype(int)) == 1) == 5


def test_reference_is_dashed_in_the_colour_of_its_row(tmp_path):
    two = replace(
        FLAT,
        names=("one", "other"),
        spectra=np.array([[0.2], [0.4]]) * np.ones((1, 100)),
        wavelengths=np.linspace(400, 1900, 100),
    )
    known = replace(two, spectra=two.spectra + 0.5)
    image = draw(tmp_path / "a.png", two, reference=known)
    for colour in (GREEN, BLUE):
        lines = mark(image, colour).sum(axis=1)
        rows = np.flatnonzero(lines > 300)
        # Lower on the page is the estimate, whole; higher the reference, dashed.
        upper, lower = lines[rows[0]], lines[rows[-1]]
        assert rows[-1] - rows[0] > 200
        assert 0.4 * lower < upper < 0.8 * lower
    alone = draw(tmp_path / "b.png", two)
    assert mark(alone, parse_colour(INK)).sum() < mark(image, parse_colour(INK)).sum()


@pytest.mark.parametrize("name", ["one", "Material with a long name, number 1"])
def test_long_stamp_and_title_are_not_cut(tmp_path, name):
    red = parse_colour(STAMP)
    library = replace(FLAT, names=(name,))
    assert not mark(draw(tmp_path / "a.png", library), red).any()
    title = "a scene with quite a long name, " * 5
    save_spectra_figure(
        tmp_path / "a.png", library, title=title, stamp=SIMULATED_MIXTURES.simulated
    )
    image = open_rgb(tmp_path / "a.png")
    assert_nothing_is_cut(image)
    lines = mark(image, red).any(axis=1)
    assert np.count_nonzero(np.diff(lines.astype(int)) == 1) >= 3


def test_reference_of_another_length_is_refused(tmp_path):
    two = replace(FLAT, names=("a", "b"), spectra=np.ones((2, 100)))
    with pytest.raises(ValueError, match="zip"):
        draw(tmp_path / "a.png", FLAT, reference=two)


def test_hundreds_are_drawn_with_their_mean(tmp_path):
    count = 300
    values = RNG.uniform(0.1, 0.4, (count, 1)) * np.ones((1, 100))
    values[0, 3] = np.nan
    many = SpectralLibrary(tuple(map(str, range(count))), values, WAVELENGTHS)
    image = draw(tmp_path / "a.png", many)
    assert image.shape == (840, 1600, 3)
    assert longest_line(image, parse_colour(INK)).sum() > 400
    assert mark(image, parse_colour(LINE)).sum() > 50  # in the legend
    # A class each has a colour, and no mean is drawn.
    classed = replace(many, classes=("soil",) * 150 + ("tree",) * 150)
    image = draw(tmp_path / "b.png", classed)
    for colour in (GREEN, BLUE):
        assert mark(image, colour).sum() > 50
    assert longest_line(image, parse_colour(LINE)).sum() == 0


@pytest.mark.parametrize("count", [12, 40])
def test_legend_names_each_and_is_not_cut(tmp_path, count):
    names = tuple(f"Material with a long name, number {i}" for i in range(count))
    values = np.linspace(0.1, 0.9, count)[:, np.newaxis] * np.ones((1, 100))
    image = draw(tmp_path / "a.png", SpectralLibrary(names, values, WAVELENGTHS))
    for edge in (image[:3], image[-3:], image[:, :3], image[:, -3:]):
        assert (edge == 255).all()
    # As many colours as spectra: each fills a line of the plot.
    packed = image[..., :3].astype(int) @ [65536, 256, 1]
    colours, counts = np.unique(packed, return_counts=True)
    neutral = [c for c in colours if (c >> 16) == (c >> 8) % 256 == c % 256]
    vivid = counts[(counts > 400) & ~np.isin(colours, neutral)]
    assert len(vivid) >= count


def test_usgs_library(shared_data, tmp_path):
    from hsijax.io.spectral_library import read_library

    path = shared_data / "spectral_libraries" / "USGS_1995_Library.mat"
    image = draw(tmp_path / "a.png", read_library(path))
    assert longest_line(image, parse_colour(INK)).sum() > 50
