"""Splits of several scenes that lie below each other in one."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Int

from hsijax.splits.sampling import Seed, draw, share_of
from hsijax.splits.split import Split, no_pixels, pixels_where


def scene_split(
    ground_truth: Int[np.ndarray, "rows cols"],
    training: Bool[np.ndarray, "rows cols"],
    *,
    frac: float,
    count: int | None,
    seed: Seed,
) -> Split:
    """Train on labelled pixels of some scenes, test on all of the others.

    Args:
        ground_truth: 0 where a pixel has no label.
        training: where the scenes lie that train.
        frac: share of each class that is drawn there, rounded up; 1 for all.
        count: so many pixels of each class instead, or as many as there are.
        seed: of the draw.
    """

    def how_many(available: int) -> int:
        return share_of(frac, available) if count is None else min(count, available)

    drawn = draw(np.where(training, ground_truth, 0), how_many, seed)
    tested = (ground_truth != 0) & ~training
    return Split(drawn.train, no_pixels(), pixels_where(tested))


def meets_itself(split: Split, starts: Sequence[int]) -> bool:
    """Whether a scene both trains (or validates) and tests.

    Args:
        split: of the scenes.
        starts: the first row of each; none for a single scene.

    >>> pixels = np.array([[0, 0]]), np.empty((0, 2), int), np.array([[9, 0]])
    >>> meets_itself(Split(*pixels), [0, 8]), meets_itself(Split(*pixels), [])
    (False, True)
    """
    if not starts:
        return True
    known = np.concatenate([split.train, split.validation])
    one, other = (_scene_of(pixels, starts) for pixels in (known, split.test))
    return bool(np.intersect1d(one, other).size)


def set_apart(split: Split, starts: Sequence[int], distance: int) -> Split:
    """Move each scene's pixels `distance` rows further from those of the one above.

    >>> pixels = np.array([[0, 0], [9, 0]])
    >>> set_apart(Split(pixels, pixels[:0], pixels[:0]), [0, 8], 100).train.tolist()
    [[0, 0], [109, 0]]
    """
    if not starts:
        return split

    def move(pixels: Int[np.ndarray, "n 2"]) -> Int[np.ndarray, "n 2"]:
        moved = pixels.copy()
        moved[:, 0] += distance * _scene_of(pixels, starts)
        return moved

    return Split(move(split.train), move(split.validation), move(split.test))


def cut_out(split: Split, rows: slice) -> Split:
    """Return the pixels of the scene that lies in some rows, in its own coordinates."""

    def cut(pixels: Int[np.ndarray, "n 2"]) -> Int[np.ndarray, "inside 2"]:
        inside = (pixels[:, 0] >= rows.start) & (pixels[:, 0] < rows.stop)
        return pixels[inside] - np.array([rows.start, 0], pixels.dtype)

    return Split(cut(split.train), cut(split.validation), cut(split.test))


def _scene_of(
    pixels: Int[np.ndarray, "n 2"], starts: Sequence[int]
) -> Int[np.ndarray, " n"]:
    found = np.searchsorted(starts, pixels[:, 0], side="right") - 1
    return found.astype(pixels.dtype)
