"""What `run.json` and `metrics.json` are made of."""

import json
import os
import platform
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from hsijax.errors import HsijaxError

PACKAGES = (
    *("hsijax", "jax", "jaxlib", "flax", "optax", "diffrax", "numpy", "scipy"),
    "scikit-learn",
)


def now() -> str:
    """Date and time, UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def describe_environment(device: str) -> dict[str, Any]:
    """Versions, machine and command, for `run.json`."""
    return {
        "command": ["hsijax", *sys.argv[1:]],
        "started": now(),
        "versions": {name: metadata.version(name) for name in PACKAGES}
        | {"python": platform.python_version()},
        "platform": platform.platform(),
        "device": device,
        "processors": os.cpu_count(),
    }


def summarise(values: Sequence[float | None]) -> dict[str, float | None]:
    """Mean and population standard deviation (None of a single value) of what is known.

    >>> summarise([1.0, 3.0, None])
    {'mean': 2.0, 'std': 1.0}
    """
    known = [value for value in values if value is not None]
    if not known:
        return {"mean": None, "std": None}
    std = float(np.std(known)) if len(known) > 1 else None
    return {"mean": float(np.mean(known)), "std": std}


def read_json(path: Path) -> dict[str, Any]:
    """Read a file of a run folder.

    Raises:
        HsijaxError: it is damaged, or not there yet.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise HsijaxError(
            f"{path.parent} has no {path.name}: the run has not ended; go on with it "
            f"by --resume {path.parent}"
        ) from error
    except OSError as error:
        raise HsijaxError(f"cannot read {path}: {error.strerror}") from error
    except ValueError as error:
        raise HsijaxError(f"{path} is damaged: {error}") from error


def to_json(data: Mapping[str, Any]) -> str:
    """Return the text of a file of a run folder."""
    return json.dumps(data, indent=2, allow_nan=False) + "\n"
