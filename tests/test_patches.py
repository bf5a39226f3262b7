"""Patches: gathering equals slicing; augmentation is the symmetries of the square."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hsijax.errors import UsageError
from hsijax.patches import (
    check_patch_side,
    gather_patches,
    pad_cube,
    random_flips_and_rotations,
)

gather = jax.jit(gather_patches, static_argnums=2)


def numbered_cube(rows, cols, channels=2):
    values = np.arange(rows * cols * channels, dtype=np.float32)
    return values.reshape(rows, cols, channels)


@given(
    st.sampled_from([1, 3, 5]),
    st.sampled_from(["reflect", "zero"]),
    st.lists(st.tuples(st.integers(0, 5), st.integers(0, 8)), min_size=4, max_size=4),
)
@settings(max_examples=30, deadline=None)
def test_gathering_equals_slicing(side, padding, pixels):
    padded = pad_cube(numbered_cube(6, 9), side, padding)
    patches = gather(jnp.asarray(padded), jnp.array(pixels), side)
    assert patches.shape == (4, side, side, 2)
    for patch, (row, col) in zip(patches, pixels, strict=True):
        expected = padded[row : row + side, col : col + side]
        assert np.array_equal(np.asarray(patch), expected)


@pytest.mark.parametrize("side", [1, 3, 5])
def test_the_centre_of_a_patch_is_its_pixel(side):
    cube = numbered_cube(5, 6)
    pixels = np.argwhere(np.ones((5, 6), dtype=bool))
    patches = gather(jnp.asarray(pad_cube(cube, side)), jnp.asarray(pixels), side)
    centres = np.asarray(patches)[:, side // 2, side // 2]
    assert np.array_equal(centres, cube.reshape(30, 2))


def test_reflection_and_zeros_beyond_the_border():
    cube = numbered_cube(3, 3, 1)
    reflected = pad_cube(cube, 3, "reflect")[:, :, 0]
    assert reflected[0].tolist() == [4, 3, 4, 5, 4]
    zeros = pad_cube(cube, 3, "zero")[:, :, 0]
    assert zeros[0].tolist() == [0, 0, 0, 0, 0]
    assert np.array_equal(zeros[1:-1, 1:-1], cube[:, :, 0])


def test_patch_as_large_as_the_scene():
    padded = pad_cube(numbered_cube(5, 5), 5)
    assert padded.shape == (9, 9, 2)


def test_patch_larger_than_the_scene():
    with pytest.raises(
        UsageError, match="7 x 7 pixels is larger than the scene of 5 x"
    ):
        pad_cube(numbered_cube(5, 9), 7)


@pytest.mark.parametrize("side", [0, -3, 8])
def test_patch_side_without_a_centre(side):
    with pytest.raises(UsageError, match=str(side)):
        check_patch_side(side, (50, 50, 3))


def test_even_patch_side_names_the_odd_ones_beside_it():
    with pytest.raises(UsageError, match="not 8; try 7 or 9"):
        check_patch_side(8, (50, 50))


def test_unknown_padding():
    with pytest.raises(UsageError, match="did you mean 'reflect'"):
        pad_cube(numbered_cube(3, 3), 3, "reflct")


def test_augmentation_draws_each_of_the_8_symmetries():
    patch = numbered_cube(3, 3, 1)
    turned = [np.rot90(patch, turns) for turns in range(4)]
    symmetries = {each.tobytes() for each in turned}
    symmetries |= {each.swapaxes(0, 1).tobytes() for each in turned}
    assert len(symmetries) == 8
    batch = jnp.broadcast_to(patch, (400, 3, 3, 1))
    drawn = jax.jit(random_flips_and_rotations)(batch, jax.random.key(0))
    found = [np.asarray(each).tobytes() for each in drawn]
    assert set(found) == symmetries
    # 50 are expected of each; less than 25 has odds of one in 100,000.
    assert min(found.count(each) for each in symmetries) > 25


def test_augmentation_keeps_channels_and_patches_apart():
    rng = np.random.default_rng(0)
    batch = rng.normal(size=(16, 5, 5, 3)).astype(np.float32)
    key = jax.random.key(1)
    drawn = np.asarray(random_flips_and_rotations(jnp.asarray(batch), key))
    flat, moved = (each.reshape(16, 25, 3) for each in (batch, drawn))
    for before, after in zip(flat, moved, strict=True):
        assert {row.tobytes() for row in before} == {row.tobytes() for row in after}
    assert np.array_equal(flat[:, 12], moved[:, 12])  # the centre stays
