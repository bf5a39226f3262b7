"""Options that several commands share: one definition, one meaning."""

from pathlib import Path
from typing import Annotated

import typer

SceneName = Annotated[
    str,
    typer.Argument(
        metavar="SCENE",
        help="A catalogue name, a file of your own, or tiles: a folder or 'img/*.tif'.",
    ),
]
DataDir = Annotated[
    Path | None,
    typer.Option("--data-dir", help="Look for scenes here first, and download here."),
]
CubeKey = Annotated[
    str | None,
    typer.Option("--cube-key", help="Variable that holds the cube, if in doubt."),
]
GroundTruth = Annotated[
    str | None,
    typer.Option(
        "--ground-truth",
        metavar="FILE[:KEY]",
        help="Class raster of the scene, or polygons with their attribute.",
    ),
]
RasterFormat = Annotated[
    str | None,
    typer.Option("--format", help="Of maps: auto (else), geotiff or envi."),
]
SPLITTING = "Which pixels train"  # panel of `hsijax train --help`
Datasets = Annotated[
    list[str] | None,
    typer.Option(
        "--dataset",
        metavar="SCENE",
        help="A catalogue name or a file of your own; may be given several times.",
    ),
]
GroundTruths = Annotated[
    list[str] | None,
    typer.Option(
        "--ground-truth",
        metavar="FILE[:KEY]",
        help="Class raster of the scene; of several one for each --dataset.",
    ),
]
TestDatasets = Annotated[
    list[str] | None,
    typer.Option(
        "--test-dataset",
        metavar="SCENE",
        help="A scene that is only tested, on all its labelled pixels; may be given "
        "several times. Of the others all train, or --frac or --count of them.",
        rich_help_panel=SPLITTING,
    ),
]
TestGroundTruths = Annotated[
    list[str] | None,
    typer.Option(
        "--test-ground-truth",
        metavar="FILE[:KEY]",
        help="Its class raster; of several one for each --test-dataset.",
        rich_help_panel=SPLITTING,
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.")]
Device = Annotated[
    str, typer.Option("--device", help="auto, cpu, gpu, or one such as gpu:1.")
]
Overwrite = Annotated[
    bool, typer.Option("--overwrite", help="Replace the output if it exists.")
]
NoData = Annotated[
    float | None, typer.Option("--nodata", help="Value of pixels without data.")
]
Scale = Annotated[
    float | None,
    typer.Option("--scale", help="Value of the cube that stands for reflectance 1."),
]
MaxMemory = Annotated[
    str | None,
    typer.Option(
        "--max-memory",
        metavar="SIZE",
        help="About what the program may take, such as 2G. Default: what fits here.",
    ),
]
RunFolder = Annotated[
    Path, typer.Argument(metavar="RUN", help="Folder that `hsijax train` wrote.")
]
