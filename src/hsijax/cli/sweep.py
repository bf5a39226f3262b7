"""`hsijax sweep`."""

from pathlib import Path
from typing import Annotated

import typer

from hsijax.cli import console
from hsijax.cli.options import DataDir, Device, Json, Quiet, SceneName
from hsijax.errors import UsageError
from hsijax.settings import make_unmix_config


def sweep(
    scene: SceneName,
    over: Annotated[
        str, typer.Option("--over", help="The setting that varies: patch or lr.")
    ],
    model: Annotated[
        str, typer.Option("--model", help="As of `hsijax unmix`.")
    ] = "cube-cnn",
    values: Annotated[
        str | None,
        typer.Option("--values", help="Such as 1,3,9; else those of the paper."),
    ] = None,
    preset: Annotated[
        str | None, typer.Option("--preset", help="Recipe: best or paper.")
    ] = None,
    ground_truth: Annotated[
        str | None,
        typer.Option(
            "--ground-truth", metavar="FILE[:KEY]", help="Reference abundances."
        ),
    ] = None,
    split: Annotated[
        str | None, typer.Option("--split", help="both, random or blocks.")
    ] = None,
    frac: Annotated[
        float | None, typer.Option("--frac", help="Share of the pixels that trains.")
    ] = None,
    epochs: Annotated[int | None, typer.Option("--epochs", help="Epochs.")] = None,
    runs: Annotated[int, typer.Option("--runs", help="Runs of each value.")] = 1,
    seed: Annotated[int, typer.Option("--seed", help="Seed of it all.")] = 0,
    data_dir: DataDir = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", help="Folder; gone on with if it exists. Default: sweeps/..."
        ),
    ] = None,
    device: Device = "auto",
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Unmix with several values of one setting: a table and a figure of the error.

    Stopped at any moment, the same command goes on where it was.

    \b
    Examples:
    $ hsijax sweep simulated-mixtures --over patch --values 1,3 --epochs 2
    $ hsijax sweep simulated-mixtures --over lr --values 1e-3,1e-2 --epochs 2
    """
    named = {
        "scene": scene,
        "model": model,
        "preset": preset,
        "ground_truth": ground_truth,
        "split": split,
        "frac": frac,
        "epochs": epochs,
        "runs": runs,
        "seed": seed,
        "data_dir": str(data_dir) if data_dir else None,
    }
    given = {name: value for name, value in named.items() if value is not None}
    config = make_unmix_config(given, {})
    folder = out or Path("sweeps") / f"{Path(scene).stem}-{model}-{over}"
    chosen = _numbers(values)

    from hsijax.devices import select_device, set_up_compilation_cache

    select_device(device)
    set_up_compilation_cache()

    from hsijax.experiments.sweep import HEADER, sweep_unmixing, table_rows

    with console.show_progress(quiet) as progress:
        summary, files = sweep_unmixing(config, over, chosen, folder, progress)
    if json:
        console.print_json(summary)
    else:
        if summary["simulated"]:
            typer.echo(summary["simulated"])
        console.print_rows(HEADER, table_rows(summary))
        console.print_files(files)


def _numbers(text: str | None) -> list[float] | None:
    if text is None:
        return None
    try:
        return [float(part) for part in text.split(",")]
    except ValueError as error:
        raise UsageError(
            f"--values {text} are no numbers: separate them by commas"
        ) from error
