"""Splits from the user's own rasters, such as published "disjoint" masks."""

import logging
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int, Integer
from scipy.optimize import linear_sum_assignment

from hsijax.errors import HsijaxError
from hsijax.splits.split import Split, class_ids, no_pixels, pixels_where

# Of integers or truth values; its size is checked, so it has names of its own.
Mask = (
    Integer[np.ndarray, "mask_rows mask_cols"] | Bool[np.ndarray, "mask_rows mask_cols"]
)

logger = logging.getLogger("hsijax")

# Share of a mask's labelled pixels that a renumbering of its classes must explain.
RENUMBERED = 0.9


@dataclass(frozen=True)
class MaskConflicts:
    """Pixels of the masks that no set can hold; all are left out."""

    members: int  # pixels that the training mask marks
    unlabelled: int  # of them without a label in the ground truth
    other_class: int  # of them of another class in the ground truth
    test_members: int
    test_unlabelled: int
    test_other_class: int
    in_both: int  # test pixels that are in the training mask too

    def __str__(self) -> str:
        """Say in one line how many pixels were left out, and why."""
        parts = []
        for name, members, unlabelled, other_class in (
            ("training", self.members, self.unlabelled, self.other_class),
            ("test", self.test_members, self.test_unlabelled, self.test_other_class),
        ):
            if unlabelled or other_class:
                parts.append(
                    f"{unlabelled + other_class} of {members} pixels of the {name} "
                    f"mask are left out: {unlabelled} have no label in the ground "
                    f"truth, {other_class} another class"
                )
        if self.in_both:
            parts.append(
                f"{self.in_both} pixels of the test mask are left out: they are in the "
                "training mask too"
            )
        return "; ".join(parts)


def mask_split(
    ground_truth: Int[np.ndarray, "rows cols"],
    train_mask: Mask,
    test_mask: Mask | None = None,
) -> tuple[Split, MaskConflicts]:
    """Train and test on the pixels that two rasters mark by any value but 0.

    A mask with several values holds class ids, and pixels whose class differs from the
    ground truth's are left out. Where the masks number the classes in another way (one
    of the IEEE masks does), the numbers are matched, and a message says how.

    Args:
        ground_truth: 0 where a pixel has no label.
        train_mask: of the ground truth's size.
        test_mask: by default all labelled pixels outside `train_mask`.

    Raises:
        HsijaxError: a mask has another size, or marks no labelled pixel.
    """
    train = _read(ground_truth, train_mask, "training")
    labelled = ground_truth != 0
    if test_mask is None:
        rest = labelled & ~train.marked
        test = _Marked(rest, np.zeros_like(rest))
    else:
        test = _read(ground_truth, test_mask, "test")
    in_both = train.marked & test.agreeing(labelled)
    conflicts = MaskConflicts(
        members=int(train.marked.sum()),
        unlabelled=int((train.marked & ~labelled).sum()),
        other_class=int(train.other_class.sum()),
        test_members=int(test.marked.sum()),
        test_unlabelled=int((test.marked & ~labelled).sum()),
        test_other_class=int(test.other_class.sum()),
        in_both=int(in_both.sum()),
    )
    split = Split(
        train=pixels_where(train.agreeing(labelled)),
        validation=no_pixels(),
        test=pixels_where(test.agreeing(labelled) & ~in_both),
    )
    return split, conflicts


@dataclass(frozen=True)
class _Marked:
    """What a mask marks, and where it names another class than the ground truth."""

    marked: Bool[np.ndarray, "rows cols"]
    other_class: Bool[np.ndarray, "rows cols"]

    def agreeing(
        self, labelled: Bool[np.ndarray, "rows cols"]
    ) -> Bool[np.ndarray, "rows cols"]:
        return self.marked & labelled & ~self.other_class


def _read(
    ground_truth: Int[np.ndarray, "rows cols"],
    mask: Mask,
    name: str,
) -> _Marked:
    if mask.shape != ground_truth.shape:
        raise HsijaxError(
            f"the {name} mask has {mask.shape[0]} x {mask.shape[1]} pixels, the ground "
            f"truth {ground_truth.shape[0]} x {ground_truth.shape[1]}"
        )
    mask = mask.astype(np.int64)
    marked = mask != 0
    labelled = marked & (ground_truth != 0)
    if not labelled.any():
        raise HsijaxError(
            f"the {name} mask marks {int(marked.sum())} pixels and none of them has a "
            "label in the ground truth"
        )
    ids = np.unique(mask[marked])
    if len(ids) == 1:
        return _Marked(marked, np.zeros_like(marked))
    renumbered = _renumbering(ground_truth[labelled], mask[labelled])
    as_in_truth = mask.copy()
    for value, class_id in renumbered.items():
        as_in_truth[mask == value] = class_id
    changed = {old: new for old, new in renumbered.items() if old != new}
    if changed:
        pairs = ", ".join(f"{old} -> {new}" for old, new in changed.items())
        logger.warning(
            "the %s mask numbers the classes in another way than the ground truth; "
            "matched as %s",
            name,
            pairs,
        )
    return _Marked(marked, labelled & (as_in_truth != ground_truth))


def _renumbering(
    truth: Int[np.ndarray, " pixels"], named: Int[np.ndarray, " pixels"]
) -> dict[int, int]:
    """Match the classes that a mask names with the ground truth's, one to one.

    >>> _renumbering(np.array([5, 5, 7, 7]), np.array([2, 2, 1, 1]))
    {1: 7, 2: 5}
    """
    ids, values = class_ids(truth[None, :]), np.unique(named)
    row, col = np.searchsorted(values, named), np.searchsorted(ids, truth)
    agreement = np.zeros((len(values), len(ids)), dtype=np.int64)
    np.add.at(agreement, (row, col), 1)
    rows, cols = linear_sum_assignment(agreement, maximize=True)
    matched = agreement[rows, cols].sum()
    if matched <= np.count_nonzero(named == truth) or matched < RENUMBERED * len(truth):
        return {}
    return dict(zip(values[rows].tolist(), ids[cols].tolist(), strict=True))
