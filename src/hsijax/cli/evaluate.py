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
    """Print the table of a run again: OA, AA, kappa, each class, and what leaks.

    The test pixels were predicted once, when training ended; nothing is predicted here.

    \b
    Examples:
    $ hsijax evaluate runs/indian-pines-odenet-1
    $ hsijax evaluate runs/indian-pines-odenet-1 --json
    $ hsijax evaluate runs/indian-pines-odenet-1 --latex
    """
    if json + csv + latex + markdown > 1:
        raise UsageError("give one of --json, --csv, --latex and --markdown")

    from hsijax.experiments.evaluate import evaluate_run
    from hsijax.reports import tables
    from hsijax.runs import open_run

    metrics = evaluate_run(open_run(run))
    if json:
        console.print_json(metrics)
    elif csv:
        typer.echo(tables.to_csv(metrics), nl=False)
    elif latex:
        typer.echo(tables.to_latex(metrics), nl=False)
    elif markdown:
        typer.echo(tables.to_markdown(metrics), nl=False)
    else:
        console.print_metrics(metrics, confusion=True)
