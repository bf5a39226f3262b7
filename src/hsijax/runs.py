"""The run folder: what `train` writes and every later command reads."""

import csv
import json
import os
import platform
import shutil
import sys
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import tomli_w

from hsijax.config import TrainConfig, UnmixConfig
from hsijax.errors import HsijaxError, UsageError
from hsijax.io.atomic import explain_failure, write_atomically, write_text
from hsijax.settings import Config, config_values, read_config, restore_config
from hsijax.training.course import Epoch

SCHEMA = 1  # of run.json; raised when its meaning changes
COMMANDS = {"classification": "train", "unmixing": "unmix"}  # that make a run folder
HISTORY = ("run", "epoch", "loss", "lr", "score", "seconds")
PACKAGES = (
    *("hsijax", "jax", "jaxlib", "flax", "optax", "diffrax", "numpy", "scipy"),
    "scikit-learn",
)


@dataclass(frozen=True)
class Run:
    """One run folder; each property or method is one file of it."""

    folder: Path

    @property
    def split_file(self) -> Path:
        """Which pixels train, validate and test in each run."""
        return self.folder / "split.npz"

    @property
    def figures(self) -> Path:
        """Folder of the training curve and the confusion matrix."""
        return self.folder / "figures"

    @property
    def maps(self) -> Path:
        """Folder of class maps."""
        return self.folder / "maps"

    def state_file(self, run: int) -> Path:
        """Checkpoint that an unfinished training goes on from."""
        return self.folder / "checkpoints" / f"run-{run}-state.safetensors"

    def network_file(self, run: int) -> Path:
        """The trained network with its preprocessing."""
        return self.folder / "checkpoints" / f"run-{run}.safetensors"

    def read_config(self, kind: type[Config] = TrainConfig) -> Config:
        """Read the settings that the run was started with."""
        return restore_config(read_config(self.folder / "config.toml", kind), kind)

    def write_config(self, config: TrainConfig | UnmixConfig) -> None:
        """Write the full configuration, which `--config` takes."""
        write_text(self.folder / "config.toml", tomli_w.dumps(config_values(config)))

    def read_manifest(self) -> dict[str, Any]:
        """Read `run.json`."""
        return _read_json(self.folder / "run.json")

    def update_manifest(self, **entries: Any) -> None:
        """Add or replace entries of `run.json`."""
        path = self.folder / "run.json"
        manifest = _read_json(path) if path.exists() else {"schema": SCHEMA}
        _write_json(path, manifest | entries)

    def update_entry(self, name: str, number: int, value: Any) -> None:
        """Add or replace what an entry of `run.json` says of one run."""
        known = self.read_manifest().get(name, {})
        self.update_manifest(**{name: known | {str(number): value}})

    def read_metrics(self) -> dict[str, Any]:
        """Read `metrics.json`."""
        return _read_json(self.folder / "metrics.json")

    def write_metrics(self, metrics: Mapping[str, Any]) -> None:
        """Write `metrics.json`, unless that is what it holds already."""
        path = self.folder / "metrics.json"
        if not path.exists() or path.read_text(encoding="utf-8") != _to_json(metrics):
            _write_json(path, metrics)

    def add_history(self, epoch: Epoch) -> None:
        """Append one epoch to `history.csv`."""
        path = self.folder / "history.csv"
        score = "" if epoch.score is None else f"{epoch.score:.6f}"
        rate_and_loss = f"{epoch.loss:.6g},{epoch.lr:.6g}"
        with explain_failure(path), path.open("a", encoding="utf-8") as stream:
            if stream.tell() == 0:
                stream.write(",".join(HISTORY) + "\n")
            stream.write(
                f"{epoch.run},{epoch.epoch},{rate_and_loss},{score},"
                f"{epoch.seconds:.3f}\n"
            )

    def read_history(self) -> list[dict[str, float | None]]:
        """Read the epochs so far; a last line that was cut off is left out."""
        path = self.folder / "history.csv"
        if not path.exists():
            return []
        with path.open(newline="", encoding="utf-8") as stream:
            lines = [line for line in stream if line.endswith("\n")]
        return [
            {name: float(text) if text else None for name, text in row.items()}
            for row in csv.DictReader(lines)
        ]

    def rewind_history(self, epochs_done: Sequence[int]) -> None:
        """Drop the rows that no checkpoint covers: they will be trained again."""
        path = self.folder / "history.csv"
        if not path.exists():
            return
        with path.open(newline="", encoding="utf-8") as stream:
            lines = [line for line in stream if line.endswith("\n")]
        kept = lines[:1]
        for line in lines[1:]:
            run, epoch = line.split(",")[:2]
            if int(epoch) <= epochs_done[int(run)]:
                kept.append(line)
        with write_atomically(path) as temporary:
            temporary.write_text("".join(kept), encoding="utf-8", newline="")

    def write_predictions(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Write `predictions.npz`: what each run says of its test pixels."""
        with write_atomically(self.folder / "predictions.npz") as temporary:
            np.savez_compressed(temporary, allow_pickle=False, **arrays)

    def read_predictions(self) -> dict[str, np.ndarray]:
        """Read `predictions.npz`; empty where there is none yet."""
        path = self.folder / "predictions.npz"
        if not path.exists():
            return {}
        try:
            with np.load(path, allow_pickle=False) as file:
                return dict(file)
        except (OSError, ValueError, EOFError, BadZipFile, zlib.error) as error:
            raise HsijaxError(f"{path} is damaged: {error}") from error


def create_run(
    out: Path | None,
    name: str,
    *,
    overwrite: bool,
    root: Path = Path("runs"),
    command: str = "train",
) -> Run:
    """Make a new run folder: `out`, or the next free `runs/<name>-<number>`.

    `command` is the one that goes on with the folder.

    Raises:
        UsageError: `out` exists and is not to be replaced.
    """
    try:
        if out is None:
            return Run(_next_free_folder(root, name))
        if out.exists() and (not out.is_dir() or any(out.iterdir())):
            if not (out / "run.json").exists():
                raise UsageError(
                    f"{out} exists already and is no run folder: choose another --out"
                )
            if not overwrite:
                raise UsageError(
                    f"{out} exists already: choose another --out, go on with "
                    f"`hsijax {command} --resume {out}`, or give --overwrite"
                )
            shutil.rmtree(out)
        out.mkdir(parents=True, exist_ok=True)
        return Run(out)
    except OSError as error:
        raise HsijaxError(
            f"cannot make the run folder {out or root}: {error.strerror}"
        ) from error


def open_run(folder: Path, task: str | None = "classification") -> Run:
    """Open a run folder that exists.

    Args:
        folder: where it is.
        task: "classification" or "unmixing", if only that will do.

    Raises:
        UsageError: there is none at that path, or one of the other task.
        HsijaxError: a later version of hsijax wrote it.
    """
    if not (folder / "run.json").is_file():
        makers = (COMMANDS[task],) if task else COMMANDS.values()
        raise UsageError(
            f"{folder} is no run folder: it has no run.json (hsijax "
            f"{' or '.join(makers)} makes one)"
        )
    run = Run(folder)
    manifest = run.read_manifest()
    schema = manifest.get("schema")
    if schema != SCHEMA:
        raise HsijaxError(
            f"{folder} was written in format {schema}, this hsijax reads {SCHEMA}: "
            "use the version named in its run.json"
        )
    found = manifest.get("task", "classification")
    if task not in (None, found):
        raise UsageError(
            f"{folder} is a run of `hsijax {COMMANDS[found]}`, and this command takes "
            f"those of `hsijax {COMMANDS[str(task)]}`"
        )
    return run


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


def _next_free_folder(root: Path, name: str) -> Path:
    root.mkdir(parents=True, exist_ok=True)
    number = 1
    while True:
        folder = root / f"{name}-{number}"
        try:
            folder.mkdir()  # fails where another process was faster
        except FileExistsError:
            number += 1
        else:
            return folder


def _read_json(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise HsijaxError(
            f"{path.parent} has no {path.name}: the run has not ended; go on with it "
            f"by --resume {path.parent}"
        ) from error
    except (OSError, ValueError) as error:
        raise HsijaxError(f"{path} is damaged: {error}") from error


def _write_json(path: Path, data: Mapping[str, Any]) -> None:
    write_text(path, _to_json(data))


def _to_json(data: Mapping[str, Any]) -> str:
    return json.dumps(data, indent=2, allow_nan=False) + "\n"
