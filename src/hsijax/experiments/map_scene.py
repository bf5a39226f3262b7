"""Classify every pixel of one scene with a trained run, and write the maps."""

import hashlib
import json
import logging
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Int

from hsijax.classification.trained import TrainedClassifier
from hsijax.config import Progress, no_progress
from hsijax.errors import HsijaxError, UsageError
from hsijax.experiments.classify_scene import HERE, ClassMap, Computing, classify_scene
from hsijax.experiments.run_scenes import find_in_run
from hsijax.experiments.tile_store import TileStore
from hsijax.experiments.write_layers import (
    choose_raster_format,
    write_class_raster,
    write_float_raster,
)
from hsijax.io.atomic import write_text
from hsijax.io.cube import Georeference
from hsijax.patches import check_patch_side
from hsijax.reports.maps import (
    save_class_map_figure,
    save_confidence_png,
    save_palette_png,
)
from hsijax.reports.tables import leakage_note
from hsijax.runs import Run
from hsijax.scenes import Scene
from hsijax.scenes.fingerprint import fingerprint
from hsijax.scenes.sources import hash_file
from hsijax.splits import Split

# Rows or columns of a picture at most; of a larger scene some pixels are shown.
LARGEST_PICTURE = 4096
# What is kept of each pixel: its class, and the confidence in it.
LAYERS = {
    "classes": (np.dtype(np.uint16), 1),
    "confidence": (np.dtype(np.float32), 1),
}

log = logging.getLogger("hsijax")


@dataclass(frozen=True)
class MapSettings:
    """How a class map is made."""

    number: int = 0  # which of the run's trainings classifies
    labelled_only: bool = False  # leave pixels without ground truth out
    reject: float | None = None  # leave the class of pixels of less confidence out
    memory: int | None = None  # bytes, see `classify_scene`
    raster_format: str = "auto"  # see `choose_raster_format`


def map_scene(
    run: Run,
    scene: Scene,
    classifier: TrainedClassifier,
    settings: MapSettings,
    *,
    computing: Computing = HERE,
    named_alike: bool = False,
    other_truth: bool = False,
    progress: Progress = no_progress,
) -> list[Path]:
    """Write the class map of one scene.

    Written are a figure with legend, the bare map as PNG, and both layers, class and
    confidence, as rasters for a GIS.

    Args:
        run: whose classifier it is.
        scene: to classify, of any bands.
        classifier: of the training `settings.number`.
        settings: how.
        computing: what computes the tiles.
        named_alike: another scene has the same name.
        other_truth: its ground truth is not the one that the run was trained with.
        progress: shows how far it is.

    Returns:
        The files, in the run's folder of maps.

    Raises:
        UsageError: only labelled pixels are wanted, and there is no ground truth.
        HsijaxError: the scene cannot be read, lacks bands, or the disk is full.
    """
    config, manifest = run.read_config(), run.read_manifest()
    number, reject = settings.number, settings.reject
    known = replace(scene, ground_truth=None) if other_truth else scene
    place = find_in_run(run, known, number)
    name, split, region = place or (scene.name, None, None)
    scene = replace(scene, name=name)
    fitted = classifier.fit_scene(scene)
    check_patch_side(config.patch, scene.shape)
    if settings.labelled_only and scene.ground_truth is None:
        raise UsageError(
            f"--labelled needs a ground truth, and {scene.name} has none: give "
            "--ground-truth FILE"
        )
    parts = [scene.name]
    own = {one["name"] for one in (manifest["scene"], *manifest.get("scenes", ()))}
    alike = named_alike or scene.name in own or _is_of_another(run, scene)
    if place is None and alike:
        parts.append(scene.source.sha256[:8])
    parts += [f"run{number}"] if number else []
    parts += ["labelled"] if settings.labelled_only else []
    parts += [f"reject-{reject:g}"] if reject is not None else []
    # A raster has no other place for this stamp than its name.
    parts += ["selected-on-test"] if config.select == "best-test" else []
    notes = [_short_name(scene.georeference)]
    if split is not None:
        notes.append(leakage_note(manifest["splits"][number]["leakage"]))
    stem = run.maps / "-".join(parts)
    plan = {
        "network": hash_file(run.network_file(number)),
        "scene": [scene.source.sha256, scene.source.key],
        "labels": _hash_labels(scene) if settings.labelled_only else None,
        "reject": reject,
        "apart": region is not None,
        "read": fingerprint(fitted),
    }
    store = TileStore.open(
        stem.with_name(f".{stem.name}.tiles"), scene.shape[:2], LAYERS, plan
    )
    found = classify_scene(
        classifier,
        fitted,
        store,
        labelled_only=settings.labelled_only,
        region=region,
        reject=reject,
        memory=settings.memory,
        computing=computing,
        progress=progress,
    )
    if found.is_empty:
        store.remove()
        what = "labelled pixel" if settings.labelled_only else "pixel"
        raise HsijaxError(
            f"{scene.source.path}: no {what} has data, so there is no map"
        )
    note = "; ".join(text for text in notes if text)
    files = _write(stem, scene, classifier, found, split, note, settings.raster_format)
    store.remove()
    if not (place is None and alike):
        write_text(
            _record(run, scene.name), json.dumps(_identify(scene), indent=1) + "\n"
        )
    return files


def _is_of_another(run: Run, scene: Scene) -> bool:
    """Whether the maps under a scene's name are those of another scene."""
    path = _record(run, scene.name)
    if not path.exists():
        return False
    then = json.loads(path.read_text(encoding="utf-8"))
    return any(then[name] != text for name, text in _identify(scene).items())


def _record(run: Run, name: str) -> Path:
    """Where it is kept what scene the maps of a name are of."""
    return run.maps / f"{name}-scene.json"


def _identify(scene: Scene) -> dict[str, str | None]:
    return {"sha256": scene.source.sha256, "key": scene.source.key}


def _hash_labels(scene: Scene) -> str:
    assert scene.ground_truth is not None
    return hashlib.sha256(scene.ground_truth.tobytes()).hexdigest()


def _write(
    stem: Path,
    scene: Scene,
    classifier: TrainedClassifier,
    found: ClassMap,
    split: Split | None,
    note: str,
    raster_format: str,
) -> list[Path]:
    classes, config = classifier.classes, classifier.config
    on_test = config.select == "best-test"
    figure, *bare = (
        stem.with_name(f"{stem.name}-{layer}.png")
        for layer in ("map", "classes", "confidence")
    )
    stems = [path.with_suffix("") for path in bare]
    title = f"{scene.name}: {config.model}"
    place = scene.georeference
    step = -(-max(scene.shape[:2]) // LARGEST_PICTURE)
    if step > 1:
        note = "; ".join(filter(None, (note, f"one pixel in {step} x {step} is shown")))
        log.info("the pictures show one pixel in %d x %d, the rasters all", step, step)
    shown = found.every(step)
    learned_from = np.concatenate([split.train, split.validation]) if split else None
    ground_truth = _comparable(scene, classifier)
    save_class_map_figure(
        figure,
        shown.classes,
        classes,
        title=title,
        ground_truth=None if ground_truth is None else ground_truth[::step, ::step],
        train_pixels=_every(step, learned_from) if learned_from is not None else None,
        test_pixels=_every(step, split.test) if split else None,
        rejected=rejected if (rejected := shown.rejected).any() else None,
        note=note,
        selected_on_test=on_test,
    )
    save_palette_png(bare[0], shown.classes, classes)
    save_confidence_png(
        bare[1],
        shown.confidence,
        title=f"{title}, confidence",
        selected_on_test=on_test,
    )
    chosen = choose_raster_format(raster_format, place)
    layers = found.confidence[..., np.newaxis]
    rasters = [
        write_class_raster(stems[0], found.classes, classes, place, chosen),
        write_float_raster(stems[1], layers, ["confidence"], place, chosen),
    ]
    return [figure, *bare, *rasters]


def _every(step: int, pixels: Int[np.ndarray, "n 2"]) -> Int[np.ndarray, "shown 2"]:
    """Return where pixels are in a picture of every so many rows and columns."""
    return pixels[(pixels % step == 0).all(axis=1)] // step


def _short_name(place: Georeference | None) -> str | None:
    """Name the coordinate system unless it is a page of WKT."""
    crs = place.crs if place else None
    return crs if crs and crs.startswith("EPSG") else None


def _comparable(
    scene: Scene, classifier: TrainedClassifier
) -> Int[np.ndarray, "rows cols"] | None:
    """The ground truth, if its classes are those that the map shows."""
    if scene.ground_truth is None or scene.classes != classifier.classes:
        return None
    return scene.ground_truth
