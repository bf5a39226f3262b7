"""Run folders of one scene side by side: their figures, and paired tests of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool

from hsijax.errors import HsijaxError, UsageError
from hsijax.metrics.comparison import LEVEL, holm, mcnemar, signed_rank
from hsijax.runs import Run, open_run
from hsijax.scenes.catalogue import CATALOGUE
from hsijax.splits import Split, read_splits

MEASURES = ("oa", "aa")  # that the signed-rank test takes


def compare_runs(folders: Sequence[Path]) -> dict[str, Any]:
    """Put finished runs of `hsijax train` beside each other, and test them in pairs.

    The first is the reference that each other one is tested against. Only runs on
    identical splits are tested: in each run the same pixels to test, and the same to
    learn from. p-values are adjusted by Holm over all pairs, those of McNemar's tests
    over all pairs and runs. Nothing is written.

    Returns:
        What `hsijax compare --json` prints: `runs`, each with its `metrics`, and
        `tests`, one for each run but the first; `why` says why there is none.

    Raises:
        UsageError: they are fewer than two, or one is no run folder.
        HsijaxError: a run has not ended, or they are of different scenes.
    """
    if len({folder.resolve() for folder in folders}) < max(2, len(folders)):
        raise UsageError("give two or more different run folders to compare")
    opened = [_open(folder) for folder in folders]
    reference, *others = opened
    for other in others:
        _check_scene(reference, other)
    tests = [_test(reference, other) for other in others]
    _adjust(tests)
    return {
        "scene": reference.manifest["scene"]["name"],
        "reference": str(reference.folder),
        "level": LEVEL,
        "runs": [
            {"run": str(finished.folder), "name": name, "metrics": finished.metrics}
            for finished, name in zip(opened, _names(folders), strict=True)
        ],
        "tests": tests,
    }


@dataclass(frozen=True, eq=False)
class _Finished:
    """What a run folder holds once it has ended."""

    folder: Path
    manifest: dict[str, Any]
    metrics: dict[str, Any]
    predictions: dict[str, np.ndarray]
    splits: list[Split]

    @property
    def runs(self) -> int:
        return len(self.metrics["oa"]["values"])

    def right(self, number: int) -> Bool[np.ndarray, " pixels"]:
        """Mark the test pixels of a run that were classified correctly."""
        truth = self.predictions[f"run{number}_truth"]
        return self.predictions[f"run{number}_predicted"] == truth

    def values(self, measure: str) -> np.ndarray:
        return np.array(self.metrics[measure]["values"], dtype=float)


def _open(folder: Path) -> _Finished:
    run: Run = open_run(folder, "classification")
    metrics = run.read_metrics()
    predictions = run.read_predictions()
    runs = len(metrics["oa"]["values"])
    if any(f"run{number}_truth" not in predictions for number in range(runs)):
        raise HsijaxError(
            f"{folder}/predictions.npz lacks runs that metrics.json has: work them out "
            f"again with `hsijax train --resume {folder}`"
        )
    splits = read_splits(run.split_file)
    return _Finished(folder, run.read_manifest(), metrics, predictions, splits)


def _names(folders: Sequence[Path]) -> list[str]:
    """Name each run by its folder, or by its path where folders have the same name."""
    names = [folder.resolve().name for folder in folders]
    return names if len(set(names)) == len(names) else [str(f) for f in folders]


def _check_scene(reference: _Finished, other: _Finished) -> None:
    """Refuse runs that are not of the same scene, ground truth and classes."""
    one, two = reference.manifest, other.manifest
    name = one["scene"]["name"]
    if (name, one["scene"]["shape"]) != (two["scene"]["name"], two["scene"]["shape"]):
        raise HsijaxError(
            f"{other.folder} is of {two['scene']['name']}, {reference.folder} of "
            f"{name}: only runs of one scene can be compared"
        )
    hashes = {one["ground_truth"]["sha256"], two["ground_truth"]["sha256"]}
    sheet = CATALOGUE.get(name)
    known = sheet.file("ground_truth") if sheet else None
    alike = known is not None and hashes <= set(known.sha256)
    if (len(hashes) > 1 and not alike) or one["classes"] != two["classes"]:
        raise HsijaxError(
            f"{other.folder} has another ground truth than {reference.folder} "
            f"({two['ground_truth']['path']}, {one['ground_truth']['path']}): their "
            "figures cannot be compared"
        )


def _test(reference: _Finished, other: _Finished) -> dict[str, Any]:
    """Test a run against the reference, or say why that cannot be."""
    found = {"run": str(other.folder)}
    why = _difference(reference, other)
    if why:
        return {**found, "paired": False, "why": why}
    numbers = range(other.runs)
    differences = {}
    for measure in MEASURES:
        first, second = reference.values(measure), other.values(measure)
        differences[measure] = {
            "difference": float(np.mean(second - first)),
            **signed_rank(first, second)._asdict(),
        }
    pixels = [mcnemar(reference.right(n), other.right(n))._asdict() for n in numbers]
    return {**found, "paired": True, **differences, "mcnemar": {"runs": pixels}}


def _difference(reference: _Finished, other: _Finished) -> str | None:
    """Say why two run folders are no pair; None if their splits are identical."""
    if reference.runs != other.runs:
        return f"the numbers of runs differ: {other.runs}, not {reference.runs}"
    for number in range(other.runs):
        for entry in ("pixels", "truth"):
            one, two = (
                f.predictions[f"run{number}_{entry}"] for f in (reference, other)
            )
            if not np.array_equal(one, two):
                return f"the splits differ: other test pixels in run {number}"
        learned = [_learned_from(f.splits[number]) for f in (reference, other)]
        if learned[0] != learned[1]:
            return f"the splits differ: other training pixels in run {number}"
    return None


def _learned_from(split: Split) -> set[tuple[int, ...]]:
    """Return the pixels that train or validate."""
    return set(map(tuple, np.concatenate([split.train, split.validation]).tolist()))


def _adjust(tests: list[dict[str, Any]]) -> None:
    """Add what Holm's correction over all pairs makes of each p."""
    paired = [test for test in tests if test["paired"]]
    for measure in MEASURES:
        adjusted = holm([test[measure]["p"] for test in paired])
        for test, p in zip(paired, adjusted, strict=True):
            test[measure]["p_holm"] = p
    rows = [row for test in paired for row in test["mcnemar"]["runs"]]
    for row, p in zip(rows, holm([row["p"] for row in rows]), strict=True):
        row["p_holm"] = p
    for test in paired:
        found = test["mcnemar"]
        clear = [row for row in found["runs"] if row["p_holm"] < LEVEL]
        better = sum(row["only_second"] > row["only_first"] for row in clear)
        found |= {"better": better, "worse": len(clear) - better}
