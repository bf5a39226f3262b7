"""What sits in the middle of a network: the continuous block and its rivals.

All keep the shape of their input, 64 maps in and out. `evaluations` is how often a
block applies its learned function to each patch, which is what it costs.
"""

from collections.abc import Callable
from dataclasses import dataclass

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Int

from hsijax.config import OdeSolver
from hsijax.models.layers import Convolution, GroupNorm, norm_relu
from hsijax.models.ode import check_solver, count_field_calls, integrate

MAPS = 64


@dataclass(frozen=True)
class BlockStyle:
    """What the frame around a block decides about it."""

    groups: int  # of each group norm
    starts_at_identity: bool


class Field(nnx.Module):
    """The right-hand side f of dh/dt = f(h): 74,112 parameters, and no time input."""

    def __init__(self, style: BlockStyle, *, rngs: nnx.Rngs):
        zero = style.starts_at_identity
        self.norm1 = GroupNorm(MAPS, style.groups)
        self.conv1 = Convolution(MAPS, MAPS, rngs=rngs)
        self.norm2 = GroupNorm(MAPS, style.groups)
        self.conv2 = Convolution(MAPS, MAPS, rngs=rngs)
        self.norm3 = GroupNorm(MAPS, style.groups, zero_scale=zero)

    def __call__(
        self, t: object, hidden: Float[Array, "batch side side maps"], args: object
    ) -> Float[Array, "batch side side maps"]:
        """Return dh/dt; t and args are there for the solvers."""
        hidden = self.conv1(norm_relu(self.norm1, hidden))
        hidden = self.conv2(norm_relu(self.norm2, hidden))
        return self.norm3(hidden)


class OdeBlock(nnx.Module):
    """The solution of dh/dt = f(h) at t = 1 from h(0) = the stem's features (Eq. 4)."""

    def __init__(self, solver: OdeSolver, style: BlockStyle, *, rngs: nnx.Rngs):
        check_solver(solver)
        self.solver = solver
        self.field = Field(style, rngs=rngs)

    def __call__(
        self, hidden: Float[Array, "batch side side maps"]
    ) -> Float[Array, "batch side side maps"]:
        """Return h(1)."""
        return integrate(self.field, hidden, self.solver)

    def evaluations(
        self, hidden: Float[Array, "batch side side maps"]
    ) -> Int[Array, " batch"]:
        """Count the calls of f in one forward solve."""
        return count_field_calls(self.field, hidden, self.solver)


class ResidualUnit(nnx.Module):
    """h + F(h) (Eq. 2), pre-activated, with an identity shortcut: 73,984 parameters."""

    def __init__(self, style: BlockStyle, *, rngs: nnx.Rngs):
        zero = style.starts_at_identity
        self.norm1 = GroupNorm(MAPS, style.groups)
        self.conv1 = Convolution(MAPS, MAPS, rngs=rngs)
        self.norm2 = GroupNorm(MAPS, style.groups)
        # A unit ends in a convolution, not a norm. Its kernel is what can be zero: a
        # zero scale before the ReLU would never get a gradient.
        self.conv2 = Convolution(MAPS, MAPS, zero_kernel=zero, rngs=rngs)

    def __call__(
        self, hidden: Float[Array, "batch side side maps"]
    ) -> Float[Array, "batch side side maps"]:
        """Return the features after one unit."""
        residual = self.conv1(norm_relu(self.norm1, hidden))
        return hidden + self.conv2(norm_relu(self.norm2, residual))


class ResidualBlock(nnx.Module):
    """`units` residual units in a row, each applied `repeats` times."""

    def __init__(
        self, style: BlockStyle, units: int, repeats: int = 1, *, rngs: nnx.Rngs
    ):
        self.repeats = repeats
        self.units = nnx.List(ResidualUnit(style, rngs=rngs) for _ in range(units))

    def __call__(
        self, hidden: Float[Array, "batch side side maps"]
    ) -> Float[Array, "batch side side maps"]:
        """Return the features after the last unit."""
        for unit in self.units:
            for _ in range(self.repeats):
                hidden = unit(hidden)
        return hidden

    def evaluations(
        self, hidden: Float[Array, "batch side side maps"]
    ) -> Int[Array, " batch"]:
        """Count the applications of a unit."""
        return jnp.full(hidden.shape[0], len(self.units) * self.repeats)


Block = OdeBlock | ResidualBlock


def _odenet(solver: OdeSolver, style: BlockStyle, rngs: nnx.Rngs) -> OdeBlock:
    return OdeBlock(solver, style, rngs=rngs)


def _resnet(solver: OdeSolver, style: BlockStyle, rngs: nnx.Rngs) -> ResidualBlock:
    return ResidualBlock(style, 6, rngs=rngs)


def _resnet_tied(solver: OdeSolver, style: BlockStyle, rngs: nnx.Rngs) -> ResidualBlock:
    return ResidualBlock(style, 1, repeats=6, rngs=rngs)


def _resnet1(solver: OdeSolver, style: BlockStyle, rngs: nnx.Rngs) -> ResidualBlock:
    return ResidualBlock(style, 1, rngs=rngs)


def _no_block(solver: OdeSolver, style: BlockStyle, rngs: nnx.Rngs) -> ResidualBlock:
    return ResidualBlock(style, 0, rngs=rngs)


BLOCKS: dict[str, Callable[[OdeSolver, BlockStyle, nnx.Rngs], Block]] = {
    "odenet": _odenet,
    "resnet": _resnet,  # six units, as in the paper
    "resnet-tied": _resnet_tied,  # one unit six times: Euler with six unit steps
    "resnet1": _resnet1,  # as many parameters as the continuous block, but for 128
    "no-block": _no_block,
}
