"""What an unmixing run works on: the cube, its endmembers, the pixels of each run."""

import logging
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from hsijax.config import Progress, UnmixConfig, no_progress
from hsijax.config.memory import total_memory
from hsijax.config.unmix import BLIND
from hsijax.errors import UsageError
from hsijax.experiments.unmix_endmembers import Endmembers, choose_endmembers
from hsijax.experiments.unmix_splits import reread_splits, split_pixels
from hsijax.io.spectral_library import SpectralLibrary
from hsijax.scenes import SourceFile
from hsijax.scenes.loading import find_sheet
from hsijax.scenes.reference import Reference
from hsijax.scenes.sources import to_absolute
from hsijax.scenes.unmixing_scene import UnmixingScene, load_unmixing_scene
from hsijax.splits import SplitFile, leakage
from hsijax.unmixing.extraction import EXTRACTORS

# Times the cube in float32, that is what unmixing it as a whole takes.
COPIES = 12

log = logging.getLogger("hsijax")


@dataclass(frozen=True, eq=False)
class UnmixTask:
    """A scene in memory; its endmembers, where they are given; a split a training.

    `columns` has the numbers of the splits made in each way, "random" and "blocks".
    """

    config: UnmixConfig
    data: UnmixingScene
    endmembers: Endmembers
    splits: SplitFile | None  # None without reference abundances
    columns: dict[str, list[int]]
    memory: int | None = None  # bytes that the program may take; None for what fits

    @property
    def given(self) -> SpectralLibrary | None:
        """The endmembers, where they are given to the method."""
        return self.endmembers.given

    @property
    def origin(self) -> str:
        """Where the endmembers come from, in words."""
        return self.endmembers.origin

    @property
    def reference(self) -> Reference | None:
        """The scene's reference abundances."""
        return self.data.reference

    @property
    def learns_from_reference(self) -> bool:
        """Whether a network or another learner is shown the reference abundances."""
        return self.config.learns and self.given is None

    @property
    def by_chance(self) -> bool:
        """Whether two runs differ in more than the pixels that are tested."""
        config = self.config
        return config.learns or config.model in BLIND or self.endmembers.drawn

    @property
    def spectra(self) -> Float[np.ndarray, "pixels bands"]:
        """The valid pixels of the cube."""
        return self.data.cube[self.data.valid]


def load_unmix_task(
    config: UnmixConfig,
    split_file: Path | None = None,
    progress: Progress = no_progress,
    memory: int | None = None,
) -> UnmixTask:
    """Read the scene, find or read its endmembers, and split its pixels.

    Args:
        config: says what to read.
        split_file: a run folder's own, which has a split a training.
        progress: is told of slow steps.
        memory: bytes that the program may take, about; a scene that needs more is
            unmixed tile by tile. None for what fits the machine.

    Raises:
        UsageError: the method needs endmembers or abundances that are not there, or
            more memory.
        HsijaxError: a file cannot be read or does not fit the scene.
    """
    data = load_config_scene(config, progress, _largest_cube(memory))
    if data.whole is not None and config.model in BLIND:
        raise UsageError(
            f"--model {config.model} is for scenes that fit into memory: give another "
            "--model, such as fcls, or more --max-memory"
        )
    endmembers = choose_endmembers(config, data, progress)
    splits, columns = None, {}
    if data.reference is not None:
        classes = dominant_endmembers(data.reference, data)
        if split_file is not None:
            splits, columns = reread_splits(split_file, classes)
        else:
            needed = config.learns and endmembers.given is None
            splits, columns = split_pixels(config, data.reference, classes, needed)
    return UnmixTask(config, data, endmembers, splits, columns, memory)


def _largest_cube(memory: int | None) -> int:
    """Return the bytes of float32 that a cube may have to be unmixed as a whole.

    Solvers and figures take several times as much.
    """
    return (total_memory() // 4 if memory is None else memory) // COPIES


def load_config_scene(
    config: UnmixConfig, progress: Progress, most: int | None = None
) -> UnmixingScene:
    """Load the scene that a configuration names, and log what was done to it."""
    data = load_unmixing_scene(
        config.scene,
        data_dir=Path(config.data_dir) if config.data_dir else None,
        cube_key=config.cube_key,
        ground_truth=config.ground_truth,
        nodata=config.nodata,
        scale=config.scale,
        most=most,
        progress=progress,
    )
    for note in data.notes:
        log.info("%s", note)
    return data


def with_absolute_paths(config: UnmixConfig) -> UnmixConfig:
    """Let a configuration find its files from any folder."""
    names = ["data_dir", "ground_truth", "split_file"]
    if config.endmembers not in (None, *EXTRACTORS):
        names.append("endmembers")
    if find_sheet(config.scene) is None:
        names.append("scene")
    values = {name: getattr(config, name) for name in names}
    return replace(
        config,
        **{name: to_absolute(text) for name, text in values.items() if text},
    )


def dominant_endmembers(
    reference: Reference, data: UnmixingScene
) -> Int[np.ndarray, "rows cols"]:
    """Number each pixel's largest abundance, from 1; 0 where there is no data."""
    largest = np.argmax(reference.abundances, axis=2) + 1
    return np.where(data.valid, largest, 0).astype(np.int32)


def describe_unmix_task(task: UnmixTask) -> dict[str, Any]:
    """Summarise scene, reference, endmembers and splits for `run.json`."""
    data, reference = task.data, task.reference
    entries: dict[str, Any] = {
        "task": "unmixing",
        "scene": {
            "name": data.scene.name,
            "shape": list((data.whole or data.scene).shape),
            "every": data.every,
            "path": str(data.scene.source.path),
            "key": data.scene.source.key,
            "sha256": data.scene.source.sha256,
            "scale": data.scale,
            "simulated": data.simulated,
            "pixels": int(data.valid.sum()),
        },
        "endmembers": {"origin": task.origin, **_locate(task.endmembers.source)},
        "ground_truth": None,
        "split_method": None,
        "splits": [],
    }
    if reference is not None:
        entries["ground_truth"] = {
            **_locate(reference.source),
            "order": reference.order,
            "names": list(reference.names),
        }
    if task.splits is not None:
        entries["split_method"] = task.splits.method
        entries["splits"] = [
            {
                "n_train": len(split.train),
                "n_validation": len(split.validation),
                "n_test": len(split.test),
                "leakage": asdict(leakage(split, task.config.patch)),
            }
            for split in task.splits.splits
        ]
    return entries


def _locate(source: SourceFile | None) -> dict[str, str | None]:
    """Say which file something is from; `sha256` tells whether it is the same later."""
    return {
        "path": str(source.path) if source else None,
        "sha256": source.sha256 if source else None,
    }
