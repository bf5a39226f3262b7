"""A lesson made from endmembers alone, for scenes whose abundances nobody knows."""

import math

import numpy as np

from hsijax.config import UnmixConfig
from hsijax.io.spectral_library import SpectralLibrary
from hsijax.scenes.mixing import draw_abundances, mix
from hsijax.splits import hold_out_validation, random_split
from hsijax.unmixing.lesson import Lesson
from hsijax.unmixing.materials import bundles


def simulate_lesson(
    config: UnmixConfig, library: SpectralLibrary, run: int
) -> tuple[Lesson, np.ndarray]:
    """Mix the endmembers with variability into an image, so that patches make sense.

    Each pixel draws one spectrum of each material and a scale for it, and gets noise;
    `config` has how many pixels, how variable and how noisy.

    Returns:
        The lesson, and its pixels (row, col) that are not learned from: the error
        on them says how well the mixtures are learned.
    """
    side = math.ceil(math.sqrt(config.mixtures))
    materials = bundles(library)
    abundances = draw_abundances((side, side), len(materials), [config.seed, run, 2])
    cube = mix(
        abundances,
        materials,
        snr=config.snr,
        variability=config.variability,
        seed=[config.seed, run, 3],
    )
    everywhere = np.ones((side, side), dtype=np.int32)
    split = random_split(everywhere, frac=config.frac, seed=[config.seed, run, 4])
    if config.val_frac:
        split = hold_out_validation(
            split, everywhere, frac=config.val_frac, seed=[config.seed, run, 5]
        )
    return (
        Lesson(
            cube.astype(np.float32),
            everywhere.astype(bool),
            abundances,
            split.train,
            split.validation,
        ),
        split.test,
    )
