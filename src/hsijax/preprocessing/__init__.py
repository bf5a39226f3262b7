"""What a classifier or an unmixing network sees of a cube."""

from hsijax.preprocessing.affine import (
    Preprocessing,
    apply,
    fit_preprocessing,
    from_arrays,
    to_arrays,
)
from hsijax.preprocessing.diffusion import Diffusion, diffuse, fit_diffusion, reach
from hsijax.preprocessing.inputs import Inputs, fit_inputs
from hsijax.preprocessing.noise import neighbour_steps, noise_fractions

__all__ = [
    "Diffusion",
    "Inputs",
    "Preprocessing",
    "apply",
    "diffuse",
    "fit_diffusion",
    "fit_inputs",
    "fit_preprocessing",
    "from_arrays",
    "neighbour_steps",
    "noise_fractions",
    "reach",
    "to_arrays",
]
