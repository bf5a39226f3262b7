"""What every network is: three parts in a row, from patches to class logits."""

from typing import ClassVar

import jax
from flax import nnx
from jaxtyping import Array, Float

from hsijax.models.blocks import Block


class Classifier(nnx.Module):
    """A network from square patches to class logits, one patch for each pixel.

    The three parts are those of Fig. 1 of Paoletti et al.: `stem` extracts low-level
    features, `block` transforms them at constant shape (the ODE solver, or residual
    units in its place), `head` classifies.
    """

    def __init__(self, stem: nnx.Module, block: Block, head: nnx.Module):
        self.stem = stem
        self.block = block
        self.head = head

    def __call__(
        self,
        patches: Float[Array, "batch side side channels"],
        *,
        rngs: nnx.Rngs | None = None,
    ) -> Float[Array, "batch classes"]:
        """Return class logits; `rngs` is needed only while training with dropout."""
        return self.head(self.block(self.stem(patches)), rngs=rngs)


class SamePixels(nnx.Module):
    """A stem that does nothing, for a network that is a head alone."""

    pointwise: ClassVar[bool] = True  # whether pixels are looked at one by one

    def __init__(self, channels: int, *, rngs: nnx.Rngs):
        self.maps = channels

    def __call__(
        self, patches: Float[Array, "batch rows cols channels"]
    ) -> Float[Array, "batch rows cols channels"]:
        """Return the patches, or the scene, as they are."""
        return patches


def count_parameters(module: nnx.Module) -> int:
    """Number of trainable values.

    >>> count_parameters(nnx.Linear(64, 16, rngs=nnx.Rngs(0)))
    1040
    """
    return sum(leaf.size for leaf in jax.tree.leaves(nnx.state(module, nnx.Param)))
