"""Splits from the user's own rasters, such as published "disjoint" masks."""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Int, Integer

from hsijax.errors import HsijaxError
from hsijax.splits.split import Split, class_ids, no_pixels, pixels_where

# Of integers or truth values; its size is checked, so it has names of its own.
Mask = (
    Integer[np.ndarray, "mask_rows mask_cols"] | Bool[np.ndarray, "mask_rows mask_cols"]
)

# Share of a mask's labelled pixels that a renumbering of its classes must explain.
RENUMBERED = 0.9


@dataclass(frozen=True)
class MaskConflicts:
    """How one mask differs from the ground truth; the pixels that do are left out."""

    name: str  # of the mask
    members: int  # pixels that it marks
    unlabelled: int  # of them without a label in the ground truth
    other_class: int  # of them of another class in the ground truth
    in_both: int  # of them in the training mask too; of a test mask only
    renumbered: dict[int, int]  # its class numbers and the ground truth's

    def messages(self) -> list[str]:
        """Say what was left out and which numbers were matched; nothing if all fits."""
        found = []
        if self.renumbered:
            pairs = ", ".join(f"{old} -> {new}" for old, new in self.renumbered.items())
            found.append(
                f"the {self.name} mask numbers the classes in another way than the "
                f"ground truth; matched as {pairs}"
            )
        if self.unlabelled or self.other_class:
            found.append(
                f"{self.unlabelled + self.other_class} of {self.members} pixels of the "
                f"{self.name} mask are left out: {self.unlabelled} have no label in "
                f"the ground truth, {self.other_class} another class"
            )
        if self.in_both:
            found.append(
                f"{self.in_both} pixels of the {self.name} mask are left out: they are "
                "in the training mask too"
            )
        return found


def mask_split(
    ground_truth: Int[np.ndarray, "rows cols"],
    train_mask: Mask,
    test_mask: Mask | None = None,
) -> tuple[Split, tuple[MaskConflicts, ...]]:
    """Train and test on the pixels that two rasters mark by any value but 0.

    A mask with several values holds class ids, and pixels whose class differs from the
    ground truth's are left out. Where the masks number the classes in another way (one
    of the IEEE masks does), the numbers are matched.

    Args:
        ground_truth: 0 where a pixel has no label.
        train_mask: of the ground truth's size.
        test_mask: by default all labelled pixels outside `train_mask`.

    Returns:
        The split, and what is wrong with each mask that was given.

    Raises:
        HsijaxError: a mask has another size, or marks no labelled pixel.
    """
    train = _read(ground_truth, train_mask, "training")
    conflicts = [train.conflicts]
    if test_mask is None:
        test_pixels = (ground_truth != 0) & ~train.marked
    else:
        test = _read(ground_truth, test_mask, "test")
        in_both = test.agreeing & train.marked
        test_pixels = test.agreeing & ~in_both
        conflicts.append(replace(test.conflicts, in_both=int(in_both.sum())))
    split = Split(pixels_where(train.agreeing), no_pixels(), pixels_where(test_pixels))
    return split, tuple(conflicts)


@dataclass(frozen=True)
class _Members:
    """The pixels that a mask marks, and those that the ground truth confirms."""

    marked: Bool[np.ndarray, "rows cols"]
    agreeing: Bool[np.ndarray, "rows cols"]
    conflicts: MaskConflicts


def _read(
    ground_truth: Int[np.ndarray, "rows cols"], mask: Mask, name: str
) -> _Members:
    if mask.shape != ground_truth.shape:
        raise HsijaxError(
            f"the {name} mask has {mask.shape[0]} x {mask.shape[1]} pixels, the ground "
            f"truth {ground_truth.shape[0]} x {ground_truth.shape[1]}"
        )
    mask = mask.astype(np.int64)
    marked = mask != 0
    agreeing = labelled = marked & (ground_truth != 0)
    if not labelled.any():
        raise HsijaxError(
            f"the {name} mask marks {int(marked.sum())} pixels and none of them has a "
            "label in the ground truth"
        )
    renumbered = {}
    if len(np.unique(mask[marked])) > 1:
        renumbered = _renumbering(ground_truth[labelled], mask[labelled])
        as_in_truth = mask.copy()
        for value, class_id in renumbered.items():
            as_in_truth[mask == value] = class_id
        agreeing = labelled & (as_in_truth == ground_truth)
    conflicts = MaskConflicts(
        name=name,
        members=int(marked.sum()),
        unlabelled=int((marked & ~labelled).sum()),
        other_class=int((labelled & ~agreeing).sum()),
        in_both=0,
        renumbered={old: new for old, new in renumbered.items() if old != new},
    )
    return _Members(marked, agreeing, conflicts)


def _renumbering(
    truth: Int[np.ndarray, " pixels"], named: Int[np.ndarray, " pixels"]
) -> dict[int, int]:
    """Match the classes that a mask names with the ground truth's, one to one.

    >>> _renumbering(np.array([5, 5, 7, 7]), np.array([2, 2, 1, 1]))
    {1: 7, 2: 5}
    """
    # Here, because few splits are masks, and it takes 0.1 s to import.
    from scipy.optimize import linear_sum_assignment

    ids, values = class_ids(truth[None, :]), np.unique(named)
    row, col = np.searchsorted(values, named), np.searchsorted(ids, truth)
    agreement = np.zeros((len(values), len(ids)), dtype=np.int64)
    np.add.at(agreement, (row, col), 1)
    rows, cols = linear_sum_assignment(agreement, maximize=True)
    matched = agreement[rows, cols].sum()
    if matched <= np.count_nonzero(named == truth) or matched < RENUMBERED * len(truth):
        return {}
    return dict(zip(values[rows].tolist(), ids[cols].tolist(), strict=True))
