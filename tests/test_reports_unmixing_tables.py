"""Tables of unmixing: every figure under its name, its controls, and its provenance."""

import copy
import csv
import io
import json
import re
from typing import Any

import pytest
from typer.testing import CliRunner

from hsijax.cli import app
from hsijax.reports.unmixing_tables import (
    comparison_markdown,
    comparison_table,
    endmember_rows,
    header,
    notes,
    summary_rows,
    to_csv,
    to_latex,
    to_markdown,
)

SHA = "92f5697b43705802" + "0" * 48
SIMULATED = "simulated scene: real abundances, drawn spectra, 40 dB of noise"


def figures(first: float, second: float) -> dict:
    return {
        "per_endmember": {"Tree": first, "50% Roof_a|b": second},
        "sum": first + second,
        "overall": 0.031,
        "mean_per_pixel": 0.021,
        "rms_aad": 0.111,
    }


def column(first: float, second: float, inside: float) -> dict:
    return {
        "n_train": 7500,
        "n_validation": 0,
        "n_test": 2500,
        "leakage": {"test_with_train_centre": inside, "test_patch_overlap": 0.999},
        "mean": figures(first, second),
        "std": figures(0.001, 0.002),
        "values": [figures(first, second)] * 5,
        "controls": {
            "3 nearest neighbours": {"mean": figures(0.03, 0.034), "std": None},
            "formula": {"mean": figures(0.008, 0.009), "std": figures(0.0, 0.0)},
        },
        "seconds": {"train": 61.04, "predict": 0.25},
    }


METRICS = {
    "task": "unmixing",
    "scene": "jasper-ridge",
    "model": "cube-cnn",
    "preset": "best",
    "simulated": "",
    "trained_on": "reference abundances of the training pixels",
    "endmembers": ["Tree", "50% Roof_a|b"],
    "rmse": {k: v for k, v in figures(0.017, 0.02).items() if k != "rms_aad"},
    "rms_aad": 0.111,
    "sad": None,
    "evaluated_on": "test pixels of the random split",
    "splits": {"random": column(0.017, 0.02, 0.87), "blocks": column(0.05, 0.06, 0.0)},
    "ground_truth": {
        "path": "/somewhere/end4.mat",
        "sha256": SHA,
        "order": "pixels run down the columns",
        "provenance": {
            "errors": {"NNLS(Y, M / max M) / sum": 0.00487, "FCLS(Y, M)": 0.1},
            "verdict": "nearly NNLS(Y, M / max M) / sum",
        },
    },
    "reconstruction": None,
    "kkt": None,
    "condition": None,
    "parameters": 12345,
    "negative_share": 0.0,
    "seconds": None,
}

# An exact solver on a scene without reference.
PLAIN = METRICS | {
    "model": "fcls",
    "trained_on": "",
    "rmse": None,
    "rms_aad": None,
    "evaluated_on": "",
    "splits": {},
    "ground_truth": None,
    "reconstruction": {"rmse": 0.0123, "angle": 0.05},
    "kkt": 2.4e-13,
    "condition": 41.2,
    "parameters": None,
    "seconds": {"unmix": 0.41},
}
WRITERS = [to_csv, to_latex, to_markdown]


def with_sad() -> dict:
    """A solver whose figures are those of the whole scene, its endmembers its own."""
    angles = {"Tree": 0.05, "50% Roof_a|b": 0.15}
    metrics = copy.deepcopy(METRICS)
    metrics["rmse"]["sum"] = 0.0399
    metrics["evaluated_on"] = "all pixels"
    metrics["sad"] = {"per_endmember": angles, "mean": 0.1}
    return metrics


def read_csv(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_both_splits_stand_side_by_side():
    assert header(METRICS) == ("RMSE", "random split", "blocks split")
    assert endmember_rows(METRICS) == [
        ("Tree", "0.0170 ± 0.0010", "0.0500 ± 0.0010"),
        ("50% Roof_a|b", "0.0200 ± 0.0020", "0.0600 ± 0.0020"),
        ("sum of RMSE", "0.0370 ± 0.0030", "0.1100 ± 0.0030"),
        ("overall RMSE", "0.0310 ± 0.0310", "0.0310 ± 0.0310"),
        ("mean RMSE per pixel", "0.0210 ± 0.0210", "0.0210 ± 0.0210"),
        ("rmsAAD (rad)", "0.1110 ± 0.1110", "0.1110 ± 0.1110"),
        ("control: 3 nearest neighbours, sum", "0.0640", "0.0640"),
        ("control: formula, sum", "0.0170 ± 0.0000", "0.0170 ± 0.0000"),
    ]


def test_whole_scene_and_angles_have_columns_where_there_are_such():
    assert header(with_sad())[-2:] == ("all pixels", "SAD (rad)")
    rows = endmember_rows(with_sad())
    assert rows[0][-2:] == ("0.0170", "0.0500")
    assert rows[2][-2:] == ("0.0399", "-")
    assert rows[-1][-2:] == ("-", "-")
    assert dict(summary_rows(with_sad()))["mean SAD (rad)"] == "0.1000"


def test_angles_of_several_runs_have_deviations():
    metrics = with_sad()
    spread = {"per_endmember": {"Tree": 0.01, "50% Roof_a|b": 0.02}, "mean": 0.015}
    metrics["sad"]["std"] = spread
    assert endmember_rows(metrics)[0][-1] == "0.0500 ± 0.0100"
    assert dict(summary_rows(metrics))["mean SAD (rad)"] == "0.1000 ± 0.0150"
    rows = {row["endmember"]: row for row in read_csv(to_csv(metrics))}
    assert (rows["Tree"]["mean"], rows["Tree"]["std"]) == ("0.05", "0.01")


def test_what_did_not_train_says_nothing_of_training():
    solver = METRICS | {"trained_on": "", "notes": ["3 pixels did not converge"]}
    rows = dict(summary_rows(solver))
    assert rows["method"] == "cube-cnn"
    assert rows["test pixels, blocks split"] == "2,500"
    assert not any("train" in name for name in rows)
    assert not any("training pixel inside" in line for line in notes(solver))
    assert "3 pixels did not converge." in notes(solver)
    measures = {row["measure"] for row in read_csv(to_csv(solver))}
    assert "n_test" in measures
    assert not measures & {"n_train", "seconds_train", "test_patch_overlap"}
    # Neither does what learned from mixtures: the split's pixels did not train it.
    mixed = METRICS | {"held_out_mixtures": figures(0.01, 0.02) | {"std": None}}
    rows = dict(summary_rows(mixed))
    assert rows["method"] == "cube-cnn, preset best"
    assert rows["sum of RMSE, simulated mixtures held out"] == "0.0300"
    assert rows["test pixels, blocks split"] == "2,500"


def test_summary():
    rows = dict(summary_rows(METRICS))
    assert rows["method"] == "cube-cnn, preset best"
    assert rows["training / test pixels, blocks split"] == "7,500 / 2,500"
    assert rows["parameters"] == "12,345"
    assert rows["seconds to train / predict, random split"] == "61.0 / 0.25"
    rows = dict(summary_rows(PLAIN))
    assert rows["RMSE of the reconstruction"] == "0.0123"
    assert rows["largest KKT violation"] == "2.4e-13"
    assert rows["condition number"] == "41.2"
    assert rows["negative abundances"] == "0.0 %"
    assert rows["seconds to unmix"] == "0.41"


def test_notes_say_where_the_reference_comes_from_and_what_leaks():
    lines = notes(METRICS)
    assert "Mean ± standard deviation over 5 runs (ddof 0)." in lines
    assert (
        "Reference: end4.mat, sha256 92f5697b43705802…, pixels run down the columns."
        in lines
    )
    assert "Provenance: nearly NNLS(Y, M / max M) / sum." in lines
    assert any("FCLS(Y, M) 0.1000" in line for line in lines)
    assert any(line.startswith("random split: 87.0 %") for line in lines)
    assert any(line.startswith("blocks split: 0.0 %") for line in lines)
    assert notes(PLAIN) == []


def test_csv_has_full_precision_and_every_figure():
    rows = read_csv(to_csv(METRICS))
    found = {
        (row["method"], row["split"], row["measure"], row["endmember"]): row
        for row in rows
    }
    assert len(found) == len(rows)
    roof = found["cube-cnn", "blocks", "rmse", "50% Roof_a|b"]
    assert (roof["mean"], roof["std"], roof["ddof"]) == ("0.06", "0.002", "0")
    assert roof["runs"] == "5"
    assert {row["ground_truth_sha256"] for row in rows} == {SHA}
    control = found["control: 3 nearest neighbours", "random", "rmse_sum", ""]
    assert control["mean"] == str(0.03 + 0.034)
    assert control["std"] == control["ddof"] == ""
    assert found["cube-cnn", "random", "test_with_train_centre", ""]["mean"] == "0.87"
    formula = ("NNLS(Y, M / max M) / sum", "", "rmse_of_the_reference", "")
    assert found[formula]["mean"] == "0.00487"
    assert found["cube-cnn", "blocks", "rms_aad", ""]["unit"] == "radian"


def test_csv_of_a_scene_without_reference():
    rows = {row["measure"]: row["mean"] for row in read_csv(to_csv(PLAIN))}
    assert rows == {
        "reconstruction_rmse": "0.0123",
        "reconstruction_angle": "0.05",
        "kkt": "2.4e-13",
        "condition": "41.2",
        "negative_share": "0.0",
    }


@pytest.mark.parametrize("write", WRITERS)
def test_simulated_scenes_say_so_in_every_format(write):
    assert "imulated" not in write(METRICS)
    text = write(METRICS | {"simulated": SIMULATED})
    assert SIMULATED[1:] in text
    if write is to_csv:
        assert {row["note"] for row in read_csv(text)} == {SIMULATED}


@pytest.mark.parametrize("write", WRITERS)
def test_every_format_has_both_splits_and_the_hash(write):
    text = write(METRICS)
    for part in ("0.017", "0.05", "92f5697b43705802", "3 nearest neighbours"):
        assert part in text
    assert write(with_sad()) != text
    assert "0.0123" in write(PLAIN)


def test_one_run_has_no_deviation():
    metrics = copy.deepcopy(METRICS)
    for split in metrics["splits"].values():
        split |= {"std": None, "values": split["values"][:1]}
    assert endmember_rows(metrics)[0] == ("Tree", "0.0170", "0.0500")
    assert "One run: no standard deviation." in notes(metrics)


def test_markdown_has_the_same_cells_in_each_row():
    text = to_markdown(METRICS)
    line = r"| 50% Roof\_a\|b | 0.0200 ± 0.0020 | 0.0600 ± 0.0020 |"
    assert line in text.splitlines()
    for table in text.split("\n\n")[:2]:
        bars = {len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}
        assert len(bars) == 1, table
    assert to_markdown(PLAIN).startswith("|  |  |\n")


@pytest.mark.parametrize("metrics", [METRICS, with_sad(), PLAIN])
def test_latex_is_balanced_and_escaped(metrics):
    text = to_latex(metrics)
    plain = re.sub(r"\\[&%$#_{}]", "", text)
    assert plain.count("{") == plain.count("}")
    assert "_" not in plain
    assert plain.count("$") % 2 == 0
    columns = len(re.findall(r"\\begin\{tabular\}\{(l+r+)\}", text)[0])
    for line in plain.splitlines():
        if line.endswith(r"\\"):
            spans = sum(int(n) - 1 for n in re.findall(r"multicolumn\{(\d)\}", line))
            assert line.count("&") + 1 + spans == columns, line
    if metrics is not PLAIN:
        assert r"50\% Roof\_a\textbar{}b & 0.0200 $\pm$ 0.0020" in text


PAPER = {"LSU": {"tree": 0.184, "Sum": 0.636}, "absent": {"Sum": 1.0}}


def make_rows() -> list[tuple[str, dict]]:
    solver: dict[str, Any] = copy.deepcopy(METRICS)
    solver |= {"model": "fcls", "trained_on": ""}
    for split in solver["splits"].values():
        split |= {"controls": {}, "std": None}
    return [("LSU", solver), ("cube CNN", METRICS)]


def test_comparison_has_the_papers_row_beneath_ours():
    names, rows = comparison_table(make_rows(), PAPER, "random")
    assert names == ("RMSE", "Tree", "50% Roof_a|b", "Sum", "rmsAAD (rad)")
    deviations = ("0.0170 ± 0.0010", "0.0200 ± 0.0020", "0.0370 ± 0.0030")
    formula = ("0.0080 ± 0.0000", "0.0090 ± 0.0000", "0.0170 ± 0.0000")
    assert rows == [
        ("LSU", "0.0170", "0.0200", "0.0370", "0.1110"),
        ("LSU, the paper", "0.184", "-", "0.636", "-"),
        ("cube CNN", *deviations, "0.1110 ± 0.1110"),
        ("control: 3 nearest neighbours", "0.0300", "0.0340", "0.0640", "0.1110"),
        ("control: formula", *formula, "0.1110 ± 0.1110"),
    ]


def test_comparison_of_both_splits_keeps_the_paper_to_its_own():
    rows = make_rows()
    rows[0][1]["splits"]["random"]["leakage"]["test_with_train_centre"] = 0.0
    text = comparison_markdown(rows, PAPER)
    random, blocks = text.split("blocks split**")
    assert "LSU, the paper" in random
    assert "the paper" not in blocks
    assert r"50% Roof\_a\|b" in random
    # Notes of all runs stand once; those of some name them.
    assert blocks.count("92f5697b43705802") == 1
    assert "\nProvenance:" in blocks
    # Nothing leaks into a solver: it sees no training pixels.
    assert "LSU: random split" not in blocks
    assert "cube CNN: random split: 87.0 %" in blocks
    assert "cube CNN: Trained on reference abundances" in blocks


@pytest.fixture
def run_folder(tmp_path):
    manifest = {"schema": 1, "task": "unmixing", "status": "done"}
    (tmp_path / "run.json").write_text(json.dumps(manifest))
    (tmp_path / "metrics.json").write_text(json.dumps(METRICS))
    return tmp_path


@pytest.mark.parametrize("flag", ["", "--json", "--csv", "--latex", "--markdown"])
def test_evaluate_prints_an_unmixing_run(run_folder, flag):
    before = (run_folder / "metrics.json").read_bytes()
    command = ["evaluate", str(run_folder), *([flag] if flag else [])]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    expected = {"--csv": to_csv, "--latex": to_latex, "--markdown": to_markdown}
    if flag == "--json":
        assert json.loads(done.stdout) == METRICS
    elif flag:
        assert done.stdout == expected[flag](METRICS)
    else:
        lines = [" ".join(line.split()) for line in done.stdout.splitlines()]
        assert "RMSE random split blocks split" in lines
        assert "Tree 0.0170 ± 0.0010 0.0500 ± 0.0010" in lines
        assert "Provenance: nearly NNLS(Y, M / max M) / sum." in lines
    assert (run_folder / "metrics.json").read_bytes() == before


def test_evaluate_of_a_run_without_reference(run_folder):
    (run_folder / "metrics.json").write_text(json.dumps(PLAIN))
    done = CliRunner().invoke(app, ["evaluate", str(run_folder)])
    assert done.exit_code == 0, done.output
    assert "2.4e-13" in done.stdout


def test_evaluate_of_an_unmixing_run_that_has_not_ended(run_folder):
    (run_folder / "metrics.json").unlink()
    done = CliRunner().invoke(app, ["evaluate", str(run_folder)])
    assert done.exit_code == 1
    assert "the run has not ended" in done.output
