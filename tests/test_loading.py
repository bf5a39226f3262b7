"""From a name or a path to a scene, with its ground truth."""

import hashlib
import logging
from pathlib import Path

import numpy as np
import pytest
import scipy.io
from test_io_envi import write_envi

from hsijax.errors import HsijaxError, UsageError
from hsijax.scenes import load_ground_truth, load_scene, loading
from hsijax.scenes.catalogue import SceneFile, SceneSheet
from hsijax.scenes.labels import GroundTruth
from hsijax.scenes.scene import LandClass

CUBE = np.random.default_rng(0).integers(1, 5000, (4, 3, 6)).astype(np.int16)
RASTER = np.array([[0, 1, 1], [2, 2, 0], [0, 5, 5], [1, 1, 1]], dtype=np.uint8)
OAK, PINE, ASH = (
    LandClass(number, name, (number, 0, 0))
    for number, name in ((1, "oak"), (2, "pine"), (5, "ash"))
)


def save(path: Path, **arrays) -> str:
    scipy.io.savemat(path, arrays)
    return str(path)


def test_a_file_with_both(tmp_path):
    path = save(tmp_path / "field.mat", spectra=CUBE, labels=RASTER)
    scene = load_scene(path)
    assert (scene.name, scene.shape) == ("field", (4, 3, 6))
    assert scene.good_bands.all()
    assert scene.ground_truth is not None
    np.testing.assert_array_equal(scene.ground_truth, RASTER)
    assert [c.name for c in scene.classes] == ["class 1", "class 2", "class 5"]
    assert len({c.colour for c in scene.classes}) == 3
    assert scene.source.key == "spectra"
    assert scene.ground_truth_source is not None
    assert scene.ground_truth_source.key == "labels"


def test_ground_truth_from_another_file(tmp_path):
    np.save(tmp_path / "cube.npy", CUBE)
    # A colon in the path does not begin the key.
    (tmp_path / "12:30").mkdir()
    both = save(tmp_path / "12:30/gt.mat", first=RASTER, second=RASTER[::-1])
    scene = load_scene(f"{tmp_path}/cube.npy", ground_truth=f"{both}:second")
    assert scene.ground_truth is not None
    np.testing.assert_array_equal(scene.ground_truth, RASTER[::-1])
    with pytest.raises(HsijaxError, match=r"several arrays .*'first'.*'second'"):
        load_scene(f"{tmp_path}/cube.npy", ground_truth=both)
    with pytest.raises(HsijaxError, match=r"gt\.mat holds no variable 'third'"):
        load_scene(f"{tmp_path}/cube.npy", ground_truth=f"{both}:third")
    with pytest.raises(HsijaxError, match=r"cannot read .*none\.mat: No such file"):
        load_scene(f"{tmp_path}/cube.npy", ground_truth=f"{tmp_path}/none.mat")


def test_named_ground_truth_replaces_the_cubes_own(tmp_path):
    path = save(tmp_path / "field.mat", cube=CUBE, a=RASTER, b=RASTER)
    other = save(tmp_path / "gt.mat", gt=RASTER * 3)
    assert load_scene(path, ground_truth=other).class_ids.tolist() == [3, 6, 15]
    assert load_scene(path, ground_truth=f"{path}:b").ground_truth is not None


@pytest.mark.parametrize(
    ("raster", "message"),
    [
        (RASTER.T, r"is 3 x 4 pixels, but the cube is 4 x 3 .*: it is transposed"),
        (
            np.pad(RASTER, 1),
            r"is 6 x 5 pixels, .*it is padded by 2 rows and 2 columns",
        ),
        (RASTER * 0, "has no label"),
    ],
)
def test_ground_truth_that_does_not_fit(tmp_path, raster, message):
    cube = save(tmp_path / "cube.mat", cube=CUBE)
    raster = save(tmp_path / "gt.mat", gt=raster)
    with pytest.raises(HsijaxError, match=rf"gt\.mat {message}"):
        load_scene(cube, ground_truth=raster)


def test_file_of_labels_only_says_what_to_do(tmp_path):
    path = save(tmp_path / "gt.mat", gt=RASTER)
    with pytest.raises(HsijaxError, match=r"gt\.mat holds a ground truth and no cube"):
        load_scene(path)
    raster = load_ground_truth(path)
    assert [c.id for c in raster.classes] == [1, 2, 5]


def test_bands_first_is_pointed_out(tmp_path):
    first = np.ones((6, 4, 4))
    notes = load_scene(save(tmp_path / "a.mat", x=first)).notes
    assert notes == (
        "read as 6 rows x 4 columns x 4 bands; if the bands come first in the file, "
        "store them last",
    )
    gt = save(tmp_path / "gt.mat", gt=np.ones((4, 4)))
    with pytest.raises(HsijaxError, match="the cube has its bands first"):
        load_scene(f"{tmp_path}/a.mat", ground_truth=gt)


def test_labels_without_data_are_dropped(tmp_path, caplog):
    cube = CUBE.copy()
    cube[0, 1] = cube[0, 0] = -1
    path = save(tmp_path / "field.mat", cube=cube, gt=RASTER)
    with caplog.at_level(logging.WARNING, "hsijax"):
        scene = load_scene(path, nodata=-1.0)
    assert "field: the labels of 1 pixels are dropped" in caplog.text
    assert scene.ground_truth is not None
    assert scene.ground_truth[0].tolist() == [0, 0, 1]
    assert scene.class_counts().tolist() == [4, 2, 2]
    assert load_scene(path).class_counts().tolist() == [5, 2, 2]


def test_envi_with_a_classification(tmp_path):
    write_envi(tmp_path / "a.img", CUBE, data_ignore_value="-5", bbl="{1,1,1,1,1,0}")
    write_envi(
        tmp_path / "gt.img",
        RASTER[..., None],
        class_names="{none, oak, pine}",
        class_lookup="{0,0,0, 9,9,9, 8,8,8}",
    )
    scene = load_scene(f"{tmp_path}/a.img", ground_truth=f"{tmp_path}/gt.img")
    assert [c.name for c in scene.classes] == ["oak", "pine", "class 5"]
    assert scene.classes[1].colour == (8, 8, 8)
    assert scene.nodata == -5
    assert scene.good_bands.tolist() == [True] * 5 + [False]
    assert load_scene(f"{tmp_path}/a.img", nodata=7.0).nodata == 7


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("salinsa", "neither a scene .* did you mean 'salinas'"),
        ("nothing.mat", r"there is no file nothing\.mat"),
        ("folder/nothing", "there is no file folder/nothing"),
    ],
)
def test_neither_name_nor_file(name, message):
    with pytest.raises(UsageError, match=message):
        load_scene(name)


@pytest.fixture
def catalogue(tmp_path, monkeypatch):
    """A catalogue of one scene, whose files are what the test saves."""
    sheet = SceneSheet(
        name="wood",
        title="the Wood",
        task="classification",
        files=tuple(
            SceneFile(role=role, names=(f"{role}.mat",), urls=(), key=key)
            for role, key in (("cube", "wood"), ("ground_truth", "wood_gt"))
        ),
        shape=(4, 3, 6),
        source="",
        classes=(OAK, PINE, ASH),
        wavelengths=(400.0, 500.0, 600.0, 700.0, 800.0, 900.0),
    )
    unmixing = SceneSheet(
        name="mix",
        title="the Mixture",
        task="unmixing",
        files=(SceneFile(role="cube", names=("mix.mat",), urls=(), key="Y"),),
        shape=(4, 3, 6),
        source="",
    )

    def locate(sheet, file, data_dir=None, progress=None):
        found = sorted(tmp_path.glob(f"{file.names[0][:-4]}.*"))
        if not found:
            raise HsijaxError(f"no {file.names[0]}")
        return found[0]

    monkeypatch.setattr(loading, "CATALOGUE", {"wood": sheet, "mix": unmixing})
    monkeypatch.setattr(loading, "locate", locate)
    return tmp_path


def test_catalogue_scene(catalogue):
    save(catalogue / "cube.mat", wood=CUBE, other=CUBE[:, :, :2])
    save(catalogue / "ground_truth.mat", wood_gt=RASTER.astype(float))
    for name in ("wood", "Wood"):
        scene = load_scene(name)
        assert scene.name == "wood"
        assert scene.classes == (OAK, PINE, ASH)
        assert scene.source.key == "wood"
        assert scene.wavelengths is not None
        assert scene.wavelengths[-1] == 900
    # A ground truth of the user's may number its classes otherwise.
    own = save(catalogue / "own.mat", gt=RASTER)
    named = load_scene("wood", ground_truth=own).classes
    assert [c.name for c in named] == ["class 1", "class 2", "class 5"]


def test_catalogue_scene_in_another_format_under_another_name(catalogue):
    np.save(catalogue / "cube.npy", CUBE)
    save(catalogue / "ground_truth.mat", labels=RASTER)
    assert load_scene("wood").class_counts().tolist() == [5, 2, 2]


def test_catalogue_knows_the_size_that_the_file_does_not_say(catalogue):
    save(catalogue / "mix.mat", Y=CUBE.transpose(2, 1, 0).reshape(6, 12))
    scene = load_scene("mix")
    np.testing.assert_array_equal(scene.cube.load(), CUBE)
    assert scene.ground_truth is None


def test_catalogue_scene_of_the_wrong_shape_or_classes(catalogue):
    save(catalogue / "ground_truth.mat", wood_gt=RASTER + 1)
    save(catalogue / "cube.mat", wood=CUBE[:, :, :5])
    with pytest.raises(HsijaxError, match=r"cube\.mat is 4 x 3 x 5, but the Wood is"):
        load_scene("wood")
    save(catalogue / "cube.mat", wood=CUBE)
    with pytest.raises(HsijaxError, match=r"holds the class numbers \[3, 6\]"):
        load_scene("wood")


def test_real_indian_pines(shared_data):
    scene = load_scene("indian-pines", data_dir=shared_data)
    assert scene.shape == (145, 145, 200)
    assert scene.cube.dtype == np.uint16
    assert scene.class_counts().sum() == 10249
    assert scene.class_counts()[[0, 8, 10]].tolist() == [46, 20, 2455]
    values, valid = scene.load()
    assert (values.min(), values.max()) == (955, 9604)
    assert valid.all()


def test_real_salinas_a(shared_data):
    scene = load_scene("salinas-a", data_dir=shared_data)
    assert scene.class_ids.tolist() == [1, 10, 11, 12, 13, 14]
    assert scene.class_counts().tolist() == [391, 1343, 616, 1525, 674, 799]
    path = shared_data / "salinas_a/SalinasA_corrected.mat"
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert scene.source.sha256 == digest


def test_real_salinas_part_with_its_ground_truth(shared_data):
    folder = shared_data / "salinas"
    path = folder / "DERIVED_salinas_first9of204bands_512x217.npy"
    scene = load_scene(str(path), ground_truth=str(folder / "salinas_gt.mat"))
    assert scene.class_counts().sum() == 54129
    assert load_scene(str(path)).ground_truth is None


def test_real_masks_read_as_ground_truths(shared_data):
    folder = shared_data / "pavia_university"
    raster = load_ground_truth(f"{folder}/TRpavia_fixed.mat")
    assert isinstance(raster, GroundTruth)
    assert np.bincount(raster.values.ravel())[1:].tolist() == [
        548, 540, 392, 524, 265, 532, 375, 514, 231,
    ]  # fmt: skip


def test_real_pavia_part_has_its_own_ground_truth(shared_data):
    scene = load_scene(str(shared_data / "pavia_centre/pavia_crop100_v73.mat"))
    assert scene.shape == (100, 100, 102)
    assert scene.ground_truth_source is not None
    assert scene.ground_truth_source.key == "groundtruth"
    assert [c.name for c in scene.classes] == ["class 1"]


def test_real_emit_leaves_out_bad_bands(shared_data):
    path = shared_data / "emit/emit20250324t221005_jpl_unmix_ex"
    values, valid = load_scene(str(path)).load()
    assert values.shape == (10, 10, 244)
    assert valid.all()
