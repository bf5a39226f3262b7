"""Several runs side by side, as text, Markdown, LaTeX and CSV.

All of it takes what `hsijax.experiments.compare.compare_runs` returns.
"""

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from hsijax.reports import tables
from hsijax.reports.markup import (
    align_columns,
    escape_latex,
    escape_markdown,
    latex_cell,
    markdown_table,
)
from hsijax.reports.tables import (
    ACCURACIES,
    LEAKAGES,
    SELECTED_ON_TEST,
    format_accuracy,
    format_count,
    format_share,
)

Comparison = Mapping[str, Any]

TEST_HEADER = (
    *("", "OA (points)", "p", "p, Holm", "AA (points)", "p", "p, Holm"),
    *("McNemar: better", "worse"),
)
FEW = 6  # runs, below which Wilcoxon's test cannot reach 0.05


class Row(NamedTuple):
    """A measure, and what each run has of it."""

    name: str
    cells: list[str]
    best: list[int]  # the columns of the best figure, as it is printed


def header(comparison: Comparison) -> list[str]:
    """Return the heading of each column: the runs, stamped where they must be."""
    return ["", *(_stamped(run) for run in comparison["runs"])]


def rows(comparison: Comparison) -> list[Row]:
    """Return the classes, then the accuracies, what leaks, and what it costs."""
    every = [run["metrics"] for run in comparison["runs"]]
    classes = zip(*(metrics["per_class"] for metrics in every), strict=True)
    accuracies = [(f"{row[0]['id']} {row[0]['name']}", list(row)) for row in classes]
    accuracies += [
        (f"{name} (%)", [metrics[key] for metrics in every])
        for key, name in ACCURACIES.items()
    ]
    splits = [metrics["split"] for metrics in every]
    others = {
        **{
            name: [format_share(split["leakage"][key]) for split in splits]
            for key, name in LEAKAGES.items()
        },
        "split": [str(split["method"]) for split in splits],
        "training / test pixels": [
            f"{format_count(split['n_train'])} / {format_count(split['n_test'])}"
            for split in splits
        ],
        "parameters": [f"{metrics['parameters']:,}" for metrics in every],
        "seconds to train": [f"{m['seconds']['train']:.1f}" for m in every],
        "seconds to evaluate": [f"{m['seconds']['evaluate']:.1f}" for m in every],
        "runs": [str(len(metrics["oa"]["values"])) for metrics in every],
    }
    return [
        *(_accuracy_row(name, figures, every) for name, figures in accuracies),
        *(Row(name, cells, []) for name, cells in others.items()),
    ]


def test_rows(comparison: Comparison) -> list[list[str]]:
    """Return the cells under `TEST_HEADER` for each run but the first."""
    names = {run["run"]: _stamped(run) for run in comparison["runs"]}
    table = []
    for test in comparison["tests"]:
        cells = ["-"] * (len(TEST_HEADER) - 1)
        if test["paired"]:
            cells = []
            for measure in ("oa", "aa"):
                found = test[measure]
                cells.append(f"{found['difference']:+.2f}")
                cells += [_format_p(found[key]) for key in ("p", "p_holm")]
            pixels = test["mcnemar"]
            runs = len(pixels["runs"])
            cells += [f"{pixels[key]} of {runs}" for key in ("better", "worse")]
        table.append([names[test["run"]], *cells])
    return table


def notes(comparison: Comparison) -> list[str]:
    """Return the sentences that must stand beside the figures."""
    runs, tests = comparison["runs"], comparison["tests"]
    names = {run["run"]: run["name"] for run in runs}
    reference = names[comparison["reference"]]
    lines = ["Mean ± standard deviation over the runs (ddof 0)."]
    if any(run["metrics"].get("selected_on_test") for run in runs):
        lines.append(f"{SELECTED_ON_TEST[0].upper()}{SELECTED_ON_TEST[1:]}.")
    lines += [
        f"{names[test['run']]} is not tested against {reference}, because "
        f"{test['why']}."
        for test in tests
        if not test["paired"]
    ]
    paired = [test for test in tests if test["paired"]]
    if not paired:
        return lines
    lines.append(
        f"Tests against {reference}: on identical splits, run by run. OA and AA: mean "
        "difference, and p of Wilcoxon's signed-rank test of the runs, two-sided; "
        f"Holm: adjusted for {len(paired)} pair{'s' * (len(paired) > 1)}."
    )
    count = len(paired[0]["mcnemar"]["runs"])
    if count < FEW:
        lines.append(
            f"{count} run{'s' * (count > 1)} cannot reach p < 0.05, whatever they "
            f"show: the smallest p of {count} is {_format_p(2 / 2**count)}. Train "
            f"{FEW} or more."
        )
    lines += [
        "McNemar: in how many runs it is better or worse on the test pixels, at "
        f"{100 * comparison['level']:g} % after Holm's correction over all pairs and "
        "runs.",
        "Both tests take for independent what is not: neighbouring pixels of a scene, "
        "and runs that draw from the same pixels. So each p is too small.",
    ]
    return lines


def to_lines(comparison: Comparison) -> list[str]:
    """Return all of it as aligned lines, as wide as they are."""
    lines = align_columns(
        [header(comparison), *([row.name, *row.cells] for row in rows(comparison))]
    )
    if _any_paired(comparison):
        lines += ["", *align_columns([TEST_HEADER, *test_rows(comparison)])]
    return [*lines, "", *notes(comparison)]


def to_markdown(comparison: Comparison) -> str:
    """Return the figures, the best ones bold, the tests, and the notes."""
    names, table = header(comparison), rows(comparison)
    bold = [(at, 1 + column) for at, row in enumerate(table) for column in row.best]
    cells = [[row.name, *row.cells] for row in table]
    blocks = [markdown_table(names, cells, "l" + "r" * (len(names) - 1), bold)]
    if _any_paired(comparison):
        alignment = "l" + "r" * (len(TEST_HEADER) - 1)
        blocks.append(markdown_table(TEST_HEADER, test_rows(comparison), alignment))
    blocks += [escape_markdown(line) + "\n" for line in notes(comparison)]
    return "\n".join(blocks)


def to_latex(comparison: Comparison) -> str:
    r"""Return `tabular`s for the booktabs package; text from files is escaped."""
    names, table = header(comparison), rows(comparison)
    cells = [
        [
            rf"\textbf{{{latex_cell(cell)}}}" if at in row.best else latex_cell(cell)
            for at, cell in enumerate(row.cells)
        ]
        for row in table
    ]
    first = len(comparison["runs"][0]["metrics"]["per_class"])
    body = [
        [row.name.replace("kappa", "κ"), *line]
        for row, line in zip(table, cells, strict=True)
    ]
    lines = ["% needs \\usepackage{booktabs}", *_tabular(names, body, first)]
    if _any_paired(comparison):
        tested = [
            [name, *map(escape_latex, cells)] for name, *cells in test_rows(comparison)
        ]
        lines += ["", *_tabular(TEST_HEADER, tested)]
    lines += ["", *(rf"{latex_cell(note)}\\" for note in notes(comparison))]
    return "\n".join(lines) + "\n"


def to_csv(comparison: Comparison) -> str:
    """Return one row per figure of each run, then of each test, in full precision."""
    stream = io.StringIO()
    fields = ("run", *tables.CSV_HEADER)
    writer = csv.DictWriter(stream, fields, restval="", lineterminator="\n")
    writer.writeheader()
    for run in comparison["runs"]:
        for row in csv.DictReader(io.StringIO(tables.to_csv(run["metrics"]))):
            writer.writerow({"run": run["run"], **row})
    for test in comparison["tests"]:
        if not test["paired"]:
            writer.writerow(
                {"run": test["run"], "measure": "test", "note": test["why"]}
            )
            continue
        figures = {
            f"{measure}_{key}": test[measure][key]
            for measure in ("oa", "aa")
            for key in ("difference", "p", "p_holm")
        }
        found = test["mcnemar"]
        figures |= {f"mcnemar_{key}": found[key] for key in ("better", "worse")}
        for measure, value in figures.items():
            row = {"run": test["run"], "measure": measure, "mean": value}
            writer.writerow(row | {"runs": len(found["runs"])})
    return stream.getvalue()


def _stamped(run: Mapping[str, Any]) -> str:
    stamp = " (selected on test)" if run["metrics"].get("selected_on_test") else ""
    return f"{run['name']}{stamp}"


def _accuracy_row(
    name: str, figures: Sequence[Mapping[str, Any]], every: Sequence[Mapping[str, Any]]
) -> Row:
    cells = [
        format_accuracy(figure, runs=len(metrics["oa"]["values"]))
        for figure, metrics in zip(figures, every, strict=True)
    ]
    # What looks the same is as good as the best.
    means = [round(f["mean"], 2) if f["mean"] is not None else -1.0 for f in figures]
    best = max(means)
    return Row(name, cells, [at for at, mean in enumerate(means) if mean == best >= 0])


def _any_paired(comparison: Comparison) -> bool:
    return any(test["paired"] for test in comparison["tests"])


def _format_p(p: float) -> str:
    return f"{p:.4f}" if p >= 0.0001 else f"{p:.1e}"


def _tabular(
    header: Sequence[str], body: Sequence[Sequence[str]], rule_after: int | None = None
) -> list[str]:
    """Write rows of escaped cells, whose first cell alone is still to be escaped."""
    written = [
        " & ".join([escape_latex(name).replace("κ", r"$\kappa$"), *cells]) + r" \\"
        for name, *cells in body
    ]
    if rule_after:
        written.insert(rule_after, r"\midrule")
    return [
        rf"\begin{{tabular}}{{l{'r' * (len(header) - 1)}}}",
        r"\toprule",
        " & ".join(escape_latex(name) for name in header) + r" \\",
        r"\midrule",
        *written,
        r"\bottomrule",
        r"\end{tabular}",
    ]
