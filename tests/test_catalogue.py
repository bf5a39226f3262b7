import re
from urllib.parse import urlsplit

import pytest

from hsijax.scenes.catalogue import CATALOGUE, SceneSheet
from hsijax.scenes.catalogue.sheet import SceneFile, legend
from hsijax.scenes.lookup import find_file
from hsijax.scenes.sources import hash_file

SHEETS = pytest.mark.parametrize("sheet", CATALOGUE.values(), ids=list(CATALOGUE))


def test_the_scenes_that_users_expect_are_there():
    assert set(CATALOGUE) >= {
        "indian-pines",
        "salinas",
        "salinas-a",
        "pavia-university",
        "pavia-centre",
        "ksc",
        "botswana",
        "jasper-ridge",
        "urban",
        "urban-4",
        "urban-5",
        "urban-6",
        "samson",
        "cuprite",
        "simulated-mixtures",
        "urban-simulated",
        "urban-crop",
    }


@SHEETS
def test_sheet_is_complete(sheet: SceneSheet):
    assert CATALOGUE[sheet.name] is sheet
    assert sheet.task in ("classification", "unmixing")
    if not sheet.simulated:
        assert sheet.file("cube") is sheet.files[0]
    assert all((sheet.title, sheet.source, sheet.licence))
    assert len({file.role for file in sheet.files}) == len(sheet.files)
    assert {file.role for file in sheet.grss} <= {"train_mask", "test_mask"}
    assert not sheet.grss or sheet.grss[0].role == "train_mask"
    if sheet.task == "classification":
        assert sheet.file("ground_truth")
    assert bool(sheet.classes) == (sheet.task == "classification")


@SHEETS
def test_files_can_be_had_and_checked(sheet: SceneSheet):
    for file in (*sheet.files, *sheet.grss):
        assert file.role in (
            "cube",
            "ground_truth",
            "train_mask",
            "test_mask",
            "abundances",
            "endmembers",
            "bundles",
        )
        assert all(re.fullmatch("[0-9a-f]{64}", digest) for digest in file.sha256)
        # A size without a hash, or the other way round, would be a slip.
        assert (file.size is None) == (not file.sha256)
        assert len(set(file.urls)) == len(file.urls) > 0
        for url in file.urls:
            assert urlsplit(url).scheme == "https"
            assert file.archive_member or not re.search(r"\.(zip|rar)", url)


@SHEETS
def test_classes_can_be_told_apart(sheet: SceneSheet):
    for field in ("id", "name", "colour"):
        values = [getattr(row, field) for row in sheet.classes]
        assert len(set(values)) == len(values)
    assert all(row.id > 0 for row in sheet.classes)
    # Black is what unlabelled pixels wear.
    assert all(any(row.colour) for row in sheet.classes)


@SHEETS
def test_wavelengths_belong_to_the_bands(sheet: SceneSheet):
    if sheet.wavelengths is not None:
        assert len(sheet.wavelengths) == sheet.shape[2]
        assert all(350 < nm < 2550 for nm in sheet.wavelengths)


@pytest.mark.parametrize(
    ("name", "ids"),
    [
        ("indian-pines", range(1, 17)),
        ("salinas", range(1, 17)),
        ("salinas-a", [1, 10, 11, 12, 13, 14]),
        ("pavia-university", range(1, 10)),
        ("pavia-centre", range(1, 10)),
        ("ksc", range(1, 14)),
        ("botswana", range(1, 15)),
    ],
)
def test_class_numbers(name, ids):
    assert [row.id for row in CATALOGUE[name].classes] == list(ids)


def test_salinas_a_wears_the_names_and_colours_of_salinas():
    whole = {row.id: row for row in CATALOGUE["salinas"].classes}
    assert all(whole[row.id] == row for row in CATALOGUE["salinas-a"].classes)
    assert whole[14].name == "Lettuce_romaine_7wk"


def test_names_at_both_ends_of_indian_pines():
    classes = CATALOGUE["indian-pines"].classes
    assert (classes[0].name, classes[15].name) == ("Alfalfa", "Stone-Steel-Towers")


def test_urban_is_urban_6():
    urban, six = CATALOGUE["urban"], CATALOGUE["urban-6"]
    assert urban.files == six.files
    assert [len(CATALOGUE[f"urban-{n}"].endmembers) for n in (4, 5, 6)] == [4, 5, 6]


def test_wavelengths_at_the_edges_of_removed_bands():
    pines, botswana = (CATALOGUE[n].wavelengths for n in ("indian-pines", "botswana"))
    assert pines
    assert botswana
    # Kept of 220: 1-103, 109-149, 164-219.
    assert [pines[i] for i in (0, 102, 103, 143, 144, 199)] == [
        400.02,
        1352.68,
        1412.39,
        1809.19,
        1943.27,
        2489.11,
    ]
    # Kept of 242: 10-55, 82-97, 102-119, 134-164, 187-220.
    assert [botswana[i] for i in (0, 45, 46, 79, 80, 110, 111, 144)] == [
        447.17,
        905.05,
        962.91,
        1336.15,
        1487.53,
        1790.19,
        2022.25,
        2355.21,
    ]


def test_legend_refuses_numbers_that_do_not_match():
    with pytest.raises(ValueError, match="zip"):
        legend("ff0000 Roof\n00ff00 Tree", ids=(7,))


def test_hashes_and_sizes_are_those_of_the_real_files(shared_data):
    found: dict[tuple[str, str], SceneFile] = {}
    for sheet in CATALOGUE.values():
        for file in sheet.files:
            here = find_file(sheet, file, data_dir=shared_data)
            if here and here.path.is_relative_to(shared_data):
                assert here.verified
                assert hash_file(here.path) in file.sha256
                if here.path.suffix == ".mat":
                    assert here.path.stat().st_size == file.size
                    assert hash_file(here.path) == file.sha256[0]
                found[sheet.name, file.role] = file
    assert set(found) >= {
        ("indian-pines", "cube"),
        ("indian-pines", "ground_truth"),
        ("salinas", "ground_truth"),
        ("salinas-a", "cube"),
        ("salinas-a", "ground_truth"),
        ("pavia-university", "ground_truth"),
        ("jasper-ridge", "cube"),
        ("jasper-ridge", "abundances"),
        ("urban-4", "abundances"),
        ("urban-5", "abundances"),
        ("urban-6", "abundances"),
        ("urban-crop", "cube"),
        ("urban-simulated", "bundles"),
    }
