"""`hsijax unmix`."""

from dataclasses import fields
from pathlib import Path
from typing import Annotated

import typer

from hsijax.cli import console
from hsijax.cli.options import (
    CubeKey,
    DataDir,
    Device,
    Json,
    MaxMemory,
    NoData,
    Quiet,
    RasterFormat,
    Scale,
)
from hsijax.config import UNMIX_PRESETS, UnmixConfig
from hsijax.config.memory import parse_memory
from hsijax.config.unmix import METHODS
from hsijax.errors import UsageError, WriteError
from hsijax.settings import make_unmix_config, read_config

SETTINGS = {field.name for field in fields(UnmixConfig)}
GIVEN = "Endmembers and solvers"
SPLITTING = "Which pixels train"
NETWORK = "Network"
LEARNING = "How it learns"


def _option(flag: str, text: str, panel: str, **more):
    return typer.Option(flag, help=text, rich_help_panel=panel, **more)


def unmix(
    scene: Annotated[
        str | None,
        typer.Argument(
            metavar="SCENE",
            help="A catalogue name or a file of your own.",
            show_default=False,
        ),
    ] = None,
    model: Annotated[
        str | None, typer.Option("--model", help=f"{', '.join(METHODS)}.")
    ] = None,
    preset: Annotated[
        str | None,
        typer.Option("--preset", help=f"Recipe: {' or '.join(UNMIX_PRESETS)}."),
    ] = None,
    ground_truth: Annotated[
        str | None,
        typer.Option(
            "--ground-truth",
            metavar="FILE[:KEY]",
            help="Reference abundances; else looked for in the file and beside it.",
        ),
    ] = None,
    endmembers: Annotated[
        str | None,
        _option(
            "--endmembers",
            "A library (CSV, .mat, .sli), or look for them: vca, nfindr, spa, ppi.",
            GIVEN,
            metavar="FILE|METHOD",
        ),
    ] = None,
    count: Annotated[
        int | None,
        _option("--count", "Endmembers to look for; else HySime counts.", GIVEN),
    ] = None,
    robust: Annotated[
        bool | None,
        _option("--robust/--no-robust", "Look for them away from outliers.", GIVEN),
    ] = None,
    sparsity: Annotated[
        float | None, _option("--sparsity", "sunsal: weight of the sum.", GIVEN)
    ] = None,
    largest: Annotated[
        int | None, _option("--largest", "mesma: most materials in a pixel.", GIVEN)
    ] = None,
    split: Annotated[
        str | None, _option("--split", "both, random or blocks.", SPLITTING)
    ] = None,
    split_file: Annotated[
        str | None, _option("--split-file", "Take the pixels from a file.", SPLITTING)
    ] = None,
    frac: Annotated[
        float | None, _option("--frac", "Share of the pixels that trains.", SPLITTING)
    ] = None,
    block_side: Annotated[
        int | None,
        _option("--block-side", "Side of a spatial block, pixels.", SPLITTING),
    ] = None,
    val_frac: Annotated[
        float | None,
        _option("--val-frac", "Share of training pixels kept to validate.", SPLITTING),
    ] = None,
    runs: Annotated[
        int | None, typer.Option("--runs", help="Runs, each with its own split.")
    ] = None,
    seed: Annotated[int | None, typer.Option("--seed", help="Seed of it all.")] = None,
    patch: Annotated[
        int | None, _option("--patch", "Side of a patch, pixels; odd.", NETWORK)
    ] = None,
    hidden: Annotated[
        int | None, _option("--hidden", "Units of the hidden layer F10.", NETWORK)
    ] = None,
    dropout: Annotated[
        float | None, _option("--dropout", "In the last convolutions.", NETWORK)
    ] = None,
    neighbours: Annotated[
        float | None,
        _option("--neighbours", "Weight of a patch's pixels but its centre.", NETWORK),
    ] = None,
    output: Annotated[
        str | None, _option("--output", "sigmoid (over the sum) or softmax.", NETWORK)
    ] = None,
    targets: Annotated[
        str | None,
        _option("--targets", "abundances, or binary: the largest alone.", NETWORK),
    ] = None,
    norm: Annotated[
        str | None, _option("--norm", "Of each spectrum: none, l1, l2, max.", NETWORK)
    ] = None,
    scaling: Annotated[
        str | None,
        _option("--scaling", "Of each band then: standard, minmax, none.", NETWORK),
    ] = None,
    width: Annotated[
        int | None, _option("--width", "aann: units of hidden layers.", NETWORK)
    ] = None,
    components: Annotated[
        int | None,
        _option("--components", "aann, pca-net: features of a spectrum.", NETWORK),
    ] = None,
    pure: Annotated[
        float | None, _option("--pure", "esvm: abundance of a pure pixel.", NETWORK)
    ] = None,
    epochs: Annotated[int | None, _option("--epochs", "Epochs.", LEARNING)] = None,
    batch: Annotated[
        int | None, _option("--batch", "Pixels in a training step.", LEARNING)
    ] = None,
    square: Annotated[
        int | None,
        _option("--square", "Side of squares of pixels that train together.", LEARNING),
    ] = None,
    lr: Annotated[
        float | None, _option("--lr", "Largest learning rate.", LEARNING)
    ] = None,
    optimizer: Annotated[
        str | None,
        _option("--optimizer", "adam, adamw, adagrad, rmsprop or sgd.", LEARNING),
    ] = None,
    weight_decay: Annotated[
        float | None, _option("--weight-decay", "Weight decay.", LEARNING)
    ] = None,
    schedule: Annotated[
        str | None,
        _option("--schedule", "constant, cosine or one-cycle.", LEARNING),
    ] = None,
    augment: Annotated[
        bool | None,
        _option("--augment/--no-augment", "Flips and quarter turns.", LEARNING),
    ] = None,
    mixtures: Annotated[
        int | None,
        _option("--mixtures", "Simulated, where no abundances are known.", LEARNING),
    ] = None,
    snr: Annotated[
        float | None, _option("--snr", "Of simulated mixtures, dB.", LEARNING)
    ] = None,
    variability: Annotated[
        float | None,
        _option("--variability", "Of brightness in simulated mixtures.", LEARNING),
    ] = None,
    controls: Annotated[
        bool | None,
        _option(
            "--controls/--no-controls", "Measure what needs no network, too.", LEARNING
        ),
    ] = None,
    select: Annotated[
        str | None,
        _option("--select", "Epoch that counts: last or validation.", LEARNING),
    ] = None,
    data_dir: DataDir = None,
    cube_key: CubeKey = None,
    nodata: NoData = None,
    scale: Scale = None,
    config: Annotated[
        Path | None,
        typer.Option("--config", help="Run a config.toml again; options outweigh it."),
    ] = None,
    max_memory: MaxMemory = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Run folder; default runs/<scene>-<model>-<n>."),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the run folder.")
    ] = False,
    resume: Annotated[
        Path | None,
        typer.Option("--resume", metavar="RUN", help="Go on with an unfinished run."),
    ] = None,
    format: RasterFormat = None,
    device: Device = "auto",
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Turn a scene into abundance maps: how much of each material is in each pixel.

    Solvers (fcls, nnls, ucls, scls, sunsal, mesma) are given the endmembers; edaa
    finds them itself. Networks (pixel-cnn, cube-cnn), aann and esvm learn from
    reference abundances, and are tested on a random split and on spatial blocks; where
    there is no reference, they learn from simulated mixtures of the endmembers.
    A scene that is larger than memory is unmixed tile by tile, but by edaa.

    \b
    Examples:
    $ hsijax unmix --model cube-cnn urban.mat
    $ hsijax unmix --model pixel-cnn simulated-mixtures
    $ hsijax unmix --model fcls field.hdr --endmembers vca --count 4
    $ hsijax unmix --model sunsal field.hdr --endmembers library.csv
    $ hsijax unmix --resume runs/urban-cube-cnn-1
    """
    options = locals()
    given = {
        name: str(value) if isinstance(value, Path) else value
        for name, value in options.items()
        if name in SETTINGS and value is not None
    }
    memory = parse_memory(max_memory) if max_memory else None
    moved = set(given) <= {"data_dir"}
    if resume is not None and (not moved or config or out or overwrite):
        raise UsageError(
            "--resume goes on with the run's own settings: beside it go only "
            "--data-dir, --max-memory, --device, --json and --quiet"
        )
    if resume is None:
        file = read_config(config, UnmixConfig) if config else {}
        settings = make_unmix_config(given, file)

    from hsijax.devices import select_device, set_up_compilation_cache

    select_device(device)
    set_up_compilation_cache()

    from hsijax.experiments.unmix import prepare_unmixing, reopen_unmixing
    from hsijax.experiments.unmix import unmix as unmix_scene
    from hsijax.runs import open_run

    with console.show_progress(quiet) as progress:
        if resume is None:
            opened, task = prepare_unmixing(settings, out, overwrite, progress, memory)
        else:
            run = open_run(resume, "unmixing")
            opened, task = reopen_unmixing(run, data_dir, progress, memory)
        try:
            metrics, files = unmix_scene(opened, task, progress)
        except (KeyboardInterrupt, WriteError):
            console.say(f"go on with: hsijax unmix --resume {opened.folder}")
            raise
    if json:
        console.print_json({"run": str(opened.folder), **metrics})
    else:
        console.print_unmixing(metrics)
        console.print_files([*files, opened.folder])
