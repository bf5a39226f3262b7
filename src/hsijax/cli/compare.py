"""`hsijax compare`."""

from pathlib import Path
from typing import Annotated

import typer

from hsijax.cli import console
from hsijax.cli.options import Json
from hsijax.errors import UsageError


def compare(
    runs: Annotated[
        list[Path],
        typer.Argument(
            metavar="RUN RUN...",
            help="Folders that `hsijax train` wrote; the first is the reference.",
        ),
    ],
    json: Json = False,
    csv: Annotated[bool, typer.Option("--csv", help="One row a figure.")] = False,
    latex: Annotated[bool, typer.Option("--latex", help="For booktabs.")] = False,
    markdown: Annotated[
        bool, typer.Option("--markdown", help="The best figures in bold.")
    ] = False,
    figure: Annotated[
        Path | None,
        typer.Option(
            "--figure",
            metavar="FILE",
            help="Write a box plot of OA over runs, .png or .pdf.",
        ),
    ] = None,
) -> None:
    """Put runs on one scene side by side, and test whether they differ.

    OA, AA, kappa and each class with their standard deviations, what leaks, parameters
    and seconds. Where the runs stand on identical splits (give all of them the same
    --frac and --seed, or the same --split FILE), each is tested against the first:
    Wilcoxon's signed-rank test over runs, McNemar's over test pixels, both with
    Holm's correction. Nothing is predicted again.

    \b
    Examples:
    $ hsijax compare runs/indian-pines-odenet-1 runs/indian-pines-resnet-1
    $ hsijax compare runs/indian-pines-odenet-1 runs/indian-pines-resnet-1 --latex
    $ hsijax compare runs/indian-pines-odenet-1 runs/indian-pines-resnet-1 \
--figure oa.pdf
    """
    if json + csv + latex + markdown > 1:
        raise UsageError("give one of --json, --csv, --latex and --markdown")
    if figure and figure.suffix.lower() not in (".png", ".pdf"):
        raise UsageError(f"--figure {figure} has no known file type: .png or .pdf")

    from hsijax.experiments.compare import compare_runs
    from hsijax.reports import comparison

    compared = compare_runs(runs)
    if json:
        console.print_json(compared)
    elif csv:
        typer.echo(comparison.to_csv(compared), nl=False)
    elif latex:
        typer.echo(comparison.to_latex(compared), nl=False)
    elif markdown:
        typer.echo(comparison.to_markdown(compared), nl=False)
    else:
        typer.echo("\n".join(comparison.to_lines(compared)))
    if figure:
        from hsijax.reports.comparison_figure import save_box_plot

        save_box_plot(figure, compared)
        console.say(f"wrote {figure}")
