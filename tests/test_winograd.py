"""The 3x3 convolution by Winograd's matrices is the convolution."""

from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from hsijax.models.winograd import INPUT, KERNEL, OUTPUT, REACH, TILE, convolve

CHANNELS, MAPS = 5, 7


def exactly(matrix: np.ndarray) -> np.ndarray:
    """The fractions that the float32 entries stand for."""
    fractions = [
        [Fraction(float(x)).limit_denominator(6) for x in row] for row in matrix
    ]
    assert np.array_equal(np.array(fractions, np.float32), matrix)
    return np.array(fractions)


def test_the_matrices_are_those_of_a_convolution_exactly():
    """OUTPUT @ ((KERNEL @ taps) * (INPUT @ values)) for every pair of unit vectors."""
    products = exactly(KERNEL)[:, :, None] * exactly(INPUT)[:, None, :]
    sums = np.tensordot(exactly(OUTPUT), products, 1)  # output, tap, value
    assert sums.shape == (TILE, 3, REACH)
    for output, tap, value in np.ndindex(sums.shape):
        assert sums[output, tap, value] == (value == output + tap)


def windows(hidden: np.ndarray) -> np.ndarray:
    """Nine shifted views, zeros beyond the border: [3, 3, *hidden.shape]."""
    rows, cols = hidden.shape[1:3]
    padded = np.pad(hidden, [(0, 0), (1, 1), (1, 1), (0, 0)])
    return np.array(
        [[padded[:, i : i + rows, j : j + cols] for j in range(3)] for i in range(3)]
    )


def draw(rows: int, cols: int, channels: int = CHANNELS, maps: int = MAPS):
    rng = np.random.default_rng(rows)
    shapes = [(2, rows, cols, channels), (3, 3, channels, maps), (2, rows, cols, maps)]
    return [rng.normal(size=shape).astype(np.float32) for shape in shapes]


def assert_close(found, expected):
    assert np.abs(found - expected).max() < 1e-5 * np.abs(expected).max()


@pytest.mark.parametrize("rows", range(1, 14))
def test_values_and_gradients_equal_those_in_float64(rows):
    hidden, kernel, slopes = draw(rows, cols=14 - rows)

    @jax.jit
    def run(hidden, kernel, slopes):
        filtered, pull_back = jax.vjp(convolve, hidden, kernel)
        return filtered, *pull_back(slopes)

    filtered, hidden_slopes, kernel_slopes = run(hidden, kernel, slopes)
    views = windows(hidden.astype(np.float64))
    assert_close(filtered, np.einsum("ijnrck,ijkm->nrcm", views, kernel))
    assert_close(kernel_slopes, np.einsum("ijnrck,nrcm->ijkm", views, slopes))
    views = windows(slopes.astype(np.float64))
    turned = kernel[::-1, ::-1]
    assert_close(hidden_slopes, np.einsum("ijnrcm,ijkm->nrck", views, turned))


def plain(hidden, kernel):
    dimensions = ("NHWC", "HWIO", "NHWC")
    return lax.conv_general_dilated(
        hidden, kernel, (1, 1), "SAME", dimension_numbers=dimensions
    )


def test_several_kernels_by_vmap():
    """As in several runs side by side: the gradients too have an axis of runs."""
    drawn = [draw(4, 4), draw(5, 5)]
    hidden = jnp.stack([drawn[0][0], drawn[1][0][:, :4, :4]])
    kernels = jnp.stack([drawn[0][1], drawn[1][1]])

    def gradients(convolution):
        def loss(hidden, kernel):
            return jnp.sin(convolution(hidden, kernel)).sum()

        return jax.jit(jax.vmap(jax.value_and_grad(loss, (0, 1))))(hidden, kernels)

    found, expected = gradients(convolve), gradients(plain)
    jax.tree.map(assert_close, found, expected)


def test_in_a_loop():
    hidden, kernel, _ = draw(5, 5, channels=CHANNELS, maps=CHANNELS)

    def gradients(convolution):
        def loss(hidden, kernel):
            def step(hidden, _):
                return hidden + 0.1 * convolution(hidden, kernel), None

            return jnp.square(lax.scan(step, hidden, length=3)[0]).sum()

        return jax.jit(jax.value_and_grad(loss, (0, 1)))(hidden, kernel)

    jax.tree.map(assert_close, gradients(convolve), gradients(plain))
