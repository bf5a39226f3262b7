"""`hsijax endmembers`."""

from pathlib import Path
from typing import Annotated, Any

import typer

from hsijax.cli import console
from hsijax.cli.options import (
    CubeKey,
    DataDir,
    Device,
    Json,
    NoData,
    Overwrite,
    Quiet,
    Scale,
    SceneName,
)
from hsijax.config import UnmixConfig
from hsijax.errors import UsageError


def endmembers(
    scene: SceneName,
    method: Annotated[
        str, typer.Option("--method", help="vca, nfindr, spa or ppi.")
    ] = "vca",
    count: Annotated[
        str,
        typer.Option(
            "--count",
            metavar="N|auto",
            help="How many; auto takes the number that HySime estimates.",
        ),
    ] = "auto",
    robust: Annotated[
        bool,
        typer.Option(
            "--robust/--no-robust",
            help="Pick no pixel that fewer than 5 others are like: a dead or hot one.",
        ),
    ] = UnmixConfig.robust,
    seed: Annotated[
        int, typer.Option("--seed", help="Seed of random directions.")
    ] = UnmixConfig.seed,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", help="Folder; default endmembers/<scene>-<method>-<number>."
        ),
    ] = None,
    data_dir: DataDir = None,
    cube_key: CubeKey = None,
    nodata: NoData = None,
    scale: Scale = None,
    overwrite: Overwrite = False,
    device: Device = "auto",
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Find the pixels of a scene that show one material each, its endmembers.

    Their spectra are written as a library (CSV and ENVI .sli) with their places, and
    as a plot. `hsijax unmix --endmembers FILE` takes the library.

    \b
    Examples:
    $ hsijax endmembers indian-pines --count 8
    $ hsijax endmembers indian-pines --method nfindr --count auto --robust
    $ hsijax endmembers my.hdr --scale 10000 --count 3 --out my-endmembers
    """
    given: dict[str, Any] = {
        "data_dir": str(data_dir) if data_dir else None,
        "cube_key": cube_key,
        "nodata": nodata,
        "scale": scale,
        "count": _parse_count(count),
    }
    config = UnmixConfig(
        scene=scene, endmembers=method, robust=robust, seed=seed, **given
    )

    from hsijax.devices import select_device, set_up_compilation_cache

    select_device(device)
    set_up_compilation_cache()

    from hsijax.experiments.extract import write_endmembers

    with console.show_progress(quiet) as progress:
        report = write_endmembers(config, out, overwrite=overwrite, progress=progress)
    if json:
        console.print_json(report)
        return
    typer.echo("\n".join(_format(report)))
    folder = Path(report["out"])
    console.print_files([folder / name for name in report["files"]])


def _parse_count(text: str) -> int | None:
    if text == "auto":
        return None
    try:
        return int(text)
    except ValueError:
        raise UsageError(f"--count must be a number or auto, not '{text}'") from None


def _format(report: dict[str, Any]) -> list[str]:
    """Write as lines how many endmembers there are, where, and how good."""
    lines = [
        f"{report['scene']}: {report['count']} endmembers by {report['method']} "
        f"among {report['pixels']} pixels"
    ]
    if report["simulated"]:
        lines.append(report["simulated"])
    if report["hfc"]:
        rates = ", ".join(f"{n} at {rate:g}" for rate, n in report["hfc"].items())
        lines.append(f"HySime estimates {report['hysime']} endmembers, which counts")
        lines.append(f"HFC estimates, by its rate of false alarms: {rates}")
    rows = report["endmembers"]
    width = max(len(row["name"]) for row in rows)
    angles = [row["angle"] for row in rows if "angle" in row]
    heading = f"{'':{width}}{'row':>7}{'col':>7}"
    lines.append(heading + ("  angle to the reference's (rad)" if angles else ""))
    for row in rows:
        line = f"{row['name']:{width}}{row['row']:>7}{row['col']:>7}"
        if "angle" in row:
            line += f"  {row['angle']:.4f} {row['reference']}"
        lines.append(line)
    if angles:
        lines.append(f"{'mean':{width + 14}}  {sum(angles) / len(angles):.4f}")
    return lines
