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
from hsijax.patches import pad_cube
from hsijax.preprocessing import Inputs
from hsijax.scenes import LandClass, Scene
from hsijax.scenes.bands import fit_scene
from hsijax.scenes.sensor import Sensor
from hsijax.settings import config_values, restore_config
from hsijax.training.checkpoint import load_arrays, read_metadata, save_checkpoint

# What is kept of a scene beside arrays.
DESCRIBED = ("scale", "dtype", "path")


@dataclass(frozen=True)
class TrainedClassifier:
    """What takes a scene to its classes."""

    learned: TrainedNetwork | SpectralClassifier
    inputs: Inputs
    sensor: Sensor  # of the scene that it was trained on
    classes: tuple[LandClass, ...]
    temperature: float = 1.0  # that logits are divided by; 1 until it is calibrated

    @property
    def config(self) -> TrainConfig:
        """The settings that it was trained with."""
        return self.learned.config

    def save(self, path: Path, **notes: Any) -> None:
        """Write one file that holds all of it, with `notes` beside."""
        sensor = self.sensor
        arrays = {
            "params": self.learned.arrays(),
            "preprocessing": self.inputs.arrays(),
            "good_bands": sensor.good_bands.astype(np.uint8),
        }
        if sensor.wavelengths is not None:
            arrays["wavelengths"] = sensor.wavelengths
        if sensor.fwhm is not None:
            arrays["fwhm"] = sensor.fwhm
        described = {
            "config": config_values(self.config),
            "channels": self.inputs.channels,
            "diffusion": self.inputs.described(),
            "classes": [[c.id, c.name, list(c.colour)] for c in self.classes],
            "temperature": self.temperature,
            "scene": {name: getattr(sensor, name) for name in DESCRIBED},
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
            Sensor(
                arrays["good_bands"].astype(bool),
                arrays.get("wavelengths"),
                arrays.get("fwhm"),
                **described.get("scene", {}),
            ),
            classes,
            described.get("temperature", 1.0),
        )

    def fit_scene(self, scene: Scene) -> Scene:
        """Let a scene's cube have the bands and the scale that this was trained on.

        Raises:
            HsijaxError: the scene does not cover all of these bands; names which.
        """
        return fit_scene(scene, self.sensor)

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

    def pad(
        self, channels: Float[np.ndarray, "rows cols channels"]
    ) -> Float[Array, "padded_rows padded_cols channels"]:
        """Surround preprocessed channels for patches, and put them on the device."""
        return jnp.asarray(pad_cube(channels, self.config.patch, self.config.padding))

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
