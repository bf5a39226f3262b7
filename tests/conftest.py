"""What every test shares: the real scenes, and strict settings."""

import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

# Before jax is imported by any test. One device, not one for each core: faster here,
# and the same on every machine.
os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("JAX_NUM_CPU_DEVICES", "1")


# Imported by a test that skips without torch, which pytest must not do on its own.
collect_ignore = ["torch_reference.py"]


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real scenes; tests that need it skip where it is absent."""
    folder = os.environ.get("HSIJAX_DATA")
    if not folder or not Path(folder).is_dir():
        pytest.skip("needs the folder of real scenes: set HSIJAX_DATA")
    return Path(folder)


@pytest.fixture(scope="session")
def small_run(tmp_path_factory) -> Path:
    """The folder of a small scene, with a run that was trained on it."""
    from small_run import make_small_run  # imports jax, and so comes after the settings

    return make_small_run(tmp_path_factory.mktemp("small"))


@pytest.fixture(autouse=True)
def _library_logging() -> Iterator[None]:
    """Undo what a command does to the library's logger, which caplog reads."""
    logger = logging.getLogger("hsijax")
    before = (logger.handlers, logger.level, logger.propagate)
    yield
    logger.handlers, logger.propagate = before[0], before[2]
    logger.setLevel(before[1])
