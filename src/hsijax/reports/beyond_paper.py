"""All classifiers on the same pixels, a row each; random and leak-free side by side.

All of it takes the contents of the `table.json` that `hsijax reproduce beyond-paper`
writes.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from hsijax.config.opponents import OPPONENTS
from hsijax.reports.markup import escape_markdown, markdown_table
from hsijax.reports.table1 import training_notes
from hsijax.reports.tables import (
    ACCURACIES,
    LEAKAGES,
    format_accuracy,
    format_count,
    format_share,
)

Part = Mapping[str, Any]

HEADER = (
    *("", "runs", "OA", "AA", "kappa", "seen", "overlap", "parameters", "seconds"),
    "OA, the paper's",
)
FIRST = HEADER.index("OA")
SPLITS = {
    "random": "drawn at random",
    "blocks": "blocks, leak-free",
    "grss": "the IEEE GRSS mask",
}
NOTES = (
    "Mean ± standard deviation over the runs (ddof 0), in percent. All rows under one "
    "heading have the same training and test pixels, run by run, and the last epoch "
    "counts: no test pixel decides anything. A dash: not trained yet or without a "
    "finite loss, or nothing printed.",
    f"Seen: {LEAKAGES['test_with_train_centre']}; overlap: "
    f"{LEAKAGES['test_patch_overlap']}. What looks at one pixel (a patch of 1) sees no "
    "other, but neighbouring pixels are alike all the same.",
    "Seconds: of training one run, with what had to be compiled, without predicting.",
)
PAPER = (
    "The paper's: Paoletti et al., IGARSS 2019, Table 1; networks of the same names by "
    "its own recipe."
)
DROP = (
    "Random: as most papers draw. Leak-free: as many training pixels from blocks, and "
    "tested only where no patch overlaps a training patch, not even the widest of the "
    "table. The difference has several causes: patches that were seen in training, "
    "near pixels that are alike, and training pixels that stand close together and so "
    "show less of their class. What looks at one pixel loses by the last two alone."
)


def to_markdown(table: Mapping[str, Any]) -> str:
    """Return random beside leak-free, then a table for each part, with their notes."""
    blocks = [f"# {escape_markdown(table['title'])}\n"]
    drops = [drop for part in table["parts"] if (drop := _drop(part, table["parts"]))]
    if drops:
        blocks += ["## Random and leak-free\n", *drops, f"{escape_markdown(DROP)}\n"]
    for part in table["parts"]:
        blocks.append(f"## {_heading(part)}\n")
        header, rows, bold = part_table(part)
        alignment = "l" + "r" * (len(header) - 1)
        blocks.append(markdown_table(header, rows, alignment, bold))
        blocks += [escape_markdown(note) + "\n" for note in _part_notes(part)]
    missing = (
        f"{scene} is left out: {why}" for scene, why in table["left_out"].items()
    )
    notes = [*missing, *NOTES, *_published(table["parts"])]
    return "\n".join(
        [*blocks, "## Notes\n", *(f"{escape_markdown(n)}\n" for n in notes)]
    )


def part_table(
    part: Part,
) -> tuple[tuple[str, ...], list[tuple[str, ...]], list[tuple[int, int]]]:
    """Return header, a row for each classifier, and where the best accuracies are."""
    rows = [_row(cell, part["printed"]) for cell in part["cells"]]
    means = [_means(cell) for cell in part["cells"]]
    bold = []
    for column in range(len(ACCURACIES)):
        best = max((each[column] for each in means if each), default=None)
        bold += [
            (at, FIRST + column)
            for at, each in enumerate(means)
            if each and each[column] == best
        ]
    header = HEADER if part["printed"] else HEADER[:-1]
    return header, [row[: len(header)] for row in rows], bold


def _means(cell: Mapping[str, Any]) -> list[float]:
    metrics = cell["metrics"]
    return [round(metrics[key]["mean"], 2) for key in ACCURACIES] if metrics else []


def _row(cell: Mapping[str, Any], printed: Mapping[str, Any]) -> tuple[str, ...]:
    # A figure of a single run has no deviation: that needs no count of runs.
    paper = printed.get(cell["model"], {}).get("oa")
    last = format_accuracy(paper, runs=0) if paper else "-"
    metrics = cell["metrics"]
    if not metrics:
        return (cell["model"], *["-"] * (len(HEADER) - 2), last)
    return (
        cell["model"],
        str(_runs(metrics)),
        *(format_accuracy(metrics[key], runs=0) for key in ACCURACIES),
        *(format_share(metrics["split"]["leakage"][key]) for key in LEAKAGES),
        format_count(metrics["parameters"]),
        f"{metrics['seconds']['train']:.1f}",
        last,
    )


def _runs(metrics: Mapping[str, Any]) -> int:
    return len(metrics["oa"]["values"])


def _heading(part: Part) -> str:
    share = f"{100 * part['frac']:g} %, " if part["frac"] else ""
    return f"{part['scene']}, {share}{SPLITS[part['split']]}"


def _drop(part: Part, parts: Sequence[Part]) -> str | None:
    """Set a part whose split leaks beside the one of blocks; None if there is none."""
    clean = [
        other
        for other in parts
        if other["split"] == "blocks"
        and (other["scene"], other["frac"]) == (part["scene"], part["frac"])
    ]
    if part["split"] != "random" or not clean:
        return None
    without = {cell["model"]: cell["metrics"] for cell in clean[0]["cells"]}
    pairs = [
        (cell["model"], cell["metrics"], metrics)
        for cell in part["cells"]
        if cell["metrics"] and (metrics := without.get(cell["model"]))
    ]
    if not pairs:
        return None
    share = f"{100 * part['frac']:g} %"
    header = (
        part["scene"],
        *(
            f"{measure}, {how} {share}"
            for how in ("random", "leak-free")
            for measure in ("OA", "AA")
        ),
        "OA, difference",
        "runs",
    )
    rows = [
        (
            model,
            *(
                format_accuracy(metrics[key], runs=0)
                for metrics in (leaky, clean_one)
                for key in ("oa", "aa")
            ),
            f"{clean_one['oa']['mean'] - leaky['oa']['mean']:+.2f}",
            " / ".join(
                dict.fromkeys(str(_runs(metrics)) for metrics in (leaky, clean_one))
            ),
        )
        for model, leaky, clean_one in pairs
    ]
    return markdown_table(header, rows, "lrrrrrr")


def _part_notes(part: Part) -> Iterator[str]:
    """Say what must stand beside the figures: runs, pixels, classes left out, where."""
    yield from training_notes(part)
    if part["printed"]:
        yield PAPER
    done = [cell["metrics"] for cell in part["cells"] if cell["metrics"]]
    for metrics in done[:1]:
        untested = [row["name"] for row in metrics["per_class"] if not row["n_test"]]
        if untested:
            yield f"Without test pixels, and so not in AA: {', '.join(untested)}."


def _published(parts: Sequence[Part]) -> Iterator[str]:
    """Cite each opponent, with its published figures under the protocol of then."""
    for model in dict.fromkeys(c["model"] for part in parts for c in part["cells"]):
        if model in OPPONENTS:
            opponent = OPPONENTS[model]
            said = f"{model}: {opponent.source}"
            if opponent.figure:
                said += f"; published OA {opponent.figure}"
            if opponent.parameters:
                said += f"; published parameters {format_count(opponent.parameters)}"
                ours = _sizes(model, parts)
                said += f", ours {ours}" if ours else ""
            yield f"{said}."


def _sizes(model: str, parts: Sequence[Part]) -> str:
    """List a classifier's parameters, which depend on the bands and classes alone."""
    sizes = {
        part["scene"]: cell["metrics"]["parameters"]
        for part in parts
        for cell in part["cells"]
        if cell["model"] == model and cell["metrics"]
    }
    return ", ".join(f"{format_count(n)} on {scene}" for scene, n in sizes.items())
