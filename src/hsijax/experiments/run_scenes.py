"""The scenes that a configuration names: one, or several that are put together."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from jaxtyping import Bool
from numpy import ndarray

from hsijax.config import Progress, TrainConfig, no_progress
from hsijax.config.scenes import listed
from hsijax.errors import UsageError
from hsijax.runs import Run
from hsijax.scenes import Scene, SourceFile, load_scene, stack_scenes
from hsijax.splits import (
    Split,
    cut_out,
    guarded_region,
    load_splits,
    meets_itself,
    read_splits,
)

# Rows between two scenes, unless patches are larger: pixels have the same place in
# runs of most networks, and so can be compared.
GAP = 32

log = logging.getLogger("hsijax")


def load_config_scene(
    config: TrainConfig, progress: Progress = no_progress, **options: Any
) -> Scene:
    """Load what a configuration trains on; `options` of `load_scene` outweigh.

    Several scenes come as one, with their own ones as its `parts`.

    Raises:
        UsageError: an option is of one scene, and there are several.
        HsijaxError: a scene cannot be had, or they do not fit each other.
    """
    settings = {
        "data_dir": Path(config.data_dir) if config.data_dir else None,
        "cube_key": config.cube_key,
        "ground_truth": config.ground_truth,
        "nodata": config.nodata,
        "scale": config.scale,
    }
    settings |= options
    if isinstance(config.dataset, str) and not config.test_dataset:
        return load_scene(config.dataset, progress=progress, **settings)
    if "ground_truth" in options:
        raise UsageError("--ground-truth is of one of the run's scenes: name the SCENE")
    truths = [
        truth
        for names, given in (
            (config.dataset, config.ground_truth),
            (config.test_dataset, config.test_ground_truth),
        )
        for truth in listed(given) or [None] * len(listed(names))
    ]
    scenes = [
        load_scene(name, progress=progress, **{**settings, "ground_truth": truth})
        for name, truth in zip(config.scenes, truths, strict=True)
    ]
    gap = max(GAP, config.fitted_patch - 1)
    return stack_scenes(scenes, gap=gap, training=len(listed(config.dataset)))


def scenes_of_run(
    config: TrainConfig, progress: Progress = no_progress, **options: Any
) -> list[Scene]:
    """Load each scene of a run for itself, also those that are only tested.

    Of several, each has a name of its own, and the classes and class numbers of all.
    """
    scene = load_config_scene(config, progress, **options)
    return [part.scene for part in scene.parts] or [scene]


class Place(NamedTuple):
    """What a training has done with a scene, in the scene's own coordinates."""

    name: str  # that the run has given it
    split: Split | None  # None where the scene has no ground truth
    region: Bool[ndarray, "rows cols"] | None  # see `diffusion_region`


def find_in_run(run: Run, scene: Scene, number: int) -> Place | None:
    """Return what one training of a run has done with a scene.

    Returns:
        None where the scene is none of the run's.
    """
    manifest, config = run.read_manifest(), run.read_config()
    hashed, key = scene.source.sha256, scene.source.key
    entries = manifest.get("scenes", ())
    for entry in entries:
        if (entry["sha256"], entry["key"]) == (hashed, key):
            first, last = entry["rows"]
            whole = tuple(manifest["scene"]["shape"][:2])
            drawn = read_splits(run.split_file)[number]
            starts = [one["rows"][0] for one in entries]
            region = diffusion_region(config, drawn, whole, starts)
            if region is not None:
                region = region[first:last, : entry["cols"]]
            split = cut_out(drawn, slice(first, last))
            known = None if scene.ground_truth is None else split
            return Place(entry["name"], known, region)
    own = manifest["scene"]
    if (hashed, key) != (own["sha256"], own.get("key")):
        known = {one["path"] for one in (manifest["scene"], *entries)}
        if str(scene.source.path.absolute()) in known:
            log.warning(
                "%s has changed since %s was trained on it: it is taken for another "
                "scene",
                *(scene.source.path, run.folder),
            )
        return None
    split = None
    if scene.ground_truth is not None:
        split = load_splits(run.split_file, scene.ground_truth).splits[number]
    if not config.times:
        return Place(scene.name, split, None)
    drawn = read_splits(run.split_file)[number]
    region = diffusion_region(config, drawn, scene.shape[:2])
    return Place(scene.name, split, region)


def diffusion_region(
    config: TrainConfig,
    split: Split,
    shape: tuple[int, int],
    starts: Sequence[int] = (),
) -> Bool[ndarray, "rows cols"] | None:
    """Return where diffusion keeps to itself, if the split leaks nothing.

    Scenes that train do not meet those that are tested: there is nothing to keep apart.

    Args:
        config: of the run.
        split: of one training.
        shape: rows and columns of the scene, or of all of them.
        starts: the first rows of several scenes.
    """
    if not config.times or not meets_itself(split, starts):
        return None
    return guarded_region(split, config.fitted_patch, shape)


def describe_scenes(scene: Scene) -> list[Mapping[str, Any]]:
    """Summarise the parts of a scene for `run.json`; none of a single scene."""
    return [
        {
            "name": part.scene.name,
            "trains": part.trains,
            "rows": [part.window[0].start, part.window[0].stop],
            "cols": part.scene.shape[1],
            **describe_source(part.scene.source),
            "ground_truth": describe_source(part.scene.ground_truth_source),
        }
        for part in scene.parts
    ]


def describe_source(source: SourceFile | None) -> dict[str, str | None]:
    """Name a file with its hash."""
    assert source is not None  # a scene that trains has both files
    return {"path": str(source.path), "key": source.key, "sha256": source.sha256}
