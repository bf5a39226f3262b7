"""The accuracy table of a run, as rows, CSV, Markdown and LaTeX.

Each takes the contents of `metrics.json`. The two leakage shares stand beside OA
everywhere, and figures that were selected on the test pixels say so.
"""

import csv
import io
from collections.abc import Mapping
from typing import Any

from hsijax.reports.markup import (
    align_columns,
    escape_latex,
    escape_markdown,
    latex_cell,
    markdown_table,
    one_line,
)

Metrics = Mapping[str, Any]

SELECTED_ON_TEST = "selected on test: the epoch was chosen by the test accuracy"
ACCURACIES = {"oa": "OA", "aa": "AA", "kappa": "kappa"}
LEAKAGES = {
    "test_with_train_centre": "test patches with a training pixel inside",
    "test_patch_overlap": "test patches that overlap a training patch",
}
CONFIDENCES = {
    "mean": "mean confidence",
    "ece": "expected calibration error",
    "aurc": "area under risk and coverage",
}
CLASS_HEADER = ("id", "class", "train", "test", "accuracy (%)", "95 % interval")
SCENE_HEADER = ("scene", "test", "OA (%)", "AA (%)", "kappa (%)")
FEW = 100  # test pixels of a class, below which its interval is worth a reader's time
CSV_HEADER: tuple[str, ...] = (
    *("measure", "class_id", "class", "n_train", "n_test", "unit"),
    *("mean", "std", "ddof", "runs", "low", "high", "note"),
)


def summary_rows(metrics: Metrics) -> list[tuple[str, str]]:
    """Return name and value of everything but the classes, ready to be printed."""
    runs = _runs(metrics)
    rows = [
        (f"{name} (%)", format_accuracy(metrics[key], runs=runs))
        for key, name in ACCURACIES.items()
    ]
    split = metrics["split"]
    rows += [
        (name, format_share(split["leakage"][key])) for key, name in LEAKAGES.items()
    ]
    if "sight" in split:
        rows += [("leakage is counted over, pixels across", str(split["sight"]))]
    if "confidence" in metrics:
        rows += [
            (f"{name} (%)", format_accuracy(metrics["confidence"][key], runs=runs))
            for key, name in CONFIDENCES.items()
        ]
    rows += [
        ("split", str(split["method"])),
        _pixel_row(split),
        ("parameters", f"{metrics['parameters']:,}"),
        *_evaluation_rows(metrics),
        ("seconds to train", f"{metrics['seconds']['train']:.1f}"),
        ("seconds to evaluate", f"{metrics['seconds']['evaluate']:.1f}"),
    ]
    return rows


def _pixel_row(split: Mapping[str, Any]) -> tuple[str, str]:
    """How many pixels trained, validated if there are such, and tested."""
    held_out = split.get("n_validation", 0)
    counts = {"training": split["n_train"]}
    counts |= {"validation": held_out} if held_out else {}
    counts |= {"test": split["n_test"]}
    return f"{' / '.join(counts)} pixels", " / ".join(
        map(format_count, counts.values())
    )


def _evaluation_rows(metrics: Metrics) -> list[tuple[str, str]]:
    """Function evaluations, as they were counted on one batch of test patches."""
    uses = {"train": "training", "predict": "prediction"}
    return [
        (f"function evaluations, {uses[use]}", f"{counted['mean']:.3g}")
        for use, counted in metrics.get("function_evaluations", {}).items()
        if counted["mean"]  # else there is no block
    ]


def class_rows(metrics: Metrics) -> list[tuple[str, ...]]:
    """Return the cells under `CLASS_HEADER` for each class."""
    return [
        (
            str(row["id"]),
            row["name"],
            format_count(row["n_train"]),
            format_count(row["n_test"]),
            format_accuracy(row, runs=_runs(metrics)),
            _format_interval(row),
        )
        for row in metrics["per_class"]
    ]


def scene_rows(metrics: Metrics) -> list[tuple[str, ...]]:
    """Return the cells under `SCENE_HEADER` for each of several scenes."""
    runs = _runs(metrics)
    return [
        (
            row["name"] + (" (trains too)" if row["trains"] else ""),
            format_count(row["n_test"]),
            *(format_accuracy(row[key], runs=runs) for key in ACCURACIES),
        )
        for row in metrics.get("per_scene", ())
    ]


def leakage_note(leakage: Mapping[str, float]) -> str:
    """Return the sentence that stands where accuracies do and no table of them.

    >>> leakage_note({"test_with_train_centre": 0.87, "test_patch_overlap": 0.999})
    'Of the test patches 87.0 % hold a training pixel, 99.9 % overlap a training patch.'
    """
    inside, overlapping = (format_share(leakage[key]) for key in LEAKAGES)
    return (
        f"Of the test patches {inside} hold a training pixel, {overlapping} overlap a "
        "training patch."
    )


def confusion_lines(metrics: Metrics) -> list[str]:
    """Return the confusion matrix, summed over runs, as aligned lines of text.

    Rows are the truth, columns the prediction.
    """
    ids = [str(row["id"]) for row in metrics["per_class"]]
    rows = [
        [f"{row['id']} {one_line(row['name'])}", *(str(count) for count in counts)]
        for row, counts in zip(metrics["per_class"], metrics["confusion"], strict=True)
    ]
    return align_columns([["truth \\ predicted", *ids], *rows])


def notes(metrics: Metrics) -> list[str]:
    """Return the sentences that must stand beside the figures."""
    runs, ddof = _runs(metrics), metrics["oa"].get("ddof")
    lines = []
    if runs > 1:
        lines.append(f"Mean ± standard deviation over {runs} runs (ddof {ddof}).")
    else:
        lines.append("One run: no standard deviation.")
    if metrics.get("selected_on_test"):
        lines.append(SELECTED_ON_TEST[0].upper() + SELECTED_ON_TEST[1:] + ".")
    if any(_format_interval(row) for row in metrics["per_class"]):
        lines.append(
            f"Wilson interval of one run, where a class has less than {FEW} test pixels"
            f"{' (the mean of all runs)' * (runs > 1)}."
        )
    if "confidence" in metrics:
        lines.append(calibration_note(metrics["confidence"]))
    return lines


def calibration_note(confidence: Mapping[str, Any]) -> str:
    """Say whether a confidence is calibrated, and with which temperatures."""
    found = [t for t in confidence["temperature"] if t is not None]
    if not confidence["calibrated"]:
        runs = len(confidence["temperature"])
        some = f" in {runs - len(found)} of {runs} runs" if found else ""
        return f"The confidence is not calibrated{some}: that needs validation pixels."
    temperatures = ", ".join(f"{temperature:.2f}" for temperature in found)
    return f"The confidence is calibrated; temperature {temperatures}."


def to_csv(metrics: Metrics) -> str:
    """Return one row per figure, in full precision; empty where there is none."""
    runs, ddof = _runs(metrics), metrics["oa"].get("ddof")
    note = "selected on test" if metrics.get("selected_on_test") else ""
    stream = io.StringIO()
    writer = csv.DictWriter(stream, CSV_HEADER, restval="", lineterminator="\n")
    writer.writeheader()

    def write(measure: str, unit: str, mean: Any, std: Any = None, **cells: Any):
        spread = {"std": std, "ddof": ddof} if runs > 1 and std is not None else {}
        row = {"measure": measure, "unit": unit, "mean": mean, "runs": runs}
        writer.writerow(row | spread | {"note": note} | cells)

    for key in ACCURACIES:
        write(key, "percent", metrics[key]["mean"], metrics[key]["std"])
    split = metrics["split"]
    counts = {"n_train": split["n_train"], "n_test": split["n_test"]}
    for key in LEAKAGES:
        write(key, "share", split["leakage"][key], **counts)
    for key in CONFIDENCES if "confidence" in metrics else ():
        figures = metrics["confidence"][key]
        said = [note] * bool(note)
        said += ["not calibrated"] * (not metrics["confidence"]["calibrated"])
        cells = {"note": "; ".join(said)}
        write(f"confidence_{key}", "percent", figures["mean"], figures["std"], **cells)
    for row in metrics["per_class"]:
        cells = {"class_id": row["id"], "class": row["name"]}
        cells |= {"n_train": row["n_train"], "n_test": row["n_test"]}
        cells |= dict(zip(("low", "high"), row.get("wilson") or (), strict=False))
        write("class_accuracy", "percent", row["mean"], row["std"], **cells)
    write("parameters", "count", metrics["parameters"])
    for key in ("train", "evaluate"):
        write(f"seconds_{key}", "seconds", metrics["seconds"][key])
    return stream.getvalue()


def to_markdown(metrics: Metrics) -> str:
    """Return two tables, the summary and the classes, and the notes."""
    summary = markdown_table(("", ""), summary_rows(metrics), "lr")
    by_class = markdown_table(CLASS_HEADER, class_rows(metrics), "rlrrrr")
    text = "\n\n".join(escape_markdown(line) for line in notes(metrics))
    return f"{summary}\n{by_class}\n{text}\n"


def to_latex(metrics: Metrics) -> str:
    r"""Return a `tabular` for the booktabs package; text from files is escaped."""
    lines = [
        "% needs \\usepackage{booktabs}",
        r"\begin{tabular}{rlrrrr}",
        r"\toprule",
        r"& Class & Training & Test & Accuracy (\%) & 95 \% interval \\",
        r"\midrule",
    ]
    for row in class_rows(metrics):
        lines.append(" & ".join(latex_cell(cell) for cell in row) + r" \\")
    lines.append(r"\midrule")
    for name, value in summary_rows(metrics):
        name = r"$\kappa$ (\%)" if name == "kappa (%)" else escape_latex(name)
        lines.append(rf"\multicolumn{{4}}{{l}}{{{name}}} & {latex_cell(value)} & \\")
    lines.append(r"\midrule")
    for note in notes(metrics):
        lines.append(rf"\multicolumn{{6}}{{l}}{{{latex_cell(note)}}} \\")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}"]) + "\n"


def format_accuracy(figures: Mapping[str, Any], *, runs: int) -> str:
    """Return percent with two decimals, and the deviation if there are several runs.

    >>> format_accuracy({"mean": 91.6249, "std": 0.413}, runs=10)
    '91.62 ± 0.41'
    >>> format_accuracy({"mean": 91.6249, "std": 0.0}, runs=1)
    '91.62'
    """
    mean, std = figures["mean"], figures.get("std")
    if mean is None:
        return "-"
    if runs == 1 or std is None:
        return f"{mean:.2f}"
    return f"{mean:.2f} ± {std:.2f}"


def format_share(share: float | int | None) -> str:
    """Return a share of 1 in percent."""
    return "-" if share is None else f"{100 * share:.1f} %"


def format_count(count: float | int) -> str:
    """Counts that differ between runs come as means."""
    return f"{count:,.0f}" if float(count).is_integer() else f"{count:,.1f}"


def _format_interval(row: Mapping[str, Any]) -> str:
    """Return a class's interval in percent, if it has few test pixels."""
    interval = row.get("wilson")
    if interval is None or row["n_test"] >= FEW:
        return ""
    return f"{interval[0]:.1f} to {interval[1]:.1f}"


def _runs(metrics: Metrics) -> int:
    return len(metrics["oa"]["values"])
