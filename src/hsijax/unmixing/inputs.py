"""What the dense networks and the SVM see of a cube: spectra, normalised and scaled."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from hsijax.config import UnmixConfig
from hsijax.errors import HsijaxError
from hsijax.preprocessing import (
    Preprocessing,
    apply,
    fit_preprocessing,
    from_arrays,
)
from hsijax.unmixing.lesson import Lesson
from hsijax.unmixing.normalise import normalise


@dataclass(frozen=True, eq=False)
class Inputs:
    """The map from a pixel's reflectance to the channels that a method is shown."""

    norm: str
    preprocessing: Preprocessing

    def at(
        self,
        cube: Float[np.ndarray, "rows cols bands"],
        pixels: Int[np.ndarray, "pixels 2"],
    ) -> Float[np.ndarray, "pixels channels"]:
        """Return the channels of some pixels, float32.

        Raises:
            HsijaxError: the cube has other bands than those that the map was fitted to.
        """
        if cube.shape[2] != self.preprocessing.bands:
            raise HsijaxError(
                f"the method was trained on {self.preprocessing.bands} bands, the cube "
                f"has {cube.shape[2]}"
            )
        spectra = normalise(values_at(cube, pixels), self.norm)
        return scale(self.preprocessing, spectra)


def fit_inputs(config: UnmixConfig, lesson: Lesson, components: int = 0) -> Inputs:
    """Fit the map on the training pixels; 0 components keep the bands."""
    spectra = normalise(values_at(lesson.cube, lesson.train), config.norm)
    fitted = fit_preprocessing(spectra, scaling=config.scaling, components=components)
    return Inputs(config.norm, fitted)


def scale(
    preprocessing: Preprocessing, spectra: Float[np.ndarray, "pixels bands"]
) -> Float[np.ndarray, "pixels channels"]:
    """Apply a map to spectra that are in no image."""
    everywhere = np.ones((len(spectra), 1), dtype=bool)
    return apply(preprocessing, spectra[:, None], everywhere)[:, 0]


def restore_preprocessing(
    saved: Mapping[str, np.ndarray], prefix: str
) -> Preprocessing:
    """Rebuild a map from those of a checkpoint's arrays that start with `prefix`."""
    return from_arrays(
        {
            name.removeprefix(prefix): array
            for name, array in saved.items()
            if name.startswith(prefix)
        }
    )


def values_at(
    image: Float[np.ndarray, "rows cols values"], pixels: Int[np.ndarray, "pixels 2"]
) -> Float[np.ndarray, "pixels values"]:
    """Return the values of some pixels.

    >>> values_at(np.array([[[1.0], [2.0]]]), np.array([[0, 1]]))
    array([[2.]])
    """
    return image[pixels[:, 0], pixels[:, 1]]
