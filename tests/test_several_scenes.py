"""Training on several scenes at once, tested scene by scene, from the outside."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from spectral.io import envi
from spectral.io.spyfile import SpyFile
from typer.testing import CliRunner

from hsijax.cli import app
from hsijax.config import TrainConfig
from hsijax.errors import UsageError
from hsijax.experiments.task import load_task
from hsijax.runs import Run
from hsijax.settings import config_values, make_config, read_config, restore_config
from hsijax.splits import read_splits, set_apart

# Of Indian Pines; the borders of each are labelled in places.
CROPS = {
    "north": (slice(5, 27), slice(20, 50)),
    "east": (slice(60, 78), slice(100, 118)),
    "south": (slice(100, 124), slice(30, 44)),
}
QUICK = ["--model", "no-block", "--patch", "5", "--epochs", "2", "--channels", "6"]
QUICK += ["--diffuse", "2", "--quiet"]


def invoke(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def train(*arguments) -> str:
    done = invoke("train", *QUICK, *arguments)
    assert done.exit_code == 0, done.output + done.stderr
    return done.output


def read(path: Path):
    return json.loads(path.read_text())


def read_map(header: Path) -> np.ndarray:
    image = envi.open(header)
    assert isinstance(image, SpyFile)
    return np.asarray(image.open_memmap(interleave="bip"))[..., 0]


@pytest.fixture(scope="module")
def crops(shared_data, tmp_path_factory) -> Path:
    """A folder with the crops, each a file of cube and ground truth."""
    folder = tmp_path_factory.mktemp("crops")
    scene = shared_data / "indian_pines"
    cube = np.load(scene / "Indian_pines_corrected.npy")[..., ::10]
    truth = np.load(scene / "Indian_pines_gt.npy")
    for name, window in CROPS.items():
        np.savez(folder / f"{name}.npz", cube=cube[window], gt=truth[window])
    return folder


@pytest.fixture(scope="module")
def tested_apart(crops) -> tuple[Path, str]:
    """A run that trains on two of the crops and is tested on the third."""
    folder = crops / "apart"
    said = train(
        *("--dataset", crops / "north.npz", "--dataset", crops / "south.npz"),
        *("--test-dataset", crops / "east.npz", "--out", folder),
    )
    return folder, said


def check_against_maps(folder: Path, crops: Path) -> None:
    """Compare test predictions with the maps, those of each scene for itself too."""
    predictions = Run(folder).read_predictions()
    pixels, on_border = predictions["run0_pixels"], 0
    for scene in read(folder / "run.json")["scenes"]:
        first, last = scene["rows"]
        inside = (pixels[:, 0] >= first) & (pixels[:, 0] < last)
        row, col = (pixels[inside] - [first, 0]).T
        edge = (row < 2) | (row >= last - first - 2) | (col < 2)
        on_border += np.count_nonzero(edge | (col >= scene["cols"] - 2))
        header = folder / "maps" / f"{scene['name']}-classes.hdr"
        # The first time it was mapped as a scene of the run.
        for again in (False, True) if scene["name"] == "east" else (False,):
            if again:
                header.unlink()
                done = invoke("map", folder, crops / f"{scene['name']}.npz", "--quiet")
                assert done.exit_code == 0, done.output
            classes = read_map(header)
            sure = read_map(header.with_stem(f"{scene['name']}-confidence"))
            assert classes.shape == (last - first, scene["cols"])
            found = predictions["run0_predicted"][inside]
            assert np.array_equal(classes[row, col], found)
            confidence = predictions["run0_confidence"][inside]
            assert np.array_equal(sure[row, col], confidence)
    assert on_border > 20
    assert len(np.unique(predictions["run0_predicted"])) > 1


def test_test_pixels_are_all_labelled_ones_of_the_test_scene(tested_apart, crops):
    folder, _ = tested_apart
    manifest = read(folder / "run.json")
    first, last = manifest["scenes"][2]["rows"]
    split = read_splits(folder / "split.npz")[0]
    task = load_task(Run(folder).read_config())
    rows = np.arange(task.ground_truth.shape[0])
    is_tested = (rows >= first) & (rows < last)
    labelled = task.ground_truth > 0
    expected = np.argwhere(labelled & is_tested[:, None])
    assert np.array_equal(split.test, expected)
    assert np.array_equal(split.train, np.argwhere(labelled & ~is_tested[:, None]))
    assert manifest["split_method"] == "scenes"
    leakage = {"test_with_train_centre": 0.0, "test_patch_overlap": 0.0}
    assert manifest["splits"][0]["leakage"] == leakage
    hashes = {scene["sha256"] for scene in manifest["scenes"]}
    assert len(hashes) == 3
    assert [scene["trains"] for scene in manifest["scenes"]] == [True, True, False]


def test_predictions_equal_the_maps_of_each_scene_alone(tested_apart, crops):
    check_against_maps(tested_apart[0], crops)


def test_predictions_equal_maps_where_all_scenes_train_and_test(crops, tmp_path):
    folder = tmp_path / "run"
    train(
        *("--dataset", crops / "north.npz", "--dataset", crops / "east.npz"),
        *("--split", "blocks", "--frac", "0.2", "--out", folder),
    )
    check_against_maps(folder, crops)
    metrics = read(folder / "metrics.json")
    assert [scene["trains"] for scene in metrics["per_scene"]] == [True, True]
    tested = sum(scene["n_test"] for scene in metrics["per_scene"])
    assert tested == metrics["split"]["n_test"]
    right = sum(s["n_test"] * s["oa"]["mean"] for s in metrics["per_scene"])
    assert right / tested == pytest.approx(metrics["oa"]["mean"])


def test_each_test_scene_has_figures_of_its_own(tested_apart):
    folder, said = tested_apart
    metrics = read(folder / "metrics.json")
    (only,) = metrics["per_scene"]
    assert only["name"] == "east"
    assert only["n_test"] == metrics["split"]["n_test"]
    for measure in ("oa", "aa", "kappa"):
        assert only[measure] == metrics[measure]
    assert re.search(rf"east +{only['n_test']} +{only['oa']['mean']:.2f} ", said)
    again = invoke("evaluate", folder)
    assert re.search(rf"east +{only['n_test']} ", again.output)


@pytest.mark.parametrize("fit", ["train", "scene"])
def test_nothing_of_the_test_scene_is_in_what_is_learned_from(crops, tmp_path, fit):
    with np.load(crops / "east.npz") as file:
        cube, truth = file["cube"], file["gt"]
    np.savez(tmp_path / "east.npz", cube=9000 - cube, gt=np.roll(truth, 3, axis=0))
    seen = []
    for folder in (crops, tmp_path):
        config = TrainConfig(
            dataset=str(crops / "north.npz"),
            test_dataset=str(folder / "east.npz"),
            split="scenes",
            frac=0.5,
            diffuse="2",
            channels=6,
            fit=fit,
        )
        task = load_task(config)
        split = task.splits.splits[0]
        assert task.region(split) is None  # all of the test scene is free to flow
        inputs = task.fit_inputs(split)
        padded = task.prepare(inputs, split)
        rows, cols = task.scene.windows[0]
        margin = 2 * (config.patch // 2)
        seen.append(
            (
                padded[: rows.stop + margin, : cols.stop + margin],
                padded[rows.stop + margin :],
                split.train,
                inputs.described(),
                inputs.arrays(),
            )
        )
    (one, tested, train, *fitted), (other, changed, drawn, *again) = seen
    assert np.array_equal(one, other)
    assert not np.array_equal(tested, changed)
    assert np.array_equal(train, drawn)
    np.testing.assert_equal(fitted, again)


def test_scenes_are_far_apart_where_leakage_is_counted(crops):
    names = tuple(str(crops / f"{name}.npz") for name in ("north", "east"))
    task = load_task(TrainConfig(dataset=names, diffuse="12,60", patch=5))
    split = task.splits.splits[0]
    starts = [part.row for part in task.scene.parts]
    apart = set_apart(split, starts, 1000)
    first = split.test[:, 0] < starts[1]
    assert np.array_equal(apart.test[first], split.test[first])
    assert np.array_equal(apart.test[~first], split.test[~first] + [1000, 0])


def test_counts_are_those_of_the_training_scenes(crops):
    names = {"dataset": [str(crops / "north.npz"), str(crops / "south.npz")]}
    names["test_dataset"] = [str(crops / "east.npz")]
    task = load_task(make_config({**names, "count": 4, "val_frac": 0.25}, {}))
    split = task.splits.splits[0]
    ids, train = np.unique(task.class_ids(split.train), return_counts=True)
    assert train.tolist() == [3] * len(ids)
    assert len(split.validation) == len(ids)
    assert split.train[:, 0].max() < task.scene.parts[2].row <= split.test[:, 0].min()


def test_a_resumed_run_wants_the_files_of_then(crops, tmp_path):
    for name in ("north", "east"):
        (tmp_path / f"{name}.npz").write_bytes((crops / f"{name}.npz").read_bytes())
    folder = tmp_path / "run"
    scenes = ("--dataset", tmp_path / "north.npz", "--test-dataset")
    train(*scenes, tmp_path / "east.npz", "--out", folder, "--no-map")
    again = invoke("train", "--resume", folder, "--quiet", "--no-map")
    assert again.exit_code == 0, again.output + again.stderr
    with np.load(tmp_path / "east.npz") as file:
        np.savez(tmp_path / "east.npz", cube=file["cube"] + 1, gt=file["gt"])
    again = invoke("train", "--resume", folder, "--quiet")
    assert again.exit_code == 1
    assert re.search(r"east\.npz has another sha256", again.stderr)


def test_a_configuration_of_several_scenes_comes_back_from_its_file(tmp_path):
    given = {"dataset": ["a.tif", "b.tif"], "test_dataset": ["c.tif"]}
    config = make_config(given, {})
    assert (config.dataset, config.test_dataset) == (("a.tif", "b.tif"), "c.tif")
    assert (config.split, config.frac, config.scenes) == (
        *("scenes", 1.0),
        ("a.tif", "b.tif", "c.tif"),
    )
    run = Run(tmp_path)
    run.write_config(config)
    assert run.read_config() == config
    # As a checkpoint has it.
    assert restore_config(json.loads(json.dumps(config_values(config)))) == config
    file = read_config(tmp_path / "config.toml")
    assert make_config({}, file) == config
    assert make_config({"frac": 0.1}, file).frac == 0.1
    fewer = make_config({"count": 5}, file)
    assert (fewer.split, fewer.count) == ("scenes", 5)


def test_a_single_scene_is_written_as_before(tmp_path):
    config = make_config({"dataset": ["a.tif"], "ground_truth": ["b.tif"]}, {})
    assert config == TrainConfig(
        "a.tif", ground_truth="b.tif", patch=5, components="mnf", diffuse="12,60"
    )
    assert "test_dataset" not in config_values(config)


AB = {"dataset": ["a.tif", "b.tif"]}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (AB | {"ground_truth": ["x"]}, "1 --ground-truth for 2 --dataset: give one"),
        (
            AB | {"test_dataset": ["c"], "test_ground_truth": ["d", "e"]},
            "2 --test-ground-truth for 1 --test-dataset",
        ),
        (AB | {"test_ground_truth": ["d"]}, "1 --test-ground-truth for 0 --test-data"),
        ({"dataset": ["a", "a"]}, "a is given twice: a scene"),
        (AB | {"test_dataset": ["a.tif"]}, r"a\.tif is given twice to train and to te"),
        (AB | {"split": "grss"}, "--split grss is of one scene, and 2 are given"),
        (AB | {"train_mask": "m"}, "--split masks is of one scene"),
        (AB | {"test_dataset": ["c"], "split": "blocks"}, "splits by scenes: leave"),
        (AB | {"test_dataset": ["c"], "train_mask": "m"}, "splits by scenes: leave"),
        (AB | {"split": "scenes"}, "--split scenes needs --test-dataset"),
    ],
)
def test_what_does_not_go_together_is_refused(given, said):
    with pytest.raises(UsageError, match=said):
        make_config(given, {})


def test_two_tiles_of_enmap_one_trains_and_one_is_tested(shared_data, tmp_path):
    folder = shared_data / "enmap_potsdam"
    files = [
        folder / kind / f"enmap_potsdam_tile_128_{tile}.tif"
        for tile in (0, 32)
        for kind in ("images", "labels")
    ]
    options = ("--dataset", "--ground-truth", "--test-dataset", "--test-ground-truth")
    out = tmp_path / "run"
    pairs = [word for pair in zip(options, files, strict=True) for word in pair]
    done = invoke("train", *pairs, "--model", "knn", "--out", out, "--no-map", "-q")
    assert done.exit_code == 0, done.stderr
    manifest = read(out / "run.json")
    assert [scene["rows"] for scene in manifest["scenes"]] == [[0, 32], [64, 96]]
    assert manifest["splits"][0]["n_train"] == 508
    assert manifest["splits"][0]["n_test"] == 315
    assert read(out / "metrics.json")["per_scene"][0]["n_test"] == 315
