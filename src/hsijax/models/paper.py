"""The published frame around the block: 232,080 parameters with the ODE, one channel.

Source:
    Paoletti et al., "Solving deep neural networks with ordinary differential equations
    for remotely sensed hyperspectral image classification", IGARSS 2019, Fig. 1; what
    it leaves open follows from the parameter counts of its Table 1.
"""

from typing import ClassVar

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from hsijax.errors import UsageError
from hsijax.models.blocks import MAPS, BlockStyle
from hsijax.models.layers import (
    Convolution,
    GroupNorm,
    Pointwise,
    kernel_init,
    norm_relu,
)

BLOCK = BlockStyle(groups=32, starts_at_identity=False)


class Stem(nnx.Module):
    """Convolution, then two residual blocks that halve the side: 640 + 2 x 78,080."""

    pointwise: ClassVar[bool] = False  # whether pixels are looked at one by one

    def __init__(self, channels: int, *, rngs: nnx.Rngs):
        self.conv = Convolution(channels, MAPS, padding=0, bias=True, rngs=rngs)
        self.down1 = DownSampling(rngs=rngs)
        self.down2 = DownSampling(rngs=rngs)

    def __call__(
        self, patches: Float[Array, "batch side side channels"]
    ) -> Float[Array, "batch small small maps"]:
        """Return low-level features."""
        if patches.shape[1] < 3:  # the convolution is valid
            raise UsageError(
                f"patches of side {patches.shape[1]} are too small for the paper's "
                "network: give an odd --patch of at least 3"
            )
        return self.down2(self.down1(self.conv(patches)))


class DownSampling(nnx.Module):
    """A pre-activated residual block of stride 2; the shortcut is activated too."""

    def __init__(self, *, rngs: nnx.Rngs):
        self.norm1 = GroupNorm(MAPS, BLOCK.groups)
        self.conv1 = Convolution(MAPS, MAPS, stride=2, rngs=rngs)
        self.norm2 = GroupNorm(MAPS, BLOCK.groups)
        self.conv2 = Convolution(MAPS, MAPS, rngs=rngs)
        self.shortcut = Pointwise(MAPS, MAPS, stride=2, rngs=rngs)

    def __call__(
        self, hidden: Float[Array, "batch side side maps"]
    ) -> Float[Array, "batch half half maps"]:
        """Return features at half the side, rounded up."""
        activated = norm_relu(self.norm1, hidden)
        residual = self.conv2(norm_relu(self.norm2, self.conv1(activated)))
        return self.shortcut(activated) + residual


class Head(nnx.Module):
    """GroupNorm, ReLU, global average pooling, linear: 1,168 for 16 classes."""

    def __init__(self, classes: int, dropout: float, *, rngs: nnx.Rngs):
        self.norm = GroupNorm(MAPS, BLOCK.groups)
        self.dropout = nnx.Dropout(dropout)
        self.linear = nnx.Linear(MAPS, classes, kernel_init=kernel_init, rngs=rngs)

    def __call__(
        self,
        hidden: Float[Array, "batch side side maps"],
        *,
        rngs: nnx.Rngs | None = None,
    ) -> Float[Array, "batch classes"]:
        """Return class logits."""
        pooled = jnp.mean(norm_relu(self.norm, hidden), axis=(1, 2))
        return self.linear(self.dropout(pooled, rngs=rngs))
