"""How long work is shown while it runs."""

from collections.abc import Callable

# Called as progress(stage, done, total, detail); shown by the command line.
Progress = Callable[..., None]


def no_progress(
    stage: str, done: int | float, total: int | float, detail: str = ""
) -> None:
    """Show nothing."""
