"""Abundances of a scene that is larger than memory, tile by tile.

What the figures and `metrics.json` show was worked out before, on every n-th row and
column; here the endmembers of then are given to every pixel.
"""

import hashlib
import logging
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
from jaxtyping import Float

from hsijax.config import Progress, UnmixConfig
from hsijax.config.memory import default_memory, resident_memory
from hsijax.experiments.tile_store import TileStore
from hsijax.experiments.unmix_layers import Layers, layers_of
from hsijax.experiments.unmix_task import UnmixTask
from hsijax.io.spectral_library import SpectralLibrary
from hsijax.scenes import Scene
from hsijax.scenes.fingerprint import fingerprint
from hsijax.scenes.tiles import UNIT, Window, choose_side, plan_tiles
from hsijax.settings import config_values
from hsijax.unmixing.estimate import estimate_abundances

# Of all solvers and residuals, per pixel of a tile and endmember.
VALUES = 40

log = logging.getLogger("hsijax")


def unmix_tiles(
    folder: Path, task: UnmixTask, layers: Mapping[str, Layers], progress: Progress
) -> TileStore:
    """Unmix all of a large scene, unit by unit of it, as far as the store lacks it.

    The values are the same, to the last bit, for tiles of every size.

    Args:
        folder: of the store.
        task: its endmembers are given to every pixel; pixels without data, or with
            broken values, become NaN.
        layers: of the pixels that are unmixed already; says what there is of each.
        progress: shows how far it is.

    Raises:
        HsijaxError: the scene cannot be read, or the disk is full.
    """
    config, library, scene = task.config, task.given, task.data.whole
    assert library is not None
    assert scene is not None
    kinds = {
        name: (np.dtype(np.float32), len(each.names)) for name, each in layers.items()
    }
    plan = {
        "scene": [scene.source.sha256, scene.source.key],
        "read": fingerprint(scene),
        "endmembers": hashlib.sha256(library.spectra.tobytes()).hexdigest(),
        "settings": config_values(config),
        "scale": task.data.scale,
    }
    store = TileStore.open(folder, scene.shape[:2], kinds, plan)
    memory = task.memory or default_memory()
    bands = int(scene.good_bands.sum())
    # The tile as it is stored and in float32, twice because one is read ahead, and as
    # much again that the allocator keeps.
    bytes_per_pixel = 4 * bands * (4 + scene.cube.dtype.itemsize)
    bytes_per_pixel += 8 * VALUES
    side = choose_side(memory - resident_memory(), bytes_per_pixel, 0, scene.shape)
    tiles = [tile for tile in plan_tiles(scene.shape, side) if not store.done(tile)]
    total, done = scene.shape[0] * scene.shape[1], store.pixels_done()
    if done and tiles:
        log.info("going on with %s: %.0f %% are there", scene.name, 100 * done / total)
    with ThreadPoolExecutor(1, "read") as reader, ThreadPoolExecutor(1) as writer:
        written: Future[None] | None = None
        coming = [reader.submit(_read, scene, tile) for tile in tiles[:1]]
        for number, tile in enumerate(tiles):
            cube, valid = coming.pop().result()
            if number + 1 < len(tiles):
                coming.append(reader.submit(_read, scene, tiles[number + 1]))
            cube /= np.float32(task.data.scale)
            found = _unmix(config, cube, valid, library, store, tile)
            if written is not None:
                written.result()
            written = writer.submit(store.write, tile, **found)
            done += tile.size
            progress("unmixing", min(done, total), total)
        if written is not None:
            written.result()
    return store


def _read(scene: Scene, tile: Window) -> tuple[np.ndarray, np.ndarray]:
    cube, valid = scene.load(tile, drop_broken=True)
    return cube, valid & cube.any(axis=2)


def _unmix(
    config: UnmixConfig,
    cube: Float[np.ndarray, "rows cols bands"],
    valid: np.ndarray,
    library: SpectralLibrary,
    store: TileStore,
    tile: Window,
) -> dict[str, np.ndarray]:
    """Return the layers of a tile."""
    rasters = {
        name: np.full((*tile.shape, values), np.nan, dtype)
        for name, (dtype, values) in store.layers.items()
    }
    for unit in tile.units():
        here = unit.within(tile)
        chosen = valid[here]
        if not chosen.any():
            continue
        # Always as many, so that no pixel's place in a block depends on the others.
        spectra = np.zeros((UNIT * UNIT, cube.shape[2]), np.float32)
        count = int(chosen.sum())
        spectra[:count] = cube[here][chosen]
        spectra[count:] = spectra[0]
        for name, layers in layers_of(
            estimate_abundances(config, spectra, library)
        ).items():
            rasters[name][here][chosen] = layers.values[:count]
    return {
        name: raster[..., 0] if raster.shape[2] == 1 else raster
        for name, raster in rasters.items()
    }
