"""What `hsijax info` says about a scene: plain data, ready for JSON."""

from pathlib import Path
from typing import Any

import numpy as np

from hsijax.config import Progress, no_progress
from hsijax.errors import HsijaxError
from hsijax.io.ground_truth import GroundTruthSizeError
from hsijax.scenes.band_names import format_ranges
from hsijax.scenes.labels import GroundTruth, load_ground_truth
from hsijax.scenes.loading import LabelsOnlyError, load_scene
from hsijax.scenes.quicklook import write_quicklook
from hsijax.scenes.scene import LandClass, Scene, SourceFile
from hsijax.scenes.sources import name_source
from hsijax.scenes.statistics import CubeStatistics, measure_cube

Summary = dict[str, Any]

# Reflectance of 1 is stored as one of these where it is stored as whole numbers.
REFLECTANCE_SCALES = (100, 1000, 10_000)
# Bright targets and glint exceed a reflectance of 1, but hardly ever this.
HIGHEST_REFLECTANCE = 1.5
# What sensors and tools commonly write where there is no data.
COMMON_NODATA = (-1, -99, -999, -9999, -32768)


def describe(
    name_or_path: str,
    *,
    data_dir: Path | None = None,
    cube_key: str | None = None,
    ground_truth: str | None = None,
    nodata: float | None = None,
    scale: float | None = None,
    quicklook: Path | None = None,
    progress: Progress = no_progress,
) -> Summary:
    """Say what is in a scene or file, and what is wrong with it.

    Takes what `load_scene` takes. A file that holds nothing but a ground truth, and a
    ground truth that does not fit the cube, are described with a warning. `quicklook`
    is a PNG to write.

    Raises:
        HsijaxError: the file cannot be read, or it holds neither cube nor ground truth.
    """
    options: dict[str, Any] = {
        "data_dir": data_dir,
        "cube_key": cube_key,
        "nodata": nodata,
        "scale": scale,
        "progress": progress,
    }
    warnings = []
    try:
        scene = load_scene(name_or_path, ground_truth=ground_truth, **options)
    except LabelsOnlyError as error:
        if quicklook:
            raise HsijaxError(f"no quicklook without a cube: {error}") from error
        return _summarise_labels(load_ground_truth(name_or_path), str(error))
    except GroundTruthSizeError as error:
        warnings.append(f"{error}; it is left out here")
        scene = load_scene(name_or_path, **options)
    if quicklook:
        write_quicklook(scene, quicklook)
    summary = summarise(scene)
    summary["warnings"] = warnings + summary["warnings"]
    return summary


def summarise(scene: Scene) -> Summary:
    """Describe a scene; reads the whole cube once, some rows at a time."""
    rows, cols, bands = scene.shape
    statistics = measure_cube(scene)
    good = np.flatnonzero(scene.good_bands)
    files = [_describe_file("cube", scene.source)]
    if scene.ground_truth_source:
        files.append(_describe_file("ground truth", scene.ground_truth_source))
    summary: Summary = {
        "name": scene.name,
        "rows": rows,
        "cols": cols,
        "bands": bands,
        "dtype": scene.cube.dtype.name,
        "value_range": statistics.value_range,
        "whole_numbers": statistics.whole_numbers,
        "wavelengths_nm": None,
        "good_bands": good.size,
        "bad_bands": (np.flatnonzero(~scene.good_bands) + 1).tolist(),
        "nodata": _json_number(scene.nodata),
        "nodata_share": statistics.nodata_pixels / (rows * cols),
        "scale": scene.scale,
        "georeference": None,
        "classes": None,
        "labelled_pixels": None,
        "files": files,
        "notes": list(scene.notes),
        "warnings": _find_faults(scene, statistics),
    }
    if scene.wavelengths is not None:
        summary["wavelengths_nm"] = [
            float(scene.wavelengths.min()),
            float(scene.wavelengths.max()),
        ]
    if scene.georeference:
        summary["georeference"] = {
            "crs": scene.georeference.crs,
            "transform": list(scene.georeference.transform),
        }
    if scene.ground_truth is not None:
        counts = scene.class_counts()
        summary["classes"] = _describe_classes(scene.classes, counts)
        summary["labelled_pixels"] = int(counts.sum())
    return summary


def _summarise_labels(raster: GroundTruth, message: str) -> Summary:
    rows, cols = raster.values.shape
    counts = np.bincount(raster.values.ravel())
    counts = counts[[land_class.id for land_class in raster.classes]]
    return {
        "name": name_source(raster.source.path),
        "rows": rows,
        "cols": cols,
        "bands": None,
        "classes": _describe_classes(raster.classes, counts),
        "labelled_pixels": int(counts.sum()),
        "files": [_describe_file("ground truth", raster.source)],
        "notes": [],
        "warnings": [f"labels without a cube: {message}"],
    }


def _describe_file(role: str, source: SourceFile) -> Summary:
    return {
        "role": role,
        "path": str(source.path),
        "key": source.key,
        "sha256": source.sha256,
    }


def _describe_classes(
    classes: tuple[LandClass, ...], counts: np.ndarray
) -> list[Summary]:
    return [
        {
            "id": land_class.id,
            "name": land_class.name,
            "colour": list(land_class.colour),
            "pixels": count,
        }
        for land_class, count in zip(classes, counts.tolist(), strict=True)
    ]


def _json_number(value: float | None) -> float | str | None:
    """Write NaN and infinities, which JSON does not have, as text."""
    return value if value is None or np.isfinite(value) else str(value)


def _find_faults(scene: Scene, statistics: CubeStatistics) -> list[str]:
    """Say what would surprise a person who trains on this cube."""
    faults = []
    total = scene.shape[0] * scene.shape[1]
    if statistics.broken_pixels:
        faults.append(
            f"{statistics.broken_pixels} of {total} pixels hold NaN or infinite "
            "values, which training refuses; --nodata nan drops those that hold NaN"
        )
    if statistics.nodata_pixels:
        share = 100 * statistics.nodata_pixels / total
        faults.append(f"{statistics.nodata_pixels} pixels ({share:.2f} %) have no data")
    if statistics.zero_pixels and scene.nodata is None:
        faults.append(
            f"{statistics.zero_pixels} pixels are 0 in all bands: if that means no "
            "data, say --nodata 0"
        )
    if scene.nodata is None and statistics.lowest in COMMON_NODATA:
        faults.append(
            f"the lowest value is {statistics.lowest:g}: if that means no data, say "
            f"--nodata {statistics.lowest:g}"
        )
    numbers = np.flatnonzero(scene.good_bands) + 1
    for kind, bands in (
        ("zeros", statistics.zero_bands),
        ("one value", statistics.constant_bands & ~statistics.zero_bands),
    ):
        if bands.any():
            listed = format_ranges(numbers[bands].tolist())
            faults.append(f"bands of nothing but {kind} (counted from 1): {listed}")
    unscaled = scene.scale is None and statistics.whole_numbers
    if unscaled and statistics.highest > HIGHEST_REFLECTANCE:
        faults.append(_describe_scale(statistics.highest))
    return faults


def _describe_scale(highest: float) -> str:
    text = f"the values are whole numbers up to {highest:g}"
    for scale in REFLECTANCE_SCALES:
        if highest <= HIGHEST_REFLECTANCE * scale:
            return (
                f"{text}: if they are reflectance, then times about {scale} (--scale)"
            )
    return f"{text}: counts or radiance rather than reflectance"
