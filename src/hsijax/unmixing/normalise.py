"""Spectra brought to one size, so that brightness does not count."""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float

from hsijax.errors import lookup

# The size of each spectrum, by name; `None` leaves spectra as they are.
NORMS: dict[str, Callable[[np.ndarray], np.ndarray] | None] = {
    "none": None,
    "l1": lambda spectra: np.abs(spectra).sum(axis=-1, keepdims=True),
    "l2": lambda spectra: np.linalg.norm(spectra, axis=-1, keepdims=True),
    "max": lambda spectra: np.abs(spectra).max(axis=-1, keepdims=True),
}


def normalise(
    spectra: Float[np.ndarray, "*batch bands"], norm: str
) -> Float[np.ndarray, "*batch bands"]:
    """Divide each spectrum by its norm; spectra of zeros stay zero.

    Args:
        spectra: of any sign and scale.
        norm: "none", "l1" (sum of magnitudes), "l2" (length) or "max" (largest
            magnitude).

    Raises:
        UsageError: there is no such norm.

    >>> normalise(np.array([[3.0, 4.0], [0.0, 0.0]]), "l2")
    array([[0.6, 0.8],
           [0. , 0. ]])
    """
    size_of = lookup(NORMS, norm, "norm")
    if size_of is None:
        return spectra
    size = size_of(spectra)
    return spectra / np.where(size > 0, size, 1)
