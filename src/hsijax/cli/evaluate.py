"""`hsijax evaluate`."""

from typing import Annotated

import typer

from hsijax.cli import console
from hsijax.cli.options import Json, RunFolder
from hsijax.errors import UsageError


def evaluate(
    run: RunFolder,
    json: Json = False,
    csv: Annotated[bool, typer.Option("--csv", help="One row a figure.")] = False,
    latex: Annotated[bool, typer.Option("--latex", help="For booktabs.")] = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="Two tables.")] = False,
) -> None:
    """Print the table of a run again: its errors on test pixels, and what leaks.

    Of a classification: OA, AA, kappa and each class. Of an unmixing: RMSE of each
    endmember under its four names, rmsAAD, and the controls. The test pixels were
    predicted once, when the run ended; nothing is predicted here.

    \b
    Examples:
    $ hsijax evaluate runs/indian-pines-odenet-1
    $ hsijax evaluate runs/indian-pines-odenet-1 --json
    $ hsijax evaluate runs/indian-pines-odenet-1 --latex
    $ hsijax evaluate runs/urban-cube-cnn-1 --markdown
    """
    if json + csv + latex + markdown > 1:
        raise UsageError("give one of --json, --csv, --latex and --markdown")

    from hsijax.experiments.evaluate import evaluate_run
    from hsijax.reports import tables, unmixing_tables
    from hsijax.runs import open_run

    metrics = evaluate_run(open_run(run, task=None))
    unmixing = metrics.get("task") == "unmixing"
    writers = unmixing_tables if unmixing else tables
    if json:
        console.print_json(metrics)
    elif csv:
        typer.echo(writers.to_csv(metrics), nl=False)
    elif latex:
        typer.echo(writers.to_latex(metrics), nl=False)
    elif markdown:
        typer.echo(writers.to_markdown(metrics), nl=False)
    elif unmixing:
        console.print_unmixing(metrics)
    else:
        console.print_metrics(metrics, confusion=True)
