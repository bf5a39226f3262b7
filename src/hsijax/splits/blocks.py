"""Splits by spatial blocks with a buffer: no test patch overlaps a training patch."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int

from hsijax.errors import UsageError
from hsijax.splits.leakage import neighbourhood
from hsijax.splits.sampling import Seed, check_fraction, share_of
from hsijax.splits.split import Split, class_ids, no_pixels, pixels_where

# Blocks compared before one is taken; more would save test pixels, and cost time.
CANDIDATES = 32


def block_split(
    ground_truth: Int[np.ndarray, "rows cols"],
    *,
    frac: float,
    patch_side: int,
    seed: Seed,
    block_side: int | None = None,
) -> Split:
    """Train on square blocks; test only where no patch overlaps a training patch.

    A grid of blocks is laid over the scene at a random offset. Blocks are taken, for
    the rarest class first, until each class has `ceil(frac * N_c)` training pixels,
    drawn at random inside them. Of up to 32 blocks drawn at random, the one is taken
    that costs the fewest test pixels for what it gives. The rest of a training block,
    and the buffer within `patch_side - 1` pixels of a training pixel, are not used.

    Where a block would take the last test pixel of a class, smaller ones are tried,
    down to single pixels; then the class gets fewer training pixels. A class that is
    one small piece of ground can still end in training alone or in test alone.

    Args:
        ground_truth: 0 where a pixel has no label.
        frac: between 0 and 1.
        patch_side: odd, in pixels.
        seed: of the grid and of the draws.
        block_side: in pixels; by default `patch_side`.

    Raises:
        UsageError: `frac` or `block_side` is out of range.
    """
    check_fraction(frac)
    side = patch_side if block_side is None else block_side
    if not 1 <= side <= max(ground_truth.shape):
        rows, cols = ground_truth.shape
        raise UsageError(
            f"--block-side {side} does not fit: give 1 to {max(rows, cols)} for a "
            f"scene of {rows} x {cols} pixels"
        )
    rng = np.random.default_rng(seed)
    ids = class_ids(ground_truth)
    labels = np.where(ground_truth != 0, np.searchsorted(ids, ground_truth), -1)
    totals = _count(labels, len(ids))
    ledger = _Ledger(
        labels=labels,
        quota=np.array([share_of(frac, int(n)) for n in totals], dtype=int),
        totals=totals,
        gap=patch_side - 1,
        train=np.zeros(labels.shape, dtype=bool),
        open=labels >= 0,
    )
    grids = _grids(side, rng)
    for rarest in np.argsort(totals, kind="stable"):
        while (block := _choose(ledger, grids, int(rarest), rng)) is not None:
            ledger.take(block, rng)
    return Split(pixels_where(ledger.train), no_pixels(), pixels_where(ledger.open))


def indivisible_classes(
    ground_truth: Int[np.ndarray, "rows cols"], patch_side: int
) -> Int[np.ndarray, " classes"]:
    """Return the ids of the classes of which any two patches overlap.

    No split keeps their training and test patches apart, so they cannot have both.

    >>> indivisible_classes(np.array([[1, 1, 2, 0, 2]]), patch_side=2)
    array([1])
    """
    ids = class_ids(ground_truth)
    spans = [np.ptp(np.argwhere(ground_truth == i), axis=0).max() for i in ids]
    return ids[np.array(spans, dtype=int) < patch_side]


Block = tuple[slice, slice]


@dataclass(frozen=True)
class _Grid:
    """Square blocks that start above and left of the scene by an offset."""

    side: int
    offset: Int[np.ndarray, "2"]

    def blocks_with(self, mask: Bool[np.ndarray, "rows cols"]) -> list[Block]:
        """Return the blocks that hold at least one marked pixel."""
        cells = np.unique((np.argwhere(mask) + self.offset) // self.side, axis=0)
        starts = cells * self.side - self.offset
        return [
            (slice(max(row, 0), row + self.side), slice(max(col, 0), col + self.side))
            for row, col in starts.tolist()
        ]


def _grids(side: int, rng: np.random.Generator) -> list[_Grid]:
    """Make the grid of the wanted blocks, then finer ones down to single pixels."""
    sides = [side]
    while sides[-1] > 1:
        sides.append(sides[-1] // 2)
    return [_Grid(each, rng.integers(each, size=2)) for each in sides]


@dataclass
class _Ledger:
    """What is taken so far; changed in place by `take`."""

    labels: Int[np.ndarray, "rows cols"]  # 0 to classes - 1; -1 for unlabelled
    quota: Int[np.ndarray, " classes"]  # training pixels wanted
    totals: Int[np.ndarray, " classes"]  # labelled pixels
    gap: int  # distance that a test pixel must exceed
    train: Bool[np.ndarray, "rows cols"]
    open: Bool[np.ndarray, "rows cols"]  # may still be tested

    def missing(self) -> Int[np.ndarray, " classes"]:
        """Count the training pixels that each class still lacks."""
        return self.quota - _count(self.labels[self.train], len(self.quota))

    def testable(self) -> Int[np.ndarray, " classes"]:
        """Count the pixels of each class that may still be tested."""
        return _count(self.labels[self.open], len(self.quota))

    def take(self, block: Block, rng: np.random.Generator) -> None:
        """Train on the block's pixels of the classes that lack some."""
        missing = self.missing()
        here = self.labels[block]
        chosen = np.zeros(here.shape, dtype=bool)
        for label in np.unique(here[here >= 0]):
            members = rng.permutation(np.flatnonzero(here == label))
            chosen.flat[members[: max(missing[label], 0)]] = True
        self.train[block] |= chosen
        around = _widen(block, self.gap)
        self.open[around] &= ~neighbourhood(self.train[around], self.gap)
        self.open[block] = False


def _choose(
    ledger: _Ledger, grids: list[_Grid], label: int, rng: np.random.Generator
) -> Block | None:
    """Return the block to train the class on next; None if it has enough or must stop.

    Where every block takes some class's last test pixel, a finer grid is tried. A class
    without training pixels may then cost its own test pixels, but no others'.
    """
    missing = ledger.missing()
    if missing[label] <= 0:
        return None
    testable = ledger.testable()
    itself = np.arange(len(testable)) == label
    last_resort = None
    for grid in grids:
        blocks = grid.blocks_with((ledger.labels == label) & ~ledger.train)
        drawn = [blocks[i] for i in rng.permutation(len(blocks))[:CANDIDATES]]
        prices = [_price(ledger, block, missing, testable) for block in drawn]
        best = int(np.argmin([price for price, _ in prices]))
        emptied = prices[best][1]
        if not emptied.any():
            return drawn[best]
        untrained = missing[label] == ledger.quota[label]
        if last_resort is None and untrained and not emptied[~itself].any():
            last_resort = drawn[best]
    return last_resort


def _price(
    ledger: _Ledger,
    block: Block,
    missing: Int[np.ndarray, " classes"],
    testable: Int[np.ndarray, " classes"],
) -> tuple[float, Bool[np.ndarray, " classes"]]:
    """Return test pixels lost per training pixel won, and the classes left untested.

    Both are shares of their class, so that a small class counts like a large one.
    """
    classes = len(testable)
    around = _widen(block, ledger.gap)
    lost = _count(ledger.labels[around][ledger.open[around]], classes)
    emptied = (lost == testable) & (testable > 0)
    here = ledger.labels[block][~ledger.train[block]]
    won = np.minimum(_count(here, classes), np.maximum(missing, 0))
    loss = float(np.sum(lost / np.maximum(testable, 1))) + classes * int(emptied.sum())
    return loss / float(np.sum(won / ledger.quota)), emptied


def _widen(block: Block, gap: int) -> Block:
    rows, cols = block
    return (
        slice(max(rows.start - gap, 0), rows.stop + gap),
        slice(max(cols.start - gap, 0), cols.stop + gap),
    )


def _count(labels: Int[np.ndarray, "..."], classes: int) -> Int[np.ndarray, " classes"]:
    return np.bincount(labels[labels >= 0], minlength=classes)
