"""Support vector machines between pairs of classes, and shares from their margins.

Source:
    Wang and Jia, "Integration of soft and hard classifications using extended support
    vector machines", IEEE GRSL 6(3), 2009. doi:10.1109/LGRS.2009.2020924, of which the
    case of more than two classes is not at hand: that is ours, in `join_pairs`.
"""

from dataclasses import dataclass
from itertools import combinations

import numpy as np
from jaxtyping import Float, Int

# Pixels at once in a prediction.
TILE = 8192


@dataclass(frozen=True, eq=False)
class Machine:
    """Support vector machines between all pairs of classes, with a common kernel."""

    gamma: float
    support: Float[np.ndarray, "vectors channels"]
    coefficients: Float[np.ndarray, "vectors pairs"]  # pairs in order: 0-1, 0-2, ...
    intercepts: Float[np.ndarray, " pairs"]
    classes: int

    def decide(
        self, channels: Float[np.ndarray, "pixels channels"]
    ) -> Float[np.ndarray, "pixels pairs"]:
        """Return each pair's decision value, positive for the first of the two."""
        from sklearn.metrics.pairwise import rbf_kernel

        parts = [
            rbf_kernel(channels[start : start + TILE], self.support, gamma=self.gamma)
            @ self.coefficients
            for start in range(0, len(channels), TILE)
        ]
        return np.concatenate([np.zeros((0, len(self.intercepts))), *parts]) + (
            self.intercepts
        )

    def unmix(
        self, channels: Float[np.ndarray, "pixels channels"]
    ) -> Float[np.ndarray, "pixels classes"]:
        """Return abundances."""
        return join_pairs(self.decide(channels), self.classes)


def join_pairs(
    decisions: Float[np.ndarray, "pixels pairs"], classes: int
) -> Float[np.ndarray, "pixels classes"]:
    """Return abundances from the decision values of all pairs of classes.

    Between the margins of a pair a pixel is a mixture of the two, and the first has the
    share (1 + decision) / 2; beyond them it is pure. A class gets the least of its
    shares, all divided by their sum. Where each class is ruled out by another one, it
    gets the mean of its shares instead.

    The pixel below is half 0 and half 1, and neither has anything of 2.

    >>> join_pairs(np.array([[0.0, 1.5, 2.0]]), 3)
    array([[0.5, 0.5, 0. ]])
    """
    first = np.clip((1 + decisions) / 2, 0, 1)
    least = np.ones((len(decisions), classes))
    total = np.zeros((len(decisions), classes))
    for pair, (one, other) in enumerate(combinations(range(classes), 2)):
        for owner, share in ((one, first[:, pair]), (other, 1 - first[:, pair])):
            least[:, owner] = np.minimum(least[:, owner], share)
            total[:, owner] += share
    shares = np.where(least.any(axis=1, keepdims=True), least, total)
    return shares / shares.sum(axis=1, keepdims=True)


def train_machine(
    channels: Float[np.ndarray, "pixels channels"],
    examples: Int[np.ndarray, " pixels"],
    penalty: float,
    gamma: float,
) -> Machine:
    """Train scikit-learn's machine and take its coefficients apart, pair by pair.

    Args:
        channels: of the examples and others.
        examples: the class of each example, -1 for a pixel that is none.
        penalty: on examples within the margins, known as C.
        gamma: of the kernel exp(-gamma * squared distance).
    """
    from sklearn.svm import SVC

    known = examples >= 0
    fitted = SVC(decision_function_shape="ovo").set_params(C=penalty, gamma=gamma)
    fitted.fit(channels[known], examples[known])
    classes = len(fitted.classes_)
    pairs = list(combinations(range(classes), 2))
    owner = examples[known][fitted.support_]
    coefficients = np.zeros((len(owner), len(pairs)))
    for pair, (one, other) in enumerate(pairs):
        # A vector's row of `dual_coef_` is that of the other class, which stands one
        # row higher if it comes after the vector's own.
        for own, row in ((one, other - 1), (other, one)):
            mine = owner == own
            coefficients[mine, pair] = fitted.dual_coef_[row, mine]
    # Of two classes alone scikit-learn turns the sign: positive for the second one.
    sign = -1 if classes == 2 else 1
    return Machine(
        gamma,
        fitted.support_vectors_,
        sign * coefficients,
        sign * fitted.intercept_,
        classes,
    )
