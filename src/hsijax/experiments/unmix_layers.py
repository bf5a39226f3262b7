"""What is mapped of an unmixing: files, and their bands."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from hsijax.unmixing.estimate import Estimate

# Names of the bands of residuals, and where an estimate has them.
RESIDUALS = {
    "RMSE": "rmse",
    "spectral angle, radians": "angle",
    "KKT violation": "kkt",
    "shade": "shade",
}


class Layers(NamedTuple):
    """The bands of one file, of some pixels."""

    names: tuple[str, ...]
    values: Float[np.ndarray, "pixels layers"]


def layers_of(estimate: Estimate) -> dict[str, Layers]:
    """Return the layers of an estimate by the names of their files."""
    names = estimate.names
    files = {"abundances": Layers(names, estimate.abundances)}
    if estimate.deviations is not None:
        titles = tuple(f"{name}, standard deviation" for name in names)
        files["uncertainty"] = Layers(titles, estimate.deviations)
    residuals = {name: getattr(estimate, field) for name, field in RESIDUALS.items()}
    known = {name: each for name, each in residuals.items() if each is not None}
    if known:
        files["residuals"] = Layers(tuple(known), np.stack([*known.values()], axis=1))
    if estimate.models is not None:
        models = estimate.models.astype(np.float64)
        titles = tuple(f"spectrum {n}" for n in range(1, models.shape[1] + 1))
        files["models"] = Layers(titles, models)
    return files
