"""The 1-D CNN: one convolution along a pixel's spectrum and one hidden layer."""

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from hsijax.errors import UsageError
from hsijax.models.opponents.along_bands import AlongBands

MAPS, HIDDEN = 20, 100
LONGEST = 40  # bands after the pooling


class Cnn1d(nnx.Module):
    """Input, convolution C1, pooling M2, full connection F3, output: five layers.

    Kernels are a ninth of the spectrum long, and the pooling leaves up to 40 values.

    Source:
        Hu et al., "Deep convolutional neural networks for hyperspectral image
        classification", Journal of Sensors 2015, Sec. 2. doi:10.1155/2015/258619
    """

    def __init__(
        self, channels: int, classes: int, patch: int, dropout: float, *, rngs: nnx.Rngs
    ):
        if patch != 1:
            raise UsageError(f"1d-cnn sees one pixel: leave out --patch {patch}")
        taps = max(1, channels // 9)
        filtered = channels - taps + 1
        self.pool = -(-filtered // LONGEST)
        pooled = -(-filtered // self.pool)
        self.convolution = AlongBands(taps, 1, MAPS, rngs=rngs)
        self.hidden = nnx.Linear(pooled * MAPS, HIDDEN, rngs=rngs)
        self.output = nnx.Linear(HIDDEN, classes, rngs=rngs)

    def __call__(
        self,
        patches: Float[Array, "batch 1 1 channels"],
        *,
        rngs: nnx.Rngs | None = None,
    ) -> Float[Array, "batch classes"]:
        """Return class logits."""
        spectra = patches[:, 0, 0, :, None]
        filtered = jnp.tanh(self.convolution(spectra))
        # The last window may reach beyond the spectrum, so that no band is lost; -1 is
        # the least that tanh gives.
        beyond = (0, -filtered.shape[1] % self.pool)
        filled = jnp.pad(filtered, ((0, 0), beyond, (0, 0)), constant_values=-1.0)
        pooled = filled.reshape(len(filled), -1, self.pool, MAPS).max(axis=2)
        hidden = jnp.tanh(self.hidden(pooled.reshape(len(pooled), -1)))
        return self.output(hidden)
