"""Counts how often a network's function is evaluated, forward and backward."""

import threading
from collections.abc import Callable
from typing import Any

import jax
from flax import nnx
from jaxtyping import Array, Float

from hsijax.models.blocks import Block, OdeBlock


class Tally:
    """Evaluations of the block's function by a program, times patches.

    Call `jax.effects_barrier()` before reading: the program counts while it runs.
    """

    def __init__(self) -> None:
        self.forward = 0  # applications of the function, recomputed ones included
        self.backward = 0  # applications of its transposed derivative
        self._lock = threading.Lock()

    def add(self, direction: str, patches: int) -> None:
        """Count one application to some patches."""
        with self._lock:
            setattr(self, direction, getattr(self, direction) + patches)


class Counted(nnx.Module):
    """A function of patches that is tallied, and changed in nothing else."""

    def __init__(self, inner: Callable[..., Array], tally: Tally):
        self.inner = inner
        self.tally = nnx.static(tally)

    def __call__(self, *inputs: Any) -> Float[Array, "batch side side maps"]:
        """Return what the function returns."""
        return _tallied(self.inner(*inputs), self.tally)


def tally_evaluations(block: Block, *, stand_in: bool = False) -> Tally:
    """Wrap a block's function, and return what will count its evaluations.

    In the continuous block that is the field f of dh/dt = f(h), in the others the
    residual unit.

    Args:
        block: changed in place.
        stand_in: put a trivial function in the place of the block's, which compiles at
            once. Without adaptive steps it is evaluated as often.
    """
    tally = Tally()

    def wrap(function: Callable[..., Array]) -> Any:
        return Counted(_halve if stand_in else function, tally)

    if isinstance(block, OdeBlock):
        block.field = wrap(block.field)
    else:
        block.units = nnx.List(wrap(unit) for unit in block.units)
    return tally


def _halve(*inputs: Any) -> Float[Array, "batch side side maps"]:
    """Stand in for f(t, hidden, args) or a unit of hidden."""
    (hidden,) = (value for value in inputs if getattr(value, "ndim", 0) == 4)
    return hidden / 2


def _tallied(
    hidden: Float[Array, "batch side side maps"], tally: Tally
) -> Float[Array, "batch side side maps"]:
    """Return the values unchanged; count whenever they, or their gradient, pass."""

    def count(direction: str, passing: Array) -> None:
        # The value is passed on, so that no loop drops a count as a constant of its
        # own; under `vmap` each patch is counted for itself.
        jax.debug.callback(
            lambda _: tally.add(direction, len(hidden)), passing[0, 0, 0, 0]
        )

    @jax.custom_vjp
    def identity(hidden: Array) -> Array:
        count("forward", hidden)
        return hidden

    def forward(hidden: Array) -> tuple[Array, None]:
        return identity(hidden), None

    def backward(_: None, gradient: Array) -> tuple[Array]:
        count("backward", gradient)
        return (gradient,)

    identity.defvjp(forward, backward)
    return identity(hidden)
