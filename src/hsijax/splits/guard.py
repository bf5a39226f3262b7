"""What keeps a diffusing scene from carrying training pixels to test pixels."""

from jaxtyping import Bool
from numpy import ndarray

from hsijax.splits.leakage import leakage, neighbourhood
from hsijax.splits.split import Split, mask_of


def guarded_region(
    split: Split, patch_side: int, shape: tuple[int, int]
) -> Bool[ndarray, "rows cols"] | None:
    """Return the pixels of all test patches, where training patches share none of them.

    If nothing flows over the border of that region, a split that leaks nothing leaks
    nothing after a diffusion either. Validation pixels count as training pixels.

    Args:
        split: its test set must not be empty.
        patch_side: odd, in pixels.
        shape: rows and columns of the scene.

    Returns:
        None if patches overlap: then the split leaks already.
    """
    if leakage(split, patch_side).test_patch_overlap:
        return None
    return neighbourhood(mask_of(split.test, shape), patch_side // 2)
