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
CLASS_HEADER = ("id", "class", "train", "test", "accuracy (%)")
CSV_HEADER: tuple[str, ...] = (
    *("measure", "class_id", "class", "n_train", "n_test", "unit"),
    *("mean", "std", "ddof", "runs", "note"),
)


def summary_rows(metrics: Metrics) -> list[tuple[str, str]]:
    """Return name and value of everything but the classes, ready to be printed."""
    rows = [
        (f"{name} (%)", format_accuracy(metrics[key], runs=_runs(metrics)))
        for key, name in ACCURACIES.items()
    ]
    split = metrics["split"]
    rows += [
        (name, format_share(split["leakage"][key])) for key, name in LEAKAGES.items()
    ]
    rows += [
        ("split", str(split["method"])),
        (
            "training / test pixels",
            f"{format_count(split['n_train'])} / {format_count(split['n_test'])}",
        ),
        ("parameters", f"{metrics['parameters']:,}"),
        *_evaluation_rows(metrics),
        ("seconds to train", f"{metrics['seconds']['train']:.1f}"),
        ("seconds to evaluate", f"{metrics['seconds']['evaluate']:.1f}"),
    ]
    return rows


def _evaluation_rows(metrics: Metrics) -> list[tuple[str, str]]:
    """Function evaluations, as they were counted on one batch of test patches."""
    uses = {"train": "training", "predict": "prediction"}
    return [
        (f"function evaluations, {uses[use]}", f"{counted['mean']:.3g}")
        for use, counted in metrics.get("function_evaluations", {}).items()
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
        )
        for row in metrics["per_class"]
    ]


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
    return lines


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
    for row in metrics["per_class"]:
        cells = {"class_id": row["id"], "class": row["name"]}
        cells |= {"n_train": row["n_train"], "n_test": row["n_test"]}
        write("class_accuracy", "percent", row["mean"], row["std"], **cells)
    write("parameters", "count", metrics["parameters"])
    for key in ("train", "evaluate"):
        write(f"seconds_{key}", "seconds", metrics["seconds"][key])
    return stream.getvalue()


def to_markdown(metrics: Metrics) -> str:
    """Return two tables, the summary and the classes, and the notes."""
    summary = markdown_table(("", ""), summary_rows(metrics), "lr")
    by_class = markdown_table(CLASS_HEADER, class_rows(metrics), "rlrrr")
    text = "\n\n".join(escape_markdown(line) for line in notes(metrics))
    return f"{summary}\n{by_class}\n{text}\n"


def to_latex(metrics: Metrics) -> str:
    r"""Return a `tabular` for the booktabs package; text from files is escaped."""
    lines = [
        "% needs \\usepackage{booktabs}",
        r"\begin{tabular}{rlrrr}",
        r"\toprule",
        r"& Class & Training & Test & Accuracy (\%) \\",
        r"\midrule",
    ]
    for row in class_rows(metrics):
        lines.append(" & ".join(latex_cell(cell) for cell in row) + r" \\")
    lines.append(r"\midrule")
    for name, value in summary_rows(metrics):
        name = r"$\kappa$ (\%)" if name == "kappa (%)" else escape_latex(name)
        lines.append(rf"\multicolumn{{4}}{{l}}{{{name}}} & {latex_cell(value)} \\")
    lines.append(r"\midrule")
    for note in notes(metrics):
        lines.append(rf"\multicolumn{{5}}{{l}}{{{latex_cell(note)}}} \\")
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


def _runs(metrics: Metrics) -> int:
    return len(metrics["oa"]["values"])
