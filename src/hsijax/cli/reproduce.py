"""`hsijax reproduce`."""

from pathlib import Path
from typing import Annotated

import typer

from hsijax.cli import console
from hsijax.cli.options import DataDir, Device, Json, Quiet


def reproduce(
    table: Annotated[
        str,
        typer.Argument(
            metavar="TABLE",
            help="table1, beyond-paper, unmixing-jasper or unmixing-urban.",
        ),
    ],
    runs: Annotated[
        int | None,
        typer.Option(
            "--runs",
            min=1,
            help="Of each column or method. Default: 10; 5 of unmixing.",
        ),
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Two runs of each, whatever the default.")
    ] = False,
    seed: Annotated[int, typer.Option("--seed", help="Seed of it all.")] = 0,
    epochs: Annotated[
        int | None,
        typer.Option("--epochs", min=1, help="Of everything, for a quick trial."),
    ] = None,
    preset: Annotated[
        str | None,
        typer.Option("--preset", help="Of table1: paper, best or both, the default."),
    ] = None,
    only: Annotated[
        str | None,
        typer.Option(
            "--only",
            help="Part of table1 or beyond-paper, such as indian-pines,3%,blocks,ssrn.",
        ),
    ] = None,
    data_dir: DataDir = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", help="Folder; gone on with if it exists. Default: reproduced/..."
        ),
    ] = None,
    device: Device = "auto",
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Run everything that a published table compares, and print theirs beside ours.

    beyond-paper is a table of ours: every classifier, on random, leak-free and fixed
    splits.

    Stopped at any moment, the same command goes on where it was.

    \b
    Examples:
    $ hsijax reproduce table1
    $ hsijax reproduce table1 --only indian-pines,3% --preset paper
    $ hsijax reproduce beyond-paper --only salinas-a,blocks,knn --quick
    $ hsijax reproduce unmixing-jasper
    $ hsijax reproduce unmixing-urban --runs 1
    """
    from hsijax.devices import select_device, set_up_compilation_cache

    select_device(device)
    set_up_compilation_cache()

    from hsijax.experiments import reproduce as tables

    with console.show_progress(quiet) as progress:
        try:
            found, files = tables.reproduce(
                table,
                out or Path("reproduced") / f"{table}{'-quick' * quick}",
                runs=runs,
                quick=quick,
                seed=seed,
                epochs=epochs,
                preset=preset,
                only=only,
                data_dir=data_dir,
                progress=progress,
            )
        except KeyboardInterrupt:
            console.say("go on with: the same command")
            raise
    if json:
        console.print_json(found)
    else:
        for path in files:
            if path.suffix == ".md":
                typer.echo(path.read_text(encoding="utf-8"))
        console.print_files(files)
