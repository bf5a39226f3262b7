"""Reference abundances: which array, in which order, and what is refused."""

import h5py
import numpy as np
import pytest
import scipy.io

from hsijax.errors import HsijaxError
from hsijax.io import open_file
from hsijax.io.mat_text import read_texts
from hsijax.scenes.catalogue.sheet import Window
from hsijax.scenes.mixing import draw_abundances, mix
from hsijax.scenes.reference import Target, choose_abundances, read_reference

ENDMEMBERS = np.random.default_rng(0).random((3, 8)) + np.eye(3, 8)
MAPS = draw_abundances((12, 9), 3, seed=0)
CUBE = mix(MAPS, [row[None] for row in ENDMEMBERS], snr=60.0, variability=0.2, seed=0)
TARGET = Target(CUBE, np.ones((12, 9), dtype=bool), np.ones(8, dtype=bool))
COLUMNS = MAPS.transpose(2, 1, 0).reshape(3, -1)  # as MATLAB has it
ROWS = MAPS.transpose(2, 0, 1).reshape(3, -1)
TREE = np.array(["1-tree", "2 - water", "dirt"], dtype=object)


def read(tmp_path, target=TARGET, key=None, names=(), **arrays):
    path = tmp_path / "end3.mat"
    scipy.io.savemat(path, arrays)
    file = open_file(path)
    return read_reference(
        file, choose_abundances(file, target.size, key), target, names
    )


@pytest.mark.parametrize(
    ("stored", "order"),
    [
        (COLUMNS, "pixels column by column"),
        (ROWS, "pixels row by row"),
        (COLUMNS.T, "pixels column by column"),
        (ROWS.T, "pixels row by row"),
        (MAPS, "rows x columns as stored"),
        (MAPS.transpose(1, 0, 2), "rows and columns exchanged"),
        (MAPS.transpose(2, 0, 1), "rows x columns as stored"),
        (MAPS.transpose(2, 1, 0), "rows and columns exchanged"),
    ],
)
def test_every_layout_is_put_in_the_cubes_order(tmp_path, stored, order):
    reference = read(tmp_path, A=stored)
    np.testing.assert_allclose(reference.abundances, MAPS, atol=1e-12)
    assert reference.order.startswith(f"{order} (relative error of the spectra: ")
    assert f" 0.044 {order}" in reference.order
    assert reference.fits
    assert reference.source is not None
    assert reference.source.key == "A"


def test_square_images_are_told_apart_by_the_spectra(tmp_path):
    target = TARGET._replace(cube=CUBE[:9], valid=TARGET.valid[:9])
    for stored in (MAPS[:9], MAPS[:9].transpose(1, 0, 2)):
        reference = read(tmp_path, target, A=stored)
        np.testing.assert_allclose(reference.abundances, MAPS[:9], atol=1e-12)
        assert reference.order.count("0.") == 3  # both errors, and that of the mean


def test_names_and_endmembers_of_the_file(tmp_path):
    reference = read(tmp_path, A=COLUMNS, M=ENDMEMBERS.T, cood=TREE)
    assert reference.names == ("tree", "water", "dirt")
    assert reference.endmembers is not None
    assert reference.endmembers.names == reference.names
    np.testing.assert_array_equal(reference.endmembers.spectra, ENDMEMBERS)
    plain = read(tmp_path, A=COLUMNS, names=("a", "b", "c"))
    assert plain.names == ("a", "b", "c")
    assert plain.endmembers is None
    assert read(tmp_path, A=COLUMNS).names[2] == "endmember 3"
    # Another number of bands: they belong to another cube.
    assert read(tmp_path, A=COLUMNS, M=ENDMEMBERS[:, :5].T).endmembers is None


def test_endmembers_are_brought_to_the_cubes_bands_and_scale(tmp_path):
    good = np.ones(8, dtype=bool)
    good[[2, 5]] = False
    target = TARGET._replace(cube=CUBE[:, :, good], good_bands=good, scale=5000.0)
    for spectra in (ENDMEMBERS, ENDMEMBERS * 5000, ENDMEMBERS[:, good]):
        reference = read(tmp_path, target, A=COLUMNS, M=spectra.T)
        assert reference.endmembers is not None
        np.testing.assert_allclose(reference.endmembers.spectra, ENDMEMBERS[:, good])


def test_named_arrays_come_before_others(tmp_path):
    other = np.full((3, 108), 1 / 3)
    assert read(tmp_path, other=other, A=COLUMNS).fits
    assert read(tmp_path, other=other, S_GT=MAPS).fits
    with pytest.raises(HsijaxError, match=r"several arrays .*'x'.*'y'.*--ground-truth"):
        read(tmp_path, x=other, y=COLUMNS)
    assert read(tmp_path, x=other, y=COLUMNS, key="y").fits
    with pytest.raises(HsijaxError, match="holds no variable 'z'"):
        read(tmp_path, x=other, key="z")


def broken(values, change):
    values = values.copy()
    change(values)
    return values


@pytest.mark.parametrize(
    ("stored", "message"),
    [
        (COLUMNS[:, :-1], r"no abundances of 12 x 9 pixels .*'A' \(3 x 107, float64\)"),
        (COLUMNS * 1.25, "must sum to 1; 108 of 108 do not, the worst sum is 1.25"),
        (broken(COLUMNS, lambda a: a[:, 4].fill(0)), "1 of 108 do not, .* sum is 0"),
        (
            COLUMNS + np.array([[-0.5], [0.25], [0.25]]),
            "must not be negative; the lowest is -0.5",
        ),
        (broken(COLUMNS, lambda a: a[0, :2].fill(np.nan)), "2 pixels hold NaN"),
    ],
)
def test_what_is_no_abundances_is_refused(tmp_path, stored, message):
    with pytest.raises(HsijaxError, match=rf"end3\.mat.* {message}"):
        read(tmp_path, A=stored)


def test_rounding_is_tolerated_and_pixels_without_data_are_not_looked_at(tmp_path):
    rounded = np.round(MAPS, 4) - 1e-5
    valid = TARGET.valid.copy()
    valid[3, 4] = False
    rounded[3, 4] = np.nan
    reference = read(tmp_path, TARGET._replace(valid=valid), A=rounded)
    assert reference.abundances.min() == 0
    assert not reference.abundances[3, 4].any()


def test_abundances_of_another_scene_are_told(tmp_path):
    other = draw_abundances((12, 9), 3, seed=8)
    reference = read(tmp_path, A=other)
    assert not reference.fits


def test_part_of_a_larger_image(tmp_path):
    window = Window(size=(12, 9), rows=(2, 10), cols=(3, 8))
    target = TARGET._replace(
        cube=CUBE[2:10, 3:8], valid=TARGET.valid[2:10, 3:8], window=window
    )
    reference = read(tmp_path, target, A=COLUMNS)
    np.testing.assert_allclose(reference.abundances, MAPS[2:10, 3:8], atol=1e-12)


def test_texts_of_both_versions_of_matlab_files(tmp_path):
    old = tmp_path / "old.mat"
    numbers = np.array([1.0, "a"], dtype=object)
    scipy.io.savemat(old, {"cood": TREE, "mixed": numbers, "one": "soil", "A": COLUMNS})
    expected = {"cood": tuple(TREE), "one": ("soil",)}
    assert read_texts(old) == expected
    with h5py.File(tmp_path / "new.mat", "w") as file:
        cells = file.create_dataset("cood", (1, 3), dtype=h5py.ref_dtype)
        cells.attrs["MATLAB_class"] = np.bytes_("cell")
        for number, text in enumerate(TREE):
            codes = np.array([[ord(letter)] for letter in text], dtype=np.uint16)
            cell = file.create_dataset(f"#refs#/{number}", data=codes)
            cell.attrs["MATLAB_class"] = np.bytes_("char")
            cells[0, number] = cell.ref
        one = file.create_dataset("one", data=[[ord(letter)] for letter in "soil"])
        one.attrs["MATLAB_class"] = np.bytes_("char")
        file["A"] = COLUMNS
    assert read_texts(tmp_path / "new.mat") == expected
    assert read_texts(tmp_path / "x.npy") == {}
