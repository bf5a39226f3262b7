"""Tables of a run: the same figures in each format, text from files escaped."""

import copy
import csv
import io
import re

import numpy as np
import pytest

from hsijax.reports.tables import (
    class_rows,
    confusion_lines,
    notes,
    summary_rows,
    to_csv,
    to_latex,
    to_markdown,
)


def accuracy(values: list[float]) -> dict:
    mean, std = (
        float(np.mean(values)),
        float(np.std(values, ddof=1 if values[1:] else 0)),
    )
    return {"mean": mean, "std": std, "ddof": 1, "values": values}


METRICS = {
    "oa": accuracy([91.0, 92.0, 93.5]),
    "aa": accuracy([88.0, 88.5, 89.0]),
    "kappa": accuracy([90.0, 91.0, 92.0]),
    "per_class": [
        {"id": 2, "name": "Corn, notill", "n_train": 43, "n_test": 1385}
        | {"mean": 90.123, "std": 1.5},
        {"id": 5, "name": "Äcker & 50%_{x}|<b>\\", "n_train": 15, "n_test": 468}
        | {"mean": 80.0, "std": 0.0},
        {"id": 9, "name": "Oats", "n_train": 20, "n_test": 0}
        | {"mean": None, "std": None},
    ],
    "parameters": 89168,
    "split": {
        "method": "random",
        "n_train": 314,
        "n_test": 9935,
        "leakage": {"test_with_train_centre": 0.87, "test_patch_overlap": 0.999},
    },
    "seconds": {"train": 29.04, "evaluate": 1.2},
}


@pytest.mark.parametrize(("count", "rows"), [(4.0, ["4", "6"]), (0.0, [])])
def test_function_evaluations_stand_where_there_is_a_block(count, rows):
    counted = {"train": {"mean": count}, "predict": {"mean": 1.5 * count}}
    found = summary_rows({**METRICS, "function_evaluations": counted})
    assert [value for name, value in found if "evaluations" in name] == rows


def one_run() -> dict:
    metrics = copy.deepcopy(METRICS)
    for key in ("oa", "aa", "kappa"):
        metrics[key] = accuracy([91.0])
    for row in metrics["per_class"]:
        row["std"] = None if row["mean"] is None else 0.0
    return metrics


def read_csv(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_summary_has_leakage_beside_the_accuracies():
    rows = dict(summary_rows(METRICS))
    assert rows["OA (%)"] == "92.17 ± 1.26"
    assert rows["test patches with a training pixel inside"] == "87.0 %"
    assert rows["test patches that overlap a training patch"] == "99.9 %"
    assert rows["training / test pixels"] == "314 / 9,935"
    assert rows["parameters"] == "89,168"


def test_classes():
    assert class_rows(METRICS)[0] == (
        "2",
        "Corn, notill",
        "43",
        "1,385",
        "90.12 ± 1.50",
        "",
    )
    assert class_rows(METRICS)[2][-2] == "-"


def test_notes_state_runs_and_ddof():
    assert notes(METRICS) == ["Mean ± standard deviation over 3 runs (ddof 1)."]


def test_csv_has_full_precision_and_every_figure():
    rows = read_csv(to_csv(METRICS))
    by_measure = {row["measure"]: row for row in rows}
    assert float(by_measure["oa"]["mean"]) == METRICS["oa"]["mean"]
    assert float(by_measure["oa"]["std"]) == METRICS["oa"]["std"]
    assert by_measure["oa"]["ddof"] == "1"
    assert by_measure["test_patch_overlap"]["mean"] == "0.999"
    assert by_measure["parameters"]["mean"] == "89168"
    classes = [row for row in rows if row["measure"] == "class_accuracy"]
    assert [row["class"] for row in classes] == [
        c["name"] for c in METRICS["per_class"]
    ]
    assert classes[2]["mean"] == classes[2]["std"] == ""
    assert classes[1]["n_test"] == "468"


@pytest.mark.parametrize("write", [to_csv, to_latex, to_markdown])
def test_one_run_has_no_standard_deviation(write):
    text = write(one_run())
    assert "±" not in text.replace("Mean ±", "")
    assert r"\pm" not in text
    if write is to_csv:
        assert {(row["std"], row["ddof"]) for row in read_csv(text)} == {("", "")}
    else:
        assert "One run: no standard deviation." in text


@pytest.mark.parametrize("write", [to_csv, to_latex, to_markdown])
def test_selection_on_test_is_stamped(write):
    metrics = METRICS | {"selected_on_test": True}
    assert "selected on test" in write(metrics).lower()
    assert "selected on test" not in write(METRICS).lower()
    if write is to_csv:
        assert {row["note"] for row in read_csv(write(metrics))} == {"selected on test"}


def with_confidence(temperatures: list[float | None]) -> dict:
    """What runs say that have a confidence, and Oats on 19 test pixels."""
    metrics = copy.deepcopy(METRICS)
    metrics["confidence"] = {
        "calibrated": None not in temperatures,
        "temperature": temperatures,
        "mean": accuracy([90.5, 91.5, 92.5]),
        "ece": accuracy([1.25, 1.25, 1.25]),
        "aurc": accuracy([0.5, 0.75, 1.0]),
    }
    metrics["per_class"][0]["wilson"] = [88.8, 91.2]
    oats = {"n_test": 19, "mean": 94.7, "std": 0.0, "wilson": [75.43, 99.06]}
    metrics["per_class"][2] |= oats
    return metrics


@pytest.mark.parametrize("write", [to_csv, to_latex, to_markdown])
def test_interval_stands_beside_classes_of_few_test_pixels(write):
    text = write(with_confidence([1.5, 1.25, 2.0]))
    if write is to_csv:
        rows = [r for r in read_csv(text) if r["measure"] == "class_accuracy"]
        assert [(r["low"], r["high"]) for r in rows] == [
            *(("88.8", "91.2"), ("", ""), ("75.43", "99.06"))
        ]
        return
    assert "75.4 to 99.1" in text
    assert "88.8 to 91.2" not in text
    assert "less than 100 test pixels" in text
    assert "less than 100 test pixels" not in write(METRICS)


@pytest.mark.parametrize("write", [to_csv, to_latex, to_markdown])
def test_confidence_says_whether_it_is_calibrated(write):
    calibrated = write(with_confidence([1.5, 1.25, 2.0]))
    assert "1.25" in calibrated
    assert "not calibrated" not in calibrated
    assert "not calibrated" in write(with_confidence([None] * 3))
    assert "calibrat" not in write(METRICS).lower()
    if write is not to_csv:
        assert "temperature 1.50, 1.25, 2.00." in calibrated
        assert "not calibrated in 1 of 3 runs" in write(with_confidence([1.5, None, 2]))
    else:
        stamped = with_confidence([None] * 3) | {"selected_on_test": True}
        rows = {row["measure"]: row for row in read_csv(to_csv(stamped))}
        assert rows["confidence_ece"]["mean"] == "1.25"
        assert rows["confidence_ece"]["note"] == "selected on test; not calibrated"


@pytest.mark.parametrize("write", [to_csv, to_latex, to_markdown])
def test_both_leakage_shares_stand_in_every_format(write):
    text = write(METRICS)
    for share, percent in (("0.87", "87.0"), ("0.999", "99.9")):
        assert (share if write is to_csv else percent) in text


def test_markdown_has_the_same_cells_in_each_row():
    text = to_markdown(METRICS)
    name = r"Äcker &amp; 50%\_{x}\|&lt;b&gt;\\"
    assert f"| 5 | {name} | 15 | 468 | 80.00 ± 0.00 |  |" in text.splitlines()
    for table in text.split("\n\n")[:2]:
        bars = {len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}
        assert len(bars) == 1


def test_latex_is_balanced_and_escaped():
    text = to_latex(METRICS)
    plain = re.sub(r"\\[&%$#_{}\\]", "", text.replace(r"\\" + "\n", "\n"))
    assert plain.count("{") == plain.count("}")
    assert plain.count(r"\begin{tabular}") == plain.count(r"\end{tabular}") == 1
    for rule in (r"\toprule", r"\bottomrule"):
        assert text.count(rule) == 1
    assert "_" not in plain
    assert "#" not in plain
    assert plain.count("$") % 2 == 0
    assert r"Äcker \& 50\%\_\{x\}\textbar{}\textless{}b\textgreater{}" in text
    for line in text.splitlines():
        if re.match(r"\d", line):
            assert line.endswith(r" \\")
            assert len(re.findall(r"(?<!\\)&", line)) == 5


def test_confusion_lines_are_named_and_aligned():
    classes = [{"id": 2, "name": "Corn"}, {"id": 17, "name": "Oats"}]
    lines = confusion_lines({"per_class": classes, "confusion": [[105, 1], [0, 3]]})
    assert lines == [
        "truth \\ predicted    2  17",
        "2 Corn             105   1",
        "17 Oats              0   3",
    ]
