"""The end of both unmixing networks: F10, F11 and equation (1), features to abundances.

Source:
    Zhang et al., "Hyperspectral unmixing via deep convolutional neural networks", IEEE
    GRSL 2018, Table I and eq. (1). doi:10.1109/LGRS.2018.2857804
"""

from collections.abc import Callable

import jax
from flax import nnx
from jaxtyping import Array, Float

from hsijax.errors import lookup
from hsijax.models.spectral import kernel_init


def log_shares(
    units: Float[Array, "*batch endmembers"],
) -> Float[Array, "*batch endmembers"]:
    """Return the logarithm of eq. (1): sigmoids o, each divided by their sum.

    >>> import jax.numpy as jnp
    >>> jnp.exp(log_shares(jnp.zeros((1, 4))))
    Array([[0.25, 0.25, 0.25, 0.25]], dtype=float32)
    """
    # In logarithms, because sigmoids of very negative units would all be 0.
    log_sigmoids = jax.nn.log_sigmoid(units)
    return log_sigmoids - jax.nn.logsumexp(log_sigmoids, axis=-1, keepdims=True)


OUTPUTS: dict[str, Callable[..., Array]] = {
    "sigmoid": log_shares,
    "softmax": jax.nn.log_softmax,
}


class AbundanceHead(nnx.Module):
    """Two fully connected layers, the first with ReLU, then the abundances."""

    def __init__(
        self,
        features: int,
        endmembers: int,
        *,
        hidden: int,
        output: str,
        rngs: nnx.Rngs,
    ):
        self.log_abundances = lookup(OUTPUTS, output, "output")
        self.f10 = nnx.Linear(features, hidden, kernel_init=kernel_init, rngs=rngs)
        self.f11 = nnx.Linear(hidden, endmembers, kernel_init=kernel_init, rngs=rngs)

    def __call__(
        self, features: Float[Array, "*batch features"]
    ) -> Float[Array, "*batch endmembers"]:
        """Return log abundances; their exponentials sum to 1."""
        return self.log_abundances(self.f11(jax.nn.relu(self.f10(features))))
