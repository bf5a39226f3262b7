"""Several scenes as one: below each other, with rows of no data between them."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from math import isclose

import numpy as np
from jaxtyping import Bool, Shaped

from hsijax.errors import HsijaxError, UsageError
from hsijax.io.cube import LazyCube
from hsijax.scenes.bands import band_tolerance, fit_scene
from hsijax.scenes.class_union import drop_untrained, unite_classes
from hsijax.scenes.scene import Part, Scene
from hsijax.scenes.sensor import Sensor, find_factor
from hsijax.scenes.sources import SourceFile

log = logging.getLogger("hsijax")

# Names of so many scenes make up the name of all.
NAMED = 3


def stack_scenes(
    scenes: Sequence[Scene], *, gap: int, training: int | None = None
) -> Scene:
    """Put scenes below each other, as wide as the widest, with no data in between.

    Bands of other sensors are resampled to those of the first scene (see `fit_scene`);
    of the same ones, bad ones of any scene are bad in all. Classes are united
    (see `unite_classes`); those that no scene has that trains are left out. The cube is
    read lazily, as float32, and NaN where there is no data.

    Args:
        scenes: with ground truths; in this order.
        gap: rows of no data between two of them.
        training: how many of them, the first ones, train; None for all.

    Raises:
        UsageError: a scene is there twice.
        HsijaxError: a scene has no ground truth, or does not cover the first's bands.
    """
    _check_sources(scenes)
    training = len(scenes) if training is None else training
    named = zip(scenes, _distinct([scene.name for scene in scenes]), strict=True)
    scenes = [replace(scene, name=name) for scene, name in named]
    _warn_of_overlap(scenes[:training], scenes[training:])
    scenes = _fit_bands(scenes)
    scenes = drop_untrained(unite_classes(scenes), training)
    good_bands = _common_bands(scenes)
    piled = pile_up(
        [(scene, index < training) for index, scene in enumerate(scenes)],
        gap,
        good_bands,
    )
    truth = np.zeros(piled.shape[:2], np.int32)
    for part in piled.parts:
        if part.scene.ground_truth is not None:  # `_check_sources` has looked
            truth[part.window] = part.scene.ground_truth
    name = "+".join(scene.name for scene in scenes[:NAMED])
    if len(scenes) > NAMED:
        name += f"+{len(scenes) - NAMED}-more"
    wavelengths = [s.wavelengths for s in scenes if s.wavelengths is not None]
    return replace(
        piled,
        name=name,
        source=_join([scene.source for scene in scenes]),
        wavelengths=wavelengths[0] if wavelengths else None,
        fwhm=scenes[0].fwhm,
        scale=scenes[0].scale,
        ground_truth=truth,
        ground_truth_source=_join(
            [s.ground_truth_source for s in scenes if s.ground_truth_source]
        ),
        classes=scenes[0].classes,
    )


def pile_up(
    scenes: Sequence[tuple[Scene, bool]], gap: int, good_bands: np.ndarray
) -> Scene:
    """Put cubes of the same bands below each other, as `stack_scenes`; no labels.

    `scenes` come with whether they train.
    """
    rows = np.cumsum([0, *(scene.shape[0] + gap for scene, _ in scenes)]).tolist()
    parts = tuple(
        Part(scene, row, trains)
        for (scene, trains), row in zip(scenes, rows[:-1], strict=True)
    )
    first = scenes[0][0]
    cols = max(scene.shape[1] for scene, _ in scenes)
    shape = (rows[-1] - gap, cols, first.shape[2])
    return Scene(
        name=first.name,
        cube=_stack_cubes(shape, parts, good_bands),
        source=first.source,
        good_bands=good_bands,
        nodata=float("nan"),
        parts=parts,
    )


def _check_sources(scenes: Sequence[Scene]) -> None:
    for index, scene in enumerate(scenes):
        for other in scenes[:index]:
            if _is_same(scene.source, other.source):
                raise UsageError(
                    f"{scene.source.path} holds the same as {other.source.path}: a "
                    "scene can be used once, to train or to test"
                )
        if scene.ground_truth is None:
            raise HsijaxError(
                f"{scene.name} has no ground truth: give one for each scene, in the "
                "same order (--ground-truth, --test-ground-truth)"
            )


def _is_same(one: SourceFile, other: SourceFile) -> bool:
    """Whether two files, or tiles of theirs, are one, or copies.

    Only files of one size are read.
    """
    if one.joined or other.joined:
        return any(
            _is_same(first, second)
            for first in one.joined or (one,)
            for second in other.joined or (other,)
        )
    if one.key != other.key:
        return False
    if one.path.resolve() == other.path.resolve():
        return True
    sizes = [
        source.path.stat().st_size if source.path.is_file() else None
        for source in (one, other)
    ]
    return sizes[0] == sizes[1] and one.sha256 == other.sha256


def _warn_of_overlap(training: Sequence[Scene], tested: Sequence[Scene]) -> None:
    """Say where a scene that is tested shows ground that trains."""
    for scene in tested:
        for other in training:
            one, two = _extent(scene), _extent(other)
            if one is None or two is None or one[0] != two[0]:
                continue
            sides = zip(one[1], two[1], strict=True)
            if all(a < d and c < b for (a, b), (c, d) in sides):
                log.warning(
                    "%s, which is tested, lies partly where %s lies, which trains: "
                    "what both show is not counted as a leak",
                    *(scene.name, other.name),
                )


def _extent(scene: Scene) -> tuple[str, list[tuple[float, float]]] | None:
    """Return the coordinate system, and from where to where x and y reach."""
    place = scene.georeference
    if place is None or place.crs is None:
        return None
    a, b, c, d, e, f = place.transform
    rows, cols = scene.shape[:2]
    corners = [(col, row) for col in (0, cols) for row in (0, rows)]
    xs = [a * col + b * row + c for col, row in corners]
    ys = [d * col + e * row + f for col, row in corners]
    return place.crs, [(min(xs), max(xs)), (min(ys), max(ys))]


def _distinct(names: Sequence[str]) -> list[str]:
    """Number names that are there already.

    >>> _distinct(["tile", "lake", "tile"])
    ['tile', 'lake', 'tile-2']
    """
    found: list[str] = []
    for name in names:
        numbered = (f"{name}-{number}" for number in range(2, len(names) + 2))
        free = (one for one in (name, *numbered) if one not in found)
        found.append(next(free))
    return found


def _fit_bands(scenes: Sequence[Scene]) -> Sequence[Scene]:
    """Return the scenes in the bands and the scale of the first one.

    Raises:
        HsijaxError: one does not cover the first one's bands.
    """
    sensor = Sensor.of(scenes[0])
    if all(_is_alike(scene, scenes[0]) for scene in scenes[1:]):
        return scenes
    return [fit_scene(scene, sensor) for scene in scenes]


def _is_alike(scene: Scene, first: Scene) -> bool:
    """Whether a scene has the bands and the scale of another; says what is unknown."""
    own, sensor = Sensor.of(scene), Sensor.of(first)
    if scene.shape[2] != first.shape[2]:
        return False
    if scene.wavelengths is not None and first.wavelengths is not None:
        apart = np.abs(scene.wavelengths - first.wavelengths) > band_tolerance(sensor)
        if (apart & scene.good_bands & first.good_bands).any():
            return False
    if scene.scale and first.scale:
        return isclose(scene.scale, first.scale, rel_tol=1e-5)
    find_factor(own, sensor, scene.name)
    return True


def _common_bands(scenes: Sequence[Scene]) -> Bool[np.ndarray, " bands"]:
    """Return the bands that are good in all scenes; say which ones others lose."""
    good = np.all([scene.good_bands for scene in scenes], axis=0)
    most = np.any([scene.good_bands for scene in scenes], axis=0)
    if not good.any():
        raise HsijaxError("the scenes have no band in common that none marks as bad")
    if (good != most).any():
        log.info(
            "%d bands are left out of all scenes: some of them mark them as bad",
            np.count_nonzero(most & ~good),
        )
    return good


def _stack_cubes(
    shape: tuple[int, int, int], parts: Sequence[Part], good_bands: np.ndarray
) -> LazyCube:
    def read(rows: slice, cols: slice) -> Shaped[np.ndarray, "rows cols bands"]:
        size = (rows.stop - rows.start, cols.stop - cols.start, shape[2])
        values = np.full(size, np.nan, np.float32)
        for part in parts:
            inside = [
                slice(max(wanted.start, there.start), min(wanted.stop, there.stop))
                for wanted, there in zip((rows, cols), part.window, strict=True)
            ]
            if any(one.start >= one.stop for one in inside):
                continue
            r, c = inside
            block = np.asarray(
                part.scene.cube.read(slice(r.start - part.row, r.stop - part.row), c)
            )
            valid = part.scene.is_valid(block[:, :, good_bands])
            place = values[r.start - rows.start : r.stop - rows.start]
            place = place[:, c.start - cols.start : c.stop - cols.start]
            with np.errstate(over="ignore"):  # as `Scene.load`: too large is inf
                place[valid] = block[valid]
        return values

    return LazyCube(shape, np.dtype(np.float32), read)


def _join(sources: Sequence[SourceFile]) -> SourceFile:
    return SourceFile(sources[0].path, sources[0].key, tuple(sources))
