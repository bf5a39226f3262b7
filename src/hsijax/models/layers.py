"""The layers that the networks are built of, as fast on a CPU as XLA makes them."""

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import lax
from jaxtyping import Array, Float

# PyTorch's default for convolutions and linear layers, uniform within
# 1 / sqrt(fan in), which the paper's template used.
kernel_init = nnx.initializers.variance_scaling(1 / 3, "fan_in", "uniform")


class GroupNorm(nnx.Module):
    """Standardises groups of channels within each patch, then scales and shifts.

    Source:
        Wu and He, "Group Normalization", ECCV 2018. arXiv:1803.08494
    """

    def __init__(self, channels: int, groups: int, *, zero_scale: bool = False):
        self.groups = groups
        self.scale = nnx.Param(jnp.full(channels, 0.0 if zero_scale else 1.0))
        self.bias = nnx.Param(jnp.zeros(channels))

    def __call__(
        self, hidden: Float[Array, "batch rows cols channels"]
    ) -> Float[Array, "batch rows cols channels"]:
        """Return the normalised maps."""
        centred = hidden - self._group_means(hidden)
        variance = self._group_means(centred * centred)
        # 1e-5 is PyTorch's; Flax's own default is 1e-6.
        return centred * (lax.rsqrt(variance + 1e-5) * self.scale[...]) + self.bias[...]

    def _group_means(
        self, hidden: Float[Array, "batch rows cols channels"]
    ) -> Float[Array, "batch 1 1 channels"]:
        """Mean of each channel's group, repeated for all channels of the group."""
        size = hidden.shape[-1] // self.groups
        within = np.kron(np.eye(self.groups), np.full((size, size), 1 / size))
        # A product with a constant matrix: a reshape into groups keeps XLA on a CPU
        # from fusing the network around it, which made prediction 1.7 to 2 times and
        # training 1.2 times slower. On a GPU it must not round to TF32.
        means = jnp.matmul(
            hidden.mean((1, 2)),
            jnp.asarray(within, hidden.dtype),
            precision=lax.Precision.HIGHEST,
        )
        return means[:, None, None, :]


class Convolution(nnx.Module):
    """A 3x3 convolution, channels last.

    `as_product` computes the same as nine shifted views and one matrix product, from
    the same kernel: for use inside XLA loops on a CPU, where the gradient of a
    convolution is 25 to 35 times slower (jax-ml/jax#12868).
    """

    def __init__(
        self,
        channels: int,
        maps: int,
        *,
        stride: int = 1,
        padding: int = 1,
        bias: bool = False,
        zero_kernel: bool = False,
        as_product: bool = False,
        rngs: nnx.Rngs,
    ):
        self.stride = stride
        self.padding = padding
        self.as_product = as_product
        init = nnx.initializers.zeros if zero_kernel else kernel_init
        self.kernel = nnx.Param(init(rngs.params(), (3, 3, channels, maps)))
        self.bias = nnx.Param(jnp.zeros(maps)) if bias else None

    def __call__(
        self, hidden: Float[Array, "batch rows cols channels"]
    ) -> Float[Array, "batch newrows newcols maps"]:
        """Return the filtered maps."""
        kernel = self.kernel[...]
        if self.as_product:
            views = shifted_views(hidden, self.stride, self.padding)
            filtered = views @ kernel.reshape(-1, kernel.shape[-1])
        else:
            filtered = lax.conv_general_dilated(
                hidden,
                kernel,
                window_strides=(self.stride, self.stride),
                padding=[(self.padding, self.padding)] * 2,
                dimension_numbers=("NHWC", "HWIO", "NHWC"),
            )
        return filtered if self.bias is None else filtered + self.bias[...]


def shifted_views(
    hidden: Float[Array, "batch rows cols channels"], stride: int, padding: int
) -> Float[Array, "batch newrows newcols neighbours"]:
    """The 3x3 neighbourhood of each position, as channels in the kernel's order.

    >>> shifted_views(jnp.ones((1, 4, 4, 2)), stride=1, padding=0).shape
    (1, 2, 2, 18)
    """
    margins = ((0, 0), (padding, padding), (padding, padding), (0, 0))
    padded = jnp.pad(hidden, margins)
    rows, cols = padded.shape[1] - 2, padded.shape[2] - 2
    return jnp.concatenate(
        [
            padded[:, row : row + rows : stride, col : col + cols : stride]
            for row in range(3)
            for col in range(3)
        ],
        axis=-1,
    )


class Pointwise(nnx.Module):
    """A 1x1 convolution, which is a matrix product at every (strided) position."""

    def __init__(
        self,
        channels: int,
        maps: int,
        *,
        stride: int = 1,
        bias: bool = False,
        rngs: nnx.Rngs,
    ):
        self.stride = stride
        self.kernel = nnx.Param(kernel_init(rngs.params(), (channels, maps)))
        self.bias = nnx.Param(jnp.zeros(maps)) if bias else None

    def __call__(
        self, hidden: Float[Array, "batch rows cols channels"]
    ) -> Float[Array, "batch newrows newcols maps"]:
        """Return the mixed maps."""
        mixed = hidden[:, :: self.stride, :: self.stride] @ self.kernel[...]
        return mixed if self.bias is None else mixed + self.bias[...]


def norm_relu(
    norm: GroupNorm, hidden: Float[Array, "batch rows cols channels"]
) -> Float[Array, "batch rows cols channels"]:
    """GroupNorm, then ReLU: what stands before every convolution here."""
    return jax.nn.relu(norm(hidden))
