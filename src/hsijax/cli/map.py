"""`hsijax map`."""

from typing import Annotated

import typer

from hsijax.cli import console
from hsijax.cli.options import (
    CubeKey,
    DataDir,
    Device,
    GroundTruth,
    Json,
    MaxMemory,
    NoData,
    Quiet,
    RasterFormat,
    RunFolder,
    Scale,
)
from hsijax.config.memory import parse_memory
from hsijax.errors import UsageError


def map_run(
    run: RunFolder,
    scenes: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[SCENE]...",
            help="Other scenes, also of other sensors; each has a map of its own.",
            show_default="",
        ),
    ] = None,
    number: Annotated[
        int, typer.Option("--run-number", min=0, help="Which of several runs maps.")
    ] = 0,
    labelled: Annotated[
        bool, typer.Option("--labelled", help="Only pixels with ground truth.")
    ] = False,
    reject: Annotated[
        float | None,
        typer.Option(
            "--reject", metavar="THRESHOLD", help="No class where less sure than this."
        ),
    ] = None,
    scheduler: Annotated[
        str | None,
        typer.Option(
            "--scheduler",
            metavar="ADDRESS",
            help="Let a Dask cluster compute, such as that of tcp://host:8786.",
        ),
    ] = None,
    max_memory: MaxMemory = None,
    data_dir: DataDir = None,
    cube_key: CubeKey = None,
    ground_truth: GroundTruth = None,
    nodata: NoData = None,
    raster_format: RasterFormat = None,
    scale: Scale = None,
    device: Device = "auto",
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Classify all pixels of a run's scene, or of other scenes.

    A scene of any size is read, classified and written tile by tile; stopped at any
    moment, the same command goes on where it was. One of several that cannot be mapped
    is named at the end, and the others have their maps.

    Writes a figure with legend, the bare map, and the classes with their confidence
    as GeoTIFF where the scene has a coordinate system, else as ENVI files; each with a
    style, so that QGIS shows the legend. Another scene's bands are matched to the run's
    by wavelength; those of another sensor are resampled, and where they do not cover
    the run's, it is refused.

    The workers of a Dask cluster (--scheduler) need the run and the scenes under the
    same paths, and use the devices that they find.

    \b
    Examples:
    $ hsijax map runs/indian-pines-odenet-1
    $ hsijax map runs/indian-pines-odenet-1 --labelled
    $ hsijax map runs/my-odenet-1 other.hdr
    $ hsijax map runs/my-odenet-1 other.hdr field.hdr
    $ hsijax map runs/my-odenet-1 other.hdr --scale 10000
    $ hsijax map runs/my-odenet-1 --reject 0.9 --format envi
    """
    from hsijax.devices import select_device, set_up_compilation_cache

    if scheduler and device != "auto":
        raise UsageError(
            f"--device {device} is of this machine, and with --scheduler the workers "
            "compute: leave it out"
        )
    # A GPU here is left to a worker that may be on this machine.
    select_device("cpu" if scheduler else device)
    set_up_compilation_cache()

    from hsijax.experiments.map_run import map_run as write_maps
    from hsijax.experiments.map_scene import MapSettings
    from hsijax.runs import open_run

    named = {
        "data_dir": data_dir,
        "cube_key": cube_key,
        "ground_truth": ground_truth,
        "nodata": nodata,
        "scale": scale,
    }
    given = {name: value for name, value in named.items() if value is not None}
    settings = MapSettings(
        number=number,
        labelled_only=labelled,
        reject=reject,
        memory=parse_memory(max_memory) if max_memory else None,
        raster_format=raster_format or "auto",
    )
    opened = open_run(run)
    with console.show_progress(quiet) as progress:
        files, failed = write_maps(
            opened,
            settings,
            scenes or (),
            scheduler=scheduler,
            progress=progress,
            **given,
        )
    if json:
        console.print_json({"files": [str(path) for path in files], "failed": failed})
    else:
        console.print_files(files)
    console.end_with_failed(failed)
