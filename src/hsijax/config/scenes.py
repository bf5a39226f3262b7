"""Settings that name one scene or several, and what does not go with several."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from hsijax.errors import UsageError

if TYPE_CHECKING:
    from hsijax.config.train import TrainConfig

# One name, or several as a tuple; None where nothing is named.
Names = str | tuple | None


def listed(names: Names) -> tuple[str, ...]:
    """Return one name or several as a tuple.

    >>> listed("a.tif"), listed(("a.tif", "b.tif")), listed(None)
    (('a.tif',), ('a.tif', 'b.tif'), ())
    """
    if names is None:
        return ()
    return (names,) if isinstance(names, str) else names


def unlisted(names: Sequence[str]) -> Names:
    """Return what `listed` takes apart: a single name stands for itself.

    >>> unlisted(["a.tif"]), unlisted(["a.tif", "b.tif"]), unlisted([])
    ('a.tif', ('a.tif', 'b.tif'), None)
    """
    if len(names) == 1:
        return names[0]
    return tuple(names) or None


def check_scenes(config: "TrainConfig") -> None:
    """Refuse scenes, ground truths and ways of splitting that do not fit each other.

    Raises:
        UsageError: names the options.
    """
    scenes, tested = listed(config.dataset), listed(config.test_dataset)
    for given, option, truths in (
        (scenes, "--dataset", config.ground_truth),
        (tested, "--test-dataset", config.test_ground_truth),
    ):
        found, flag = len(listed(truths)), option.replace("dataset", "ground-truth")
        if found not in (0, len(given)):
            raise UsageError(
                f"{found} {flag} for {len(given)} {option}: give one for each, in the "
                "same order, or none where the files have their own"
            )
    twice = [name for name in {*scenes, *tested} if (*scenes, *tested).count(name) > 1]
    if twice:
        also = " to train and to test" if twice[0] in tested else ""
        raise UsageError(f"{twice[0]} is given twice{also}: a scene can be used once")
    if tested and config.split not in ("scenes", "file"):
        raise UsageError(
            f"--test-dataset splits by scenes: leave out --split {config.split}"
        )
    if len(scenes) > 1 and config.split in ("masks", "grss"):
        raise UsageError(
            f"--split {config.split} is of one scene, and {len(scenes)} are given: "
            "split by --frac, --count, blocks or --test-dataset"
        )
