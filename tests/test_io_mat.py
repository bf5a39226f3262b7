"""MATLAB files of both kinds, and what is no MATLAB file."""

from pathlib import Path

import h5py
import numpy as np
import pytest
import scipy.io
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from hsijax.errors import HsijaxError
from hsijax.io import open_file, read_cube

DTYPES = st.sampled_from(["u1", "i2", "u2", "i4", "f4", "f8"])
CUBES = npst.arrays(
    DTYPES, npst.array_shapes(min_dims=3, max_dims=3, min_side=2, max_side=6)
)


def write_v73(path: Path, **arrays: np.ndarray) -> None:
    """Write what MATLAB's `save -v7.3` writes: reversed axes, a 512-byte head."""
    with h5py.File(path, "w", userblock_size=512) as file:
        for name, array in arrays.items():
            dataset = file.create_dataset(name, data=array.T)
            dataset.attrs["MATLAB_class"] = np.bytes_(b"double")
    with path.open("r+b") as stream:
        stream.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64")


@given(cube=CUBES, compress=st.booleans())
@settings(max_examples=25, deadline=None)
def test_both_versions_read_the_same_array(tmp_path_factory, cube, compress):
    folder = tmp_path_factory.mktemp("mat")
    scipy.io.savemat(folder / "5.mat", {"cube": cube}, do_compression=compress)
    write_v73(folder / "7.mat", cube=cube)
    for path in (folder / "5.mat", folder / "7.mat"):
        found = read_cube(path).cube
        assert found.shape == cube.shape
        assert found.dtype == cube.dtype
        np.testing.assert_array_equal(found.load(), cube)
        window = found.read(slice(1, 2), slice(0, 2))
        np.testing.assert_array_equal(window, cube[1:2, 0:2])


def test_v73_is_read_window_by_window(tmp_path, monkeypatch):
    cube = np.arange(60.0).reshape(3, 4, 5)
    write_v73(tmp_path / "7.mat", cube=cube)
    lazy = read_cube(tmp_path / "7.mat").cube
    read = []
    getitem = h5py.Dataset.__getitem__

    def watch(dataset, window, *rest):
        read.append(window)
        return getitem(dataset, window, *rest)

    monkeypatch.setattr(h5py.Dataset, "__getitem__", watch)
    lazy.read(slice(0, 1), slice(2, 4))
    assert read == [(..., slice(2, 4), slice(0, 1))]


def test_type_is_that_of_the_stored_numbers(shared_data):
    # MATLAB calls them double; the file stores 16-bit integers.
    (variable,) = open_file(shared_data / "salinas_a/SalinasA_corrected.mat").variables
    assert variable.shape == (83, 86, 204)
    assert variable.dtype == np.int16
    assert variable.read().dtype == np.int16


def test_every_real_file_has_the_type_that_it_says(shared_data):
    paths = [
        path
        for path in sorted(shared_data.glob("*/*.mat"))
        if "TRUNCATED" not in path.name
    ]
    assert len(paths) >= 10
    for path in paths:
        for variable in open_file(path).variables:
            values = variable.read()
            assert (values.dtype, values.shape) == (variable.dtype, variable.shape)


def test_v73_of_a_real_scene(shared_data):
    cube = read_cube(shared_data / "pavia_centre/pavia_crop100_v73.mat").cube
    assert cube.shape == (100, 100, 102)
    with h5py.File(shared_data / "pavia_centre/pavia_crop100_v73.mat") as file:
        spectrum = np.asarray(file["data"])[:, 7, 42]  # bands, columns, rows
    np.testing.assert_array_equal(cube.read(slice(42, 43), slice(7, 8))[0, 0], spectrum)


def test_cells_structures_and_text_are_no_arrays(tmp_path):
    contents = {"text": "field", "info": {"a": 1}, "cube": np.ones((2, 3, 4))}
    scipy.io.savemat(tmp_path / "a.mat", contents)
    assert [v.name for v in open_file(tmp_path / "a.mat").variables] == ["cube"]


def test_truncated_file_is_named(shared_data):
    path = shared_data / "salinas/Salinas_corrected.TRUNCATED.mat"
    cube = read_cube(path).cube
    assert cube.shape == (512, 217, 204)
    with pytest.raises(HsijaxError, match=r"TRUNCATED\.mat \(1,097,728 b.* is damaged"):
        cube.load()


def test_truncated_v73_is_named(tmp_path):
    path = tmp_path / "7.mat"
    write_v73(path, cube=np.random.default_rng(0).normal(size=(20, 20, 20)))
    path.write_bytes(path.read_bytes()[:9000])
    with pytest.raises(HsijaxError, match=r"7\.mat \(9,000 bytes\) is damaged"):
        read_cube(path).cube.load()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\n<!DOCTYPE html><html>Not found", "is a web page, not data"),
        (b"<HTML><BODY>", "is a web page, not data"),
        (b"version https://git-lfs.github.com/spec/v1\n", "is a git-lfs pointer"),
        (b"", "is empty"),
        (b"\0" * 300, "is damaged, cut short or no MATLAB file"),
        (b"MATLAB 5.0 MAT-file" + b" " * 107 + b"\0\1IM" + b"\xff" * 50, "is damaged"),
    ],
)
def test_what_is_no_matlab_file(tmp_path, content, message):
    path = tmp_path / "scene.mat"
    path.write_bytes(content)
    with pytest.raises(HsijaxError, match=f"scene.mat .*{message}"):
        open_file(path)
