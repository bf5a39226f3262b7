"""Which pixels train and which test, what leaks between them, and the split file.

A classifier of patches sees more than its pixel: a test patch may hold the centre of a
training patch, or share pixels with one. `leakage` measures both for any split;
`block_split` makes splits that have neither.
"""

from hsijax.splits.blocks import block_split
from hsijax.splits.file import SplitFile, load_splits, read_splits, save_splits
from hsijax.splits.guard import guarded_region
from hsijax.splits.leakage import Leakage, leakage, neighbourhood
from hsijax.splits.masks import MaskConflicts, mask_split
from hsijax.splits.plan import (
    SplitPlan,
    check_split,
    make_split,
    make_splits,
    validation_seed,
)
from hsijax.splits.sampling import count_split, hold_out_validation, random_split
from hsijax.splits.scenes import cut_out, meets_itself, scene_split, set_apart
from hsijax.splits.split import Split, class_counts, mask_of

__all__ = [
    "Leakage",
    "MaskConflicts",
    "Split",
    "SplitFile",
    "SplitPlan",
    "block_split",
    "check_split",
    "class_counts",
    "count_split",
    "cut_out",
    "guarded_region",
    "hold_out_validation",
    "leakage",
    "load_splits",
    "make_split",
    "make_splits",
    "mask_of",
    "mask_split",
    "meets_itself",
    "neighbourhood",
    "random_split",
    "read_splits",
    "save_splits",
    "scene_split",
    "set_apart",
    "validation_seed",
]
