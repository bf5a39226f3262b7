"""Runs side by side: what is paired, what is refused, and what is written."""

import csv
import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from classification_scenes import write_salinas_crop
from pictures import assert_nothing_is_cut, open_rgb
from scipy import stats
from typer.testing import CliRunner

from hsijax.cli import app
from hsijax.errors import HsijaxError, UsageError
from hsijax.experiments.compare import compare_runs
from hsijax.experiments.repeat import ensure_classification
from hsijax.reports import comparison, comparison_figure
from hsijax.reports.comparison_figure import HEIGHT, save_box_plot
from hsijax.runs import Run
from hsijax.scenes.catalogue import CATALOGUE
from hsijax.settings import make_config
from hsijax.splits import Split, read_splits, save_splits

RUNS = 3


def run_cli(*arguments: object):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def trained(shared_data, tmp_path_factory) -> dict[str, Path]:
    """Runs of nearest neighbours, of scaled and of raw spectra, on the same pixels."""
    folder = tmp_path_factory.mktemp("runs")
    cube, truth = write_salinas_crop(shared_data, folder)
    given = {"dataset": str(cube), "ground_truth": str(truth), "runs": RUNS}
    made = {
        "knn": {"model": "knn", "frac": 0.05},
        "raw_knn": {"model": "knn", "frac": 0.05, "scaling": "none"},
    }
    for name, settings in made.items():
        ensure_classification(folder / name, make_config({**given, **settings}, {}))
    return {name: folder / name for name in made}


@pytest.fixture
def copied(trained, tmp_path) -> Callable[..., Path]:
    """Copy a run folder, with other entries of its `run.json`."""

    def copy(name: str, to: str, **entries: Any) -> Path:
        shutil.copytree(trained[name], tmp_path / to)
        Run(tmp_path / to).update_manifest(**entries)
        return tmp_path / to

    return copy


def test_runs_on_identical_splits_are_tested_in_pairs(trained):
    compared = compare_runs([trained["knn"], trained["raw_knn"]])
    assert [run["name"] for run in compared["runs"]] == ["knn", "raw_knn"]
    [test] = compared["tests"]
    assert test["paired"]
    first, second = (run["metrics"] for run in compared["runs"])
    for measure in ("oa", "aa"):
        values = [np.array(m[measure]["values"]) for m in (first, second)]
        _, expected = stats.wilcoxon(values[1], values[0])
        assert test[measure]["p"] == test[measure]["p_holm"] == pytest.approx(expected)
        difference = second[measure]["mean"] - first[measure]["mean"]
        assert test[measure]["difference"] == pytest.approx(difference)
    one, two = (Run(trained[name]).read_predictions() for name in ("knn", "raw_knn"))
    rows = test["mcnemar"]["runs"]
    assert len(rows) == RUNS
    for number, row in enumerate(rows):
        truth = one[f"run{number}_truth"]
        right = [p[f"run{number}_predicted"] == truth for p in (one, two)]
        assert row["only_first"] == np.sum(right[0] & ~right[1])
        assert row["only_second"] == np.sum(right[1] & ~right[0])
        gain = (row["only_second"] - row["only_first"]) / len(truth)
        values = [m["oa"]["values"][number] for m in (first, second)]
        assert 100 * gain == pytest.approx(values[1] - values[0])
        assert row["p_holm"] >= row["p"]


def test_correction_is_over_all_pairs_and_counts_both_directions(trained, copied):
    worse = copied("knn", "worse")
    predictions = Run(worse).read_predictions()
    for number in range(RUNS):
        predicted = predictions[f"run{number}_predicted"]
        predicted[: len(predicted) // 2] = 99  # right nowhere in the first half
    Run(worse).write_predictions(predictions)
    alone = compare_runs([trained["knn"], worse])["tests"][0]["mcnemar"]
    assert (alone["better"], alone["worse"]) == (0, RUNS)
    turned = compare_runs([worse, trained["knn"]])["tests"][0]["mcnemar"]
    assert (turned["better"], turned["worse"]) == (RUNS, 0)
    paths = [trained["knn"], worse, trained["raw_knn"]]
    both = compare_runs(paths)["tests"]
    p_values = [row["p"] for test in both for row in test["mcnemar"]["runs"]]
    adjusted = [row["p_holm"] for test in both for row in test["mcnemar"]["runs"]]
    assert min(adjusted) == pytest.approx(2 * RUNS * min(p_values))
    for test in both:
        assert test["oa"]["p_holm"] >= test["oa"]["p"]


def save_last_split(folder: Path, last: Split) -> None:
    run = Run(folder)
    shape = tuple(run.read_manifest()["scene"]["shape"][:2])
    splits = [*read_splits(run.split_file)[:-1], last]
    save_splits(run.split_file, splits, shape=shape, method="random")


def test_held_out_pixels_leave_a_split_what_it_is(trained, copied):
    held = copied("knn", "held")
    last = read_splits(Run(held).split_file)[-1]
    save_last_split(held, Split(last.train[3:], last.train[:3], last.test))
    assert compare_runs([trained["knn"], held])["tests"][0]["paired"]


def test_other_training_pixels_are_another_split(trained, copied):
    other = copied("knn", "other")
    last = read_splits(Run(other).split_file)[-1]
    save_last_split(other, Split(last.train[1:], last.validation, last.test))
    [test] = compare_runs([trained["knn"], other])["tests"]
    why = f"the splits differ: other training pixels in run {RUNS - 1}"
    assert test["why"] == why


@pytest.fixture
def moved(copied) -> Path:
    """A run that was tested on another pixel in its second run."""
    folder = copied("knn", "moved")
    predictions = Run(folder).read_predictions()
    predictions["run1_pixels"][0] += 1
    Run(folder).write_predictions(predictions)
    return folder


@pytest.fixture
def fewer(copied) -> Path:
    """A run folder of two runs."""
    folder = copied("knn", "fewer")
    metrics = Run(folder).read_metrics()
    for measure in ("oa", "aa", "kappa"):
        del metrics[measure]["values"][2:]
    Run(folder).write_metrics(metrics)
    return folder


@pytest.mark.parametrize(
    ("other", "why"),
    [
        ("moved", "the splits differ: other test pixels in run 1"),
        ("fewer", "the numbers of runs differ: 2, not 3"),
    ],
)
def test_other_splits_are_never_paired(trained, other, why, request):
    folder = request.getfixturevalue(other)
    compared = compare_runs([trained["knn"], folder])
    assert compared["tests"] == [{"run": str(folder), "paired": False, "why": why}]
    lines = comparison.to_lines(compared)
    assert f"{other} is not tested against knn, because {why}." in lines
    assert "McNemar" not in "\n".join(lines)


def test_another_scene_or_ground_truth_is_an_error(trained, copied):
    manifest = Run(trained["knn"]).read_manifest()
    elsewhere = copied("knn", "elsewhere", scene=manifest["scene"] | {"name": "x"})
    with pytest.raises(HsijaxError, match=r"elsewhere is of x, .*knn of crop"):
        compare_runs([trained["knn"], elsewhere])
    truth = manifest["ground_truth"] | {"sha256": "0" * 64}
    labelled = copied("knn", "labelled", ground_truth=truth)
    with pytest.raises(HsijaxError, match="labelled has another ground truth"):
        compare_runs([trained["knn"], labelled])
    renamed = [entry | {"name": "?"} for entry in manifest["classes"]]
    with pytest.raises(HsijaxError, match="has another ground truth"):
        compare_runs([trained["knn"], copied("knn", "renamed", classes=renamed)])


def test_two_files_of_the_same_ground_truth_are_one(copied):
    """Indian Pines comes as .mat and as .npy."""
    file = CATALOGUE["indian-pines"].file("ground_truth")
    assert file is not None
    folders = [
        copied("knn", f"copy{number}", scene={"name": "indian-pines", "shape": [1]})
        for number in range(2)
    ]
    for folder, digest in zip(folders, file.sha256, strict=True):
        Run(folder).update_manifest(ground_truth={"path": "gt", "sha256": digest})
    assert compare_runs(folders)["tests"][0]["paired"]


def test_what_is_no_pair_of_finished_runs_is_refused(trained, copied, tmp_path):
    for folders in ([trained["knn"]], [trained["knn"], trained["knn"] / "../knn"]):
        with pytest.raises(UsageError, match="two or more different run folders"):
            compare_runs(folders)
    with pytest.raises(UsageError, match="is no run folder"):
        compare_runs([trained["knn"], tmp_path])
    with pytest.raises(UsageError, match="is a run of `hsijax unmix`"):
        compare_runs([trained["knn"], copied("knn", "unmixed", task="unmixing")])
    unfinished = copied("knn", "unfinished")
    (unfinished / "metrics.json").unlink()
    with pytest.raises(HsijaxError, match="the run has not ended"):
        compare_runs([trained["knn"], unfinished])


def test_best_figures_are_bold_and_names_are_escaped(trained):
    compared = compare_runs([trained["knn"], trained["raw_knn"]])
    rows = comparison.rows(compared)
    oa = next(row for row in rows if row.name == "OA (%)")
    means = [run["metrics"]["oa"]["mean"] for run in compared["runs"]]
    best = int(np.argmax(means))
    assert oa.best == [best]
    markdown, latex = comparison.to_markdown(compared), comparison.to_latex(compared)
    assert r"| raw\_knn |" in markdown
    line = next(line for line in markdown.splitlines() if line.startswith("| OA"))
    assert line.split("|")[2 + best].strip() == f"**{oa.cells[best]}**"
    assert line.count("**") == 2
    assert r"raw\_knn \\" in latex
    assert rf"\textbf{{{oa.cells[best]}}}".replace("±", r"$\pm$") in latex
    assert latex.count(r"\toprule") == latex.count(r"\bottomrule") == 2
    # What is as good in print is as good.
    compared["runs"][1 - best]["metrics"] = compared["runs"][best]["metrics"]
    assert all(row.best in ([0, 1], []) for row in comparison.rows(compared))


def test_few_runs_are_told_what_they_cannot_reach(trained):
    compared = compare_runs([trained["knn"], trained["raw_knn"]])
    few = comparison.notes(compared)
    assert any("3 runs cannot reach p < 0.05" in line for line in few)
    assert any("smallest p of 3 is 0.2500" in line for line in few)
    assert any("each p is too small" in line for line in few)
    compared["tests"][0]["mcnemar"]["runs"] *= 2
    assert not any("cannot reach" in line for line in comparison.notes(compared))


def test_csv_holds_every_figure_of_every_run(trained, moved):
    compared = compare_runs([trained["knn"], trained["raw_knn"], moved])
    rows = list(csv.DictReader(io.StringIO(comparison.to_csv(compared))))
    for run in compared["runs"]:
        own = {r["measure"]: r for r in rows if r["run"] == run["run"]}
        assert float(own["oa"]["mean"]) == run["metrics"]["oa"]["mean"]
    found = {(Path(row["run"]).name, row["measure"]): row for row in rows}
    tested = found["raw_knn", "oa_p"]
    assert float(tested["mean"]) == compared["tests"][0]["oa"]["p"]
    why = "the splits differ: other test pixels in run 1"
    assert found["moved", "test"]["note"] == why


def test_selection_on_test_pixels_is_stamped_everywhere(trained, copied):
    chosen = copied("knn", "chosen")
    metrics = Run(chosen).read_metrics()
    Run(chosen).write_metrics(metrics | {"selected_on_test": True})
    compared = compare_runs([trained["raw_knn"], chosen])
    for write in (comparison.to_markdown, comparison.to_latex):
        text = write(compared)
        assert text.count("chosen (selected on test)") == 2
        assert "raw\\_knn (selected" not in text
        assert "Selected on test: the epoch was chosen by the test accuracy" in text
    rows = csv.DictReader(io.StringIO(comparison.to_csv(compared)))
    notes = {r["note"] for r in rows if r["measure"] == "oa" and "chosen" in r["run"]}
    assert notes == {"selected on test"}


def test_folders_of_the_same_name_are_told_apart(trained, copied):
    names = [
        run["name"]
        for run in compare_runs([trained["knn"], copied("knn", "knn")])["runs"]
    ]
    assert len(set(names)) == 2


def test_command_prints_each_format_and_draws(trained, tmp_path):
    pair = trained["knn"], trained["raw_knn"]
    for suffix, magic in ((".png", b"\x89PNG"), (".pdf", b"%PDF")):
        figure = tmp_path / f"oa{suffix}"
        done = run_cli("compare", *pair, "--figure", figure)
        assert done.exit_code == 0, done.stderr
        assert figure.read_bytes().startswith(magic)
    assert "McNemar: better" in done.stdout
    assert json.loads(run_cli("compare", *pair, "--json").stdout) == compare_runs(pair)
    for option, words in {
        "--markdown": "| AA (%) |",
        "--latex": r"\midrule",
        "--csv": "run,measure,class_id",
    }.items():
        assert words in run_cli("compare", *pair, option).stdout


def test_box_plot_says_what_leaks(trained, copied, tmp_path, monkeypatch):
    wide = copied("knn", "wide")
    metrics = Run(wide).read_metrics()
    leaked = {"test_with_train_centre": 0.875, "test_patch_overlap": 1.0}
    split = metrics["split"] | {"method": "blocks", "leakage": leaked}
    Run(wide).write_metrics(metrics | {"split": split})
    compared = compare_runs([trained["knn"], wide, trained["raw_knn"]])
    save_box_plot(tmp_path / "oa.png", compared)
    assert_nothing_is_cut(open_rgb(tmp_path / "oa.png"))
    drawn = []
    monkeypatch.setattr(
        comparison_figure, "save_figure", lambda path, figure: drawn.append(figure)
    )
    save_box_plot(tmp_path / "oa.png", compared)
    save_box_plot(
        tmp_path / "oa.png", compare_runs([trained["knn"], trained["raw_knn"]])
    )
    heights = [figure.get_size_inches()[1] for figure in drawn]
    assert heights[0] > heights[1] > HEIGHT  # the note takes no room from the plot
    assert drawn[0].get_supxlabel().replace("\n", " ") == (
        "knn, raw_knn: split random. Of the test patches 0.0 % hold a training pixel, "
        "0.0 % overlap a training patch. wide: split blocks. Of the test patches "
        "87.5 % hold a training pixel, 100.0 % overlap a training patch."
    )


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--json", "--csv"], "give one of --json, --csv, --latex and --markdown"),
        (["--figure", "oa.svg"], "oa.svg has no known file type: .png or .pdf"),
    ],
)
def test_mistake_is_a_line(trained, arguments, words):
    done = run_cli("compare", trained["knn"], trained["raw_knn"], *arguments)
    assert done.exit_code == 2
    assert words in done.stderr
