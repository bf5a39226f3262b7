"""A cube as a classifier sees it: preprocessed, and surrounded by what pads patches."""

from collections.abc import Iterable, Sequence

import numpy as np
from jaxtyping import Bool, Float

from hsijax.config import TrainConfig
from hsijax.patches import pad_cube
from hsijax.preprocessing import Inputs
from hsijax.scenes.neighbourhoods import Neighbourhoods, Surroundings

Window = tuple[slice, slice]  # rows and columns


def prepare_cube(
    inputs: Inputs,
    config: TrainConfig,
    cube: Float[np.ndarray, "rows cols good_bands"],
    valid: Bool[np.ndarray, "rows cols"],
    region: Bool[np.ndarray, "rows cols"] | None = None,
    windows: Sequence[Window] = (),
) -> Float[np.ndarray, "padded_rows padded_cols channels"]:
    """Preprocess a cube and pad it, as a whole or each of its windows for itself.

    The pixels of a window become what they would be if it were all there is, to the
    bit: what its border pixels see beyond the border too.

    Args:
        inputs: fitted.
        config: its patch and padding.
        cube: of the bands that `inputs` was fitted to.
        valid: pixels that have data.
        region: pixels that diffusion keeps apart from all others; None for none.
        windows: that lie apart by a patch's side less one, or more; none for the whole.
    """
    if not windows:
        channels = inputs.apply(cube, valid, region)
        return pad_cube(channels, config.patch, config.padding)
    parts = (
        inputs.apply(
            cube[window], valid[window], None if region is None else region[window]
        )
        for window in windows
    )
    return _put_together(inputs, config, valid.shape, windows, parts)


def prepare_around(
    inputs: Inputs,
    config: TrainConfig,
    near: Neighbourhoods,
    region: Bool[np.ndarray, "scene_rows scene_cols"] | None = None,
) -> Float[np.ndarray, "padded_rows padded_cols channels"]:
    """Read the windows of a large scene one by one with all that flows into them.

    The same as `prepare_cube` of the whole scene, but only the windows are kept.

    Args:
        inputs: fitted.
        config: its patch and padding.
        near: what is kept.
        region: pixels of the whole scene that diffusion keeps apart; None for none.
    """

    def read(one: Surroundings) -> Float[np.ndarray, "rows cols channels"]:
        apart = None if region is None else region[one.window]
        return inputs.flow(*inputs.read(one.scene), apart)[one.inside]

    parts = map(read, near.surroundings)
    shape, windows = near.scene.shape[:2], near.scene.windows
    return _put_together(inputs, config, shape, windows, parts)


def _put_together(
    inputs: Inputs,
    config: TrainConfig,
    shape: tuple[int, ...],
    windows: Sequence[Window],
    parts: Iterable[Float[np.ndarray, "rows cols channels"]],
) -> Float[np.ndarray, "padded_rows padded_cols channels"]:
    """Pad each window for itself, and lay them where they are in one array."""
    margin = config.patch // 2
    rows, cols = shape
    size = (rows + 2 * margin, cols + 2 * margin, inputs.channels)
    padded = np.zeros(size, np.float32)
    for window, part in zip(windows, parts, strict=True):
        place = tuple(slice(one.start, one.stop + 2 * margin) for one in window)
        padded[place] = pad_cube(part, config.patch, config.padding)
    return padded
