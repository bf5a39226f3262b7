"""Which array is the cube and which the ground truth, by shapes and types."""

import numpy as np
import pytest
import scipy.io

from hsijax.errors import HsijaxError
from hsijax.io import open_file, read_cube
from hsijax.io.choose import NoCubeError, choose_cube
from hsijax.io.ground_truth import (
    GroundTruthSizeError,
    check_ground_truth_size,
    choose_ground_truth,
    find_ground_truth,
    read_ground_truth,
)

CUBE = np.random.default_rng(0).normal(size=(4, 3, 6))
RASTER = np.array([[0, 1, 1], [2, 2, 0], [0, 5, 5], [1, 1, 1]], dtype=np.uint8)


def save(tmp_path, **arrays):
    scipy.io.savemat(tmp_path / "a.mat", arrays)
    return open_file(tmp_path / "a.mat")


def test_pixels_as_columns_are_unfolded_column_by_column(tmp_path):
    columns = CUBE.transpose(2, 1, 0).reshape(6, 12)  # bands x (columns x rows)
    for name, rows, cols in (("Y", "nRow", "nCol"), ("V", "lines", "cols")):
        abundances = np.ones((4, 3, 2)) / 2
        arrays = {name: columns, rows: 4, cols: 3, "S_GT": abundances}
        chosen = choose_cube(save(tmp_path, **arrays))
        assert f"'{name}', pixels as columns, taken as 4 rows x 3" in chosen.note
        np.testing.assert_array_equal(chosen.content.cube.load(), CUBE)


def test_expected_shape_gives_rows_and_columns_and_decides(tmp_path):
    columns = CUBE.transpose(2, 1, 0).reshape(6, 12)
    with pytest.raises(NoCubeError, match=r"'Y' .* looks like pixels as columns"):
        choose_cube(save(tmp_path, Y=columns))
    chosen = choose_cube(save(tmp_path, Y=columns), expected=(4, 3, 6))
    np.testing.assert_array_equal(chosen.content.cube.load(), CUBE)
    two = save(tmp_path, a=CUBE, b=CUBE[:, :, :2])
    assert choose_cube(two, expected=(4, 3, 2)).variable.name == "b"


def test_ambiguous_cube_lists_the_candidates(tmp_path):
    file = save(tmp_path, a=CUBE, b=CUBE.astype(np.float32)[:, :, :2], gt=RASTER)
    with pytest.raises(
        HsijaxError,
        match=r"a\.mat .*'a' \(4 x 3 x 6, float64\), 'b' \(4 x 3 x 2, float32\); "
        "name one with --cube-key",
    ):
        choose_cube(file)
    assert choose_cube(file, "b").content.cube.shape == (4, 3, 2)
    with pytest.raises(HsijaxError, match=r"no variable 'c'; it holds: 'a'.*'gt'"):
        choose_cube(file, "c")
    with pytest.raises(HsijaxError, match=r"'gt' \(4 x 3, uint8\) is no cube"):
        choose_cube(file, "gt")


def test_no_cube_says_what_there_is(tmp_path):
    with pytest.raises(NoCubeError, match=r"holds no cube.*holds: 'gt' \(4 x 3, uint8"):
        choose_cube(save(tmp_path, gt=RASTER))
    with pytest.raises(NoCubeError, match=r"it holds: no array of numbers"):
        choose_cube(save(tmp_path, text="hello"))


@pytest.mark.parametrize("kind", [np.uint8, np.int16, np.float64])
def test_ground_truth_in_the_cubes_own_file(tmp_path, kind):
    heights = CUBE[:, :, 0]  # of the right shape, but broken numbers
    file = save(tmp_path, cube=CUBE, gt=RASTER.astype(kind), heights=heights)
    variable, notes = find_ground_truth(file, choose_cube(file))
    assert variable is not None
    assert (variable.name, notes) == ("gt", ())
    np.testing.assert_array_equal(read_ground_truth(file, variable), RASTER)


def test_two_ground_truths_in_the_cubes_own_file(tmp_path):
    file = save(tmp_path, cube=CUBE, gt=RASTER, train=RASTER)
    with pytest.raises(HsijaxError, match=r"'gt' .*'train' .*--ground-truth .*:KEY"):
        find_ground_truth(file, choose_cube(file))


def test_raster_of_another_size_in_the_cubes_own_file_is_noted(tmp_path):
    padded = np.pad(RASTER, ((0, 1), (1, 1)))
    file = save(tmp_path, cube=CUBE, gt=padded, M=np.ones((6, 2)), x=np.ones((1, 3)))
    variable, notes = find_ground_truth(file, choose_cube(file))
    assert variable is None
    assert notes == (
        "'gt' (5 x 5, uint8) is not used as ground truth: the cube is 4 x 3 pixels",
    )


def test_named_file_with_several_rasters(tmp_path):
    file = save(tmp_path, gt=RASTER, small=RASTER[:2])
    assert choose_ground_truth(file, None, (4, 3)).name == "gt"
    assert choose_ground_truth(file, "small", (4, 3)).name == "small"
    with pytest.raises(HsijaxError, match=r"'gt'.*'small'.*a\.mat:KEY"):
        choose_ground_truth(file, None, None)
    with pytest.raises(HsijaxError, match="holds no ground truth"):
        choose_ground_truth(save(tmp_path, cube=CUBE), None, (4, 3))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (np.nan, "holds NaN at 1 pixels"),
        (-1, r"holds -1.0 at row 2, column 1"),
        (1.5, r"holds 1.5 at row 2, column 1"),
        (70_000, r"holds 70000.0 at row 2, column 1"),
    ],
)
def test_values_that_are_no_classes(tmp_path, changed, message):
    raster = RASTER.astype(float)
    raster[2, 1] = changed
    file = save(tmp_path, gt=raster)
    with pytest.raises(HsijaxError, match=rf"'gt' .* of .*a\.mat {message}"):
        read_ground_truth(file, file.variables[0])


def test_a_raster_of_heights_is_no_ground_truth(tmp_path):
    file = save(tmp_path, dem=np.arange(400).reshape(20, 20))
    with pytest.raises(HsijaxError, match="holds 400 different values"):
        read_ground_truth(file, file.variables[0])


def test_shape_with_a_last_axis_of_one(tmp_path):
    np.save(tmp_path / "gt.npy", RASTER[..., None])
    file = open_file(tmp_path / "gt.npy")
    variable = choose_ground_truth(file, None, (4, 3))
    np.testing.assert_array_equal(read_ground_truth(file, variable), RASTER)
    np.save(tmp_path / "gt.npy", RASTER[None])
    file = open_file(tmp_path / "gt.npy")
    with pytest.raises(HsijaxError, match=r"has the shape 1 x 4 x 3, not rows x col"):
        read_ground_truth(file, file.variables[0])


@pytest.mark.parametrize(
    ("size", "reason"),
    [
        ((3, 4), "it is transposed"),
        ((8, 5), "it is padded by 4 rows and 2 columns"),
        ((3, 6), "the cube has its bands first"),
        ((2, 2), "they must be of the same size"),
    ],
)
def test_wrong_size_is_refused_with_both_shapes(size, reason):
    message = rf"gt\.mat is {size[0]} x {size[1]} pixels, .* 4 x 3 pixels .*: {reason}"
    with pytest.raises(GroundTruthSizeError, match=message):
        check_ground_truth_size(size, (4, 3, 6), "gt.mat")


@pytest.mark.parametrize(
    "name", ["jasper_ridge/jasperRidge2_R198.mat", "jasper_ridge/Jasper_palsson.mat"]
)
def test_jasper_ridge(shared_data, name):
    cube = read_cube(shared_data / name).cube
    assert (cube.shape, cube.dtype) == ((100, 100, 198), np.uint16)
    # The reference abundances, mixed, look like the cube only in this order of pixels.
    truth = scipy.io.loadmat(shared_data / "jasper_ridge/end4.mat")
    maps = truth["A"].reshape(4, 100, 100, order="F").transpose(1, 2, 0)
    values = cube.load() / 5000
    error = np.linalg.norm(values - maps @ truth["M"].T) / np.linalg.norm(values)
    assert error == pytest.approx(0.1745, abs=1e-3)


def test_urban_part(shared_data):
    cube = read_cube(shared_data / "urban/subimage_Urban_R162.mat").cube
    assert (cube.shape, cube.dtype) == ((34, 78, 162), np.float64)


def test_files_of_abundances_hold_no_cube(shared_data):
    with pytest.raises(NoCubeError, match=r"end4_groundTruth\.mat .*'A' \(4 x 94249"):
        read_cube(shared_data / "urban/end4_groundTruth.mat")
