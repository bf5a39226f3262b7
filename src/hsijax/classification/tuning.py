"""The settings of a classical classifier, chosen on its training pixels alone."""

from collections.abc import Callable, Mapping

import numpy as np
from jaxtyping import Float, Int

# A setting's value by its name.
Settings = Mapping[str, int | float]

# Called as report(done, total, detail).
Report = Callable[[int, int, str], None]

FOLDS = 5
SEARCHED = 3000  # pixels at most that a search looks at; about 72 MB for an SVM
TREES = 500
NEIGHBOURS = (1, 3, 5, 7, 9)

# Of an SVM: the penalty, and the width of its kernel in parts of `_kernel_scale`.
PENALTIES = (1.0, 10.0, 100.0, 1000.0, 10_000.0)
WIDTHS = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)


def no_report(done: int, total: int, detail: str) -> None:
    """Show nothing."""


def choose_svm(
    spectra: Float[np.ndarray, "pixels channels"],
    labels: Int[np.ndarray, " pixels"],
    seed: int,
    report: Report = no_report,
) -> tuple[Settings, float | None]:
    """Choose penalty C and kernel width gamma by cross-validation.

    Where no class has two pixels, C is 100 and gamma the middle of the search.

    Returns:
        `C`, and `gamma` of exp(-gamma |x - y|^2), with their accuracy (share of 1) on
        held-out pixels. Of equally good ones the smallest, that is the smoothest.
    """
    # Here and below, because scikit-learn takes 0.6 s that networks need not spend.
    from sklearn.metrics.pairwise import rbf_kernel
    from sklearn.svm import SVC

    scale = _kernel_scale(spectra)
    searched, folds = deal_folds(labels, seed)
    best, settings = None, {"C": 100.0, "gamma": 0.3 * scale}
    if (folds < 0).all():
        return settings, best
    for index, width in enumerate(WIDTHS):
        gamma = width * scale
        # Once for all penalties and folds.
        kernel = rbf_kernel(spectra[searched], gamma=gamma)
        penalty, accuracy = _search(
            SVC(kernel="precomputed"),
            {"C": PENALTIES},
            (kernel, labels[searched], folds),
        )
        if best is None or accuracy > best:
            best, settings = accuracy, {"C": penalty, "gamma": gamma}
        found = f"C {settings['C']:g}, gamma {settings['gamma']:.3g}"
        report(index + 1, len(WIDTHS), f"{found}, cross-validated OA {best:.1%}")
    return settings, best


def choose_forest(
    spectra: Float[np.ndarray, "pixels channels"],
    labels: Int[np.ndarray, " pixels"],
    seed: int,
    report: Report = no_report,
) -> tuple[Settings, float | None]:
    """Return the settings of a forest, which has nothing that must be searched.

    Source:
        Breiman, "Random forests", Machine Learning 45, 2001: more trees never harm,
        and as many features as the root of all are drawn for a fork.
        doi:10.1023/A:1010933404324
    """
    report(1, 1, f"{TREES} trees")
    return {"trees": TREES, "seed": seed}, None


def choose_neighbours(
    spectra: Float[np.ndarray, "pixels channels"],
    labels: Int[np.ndarray, " pixels"],
    seed: int,
    report: Report = no_report,
) -> tuple[Settings, float | None]:
    """Choose by cross-validation how many neighbours vote.

    Where no class has two pixels, it is the nearest alone.

    Returns:
        `k`, with its accuracy (share of 1) on held-out pixels. Of equally good ones
        the smallest.
    """
    from sklearn.metrics.pairwise import euclidean_distances
    from sklearn.neighbors import KNeighborsClassifier

    searched, folds = deal_folds(labels, seed)
    if (folds < 0).all():
        return {"k": 1}, None
    # No more than the pixels that are left to train on.
    largest = len(folds) - np.bincount(folds[folds >= 0]).max()
    numbers = [number for number in NEIGHBOURS if number <= largest]
    chosen, accuracy = _search(
        KNeighborsClassifier(weights="distance", metric="precomputed"),
        {"n_neighbors": numbers},
        (euclidean_distances(spectra[searched]), labels[searched], folds),
    )
    report(1, 1, f"k {chosen}, cross-validated OA {accuracy:.1%}")
    return {"k": chosen}, accuracy


def deal_folds(
    labels: Int[np.ndarray, " pixels"], seed: int, most: int = SEARCHED
) -> tuple[Int[np.ndarray, " searched"], Int[np.ndarray, " searched"]]:
    """Deal the pixels of each class to `FOLDS` folds in turn, like cards.

    A class of two or three pixels has them in as many folds and so is trained on in
    each; the only pixel of a class is never held out, because nothing could be learned
    of its class without it. So every fold trains all classes, whatever their number.

    Args:
        labels: of the training pixels.
        seed: of their order.
        most: if there are more pixels, about so many are dealt, the same share of each
            class, rounded up.

    Returns:
        The index of each pixel that is dealt, ascending, and its fold: -1 for one that
        always trains.

    >>> indices, folds = deal_folds(np.array([0, 0, 0, 1, 2, 2]), seed=0)
    >>> folds[3:4].tolist(), sorted(folds[:3].tolist()), sorted(folds[4:].tolist())
    ([-1], [0, 1, 2], [0, 4])
    """
    order = np.random.default_rng(seed).permutation(len(labels))
    order = order[np.argsort(labels[order], kind="stable")]
    counts = np.bincount(labels)
    if len(labels) > most:
        rank = np.arange(len(labels)) - (np.cumsum(counts) - counts)[labels[order]]
        kept = np.ceil(counts * most / len(labels))
        order = order[rank < kept[labels[order]]]
        counts = np.bincount(labels[order])
    folds = np.where(counts[labels[order]] == 1, -1, np.arange(len(order)) % FOLDS)
    ascending = np.argsort(order)
    return order[ascending], folds[ascending]


def _search(
    estimator: object,
    grid: Mapping[str, tuple | list],
    data: tuple[np.ndarray, np.ndarray, np.ndarray],
) -> tuple[int | float, float]:
    """Return the value of a grid's only parameter that is best, and its accuracy."""
    from sklearn.model_selection import GridSearchCV, PredefinedSplit

    features, labels, folds = data
    search = GridSearchCV(
        estimator,
        grid,
        cv=PredefinedSplit(folds),
        refit=False,
    )
    search.set_params(error_score="raise").fit(features, labels)
    (chosen,) = search.best_params_.values()
    return chosen, float(search.best_score_)


def _kernel_scale(spectra: Float[np.ndarray, "pixels channels"]) -> float:
    """Return the gamma at which spectra that are typically far apart are about 1/e^2.

    It is what scikit-learn calls "scale": one through channels times variance.
    """
    spread = float(spectra.var())
    return 1 / (spectra.shape[1] * (spread or 1.0))
