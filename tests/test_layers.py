"""The layers equal the plain ones, on every device."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from hsijax.devices import ACCELERATOR, CPU
from hsijax.models import layers


def output_and_gradients(layer: nnx.Module, hidden: jax.Array) -> list[jax.Array]:
    code, params = nnx.split(layer)

    def loss(params, hidden):
        out = nnx.merge(code, params)(hidden)
        return jnp.sin(out).sum(), out

    gradient = jax.grad(loss, argnums=(0, 1), has_aux=True)
    return jax.tree.leaves(jax.jit(gradient)(params, hidden))


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("padding", [0, 1])
def test_convolution_is_the_same_on_every_device(stride, padding, monkeypatch):
    rng = np.random.default_rng(0)
    hidden = jnp.asarray(rng.normal(size=(2, 7, 6, 3)), jnp.float32)

    def run(execution):
        monkeypatch.setattr(layers, "plan_execution", lambda: execution)
        layer = layers.Convolution(
            3, 4, stride=stride, padding=padding, bias=True, rngs=nnx.Rngs(0)
        )
        assert layer.by_winograd == (execution == CPU and stride == padding == 1)
        return output_and_gradients(layer, hidden)

    for one, other in zip(run(CPU), run(ACCELERATOR), strict=True):
        assert jnp.abs(one - other).max() < 1e-5 * jnp.abs(other).max()


def test_convolution_in_bfloat16_sums_in_float32():
    """As on a GPU: coarser operands alone, also of the gradients."""
    rng = np.random.default_rng(0)
    hidden = jnp.asarray(rng.normal(size=(2, 7, 6, 32)), jnp.float32)
    layer = layers.Convolution(32, 4, padding=0, bias=True, rngs=nnx.Rngs(0))

    def run(half):
        layer.half = half
        return output_and_gradients(layer, hidden)

    for coarse, fine in zip(run(True), run(False), strict=True):
        assert coarse.dtype == jnp.float32
        apart = float(jnp.abs(coarse - fine).max() / jnp.abs(fine).max())
        assert 1e-4 < apart < 1e-2


def test_group_norm_equals_flax():
    hidden = jnp.asarray(np.random.default_rng(0).normal(2, 3, (2, 5, 4, 12)), float)
    expected = nnx.GroupNorm(12, num_groups=4, epsilon=1e-5, rngs=nnx.Rngs(0))(hidden)
    np.testing.assert_allclose(
        layers.GroupNorm(12, groups=4)(hidden), expected, atol=1e-5
    )
