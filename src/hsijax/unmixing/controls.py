"""Trivial baselines: what a learned unmixing has to beat."""

import numpy as np
from jaxtyping import Bool, Float, Int
from sklearn.neighbors import NearestNeighbors

from hsijax.unmixing.normalise import normalise
from hsijax.unmixing.provenance import FORMULA, share_by_formula

NEIGHBOURS = 3  # in the spectra
NEIGHBOURS_IN_SPACE = 4


def run_controls(
    cube: Float[np.ndarray, "rows cols bands"],
    valid: Bool[np.ndarray, "rows cols"],
    abundances: Float[np.ndarray, "rows cols endmembers"],
    train: Int[np.ndarray, "n_train 2"],
    test: Int[np.ndarray, "n_test 2"],
    endmembers: Float[np.ndarray, "endmembers bands"] | None = None,
) -> dict[str, Float[np.ndarray, "n_test endmembers"]]:
    """Estimate abundances of the test pixels without learning anything.

    The mean of the nearest training pixels, by their spectra or by nothing but their
    place; and, where endmembers are known, the formula that reference abundances are
    often made with. Pixels that are not valid are no neighbours.

    Returns:
        Estimates on the simplex by the control's name.
    """
    train = train[valid[train[:, 0], train[:, 1]]]
    known = abundances[train[:, 0], train[:, 1]]
    shown = cube[train[:, 0], train[:, 1]]
    asked = cube[test[:, 0], test[:, 1]]
    near = _find_nearest(normalise(shown, "l2"), normalise(asked, "l2"), NEIGHBOURS)
    in_space = _find_nearest(train, test, NEIGHBOURS_IN_SPACE)
    found = {
        "1-NN, raw spectra": known[_find_nearest(shown, asked, 1)[:, 0]],
        "1-NN, L2 spectra": known[near[:, 0]],
        f"{NEIGHBOURS}-NN, L2 spectra": known[near].mean(axis=1),
        f"{NEIGHBOURS_IN_SPACE}-NN, coordinates alone": known[in_space].mean(axis=1),
    }
    if endmembers is not None:
        found[FORMULA] = share_by_formula(asked, endmembers)
    return found


def _find_nearest(
    known: np.ndarray, asked: np.ndarray, count: int
) -> Int[np.ndarray, "n_test neighbours"]:
    """Return the indices of the nearest known ones, the nearest first."""
    search = NearestNeighbors(n_neighbors=min(count, len(known))).fit(known)
    return search.kneighbors(asked, return_distance=False)
