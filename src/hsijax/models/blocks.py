"""What sits in the middle of a network: the continuous block and its rivals.

All keep the shape of their input, 64 maps in and out. `evaluations` is how often a
block applies its learned function to each patch, which is what it costs.
"""

from collections.abc import Callable

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Int

from hsijax.config import OdeSolver
from hsijax.devices import prefers_unrolled_loops
from hsijax.models.layers import Convolution, GroupNorm, norm_relu
from hsijax.models.ode import check_solver, count_field_calls, integrate, solves_in_loop

MAPS = 64


class Field(nnx.Module):
    """The right-hand side f of dh/dt = f(h): 74,112 parameters, and no time input."""

    def __init__(self, *, as_product: bool, starts_at_zero: bool, rngs: nnx.Rngs):
        self.norm1 = GroupNorm(MAPS)
        self.conv1 = Convolution(MAPS, MAPS, as_product=as_product, rngs=rngs)
        self.norm2 = GroupNorm(MAPS)
        self.conv2 = Convolution(MAPS, MAPS, as_product=as_product, rngs=rngs)
        self.norm3 = GroupNorm(MAPS, zero_scale=starts_at_zero)

    def __call__(
        self, t: object, hidden: Float[Array, "batch side side maps"], args: object
    ) -> Float[Array, "batch side side maps"]:
        """Return dh/dt; t and args are there for the solvers."""
        hidden = self.conv1(norm_relu(self.norm1, hidden))
        hidden = self.conv2(norm_relu(self.norm2, hidden))
        return self.norm3(hidden)


class OdeBlock(nnx.Module):
    """The solution of dh/dt = f(h) at t = 1 from h(0) = the stem's features (Eq. 4)."""

    def __init__(self, solver: OdeSolver, *, starts_at_identity: bool, rngs: nnx.Rngs):
        check_solver(solver)
        self.solver = solver
        self.field = Field(
            as_product=solves_in_loop(solver) and prefers_unrolled_loops(),
            starts_at_zero=starts_at_identity,
            rngs=rngs,
        )

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

    def __init__(self, *, starts_at_zero: bool, rngs: nnx.Rngs):
        self.norm1 = GroupNorm(MAPS)
        self.conv1 = Convolution(MAPS, MAPS, rngs=rngs)
        self.norm2 = GroupNorm(MAPS)
        # A unit ends in a convolution, not a norm. Its kernel is what can be zero: a
        # zero scale before the ReLU would never get a gradient.
        self.conv2 = Convolution(MAPS, MAPS, zero_kernel=starts_at_zero, rngs=rngs)

    def __call__(
        self, hidden: Float[Array, "batch side side maps"]
    ) -> Float[Array, "batch side side maps"]:
        """Return the features after one unit."""
        residual = self.conv1(norm_relu(self.norm1, hidden))
        return hidden + self.conv2(norm_relu(self.norm2, residual))


class ResidualBlock(nnx.Module):
    """`units` residual units in a row, each applied `repeats` times."""

    def __init__(
        self,
        units: int,
        repeats: int = 1,
        *,
        starts_at_identity: bool,
        rngs: nnx.Rngs,
    ):
        self.repeats = repeats
        self.units = nnx.List(
            ResidualUnit(starts_at_zero=starts_at_identity, rngs=rngs)
            for _ in range(units)
        )

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


def _odenet(solver: OdeSolver, identity: bool, rngs: nnx.Rngs) -> OdeBlock:
    return OdeBlock(solver, starts_at_identity=identity, rngs=rngs)


def _resnet(solver: OdeSolver, identity: bool, rngs: nnx.Rngs) -> ResidualBlock:
    return ResidualBlock(6, starts_at_identity=identity, rngs=rngs)


def _resnet_tied(solver: OdeSolver, identity: bool, rngs: nnx.Rngs) -> ResidualBlock:
    return ResidualBlock(1, repeats=6, starts_at_identity=identity, rngs=rngs)


def _resnet1(solver: OdeSolver, identity: bool, rngs: nnx.Rngs) -> ResidualBlock:
    return ResidualBlock(1, starts_at_identity=identity, rngs=rngs)


def _no_block(solver: OdeSolver, identity: bool, rngs: nnx.Rngs) -> ResidualBlock:
    return ResidualBlock(0, starts_at_identity=identity, rngs=rngs)


# Called as make(solver, starts at the identity, rngs).
BLOCKS: dict[str, Callable[[OdeSolver, bool, nnx.Rngs], OdeBlock | ResidualBlock]] = {
    "odenet": _odenet,
    "resnet": _resnet,  # six units, as in the paper
    "resnet-tied": _resnet_tied,  # one unit six times: Euler with six unit steps
    "resnet1": _resnet1,  # as many parameters as the continuous block, but for 128
    "no-block": _no_block,
}
