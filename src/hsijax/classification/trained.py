"""A trained classifier: what it has learned, its preprocessing, bands and classes."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from hsijax.classification.network import Blueprint, TrainedNetwork
from hsijax.classification.predict import most_probable
from hsijax.classification.prepared import prepare_cube
from hsijax.classification.spectral import SpectralClassifier
from hsijax.config import Progress, TrainConfig, no_progress
from hsijax.config.opponents import CLASSICAL
from hsijax.errors import HsijaxError
from hsijax.preprocessing import Inputs
from hsijax.scenes import LandClass, Scene
from hsijax.scenes.stack import BAND_TOLERANCE
from hsijax.settings import config_values, restore_config
from hsijax.training.checkpoint import load_arrays, read_metadata, save_checkpoint


@dataclass(frozen=True)
class TrainedClassifier:
    """What takes a scene to its classes."""

    learned: TrainedNetwork | SpectralClassifier
    inputs: Inputs
    good_bands: Bool[np.ndarray, " bands"]
    wavelengths: Float[np.ndarray, " bands"] | None  # nm
    classes: tuple[LandClass, ...]
    temperature: float = 1.0  # that logits are divided by; 1 until it is calibrated

    @property
    def config(self) -> TrainConfig:
        """The settings that it was trained with."""
        return self.learned.config

    def save(self, path: Path, **notes: Any) -> None:
        """Write one file that holds all of it, with `notes` beside."""
        arrays = {
            "params": self.learned.arrays(),
            "preprocessing": self.inputs.arrays(),
            "good_bands": self.good_bands.astype(np.uint8),
        }
        if self.wavelengths is not None:
            arrays["wavelengths"] = self.wavelengths
        described = {
            "config": config_values(self.config),
            "channels": self.inputs.channels,
            "diffusion": self.inputs.described(),
            "classes": [[c.id, c.name, list(c.colour)] for c in self.classes],
            "temperature": self.temperature,
        }
        save_checkpoint(path, arrays, described | {"notes": notes})

    @classmethod
    def load(cls, path: Path) -> "TrainedClassifier":
        """Read what `save` wrote.

        Raises:
            HsijaxError: the file is damaged or from another version's classifier.
        """
        described = read_metadata(path)
        config = restore_config(described["config"])
        classes = tuple(
            LandClass(number, name, (red, green, blue))
            for number, name, (red, green, blue) in described["classes"]
        )
        if config.model in CLASSICAL:
            learned = SpectralClassifier.load(path, config, len(classes))
        else:
            blueprint = Blueprint(config, described["channels"], len(classes))
            learned = TrainedNetwork.load(path, blueprint)
        arrays = load_arrays(path)
        preprocessing = {
            name.removeprefix("preprocessing/"): array
            for name, array in arrays.items()
            if name.startswith("preprocessing/")
        }
        return cls(
            learned,
            Inputs.from_saved(preprocessing, described.get("diffusion")),
            arrays["good_bands"].astype(bool),
            arrays.get("wavelengths"),
            classes,
            described.get("temperature", 1.0),
        )

    def check_bands(self, scene: Scene) -> None:
        """Raise an error unless the scene has this classifier's bands.

        Raises:
            HsijaxError: another number of bands, or other wavelengths; names which.
        """
        bands = scene.shape[2]
        if bands != len(self.good_bands):
            raise HsijaxError(
                f"{scene.name} has {bands} bands{_range(scene.wavelengths)}, the run "
                f"was trained on {len(self.good_bands)}{_range(self.wavelengths)}: a "
                "map needs the same bands in the same order"
            )
        missing = np.flatnonzero(self.good_bands & ~scene.good_bands)
        if missing.size:
            raise HsijaxError(
                f"{scene.name} marks bands as bad that the run was trained on: "
                f"{_name_bands(missing, self.wavelengths)}"
            )
        if self.wavelengths is None or scene.wavelengths is None:
            return
        apart = np.abs(self.wavelengths - scene.wavelengths) > BAND_TOLERANCE
        apart &= self.good_bands
        if apart.any():
            first = int(np.flatnonzero(apart)[0])
            raise HsijaxError(
                f"{scene.name} has other wavelengths than the run was trained on, in "
                f"{int(apart.sum())} bands; the first is band {first + 1}: "
                f"{scene.wavelengths[first]:.1f} nm, not {self.wavelengths[first]:.1f}"
            )

    def prepare(
        self,
        cube: Float[np.ndarray, "rows cols good_bands"],
        valid: Bool[np.ndarray, "rows cols"],
        region: Bool[np.ndarray, "rows cols"] | None = None,
    ) -> Float[Array, "padded_rows padded_cols channels"]:
        """Preprocess and pad a cube, and put it on the device.

        Args:
            cube: of the bands that it was trained on.
            valid: pixels that have data.
            region: pixels that diffusion keeps apart from all others; None for none.
        """
        return jnp.asarray(prepare_cube(self.inputs, self.config, cube, valid, region))

    def predict(
        self,
        padded: Float[Array, "padded_rows padded_cols channels"],
        pixels: Int[np.ndarray, "pixels 2"],
        progress: Progress = no_progress,
    ) -> tuple[Int[np.ndarray, " pixels"], Float[np.ndarray, " pixels"]]:
        """Predict each pixel's class id and the probability given to it."""
        logits = self.learned.logits(padded, pixels, progress)
        labels, confidence = most_probable(logits, self.temperature)
        return np.array([c.id for c in self.classes])[labels], confidence


def _range(wavelengths: Float[np.ndarray, " bands"] | None) -> str:
    """Say from where to where some wavelengths reach."""
    if wavelengths is None:
        return ""
    return f" ({wavelengths.min():.0f} to {wavelengths.max():.0f} nm)"


def _name_bands(
    bands: Int[np.ndarray, " bands"], wavelengths: Float[np.ndarray, " all"] | None
) -> str:
    """List the first few bands, counted from 1, with their wavelengths."""
    names = [
        f"{band + 1}"
        if wavelengths is None
        else f"{band + 1} ({wavelengths[band]:.0f} nm)"
        for band in bands[:5]
    ]
    return ", ".join(names) + (", ..." if len(bands) > 5 else "")
