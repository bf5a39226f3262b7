"""How an unmixing depends on one setting: a run for each value, a table, a figure."""

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from hsijax.config import Progress, UnmixConfig, no_progress
from hsijax.config.unmix import has_setting
from hsijax.errors import HsijaxError, UsageError, lookup
from hsijax.experiments.repeat import ensure_unmixing
from hsijax.io.atomic import write_text
from hsijax.reports.sweep_figure import save_sweep_figure

# The values of Fig. 2 of Zhang et al., GRSL 2018, and how the axis is labelled.
SWEEPS: dict[str, tuple[tuple[float, ...], str, bool]] = {
    "patch": ((1, 3, 9, 15, 21), "side of the patch (pixels)", False),
    "lr": ((1e-5, 1e-4, 5e-4, 1e-3, 5e-3, 1e-2), "learning rate", True),
}
HEADER = ("value", "split", "n_test", "sum_rmse", "std", "rms_aad", "seconds")


def sweep_unmixing(
    config: UnmixConfig,
    over: str,
    values: Sequence[float] | None,
    folder: Path,
    progress: Progress = no_progress,
) -> tuple[dict[str, Any], list[Path]]:
    """Unmix with each value of a setting; values that are done are not done again.

    All sizes of the patch are tested on the same pixels: block splits keep the largest
    patches apart, for every size.

    Returns:
        What stands in `sweep.json`, and the files.

    Raises:
        UsageError: there is no such sweep, or a value is not one of the setting's.
        HsijaxError: the scene has no reference abundances to measure with.
    """
    usual, label, log_x = lookup(SWEEPS, over, "sweep")
    if not has_setting(config.model, over):
        raise UsageError(f"--model {config.model} has no {over} to sweep over")
    whole = over == "patch"
    chosen = [int(v) if whole else float(v) for v in values or usual]
    if whole and any(v != int(v) for v in values or ()):
        raise UsageError(f"--values of {over} are whole numbers")
    if whole:
        config = replace(config, apart=max(config.apart, *map(int, chosen)))
    # The controls see neither the setting nor the network.
    config = replace(config, controls=False)
    configs = [replace(config, **{over: value}) for value in chosen]
    rows = []
    for value, one in zip(chosen, configs, strict=True):
        progress(f"sweep over {over}", len(rows), len(chosen), f"{over} {value:g}")
        metrics = ensure_unmixing(folder / f"{over}-{value:g}", one, progress)
        if not metrics["splits"]:
            raise HsijaxError(
                f"{metrics['scene']} has no reference abundances to measure with: give "
                "--ground-truth"
            )
        rows.append({"value": value, "splits": metrics["splits"]})
    summary = {
        "over": over,
        "scene": config.scene,
        "model": config.model,
        "preset": config.preset,
        "runs": config.runs,
        "simulated": metrics["simulated"],
        "rows": [_summarise(row) for row in rows],
    }
    files = [folder / name for name in ("sweep.json", "sweep.csv", "sweep.png")]
    write_text(files[0], json.dumps(summary, indent=2) + "\n")
    write_text(files[1], to_csv(summary))
    series = {
        method: (
            [row["splits"][method]["sum_rmse"] for row in summary["rows"]],
            [row["splits"][method]["std"] for row in summary["rows"]],
        )
        for method in summary["rows"][0]["splits"]
    }
    save_sweep_figure(
        files[2],
        chosen,
        series,
        xlabel=label,
        ylabel="sum of the endmembers' RMSE",
        title=f"{metrics['scene']}: {config.model}",
        stamp=metrics["simulated"],
        log_x=log_x,
    )
    return summary, files


def table_rows(summary: dict[str, Any]) -> list[list[str]]:
    """Return the sweep as text, one row a value and split, under `HEADER`."""
    rows = []
    for row in summary["rows"]:
        for method, found in row["splits"].items():
            std = "" if found["std"] is None else f"{found['std']:.4f}"
            what = [f"{row['value']:g}", method, f"{found['n_test']:g}"]
            figures = [f"{found['sum_rmse']:.4f}", std, f"{found['rms_aad']:.4f}"]
            rows.append([*what, *figures, f"{found['seconds']:.1f}"])
    return rows


def tables(
    summary: dict[str, Any],
) -> list[tuple[Sequence[str], list[list[str]]]]:
    """Return the table as text, with its header."""
    return [(HEADER, table_rows(summary))]


def notes(summary: dict[str, Any]) -> list[str]:
    """Return the sentence that must stand beside the table, if there is one."""
    return [summary["simulated"]] if summary["simulated"] else []


def to_csv(summary: dict[str, Any]) -> str:
    """Write the sweep as CSV; the last column says if the scene is a simulated one."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*HEADER, "simulated"])
    writer.writerows([*row, summary["simulated"]] for row in table_rows(summary))
    return text.getvalue()


def _summarise(row: dict[str, Any]) -> dict[str, Any]:
    splits = {
        method: {
            "n_test": column["n_test"],
            "sum_rmse": column["mean"]["sum"],
            "std": column["std"]["sum"] if column["std"] else None,
            "rms_aad": column["mean"]["rms_aad"],
            "seconds": column["seconds"]["train"],
            "values": [run["sum"] for run in column["values"]],
        }
        for method, column in row["splits"].items()
    }
    return {"value": row["value"], "splits": splits}
