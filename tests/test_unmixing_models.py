"""The unmixing networks: exact sizes, the simplex, and every bad size refused."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from hsijax.errors import UsageError
from hsijax.models import count_parameters
from hsijax.models.abundance_head import OUTPUTS, log_shares
from hsijax.models.spectral import SpectralConvolution, least_bands
from hsijax.models.unmixing import make_unmixer


def make(model, bands=70, endmembers=3, **changes):
    settings = {
        "patch_side": 3 if model == "cube-cnn" else 1,
        "hidden": 150,
        "dropout": 0.0,
        "output": "sigmoid",
        "rngs": nnx.Rngs(0),
    }
    return make_unmixer(
        model, bands=bands, endmembers=endmembers, **(settings | changes)
    )


def draw(*shape) -> jax.Array:
    return jnp.asarray(np.random.default_rng(1).normal(size=shape), jnp.float32)


# Kernels and biases of C2, C4, C6 and C8, each "taps x channels x maps + maps".
PIXEL = (5 * 1 * 3 + 3) + (4 * 3 * 6 + 6) + (5 * 6 * 12 + 12) + (4 * 12 * 24 + 24)
CUBE = (
    (5 * 1 * 16 + 16) + (4 * 16 * 32 + 32) + (5 * 32 * 64 + 64) + (4 * 64 * 128 + 128)
)


# The spectrum shrinks 198 -> 97 -> 47 -> 21 -> 9 and 162 -> 79 -> 38 -> 17 -> 7.
@pytest.mark.parametrize(
    ("model", "bands", "endmembers", "parameters", "by_hand"),
    [
        (
            "pixel-cnn",
            *(198, 4, 34_798),
            PIXEL + (24 * 9 * 150 + 150) + (150 * 4 + 4),
        ),
        (
            "pixel-cnn",
            *(162, 6, 27_900),
            PIXEL + (24 * 7 * 150 + 150) + (150 * 6 + 6),
        ),
        (
            "cube-cnn",
            *(198, 4, 1_601_330),
            CUBE + (9 * 128 * 9 * 150 + 150) + (150 * 4 + 4),
        ),
        (
            "cube-cnn",
            *(162, 6, 1_256_032),
            CUBE + (9 * 128 * 7 * 150 + 150) + (150 * 6 + 6),
        ),
    ],
)
def test_parameter_counts(model, bands, endmembers, parameters, by_hand):
    assert parameters == by_hand
    network = nnx.eval_shape(lambda: make(model, bands, endmembers))
    assert count_parameters(network) == parameters


@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize("model", ["pixel-cnn", "cube-cnn"])
def test_family_contract(model, output):
    """Abundances on the simplex, every parameter trained, and compiled only once."""
    network = make(model, output=output)
    side = 3 if model == "cube-cnn" else 1
    code, params, rest = nnx.split(network, nnx.Param, ...)
    compilations = 0

    @jax.jit
    def step(params, patches):
        nonlocal compilations
        compilations += 1

        def loss(params):
            logs = nnx.merge(code, params, rest)(patches)
            return -jnp.sum(logs * jnp.array([0.7, 0.2, 0.1])), logs

        (_, logs), grads = jax.value_and_grad(loss, has_aux=True)(params)
        return jax.tree.map(lambda p, g: p - 1e-6 * g, params, grads), grads, logs

    patches = draw(4, side, side, 70)
    updated, grads, logs = step(params, patches)
    assert logs.shape == (4, 3)
    np.testing.assert_allclose(np.exp(logs).sum(axis=1), 1, rtol=1e-6)
    for path, grad in nnx.to_flat_state(grads):
        assert jnp.abs(grad[...]).max() > 0, path
    step(updated, patches)
    assert compilations == 1
    assert nnx.graphdef(make(model)) == nnx.graphdef(make(model))


def test_shares_are_equation_1_and_stay_finite_where_it_does_not():
    units = draw(5, 4)
    sigmoids = 1 / (1 + np.exp(-np.asarray(units)))
    shares = sigmoids / sigmoids.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(np.exp(log_shares(units)), shares, rtol=1e-6)
    # Here every sigmoid is 0 in float32.
    far = log_shares(jnp.array([[-200.0, -201.0]]))
    np.testing.assert_allclose(np.exp(far), [[0.7310586, 0.2689414]], rtol=1e-5)


@pytest.mark.parametrize("length", [12, 13])
def test_both_layouts_compute_the_same(length):
    layer = SpectralConvolution(4, 3, 5, rngs=nnx.Rngs(0))
    layer.bias[...] = draw(5)
    hidden = draw(2, length, 3)
    found = layer.batch_last(hidden.transpose(2, 1, 0))
    assert found.shape == (5, (length - 3) // 2, 2)
    np.testing.assert_allclose(
        found.transpose(2, 1, 0), layer.batch_first(hidden), atol=1e-6
    )


def test_a_spectral_convolution_by_hand():
    layer = SpectralConvolution(2, 1, 1, rngs=nnx.Rngs(0))
    layer.kernel[...] = jnp.array([1.0, -1.0]).reshape(2, 1, 1)
    layer.bias[...] = jnp.array([-1.0])
    # Differences of neighbours: -4 3 -2 | 5; the larger of each two; the bias; ReLU.
    spectrum = jnp.array([0.0, 4.0, 1.0, 3.0, -2.0]).reshape(1, 5, 1)
    np.testing.assert_array_equal(layer.batch_last(spectrum).ravel(), [2.0, 4.0])
    np.testing.assert_array_equal(layer.batch_first(spectrum).ravel(), [2.0, 4.0])


@pytest.mark.parametrize("side", [1, 3, 9, 15, 21])
def test_cube_cnn_takes_every_patch_side_of_the_papers_figure_2(side):
    def apply():
        patches = jnp.zeros((2, side, side, 198))
        return make("cube-cnn", 198, 4, patch_side=side)(patches)

    assert nnx.eval_shape(apply).shape == (2, 4)


@pytest.mark.parametrize("model", ["pixel-cnn", "cube-cnn"])
def test_too_few_bands_are_refused_with_the_number_needed(model):
    nnx.eval_shape(lambda: make(model, least_bands()))
    for bands in (12, least_bands() - 1):
        with pytest.raises(UsageError, match=rf"{model} .* 66 bands.*has {bands}"):
            make(model, bands)


def test_wrong_names_and_patches_are_refused():
    with pytest.raises(UsageError, match="one pixel: leave out --patch 3"):
        make("pixel-cnn", patch_side=3)
    with pytest.raises(UsageError, match="did you mean 'cube-cnn'"):
        make("cube-cn")
    with pytest.raises(UsageError, match="did you mean 'softmax'"):
        make("cube-cnn", output="softmx")


@pytest.mark.parametrize("model", ["pixel-cnn", "cube-cnn"])
def test_dropout_only_while_training(model):
    network = make(model, dropout=0.5)
    side = 3 if model == "cube-cnn" else 1
    patches = draw(2, side, side, 70)
    training = nnx.view(network, deterministic=False)
    predicting = nnx.view(network, deterministic=True)

    def dropped(seed):
        return training(patches, rngs=nnx.Rngs(dropout=jax.random.key(seed)))

    np.testing.assert_array_equal(dropped(1), dropped(1))
    assert jnp.abs(dropped(1) - dropped(2)).max() > 0
    np.testing.assert_array_equal(predicting(patches), make(model)(patches))
    assert not jax.tree.leaves(nnx.state(training, nnx.RngState))
