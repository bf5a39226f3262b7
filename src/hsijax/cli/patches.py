"""`hsijax patches`."""

from pathlib import Path
from typing import Annotated, Any

import typer

from hsijax.cli import console
from hsijax.cli.options import (
    CubeKey,
    DataDir,
    GroundTruth,
    Json,
    NoData,
    Overwrite,
    Quiet,
    SceneName,
)
from hsijax.config import TrainConfig


def patches(
    scene: SceneName,
    size: Annotated[
        int, typer.Option("--size", help="Side of a patch in pixels; odd.")
    ],
    out: Annotated[
        Path, typer.Option("--out", help="The file to write, .npz or .zarr.")
    ],
    split: Annotated[
        Path | None,
        typer.Option("--split", metavar="FILE", help="A file of `hsijax split`."),
    ] = None,
    run: Annotated[int, typer.Option("--run", help="Which split of it.")] = 0,
    all_labelled: Annotated[
        bool,
        typer.Option(
            "--all-labelled/--split-only",
            help="All labelled pixels, or those of the split alone.",
        ),
    ] = True,
    channels: Annotated[
        int,
        typer.Option("--channels", help="Principal components; 0 keeps all bands."),
    ] = 0,
    scaling: Annotated[
        str,
        typer.Option(
            "--scaling",
            help="none, standard or minmax; fitted on the training pixels of --split.",
        ),
    ] = "none",
    padding: Annotated[
        str, typer.Option("--padding", help="Beyond the border: reflect or zero.")
    ] = TrainConfig.padding,
    data_dir: DataDir = None,
    cube_key: CubeKey = None,
    ground_truth: GroundTruth = None,
    nodata: NoData = None,
    overwrite: Overwrite = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Cut the patches around labelled pixels into a file, for use elsewhere.

    The file holds `patches` (patch, row, column, channel), `labels` (from 0),
    `class_ids` (of the ground truth), `pixels` (row, column), and `split`: 0 unused,
    1 train, 2 validation, 3 test.

    \b
    Examples:
    $ hsijax patches salinas-a --size 9 --out patches.npz
    $ hsijax patches indian-pines --size 9 --channels 30 --split split.npz \
--out pines.npz
    $ hsijax patches indian-pines --size 5 --out patches.zarr
    """
    given: dict[str, Any] = {
        "split_file": str(split) if split else None,
        "data_dir": str(data_dir) if data_dir else None,
        "cube_key": cube_key,
        "ground_truth": ground_truth,
        "nodata": nodata,
    }
    config = TrainConfig(
        dataset=scene,
        split="file" if split else TrainConfig.split,
        channels=channels,
        scaling=scaling,
        padding=padding,
        **{name: value for name, value in given.items() if value is not None},
    )

    from hsijax.experiments.extract_patches import extract_patches

    with console.show_progress(quiet) as progress:
        report = extract_patches(
            config,
            out,
            side=size,
            run=run,
            all_labelled=all_labelled,
            overwrite=overwrite,
            progress=progress,
        )
    if json:
        console.print_json(report)
    else:
        typer.echo(f"{' x '.join(map(str, report['shape']))} float32 patches")
        roles = report["split"].items() if split else ()
        for role, number in roles:
            typer.echo(f"{role:12}{number:8}")
    console.say(f"wrote {out} ({report['bytes'] / 1e6:.1f} MB)")
