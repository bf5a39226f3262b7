"""The tables of unmixing: of one run, and of several beside what a paper prints."""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from hsijax.reports.markup import (
    escape_latex,
    escape_markdown,
    latex_cell,
    markdown_table,
)
from hsijax.reports.unmixing_rows import (
    SUMMARIES,
    Figures,
    Metrics,
    count_runs,
    endmember_rows,
    format_figures,
    header,
    learned_from_splits,
    notes,
    summary_rows,
    whole_figures,
)

CSV_HEADER = (
    *("method", "split", "measure", "endmember", "unit"),
    *("mean", "std", "ddof", "runs", "ground_truth_sha256", "note"),
)
PAPER_SPLIT = "random"  # of pixels, as papers have it


def to_markdown(metrics: Metrics) -> str:
    """Return two tables, the endmembers and the summary, and the notes."""
    names = header(metrics)
    rows = endmember_rows(metrics)
    parts = [markdown_table(names, rows, "l" + "r" * (len(names) - 1))] if rows else []
    parts.append(markdown_table(("", ""), summary_rows(metrics), "lr"))
    parts += [escape_markdown(line) + "\n" for line in notes(metrics)]
    return "\n".join(parts)


def to_latex(metrics: Metrics) -> str:
    r"""Return a `tabular` for the booktabs package; text from files is escaped."""
    names = header(metrics)
    width = max(2, len(names))
    lines = [
        "% needs \\usepackage{booktabs}",
        rf"\begin{{tabular}}{{l{'r' * (width - 1)}}}",
        r"\toprule",
    ]
    rows = endmember_rows(metrics)
    if rows:
        for row in (names, *rows):
            lines.append(" & ".join(latex_cell(cell) for cell in row) + r" \\")
            lines += [r"\midrule"] if row is names else []
        lines.append(r"\midrule")
    for name, value in summary_rows(metrics):
        label = rf"\multicolumn{{{width - 1}}}{{l}}{{{escape_latex(name)}}}"
        lines.append(rf"{label} & {latex_cell(value)} \\")
    lines.append(r"\midrule")
    for note in notes(metrics):
        lines.append(rf"\multicolumn{{{width}}}{{l}}{{{latex_cell(note)}}} \\")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}"]) + "\n"


def to_csv(metrics: Metrics) -> str:
    """Return one row a figure, in full precision; empty where there is none.

    Each row has the hash of the reference, and says so where the scene is simulated.
    """
    truth = metrics["ground_truth"] or {}
    every = {
        "method": metrics["model"],
        "ground_truth_sha256": truth.get("sha256"),
        "note": metrics["simulated"],
    }
    stream = io.StringIO()
    writer = csv.DictWriter(stream, CSV_HEADER, restval="", lineterminator="\n")
    writer.writeheader()
    for row in (*_measured(metrics), *_described(metrics)):
        writer.writerow(every | row)
    return stream.getvalue()


def comparison_table(
    rows: Sequence[tuple[str, Metrics]],
    paper: Mapping[str, Mapping[str, int | float]],
    split: str,
) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Return header and rows of RMSE: a row a method, beneath it the paper's.

    The controls stand last. A cell is "-" where there is no figure.

    Args:
        rows: name and `metrics.json` of each run, all of the same scene.
        paper: by the same name, RMSE by endmember and "Sum".
        split: of which the figures are.
    """
    measured = {
        name: metrics["splits"][split]
        for name, metrics in rows
        if split in metrics["splits"]
    }
    first = next(iter(measured.values()), {"mean": {"per_endmember": {}}})
    endmembers = list(first["mean"]["per_endmember"])

    def cells(figures: Figures, std: Figures | None) -> list[str]:
        texts = format_figures(figures, std)
        names = (*endmembers, SUMMARIES["sum"], SUMMARIES["rms_aad"])
        return [texts.get(name, "-") for name in names]

    table = []
    for name, _ in rows:
        if name in measured:
            column = measured[name]
            table.append((name, *cells(column["mean"], column["std"])))
        if name in paper:
            printed = {key.casefold(): value for key, value in paper[name].items()}
            values = [printed.get(key.casefold()) for key in (*endmembers, "Sum")]
            texts = ("-" if value is None else f"{value:.3f}" for value in values)
            table.append((f"{name}, the paper", *texts, "-"))
    # A solver has none: it learns nothing.
    controls = (column["controls"] for column in measured.values())
    for name, control in next(filter(None, controls), {}).items():
        figures = cells(control["mean"], control["std"])
        table.append((f"control: {name}", *figures))
    return ("RMSE", *endmembers, "Sum", SUMMARIES["rms_aad"]), table


def comparison_markdown(
    rows: Sequence[tuple[str, Metrics]],
    paper: Mapping[str, Mapping[str, int | float]],
) -> str:
    """Return a comparison for each way of splitting, and the notes of all runs.

    The paper's rows stand where the pixels are split as the paper splits them.
    """
    splits = dict.fromkeys(split for _, metrics in rows for split in metrics["splits"])
    parts = []
    for split in splits:
        printed = paper if split == PAPER_SPLIT else {}
        names, table = comparison_table(rows, printed, split)
        parts.append(f"**{escape_markdown(rows[0][1]['scene'])}, {split} split**\n")
        parts.append(markdown_table(names, table, "l" + "r" * (len(names) - 1)))
    said: dict[str, list[str]] = {}
    for name, metrics in rows:
        for line in notes(metrics):
            said.setdefault(line, []).append(name)
    for line, names in said.items():
        whose = "" if len(names) == len(rows) else f"{'; '.join(names)}: "
        parts.append(escape_markdown(whose + line) + "\n")
    return "\n".join(parts)


def _measured(metrics: Metrics) -> Iterator[dict[str, Any]]:
    """Yield RMSE and rmsAAD of the method and of each control."""
    runs = {"runs": count_runs(metrics)}
    for split, column in metrics["splits"].items():
        yield from _figures(split, column["mean"], column["std"], **runs)
        for name, control in column["controls"].items():
            method = {"method": f"control: {name}", **runs}
            yield from _figures(split, control["mean"], control["std"], **method)
    if whole := whole_figures(metrics):
        yield from _figures(metrics["evaluated_on"], whole, None)


def _figures(
    split: str, mean: Figures, std: Figures | None, **cells: Any
) -> Iterator[dict[str, Any]]:
    def row(measure: str, value: float, deviation: Any, name: str = "") -> dict:
        unit = "radian" if measure == "rms_aad" else "abundance"
        spread = {} if deviation is None else {"std": deviation, "ddof": 0}
        figure = {"split": split, "measure": measure, "endmember": name, "mean": value}
        return {"unit": unit} | figure | spread | cells

    for name, value in mean["per_endmember"].items():
        yield row("rmse", value, std and std["per_endmember"][name], name)
    for key in SUMMARIES:
        measure = key if key == "rms_aad" else f"rmse_{key}"
        yield row(measure, mean[key], std and std[key])


def _described(metrics: Metrics) -> Iterator[dict[str, Any]]:
    """Yield all that is no error of abundances."""
    for split, column in metrics["splits"].items():
        learned = learned_from_splits(metrics)
        for key in ("n_train", "n_validation", "n_test") if learned else ("n_test",):
            cells = {"measure": key, "unit": "count", "mean": column[key]}
            yield {"split": split} | cells
        for key, share in column["leakage"].items() if learned else ():
            yield {"split": split, "measure": key, "unit": "share", "mean": share}
        for key, seconds in column["seconds"].items() if learned else ():
            cells = {"measure": f"seconds_{key}", "unit": "seconds", "mean": seconds}
            yield {"split": split} | cells
    if metrics["sad"]:
        spread = (metrics["sad"].get("std") or {}).get("per_endmember", {})
        for name, angle in metrics["sad"]["per_endmember"].items():
            cells = {"measure": "sad", "unit": "radian", "mean": angle}
            if name in spread:
                cells |= {"std": spread[name], "ddof": 0}
            yield cells | {"endmember": name}
    provenance = (metrics["ground_truth"] or {}).get("provenance")
    if provenance:
        for formula, error in provenance["errors"].items():
            cells = {"measure": "rmse_of_the_reference", "unit": "abundance"}
            yield cells | {"method": formula, "mean": error}
    if metrics["reconstruction"]:
        for key, unit in {"rmse": "cube", "angle": "radian"}.items():
            value = metrics["reconstruction"][key]
            yield {"measure": f"reconstruction_{key}", "unit": unit, "mean": value}
    units = {"kkt": "", "condition": "", "parameters": "count"}
    for key, unit in (units | {"negative_share": "share"}).items():
        if metrics[key] is not None:
            yield {"measure": key, "unit": unit, "mean": metrics[key]}
