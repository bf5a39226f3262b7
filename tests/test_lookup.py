import logging
import shutil
import sys
from dataclasses import replace
from importlib.util import find_spec

import h5py
import numpy as np
import pytest
import scipy.io

from hsijax.scenes import lookup
from hsijax.scenes.catalogue import CATALOGUE, SceneFile, SceneSheet
from hsijax.scenes.content import misfit
from hsijax.scenes.lookup import find_file, list_folders
from hsijax.scenes.scene import LandClass
from hsijax.scenes.sources import hash_file

CUBE = SceneFile(role="cube", names=("Tiny.mat",), urls=(), key="tiny")
LABELS = SceneFile(role="ground_truth", names=("Tiny_gt.mat",), urls=(), key="tiny_gt")
TINY = SceneSheet(
    name="tiny",
    title="Tiny",
    task="classification",
    files=(CUBE, LABELS),
    shape=(4, 5, 6),
    source="nobody",
    classes=(LandClass(1, "Water", (0, 0, 255)), LandClass(3, "Tree", (0, 255, 0))),
)


@pytest.fixture(autouse=True)
def nothing_is_here(tmp_path, monkeypatch):
    monkeypatch.delenv("HSIJAX_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(lookup, "SAMPLE_PACKAGES", {})


def save_cube(path, shape=(4, 5, 6), key="tiny"):
    path.parent.mkdir(parents=True, exist_ok=True)
    scipy.io.savemat(path, {key: np.ones(shape)}, do_compression=True)
    return path


def test_folders_are_searched_in_order(tmp_path, monkeypatch):
    monkeypatch.setenv("HSIJAX_DATA", str(tmp_path / "named"))
    first = tmp_path / "first"
    monkeypatch.setattr(lookup, "_find_sample_folders", lambda: [tmp_path / "samples"])
    folders = list_folders(first)
    assert folders == [
        first,
        tmp_path / "named",
        lookup.cache_folder(),
        tmp_path / "samples",
    ]
    for folder in reversed(folders):
        path = save_cube(folder / "Tiny.mat")
        found = find_file(TINY, CUBE, data_dir=first)
        assert found
        assert found.path == path


def test_hash_beats_name_and_file_name_does_not_matter(tmp_path):
    save_cube(tmp_path / "Tiny.mat")
    right = save_cube(tmp_path / "deep" / "er" / "copy (1).mat", key="other")
    size = right.stat().st_size
    file = replace(CUBE, sha256=(hash_file(right),), size=size)
    found = find_file(TINY, file, data_dir=tmp_path)
    assert found == lookup.FoundFile(right, verified=True)


def test_name_is_matched_in_any_case_and_noted(tmp_path, caplog):
    path = save_cube(tmp_path / "tINY.MAT")
    with caplog.at_level(logging.INFO, "hsijax"):
        found = find_file(TINY, CUBE, data_dir=tmp_path)
    assert found == lookup.FoundFile(path, verified=False)
    assert "its hash is not known for it" in caplog.text


def test_only_files_of_a_fitting_name_or_size_are_hashed(tmp_path, monkeypatch):
    save_cube(tmp_path / "Tiny.mat")
    (tmp_path / "huge.mat").write_bytes(bytes(999))
    (tmp_path / "same size.mat").write_bytes(bytes(77))
    hashed = []
    monkeypatch.setattr(lookup, "hash_file", lambda path: hashed.append(path.name))
    find_file(TINY, replace(CUBE, sha256=("0" * 64,), size=77), data_dir=tmp_path)
    assert sorted(hashed) == ["Tiny.mat", "same size.mat"]


def test_search_is_bounded(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(lookup, "MAX_FILES", 5)
    for number in range(20):
        folder = tmp_path / f"{number:02}"
        folder.mkdir()
        (folder / "x.txt").touch()
    save_cube(tmp_path / "zz" / "Tiny.mat")
    assert find_file(TINY, CUBE, data_dir=tmp_path) is None
    assert "searched only the first" in caplog.text
    shutil.rmtree(tmp_path)
    save_cube(tmp_path / "a" / "b" / "c" / "d" / "e" / "Tiny.mat")
    assert find_file(TINY, CUBE, data_dir=tmp_path) is None


def test_linked_folder_is_searched_and_a_circle_ends(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "data").mkdir()
    (tmp_path / "elsewhere" / "a.mat").touch()
    (tmp_path / "data" / "linked").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "circle").symlink_to(tmp_path / "elsewhere")
    found = [path.name for path in lookup._walk(tmp_path / "data")]
    assert set(found) == {"a.mat"}


def test_part_of_a_download_is_not_taken(tmp_path):
    part = save_cube(tmp_path / ".Tiny.part.mat")
    digest, size = hash_file(part), part.stat().st_size
    file = replace(CUBE, sha256=(digest,), size=size)
    assert find_file(TINY, file, data_dir=tmp_path) is None


@pytest.mark.parametrize(
    ("variables", "reason"),
    [
        ({"tiny": np.ones((4, 5, 7))}, "4 x 5 x 7, float64), not 4 x 5 x 6"),
        ({"a": np.ones(3)}, "not 4 x 5 x 6"),
        ({"a": np.ones((4, 5, 6)), "b": np.ones((4, 5, 6))}, "not 4 x 5 x 6"),
        ({}, "no array of numbers"),
    ],
)
def test_wrong_content_is_skipped_with_the_reason(tmp_path, caplog, variables, reason):
    scipy.io.savemat(tmp_path / "Tiny.mat", variables)
    right = save_cube(tmp_path / "sub" / "Tiny.mat")
    found = find_file(TINY, CUBE, data_dir=tmp_path)
    assert found
    assert found.path == right
    assert "Tiny.mat is not the cube of tiny" in caplog.text
    assert reason in caplog.text


def test_content_may_have_another_variable_name(tmp_path):
    assert misfit(save_cube(tmp_path / "a.mat", key="data"), TINY, CUBE) is None


def test_formats_that_fit(tmp_path):
    np.save(tmp_path / "a.npy", np.ones((4, 5, 6)))
    with h5py.File(tmp_path / "b.mat", "w", userblock_size=512) as stream:
        stream["tiny"] = np.ones((6, 5, 4))
    assert misfit(tmp_path / "a.npy", TINY, CUBE) is None
    assert misfit(tmp_path / "b.mat", TINY, CUBE) is None


@pytest.mark.parametrize("name", ["Tiny.mat", "Tiny.npy"])
def test_truncated_file_is_never_taken(tmp_path, caplog, name):
    path = tmp_path / name
    np.save(path, np.ones((4, 5, 6))) if name == "Tiny.npy" else save_cube(path)
    path.write_bytes(path.read_bytes()[:-20])
    assert find_file(TINY, CUBE, data_dir=tmp_path) is None
    assert f"{name} is not the cube of tiny" in caplog.text


@pytest.mark.parametrize(
    ("ids", "reason"),
    [([0, 1, 3], None), ([1, 3], None), ([0, 1, 2, 3], "[1, 2, 3]"), ([0, 1], "[1]")],
)
def test_ground_truth_must_have_the_classes_of_the_scene(tmp_path, ids, reason):
    labels = np.resize(ids, (4, 5))
    scipy.io.savemat(tmp_path / "Tiny_gt.mat", {"tiny_gt": labels})
    expected = reason and f"its classes are {reason}, not [1, 3]"
    assert misfit(tmp_path / "Tiny_gt.mat", TINY, LABELS) == expected


def test_indian_pines_is_found_by_hash_in_hsijax_data(shared_data, monkeypatch):
    monkeypatch.setenv("HSIJAX_DATA", str(shared_data))
    sheet = CATALOGUE["indian-pines"]
    names = []
    for file in sheet.files:
        found = find_file(sheet, file)
        assert found
        assert found.verified
        names.append(found.path.name)
    assert names == ["Indian_pines_corrected.npy", "Indian_pines_gt.npy"]


@pytest.mark.parametrize("name", ["Salinas_corrected.mat", None])
def test_truncated_salinas_is_never_taken(shared_data, tmp_path, caplog, name):
    folder = shared_data / "salinas"
    if name:
        shutil.copy(folder / "Salinas_corrected.TRUNCATED.mat", tmp_path / name)
        folder = tmp_path
    sheet = CATALOGUE["salinas"]
    assert find_file(sheet, sheet.files[0], data_dir=folder) is None
    assert "it is cut short: 1,097,728 of 26,552,770 bytes" in caplog.text


def test_samples_package_is_found_but_not_imported(monkeypatch):
    if not find_spec("tensorly"):
        pytest.skip("needs the extra `samples`")
    monkeypatch.setattr(lookup, "SAMPLE_PACKAGES", {"tensorly": "datasets/data"})
    sheet = CATALOGUE["indian-pines"]
    for file in sheet.files:
        found = find_file(sheet, file)
        assert found
        assert found.verified
        assert "tensorly" in found.path.parts
    assert "tensorly" not in sys.modules
