"""What a classifier sees of a scene: scaled, as components, diffused."""

import logging
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from hsijax.config import TrainConfig
from hsijax.preprocessing.affine import (
    Preprocessing,
    apply,
    fit_preprocessing,
    from_arrays,
    to_arrays,
)
from hsijax.preprocessing.diffusion import GUIDE, Diffusion, diffuse, fit_diffusion
from hsijax.preprocessing.noise import neighbour_steps
from hsijax.scenes import Scene
from hsijax.scenes.tiles import Window, whole_window
from hsijax.splits import neighbourhood

log = logging.getLogger("hsijax")


@dataclass(frozen=True)
class Inputs:
    """How a cube becomes channels."""

    preprocessing: Preprocessing
    diffusion: Diffusion | None

    @property
    def channels(self) -> int:
        """Channels that come out."""
        times = len(self.diffusion.times) if self.diffusion else 1
        return self.preprocessing.channels * times

    def apply(
        self,
        cube: Float[np.ndarray, "rows cols bands"],
        valid: Bool[np.ndarray, "rows cols"],
        region: Bool[np.ndarray, "rows cols"] | None = None,
    ) -> Float[np.ndarray, "rows cols channels"]:
        """Map every pixel of a cube, in float32; pixels that are not valid become 0.

        Args:
            cube: of the bands that it was fitted to.
            valid: pixels that have data.
            region: pixels that diffusion keeps apart from all others; None for none.
        """
        return self.flow(apply(self.preprocessing, cube, valid), valid, region)

    def read(
        self, scene: Scene, window: Window | None = None
    ) -> tuple[Float[np.ndarray, "rows cols channels"], Bool[np.ndarray, "rows cols"]]:
        """Read a scene, or a window of it, as the channels that are yet to flow.

        The cube itself is never in memory, only some rows of it at a time.

        Returns:
            The channels, and which pixels have data.

        Raises:
            HsijaxError: a valid pixel holds NaN or an infinite number.
        """
        size = (window or whole_window(scene.shape)).shape
        channels = np.empty((*size, self.preprocessing.channels), np.float32)
        valid = np.empty(size, bool)
        for rows, block, good in scene.clean_blocks(window):
            channels[rows] = apply(self.preprocessing, block, good)
            valid[rows] = good
        return channels, valid

    def flow(
        self,
        channels: Float[np.ndarray, "rows cols channels"],
        valid: Bool[np.ndarray, "rows cols"],
        region: Bool[np.ndarray, "rows cols"] | None = None,
    ) -> Float[np.ndarray, "rows cols features"]:
        """Let preprocessed channels diffuse, if they are to; see `apply`."""
        if self.diffusion is None:
            return channels
        return diffuse(channels, valid, self.diffusion, region)

    def arrays(self) -> dict[str, Any]:
        """Return the arrays that `from_saved` needs, for a checkpoint."""
        return to_arrays(self.preprocessing)

    def described(self) -> dict[str, Any] | None:
        """Return the rest of it as plain values."""
        return asdict(self.diffusion) if self.diffusion else None

    @classmethod
    def from_saved(
        cls, arrays: dict[str, np.ndarray], described: dict[str, Any] | None
    ) -> "Inputs":
        """Rebuild what `arrays` and `described` took apart."""
        diffusion = None
        if described:
            times = tuple(described["times"])
            diffusion = Diffusion(times, described["width"], described["guide"])
        return cls(from_arrays(arrays), diffusion)


def fit_inputs(
    cube: Float[np.ndarray, "rows cols bands"],
    valid: Bool[np.ndarray, "rows cols"],
    chosen: Bool[np.ndarray, "rows cols"],
    config: TrainConfig,
) -> Inputs:
    """Fit scaling, components and diffusion to some pixels of a scene.

    Noise and diffusion are fitted to the patches around these pixels, because it takes
    neighbours to tell what is noise and what an edge.

    Args:
        cube: of the bands to use.
        valid: pixels that have data.
        chosen: pixels to look at; valid ones.
        config: the settings of it.

    Raises:
        UsageError: there are fewer bands or pixels than components.
        HsijaxError: components of spectra that are all the same.
    """
    fractions = config.components == "mnf"
    kept = config.kept_components(cube.shape[2])
    around = neighbourhood(chosen, config.fitted_patch // 2) & valid
    steps = None
    if fractions or config.times:
        steps = neighbour_steps(cube, around)
        if fractions and len(steps) < 2 * cube.shape[2]:
            log.warning(
                "the noise of %d bands is fitted to half of %d pairs of neighbours, "
                "too few to know it: take more training pixels, or --components pca",
                *(cube.shape[2], len(steps)),
            )
    preprocessing = fit_preprocessing(
        cube[around if fractions else chosen],
        scaling=config.scaling,
        components=kept,
        steps=steps if fractions else None,
    )
    if steps is None or not config.times:
        return Inputs(preprocessing, None)
    seen = preprocessing.differences(steps)
    # Components stand in the order of what they show, bands do not.
    guide = GUIDE if kept else seen.shape[1]
    return Inputs(
        preprocessing,
        fit_diffusion(seen, times=config.times, edges=config.edges, guide=guide),
    )
