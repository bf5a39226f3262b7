"""NumPy files, mapped or listed, and those that are refused."""

import pickle

import numpy as np
import pytest

from hsijax.errors import HsijaxError
from hsijax.io import open_file, read_cube

CUBE = np.arange(60, dtype=np.uint16).reshape(3, 4, 5)


@pytest.mark.parametrize("order", ["C", "F"])
def test_npy_is_read_window_by_window(tmp_path, order):
    np.save(tmp_path / "a.npy", np.asarray(CUBE, order=order))
    cube = read_cube(tmp_path / "a.npy").cube
    assert (cube.shape, cube.dtype) == ((3, 4, 5), np.uint16)
    window = cube.read(slice(1, 3), slice(0, 2))
    assert window.base is None  # a copy, not a part of something larger
    np.testing.assert_array_equal(window, CUBE[1:3, 0:2])


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_npz_lists_without_reading(tmp_path, save, monkeypatch):
    path = tmp_path / "a.npz"
    save(path, cube=CUBE, gt=np.ones((3, 4), int))
    with monkeypatch.context() as patch:
        patch.setattr(np, "load", None)
        variables = open_file(path).variables
        assert [str(v) for v in variables] == [
            "'cube' (3 x 4 x 5, uint16)",
            "'gt' (3 x 4, int64)",
        ]
    np.testing.assert_array_equal(read_cube(path).cube.load(), CUBE)


def test_pickle_is_never_opened(tmp_path):
    objects = np.array([{"a": 1}], dtype=object)
    np.save(tmp_path / "objects.npy", objects, allow_pickle=True)
    (tmp_path / "plain.npy").write_bytes(pickle.dumps([1, 2]))
    np.savez(tmp_path / "objects.npz", cube=objects)
    for name in ("objects.npy", "plain.npy", "objects.npz"):
        with pytest.raises(HsijaxError, match=f"{name} holds pickled Python objects"):
            open_file(tmp_path / name).variables[0].read()


@pytest.mark.parametrize("name", ["a.npy", "a.npz"])
def test_cut_short(tmp_path, name):
    path = tmp_path / name
    if name.endswith("y"):
        np.save(path, CUBE)
    else:
        np.savez(path, cube=CUBE)
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(HsijaxError, match=rf"{name} \(\d+ bytes\) is damaged"):
        read_cube(path).cube.load()


def test_archive_named_npy(tmp_path):
    np.savez(tmp_path / "a.npz", cube=CUBE)
    (tmp_path / "a.npz").rename(tmp_path / "a.npy")
    with pytest.raises(HsijaxError, match=r"rename it to a\.npz"):
        open_file(tmp_path / "a.npy")


def test_unknown_format(tmp_path):
    (tmp_path / "a.txt").write_text("1 2 3")
    with pytest.raises(HsijaxError, match=r"no reader for .*a\.txt.*\.mat, \.npy"):
        open_file(tmp_path / "a.txt")
    with pytest.raises(HsijaxError, match="is a folder"):
        open_file(tmp_path)
    with pytest.raises(HsijaxError, match=r"cannot read .*b\.mat: No such file"):
        open_file(tmp_path / "b.mat")
