"""Bad input on the command line: a clear line, its exit code, and nothing left."""

import contextlib
import resource
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
import rasterio
import rasterio.shutil
from small_run import SMALL_TRAINING
from typer.testing import CliRunner

from hsijax.cli import app

SCENE = "--dataset scene.npy --ground-truth labels.npy"
TRAIN = f"train {SMALL_TRAINING.replace('--out run', '--out new')}".replace(SCENE, "")
SPLIT = "split --frac 0.2 --out new.npz"
UNMIX = "unmix --model fcls --endmembers vca --count 2 --quiet --out new"
EXTRACT = "endmembers --count 2 --quiet --out new"


def run(text: str, limit: int | None = None):
    """Run a command; `limit` is the largest file in bytes that the system allows."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    if limit is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
    try:
        return CliRunner().invoke(app, text.split())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def write_tif(
    path: str, bands: np.ndarray, crs: str | None = "EPSG:32633", left=0, **profile
):
    """Write `[bands rows cols]` on a grid of 10 m."""
    count, height, width = bands.shape
    place = {"crs": crs, "transform": rasterio.Affine(10, 0, left, 0, -10, 0)}
    size = {"count": count, "height": height, "width": width, "dtype": bands.dtype}
    with rasterio.open(path, "w", driver="GTiff", **size, **place, **profile) as file:
        file.write(bands)


@pytest.fixture(scope="module")
def files(small_run, tmp_path_factory) -> Path:
    """All the bad files, and a copy of a good run."""
    folder = tmp_path_factory.mktemp("bad")
    shutil.copytree(small_run, folder, dirs_exist_ok=True)
    with contextlib.chdir(folder):
        _write_files()
    return folder


def _write_files() -> None:
    cube = np.moveaxis(np.load("scene.npy"), 2, 0)
    truth = np.load("labels.npy")[np.newaxis]
    write_tif("scene.tif", cube)
    write_tif("labels.tif", truth)
    write_tif("elsewhere.tif", truth, left=10**5)
    write_tif("nowhere.tif", truth, crs=None)
    write_tif("unlabelled.tif", 0 * truth)
    write_tif("one-band.tif", cube[:1])
    write_tif("nan.tif", np.nan * cube)
    write_tif("empty.tif", 0 * cube - 1, nodata=-1)
    write_tif("two-pixels.tif", cube[:, :2, :2])
    write_tif("two-labels.tif", truth[:, 5:7, :2])
    # Its header stands first and is whole.
    large = np.tile(cube, (1, 20, 20))
    write_tif("large.tif", large)
    write_tif("large-labels.tif", np.tile(truth, (1, 20, 20)))
    rasterio.shutil.copy("large.tif", "cut.tif", driver="COG", blocksize=128)
    whole = Path("cut.tif").read_bytes()
    Path("cut.tif").write_bytes(whole[: len(whole) * 9 // 10])
    Path("header.tif").write_bytes(whole[:100])
    Path("nothing.tif").write_bytes(b"")
    Path("cut.npy").write_bytes(Path("scene.npy").read_bytes()[:1000])
    with h5py.File("no-bands.nc", "w") as file:
        file["elevation"] = np.full((9, 9), 0.5)
    with h5py.File("cube.nc", "w") as file:
        file["reflectance"] = np.moveaxis(cube, 0, 2)
    Path("cut.nc").write_bytes(Path("cube.nc").read_bytes()[:3000])


@pytest.fixture
def work(files, tmp_path, monkeypatch) -> Path:
    shutil.copytree(files, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def listing() -> set[str]:
    return {str(path) for path in Path().rglob("*")}


TABLE = [
    # A cut that is seen when the file is opened, or only when its pixels are read.
    ("info header.tif", 1, "header.tif (100 bytes) is damaged, cut short or no GeoT"),
    ("info nothing.tif", 1, "nothing.tif is empty; get the file again"),
    ("info cut.nc", 1, "cut.nc (3,000 bytes) is damaged or cut short"),
    ("info cut.npy", 1, "cut.npy (1,000 bytes) is damaged or cut short"),
    ("info cut.tif", 1, "is damaged, cut short or no GeoTIFF (cut.tif, band"),
    ("SPLIT cut.tif --ground-truth large-labels.tif", 1, "is damaged, cut short"),
    ("TRAIN --dataset cut.tif --ground-truth large-labels.tif", 1, "cut short or no"),
    ("EXTRACT cut.tif", 1, "is damaged, cut short or no GeoTIFF"),
    ("UNMIX cut.tif", 1, "is damaged, cut short or no GeoTIFF"),
    # Files that hold something else.
    ("info no-bands.nc", 1, "holds no cube (rows x columns x bands of numbers); it"),
    ("map run no-bands.nc", 1, "it holds: 'elevation' (9 x 9, float64)"),
    ("info one-band.tif", 1, "holds no cube (rows x columns x bands of numbers)"),
    ("UNMIX one-band.tif", 1, "it holds: an array (12 x 9, float32)"),
    ("info missing.tif", 2, "there is no file missing.tif"),
    ("info run", 1, "there is no GeoTIFF (.tif, .tiff) in the folder run"),
    # Labels that do not fit.
    ("info scene.tif --ground-truth scene.tif", 1, "scene.tif holds no ground truth"),
    ("SPLIT scene.tif --ground-truth elsewhere.tif", 1, "do not overlap"),
    ("SPLIT scene.tif --ground-truth nowhere.tif", 1, "has no coordinate system and"),
    ("SPLIT scene.npy --ground-truth large-labels.tif", 1, "240 x 180 pixels, but the"),
    ("info scene.tif --ground-truth unlabelled.tif", 1, "has no label: all its value"),
    ("TRAIN --dataset empty.tif --ground-truth labels.tif", 1, "no pixel has a label"),
    (
        "SPLIT two-pixels.tif --ground-truth two-labels.tif --patch 3",
        2,
        "is larger than",
    ),
    (
        "TRAIN --dataset two-pixels.tif --ground-truth two-labels.tif",
        2,
        "a patch of 3 x 3 pixels is larger than the scene of 2 x 2",
    ),
    # Scenes without data.
    ("map run two-pixels.tif", 2, "a patch of 3 x 3 pixels is larger than the scene"),
    ("map run empty.tif", 1, "empty.tif: no pixel has data, so there is no map"),
    ("map run nan.tif --nodata nan", 1, "nan.tif: no pixel has data, so there is no"),
    ("map run nan.tif", 1, "if they mark missing pixels, name the value: --nodata nan"),
    ("UNMIX nan.tif", 1, "no pixel has data in all 4 bands"),
    ("EXTRACT empty.tif", 1, "no pixel has data in all 4 bands"),
    # Places that cannot be written.
    (f"TRAIN {SCENE} --out scene.npy/run", 1, "scene.npy/run: Not a directory"),
    (f"TRAIN {SCENE} --out scene.npy", 2, "exists already and is no run folder"),
    ("UNMIX scene.tif --out scene.npy/run", 1, "could not write scene.npy/run: Not a"),
    ("EXTRACT scene.tif --out scene.npy/new", 1, "could not write scene.npy/new/endm"),
    ("SPLIT scene.tif --ground-truth labels.tif --out run/run.json/s.npz", 1, "could "),
]


@pytest.mark.parametrize(("command", "code", "words"), TABLE)
def test_bad_input_gets_a_line_and_leaves_nothing(work, command, code, words):
    for name in ("TRAIN", "SPLIT", "UNMIX", "EXTRACT"):
        command = command.replace(name, globals()[name])
    before = listing()
    done = run(command)
    errors = [line for line in done.stderr.splitlines() if "error" in line]
    assert done.exit_code == code, done.stderr
    assert words in done.stderr
    assert len(errors) == 1
    assert errors[0].startswith("error: ")
    assert "unexpected" not in done.stderr
    assert done.stdout == ""
    # What a map keeps to go on with; see below.
    left = {path for path in listing() - before if ".tiles" not in path}
    assert left <= {"run/maps"}


FULL = "error: the disk is full: could not write "


@pytest.mark.parametrize(
    ("command", "limit", "file", "more"),
    [
        (f"{TRAIN} {SCENE}", 10, "new/run.json", None),
        (f"{TRAIN} {SCENE}", 9000, "new/checkpoints/", "train --resume new --quiet"),
        ("map run scene.tif", 10, "run/maps/.scene-", None),
        ("map run scene.tif", 2000, "run/maps/scene-", "map run scene.tif"),
        (f"{UNMIX} scene.tif", 2000, "new/figures/", "unmix --resume new"),
        (f"{EXTRACT} scene.tif", 1000, "new/endmembers.png", None),
        ("SPLIT scene.tif --ground-truth labels.tif", 10, "new.npz", None),
        ("info scene.tif --quicklook new.png", 10, "new.png", None),
    ],
)
def test_full_disk_is_said_and_can_be_gone_on_from(work, command, limit, file, more):
    before = listing()
    command = command.replace("SPLIT", SPLIT)
    done = run(command, limit)
    assert done.exit_code == 1, done.output
    assert done.stderr.splitlines()[-1].startswith(FULL + file)
    assert not [path for path in Path().rglob("*") if ".part" in path.name]
    if more is None:
        assert listing() - before <= {"run/maps"}
        more = command  # from its beginning
    elif "--resume" in more:
        assert f"go on with: hsijax {' '.join(more.split()[:3])}" in done.stderr
    done = run(more)
    assert done.exit_code == 0, done.output
    assert not list(Path().rglob(".*"))


def test_map_of_a_cut_file_keeps_the_tiles_before_the_cut(work):
    first, second = (run("map run cut.tif --max-memory 1M") for _ in range(2))
    assert first.exit_code == second.exit_code == 1
    assert "cut.tif (" in first.stderr
    assert "is damaged, cut short or no GeoTIFF" in first.stderr
    assert "going on with cut: " in second.stderr


def test_scene_that_has_changed_is_said(work, small_run):
    for file in (Path("run/run.json"), Path("run/config.toml")):
        file.write_text(file.read_text().replace(str(small_run), str(work)))
    cube = np.load("scene.npy")
    np.save("scene.npy", cube + 1)
    done = run("map run")
    assert done.exit_code == 0
    assert "scene.npy has changed since run was trained on it" in done.stderr
    assert not list(Path("run/maps").glob("scene-map.png"))
    done = run("train --resume run")
    assert done.exit_code == 1
    assert "has another sha256 than the file it was started with" in done.stderr
    np.save("scene.npy", cube)
    assert "has changed" not in run("map run").stderr


@contextlib.contextmanager
def unreadable(name: str, monkeypatch):
    """Refuse to open a file: root may read whatever its permissions say."""
    import io

    opened = io.open

    def refuse(path, *rest, **more):
        if str(path).endswith(name):
            raise PermissionError(13, "Permission denied", str(path))
        return opened(path, *rest, **more)

    with monkeypatch.context() as patch:
        patch.setattr("io.open", refuse)
        patch.setattr("builtins.open", refuse)
        yield


@pytest.mark.parametrize(
    ("command", "name"),
    [
        ("info scene.tif", "scene.tif"),
        ("info scene.npy", "scene.npy"),
        ("info cube.nc", "cube.nc"),
        ("evaluate run", "run/run.json"),
        ("evaluate run", "run/predictions.npz"),
        ("map run", "labels.npy"),
    ],
)
def test_file_that_cannot_be_read_is_named(work, monkeypatch, command, name):
    with unreadable(name, monkeypatch):
        done = run(command)
    assert done.exit_code == 1
    assert "error: cannot read " in done.stderr
    assert done.stderr.endswith(f"{name}: Permission denied\n")
