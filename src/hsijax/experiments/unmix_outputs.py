"""The figures and map files of an unmixing run."""

from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float

from hsijax.experiments.tile_store import TileStore
from hsijax.experiments.unmix_layers import layers_of
from hsijax.experiments.unmix_task import UnmixTask
from hsijax.experiments.write_layers import choose_raster_format, write_float_raster
from hsijax.io.spectral_library import write_library_csv
from hsijax.reports.abundance_maps import (
    save_abundance_figure,
    save_residual_figure,
    write_abundance_arrays,
)
from hsijax.reports.figures import save_training_figure
from hsijax.reports.spectra import save_spectra_figure
from hsijax.runs import Run
from hsijax.unmixing.estimate import Estimate


def write_outputs(
    run: Run, task: UnmixTask, whole: Estimate, store: TileStore | None = None
) -> list[Path]:
    """Draw and write all that can be shown of the whole scene.

    Returns:
        The files, the abundance maps first.
    """
    data, reference = task.data, task.reference
    title = f"{data.scene.name}: {task.config.model}"
    stamp = _stamp(task)
    caption = "training pixels included" if task.learns_from_reference else ""
    if data.every > 1:
        caption = f"one pixel in {data.every} x {data.every}"
    maps = _to_raster(whole.abundances, data.valid)
    comparable = reference is not None and whole.names == reference.names
    figures = [run.figures / "abundances.png"]
    save_abundance_figure(
        figures[0],
        maps,
        whole.names,
        reference=reference.abundances if reference and comparable else None,
        valid=data.valid,
        title=title,
        caption=caption,
        stamp=stamp,
    )
    if whole.endmembers is not None:
        figures.append(run.figures / "endmembers.png")
        known = reference.endmembers if reference and comparable else None
        save_spectra_figure(
            figures[-1],
            whole.endmembers,
            title=f"{data.scene.name}: endmembers",
            reference=None if known is whole.endmembers else known,
            stamp=stamp,
        )
        write_library_csv(run.folder / "endmembers.csv", whole.endmembers, stamp)
    if whole.rmse is not None and whole.angle is not None:
        figures.append(run.figures / "residuals.png")
        save_residual_figure(
            figures[-1],
            _to_raster(whole.rmse, data.valid),
            _to_raster(whole.angle, data.valid),
            valid=data.valid,
            title=f"{title}, residuals",
            stamp=stamp,
        )
    history = run.read_history()
    if history:
        figures.append(run.figures / "training.png")
        save_training_figure(figures[-1], history, title=title, stamp=stamp)
    return [*_write_layers(run, task, whole, maps, stamp, store), *figures]


def _stamp(task: UnmixTask) -> str:
    """Say what no figure and no file may hide."""
    parts = ["simulated scene"] if task.data.simulated else []
    if task.config.learns and not task.learns_from_reference:
        parts.append("trained on simulated mixtures")
    return ", ".join(parts)


def _write_layers(
    run: Run,
    task: UnmixTask,
    whole: Estimate,
    maps: Float[np.ndarray, "rows cols materials"],
    stamp: str,
    store: TileStore | None,
) -> list[Path]:
    """Write the rasters that a GIS or a script takes up, and one file of arrays."""
    layers = layers_of(whole)
    scene = task.data.whole or task.data.scene
    place = scene.georeference
    if store is None:
        rasters = {
            name: _to_raster(each.values, task.data.valid)
            for name, each in layers.items()
        }
    else:
        rasters = {name: store.layer(name) for name in layers}
    description = f"{scene.name}, {task.config.model}"
    if stamp:
        description += f" ({stamp})"
    chosen = choose_raster_format(task.config.format, place)
    files = [
        write_float_raster(
            run.maps / name,
            raster.reshape(*raster.shape[:2], -1),
            list(layers[name].names),
            place,
            chosen,
            f"{description}, {name}",
        )
        for name, raster in rasters.items()
    ]
    if store is not None:
        store.remove()
        return files
    arrays = run.maps / "abundances.npz"
    notes = [text for text in (stamp, task.data.simulated) if text]
    write_abundance_arrays(arrays, maps, whole.names, whole.endmembers, notes)
    return [*files, arrays]


def _to_raster(
    values: Float[np.ndarray, "pixels ..."], valid: Bool[np.ndarray, "rows cols"]
) -> Float[np.ndarray, "rows cols ..."]:
    """Put the values of valid pixels where they belong; NaN elsewhere."""
    raster = np.full((*valid.shape, *values.shape[1:]), np.nan)
    raster[valid] = values
    return raster
