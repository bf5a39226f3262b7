"""The auto-associative network (AANN): nonlinear principal components.

Source:
    Licciardi and Del Frate, "Pixel unmixing in hyperspectral data by means of neural
    networks", IEEE TGRS 49(11), 2011, pages 4163 to 4172. The kinds of the
    five layers are those of Kramer, "Nonlinear principal component analysis using
    autoassociative neural networks", AIChE Journal 37(2), 1991, on which it builds.
"""

from dataclasses import dataclass

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from hsijax.models.abundance_head import AbundanceHead
from hsijax.models.layers import kernel_init


class AutoAssociator(nnx.Module):
    """Channels, `width`, `components`, `width`, channels: learns to repeat its input.

    The mapping and the demapping layer are hyperbolic tangents, the bottleneck between
    them and the output are linear.
    """

    def __init__(
        self, channels: int, *, width: int, components: int, rngs: nnx.Rngs
    ) -> None:
        self.mapping = nnx.Linear(channels, width, kernel_init=kernel_init, rngs=rngs)
        self.bottleneck = nnx.Linear(
            width, components, kernel_init=kernel_init, rngs=rngs
        )
        self.demapping = nnx.Linear(
            components, width, kernel_init=kernel_init, rngs=rngs
        )
        self.output = nnx.Linear(width, channels, kernel_init=kernel_init, rngs=rngs)

    def encode(
        self, inputs: Float[Array, "batch channels"]
    ) -> Float[Array, "batch components"]:
        """Return the values of the bottleneck."""
        return self.bottleneck(jnp.tanh(self.mapping(inputs)))

    def __call__(
        self, inputs: Float[Array, "batch channels"]
    ) -> Float[Array, "batch channels"]:
        """Return what the network makes of its input."""
        return self.output(jnp.tanh(self.demapping(self.encode(inputs))))


@dataclass(frozen=True)
class AssociatorBlueprint:
    """What the first network is built from."""

    channels: int
    width: int
    components: int

    def build(self, rngs: nnx.Rngs) -> AutoAssociator:
        """Build the network."""
        return AutoAssociator(
            self.channels, width=self.width, components=self.components, rngs=rngs
        )


@dataclass(frozen=True)
class HeadBlueprint:
    """What the second network is built from."""

    components: int
    width: int
    endmembers: int
    output: str

    def build(self, rngs: nnx.Rngs) -> AbundanceHead:
        """Build the network, of one hidden layer."""
        return AbundanceHead(
            self.components,
            self.endmembers,
            hidden=self.width,
            output=self.output,
            rngs=rngs,
        )
