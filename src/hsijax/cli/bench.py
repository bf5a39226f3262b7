"""`hsijax bench`."""

from typing import Annotated

import typer

from hsijax.cli import console
from hsijax.cli.options import Device, Json, Quiet
from hsijax.config import PRESETS


def bench(
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            help="One network of `hsijax train`, or pixel-cnn or cube-cnn; default "
            "all, and the solvers of odenet.",
        ),
    ] = None,
    preset: Annotated[
        str | None,
        typer.Option("--preset", help=f"Recipe of the sizes: {' or '.join(PRESETS)}."),
    ] = None,
    patch: Annotated[
        int | None, typer.Option("--patch", help="Side of a patch, pixels; odd.")
    ] = None,
    channels: Annotated[
        int | None,
        typer.Option("--channels", help="Of the patches: bands or components."),
    ] = None,
    batch: Annotated[
        int | None, typer.Option("--batch", help="Patches in a training step.")
    ] = None,
    solver: Annotated[
        str | None,
        typer.Option("--solver", help="Measure odenet with this solver alone."),
    ] = None,
    steps: Annotated[
        int | None, typer.Option("--steps", help="Solver steps of equal size.")
    ] = None,
    rtol: Annotated[
        float | None,
        typer.Option("--rtol", help="Adaptive steps of this relative tolerance."),
    ] = None,
    adjoint: Annotated[
        str | None,
        typer.Option("--adjoint", help="checkpoint, backsolve or direct."),
    ] = None,
    precision: Annotated[
        str | None,
        typer.Option(
            "--precision", help="Of convolutions: float32, or on a GPU bfloat16."
        ),
    ] = None,
    device: Device = "auto",
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Measure networks and solvers on this machine: speed, cost, memory.

    It takes the training step and the prediction of `hsijax train` and `hsijax unmix`,
    on synthetic patches. All networks take over two minutes on two cores; Ctrl-C
    prints what is known by then.

    \b
    Examples:
    $ hsijax bench
    $ hsijax bench --model resnet1 --patch 5 --batch 32
    $ hsijax bench --solver midpoint --steps 2 --patch 5 --json
    """
    options = {
        "model": model,
        "preset": preset,
        "patch": patch,
        "channels": channels,
        "batch": batch,
        "solver": solver,
        "steps": steps,
        "rtol": rtol,
        "adjoint": adjoint,
        "precision": precision,
    }
    given = {name: value for name, value in options.items() if value is not None}

    from hsijax.devices import select_device, set_up_compilation_cache

    select_device(device)
    set_up_compilation_cache()

    from hsijax.experiments.bench import benchmark
    from hsijax.experiments.bench_cases import choose_cases
    from hsijax.reports import bench_table

    cases = choose_cases(given)
    with console.show_progress(quiet) as progress:
        report = benchmark(cases, progress)
    rows = report["rows"]
    if json:
        console.print_json(report)
    elif rows:
        for lines in (bench_table.speed_lines(rows), bench_table.cost_lines(rows)):
            typer.echo("\n".join([*lines, ""]))
        typer.echo("\n".join(bench_table.notes(report)))
    if report["interrupted"]:
        raise typer.Exit(130)
