"""`hsijax train`."""

from dataclasses import fields
from pathlib import Path
from typing import Annotated

import typer

from hsijax.cli import console, hosts
from hsijax.cli.options import (
    SPLITTING,
    CubeKey,
    DataDir,
    Datasets,
    Device,
    GroundTruths,
    Json,
    NoData,
    Quiet,
    Scale,
    TestDatasets,
    TestGroundTruths,
)
from hsijax.config import PRESETS, TrainConfig
from hsijax.config.opponents import MODELS
from hsijax.errors import UsageError, WriteError
from hsijax.settings import make_config, read_config

SETTINGS = {field.name for field in fields(TrainConfig)}
NETWORK = "Network"
INPUT = "What the network sees"
LEARNING = "How it learns"


def _option(flag: str, text: str, panel: str, **more):
    return typer.Option(flag, help=text, rich_help_panel=panel, **more)


def train(
    dataset: Datasets = None,
    model: Annotated[
        str | None,
        _option("--model", f"{', '.join(MODELS)}.", NETWORK),
    ] = None,
    preset: Annotated[
        str | None,
        typer.Option("--preset", help=f"Recipe: {' or '.join(PRESETS)}."),
    ] = None,
    frac: Annotated[
        float | None,
        _option("--frac", "Share of each class that trains, rounded up.", SPLITTING),
    ] = None,
    count: Annotated[
        int | None,
        _option("--count", "Training pixels of each class, instead.", SPLITTING),
    ] = None,
    split: Annotated[
        str | None,
        _option(
            "--split",
            "A file of `hsijax split`, or: random, count, blocks, masks, grss, scenes "
            "(with --test-dataset).",
            SPLITTING,
            metavar="FILE|METHOD",
        ),
    ] = None,
    test_dataset: TestDatasets = None,
    test_ground_truth: TestGroundTruths = None,
    train_mask: Annotated[
        str | None,
        _option("--train-mask", "Raster of training pixels.", SPLITTING),
    ] = None,
    test_mask: Annotated[
        str | None, _option("--test-mask", "Raster of test pixels.", SPLITTING)
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
    architecture: Annotated[
        str | None,
        _option("--architecture", "Frame around the block: compact, paper.", NETWORK),
    ] = None,
    patch: Annotated[
        int | None, _option("--patch", "Side of a patch, pixels; odd.", NETWORK)
    ] = None,
    dropout: Annotated[
        float | None, _option("--dropout", "Before the last layer.", NETWORK)
    ] = None,
    solver: Annotated[
        str | None,
        _option(
            "--solver",
            "euler, midpoint, heun, ralston, bosh3, rk4, tsit5, dopri5 or dopri8.",
            NETWORK,
        ),
    ] = None,
    steps: Annotated[
        int | None, _option("--steps", "Solver steps of equal size.", NETWORK)
    ] = None,
    rtol: Annotated[
        float | None,
        _option("--rtol", "Adaptive steps of this relative tolerance.", NETWORK),
    ] = None,
    atol: Annotated[
        float | None, _option("--atol", "Absolute tolerance; as --rtol.", NETWORK)
    ] = None,
    step_control: Annotated[
        str | None,
        _option("--step-control", "Adaptive steps by batch or by sample.", NETWORK),
    ] = None,
    adjoint: Annotated[
        str | None,
        _option("--adjoint", "checkpoint, backsolve or direct.", NETWORK),
    ] = None,
    precision: Annotated[
        str | None,
        _option(
            "--precision", "Of convolutions: float32, or on a GPU bfloat16.", NETWORK
        ),
    ] = None,
    channels: Annotated[
        int | None,
        _option("--channels", "Components; 0: all bands, or 30 of mnf.", INPUT),
    ] = None,
    components: Annotated[
        str | None,
        _option("--components", "pca, or mnf: minimum noise fractions.", INPUT),
    ] = None,
    scaling: Annotated[
        str | None, _option("--scaling", "standard, minmax or none.", INPUT)
    ] = None,
    fit: Annotated[
        str | None,
        _option("--fit", "Scaling, components from train pixels or scene.", INPUT),
    ] = None,
    diffuse: Annotated[
        str | None,
        _option(
            "--diffuse",
            "Times of edge-preserving diffusion of the scene, or none.",
            INPUT,
            metavar="TIMES",
        ),
    ] = None,
    edges: Annotated[
        float | None,
        _option("--edges", "What stops it, in usual differences.", INPUT),
    ] = None,
    padding: Annotated[
        str | None, _option("--padding", "Beyond the border: reflect, zero.", INPUT)
    ] = None,
    epochs: Annotated[int | None, _option("--epochs", "Epochs.", LEARNING)] = None,
    batch: Annotated[
        int | None, _option("--batch", "Patches in a training step.", LEARNING)
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
    label_smoothing: Annotated[
        float | None, _option("--label-smoothing", "Share of 1.", LEARNING)
    ] = None,
    augment: Annotated[
        bool | None,
        _option("--augment/--no-augment", "Flips and quarter turns.", LEARNING),
    ] = None,
    balance: Annotated[
        str | None,
        _option(
            "--balance",
            "Let rare classes count alike: none, sampling (each class is drawn equally "
            "often) or loss (weights inverse to its pixels).",
            LEARNING,
        ),
    ] = None,
    select: Annotated[
        str | None,
        _option(
            "--select",
            "Epoch that counts: last, validation, or best-test, which looks at test "
            "pixels, only replicates what some papers do, and marks every output.",
            LEARNING,
        ),
    ] = None,
    data_dir: DataDir = None,
    cube_key: CubeKey = None,
    ground_truth: GroundTruths = None,
    nodata: NoData = None,
    scale: Scale = None,
    config: Annotated[
        Path | None,
        typer.Option("--config", help="Run a config.toml again; options outweigh it."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Run folder; default runs/<scene>-<model>-<n>."),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the run folder.")
    ] = False,
    resume: Annotated[
        Path | None,
        typer.Option(
            "--resume", metavar="RUN", help="Go on with a run; --runs adds to it."
        ),
    ] = None,
    make_map: Annotated[
        bool, typer.Option("--map/--no-map", help="Map the whole scene at the end.")
    ] = True,
    device: Device = "auto",
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Train a network on a scene or on several, test it, and map the scenes.

    Options that you do not give come from the preset: `best` (the default) is a
    compact ODE-net on the diffused scene, `paper` the published recipe.

    \b
    Examples:
    $ hsijax train --model odenet --dataset salinas --frac 0.01
    $ hsijax train --dataset indian-pines --frac 0.03 --runs 5
    $ hsijax train --dataset my.hdr --ground-truth labels.mat --count 50
    $ hsijax train --dataset indian-pines --preset paper --model resnet
    $ hsijax train --dataset north.npz --dataset east.npz --test-dataset south.npz
    $ hsijax train --resume runs/salinas-odenet-1 --runs 10
    """
    options = locals()
    given = {
        name: str(value) if isinstance(value, Path) else value
        for name, value in options.items()
        if name in SETTINGS and value not in (None, [])
    }
    own = set(given) <= {"data_dir", "runs"}
    if resume is not None and (not own or config or out or overwrite):
        raise UsageError(
            "--resume goes on with the run's own settings: beside it go only "
            "--runs, --data-dir, --device, --no-map, --json and --quiet"
        )
    if resume is None:
        settings = make_config(given, read_config(config) if config else {})

    from hsijax.devices import select_device, set_up_compilation_cache

    select_device(device, several_hosts=True)
    set_up_compilation_cache()

    from hsijax.experiments.train import add_runs, prepare_run, reopen_run, train_runs
    from hsijax.runs import open_run

    with (
        hosts.own_folder(out, resume) as (out, resume, speaks),
        console.show_progress(quiet or not speaks) as progress,
    ):
        with hosts.all_or_none():
            if resume is None:
                opened, task = prepare_run(settings, out, overwrite, progress)
            elif runs is not None:
                opened, task = add_runs(open_run(resume), runs, data_dir, progress)
            else:
                opened, task = reopen_run(open_run(resume), data_dir, progress)
        try:
            metrics = train_runs(opened, task, progress)
        except (KeyboardInterrupt, WriteError):
            if speaks:
                console.say(f"go on with: hsijax train --resume {opened.folder}")
            raise
        files, failed = [], {}
        if make_map:
            from hsijax.experiments.map_run import map_run
            from hsijax.experiments.map_scene import MapSettings

            files, failed = map_run(opened, MapSettings(), progress=progress)
    if not speaks:
        return
    if json:
        console.print_json({"run": str(opened.folder), **metrics})
    else:
        console.print_metrics(metrics)
        console.print_files([opened.folder, *files])
    console.end_with_failed(failed)
