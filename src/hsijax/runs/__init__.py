"""The run folder: what `train` and `unmix` write and every later command reads."""

from hsijax.runs.folders import create_run, next_free_folder, open_run
from hsijax.runs.manifest import describe_environment, now, summarise
from hsijax.runs.run import Run

__all__ = [
    "Run",
    "create_run",
    "describe_environment",
    "next_free_folder",
    "now",
    "open_run",
    "summarise",
]
