"""The fixed splits of the IEEE GRSS DASE website: rasters of the pixels that train."""

from pathlib import Path

import numpy as np
from jaxtyping import Int

from hsijax.config import Progress, no_progress
from hsijax.errors import UsageError
from hsijax.io import open_file
from hsijax.io.ground_truth import choose_ground_truth, read_ground_truth
from hsijax.scenes.catalogue import CATALOGUE
from hsijax.scenes.loading import find_sheet
from hsijax.scenes.lookup import locate


def load_grss_masks(
    name: str, *, data_dir: Path | None = None, progress: Progress = no_progress
) -> dict[str, Int[np.ndarray, "rows cols"]]:
    """Read a scene's masks, found or downloaded as the scene's own files are.

    They are as published: they may number the classes in another way than the ground
    truth, and contradict it (`mask_split` sorts that out).

    Args:
        name: of the catalogue.
        data_dir: where files are looked for first.
        progress: told of downloads.

    Returns:
        `train_mask`, and `test_mask` where one is published.

    Raises:
        UsageError: the scene has no such masks.
        HsijaxError: a mask cannot be had or read.
    """
    sheet = find_sheet(name)
    if sheet is None or not sheet.grss:
        having = ", ".join(sheet.name for sheet in CATALOGUE.values() if sheet.grss)
        raise UsageError(
            f"--split grss: the IEEE GRSS has no masks of {name}, only of {having}; "
            "rasters of your own go with --train-mask and --test-mask"
        )
    masks = {}
    for file in sheet.grss:
        opened = open_file(locate(sheet, file, data_dir, progress))
        variable = choose_ground_truth(opened, file.key, sheet.shape[:2])
        masks[file.role] = read_ground_truth(opened, variable)
    return masks
