"""How a split is made, as data: the same plan and seed give the same pixels."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from jaxtyping import Int

from hsijax.errors import HsijaxError, UsageError, lookup
from hsijax.splits.blocks import block_split, indivisible_classes
from hsijax.splits.masks import Mask, mask_split
from hsijax.splits.sampling import (
    Seed,
    count_split,
    drawn_of_class,
    hold_out_validation,
    random_split,
)
from hsijax.splits.scenes import scene_split
from hsijax.splits.split import Split, class_counts, class_ids

logger = logging.getLogger("hsijax")

Value = TypeVar("Value")


@dataclass(frozen=True, eq=False)
class SplitPlan:
    """A method of `METHODS` with its settings; the others are not looked at."""

    method: str
    frac: float | None = None  # "random", "blocks", "scenes"
    count: int | None = None  # "count", "scenes": pixels of each class
    block_side: int | None = None  # "blocks": pixels; None for the patch side
    train_mask: Mask | None = None  # "masks", "grss"; "scenes": all that may train
    test_mask: Mask | None = None  # "masks", "grss"
    val_frac: float = 0.0  # share of the training pixels, of each class


def make_splits(
    ground_truth: Int[np.ndarray, "rows cols"],
    plan: SplitPlan,
    *,
    seed: int,
    runs: int,
    patch_side: int,
    class_names: Mapping[int, str] | None = None,
) -> list[Split]:
    """Make the splits of several runs; each run's is `make_split` of its number.

    What several runs have to warn of is said once.

    Raises:
        HsijaxError: as `make_split`.
    """
    splits, warnings = [], {}
    for run in range(runs):
        split, found = _make(ground_truth, plan, seed, run, patch_side, class_names)
        splits.append(split)
        warnings |= dict.fromkeys(found)
    for warning in warnings:
        logger.warning(warning)
    return splits


def make_split(
    ground_truth: Int[np.ndarray, "rows cols"],
    plan: SplitPlan,
    *,
    seed: int,
    run: int,
    patch_side: int,
    class_names: Mapping[int, str] | None = None,
) -> Split:
    """Make the split of one run from a random stream of its own.

    Args:
        ground_truth: 0 where a pixel has no label.
        plan: how to draw the pixels.
        seed: of all runs.
        run: its number, from 0.
        patch_side: odd; decides the buffer of "blocks", nothing else.
        class_names: by class id, for the warnings.

    Raises:
        UsageError: the plan lacks a setting or has one out of range.
        HsijaxError: fewer than two classes have training pixels, or none is left
            to test.
    """
    split, warnings = _make(ground_truth, plan, seed, run, patch_side, class_names)
    for warning in warnings:
        logger.warning(warning)
    return split


def _make(
    ground_truth: Int[np.ndarray, "rows cols"],
    plan: SplitPlan,
    seed: int,
    run: int,
    patch_side: int,
    class_names: Mapping[int, str] | None,
) -> tuple[Split, list[str]]:
    method = lookup(METHODS, plan.method, "split method")
    names = _Names(class_names or {})
    split, warnings = method(ground_truth, plan, [seed, run], patch_side, names)
    warnings = warnings + _check(split, ground_truth, names)
    if plan.val_frac:
        split = hold_out_validation(
            split, ground_truth, frac=plan.val_frac, seed=validation_seed(seed, run)
        )
    return split, warnings


def validation_seed(seed: int, run: int) -> Seed:
    """Return the seed of a run's validation pixels.

    It differs from `[seed, run]`, which draws the training pixels: holding validation
    pixels out does not change which pixels are tested.
    """
    return [seed, run, 1]


@dataclass(frozen=True)
class _Names:
    """Names of the classes in messages, or their ids where there is no name."""

    names: Mapping[int, str]

    def join(self, ids: Int[np.ndarray, " classes"]) -> str:
        return ", ".join(self.names.get(int(i), f"class {i}") for i in ids)


Raster = Int[np.ndarray, "rows cols"]
Made = tuple[Split, list[str]]  # with warnings


def _random(
    ground_truth: Raster, plan: SplitPlan, seed: Seed, side: int, names: _Names
) -> Made:
    del side, names
    frac = _needed(plan.frac, "--frac", plan.method)
    return random_split(ground_truth, frac=frac, seed=seed), []


def _count(
    ground_truth: Raster, plan: SplitPlan, seed: Seed, side: int, names: _Names
) -> Made:
    del side
    count = _needed(plan.count, "--count", plan.method)
    ids, totals = np.unique(ground_truth[ground_truth != 0], return_counts=True)
    short = [drawn_of_class(count, int(total)) < count for total in totals]
    warnings = []
    if any(short):
        warnings.append(
            f"half of the pixels train, not {count}, where a class has no more than "
            f"that: {names.join(ids[short])}"
        )
    return count_split(ground_truth, count=count, seed=seed), warnings


def _blocks(
    ground_truth: Raster, plan: SplitPlan, seed: Seed, side: int, names: _Names
) -> Made:
    frac = _needed(plan.frac, "--frac", plan.method)
    if side == 1 and plan.block_side is None:
        # Single pixels without a buffer: a random split by another name.
        raise UsageError(
            "blocks are as wide as the patch, which is one pixel here: give "
            "--block-side, or the file that `hsijax split --blocks --patch 9` writes, "
            "to test on the pixels of a network with that patch"
        )
    split = block_split(
        ground_truth,
        frac=frac,
        patch_side=side,
        seed=seed,
        block_side=plan.block_side,
    )
    small = indivisible_classes(ground_truth, side)
    if not len(small):
        return split, []
    return split, [
        f"no split without overlap can both train and test {names.join(small)}: any "
        f"two of their patches of {side} x {side} pixels overlap"
    ]


def _masks(
    ground_truth: Raster, plan: SplitPlan, seed: Seed, side: int, names: _Names
) -> Made:
    del seed, side, names
    train_mask = _needed(plan.train_mask, "--train-mask", plan.method)
    split, conflicts = mask_split(ground_truth, train_mask, plan.test_mask)
    return split, [message for each in conflicts for message in each.messages()]


def _scenes(
    ground_truth: Raster, plan: SplitPlan, seed: Seed, side: int, names: _Names
) -> Made:
    del side, names
    training = _needed(plan.train_mask, "--test-dataset", plan.method)
    frac = _needed(plan.frac, "--frac", plan.method)
    return scene_split(
        ground_truth, training != 0, frac=frac, count=plan.count, seed=seed
    ), []


METHODS = {
    "random": _random,
    "count": _count,
    "blocks": _blocks,
    "masks": _masks,
    "grss": _masks,  # those that the scene's data sheet names
    "scenes": _scenes,
}


def _needed(value: Value | None, option: str, method: str) -> Value:
    if value is None:
        raise UsageError(f"a split by '{method}' needs {option}")
    return value


def check_split(
    split: Split, ground_truth: Raster, class_names: Mapping[int, str]
) -> None:
    """Warn of the classes that lack training or test pixels.

    Raises:
        HsijaxError: fewer than two classes have training pixels, or none is left
            to test.
    """
    for warning in _check(split, ground_truth, _Names(class_names)):
        logger.warning(warning)


def _check(split: Split, ground_truth: Raster, names: _Names) -> list[str]:
    """Name the classes that lack training or test pixels; refuse what is no task."""
    ids = class_ids(ground_truth)
    trained = class_counts(ground_truth, split.train, ids) > 0
    tested = class_counts(ground_truth, split.test, ids) > 0
    if not len(ids):
        raise HsijaxError("no pixel has a label and data: there is nothing to learn")
    if trained.sum() < 2:
        raise HsijaxError(
            f"{int(trained.sum())} of {len(ids)} classes have training pixels and "
            "learning needs two: train on more pixels or use smaller blocks"
        )
    if not tested.any():
        raise HsijaxError(
            "no labelled pixel is left to test: train on fewer pixels or use a "
            "smaller patch"
        )
    warnings = []
    if not trained.all():
        warnings.append(f"no training pixel for {names.join(ids[~trained])}")
    if not tested.all():
        warnings.append(f"no test pixel for {names.join(ids[~tested])}")
    return warnings
