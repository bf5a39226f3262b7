"""The layers that the networks are built of, as fast on a CPU as XLA makes them."""

import jax
import jax.numpy as jnp
from flax import nnx
from jax import lax
from jaxtyping import Array, Float

from hsijax.devices import plan_execution
from hsijax.errors import UsageError
from hsijax.models import winograd

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
        self.scale = nnx.Param(
            jnp.full(channels, 0.0 if zero_scale else 1.0, jnp.float32)
        )
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
        # Channel by channel first: a reshape of the maps themselves into groups keeps
        # XLA on a CPU from fusing the network around it, and is up to twice as slow.
        channels = hidden.mean((1, 2))
        grouped = channels.reshape(len(channels), self.groups, -1)
        means = jnp.broadcast_to(grouped.mean(2, keepdims=True), grouped.shape)
        return means.reshape(len(channels), 1, 1, -1)


class Convolution(nnx.Module):
    """A 3x3 convolution, channels last.

    On a CPU those that keep the size go by `winograd.convolve`, which is twice as fast
    as XLA's own there, and 50 times as fast in XLA's loops, where the gradient of a
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
        rngs: nnx.Rngs,
    ):
        self.stride = stride
        self.padding = padding
        self.half = False  # whether operands are bfloat16; sums and maps are float32
        self.by_winograd = stride == padding == 1 and plan_execution().matrix_products
        init = nnx.initializers.zeros if zero_kernel else kernel_init
        self.kernel = nnx.Param(init(rngs.params(), (3, 3, channels, maps)))
        self.bias = nnx.Param(jnp.zeros(maps)) if bias else None

    def __call__(
        self, hidden: Float[Array, "batch rows cols channels"]
    ) -> Float[Array, "batch newrows newcols maps"]:
        """Return the filtered maps."""
        kernel = self.kernel[...]
        if self.by_winograd:
            filtered = winograd.convolve(hidden, kernel)
        else:
            if self.half:
                hidden, kernel = (x.astype(jnp.bfloat16) for x in (hidden, kernel))
            filtered = lax.conv_general_dilated(
                hidden,
                kernel,
                window_strides=(self.stride, self.stride),
                padding=[(self.padding, self.padding)] * 2,
                dimension_numbers=("NHWC", "HWIO", "NHWC"),
                preferred_element_type=jnp.float32,
            )
        return filtered if self.bias is None else filtered + self.bias[...]


def check_precision(precision: str) -> None:
    """Raise an error unless the device in use is for convolutions of this precision.

    Raises:
        UsageError: it is a CPU, and they are to be in bfloat16.
    """
    if precision == "bfloat16" and not plan_execution().half_convolutions:
        raise UsageError(
            "--precision bfloat16 is for a GPU, and a CPU computes here: leave it out"
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
