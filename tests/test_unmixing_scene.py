"""From a name or a file to reflectance, a mask and a reference."""

import logging

import numpy as np
import pytest
import scipy.io
from test_io_envi import write_envi

from hsijax.errors import HsijaxError, UsageError
from hsijax.scenes.mixing import draw_abundances, mix
from hsijax.scenes.unmixing_scene import load_unmixing_scene

ENDMEMBERS = np.random.default_rng(0).random((3, 8)) * 0.5 + 0.5 * np.eye(3, 8)
MAPS = draw_abundances((12, 9), 3, seed=0)
CUBE = mix(MAPS, [row[None] for row in ENDMEMBERS], snr=60.0, variability=0.1, seed=0)
COUNTS = np.rint(CUBE * 5000).astype(np.uint16)
COLUMNS = MAPS.transpose(2, 1, 0).reshape(3, -1)


@pytest.fixture(autouse=True)
def _no_data_folder(monkeypatch, request):
    if "shared_data" not in request.fixturenames:
        monkeypatch.delenv("HSIJAX_DATA", raising=False)


def save(path, **arrays) -> str:
    scipy.io.savemat(path, arrays)
    return str(path)


def test_a_plain_file(tmp_path):
    loaded = load_unmixing_scene(save(tmp_path / "a.mat", cube=CUBE))
    np.testing.assert_array_equal(loaded.cube, CUBE)
    assert loaded.cube.dtype == np.float32
    assert (loaded.scale, loaded.reference, loaded.simulated) == (1, None, "")
    assert loaded.valid.all()
    with pytest.raises(UsageError, match="there is no file"):
        load_unmixing_scene(f"{tmp_path}/none.mat")


def test_where_the_scale_is_from(tmp_path):
    bare = save(tmp_path / "bare.mat", cube=COUNTS)
    told = save(tmp_path / "told.mat", cube=COUNTS, maxValue=5000)
    done = save(tmp_path / "done.mat", cube=CUBE, maxValue=5000)
    write_envi(tmp_path / "envi.img", COUNTS, reflectance_scale_factor="5000")
    for path, option, scale, note in (
        (bare, None, 1, "are used as they are: nothing says by what to divide them"),
        (bare, 5000.0, 5000, "divided by 5000, as --scale says"),
        (told, None, 5000, "divided by 5000, as the file says"),
        (told, 100.0, 100, "divided by 100, as --scale says"),
        (done, None, 1, "are taken for reflectance as they are, though the file has a"),
        (f"{tmp_path}/envi.img", None, 5000, "divided by 5000, as the file says"),
    ):
        loaded = load_unmixing_scene(path, scale=option)
        assert loaded.scale == scale
        assert note in loaded.notes[-1]
        expected = CUBE if path == done else COUNTS / scale
        np.testing.assert_allclose(loaded.cube, expected, rtol=1e-6)


def test_pixels_without_data_are_left_out_and_counted(tmp_path, caplog):
    cube = CUBE.copy()
    cube[0, 0, 3] = np.nan
    cube[0, 1] = np.inf
    cube[1, 1] = 0
    cube[2, 2] = -9
    cube[2, 3, 0] = -9
    path = save(tmp_path / "a.mat", cube=cube)
    with caplog.at_level(logging.WARNING, "hsijax"):
        loaded = load_unmixing_scene(path, nodata=-9.0)
    assert "3 pixels hold NaN, infinite or no-data values in some bands" in caplog.text
    assert "1 pixels are 0 in all bands; they are left out" in caplog.text
    expected = [[0, 0], [0, 1], [1, 1], [2, 2], [2, 3]]
    assert np.argwhere(~loaded.valid).tolist() == expected
    assert not loaded.cube[~loaded.valid].any()
    np.testing.assert_array_equal(loaded.cube[loaded.valid], CUBE[loaded.valid])
    with pytest.raises(HsijaxError, match="no pixel has data in all 8 bands"):
        load_unmixing_scene(save(tmp_path / "a.mat", cube=CUBE * np.nan))


def test_bad_bands_are_left_out(tmp_path):
    cube = CUBE.copy()
    cube[:, :, 7] = np.nan
    write_envi(tmp_path / "a.img", cube, bbl="{1,1,1,1,1,1,1,0}")
    loaded = load_unmixing_scene(f"{tmp_path}/a.img")
    np.testing.assert_array_equal(loaded.cube, CUBE[:, :, :7])
    assert loaded.valid.all()


def test_reference_in_the_cubes_own_file(tmp_path, caplog):
    path = save(tmp_path / "a.mat", img=CUBE, A=COLUMNS, M=ENDMEMBERS.T)
    loaded = load_unmixing_scene(path)
    assert loaded.reference is not None
    np.testing.assert_allclose(loaded.reference.abundances, MAPS, atol=1e-12)
    assert loaded.reference.endmembers is not None
    assert loaded.notes[-1].startswith(
        "reference abundances from a.mat: pixels column by column"
    )
    for wrong, message in (
        (COLUMNS * 2, "must sum to 1"),
        (COLUMNS[:, ::-1], "these abundances hardly explain the cube"),
    ):
        caplog.clear()
        save(tmp_path / "a.mat", img=CUBE, A=wrong)
        assert load_unmixing_scene(path).reference is None
        assert "used as reference" in caplog.text
        assert message in caplog.text


def test_reference_beside_the_cube(tmp_path):
    path = save(tmp_path / "a.mat", img=CUBE)
    save(tmp_path / "end9.mat", A=np.full((3, 50), 1 / 3))  # of another scene
    save(tmp_path / "notes.mat", A=COLUMNS)  # by no customary name
    assert load_unmixing_scene(path).reference is None
    save(tmp_path / "a_GT.mat", A=COLUMNS)
    loaded = load_unmixing_scene(path)
    assert loaded.reference is not None
    assert "a_GT.mat" in loaded.notes[-1]
    more = np.concatenate([COLUMNS[:2], COLUMNS[2:] * 0.4, COLUMNS[2:] * 0.6])
    save(tmp_path / "end4_groundTruth.mat", A=more)
    loaded = load_unmixing_scene(path)
    assert loaded.reference is not None
    assert loaded.reference.abundances.shape == (12, 9, 4)
    assert loaded.notes[-2] == (
        "a_GT.mat, end4_groundTruth.mat fit the cube; end4_groundTruth.mat is taken, "
        "which has most endmembers (--ground-truth FILE chooses another)"
    )


def test_reference_that_is_named(tmp_path, caplog):
    path = save(tmp_path / "a.mat", img=CUBE)
    both = save(tmp_path / "both.mat", one=COLUMNS, two=COLUMNS[:, ::-1])
    loaded = load_unmixing_scene(path, ground_truth=f"{both}:one")
    assert loaded.reference is not None
    np.testing.assert_allclose(loaded.reference.abundances, MAPS, atol=1e-12)
    assert "hardly explain" not in caplog.text
    wrong = load_unmixing_scene(path, ground_truth=f"{both}:two").reference
    assert wrong is not None
    assert "hardly explain the cube, in no order of the pixels" in caplog.text
    save(tmp_path / "small.mat", A=COLUMNS[:, 1:])
    with pytest.raises(HsijaxError, match=r"small\.mat holds no abundances of 12 x 9"):
        load_unmixing_scene(path, ground_truth=f"{tmp_path}/small.mat")


def test_jasper_ridge_in_three_ways(shared_data):
    folder = shared_data / "jasper_ridge"
    scenes = [
        load_unmixing_scene(str(name))
        for name in (
            "jasper-ridge",
            folder / "jasperRidge2_R198.mat",
            folder / "Jasper_palsson.mat",
        )
    ]
    first = scenes[0]
    assert first.reference is not None
    assert first.cube.shape == (100, 100, 198)
    assert first.reference.names == ("tree", "water", "dirt", "road")
    assert "0.101 pixels column by column, 0.467 pixels row by row" in first.notes[-1]
    assert first.reference.endmembers is not None
    sums = first.reference.abundances @ first.reference.endmembers.spectra
    rest = np.linalg.norm(first.cube - sums) / np.linalg.norm(first.cube)
    assert rest == pytest.approx(0.1745, abs=1e-4)
    for scene in scenes[1:]:
        assert scene.scale == 5000
        assert scene.reference is not None
        np.testing.assert_array_equal(scene.cube, first.cube)
        np.testing.assert_allclose(
            scene.reference.abundances, first.reference.abundances, atol=1e-12
        )


def test_part_of_urban_by_name_and_as_a_file(shared_data):
    named = load_unmixing_scene("urban-crop")
    path = shared_data / "urban/subimage_Urban_R162.mat"
    unnamed = load_unmixing_scene(str(path))
    for scene in (named, unnamed):
        assert scene.scale == 1
        assert scene.reference is not None
        assert scene.reference.names[0] == "Asphalt Road"
        assert scene.reference.abundances.shape == (34, 78, 6)
        assert "0.050 pixels column by column, 0.181 pixels row" in scene.notes[-1]
    assert "the cube has the size of urban-crop, and " in unnamed.notes[-2]


def save_stranger(path, *, with_abundances: bool = False) -> str:
    """Write mixtures of the size of Jasper Ridge that are of another scene."""
    rng = np.random.default_rng(0)
    maps = rng.dirichlet(np.ones(4), (100, 100))
    cube = np.rint(9000 * maps @ rng.random((4, 198))).astype(np.uint16)
    own = {"A": maps.transpose(2, 1, 0).reshape(4, -1)} if with_abundances else {}
    return save(path, Y=cube, **own)


@pytest.mark.parametrize("with_abundances", [False, True])
def test_the_size_of_a_known_scene_decides_nothing(tmp_path, with_abundances):
    path = save_stranger(tmp_path / "mine.mat", with_abundances=with_abundances)
    loaded = load_unmixing_scene(path)
    assert loaded.scale == 1
    assert (loaded.reference is not None) == with_abundances
    hint = "size of jasper-ridge: if it is that scene, --scale 5000"
    assert any(hint in note for note in loaded.notes)
    named = save_stranger(tmp_path / "JasperRidge2_R198.mat")
    assert load_unmixing_scene(named).scale == 5000


def test_a_known_scene_is_recognised_by_abundances_that_fit(
    shared_data, tmp_path, monkeypatch
):
    monkeypatch.delenv("HSIJAX_DATA")
    folder = shared_data / "jasper_ridge"
    content = scipy.io.loadmat(folder / "jasperRidge2_R198.mat")["Y"]
    cube = content.reshape(198, 100, 100).transpose(2, 1, 0)
    path = save(tmp_path / "mine.mat", Y=cube)
    assert load_unmixing_scene(path).scale == 1
    (tmp_path / "end4.mat").symlink_to(folder / "end4.mat")
    loaded = load_unmixing_scene(path)
    assert loaded.scale == 5000
    assert loaded.reference is not None
    stranger = save_stranger(tmp_path / "other.mat")
    assert load_unmixing_scene(stranger).scale == 1
    assert load_unmixing_scene(stranger, data_dir=shared_data).scale == 1
