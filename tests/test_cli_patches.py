"""`hsijax patches`: what is in the files, and how much memory writing them takes."""

import errno
import json
import sys
import tracemalloc
from types import SimpleNamespace

import numpy as np
import pytest
from typer.testing import CliRunner

from hsijax.cli import app
from hsijax.errors import HsijaxError
from hsijax.experiments import extract_patches
from hsijax.io.patch_files import WRITERS
from hsijax.preprocessing import apply, fit_preprocessing
from hsijax.splits import load_splits

ROWS, COLS, BANDS, SIDE = 24, 20, 6, 5
CUBE = np.random.default_rng(0).integers(1, 99, (ROWS, COLS, BANDS)).astype(np.int16)
FIELDS = np.kron([[1, 7, 1], [7, 0, 9], [1, 9, 7]], np.ones((8, 8)))
GROUND_TRUTH = FIELDS[:, :COLS].astype(np.int32)


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def scene(tmp_path):
    """Write a cube and its ground truth; return the arguments that name them."""
    np.save(tmp_path / "field.npy", CUBE)
    np.save(tmp_path / "truth.npy", GROUND_TRUTH.astype(np.uint8))
    return [tmp_path / "field.npy", "--ground-truth", tmp_path / "truth.npy"]


@pytest.fixture
def split_file(scene, tmp_path):
    out = tmp_path / "split.npz"
    done = run("split", *scene, "--count", 20, "--val-frac", 0.2, "--out", out)
    assert done.exit_code == 0, done.stderr
    return out


def read(path):
    """Return the arrays and the names of either kind of file."""
    if path.suffix == ".npz":
        with np.load(path, allow_pickle=False) as archive:
            arrays = dict(archive)
        names = {
            key: arrays.pop(key).tolist() for key in ("split_names", "class_names")
        }
        return arrays, names
    zarr = pytest.importorskip("zarr")
    group = zarr.open_group(path, mode="r")
    arrays = {name: np.asarray(array[...]) for name, array in group.arrays()}
    return arrays, dict(group.attrs)


@pytest.mark.parametrize("suffix", sorted(WRITERS))
def test_every_labelled_pixel_in_either_format(scene, tmp_path, monkeypatch, suffix):
    # Some 40 patches a chunk: the last one is short.
    monkeypatch.setattr(extract_patches, "CHUNK", 40 * 4 * SIDE * SIDE * BANDS)
    out = tmp_path / f"patches{suffix}"
    done = run("patches", *scene, "--size", SIDE, "--out", out, "--json")
    assert done.exit_code == 0, done.stderr
    arrays, names = read(out)
    pixels = np.argwhere(GROUND_TRUTH > 0)
    assert np.array_equal(arrays["pixels"], pixels)
    ids = GROUND_TRUTH[pixels[:, 0], pixels[:, 1]]
    assert np.array_equal(arrays["class_ids"], ids)
    assert np.array_equal(arrays["labels"], np.searchsorted([1, 7, 9], ids))
    assert names["class_names"] == ["class 1", "class 7", "class 9"]
    assert not arrays["split"].any()
    assert names["split_names"][0] == "unused"
    padded = np.pad(CUBE, [(2, 2), (2, 2), (0, 0)], mode="reflect")
    expected = [padded[r : r + SIDE, c : c + SIDE] for r, c in pixels]
    assert arrays["patches"].dtype == np.float32
    assert np.array_equal(arrays["patches"], expected)
    report = json.loads(done.stdout)
    assert report["shape"] == list(arrays["patches"].shape)
    assert report["bytes"] == arrays["patches"].nbytes


def test_roles_and_preprocessing_come_from_the_split(scene, split_file, tmp_path):
    out = tmp_path / "patches.npz"
    done = run(
        *("patches", *scene, "--size", 3, "--split", split_file, "--out", out),
        *("--channels", 2, "--scaling", "standard", "--padding", "zero"),
    )
    assert done.exit_code == 0, done.stderr
    assert "416 x 3 x 3 x 2 float32 patches" in done.stdout
    arrays, names = read(out)
    (split,) = load_splits(split_file, GROUND_TRUTH).splits
    for code, role in enumerate(names["split_names"]):
        chosen = arrays["pixels"][arrays["split"] == code]
        expected = [] if role == "unused" else getattr(split, role).tolist()
        assert chosen.tolist() == expected
    spectra = CUBE.astype(np.float32)
    train = spectra[split.train[:, 0], split.train[:, 1]]
    fitted = fit_preprocessing(train, scaling="standard", components=2)
    channels = apply(fitted, spectra, np.ones((ROWS, COLS), dtype=bool))
    row, col = arrays["pixels"].T
    np.testing.assert_array_equal(arrays["patches"][:, 1, 1], channels[row, col])
    corner = arrays["patches"][0]  # of pixel (0, 0)
    assert not corner[0].any()
    assert not corner[:, 0].any()


def test_split_only(scene, tmp_path):
    blocks, out = tmp_path / "blocks.npz", tmp_path / "patches.npz"
    run("split", *scene, "--frac", 0.05, "--blocks", "--patch", 5, "--out", blocks)
    options = ("patches", *scene, "--size", 5, "--split", blocks, "--overwrite")
    run(*options, "--out", out)
    everything = read(out)[0]["split"]
    assert (everything == 0).sum() > 0
    run(*options, "--out", out, "--split-only")
    assert (read(out)[0]["split"] > 0).all()


def test_fitting_on_test_pixels_is_said(scene, tmp_path):
    out = tmp_path / "patches.npz"
    done = run(
        "patches", *scene, "--size", 3, "--scaling", "minmax", "--out", out, "-q"
    )
    assert "warning: without --split" in done.stderr
    assert 0 <= read(out)[0]["patches"].min() < read(out)[0]["patches"].max() <= 1


@pytest.mark.parametrize("suffix", sorted(WRITERS))
def test_memory_does_not_grow_with_the_patches(tmp_path, monkeypatch, suffix):
    monkeypatch.setattr(extract_patches, "CHUNK", 2**20)
    cube = np.ones((60, 60, 20), dtype=np.float32)  # 0.3 MB
    np.save(tmp_path / "field.npy", cube)
    np.save(tmp_path / "truth.npy", np.kron([[1, 2]], np.ones((60, 30), dtype=int)))
    scene = (tmp_path / "field.npy", "--ground-truth", tmp_path / "truth.npy")
    out = tmp_path / f"patches{suffix}"
    run("patches", *scene, "--size", 1, "--out", tmp_path / "warm.npz")  # imports
    tracemalloc.start()
    done = run("patches", *scene, "--size", 15, "--out", out)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert done.exit_code == 0, done.stderr
    assert "(64.8 MB)" in done.stderr
    assert peak < 12e6


@pytest.mark.parametrize("suffix", sorted(WRITERS))
def test_full_disk_leaves_nothing_behind(tmp_path, suffix):
    def chunks():
        yield np.zeros((2, 3, 3, 1), dtype=np.float32)
        raise OSError(errno.ENOSPC, "No space left on device")

    out = tmp_path / f"patches{suffix}"
    with pytest.raises(HsijaxError, match="the disk is full"):
        WRITERS[suffix](out, (4, 3, 3, 1), chunks(), {}, {})
    assert list(tmp_path.iterdir()) == []


def test_too_small_a_disk_is_noticed_first(scene, tmp_path, monkeypatch):
    monkeypatch.setattr(
        extract_patches.shutil, "disk_usage", lambda _: SimpleNamespace(free=10**5)
    )
    done = run("patches", *scene, "--size", 9, "--out", tmp_path / "new" / "p.npz")
    assert done.exit_code == 1
    assert "would take 0.0 GB and 0.0 GB are free" in done.stderr
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("suffix", sorted(WRITERS))
def test_overwriting(scene, tmp_path, suffix):
    out = tmp_path / f"patches{suffix}"
    assert run("patches", *scene, "--size", 3, "--out", out).exit_code == 0
    again = ("patches", *scene, "--size", 1, "--out", out)
    refused = run(*again)
    assert refused.exit_code == 2
    assert "give --overwrite" in refused.stderr
    assert read(out)[0]["patches"].shape[1] == 3
    assert run(*again, "--overwrite").exit_code == 0
    assert read(out)[0]["patches"].shape[1] == 1
    assert not list(tmp_path.glob(".*"))


def test_without_zarr(scene, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "zarr", None)
    done = run("patches", *scene, "--size", 3, "--out", tmp_path / "patches.zarr")
    assert done.exit_code == 1
    assert "hsijax[zarr]" in done.stderr


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (["--size", 4], 2, "odd"),
        (["--size", 21], 2, "larger than the scene of 24 x 20"),
        (["--size", 3, "--out", "patches.h5"], 2, "patches.npz or patches.zarr"),
        (["--size", 3, "--scaling", "mimax"], 2, "did you mean 'minmax'"),
        (["--size", 3, "--channels", 7], 2, "--channels must be 6 or less"),
        (["--size", 3, "--split", "none.npz"], 1, "cannot read none.npz"),
    ],
)
def test_mistakes(scene, tmp_path, monkeypatch, options, code, words):
    monkeypatch.chdir(tmp_path)
    done = run("patches", *scene, "--out", "patches.npz", *options)
    assert done.exit_code == code
    assert words in done.stderr
    assert not list(tmp_path.glob("patches.*"))


def test_run_that_the_split_file_lacks(scene, split_file, tmp_path):
    done = run(
        *("patches", *scene, "--size", 3, "--split", split_file, "--run", 1),
        *("--out", tmp_path / "patches.npz"),
    )
    assert done.exit_code == 2
    assert "--run 1:" in done.stderr
    assert "holds runs 0 to 0" in done.stderr
