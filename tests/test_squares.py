"""Squares of pixels: each pixel is learned from once, and unmixed as in its patch."""

import jax.numpy as jnp
import numpy as np
from flax import nnx

from hsijax.models.cube_cnn import CubeCnn
from hsijax.unmixing.squares import corners_of_squares, cut_targets


def test_square_gives_what_its_patches_give_one_by_one():
    network = CubeCnn(70, 3, neighbours=0.3, rngs=nnx.Rngs(0))
    rng = np.random.default_rng(0)
    square = jnp.asarray(rng.random((1, 6, 6, 70)), jnp.float32)
    network.eval()
    found = network.unmix_squares(square)[0]
    assert found.shape == (4, 4, 3)
    for row in range(4):
        for col in range(4):
            patch = square[:, row : row + 3, col : col + 3]
            np.testing.assert_allclose(found[row, col], network(patch)[0], atol=1e-5)


def test_each_pixel_is_learned_from_once():
    rng = np.random.default_rng(0)
    abundances = rng.dirichlet(np.ones(3), size=(7, 8))
    pixels = np.argwhere(rng.random((7, 8)) < 0.6).astype(np.int32)
    corners = corners_of_squares(pixels, 3, (7, 8))
    targets = cut_targets(abundances, pixels, corners, 3)
    assert (corners <= np.array([4, 5])).all()  # every square lies in the scene
    seen = np.zeros((7, 8, 3))
    for target, (row, col) in zip(targets, corners, strict=True):
        seen[row : row + 3, col : col + 3] += target
    expected = np.zeros((7, 8, 3))
    expected[pixels[:, 0], pixels[:, 1]] = abundances[pixels[:, 0], pixels[:, 1]]
    np.testing.assert_allclose(seen, expected, atol=1e-6)
