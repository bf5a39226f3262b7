"""Preprocessing: scaling and principal components, fitted on some pixels only."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from hsijax.errors import HsijaxError, UsageError, lookup
from hsijax.preprocessing.noise import CONSTANT, noise_fractions

# Spectra that `apply` maps at a time.
TOGETHER = 4096


@dataclass(frozen=True, eq=False)
class Preprocessing:
    """An affine map of spectra: `((x - offset) @ projection - shift) * scale`."""

    offset: Float[np.ndarray, " bands"]
    projection: Float[np.ndarray, "bands channels"] | None  # None: as many as bands
    shift: Float[np.ndarray, " channels"]
    scale: Float[np.ndarray, " channels"]

    @property
    def bands(self) -> int:
        """Bands that a spectrum must have."""
        return len(self.offset)

    @property
    def channels(self) -> int:
        """Channels that come out."""
        return len(self.scale)

    def differences(
        self, steps: Float[np.ndarray, "bonds bands"]
    ) -> Float[np.ndarray, "bonds channels"]:
        """Map differences of spectra to those of their channels."""
        if self.projection is not None:
            steps = steps @ self.projection
        return steps * self.scale


def fit_preprocessing(
    spectra: Float[np.ndarray, "pixels bands"],
    *,
    scaling: str,
    components: int,
    steps: Float[np.ndarray, "bonds bands"] | None = None,
) -> Preprocessing:
    """Fit the map that takes these spectra to a network's input.

    Without components each band is scaled for itself. Principal components are all
    scaled by one factor, so that the first, which holds most of the signal, stays the
    largest: whitening would blow up the noise of the last ones.

    Args:
        spectra: finite; of the training pixels, if the test is to be honest.
        scaling: "standard" for mean 0 and variance 1 (of components: on average),
            "minmax" for a least value of 0 and a largest of 1, "none".
        components: how many principal components to keep; 0 keeps the bands.
        steps: differences of neighbouring pixels (see `neighbour_steps`). If they are
            given, the components are minimum noise fractions: ordered by signal over
            noise, all of the same noise.

    Raises:
        UsageError: there are fewer bands or pixels than components, or no such
            scaling.
        HsijaxError: components of spectra that are all the same.

    >>> spectra = np.array([[1.0], [3.0]])
    >>> fitted = fit_preprocessing(spectra, scaling="minmax", components=0)
    >>> fitted.shift, fitted.scale
    (array([1.]), array([0.5]))
    """
    centre_and_spread = lookup(SCALINGS, scaling, "scaling")
    pixels, bands = spectra.shape
    if not 0 <= components <= min(pixels, bands):
        kind = "principal components" if steps is None else "minimum noise fractions"
        raise UsageError(
            f"cannot keep {components} {kind} of {bands} bands in "
            f"{pixels} pixels; --channels must be {min(pixels, bands)} or less"
        )
    values = spectra.astype(np.float64)
    tiny = CONSTANT * np.abs(values).max(axis=0)
    if not components:
        shift, spread = centre_and_spread(values)
        scale = 1 / np.where(spread > tiny, spread, 1.0)
        return Preprocessing(np.zeros(bands), None, shift, scale)
    if not (np.ptp(values, axis=0) > tiny).any():
        raise HsijaxError(
            f"the {pixels} pixels to take principal components of are all the same"
        )
    offset = values.mean(axis=0)
    if steps is None:
        projection = _principal_components(values - offset, components)
    else:
        projection = noise_fractions(values - offset, steps, components)
    shift, spread = centre_and_spread((values - offset) @ projection)
    # Of spreads the largest keeps "minmax" within 0 to 1.
    common = spread.max() if scaling == "minmax" else np.sqrt(np.mean(spread**2))
    return Preprocessing(offset, projection, shift, np.full(components, 1 / common))


def apply(
    preprocessing: Preprocessing,
    cube: Float[np.ndarray, "rows cols bands"],
    valid: Bool[np.ndarray, "rows cols"],
) -> Float[np.ndarray, "rows cols channels"]:
    """Map every pixel of a cube, in float32; pixels that are not valid become 0.

    A pixel's channels are the same, to the last bit, in whatever cube it lies. Beside
    the result it needs a few megabytes.
    """
    rows, cols, _ = cube.shape
    mapped = np.zeros((rows, cols, preprocessing.channels), dtype=np.float32)
    places = np.flatnonzero(valid)
    flat = mapped.reshape(rows * cols, preprocessing.channels)
    pixels = cube.reshape(rows * cols, preprocessing.bands)
    # Always as many, because sums of products are grouped by the size of the matrix.
    spectra = np.zeros((TOGETHER, preprocessing.bands))
    for start in range(0, len(places), TOGETHER):
        some = places[start : start + TOGETHER]
        spectra[: len(some)] = pixels[some]
        found = spectra - preprocessing.offset
        if preprocessing.projection is not None:
            found = found @ preprocessing.projection
        found -= preprocessing.shift
        found *= preprocessing.scale
        flat[some] = found[: len(some)]
    return mapped


def to_arrays(preprocessing: Preprocessing) -> dict[str, np.ndarray]:
    """Return the arrays that `from_arrays` needs, for a checkpoint."""
    arrays = vars(preprocessing).items()
    return {name: array for name, array in arrays if array is not None}


def from_arrays(arrays: dict[str, np.ndarray]) -> Preprocessing:
    """Rebuild what `to_arrays` took apart."""
    return Preprocessing(
        offset=arrays["offset"],
        projection=arrays.get("projection"),
        shift=arrays["shift"],
        scale=arrays["scale"],
    )


def _principal_components(
    centred: Float[np.ndarray, "pixels bands"], components: int
) -> Float[np.ndarray, "bands components"]:
    """Return the directions of largest variance, the largest entry of each positive."""
    # Here, because it takes 0.6 s that networks of all bands need not spend.
    from sklearn.decomposition import PCA

    # The only solver whose time and memory do not grow with pixels times components;
    # it is exact, where "randomized" depends on a seed.
    pca = PCA(components, svd_solver="covariance_eigh").fit(centred)
    return np.asarray(pca.components_).T


Spread = tuple[Float[np.ndarray, " channels"], Float[np.ndarray, " channels"]]


def _mean_and_deviation(values: Float[np.ndarray, "pixels channels"]) -> Spread:
    return values.mean(axis=0), values.std(axis=0)


def _least_and_range(values: Float[np.ndarray, "pixels channels"]) -> Spread:
    least = values.min(axis=0)
    return least, values.max(axis=0) - least


def _zero_and_one(values: Float[np.ndarray, "pixels channels"]) -> Spread:
    channels = values.shape[1]
    return np.zeros(channels), np.ones(channels)


SCALINGS = {
    "standard": _mean_and_deviation,
    "minmax": _least_and_range,
    "none": _zero_and_one,
}
