"""`hsijax info`."""

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
    Scale,
    SceneName,
)


def info(
    scene: SceneName,
    quicklook: Annotated[
        Path | None,
        typer.Option(
            "--quicklook", metavar="FILE.png", help="Write a picture of it too."
        ),
    ] = None,
    data_dir: DataDir = None,
    cube_key: CubeKey = None,
    ground_truth: GroundTruth = None,
    nodata: NoData = None,
    scale: Scale = None,
    json: Json = False,
) -> None:
    """Say what is in a scene: shape, values, bands, classes, and what looks wrong.

    \b
    Examples:
    $ hsijax info indian-pines
    $ hsijax info indian-pines --quicklook pines.png
    $ hsijax info field.img --ground-truth classes.mat:gt --nodata 0 --json
    """
    from hsijax.scenes.summary import describe

    with console.show_progress(quiet=json) as progress:
        summary = describe(
            scene,
            data_dir=data_dir,
            cube_key=cube_key,
            ground_truth=ground_truth,
            nodata=nodata,
            scale=scale,
            quicklook=quicklook,
            progress=progress,
        )
    if json:
        console.print_json(summary)
        return
    typer.echo("\n".join(_format(summary)))
    for warning in summary["warnings"]:
        console.say(f"warning: {warning}")


def _format(summary: dict[str, Any]) -> list[str]:
    size = f"{summary['rows']} rows x {summary['cols']} columns"
    if summary["bands"] is None:
        lines = [f"{summary['name']}: a ground truth of {size}, without a cube"]
    else:
        bands = f"{summary['bands']} bands, {summary['dtype']}"
        lines = [f"{summary['name']}: {size} x {bands}", *_format_cube(summary)]
    for file in summary["files"]:
        key = f":{file['key']}" if file["key"] else ""
        lines.append(_line(file["role"], f"{file['path']}{key}"))
        lines.append(_line("", f"sha256 {file['sha256']}"))
    lines += [_line("note", note) for note in summary["notes"]]
    return lines + _format_classes(summary)


def _format_cube(summary: dict[str, Any]) -> list[str]:
    from hsijax.scenes.band_names import format_ranges

    values, lengths = summary["value_range"], summary["wavelengths_nm"]
    whole = ", whole numbers" if summary["whole_numbers"] else ""
    nodata, place = summary["nodata"], summary["georeference"]
    texts = {
        "values": f"{values[0]:g} to {values[1]:g}{whole}" if values else "none",
        "reflectance": "no scale set",
        "wavelengths": f"{lengths[0]:g} to {lengths[1]:g} nm" if lengths else "unknown",
        "bad bands": format_ranges(summary["bad_bands"]) or "none marked",
        "no data": "no value set",
        "georeference": "none",
    }
    if nodata is not None:
        share = 100 * summary["nodata_share"]
        texts["no data"] = f"{nodata}, {share:.2f} % of the pixels"
    if summary["scale"] is not None:
        texts["reflectance"] = f"values / {summary['scale']:g}"
    if place:
        texts["georeference"] = f"{place['crs']}, transform {place['transform']}"
    return [_line(name, text) for name, text in texts.items()]


def _format_classes(summary: dict[str, Any]) -> list[str]:
    classes = summary["classes"]
    if classes is None:
        return [_line("classes", "no ground truth")]
    total = summary["rows"] * summary["cols"]
    labelled = summary["labelled_pixels"]
    lines = [_line("classes", f"{len(classes)}; {labelled} of {total} pixels labelled")]
    width = max(len(row["name"]) for row in classes)
    for row in classes:
        lines.append(f"{row['id']:>5}  {row['name']:<{width}}  {row['pixels']:>8}")
    return lines


def _line(name: str, text: str) -> str:
    return f"{name:<13} {text}"
