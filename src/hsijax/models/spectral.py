"""What both unmixing networks do to spectra: C2 S3 C4 S5 C6 S7 C8 S9 of Table I.

Source:
    Zhang et al., "Hyperspectral unmixing via deep convolutional neural networks", IEEE
    GRSL 2018, Table I. doi:10.1109/LGRS.2018.2857804
"""

from collections.abc import Sequence

import jax.numpy as jnp
from flax import nnx
from jax import lax
from jaxtyping import Array, Float

from hsijax.errors import UsageError

# The paper says "randomly initialized". With PyTorch's default, which draws smaller
# kernels, the first epochs pass with next to no signal at the end of six layers.
kernel_init = nnx.initializers.he_normal()

# Lengths of the four kernels along the spectrum. Stride 1 and no padding; a maximum
# over two neighbours follows each.
TAPS = (5, 4, 5, 4)


def pooled_length(bands: int) -> int:
    """Length of the spectrum after the four layers.

    >>> pooled_length(198)
    9
    """
    for taps in TAPS:
        bands = (bands - taps + 1) // 2
    return bands


def least_bands() -> int:
    """The fewest bands that leave something after the four layers.

    >>> least_bands(), pooled_length(66), pooled_length(65)
    (66, 1, 0)
    """
    bands = 1
    for taps in reversed(TAPS):
        bands = 2 * bands + taps - 1
    return bands


def check_bands(bands: int, model: str) -> None:
    """Refuse spectra that are too short for the four layers.

    Raises:
        UsageError: there are fewer than `least_bands()`.
    """
    if bands < least_bands():
        raise UsageError(
            f"{model} needs at least {least_bands()} bands, because its layers halve "
            f"the spectrum four times, and the scene has {bands}: give another --model"
        )


class SpectralConvolution(nnx.Module):
    """A convolution along the spectrum, ReLU, and the maximum of each two neighbours.

    The kernel is [taps channels maps] for either layout. Measured on a CPU against
    PyTorch by `benchmarks/unmixing_networks.py`.
    """

    def __init__(self, taps: int, channels: int, maps: int, *, rngs: nnx.Rngs):
        self.kernel = nnx.Param(kernel_init(rngs.params(), (taps, channels, maps)))
        self.bias = nnx.Param(jnp.zeros(maps))

    def batch_last(
        self, hidden: Float[Array, "channels length batch"]
    ) -> Float[Array, "maps half batch"]:
        """Filter and halve, as one matrix product: faster for few maps."""
        maps = self.kernel.shape[2]
        columns = jnp.concatenate(self._views(hidden))
        length, batch = columns.shape[1:]
        filtered = self._weights().T @ columns.reshape(-1, length * batch)
        pairs = filtered.reshape(maps, length // 2, 2, batch)
        bias = self.bias[...][:, None, None]
        return _larger_relu(pairs[:, :, 0], pairs[:, :, 1], bias)

    def batch_first(
        self, hidden: Float[Array, "batch length channels"]
    ) -> Float[Array, "batch half maps"]:
        """Filter and halve, by XLA's convolution: faster for many maps."""
        taps, channels, maps = self.kernel.shape
        views = self._views(hidden)
        batch, length = views[0].shape[:2]
        if channels == 1:  # for which a product is faster than the convolution
            filtered = jnp.concatenate(views, axis=2) @ self._weights()
        else:
            filtered = lax.conv_general_dilated(
                hidden[:, : length + taps - 1],
                self.kernel[...],
                window_strides=(1,),
                padding="VALID",
                dimension_numbers=("NWC", "WIO", "NWC"),
            )
        pairs = filtered.reshape(batch, length // 2, 2, maps)
        return _larger_relu(pairs[:, :, 0], pairs[:, :, 1], self.bias[...])

    def _weights(self) -> Float[Array, "columns maps"]:
        """The kernel as a matrix, its rows tap by tap."""
        return self.kernel[...].reshape(-1, self.kernel.shape[2])

    def _views(
        self, hidden: Float[Array, "first length last"]
    ) -> list[Float[Array, "first even last"]]:
        """The input as each tap sees it, for an even number of outputs."""
        taps = self.kernel.shape[0]
        length = (hidden.shape[1] - taps + 1) // 2 * 2
        return [hidden[:, start : start + length] for start in range(taps)]


def _larger_relu(
    first: Float[Array, "*shape"],
    second: Float[Array, "*shape"],
    bias: Float[Array, "..."],
) -> Float[Array, "*shape"]:
    """Return relu(max(first, second) + bias), which is the maximum of both ReLUs.

    Written with `where`: the gradient of `maximum` also shares out ties, which makes
    the training step of pixel-cnn a fifth slower.
    """
    larger = jnp.where(first > second, first, second) + bias
    return jnp.where(larger > 0, larger, 0)


def make_layers(maps: Sequence[int], *, rngs: nnx.Rngs) -> list[SpectralConvolution]:
    """Make the four convolutions for these numbers of maps."""
    channels = (1, *maps[:-1])
    return [
        SpectralConvolution(*sizes, rngs=rngs)
        for sizes in zip(TAPS, channels, maps, strict=True)
    ]
