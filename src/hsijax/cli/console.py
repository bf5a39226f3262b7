"""What a person sees: data on stdout; messages and progress on stderr."""

import json
import logging
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import typer

from hsijax.config import Progress


def say(text: str) -> None:
    """Print a note to stderr."""
    typer.echo(text, err=True)


def say_error(text: str) -> None:
    """Print an error to stderr, red on a terminal."""
    typer.secho(f"error: {text}", fg="red", err=True)


def end_with_failed(failed: Mapping[str, str]) -> None:
    """Name the scenes that have no map and exit with 1, if there are any."""
    for name, reason in failed.items():
        say_error(f"{name} has no map: {reason}")
    if failed:
        raise typer.Exit(1)


def print_json(data: Any) -> None:
    """Print one JSON document to stdout: all that `--json` ever prints there."""
    typer.echo(json.dumps(data, indent=2, allow_nan=False))


class _StderrHandler(logging.Handler):
    """Prints the library's warnings, one a line."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print one record."""
        label = (
            "" if record.levelno == logging.INFO else f"{record.levelname.lower()}: "
        )
        say(f"{label}{record.getMessage()}")


def set_up_logging() -> None:
    """Send what the library logs under `hsijax` to stderr."""
    logger = logging.getLogger("hsijax")
    logger.handlers = [_StderrHandler()]
    logger.setLevel(logging.INFO)
    logger.propagate = False


@contextmanager
def show_progress(quiet: bool = False) -> Iterator[Progress]:
    """Yield a function that shows how far each stage is: a bar, or lines in a pipe."""
    if quiet:
        yield lambda stage, done, total, detail="": None
    elif sys.stderr.isatty():
        with _bars() as report:
            yield report
    else:
        yield _make_line_reporter()


@contextmanager
def _bars() -> Iterator[Progress]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        TextColumn("{task.percentage:>3.0f}%"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[detail]}"),
    )
    tasks: dict[str, Any] = {}
    with Progress(*columns, console=Console(stderr=True)) as bars:

        def report(
            stage: str, done: int | float, total: int | float, detail: str = ""
        ) -> None:
            if stage not in tasks:
                tasks[stage] = bars.add_task(stage, total=total, detail=detail)
            bars.update(tasks[stage], completed=done, total=total, detail=detail)

        yield report


def _make_line_reporter() -> Progress:
    """Make a reporter that prints at most one line per stage in ten seconds."""
    last: dict[str, float] = {}

    def report(
        stage: str, done: int | float, total: int | float, detail: str = ""
    ) -> None:
        now = time.monotonic()
        if done < total and now - last.get(stage, -10.0) < 10.0:
            return
        last[stage] = now
        percent = 100 * done / total if total else 100.0
        say(f"{stage} {percent:3.0f}% {detail}".rstrip())

    return report


def print_files(files: list[Path]) -> None:
    """Print which files were written, one a line."""
    for path in files:
        typer.echo(path)


def print_metrics(metrics: dict[str, Any], *, confusion: bool = False) -> None:
    """Print the tables of `metrics.json` for a person."""
    from rich.console import Console
    from rich.table import Table

    from hsijax.reports import tables

    out = Console(highlight=False, markup=False)
    classes = Table(*tables.CLASS_HEADER, box=None, pad_edge=False)
    for row in tables.class_rows(metrics):
        classes.add_row(*row)
    summary = Table(box=None, show_header=False, pad_edge=False)
    for row in tables.summary_rows(metrics):
        summary.add_row(*row)
    out.print(classes)
    out.print()
    if confusion:
        # As wide as it is: a matrix that wraps cannot be read.
        for row in tables.confusion_lines(metrics):
            typer.echo(row)
        typer.echo()
    out.print(summary)
    out.print()
    if scenes := tables.scene_rows(metrics):
        print_rows(tables.SCENE_HEADER, scenes)
        out.print()
    for line in tables.notes(metrics):
        out.print(line)


def print_unmixing(metrics: dict[str, Any]) -> None:
    """Print the tables of an unmixing run's `metrics.json` for a person."""
    from hsijax.reports import unmixing_tables as tables

    rows = tables.endmember_rows(metrics)
    if rows:
        print_rows(tables.header(metrics), rows)
        typer.echo()
    print_rows(None, tables.summary_rows(metrics))
    typer.echo()
    for line in tables.notes(metrics):
        typer.echo(line)


def print_rows(header: Sequence[str] | None, rows: Sequence[Sequence[str]]) -> None:
    """Print a table: the first column to the left, those of figures to the right."""
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False, show_header=header is not None)
    for index, name in enumerate(header or [""] * len(rows[0])):
        figures = index > 0 and header is not None
        table.add_column(name, justify="right" if figures else "left")
    for row in rows:
        table.add_row(*row)
    Console(highlight=False, markup=False).print(table)
