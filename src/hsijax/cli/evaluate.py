"""`hsijax evaluate`."""

from typing import Annotated

import typer

from hsijax.cli import console
from hsijax.cli.options import DataDir, Device, Json, Quiet, RunFolder
from hsijax.errors import UsageError


def evaluate(
    run: RunFolder,
    json: Json = False,
    csv: Annotated[bool, typer.Option("--csv", help="One row a figure.")] = False,
    latex: Annotated[bool, typer.Option("--latex", help="For booktabs.")] = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="Two tables.")] = False,
    ode_check: Annotated[
        bool,
        typer.Option(
            "--ode-check",
            help="Test an ODE-net again with Dopri5 at 1e-5 and with twice the steps.",
        ),
    ] = False,
    reject: Annotated[
        float | None,
        typer.Option(
            "--reject",
            metavar="THRESHOLD",
            help="What is reached on test pixels of at least this confidence.",
        ),
    ] = None,
    data_dir: DataDir = None,
    device: Device = "auto",
    quiet: Quiet = False,
) -> None:
    """Print the table of a run again: its errors on test pixels, and what leaks.

    Of a classification: OA, AA, kappa and each class. Of an unmixing: RMSE of each
    endmember under its four names, rmsAAD, and the controls. The test pixels were
    predicted once, when the run ended; nothing is predicted here, but for --ode-check.

    \b
    Examples:
    $ hsijax evaluate runs/indian-pines-odenet-1
    $ hsijax evaluate runs/indian-pines-odenet-1 --json
    $ hsijax evaluate runs/indian-pines-odenet-1 --latex
    $ hsijax evaluate runs/urban-cube-cnn-1 --markdown
    $ hsijax evaluate runs/my-odenet-1 --ode-check
    $ hsijax evaluate runs/my-odenet-1 --reject 0.9
    """
    if json + csv + latex + markdown > 1:
        raise UsageError("give one of --json, --csv, --latex and --markdown")
    if data_dir and not ode_check:
        raise UsageError("--data-dir is of --ode-check: nothing else reads the scene")
    if ode_check and csv + latex + markdown:
        raise UsageError("--ode-check is printed as a table, or with --json")
    if reject is not None and (ode_check or csv + latex + markdown):
        raise UsageError("--reject is printed as a table of its own, or with --json")
    if ode_check:
        from hsijax.devices import select_device, set_up_compilation_cache

        select_device(device)
        set_up_compilation_cache()

    from hsijax.experiments.evaluate import evaluate_run
    from hsijax.reports import tables, unmixing_tables
    from hsijax.runs import open_run

    of_classes = ode_check or reject is not None
    opened = open_run(run, "classification" if of_classes else None)
    metrics = evaluate_run(opened)
    if ode_check:
        from hsijax.experiments.ode_check import HEADER, check_ode, table_rows

        with console.show_progress(quiet) as progress:
            checked = check_ode(opened, metrics, data_dir, progress)
        if json:
            console.print_json({**metrics, "ode_check": checked})
        else:
            if checked["selected_on_test"]:
                typer.echo(tables.SELECTED_ON_TEST)
            console.print_rows(HEADER, table_rows(checked))
            typer.echo(tables.leakage_note(checked["leakage"]))
        return
    if reject is not None:
        from hsijax.experiments import reject as rejection

        left = rejection.reject_unsure(opened, metrics, reject)
        if json:
            console.print_json({**metrics, "reject": left})
        else:
            console.print_rows(rejection.HEADER, rejection.class_rows(left))
            typer.echo()
            console.print_rows(None, rejection.rejection_rows(metrics, left))
            typer.echo()
            # Without the intervals, which are of all test pixels of a class.
            for line in tables.notes({**metrics, "per_class": []}):
                typer.echo(line)
        return
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
