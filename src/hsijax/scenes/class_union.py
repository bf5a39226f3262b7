"""Classes of several scenes as one list: by name, or by number where names are not."""

import logging
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from hsijax.scenes.palette import distinct_colours
from hsijax.scenes.scene import LandClass, Scene

log = logging.getLogger("hsijax")


def unite_classes(scenes: Sequence[Scene]) -> list[Scene]:
    """Give all scenes the same classes, and their ground truths the same numbers.

    Classes of one name (in any case) are one, with the number that the first scene
    gives it. If a scene has no names, its numbers are those of the scenes before. What
    is renumbered is said.

    Args:
        scenes: with ground truths.

    Returns:
        The scenes, each with the classes of all, in ascending order of their numbers.
    """
    known: dict[int, LandClass] = {}
    numbers = [_number(scene, known) for scene in scenes]
    classes = tuple(known[number] for number in sorted(known))
    return [
        replace(scene, ground_truth=_renumber(scene, found), classes=classes)
        for scene, found in zip(scenes, numbers, strict=True)
    ]


def drop_untrained(scenes: Sequence[Scene], training: int) -> list[Scene]:
    """Leave out, with a warning, the classes that no scene has that trains.

    No classifier can tell them: counted, they would be errors in any case.

    Args:
        scenes: of `unite_classes`.
        training: how many of them, the first ones, train.
    """
    found = [np.unique(_truth(scene)) for scene in scenes[:training]]
    trained = np.unique(np.concatenate(found))
    classes = tuple(one for one in scenes[0].classes if one.id in trained)
    names = {one.id: one.name for one in scenes[0].classes}
    kept = []
    for scene in scenes:
        truth = _truth(scene)
        unknown = ~np.isin(truth, [0, *trained])
        if unknown.any():
            ids, counts = np.unique(truth[unknown], return_counts=True)
            which = ", ".join(
                f"{names[i]} ({count} pixels)"
                for i, count in zip(ids.tolist(), counts.tolist(), strict=True)
            )
            log.warning(
                "%s: not tested, because no scene that trains has it: %s",
                *(scene.name, which),
            )
        kept.append(
            replace(scene, ground_truth=np.where(unknown, 0, truth), classes=classes)
        )
    return kept


def _number(scene: Scene, known: dict[int, LandClass]) -> dict[int, int]:
    """Return the number of each class among those that are known; add new ones."""
    by_name = _has_names(scene.classes) and _has_names(known.values())
    names = {_plain(one.name): number for number, one in known.items()}
    numbers: dict[int, int] = {}
    for one in scene.classes:
        number = names.get(_plain(one.name)) if by_name else one.id
        if number is None:
            taken = {*known, *numbers.values()}
            number = one.id if one.id not in taken else max(taken) + 1
        numbers[one.id] = number
        if number not in known:
            known[number] = _with_own_colour(replace(one, id=number), known)
        elif _is_unnamed(known[number]) and not _is_unnamed(one):
            known[number] = replace(known[number], name=one.name)
    moved = [
        f"{known[new].name} {old} -> {new}"
        for old, new in numbers.items()
        if old != new
    ]
    if moved:
        log.info(
            "%s numbers its classes in another way; matched by name: %s",
            *(scene.name, ", ".join(moved)),
        )
    return numbers


def _has_names(classes) -> bool:
    return not all(map(_is_unnamed, classes))


def _is_unnamed(one: LandClass) -> bool:
    return one.name == f"class {one.id}"


def _plain(name: str) -> str:
    return " ".join(name.split()).casefold()


def _with_own_colour(one: LandClass, known: dict[int, LandClass]) -> LandClass:
    """Give a class another colour where one that is known has its."""
    taken = {other.colour for other in known.values()}
    if one.colour not in taken:
        return one
    spare = distinct_colours(min(255, len(taken) + 1))
    free = [colour for colour in spare if colour not in taken]
    return replace(one, colour=free[0] if free else one.colour)


def _renumber(scene: Scene, numbers: dict[int, int]) -> np.ndarray:
    truth = _truth(scene)
    if all(old == new for old, new in numbers.items()):
        return truth
    table = np.zeros(max(numbers) + 1, dtype=truth.dtype)
    table[list(numbers)] = list(numbers.values())
    return table[truth]


def _truth(scene: Scene) -> np.ndarray:
    assert scene.ground_truth is not None  # the caller has looked
    return scene.ground_truth
