"""One run folder: its files, and who may write them."""

import csv
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import tomli_w

from hsijax.config import TrainConfig, UnmixConfig
from hsijax.errors import HsijaxError
from hsijax.io.atomic import explain_failure, remove, write_atomically, write_text
from hsijax.runs.lock import claim, hold, release
from hsijax.runs.manifest import now, read_json, to_json
from hsijax.settings import Config, config_values, read_config, restore_config
from hsijax.training.course import Epoch

SCHEMA = 1  # of run.json; raised when its meaning changes
HISTORY = ("run", "epoch", "loss", "lr", "score", "seconds")


@dataclass(frozen=True)
class Run:
    """One run folder; each property or method is one file of it."""

    folder: Path

    def hold(self) -> None:
        """Let no other process write the folder, until `work` or this process ends.

        Raises:
            HsijaxError: another process is writing it.
        """
        hold(self.folder)

    def claim(self) -> AbstractContextManager[None]:
        """Hold the folder during a block, or as long as it was held anyway.

        Raises:
            HsijaxError: another process is writing it.
        """
        return claim(self.folder)

    @contextmanager
    def prepare(self) -> Iterator[None]:
        """Delete the folder again if a block does not write all that it begins with."""
        try:
            yield
        except BaseException:
            release(self.folder)
            remove(self.folder)
            raise

    @contextmanager
    def work(self) -> Iterator[None]:
        """Hold the folder during a block, and keep in `run.json` how that ends.

        Raises:
            HsijaxError: another process is writing it.
        """
        self.hold()
        try:
            self.update_manifest(status="running")
            yield
            self.update_manifest(status="done", error=None, ended=now())
        except KeyboardInterrupt:
            self.update_manifest(status="interrupted")
            raise
        except Exception as error:
            with suppress(HsijaxError):  # on a full disk, what did not fit is said
                self.update_manifest(status="failed", error=str(error))
            raise
        finally:
            release(self.folder)

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
        return read_json(self.folder / "run.json")

    def update_manifest(self, **entries: Any) -> None:
        """Add or replace entries of `run.json`."""
        path = self.folder / "run.json"
        manifest = read_json(path) if path.exists() else {"schema": SCHEMA}
        write_text(path, to_json(manifest | entries))

    def update_entry(self, name: str, number: int, value: Any) -> None:
        """Add or replace what an entry of `run.json` says of one run."""
        known = self.read_manifest().get(name, {})
        self.update_manifest(**{name: known | {str(number): value}})

    def read_metrics(self) -> dict[str, Any]:
        """Read `metrics.json`."""
        return read_json(self.folder / "metrics.json")

    def write_metrics(self, metrics: Mapping[str, Any]) -> None:
        """Write `metrics.json`, unless that is what it holds already.

        Raises:
            HsijaxError: another process is writing the folder.
        """
        path = self.folder / "metrics.json"
        text = to_json(metrics)
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            with self.claim():
                write_text(path, text)

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
        except PermissionError as error:
            raise HsijaxError(f"cannot read {path}: {error.strerror}") from error
        except (OSError, ValueError, EOFError, BadZipFile, zlib.error) as error:
            raise HsijaxError(f"{path} is damaged: {error}") from error
