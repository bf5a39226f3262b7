"""The 3-D CNN: two small 3-D convolutions, without pooling."""

import jax
from flax import nnx
from jaxtyping import Array, Float

from hsijax.errors import UsageError
from hsijax.models.opponents.along_bands import AlongBands, neighbourhoods

MAPS = (2, 4)
TAPS = (7, 3)  # of the kernels along the spectrum; 3x3 in space
LOST = sum(TAPS) - len(TAPS)  # bands


class Cnn3d(nnx.Module):
    """The layers C1 (two kernels 3x3x7), C2 (four kernels 3x3x3) and F.

    Source:
        Li, Zhang and Shen, "Spectral-spatial classification of hyperspectral imagery
        with 3D convolutional neural network", Remote Sensing 9 (1), 2017.
        doi:10.3390/rs9010067
    """

    def __init__(
        self, channels: int, classes: int, patch: int, dropout: float, *, rngs: nnx.Rngs
    ):
        if patch < 5:
            raise UsageError(f"3d-cnn needs --patch 5 or more, not {patch}")
        if channels <= LOST:
            raise UsageError(
                f"3d-cnn needs {LOST + 1} bands or more, and gets {channels}: give "
                "another --model"
            )
        self.conv1 = AlongBands(TAPS[0], 9, MAPS[0], rngs=rngs)
        self.conv2 = AlongBands(TAPS[1], 9 * MAPS[0], MAPS[1], rngs=rngs)
        features = (patch - 4) ** 2 * (channels - LOST) * MAPS[1]
        self.output = nnx.Linear(features, classes, rngs=rngs)

    def __call__(
        self,
        patches: Float[Array, "batch side side channels"],
        *,
        rngs: nnx.Rngs | None = None,
    ) -> Float[Array, "batch classes"]:
        """Return class logits."""
        maps = jax.nn.relu(_convolve(self.conv1, patches[..., None]))
        maps = jax.nn.relu(_convolve(self.conv2, maps))
        return self.output(maps.reshape(len(maps), -1))


def _convolve(
    convolution: AlongBands, maps: Float[Array, "batch side side bands channels"]
) -> Float[Array, "batch inner inner newbands maps"]:
    """Apply a 3-D convolution that has its 3x3 pixels as channels."""
    seen = neighbourhoods(maps)
    filtered = convolution(seen.reshape(-1, *seen.shape[3:]))
    return filtered.reshape(*seen.shape[:3], *filtered.shape[1:])
