"""Abundances of a scene that is larger than memory, tile by tile.

The endmembers, and a network that learns from mixtures of them, are those of a sample,
every n-th row and column; here they are given to every pixel.
"""

import hashlib
import logging
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace

import numpy as np

from hsijax.config import Progress
from hsijax.config.memory import default_memory, resident_memory
from hsijax.config.unmix import NETWORKS
from hsijax.experiments.tile_store import TileStore
from hsijax.experiments.unmix_layers import RESIDUALS, layers_of
from hsijax.experiments.unmix_task import UnmixTask
from hsijax.runs import Run
from hsijax.scenes import Scene
from hsijax.scenes.fingerprint import fingerprint
from hsijax.scenes.tiles import UNIT, Window, choose_side, plan_tiles, surround
from hsijax.settings import config_values
from hsijax.unmixing.estimate import Estimate, estimate_abundances
from hsijax.unmixing.inputs import values_at
from hsijax.unmixing.learners import LEARNERS
from hsijax.unmixing.materials import material_means, material_names
from hsijax.unmixing.uncertainty import residuals

# Of all solvers and residuals, per pixel of a tile and endmember.
VALUES = 40

log = logging.getLogger("hsijax")


def unmix_tiles(
    run: Run, task: UnmixTask, sample: Estimate, progress: Progress
) -> TileStore:
    """Unmix all of a large scene, unit by unit of it, as far as it is not done.

    The values are the same, to the last bit, for tiles of every size.

    Args:
        run: its folder keeps the tiles, and has the network of a method that learns.
        task: its endmembers are given to every pixel; pixels without data, or with
            broken values, become NaN.
        sample: of the pixels that are unmixed already; says what there is of each.
        progress: shows how far it is.

    Raises:
        HsijaxError: the scene cannot be read, or the disk is full.
    """
    config, library, scene = task.config, task.given, task.data.whole
    assert library is not None
    assert scene is not None
    kinds = {
        name: (np.dtype(np.float32), len(each.names))
        for name, each in layers_of(sample).items()
    }
    plan = {
        "scene": [scene.source.sha256, scene.source.key],
        "read": fingerprint(scene),
        "endmembers": hashlib.sha256(library.spectra.tobytes()).hexdigest(),
        "settings": config_values(config),
        "scale": task.data.scale,
    }
    store = TileStore.open(run.maps / ".tiles", scene.shape[:2], kinds, plan)
    memory = task.memory or default_memory()
    bands = int(scene.good_bands.sum())
    # The tile as it is stored and in float32, twice because one is read ahead, and as
    # much again that the allocator keeps.
    bytes_per_pixel = 4 * bands * (4 + scene.cube.dtype.itemsize)
    bytes_per_pixel += 8 * VALUES
    shape, free = scene.shape, memory - resident_memory()
    margin = config.patch // 2 if config.model in NETWORKS else 0
    side = choose_side(free, bytes_per_pixel, margin, shape)
    estimate = _make_estimate(run, task)
    tiles = [tile for tile in plan_tiles(shape, side) if not store.done(tile)]
    total, done = scene.shape[0] * scene.shape[1], store.pixels_done()
    if done and tiles:
        log.info("going on with %s: %.0f %% are there", scene.name, 100 * done / total)
    windows = [surround(tile, margin, shape, side) for tile in tiles]
    with ThreadPoolExecutor(1, "read") as reader, ThreadPoolExecutor(1) as writer:
        written: Future[None] | None = None
        coming = [reader.submit(_read, scene, window) for window in windows[:1]]
        for number, (tile, window) in enumerate(zip(tiles, windows, strict=True)):
            cube, valid = coming.pop().result()
            if number + 1 < len(tiles):
                coming.append(reader.submit(_read, scene, windows[number + 1]))
            cube /= np.float32(task.data.scale)
            found = {
                name: np.full((*tile.shape, values), np.nan, dtype)
                for name, (dtype, values) in store.layers.items()
            }
            for unit in tile.units():
                around = surround(unit, margin, shape, UNIT)
                part, inside = around.within(window), unit.within(around)
                pixels = np.argwhere(valid[part][inside])
                if not len(pixels):
                    continue
                pixels += (inside.rows.start, inside.cols.start)
                layers = layers_of(estimate(cube[part], valid[part], pixels))
                chosen = valid[unit.within(window)]
                for name, each in layers.items():
                    found[name][unit.within(tile)][chosen] = each.values[: len(pixels)]
            if written is not None:
                written.result()
            written = writer.submit(store.write, tile, **found)
            done += tile.size
            progress("unmixing", min(done, total), total)
        if written is not None:
            written.result()
    return store


def sample_of(store: TileStore, task: UnmixTask, sample: Estimate) -> Estimate:
    """Return the estimate of the pixels of a sample as the tiles have them."""
    every, valid = task.data.every, task.data.valid
    values = {
        name: np.array(store.layer(name)[::every, ::every])[valid].astype(np.float64)
        for name in store.layers
    }
    names = layers_of(sample)
    known = {}
    if "residuals" in names:
        columns = values["residuals"].reshape(len(values["abundances"]), -1).T
        titles = names["residuals"].names
        known = {
            RESIDUALS[title]: column
            for title, column in zip(titles, columns, strict=True)
        }
    return replace(
        sample,
        abundances=values["abundances"].reshape(valid.sum(), -1),
        **(
            {"deviations": values["uncertainty"].reshape(valid.sum(), -1)}
            if "uncertainty" in names
            else {}
        ),
        **known,
    )


def _read(scene: Scene, window: Window) -> tuple[np.ndarray, np.ndarray]:
    cube, valid = scene.load(window, drop_broken=True)
    return cube, valid & cube.any(axis=2)


def _make_estimate(run: Run, task: UnmixTask) -> Callable[..., Estimate]:
    """Return what unmixes some pixels (row, col) of a cube."""
    config, library = task.config, task.given
    assert library is not None
    if not config.learns:

        def solve(cube: np.ndarray, valid: np.ndarray, pixels: np.ndarray) -> Estimate:
            # Always as many, so that no pixel's place in a block depends on the others.
            filled = np.resize(pixels, (UNIT * UNIT, 2))
            return estimate_abundances(config, values_at(cube, filled), library)

        return solve
    unmixer = LEARNERS[config.model].load(run.network_file(0))
    names, means = material_names(library), material_means(library)

    def apply(cube: np.ndarray, valid: np.ndarray, pixels: np.ndarray) -> Estimate:
        abundances = unmixer.predict(cube, valid, pixels.astype(np.int32))
        spectra = values_at(cube, pixels)
        rmse, angle = residuals(spectra, abundances, means.spectra)
        return Estimate(names, abundances, means, rmse, angle)

    return apply
