"""`hsijax reproduce`."""

from pathlib import Path
from typing import Annotated

import typer

from hsijax.cli import console
from hsijax.cli.options import DataDir, Device, Json, Quiet


def reproduce(
    table: Annotated[
        str,
        typer.Argument(metavar="TABLE", help="unmixing-jasper or unmixing-urban."),
    ],
    runs: Annotated[int, typer.Option("--runs", min=1, help="Of each method.")] = 5,
    seed: Annotated[int, typer.Option("--seed", help="Seed of it all.")] = 0,
    epochs: Annotated[
        int | None,
        typer.Option("--epochs", min=1, help="Of every method, for a quick trial."),
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
    """Run every method of a published table, and print theirs beside ours.

    Stopped at any moment, the same command goes on where it was.

    \b
    Examples:
    $ hsijax reproduce unmixing-jasper
    $ hsijax reproduce unmixing-urban --runs 1
    """
    from hsijax.devices import select_device, set_up_compilation_cache

    select_device(device)
    set_up_compilation_cache()

    from hsijax.experiments.reproduce import reproduce_unmixing

    with console.show_progress(quiet) as progress:
        found, files = reproduce_unmixing(
            table,
            out or Path("reproduced") / table,
            runs=runs,
            seed=seed,
            data_dir=data_dir,
            overrides={} if epochs is None else {"epochs": epochs},
            progress=progress,
        )
    if json:
        console.print_json(found)
    else:
        for path in files:
            if path.suffix == ".md":
                typer.echo(path.read_text(encoding="utf-8"))
        console.print_files(files)
