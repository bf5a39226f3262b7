"""The estimators of scikit-learn: how each is fitted, scored and counted."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from hsijax.classification.tuning import (
    Settings,
    choose_forest,
    choose_neighbours,
    choose_svm,
)


class Method(NamedTuple):
    """What differs between the classifiers."""

    choose: Callable[..., tuple[Settings, float | None]]
    fit: Callable[[Settings, np.ndarray, np.ndarray], Any]
    score: Callable[[Any, np.ndarray], np.ndarray]
    count: Callable[[Any, np.ndarray], int]


def _fit_svm(settings: Settings, spectra: np.ndarray, labels: np.ndarray) -> Any:
    # Here and below, because scikit-learn takes 0.6 s that networks need not spend.
    from sklearn.svm import SVC

    svm = SVC(decision_function_shape="ovo", cache_size=500)  # MB
    return svm.set_params(**settings).fit(spectra, labels)


def _score_margins(
    estimator: Any, spectra: Float[np.ndarray, "pixels channels"]
) -> Float[np.ndarray, "pixels classes"]:
    """Return the margin of each class over the opponent that it does worst against.

    The predicted class is the one with most votes of the pairs, ties broken by the sum
    of its margins: that of `SVC(break_ties=True)`. It nearly always wins all its pairs
    and then is the only one with a positive margin. Where the pairs go round in a
    circle, it takes the largest margin of all in exchange for its own.

    Votes themselves would be poor scores: the winner has all of them and the second
    one less, whether the pixel is clear or not.
    """
    pairs = estimator.decision_function(spectra)
    pairs = -pairs[:, None] if pairs.ndim == 1 else pairs
    classes, every = len(estimator.classes_), np.arange(len(spectra))
    margins = np.zeros((len(spectra), classes, classes))
    first, second = np.triu_indices(classes, 1)
    margins[:, first, second] = pairs
    margins[:, second, first] = -pairs
    total = margins.sum(axis=2)
    votes = (margins > 0).sum(axis=2) + total / (3 * (np.abs(total) + 1))
    margins[:, range(classes), range(classes)] = np.inf
    worst = margins.min(axis=2)
    winner, widest = votes.argmax(axis=1), worst.argmax(axis=1)
    worst[every, winner], worst[every, widest] = (
        worst[every, widest],
        worst[every, winner],
    )
    return worst


def _fit_forest(settings: Settings, spectra: np.ndarray, labels: np.ndarray) -> Any:
    from sklearn.ensemble import RandomForestClassifier

    trees, seed = int(settings["trees"]), int(settings["seed"])
    forest = RandomForestClassifier(trees, random_state=seed, n_jobs=-1)
    # The sum over the trees would depend on which of several threads is first.
    return forest.fit(spectra, labels).set_params(n_jobs=1)


def _fit_neighbours(settings: Settings, spectra: np.ndarray, labels: np.ndarray) -> Any:
    from sklearn.neighbors import KNeighborsClassifier

    # The nearer of two counts more, so that few votes end in a tie.
    neighbours = KNeighborsClassifier(int(settings["k"]), weights="distance")
    return neighbours.fit(spectra, labels)


def _log_shares(voters: str) -> Callable[[Any, np.ndarray], np.ndarray]:
    """Make the logarithm of the share of votes, none of them less than half a vote.

    `voters` is the estimator's parameter that says how many vote.
    """

    def score(estimator: Any, spectra: np.ndarray) -> np.ndarray:
        least = 0.5 / estimator.get_params()[voters]
        return np.log(np.maximum(estimator.predict_proba(spectra), least))

    return score


def _count_support(estimator: Any, spectra: np.ndarray) -> int:
    kept = (estimator.support_, estimator.dual_coef_, estimator.intercept_)
    support, coefficients, intercepts = (array.size for array in kept)
    return support * spectra.shape[1] + coefficients + intercepts


def _count_nodes(estimator: Any, spectra: np.ndarray) -> int:
    leaves = sum(int(tree.get_n_leaves()) for tree in estimator.estimators_)
    return leaves + 2 * (leaves - len(estimator.estimators_))


def _count_neighbours(estimator: Any, spectra: np.ndarray) -> int:
    return spectra.size + len(spectra)


METHODS = {
    "svm": Method(choose_svm, _fit_svm, _score_margins, _count_support),
    "random-forest": Method(
        choose_forest, _fit_forest, _log_shares("n_estimators"), _count_nodes
    ),
    "knn": Method(
        choose_neighbours,
        _fit_neighbours,
        _log_shares("n_neighbors"),
        _count_neighbours,
    ),
}
