"""A trained classifier: the network with all that its input went through."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Bool, Float, Int

from hsijax.classification.predict import Predictor, make_predictor, predict_pixels
from hsijax.config import OdeSolver, Progress, TrainConfig, no_progress
from hsijax.errors import HsijaxError
from hsijax.models import Classifier, make_classifier
from hsijax.patches import pad_cube
from hsijax.preprocessing import Preprocessing, apply, from_arrays, to_arrays
from hsijax.scenes import LandClass, Scene
from hsijax.settings import config_values, restore_config
from hsijax.training.checkpoint import (
    load_arrays,
    load_checkpoint,
    read_metadata,
    save_checkpoint,
)
from hsijax.training.step import Network, PyTree, make_init, split_network

# Largest distance between a band of the run and one of another scene, nm.
BAND_TOLERANCE = 5.0


@dataclass(frozen=True)
class Blueprint:
    """What a network is built from: settings, channels in and classes out."""

    config: TrainConfig
    channels: int
    classes: int

    def build(self, rngs: nnx.Rngs, solver: OdeSolver | None = None) -> Classifier:
        """Build the model, with the settings' solver or another one."""
        config = self.config
        return make_classifier(
            config.model,
            config.architecture,
            channels=self.channels,
            classes=self.classes,
            solver=solver or config.ode_solver,
            dropout=config.dropout,
            precision=config.precision,
            rngs=rngs,
        )

    def network(self) -> Network:
        """Return the network's code, as it trains and as it predicts.

        A prediction must not depend on which pixels share its batch: with adaptive
        steps, each patch gets its own.
        """
        own_steps = replace(self.config.ode_solver, step_control="sample")
        return split_network(_skeleton(self), _skeleton(self, own_steps))

    def first_params(self, run: int) -> PyTree:
        """Draw the parameters that a run starts from."""
        # The second fold keeps these draws apart from those of the steps.
        key = jax.random.fold_in(jax.random.key(self.config.seed), run)
        return _compiled_init(self)(jax.random.fold_in(key, 2**32 - 1))

    def check(self) -> None:
        """Raise an error unless the network can be built and takes its patches.

        Raises:
            UsageError: an unknown name, solver settings that exclude each other, or a
                patch that is too small for the architecture.
        """
        side = self.config.patch
        patches = jax.ShapeDtypeStruct((1, side, side, self.channels), np.float32)

        def apply(model: Classifier, patches: jax.Array) -> jax.Array:
            return model(patches, rngs=nnx.Rngs(0))

        nnx.eval_shape(apply, _skeleton(self), patches)

    def predictor(self) -> Predictor:
        """Return the compiled prediction of a batch; see `make_predictor`."""
        return _compiled_predictor(self)


@cache
def _skeleton(blueprint: Blueprint, solver: OdeSolver | None = None) -> Classifier:
    """Build the model without its arrays."""
    return nnx.eval_shape(lambda: blueprint.build(nnx.Rngs(0), solver))


@cache
def _compiled_init(blueprint: Blueprint) -> Callable[..., PyTree]:
    return make_init(blueprint.build)


@cache
def _compiled_predictor(blueprint: Blueprint) -> Predictor:
    return make_predictor(blueprint.network(), blueprint.config.patch)


@dataclass(frozen=True)
class TrainedClassifier:
    """A network's parameters, its preprocessing, its bands and its classes."""

    blueprint: Blueprint
    params: PyTree
    preprocessing: Preprocessing
    good_bands: Bool[np.ndarray, " bands"]
    wavelengths: Float[np.ndarray, " bands"] | None  # nm
    classes: tuple[LandClass, ...]

    def save(self, path: Path, **notes: Any) -> None:
        """Write one file that holds all of it, with `notes` beside."""
        arrays = {
            "params": self.params,
            "preprocessing": to_arrays(self.preprocessing),
            "good_bands": self.good_bands.astype(np.uint8),
        }
        if self.wavelengths is not None:
            arrays["wavelengths"] = self.wavelengths
        described = {
            "config": config_values(self.blueprint.config),
            "channels": self.blueprint.channels,
            "classes": [[c.id, c.name, list(c.colour)] for c in self.classes],
        }
        save_checkpoint(path, arrays, described | {"notes": notes})

    @classmethod
    def load(cls, path: Path) -> "TrainedClassifier":
        """Read what `save` wrote.

        Raises:
            HsijaxError: the file is damaged or from another version's network.
        """
        described = read_metadata(path)
        config = restore_config(described["config"])
        classes = tuple(
            LandClass(number, name, (red, green, blue))
            for number, name, (red, green, blue) in described["classes"]
        )
        blueprint = Blueprint(config, described["channels"], len(classes))
        arrays = load_arrays(path)
        preprocessing = {
            name.removeprefix("preprocessing/"): array
            for name, array in arrays.items()
            if name.startswith("preprocessing/")
        }
        template = nnx.to_pure_dict(nnx.state(_skeleton(blueprint), nnx.Param))
        return cls(
            blueprint,
            load_checkpoint(path, template, prefix="params/"),
            from_arrays(preprocessing),
            arrays["good_bands"].astype(bool),
            arrays.get("wavelengths"),
            classes,
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
    ) -> Float[Array, "padded_rows padded_cols channels"]:
        """Preprocess and pad a cube, and put it on the device."""
        config = self.blueprint.config
        channels = apply(self.preprocessing, cube, valid)
        return jnp.asarray(pad_cube(channels, config.patch, config.padding))

    def with_solver(self, solver: OdeSolver) -> "TrainedClassifier":
        """Return the same parameters with another solver of the continuous block."""
        config = replace(self.blueprint.config, **asdict(solver))
        return replace(self, blueprint=replace(self.blueprint, config=config))

    def model(self, use: str = "predict") -> Classifier:
        """Build the model with its parameters, as it does "predict" or "train"."""
        return nnx.merge(getattr(self.blueprint.network(), use), self.params)

    def predict(
        self,
        padded: Float[Array, "padded_rows padded_cols channels"],
        pixels: Int[np.ndarray, "pixels 2"],
        progress: Progress = no_progress,
    ) -> tuple[Int[np.ndarray, " pixels"], Float[np.ndarray, " pixels"]]:
        """Predict each pixel's class id and the probability given to it."""
        labels, confidence = predict_pixels(
            self.blueprint.predictor(), self.params, padded, pixels, progress=progress
        )
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
