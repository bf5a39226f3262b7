"""A cube as a classifier sees it: preprocessed, and surrounded by what pads patches."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float

from hsijax.config import TrainConfig
from hsijax.patches import pad_cube
from hsijax.preprocessing import Inputs

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
    margin = config.patch // 2
    rows, cols = valid.shape
    size = (rows + 2 * margin, cols + 2 * margin, inputs.channels)
    padded = np.zeros(size, np.float32)
    for window in windows:
        inside = None if region is None else region[window]
        alone = inputs.apply(cube[window], valid[window], inside)
        place = tuple(slice(one.start, one.stop + 2 * margin) for one in window)
        padded[place] = pad_cube(alone, config.patch, config.padding)
    return padded
