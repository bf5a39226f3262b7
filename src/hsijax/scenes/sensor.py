"""What the numbers of a scene stand for: its bands and its scale."""

import logging
from dataclasses import dataclass
from math import isclose

import numpy as np
from jaxtyping import Bool, Float

from hsijax.scenes.gaussian_bands import known_widths, spacing
from hsijax.scenes.scene import Scene

log = logging.getLogger("hsijax")


@dataclass(frozen=True, eq=False)
class Sensor:
    """The bands of a scene, and its scale; what a classifier keeps of it."""

    good_bands: Bool[np.ndarray, " bands"]
    wavelengths: Float[np.ndarray, " bands"] | None = None  # nm
    fwhm: Float[np.ndarray, " bands"] | None = None  # nm
    scale: float | None = None  # reflectance is the values divided by it
    dtype: str | None = None  # in which they are stored
    path: str | None = None  # of the cube

    @classmethod
    def of(cls, scene: Scene) -> "Sensor":
        """Return that of a scene."""
        return cls(
            scene.good_bands,
            scene.wavelengths,
            scene.fwhm,
            scene.scale,
            scene.cube.dtype.name,
            str(scene.source.path.absolute()),
        )

    @property
    def has_widths(self) -> bool:
        """Whether the FWHM of all good bands is known."""
        return known_widths(self.fwhm, self.good_bands) is not None

    @property
    def widths(self) -> Float[np.ndarray, " bands"]:
        """FWHM of the bands in nm, or how far they lie apart where it is not known."""
        assert self.wavelengths is not None
        known = known_widths(self.fwhm, self.good_bands)
        return spacing(self.wavelengths) if known is None else known

    @property
    def span(self) -> str:
        """From where to where the wavelengths reach, for messages."""
        if self.wavelengths is None:
            return ""
        return f" ({self.wavelengths.min():.0f} to {self.wavelengths.max():.0f} nm)"


def find_factor(own: Sensor, sensor: Sensor, name: str) -> float:
    """Return what values are to be multiplied by to have another sensor's scale.

    It is 1 where one of the scales is unknown; that is said, and so is any other.

    Args:
        own: of the values.
        sensor: of the scene that a classifier was trained on.
        name: of the scene that has the values.
    """
    if own.scale is not None and sensor.scale is not None:
        factor = sensor.scale / own.scale
        if isclose(factor, 1, rel_tol=1e-5):  # a file may hold it in float32
            return 1.0
        log.info(
            "note: %s is multiplied by %g: reflectance 1 is %g in it, and %g in the "
            "run's scene",
            *(name, factor, own.scale, sensor.scale),
        )
        return factor
    kinds = {np.dtype(each.dtype).kind for each in (own, sensor) if each.dtype}
    if own.scale != sensor.scale or ("f" in kinds and len(kinds) > 1):
        log.warning(
            "reflectance 1 is %s in the run's scene and %s in %s: its values are taken "
            "as they are; --scale, of train and of map, says what stands for "
            "reflectance 1",
            *(_scale_of(sensor), _scale_of(own), name),
        )
    return 1.0


def _scale_of(sensor: Sensor) -> str:
    """Say what the scale is.

    >>> _scale_of(Sensor(np.ones(3, bool), scale=1e4, dtype="int16"))
    '10000'
    >>> _scale_of(Sensor(np.ones(3, bool), dtype="int16"))
    'unknown (int16)'
    """
    if sensor.scale is not None:
        return f"{sensor.scale:g}"
    return f"unknown ({sensor.dtype})" if sensor.dtype else "unknown"
