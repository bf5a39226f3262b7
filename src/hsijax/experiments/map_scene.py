"""Classify every pixel of a scene with a trained run, and write the maps."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from hsijax.classification.trained import TrainedClassifier
from hsijax.config import Progress, no_progress
from hsijax.errors import HsijaxError, UsageError
from hsijax.experiments.confidence import read_temperature
from hsijax.experiments.reject import check_threshold, warn_uncalibrated
from hsijax.experiments.run_scenes import find_in_run, scenes_of_run
from hsijax.io.cube import Georeference
from hsijax.io.envi_classification import write_envi_classification, write_envi_layers
from hsijax.io.geotiff import (
    can_write_geotiff,
    write_class_geotiff,
    write_float_geotiff,
)
from hsijax.patches import check_patch_side
from hsijax.reports.maps import (
    save_class_map_figure,
    save_confidence_png,
    save_palette_png,
)
from hsijax.reports.tables import leakage_note
from hsijax.runs import Run
from hsijax.scenes import Scene, load_scene
from hsijax.splits import Split


@dataclass(frozen=True)
class ClassMap:
    """The class id of each pixel, 0 where none, and the probability given to it."""

    classes: Int[np.ndarray, "rows cols"]
    confidence: Float[np.ndarray, "rows cols"]  # NaN where nothing was predicted

    def reject(self, threshold: float) -> "ClassMap":
        """Leave out the classes of pixels that are less sure than that."""
        sure = self.confidence >= threshold
        return replace(self, classes=np.where(sure, self.classes, 0).astype(np.int32))

    @property
    def rejected(self) -> Bool[np.ndarray, "rows cols"]:
        """Where something was predicted, and left out again."""
        return (self.classes == 0) & ~np.isnan(self.confidence)


def classify_scene(
    classifier: TrainedClassifier,
    scene: Scene,
    *,
    labelled_only: bool = False,
    region: Bool[np.ndarray, "rows cols"] | None = None,
    progress: Progress = no_progress,
) -> ClassMap:
    """Predict every pixel that has data, or every labelled one.

    Border pixels are predicted like all others.

    Args:
        classifier: of a run.
        scene: to classify.
        labelled_only: leave pixels without ground truth out.
        region: pixels that diffusion keeps apart, see `guarded_region`.
        progress: shows how far it is.

    Raises:
        HsijaxError: the scene's bands do not fit the classifier; names which.
    """
    classifier.check_bands(scene)
    check_patch_side(classifier.config.patch, scene.shape)
    cube, wanted = replace(scene, good_bands=classifier.good_bands).load()
    padded = classifier.prepare(cube, wanted, region)
    if labelled_only:
        if scene.ground_truth is None:
            raise UsageError(
                f"--labelled needs a ground truth, and {scene.name} has none: give "
                "--ground-truth FILE"
            )
        wanted = wanted & (scene.ground_truth != 0)
    found, largest = classifier.predict(padded, np.argwhere(wanted), progress)
    classes = np.zeros(wanted.shape, np.int32)
    confidence = np.full(wanted.shape, np.nan, np.float32)
    classes[wanted], confidence[wanted] = found, largest
    return ClassMap(classes, confidence)


def map_run(
    run: Run,
    scene_name: str | None = None,
    *,
    number: int = 0,
    labelled_only: bool = False,
    reject: float | None = None,
    progress: Progress = no_progress,
    **options: Any,
) -> list[Path]:
    """Write the class map of the run's own scene (all of several), or of another one.

    Written are a figure with legend, the bare map as PNG, and both layers, class and
    confidence, as GeoTIFF where the scene has a place on Earth and as ENVI elsewhere.

    Args:
        run: a run whose training `number` has ended.
        scene_name: as `load_scene` takes it; None for what it was trained on.
        number: which of the folder's trainings classifies, from 0.
        labelled_only: leave pixels without ground truth out.
        reject: leave the class of pixels of less confidence out.
        progress: shows how far it is.
        options: further ones of `load_scene`, such as `data_dir`.

    Returns:
        The files, in the run's folder of maps.

    Raises:
        UsageError: there is no such training in the folder, or no such threshold.
        HsijaxError: it has not ended.
    """
    config, manifest = run.read_config(), run.read_manifest()
    if reject is not None:
        check_threshold(reject)
    if number >= config.runs:
        raise UsageError(
            f"--run-number {number}: {run.folder} holds {config.runs}, counted from 0"
        )
    if not run.network_file(number).exists():
        raise HsijaxError(
            f"run {number} in {run.folder} has not ended: go on with "
            f"`hsijax train --resume {run.folder}`"
        )
    classifier = TrainedClassifier.load(run.network_file(number))
    if scene_name is None:
        scenes = scenes_of_run(config, progress, **options)
    else:
        scenes = [load_scene(scene_name, progress=progress, **options)]
    if reject is not None and read_temperature(manifest, number) is None:
        warn_uncalibrated()
    return [
        file
        for scene in scenes
        for file in _map_one(
            run,
            scene,
            classifier,
            number=number,
            labelled_only=labelled_only,
            reject=reject,
            progress=progress,
            other_truth="ground_truth" in options,
        )
    ]


def _map_one(
    run: Run,
    scene: Scene,
    classifier: TrainedClassifier,
    *,
    number: int,
    labelled_only: bool,
    reject: float | None,
    progress: Progress,
    other_truth: bool,
) -> list[Path]:
    """Write the class map of one scene."""
    config, manifest = run.read_config(), run.read_manifest()
    known = replace(scene, ground_truth=None) if other_truth else scene
    place = find_in_run(run, known, number)
    name, split, region = place or (scene.name, None, None)
    scene = replace(scene, name=name)
    found = classify_scene(
        classifier,
        scene,
        labelled_only=labelled_only,
        region=region,
        progress=progress,
    )
    if reject is not None:
        found = found.reject(reject)
    parts = [scene.name]
    own = {one["name"] for one in (manifest["scene"], *manifest.get("scenes", ()))}
    if place is None and scene.name in own:
        parts.append(scene.source.sha256[:8])
    parts += [f"run{number}"] if number else []
    parts += ["labelled"] if labelled_only else []
    parts += [f"reject-{reject:g}"] if reject is not None else []
    # A raster has no other place for this stamp than its name.
    parts += ["selected-on-test"] if config.select == "best-test" else []
    notes = [_short_name(scene.georeference)]
    if split is not None:
        notes.append(leakage_note(manifest["splits"][number]["leakage"]))
    note = "; ".join(text for text in notes if text)
    return _write(run.maps / "-".join(parts), scene, classifier, found, split, note)


def _write(
    stem: Path,
    scene: Scene,
    classifier: TrainedClassifier,
    found: ClassMap,
    split: Split | None,
    note: str,
) -> list[Path]:
    classes, config = classifier.classes, classifier.config
    on_test = config.select == "best-test"
    figure, *bare = (
        stem.with_name(f"{stem.name}-{layer}.png")
        for layer in ("map", "classes", "confidence")
    )
    title = f"{scene.name}: {config.model}"
    place = scene.georeference
    save_class_map_figure(
        figure,
        found.classes,
        classes,
        title=title,
        ground_truth=_comparable(scene, classifier),
        train_pixels=np.concatenate([split.train, split.validation]) if split else None,
        test_pixels=split.test if split else None,
        rejected=rejected if (rejected := found.rejected).any() else None,
        note=note,
        selected_on_test=on_test,
    )
    save_palette_png(bare[0], found.classes, classes)
    save_confidence_png(
        bare[1],
        found.confidence,
        title=f"{title}, confidence",
        selected_on_test=on_test,
    )
    layers, bands = found.confidence[..., None], ["confidence"]
    if place is not None and place.crs is not None and can_write_geotiff():
        rasters = [path.with_suffix(".tif") for path in bare]
        write_class_geotiff(rasters[0], found.classes, classes, place)
        write_float_geotiff(rasters[1], layers, bands, place)
    else:
        rasters = [path.with_suffix(".img") for path in bare]
        write_envi_classification(rasters[0], found.classes, classes, place)
        write_envi_layers(rasters[1], layers, bands, place)
    return [figure, *bare, *rasters]


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
