"""Settings of each kind of run: plain data, with the published recipes as presets."""

from hsijax.config.checks import RASTER_FORMATS
from hsijax.config.progress import Progress, no_progress
from hsijax.config.train import CHOICES, PRESETS, OdeSolver, TrainConfig
from hsijax.config.unmix import UNMIX_PRESETS, UnmixConfig

__all__ = [
    "CHOICES",
    "PRESETS",
    "RASTER_FORMATS",
    "UNMIX_PRESETS",
    "OdeSolver",
    "Progress",
    "TrainConfig",
    "UnmixConfig",
    "no_progress",
]
