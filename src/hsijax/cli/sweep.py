"""`hsijax sweep`."""

from pathlib import Path
from typing import Annotated

import typer

from hsijax.cli import console
from hsijax.cli.options import DataDir, Device, Json, Quiet, SceneName
from hsijax.config import UnmixConfig
from hsijax.config.checks import option
from hsijax.config.unmix import METHODS
from hsijax.errors import UsageError
from hsijax.settings import make_config, make_unmix_config

# Which of the other options a sweep over a setting of the training leaves no use for.
IDLE = {
    "steps": ("steps",),
    "solver": ("solver",),
    "tolerance": ("steps",),
    "frac": ("frac", "count"),
}
ONLY_TRAINING = ("count", "solver", "steps")


def sweep(
    scene: SceneName,
    over: Annotated[
        str,
        typer.Option(
            "--over",
            help="What varies: steps, solver, tolerance, patch, frac or lr; patch or "
            "lr of an unmixing.",
        ),
    ],
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            help="As of `hsijax train` or `hsijax unmix`. Default: cube-cnn for a "
            "catalogue scene of unmixing, else odenet.",
        ),
    ] = None,
    values: Annotated[
        str | None,
        typer.Option(
            "--values",
            help="Such as 1,3,9, and of solvers rk4:2,dopri5:1e-3 (steps or tolerance "
            "after the colon); else the usual ones.",
        ),
    ] = None,
    preset: Annotated[
        str | None, typer.Option("--preset", help="Recipe: best or paper.")
    ] = None,
    ground_truth: Annotated[
        str | None,
        typer.Option(
            "--ground-truth",
            metavar="FILE[:KEY]",
            help="Class raster, or reference abundances.",
        ),
    ] = None,
    split: Annotated[
        str | None,
        typer.Option(
            "--split",
            help="As of `hsijax train`; of an unmixing: both, random or blocks.",
        ),
    ] = None,
    frac: Annotated[
        float | None, typer.Option("--frac", help="Share of the pixels that trains.")
    ] = None,
    count: Annotated[
        int | None,
        typer.Option("--count", help="Training pixels of each class, instead."),
    ] = None,
    solver: Annotated[
        str | None, typer.Option("--solver", help="ODE solver, as of `hsijax train`.")
    ] = None,
    steps: Annotated[
        int | None, typer.Option("--steps", help="Solver steps of equal size.")
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
    """Train or unmix with several values of one setting: a table and a figure.

    Over steps, solver or tolerance, each trained ODE-net is also tested with the
    solvers of all others, and with a reference: accuracy against work.

    Stopped at any moment, the same command goes on where it was.

    \b
    Examples:
    $ hsijax sweep my.hdr --ground-truth labels.mat --over steps --values 1,2
    $ hsijax sweep simulated-mixtures --over patch --values 1,3 --epochs 2
    $ hsijax sweep simulated-mixtures --over lr --values 1e-3,1e-2 --epochs 2
    """
    named = {
        "preset": preset,
        "ground_truth": ground_truth,
        "split": split,
        "frac": frac,
        "count": count,
        "solver": solver,
        "steps": steps,
        "epochs": epochs,
        "runs": runs,
        "seed": seed,
        "data_dir": str(data_dir) if data_dir else None,
    }
    given = {name: value for name, value in named.items() if value is not None}
    model = model or _fitting_model(scene)
    folder = out or Path("sweeps") / f"{Path(scene).stem}-{model}-{over}"
    if model in METHODS:
        _refuse([n for n in ONLY_TRAINING if n in given], "is of classification")
        settings = make_unmix_config({"scene": scene, "model": model, **given}, {})
    else:
        idle = [name for name in IDLE.get(over, ()) if name in given]
        _refuse(idle, f"does not go with --over {over}")
        if over == "tolerance":
            given.setdefault("solver", "dopri5")
        settings = make_config({"dataset": scene, "model": model, **given}, {})

    from hsijax.devices import select_device, set_up_compilation_cache

    select_device(device)
    set_up_compilation_cache()

    with console.show_progress(quiet) as progress:
        if isinstance(settings, UnmixConfig):
            from hsijax.experiments import sweep as experiment

            done = experiment.sweep_unmixing(
                settings, over, _numbers(values), folder, progress
            )
        else:
            from hsijax.experiments import sweep_training as experiment

            names = values.split(",") if values and over == "solver" else None
            done = experiment.sweep_training(
                settings, over, names or _numbers(values), folder, progress
            )
    summary, files = done
    if json:
        console.print_json(summary)
        return
    for line in experiment.notes(summary):
        typer.echo(line)
    for header, rows in experiment.tables(summary):
        console.print_rows(header, rows)
        typer.echo()
    console.print_files(files)


def _fitting_model(scene: str) -> str:
    """Choose the network by what the catalogue knows of a scene."""
    from hsijax.scenes.loading import find_sheet

    sheet = find_sheet(scene)
    return "cube-cnn" if sheet and sheet.task == "unmixing" else "odenet"


def _refuse(names: list[str], why: str) -> None:
    if names:
        raise UsageError(f"{option(names[0])} {why}: leave it out")


def _numbers(text: str | None) -> list[float] | None:
    if text is None:
        return None
    try:
        return [float(part) for part in text.split(",")]
    except ValueError as error:
        raise UsageError(
            f"--values {text} are no numbers: separate them by commas"
        ) from error
