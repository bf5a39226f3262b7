"""The paper's table of classification with ours beside it, as Markdown.

All of it takes the contents of the `table.json` that `hsijax reproduce table1` writes.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from hsijax.reports.markup import escape_markdown, markdown_table
from hsijax.reports.tables import (
    ACCURACIES,
    LEAKAGES,
    format_accuracy,
    format_count,
    format_share,
)

# What one column says, by the first word of the row: mean and, of several runs, std.
Column = Mapping[str, Mapping[str, Any]]

LABELS = ACCURACIES | {"seconds": "seconds"}
NOTES = (
    "Mean ± standard deviation over the runs (ddof 0, as in print), in percent. All "
    "columns of ours under one heading have the same training and test pixels, run by "
    "run, and the last epoch counts: no test pixel decides anything. A dash: not "
    "trained yet or without a finite loss, or nothing printed.",
    "Seconds, ours: of training one run, with what had to be compiled, without "
    "predicting; runs that were trained at once share the time equally. Seconds, as "
    "printed: the paper's Time, with its GeForce GTX 1080; it does not say of what.",
)


def to_markdown(table: Mapping[str, Any]) -> str:
    """Return a table for each scene and share of training pixels, with its notes."""
    blocks = [f"# {escape_markdown(table['title'])}, and ours\n"]
    for part in table["parts"]:
        share = f"{100 * part['frac']:g} % of the labelled pixels train"
        blocks.append(f"## {part['scene']}, {share}\n")
        header, rows = part_table(part)
        blocks.append(markdown_table(header, rows, "l" + "r" * (len(header) - 1)))
        blocks += [escape_markdown(note) + "\n" for note in _part_notes(part)]
    notes = [
        *(
            f"{scene} is left out: {reason}"
            for scene, reason in table["left_out"].items()
        ),
        *NOTES,
    ]
    return "\n".join(
        [*blocks, "## Notes\n", *(f"{escape_markdown(n)}\n" for n in notes)]
    )


def part_table(
    part: Mapping[str, Any],
) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Return header and rows: the classes, then the accuracies, time and parameters."""
    columns: dict[str, Column] = {
        f"{model} as printed": figures for model, figures in part["printed"].items()
    }
    for cell in part["cells"]:
        name = f"{cell['model']}, preset {cell['preset']}"
        columns[name] = _figures(cell["metrics"]) if cell["metrics"] else {}
    rows = {key: f"{key} {name}" for key, name in part["classes"].items()} | LABELS
    table = [
        (label, *(_format(column.get(key)) for column in columns.values()))
        for key, label in rows.items()
    ]
    counts = (column.get("parameters") for column in columns.values())
    texts = (format_count(count["mean"]) if count else "-" for count in counts)
    runs = (str(column.get("runs", {}).get("mean", "-")) for column in columns.values())
    return ("", *columns), [*table, ("parameters", *texts), ("runs", *runs)]


def _figures(metrics: Mapping[str, Any]) -> Column:
    """Return what `metrics.json` says in the form of a printed column."""
    return {
        **{str(row["id"]): row for row in metrics["per_class"]},
        **{key: metrics[key] for key in ACCURACIES},
        "seconds": {"mean": metrics["seconds"]["train"]},
        "parameters": {"mean": metrics["parameters"]},
        "runs": {"mean": len(metrics["oa"]["values"])},
    }


def _format(figure: Mapping[str, Any] | None) -> str:
    # A figure of a single run has no deviation: that needs no count of runs.
    return format_accuracy(figure, runs=0) if figure else "-"


def _part_notes(part: Mapping[str, Any]) -> Iterator[str]:
    """Say what must stand beside the figures: runs, pixels, what leaks, where made."""
    if part["in_place_of"]:
        yield (
            f"{part['scene']} stands in for {part['in_place_of']}, of which it is a "
            "part: its figures are not to be compared with the printed ones."
        )
    general = training_notes(part, "column")
    yield from general[:1]
    # It depends on the patch, which is the preset's.
    done = [cell for cell in part["cells"] if cell["metrics"]]
    leaks = {cell["preset"]: cell["metrics"]["split"]["leakage"] for cell in done}
    for preset, leak in leaks.items():
        shares = (f"{format_share(leak[key])} {name}" for key, name in LEAKAGES.items())
        yield f"Preset {preset}: {', '.join(shares)}."
    yield from general[1:]


def training_notes(part: Mapping[str, Any], each: str = "row") -> list[str]:
    """Say how many runs and pixels each figure is of, and what trained it where."""
    done = [cell for cell in part["cells"] if cell["metrics"]]
    if not done:
        return []
    counts = sorted({len(cell["metrics"]["oa"]["values"]) for cell in done})
    runs = " or ".join(map(str, counts))
    split = done[0]["metrics"]["split"]
    where = dict.fromkeys(line for cell in done for line in cell["trained"])
    return [
        f"{runs} run{'s' * (counts[-1] > 1)} a {each}; training / test pixels "
        f"{format_count(split['n_train'])} / {format_count(split['n_test'])}.",
        f"Trained with {'; '.join(where)}.",
    ]
