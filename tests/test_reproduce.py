"""The papers' tables beside ours: what is printed, what is trained, what is written."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.io
from typer.testing import CliRunner
from unmixing_scenes import write_jasper_crop

from hsijax.cli import app
from hsijax.config import TrainConfig, UnmixConfig
from hsijax.config.opponents import OPPONENTS
from hsijax.errors import HsijaxError, UsageError
from hsijax.experiments import (
    printed,
    repeat,
    reproduce_training,
    reproduce_unmixing,
)
from hsijax.experiments import reproduce as reproduce_module
from hsijax.experiments.compare import compare_runs
from hsijax.experiments.reproduce import TABLES, reproduce
from hsijax.experiments.reproduce_cells import TRAINING_TABLES, choose_cells
from hsijax.experiments.reproduce_unmixing import UNMIXING_TABLES
from hsijax.experiments.task import load_task
from hsijax.runs import Run
from hsijax.settings import make_config, make_unmix_config
from hsijax.splits import Leakage, leakage
from hsijax.splits.sampling import share_of

TABLE_1 = TRAINING_TABLES["table1"]
BEYOND = TRAINING_TABLES["beyond-paper"]


def run_cli(*arguments: object):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def markdown_rows(text: str) -> list[list[str]]:
    return [
        [cell.strip() for cell in line.split("|")[1:-1]]
        for line in text.splitlines()
        if line.startswith("|")
    ]


@pytest.mark.parametrize("part", printed.TABLE_1)
@pytest.mark.parametrize("model", ["resnet", "odenet"])
def test_printed_figures_are_those_of_ten_runs_on_our_test_pixels(
    part, model, shared_data
):
    """A slip in typing them would show in a mean, or as no whole number of pixels."""
    scene, frac = part
    if scene == "indian-pines":
        truth = np.load(shared_data / "indian_pines" / "Indian_pines_gt.npy")
    else:
        truth = scipy.io.loadmat(shared_data / "salinas" / "salinas_gt.mat")
        truth = truth["salinas_gt"]
    totals = np.bincount(truth.ravel())[1:]
    tested = np.array([n - share_of(frac, int(n)) for n in totals])
    column = printed.TABLE_1[part][model]
    means = np.array([column[str(number)]["mean"] for number in range(1, 17)])
    hits = means / 100 * 10 * tested
    nearest = 100 * np.round(hits) / (10 * tested)
    np.testing.assert_allclose(means, nearest, atol=0.00501)
    assert column["aa"]["mean"] == pytest.approx(means.mean(), abs=0.0101)
    share = (means * tested).sum() / tested.sum()
    assert column["oa"]["mean"] == pytest.approx(share, abs=0.0101)
    # What would agree by chance, were the prediction's classes as large as the truth's.
    chance = 100 * ((tested / tested.sum()) ** 2).sum()
    kappa = 100 * (column["oa"]["mean"] - chance) / (100 - chance)
    assert column["kappa"]["mean"] == pytest.approx(kappa, abs=0.3)
    for figure in (column[str(number)] for number in range(1, 17)):
        assert figure["std"] ** 2 <= figure["mean"] * (100 - figure["mean"])
    assert column["parameters"] == {"mean": 601872 if model == "resnet" else 232080}


@pytest.mark.parametrize(
    ("preset", "only", "count"),
    [
        (None, None, 40),
        ("both", "indian-pines", 20),
        ("paper", "resnet,odenet", 8),  # the eight columns of the paper
        ("best", "indian-pines, 3%", 5),
        ("best", "salinas-a,10%,no-block", 1),
        (None, "3%,15%,odenet", 4),
    ],
)
def test_part_of_the_table_is_chosen_by_words(preset, only, count):
    cells = choose_cells(TABLE_1, preset, only)
    assert len(cells) == len(set(cells)) == count
    # In place of another only where that is missing, or by name.
    alone = only is not None and "salinas-a" in only
    assert ({cell.part.scene for cell in cells} == {"salinas-a"}) == alone


@pytest.mark.parametrize(
    ("only", "parts"),
    [
        (None, 8),
        ("indian-pines", 6),
        ("3%", 2),
        ("indian-pines,blocks", 1),
        ("blocks", 2),
        ("grss", 1),
        ("random,indian-pines", 4),
    ],
)
def test_part_of_the_table_of_all_classifiers(only, parts):
    cells = choose_cells(BEYOND, None, only)
    assert len({cell.part for cell in cells}) == parts
    assert [cell.model for cell in cells[:2]] == ["odenet", "resnet"]
    assert {cell.model for cell in cells} == {"odenet", "resnet", *OPPONENTS}
    assert len(cells) == parts * (2 + len(OPPONENTS))
    folders = {cell.folder(Path("out")).as_posix() for cell in cells}
    assert len(folders) == len(cells)
    if only == "grss":
        assert "out/indian-pines-grss/best-svm" in folders


@pytest.mark.parametrize(
    ("preset", "only", "words"),
    [
        ("papre", None, "did you mean 'paper'"),
        (None, "indian-pinse", "did you mean 'indian-pines'"),
        (None, "4%", "no scene, share, split or network of this table named '4%'"),
        (None, "indian-pines,1%", "no part of table1: indian-pines 3%"),
        (None, "", "no scene, share, split or network"),
    ],
)
def test_part_that_is_none_is_told(preset, only, words):
    with pytest.raises(UsageError, match=words):
        choose_cells(TABLE_1, preset, only)


def test_all_columns_of_a_part_train_and_test_on_the_same_pixels(
    shared_data, tmp_path, monkeypatch
):
    configs = []

    def record(folder: Path, config: TrainConfig, progress: Any = None) -> dict:
        configs.append(config)
        return fake_run(folder, config)

    monkeypatch.setattr(reproduce_training, "ensure_classification", record)
    reproduce("table1", tmp_path, runs=2, only="salinas-a,1%", data_dir=shared_data)
    assert len({(c.preset, c.model, c.patch) for c in configs}) == 10
    tasks = [load_task(config) for config in (configs[0], configs[4], configs[-1])]
    for other in tasks[1:]:
        for one, two in zip(tasks[0].splits.splits, other.splits.splits, strict=True):
            np.testing.assert_array_equal(one.train, two.train)
            np.testing.assert_array_equal(one.test, two.test)
    first, second = tasks[0].splits.splits
    assert not np.array_equal(first.train, second.train)


def fake_run(folder: Path, config: TrainConfig) -> dict[str, Any]:
    """Stand for a training: a run folder that is done, and made-up figures."""
    run = Run(folder)
    figure = {"mean": 50.0, "std": 1.5, "values": [50.0] * config.runs}
    fields = {"mean": 40.0, "std": 2.5}
    ids = range(1, 17) if config.dataset != "salinas-a" else (1, 10, 11, 12, 13, 14)
    metrics = {
        **dict.fromkeys(("oa", "aa", "kappa"), figure),
        "per_class": [
            {"id": number, "name": f"class {number}", "n_test": number, **fields}
            for number in ids
        ],
        "seconds": {"train": 1.25, "evaluate": 0.5},
        "parameters": 1234,
        "split": {
            "n_train": 314,
            "n_test": 9935,
            "leakage": {"test_with_train_centre": 0.875, "test_patch_overlap": 1.0},
        },
    }
    run.folder.mkdir(parents=True, exist_ok=True)
    run.update_manifest(
        status="done",
        versions={"hsijax": "0.1", "jax": "0.10"},
        device="cpu",
        started="2026-01-02T03:04:05",
        splits=[],
    )
    run.write_config(config)
    run.write_metrics(metrics)
    return metrics


@pytest.fixture
def trained(monkeypatch) -> list[str]:
    """Let cells be made up; the list names those that were. Salinas cannot be had."""
    made: list[str] = []

    def ensure(folder: Path, config: TrainConfig, progress: Any = None) -> Any:
        if not (folder / "run.json").exists():
            made.append("/".join(folder.parts[-2:]))
            fake_run(folder, config)
        return repeat.ensure_classification(folder, config)

    def load(name: str, **_: Any) -> None:
        if name == "salinas":
            raise HsijaxError("salinas cannot be downloaded\nput it into a folder")

    monkeypatch.setattr(reproduce_training, "ensure_classification", ensure)
    monkeypatch.setattr(reproduce_training, "load_scene", load)
    return made


def test_interrupted_table_is_readable_and_gone_on_with(tmp_path, trained):
    def stop(stage: str, done: float, total: float, detail: str = "") -> None:
        if done == 3:
            raise KeyboardInterrupt

    part: dict[str, Any] = {"only": "indian-pines,3%", "preset": "paper"}
    with pytest.raises(KeyboardInterrupt):
        reproduce("table1", tmp_path, progress=stop, **part)
    assert len(trained) == 3
    header, _, *rows = markdown_rows((tmp_path / "table.md").read_text())
    assert header[:4] == [
        *("", "resnet as printed", "odenet as printed", "resnet, preset paper"),
    ]
    names = [row[0] for row in rows]
    assert names[0] == "1 Alfalfa"
    assert names[16:] == ["OA", "AA", "kappa", "seconds", "parameters", "runs"]
    ours = ["50.00 ± 1.50"] * 3
    assert rows[16][1:] == ["75.18 ± 6.24", "79.98 ± 1.76", *ours, "-", "-"]
    assert rows[6][1:4] == ["0.74 ± 2.22", "11.48 ± 18.25", "40.00 ± 2.50"]
    assert rows[19][1:5] == ["48.98 ± 0.19", "106.25 ± 0.18", "1.25", "1.25"]
    assert rows[20][1:] == ["601,872", "232,080", "1,234", "1,234", "1,234", "-", "-"]
    assert rows[21][1:] == ["-", "-", "10", "10", "10", "-", "-"]
    data, _ = reproduce("table1", tmp_path, **part)
    assert len(trained) == len(set(trained)) == 5
    text = (tmp_path / "table.md").read_text()
    assert "| - |" not in text.partition("| runs |")[0]
    assert data == json.loads((tmp_path / "table.json").read_text())
    assert [len(c["metrics"]["oa"]["values"]) for c in data["parts"][0]["cells"]] == (
        [10] * 5
    )


def test_parts_made_one_after_the_other_stand_in_one_table(tmp_path, trained):
    reproduce("table1", tmp_path, only="15%,odenet", preset="best", runs=3)
    data, files = reproduce("table1", tmp_path, only="3%,resnet", runs=3)
    assert trained == [
        *("indian-pines-0.15/best-odenet", "indian-pines-0.03/paper-resnet"),
        "indian-pines-0.03/best-resnet",
    ]
    assert [part["frac"] for part in data["parts"]] == [0.03, 0.15]
    text = files[1].read_text()
    assert "3 runs a column; training / test pixels 314 / 9,935" in text
    assert "Preset best: 87.5 % test patches with a training pixel inside" in text
    assert "hsijax 0.1, jax 0.10, cpu, 2026-01-02" in text
    # A trial does not mix with what is there, be it chosen or not.
    for only in ("3%,resnet", "15%,resnet"):
        with pytest.raises(UsageError, match="choose another --out"):
            reproduce("table1", tmp_path, only=only, runs=3, epochs=1)


def test_missing_scene_is_left_out_and_its_part_stands_alone(tmp_path, trained, caplog):
    data, files = reproduce("table1", tmp_path, only="salinas,10%,odenet")
    assert trained == [f"salinas-a-0.1/{preset}-odenet" for preset in ("paper", "best")]
    assert "salinas is left out: salinas cannot be downloaded" in caplog.text
    assert "trained in its place: salinas-a" in caplog.text
    assert [(part["scene"], part["printed"]) for part in data["parts"]] == [
        ("salinas-a", {})
    ]
    text = files[1].read_text()
    assert "printed" not in text.split("\n|")[1]
    assert "salinas is left out: salinas cannot be downloaded" in text
    assert "not to be compared with the printed ones" in text


def test_reason_stays_while_another_scene_stands_in(tmp_path, trained):
    reproduce("table1", tmp_path, only="salinas,10%,odenet")
    data, _ = reproduce("table1", tmp_path, only="indian-pines,3%,odenet")
    assert list(data["left_out"]) == ["salinas"]


def test_cell_without_a_figure_leaves_the_others_theirs(
    tmp_path, trained, monkeypatch, caplog
):
    made = reproduce_training.ensure_classification

    def fail(folder: Path, config: TrainConfig, progress: Any = None) -> Any:
        if config.model == "resnet":
            raise HsijaxError("the loss is nan")
        return made(folder, config, progress)

    monkeypatch.setattr(reproduce_training, "ensure_classification", fail)
    data, _ = reproduce("table1", tmp_path, only="indian-pines,3%", preset="best")
    cells = data["parts"][0]["cells"]
    assert [cell["model"] for cell in cells if not cell["metrics"]] == ["resnet"]
    assert "resnet (best) has none: the loss is nan" in caplog.text


def test_table_without_any_scene_is_an_error(tmp_path, monkeypatch):
    def load(name: str, **_: Any) -> None:
        raise HsijaxError(f"{name} cannot be downloaded")

    monkeypatch.setattr(reproduce_training, "load_scene", load)
    with pytest.raises(HsijaxError, match="indian-pines, salinas, salinas-a cannot"):
        reproduce("table1", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_all_classifiers_have_one_split_whatever_their_patch(
    shared_data, tmp_path, monkeypatch
):
    configs: dict[str, TrainConfig] = {}

    def record(folder: Path, config: TrainConfig, progress: Any = None) -> dict:
        configs["/".join(folder.parts[-2:])] = config
        return fake_run(folder, config)

    monkeypatch.setattr(reproduce_training, "ensure_classification", record)
    # The widest patch last: the file must not follow the first.
    models = ("1d-cnn", "svm", "ssrn", "odenet")
    monkeypatch.setitem(TABLES, "beyond-paper", replace(BEYOND, models=models))
    reproduce(
        "beyond-paper",
        tmp_path,
        quick=True,
        epochs=3,
        only="salinas-a",
        data_dir=shared_data,
    )
    assert {config.runs for config in configs.values()} == {2}
    widest = max(
        make_config({"dataset": "x", "model": model}, {}).patch for model in models
    )
    for part in ("salinas-a-0.01", "salinas-a-0.01-blocks"):
        own = {name: c for name, c in configs.items() if name.startswith(f"{part}/")}
        assert len(own) == 4
        assert len({config.patch for config in own.values()}) >= 3
        tasks = [load_task(config) for config in own.values()]
        for task in tasks:
            pairs = zip(tasks[0].splits.splits, task.splits.splits, strict=True)
            for one, two in pairs:
                np.testing.assert_array_equal(one.train, two.train)
                np.testing.assert_array_equal(one.test, two.test)
        assert {task.splits.method for task in tasks} == {
            "blocks" if "blocks" in part else "random"
        }
        if "blocks" in part:
            for split in tasks[0].splits.splits:
                assert leakage(split, widest) == Leakage(0.0, 0.0)
    # The classical ones have no epochs.
    assert configs["salinas-a-0.01/best-odenet"].epochs == 3
    assert configs["salinas-a-0.01/best-svm"].epochs != 3


def test_random_and_leak_free_stand_side_by_side(tmp_path, trained, monkeypatch):
    monkeypatch.setattr(reproduce_training, "write_split", lambda *_, **__: None)
    only = "indian-pines,3%,odenet,ssrn,svm"
    data, files = reproduce("beyond-paper", tmp_path, only=only, runs=2)
    assert [(part["split"], part["frac"]) for part in data["parts"]] == [
        ("random", 0.03),
        ("blocks", 0.03),
    ]
    text = files[1].read_text()
    drop, random, blocks = text.split("\n## ")[1:4]
    rows = markdown_rows(drop)
    assert rows[0][1:3] == ["OA, random 3 %", "AA, random 3 %"]
    assert [row[0] for row in rows[2:]] == ["odenet", "ssrn", "svm"]
    assert rows[2][1:] == [*["50.00 ± 1.50"] * 4, "+0.00", "2"]
    header, _, odenet, ssrn, _ = markdown_rows(random)
    assert header[-1] == "OA, the paper's"
    assert odenet[-1] == "79.98 ± 1.76"
    assert odenet[1:3] == ["2", "**50.00 ± 1.50**"]
    assert ssrn[-1] == "-"
    assert markdown_rows(blocks)[0][-1] == "seconds"
    assert "ssrn: Zhong et al." in text
    assert "99.44 (Indian Pines, 20 % for training; the authors' repository)." in text
    assert "published parameters" not in text
    reproduce("beyond-paper", tmp_path, only="3%,1%,random,1d-cnn", runs=2)
    text = (tmp_path / "table.md").read_text()
    ours = "1,234 on indian-pines, 1,234 on salinas-a"
    assert f"; published parameters 81,408, ours {ours}." in text
    reproduce("beyond-paper", tmp_path, only="indian-pines,grss,knn", runs=2)
    text = (tmp_path / "table.md").read_text()
    assert "## indian-pines, the IEEE GRSS mask" in text
    assert text.count("\n| odenet |") == 3


def test_cells_of_fewer_runs_stand_beside_those_of_more(tmp_path, trained, monkeypatch):
    asked = {}

    def write(config: TrainConfig, *_: Any, **__: Any) -> None:
        asked["runs"] = config.runs

    def add(run: Run, runs: int, *_: Any) -> tuple[Run, TrainConfig]:
        return run, replace(run.read_config(), runs=runs)

    monkeypatch.setattr(reproduce_training, "write_split", write)
    monkeypatch.setattr(repeat, "add_runs", add)
    monkeypatch.setattr(
        repeat, "train_runs", lambda run, config, _: fake_run(run.folder, config)
    )
    part: dict[str, Any] = {"only": "salinas-a,blocks,knn,svm"}
    reproduce("beyond-paper", tmp_path, quick=True, **part)
    only = "salinas-a,blocks,knn"
    data, files = reproduce("beyond-paper", tmp_path, only=only)  # to ten runs
    assert asked == {"runs": 10}
    # What has more keeps them, and the file of all cells' splits keeps its ten.
    data, files = reproduce("beyond-paper", tmp_path, only=f"{only},1d-cnn", quick=True)
    assert asked == {"runs": 10}
    counts = {
        cell["model"]: len(cell["metrics"]["oa"]["values"])
        for cell in data["parts"][0]["cells"]
    }
    assert counts == {"1d-cnn": 2, "svm": 2, "knn": 10}
    assert "2 or 10 runs a row" in files[1].read_text()
    assert len(trained) == 3


def test_cell_that_was_stopped_on_its_way_to_more_runs_keeps_its_figures(
    tmp_path, trained, monkeypatch, caplog
):
    part: dict[str, Any] = {"only": "salinas-a,random,knn"}
    reproduce("beyond-paper", tmp_path, quick=True, **part)
    cell = Run(tmp_path / "salinas-a-0.01" / "best-knn")
    cell.write_config(replace(cell.read_config(), runs=10))
    cell.update_manifest(status="interrupted")

    def fail(*_: Any) -> None:
        raise HsijaxError("the loss is not finite")

    monkeypatch.setattr(reproduce_training, "ensure_classification", fail)
    data, _ = reproduce("beyond-paper", tmp_path, quick=True, **part)
    [kept] = data["parts"][0]["cells"]
    assert len(kept["metrics"]["oa"]["values"]) == 2
    assert "is of 10 runs, and goes on to all of them" in caplog.text
    assert "keeps the figures of before: the loss is not finite" in caplog.text


@pytest.mark.parametrize("table", TABLES)
def test_interrupted_command_says_how_to_go_on(table, tmp_path, monkeypatch):
    folders = []

    def stop(name: str, folder: Path, **_: Any) -> None:
        folders.append(folder)
        raise KeyboardInterrupt

    monkeypatch.setattr(reproduce_module, "reproduce", stop)
    monkeypatch.chdir(tmp_path)
    for options in ([], ["--quick"], ["--quick", "--out", "there"]):
        done = run_cli("reproduce", table, *options)
        assert done.exit_code == 130
        assert "go on with: the same command\n" in done.stderr
    names = [f"reproduced/{table}", f"reproduced/{table}-quick", "there"]
    assert [folder.as_posix() for folder in folders] == names


def test_two_runs_are_quick_and_not_another_number(tmp_path):
    with pytest.raises(UsageError, match="--quick is two runs of each: leave out --ru"):
        reproduce("beyond-paper", tmp_path / "out", quick=True, runs=3)


def test_table_of_all_classifiers_is_trained_and_gone_on_with(shared_data, tmp_path):
    out = tmp_path / "out"
    arguments = [
        *("reproduce", "beyond-paper", "--quick", "--epochs", "1", "--quiet"),
        *("--data-dir", shared_data, "--out", out),
    ]
    done = run_cli(*arguments, "--only", "salinas-a,blocks,knn")
    assert done.exit_code == 0, done.stderr
    done = run_cli(*arguments, "--only", "salinas-a,blocks,2d-cnn", "--json")
    assert done.exit_code == 0, done.stderr
    [part] = json.loads(done.stdout)["parts"]
    assert [cell["model"] for cell in part["cells"]] == ["2d-cnn", "knn"]
    one, two = (cell["metrics"] for cell in part["cells"])
    assert one["split"]["n_test"] == two["split"]["n_test"]
    assert one["split"]["leakage"]["test_patch_overlap"] == 0
    assert len(one["oa"]["values"]) == 2
    folder = out / "salinas-a-0.01-blocks"
    compared = compare_runs([folder / "best-knn", folder / "best-2d-cnn"])
    assert compared["tests"][0]["paired"]


def test_table1_is_trained_and_nothing_is_trained_twice(
    shared_data, tmp_path, monkeypatch
):
    out = tmp_path / "out"
    arguments = [
        *("reproduce", "table1", "--only", "salinas-a,10%,no-block"),
        *("--preset", "best", "--data-dir", shared_data, "--runs", "2"),
        *("--epochs", "1", "--out", out, "--quiet"),
    ]
    done = run_cli(*arguments, "--json")
    assert done.exit_code == 0, done.stderr
    [cell] = json.loads(done.stdout)["parts"][0]["cells"]
    folder = out / "salinas-a-0.1" / "best-no-block"
    assert cell["metrics"] == json.loads((folder / "metrics.json").read_text())
    assert cell["metrics"]["split"]["n_train"] == 538

    def refuse(*_: Any) -> None:
        raise AssertionError("trained again")

    monkeypatch.setattr(repeat, "train_runs", refuse)
    again = run_cli(*arguments)
    assert again.exit_code == 0, again.stderr
    oa = cell["metrics"]["oa"]
    assert f"| OA | {oa['mean']:.2f} ± {oa['std']:.2f} |" in again.stdout
    assert str(out / "table.md") in again.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["table2"], "did you mean 'table1'"),
        (["beyond-paper", "--only", "indian-pines,1%"], "indian-pines grss"),
        (["unmixing-jasper", "--only", "LSU"], "--only is of table1"),
        (["unmixing-jasper", "--preset", "best"], "--preset is of table1"),
    ],
)
def test_mistake_is_a_line(arguments, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = run_cli("reproduce", *arguments)
    assert done.exit_code == 2
    assert words in done.stderr
    assert not list(tmp_path.iterdir())


def test_unmixing_table_has_the_printed_figures_beside(
    shared_data, tmp_path, monkeypatch
):
    crop = write_jasper_crop(shared_data, tmp_path / "crop")
    table = reproduce_unmixing.UnmixingTable(
        "unmixing-jasper",
        str(crop),
        printed.JASPER,
        0.75,
        given={"eSVM": {"controls": False}},
    )
    rows = ("LSU", "eSVM")
    chosen = {label: reproduce_unmixing.ROWS[label] for label in rows}
    monkeypatch.setattr(reproduce_unmixing, "ROWS", chosen)
    _, files = reproduce_unmixing.reproduce_unmixing(
        table, tmp_path / "out", {"runs": 1, "seed": 0, "epochs": 1}
    )
    random, blocks = files[1].read_text().split("blocks split**")
    lines = [line.split(" | ") for line in random.splitlines()]
    names = [cells[0].removeprefix("| ") for cells in lines]
    for label in rows:
        beneath = names.index(label) + 1
        assert names[beneath] == f"{label}, the paper"
        assert lines[beneath][-2] == f"{printed.JASPER[label]['Sum']:.3f}"
        assert f"| {label} |" in blocks
    # The paper splits no pixels by blocks.
    assert "the paper" not in blocks


def test_settings_of_an_unmixing_table_reach_the_methods_that_have_them(
    tmp_path, monkeypatch
):
    configs: dict[str, UnmixConfig] = {}

    def record(folder: Path, config: UnmixConfig, progress: Any) -> dict:
        configs[folder.name] = config
        return {"scene": config.scene, "splits": {}}

    monkeypatch.setattr(reproduce_unmixing, "ensure_unmixing", record)
    monkeypatch.setattr(reproduce_unmixing, "_write_tables", lambda *_: [])
    reproduce("unmixing-jasper", tmp_path, seed=3, epochs=2)
    assert len(configs) == len(reproduce_unmixing.ROWS)
    assert {config.runs for config in configs.values()} == {5}
    assert {config.seed for config in configs.values()} == {3}
    usual = make_unmix_config({"scene": "jasper-ridge", "model": "fcls"}, {})
    for name, config in configs.items():
        learns = "cnn" in name or name == "aann"
        assert config.epochs == (2 if learns else usual.epochs)


def test_default_of_each_table_is_what_the_paper_did():
    assert TABLE_1.runs == 10
    assert {table.runs for table in UNMIXING_TABLES.values()} == {5}
    config = reproduce_training._make_config(TABLE_1.cells[1], {"runs": 10, "seed": 0})
    given = {"dataset": "indian-pines", "frac": 0.03, "runs": 10, "preset": "paper"}
    assert config == make_config(given, {})
