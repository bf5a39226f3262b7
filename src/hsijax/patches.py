"""Patches: squares around pixels, cut on the device from a padded cube."""

from collections.abc import Sequence
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray

from hsijax.errors import UsageError, lookup

# What lies beyond the border of the scene: the scene mirrored there, or zeros.
PADDINGS: dict[str, Literal["reflect", "constant"]] = {
    "reflect": "reflect",
    "zero": "constant",
}


def check_patch_side(patch_side: int, shape: Sequence[int]) -> None:
    """Refuse patches that have no centre or do not fit into the scene.

    Args:
        patch_side: in pixels.
        shape: rows and columns of the scene, then anything.

    Raises:
        UsageError: the side is even, less than 1, or more than the rows or columns.
    """
    if patch_side < 1:
        raise UsageError(f"a patch of {patch_side} pixels is none: give 1, 3, 5, ...")
    if patch_side % 2 == 0:
        raise UsageError(
            f"the patch side must be odd so that a patch has a centre, not "
            f"{patch_side}; try {patch_side - 1} or {patch_side + 1}"
        )
    rows, cols = shape[:2]
    if patch_side > min(rows, cols):
        raise UsageError(
            f"a patch of {patch_side} x {patch_side} pixels is larger than the scene "
            f"of {rows} x {cols}; use a smaller patch"
        )


def pad_cube(
    cube: Float[np.ndarray, "rows cols channels"],
    patch_side: int,
    padding: str = "reflect",
) -> Float[np.ndarray, "padded_rows padded_cols channels"]:
    """Surround the cube so that pixels at its border have whole patches too.

    Args:
        cube: as the network sees it, that is after scaling.
        patch_side: odd; half of it, rounded down, is added on each side.
        padding: "reflect" mirrors the scene at its border pixels; "zero".

    Raises:
        UsageError: the patch does not fit, or there is no such padding.

    >>> pad_cube(np.array([[[1.0], [2.0], [3.0]]] * 3), 3)[1, :, 0]
    array([2., 1., 2., 3., 2.])
    """
    check_patch_side(patch_side, cube.shape)
    mode = lookup(PADDINGS, padding, "padding")
    margin = patch_side // 2
    widths = [(margin, margin), (margin, margin), (0, 0)]
    return np.pad(cube, widths, mode=mode)


def gather_patches(
    padded: Float[Array, "padded_rows padded_cols channels"],
    pixels: Int[Array, "batch 2"],
    patch_side: int,
) -> Float[Array, "batch side side channels"]:
    """Cut the patches around pixels out of a cube from `pad_cube`; call it under jit.

    Args:
        padded: by the margin of the same `patch_side`.
        pixels: (row, col) in the scene, before padding.
        patch_side: a constant of the compiled function.
    """
    size = (patch_side, patch_side, padded.shape[2])

    # The margin moves a pixel to where its patch starts.
    def patch_at(pixel: Int[Array, "2"]) -> Float[Array, "side side channels"]:
        return jax.lax.dynamic_slice(padded, (pixel[0], pixel[1], 0), size)

    return jax.vmap(patch_at)(pixels)


def random_flips_and_rotations(
    patches: Float[Array, "batch side side channels"], key: PRNGKeyArray
) -> Float[Array, "batch side side channels"]:
    """Turn each patch at random to one of the 8 symmetries of the square."""
    shape = (3, len(patches), 1, 1, 1)
    transposed, flipped, mirrored = jax.random.bernoulli(key, shape=shape)
    patches = jnp.where(transposed, patches.swapaxes(1, 2), patches)
    patches = jnp.where(flipped, patches[:, ::-1], patches)
    return jnp.where(mirrored, patches[:, :, ::-1], patches)
