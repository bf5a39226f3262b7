"""`hsijax download`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hsijax.cli import console
from hsijax.cli.options import DataDir, Json, Quiet
from hsijax.config import Progress
from hsijax.errors import HsijaxError, UsageError, lookup

if TYPE_CHECKING:
    from hsijax.scenes.catalogue import SceneSheet


def download(
    scenes: Annotated[
        list[str] | None,
        typer.Argument(metavar="SCENE", help="Names from the catalogue."),
    ] = None,
    show_list: Annotated[
        bool, typer.Option("--list", help="Show the catalogue and what is here.")
    ] = False,
    everything: Annotated[
        bool, typer.Option("--all", help="Get every scene of the catalogue.")
    ] = False,
    data_dir: DataDir = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Get public scenes, each from the first mirror that has the right bytes.

    Looked at first are --data-dir, the folder in HSIJAX_DATA, the cache, and an
    installed package of the extra `samples`. An interrupted download goes on where it
    ended.

    \b
    Examples:
    $ hsijax download --list
    $ hsijax download indian-pines
    $ hsijax download salinas pavia-university --data-dir scenes
    """
    if data_dir and data_dir.exists() and not data_dir.is_dir():
        raise UsageError(f"--data-dir {data_dir} is a file; give a folder")
    if sum(map(bool, (scenes, show_list, everything))) != 1:
        raise UsageError("name one or more scenes, or give --list, or --all")

    from hsijax.scenes.catalogue import CATALOGUE

    if show_list:
        rows = [_describe(sheet, data_dir) for sheet in CATALOGUE.values()]
        if json:
            console.print_json({"scenes": rows})
        else:
            typer.echo("\n".join(_format_table(rows)))
        return
    names = list(CATALOGUE) if everything else list(dict.fromkeys(scenes or ()))
    sheets = [lookup(CATALOGUE, name, "scene in the catalogue") for name in names]
    with console.show_progress(quiet or json) as progress:
        results = [_get(sheet, data_dir, progress) for sheet in sheets]
    if json:
        console.print_json({"scenes": results})
    else:
        for result in results:
            for role, path in result["files"].items():
                label = f"{result['name']} {role.replace('_', ' ')}"
                typer.echo(f"{label}: {path}")
    errors = [result["error"] for result in results if result["error"]]
    for error in errors:
        console.say_error(error)
    if errors:
        raise typer.Exit(1)


def _get(
    sheet: "SceneSheet", data_dir: Path | None, progress: Progress
) -> dict[str, Any]:
    """Find or download all files of a scene; one that fails does not stop the rest."""
    from hsijax.scenes.lookup import locate

    files: dict[str, str] = {}
    result = {"name": sheet.name, "files": files, "error": None}
    for file in sheet.files:
        try:
            path = locate(sheet, file, data_dir=data_dir, progress=progress)
            files[file.role] = str(path)
        except HsijaxError as error:
            return result | {"error": str(error)}
    return result


def _describe(sheet: "SceneSheet", data_dir: Path | None) -> dict[str, Any]:
    """Say what the catalogue has of a scene, and which of its files are here."""
    from hsijax.scenes.lookup import find_file

    files = {
        file.role: find_file(sheet, file, data_dir=data_dir) for file in sheet.files
    }
    sizes = [file.size for file in sheet.files]
    return {
        "name": sheet.name,
        "title": sheet.title,
        "task": sheet.task,
        "shape": list(sheet.shape),
        "bytes": None if None in sizes else sum(size or 0 for size in sizes),
        "licence": sheet.licence,
        "source": sheet.source,
        "files": {role: found and str(found.path) for role, found in files.items()},
    }


def _format_table(rows: list[dict[str, Any]]) -> list[str]:
    table = [("name", "task", "MB", "rows x cols x bands", "where")]
    for row in rows:
        size = "?" if row["bytes"] is None else f"{row['bytes'] / 1e6:.1f}"
        shape = " x ".join(map(str, row["shape"]))
        table.append((row["name"], row["task"], size, shape, _where(row["files"])))
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return [
        f"{name:<{widths[0]}}  {task:<{widths[1]}}  {size:>{widths[2]}}  "
        f"{shape:<{widths[3]}}  {where}"
        for name, task, size, shape, where in table
    ]


def _where(files: dict[str, str | None]) -> str:
    """Say which folder holds a scene, or which of its files are missing.

    >>> _where({"cube": "/data/KSC.mat", "ground_truth": None})
    '/data, without its ground truth'
    """
    folders = list(dict.fromkeys(str(Path(p).parent) for p in files.values() if p))
    missing = [role.replace("_", " ") for role, path in files.items() if not path]
    if not folders:
        return "not here"
    without = f", without its {' and '.join(missing)}" if missing else ""
    return ", ".join(folders) + without
