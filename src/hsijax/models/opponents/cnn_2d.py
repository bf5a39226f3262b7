"""The 2-D CNN: two convolutions over the first principal components of a patch."""

import jax
from flax import nnx
from jaxtyping import Array, Float

from hsijax.errors import UsageError
from hsijax.models.layers import Convolution

MAPS, HIDDEN = (30, 90), 60  # of ten components: 3, 9 and 6 times as many


class Cnn2d(nnx.Module):
    """Two 3x3 convolutions without pooling, then a perceptron of one hidden layer.

    Source:
        Makantasis et al., "Deep supervised learning for hyperspectral data
        classification through convolutional neural networks", IGARSS 2015.
        doi:10.1109/IGARSS.2015.7326945
    """

    def __init__(
        self, channels: int, classes: int, patch: int, dropout: float, *, rngs: nnx.Rngs
    ):
        if patch < 5:
            raise UsageError(f"2d-cnn needs --patch 5 or more, not {patch}")
        self.conv1 = Convolution(channels, MAPS[0], padding=0, bias=True, rngs=rngs)
        self.conv2 = Convolution(MAPS[0], MAPS[1], padding=0, bias=True, rngs=rngs)
        self.hidden = nnx.Linear((patch - 4) ** 2 * MAPS[1], HIDDEN, rngs=rngs)
        self.output = nnx.Linear(HIDDEN, classes, rngs=rngs)

    def __call__(
        self,
        patches: Float[Array, "batch side side channels"],
        *,
        rngs: nnx.Rngs | None = None,
    ) -> Float[Array, "batch classes"]:
        """Return class logits."""
        maps = jax.nn.relu(self.conv1(patches))
        maps = jax.nn.relu(self.conv2(maps))
        hidden = jax.nn.relu(self.hidden(maps.reshape(len(maps), -1)))
        return self.output(hidden)
