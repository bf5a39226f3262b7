"""The tables of `hsijax bench`, as rows of text."""

from collections.abc import Mapping, Sequence
from typing import Any

from hsijax.reports.markup import align_columns

Row = Mapping[str, Any]
SPEED_HEADER = (
    *("network", "training /s", "quartiles", "time"),
    *("prediction /s", "quartiles", "time"),
)
COST_HEADER = (
    *("network", "parameters", "evaluations", "GFLOP", "MB moved"),
    *("compile s", "peak MB", "temp MB"),
)
NOTES = (
    "Speeds are patches a second, medians over {rounds} interleaved rounds; time is a",
    "multiple of resnet's. Costs are those of a training step. Evaluations: forward",
    "(+ recomputed) / backward. >=: the compiler counts the body of a loop once.",
)
USES = ("training", "prediction")


def speed_lines(rows: Sequence[Row]) -> list[str]:
    """Return the table of speeds as lines of text, the fastest training first."""
    cells = [
        (name_row(row), *(cell for use in USES for cell in _speed_cells(row[use])))
        for row in _sorted(rows)
    ]
    return align_columns([SPEED_HEADER, *cells])


def cost_lines(rows: Sequence[Row]) -> list[str]:
    """Return the table of costs as lines of text, in the order of `speed_lines`."""
    return align_columns([COST_HEADER, *map(_cost_cells, _sorted(rows))])


def notes(report: Mapping[str, Any]) -> list[str]:
    """Return what must stand beside the tables."""
    rows = report["rows"]
    speeds = [row["training"]["patches_per_second"] for row in rows]
    rounds = min((speed["rounds"] for speed in speeds if speed), default=0)
    lines = [f"Device: {report['device']}.", *(n.format(rounds=rounds) for n in NOTES)]
    lines += [
        f"{name_row(row)}: the loss is not finite, its solver did not reach the end."
        for row in rows
        if not row["training"]["finite"]
    ]
    if report["interrupted"]:
        lines.append("Interrupted: rows and rounds are missing.")
    return lines


def name_row(row: Row) -> str:
    """Name a row by its network and its solver.

    >>> name_row({"model": "odenet", "solver": "rk4 x1"})
    'odenet, rk4 x1'
    """
    return f"{row['model']}, {row['solver']}" if row["solver"] else row["model"]


def format_figures(value: float | None) -> str:
    """Return three significant figures.

    >>> [format_figures(value) for value in (0.01234, 4.5678, 123456.0, None)]
    ['0.0123', '4.57', '123,000', '-']
    """
    if value is None:
        return "-"
    rounded = float(f"{value:.3g}")
    return f"{rounded:,.0f}" if rounded >= 100 else f"{rounded:.3g}"


def _sorted(rows: Sequence[Row]) -> list[Row]:
    """Sort the classifiers, then the unmixing networks, by speed of training."""

    def key(row: Row) -> tuple[str, float]:
        speed = row["training"]["patches_per_second"]
        return row["task"], -(speed["median"] if speed else 0.0)

    return sorted(rows, key=key)


def _speed_cells(found: Row) -> tuple[str, str, str]:
    speed, ratio = found["patches_per_second"], found["time_ratio"]
    if not speed:
        return "-", "-", "-"
    quartiles = "-".join(
        format_figures(speed[name]) for name in ("lower_quartile", "upper_quartile")
    )
    shown = "-" if ratio is None else f"{ratio:.2f}"
    return format_figures(speed["median"]), quartiles, shown


def _cost_cells(row: Row) -> tuple[str, ...]:
    training = row["training"]
    memory = training["memory"]
    bound = ">= " if training["loops"] and training["bytes_accessed"] else ""
    return (
        name_row(row),
        f"{row['parameters']:,}",
        _format_evaluations(row["evaluations"]),
        format_figures(_scaled(training["flops"], 1e9)),
        bound + format_figures(_scaled(training["bytes_accessed"], 1e6)),
        f"{training['compile_seconds']:.1f}",
        *(format_figures(_scaled(memory[name], 1e6)) for name in ("peak", "temporary")),
    )


def _format_evaluations(evaluations: Row | None) -> str:
    if evaluations is None:
        return "-"
    counts = evaluations["training"]
    again = f"+{counts['recomputed']:.3g}" if counts["recomputed"] else ""
    return f"{counts['forward']:.3g}{again} / {counts['backward']:.3g}"


def _scaled(value: float | int | None, unit: float) -> float | None:
    return None if value is None else value / unit
