"""`hsijax split`."""

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
from hsijax.errors import UsageError
from hsijax.settings import choose_split


def split(
    scene: SceneName,
    out: Annotated[
        Path, typer.Option("--out", help="The split file to write, a .npz.")
    ],
    frac: Annotated[
        float | None,
        typer.Option("--frac", help="Share of each class that trains, rounded up."),
    ] = None,
    count: Annotated[
        int | None,
        typer.Option(
            "--count",
            help="Training pixels of each class; half of a class that has no more.",
        ),
    ] = None,
    train_mask: Annotated[
        str | None,
        typer.Option(
            "--train-mask",
            metavar="FILE[:KEY]",
            help="Raster that is not 0 at training pixels.",
        ),
    ] = None,
    test_mask: Annotated[
        str | None,
        typer.Option(
            "--test-mask",
            metavar="FILE[:KEY]",
            help="Raster of test pixels; by default all other labelled pixels.",
        ),
    ] = None,
    method: Annotated[
        str | None,
        typer.Option(
            "--split",
            metavar="METHOD",
            help="random, count, blocks, masks or grss, as of `hsijax train`. grss: "
            "the fixed masks of the IEEE GRSS, of a scene that has some.",
        ),
    ] = None,
    blocks: Annotated[
        bool,
        typer.Option(
            "--blocks",
            help="--split blocks, with --frac: train on spatial blocks, and test only "
            "where no patch overlaps a training patch.",
        ),
    ] = False,
    block_side: Annotated[
        int | None,
        typer.Option("--block-side", help="Pixels; by default the patch side."),
    ] = None,
    patch: Annotated[
        int,
        typer.Option(
            "--patch", help="Side of a patch in pixels, for leakage and --blocks."
        ),
    ] = TrainConfig.patch,
    val_frac: Annotated[
        float,
        typer.Option("--val-frac", help="Share of training pixels kept to validate."),
    ] = TrainConfig.val_frac,
    runs: Annotated[
        int, typer.Option("--runs", help="Independent splits in the file.")
    ] = TrainConfig.runs,
    seed: Annotated[
        int, typer.Option("--seed", help="Seed of all of them.")
    ] = TrainConfig.seed,
    data_dir: DataDir = None,
    cube_key: CubeKey = None,
    ground_truth: GroundTruth = None,
    nodata: NoData = None,
    overwrite: Overwrite = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Choose the pixels that train and test, and measure what leaks between them.

    `hsijax train --split FILE` takes the file. The same options and seed given to
    `train` itself choose the same pixels.

    \b
    Examples:
    $ hsijax split indian-pines --frac 0.03 --out split.npz
    $ hsijax split indian-pines --count 20 --val-frac 0.1 --runs 5 --out counts.npz
    $ hsijax split salinas-a --frac 0.05 --blocks --patch 9 --out blocks.npz
    $ hsijax split indian-pines --split grss --out grss.npz
    $ hsijax split my.hdr --ground-truth gt.mat --train-mask train.mat --out mask.npz
    """
    options: dict[str, Any] = {
        "split": "blocks" if blocks else method,
        "frac": frac,
        "count": count,
        "train_mask": train_mask,
        "test_mask": test_mask,
        "block_side": block_side,
        "data_dir": str(data_dir) if data_dir else None,
        "cube_key": cube_key,
        "ground_truth": ground_truth,
        "nodata": nodata,
    }
    given = {name: value for name, value in options.items() if value is not None}
    if blocks and method not in (None, "blocks"):
        raise UsageError(f"--blocks does not go with --split {method}: give one")
    given |= choose_split(given)
    if "split" not in given:
        raise UsageError("give one of --frac, --count, --train-mask and --split")
    if given["split"] == "file":
        raise UsageError(f"--split {method} is a split file already: give a method")
    if given["split"] == "scenes":
        raise UsageError(
            "--split scenes is of several scenes: use `hsijax train --test-dataset`"
        )
    if given["split"] in ("random", "blocks") and frac is None:
        raise UsageError(f"--{'blocks' if blocks else f'split {method}'} needs --frac")
    config = TrainConfig(
        dataset=scene,
        patch=patch,
        val_frac=val_frac,
        runs=runs,
        seed=seed,
        **given,
    )

    from hsijax.experiments.write_split import write_split

    with console.show_progress(quiet) as progress:
        report = write_split(config, out, overwrite=overwrite, progress=progress)
    if json:
        console.print_json(report)
    else:
        typer.echo("\n".join(_describe(report)))
    console.say(f"wrote {out}")


COLUMNS = ("labelled", "train", "validation", "test")


def _describe(report: dict[str, Any]) -> list[str]:
    """Write the first run's counts and the leakage of all runs as lines."""
    runs = report["runs"]
    first = runs[0]
    rows = [
        [f"{c['id']:>3} {c['name']}", *(c[name] for name in COLUMNS)]
        for c in first["per_class"]
    ]
    totals = [sum(row[column] for row in rows) for column in range(1, 5)]
    rows.append(["    all", *totals])
    width = max(len(row[0]) for row in rows)
    heading = f"{report['scene']}, {report['method']} split"
    if len(runs) > 1:
        heading += f", run 0 of {len(runs)}"
    lines = [heading, f"{'class':{width}}" + "".join(f"{c:>12}" for c in COLUMNS)]
    lines += [
        f"{row[0]:{width}}" + "".join(f"{n:>12}" for n in row[1:]) for row in rows
    ]
    side = report["patch"]
    lines.append(f"test pixels whose {side} x {side} patch ...")
    for name, text in (
        ("test_with_train_centre", "holds a training pixel"),
        ("test_patch_overlap", "overlaps a training patch"),
    ):
        share = sum(run["leakage"][name] for run in runs) / len(runs)
        lines.append(f"  {text:28}{100 * share:6.1f} %")
    return lines
