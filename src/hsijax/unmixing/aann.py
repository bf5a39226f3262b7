"""Abundances from the bottleneck of an auto-associative network (AANN), and a control.

Two networks are trained one after the other: one that reproduces the spectra through a
bottleneck, then one from the bottleneck's values to the abundances. The control has as
many linear principal components in place of the first.

Source:
    Licciardi and Del Frate, "Pixel unmixing in hyperspectral data by means of neural
    networks", IEEE TGRS 49(11), 2011. Zhang et al., GRSL 2018, print the widths (30,
    4, 30), the epochs and the rate of the first network, nothing of the second.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from hsijax.config import UnmixConfig
from hsijax.errors import UsageError
from hsijax.models.aann import AssociatorBlueprint, AutoAssociator, HeadBlueprint
from hsijax.models.abundance_head import AbundanceHead
from hsijax.models.base import count_parameters
from hsijax.preprocessing import Preprocessing, fit_preprocessing, to_arrays
from hsijax.settings import config_values, restore_config
from hsijax.training.checkpoint import (
    load_arrays,
    read_metadata,
    save_checkpoint,
)
from hsijax.training.course import Epoch, Trained
from hsijax.training.step import PyTree
from hsijax.unmixing.dense import Stage, compute, load_params, skeleton, train_dense
from hsijax.unmixing.inputs import (
    Inputs,
    fit_inputs,
    restore_preprocessing,
    scale,
    values_at,
)
from hsijax.unmixing.lesson import Lesson


@dataclass(frozen=True)
class Plan:
    """The two networks, from the settings and the sizes of the task."""

    config: UnmixConfig
    bands: int
    endmembers: int

    @property
    def associator(self) -> AssociatorBlueprint:
        """The first network."""
        return AssociatorBlueprint(
            self.bands, self.config.width, self.config.components
        )

    @property
    def head(self) -> HeadBlueprint:
        """The second network, as wide as the first."""
        config = self.config
        return HeadBlueprint(
            config.components, config.width, self.endmembers, config.output
        )


@dataclass(frozen=True, eq=False)
class Encoder:
    """The first half of a trained auto-associative network, its values standardised."""

    params: PyTree
    scaling: Preprocessing  # of the bottleneck's values


@dataclass(frozen=True, eq=False)
class TrainedAann:
    """Both networks after training, or the principal components and the second."""

    plan: Plan
    inputs: Inputs
    encoder: Encoder | None  # none where principal components take its place
    params: PyTree  # of the second network
    seconds: float  # that training took
    epoch: int  # the one that `params` come from; the first network's come before

    @property
    def parameters(self) -> int:
        """Number of trainable values."""
        plan = self.plan
        networks = [plan.associator, plan.head] if self.encoder else [plan.head]
        return sum(count_parameters(skeleton(network)) for network in networks)

    def predict(
        self,
        cube: Float[np.ndarray, "rows cols bands"],
        valid: Bool[np.ndarray, "rows cols"],
        pixels: Int[np.ndarray, "pixels 2"],
    ) -> Float[np.ndarray, "pixels endmembers"]:
        """Return the abundances of some pixels, on the simplex.

        Raises:
            HsijaxError: the cube has other bands than the method was trained on.
        """
        channels = self.inputs.at(cube, pixels)
        features = _encode(self.plan, self.encoder, channels)
        return _unmix(self.plan, self.params, features)

    def save(self, path: Path) -> None:
        """Write what was learned to a safetensors file."""
        arrays = {
            "params": self.params,
            "preprocessing": to_arrays(self.inputs.preprocessing),
        }
        if self.encoder is not None:
            arrays["encoder"] = {
                "params": self.encoder.params,
                "preprocessing": to_arrays(self.encoder.scaling),
            }
        described = {
            "config": config_values(self.plan.config),
            "bands": self.plan.bands,
            "endmembers": self.plan.endmembers,
            "seconds": self.seconds,
            "epoch": self.epoch,
        }
        save_checkpoint(path, arrays, described)

    @classmethod
    def load(cls, path: Path) -> "TrainedAann":
        """Read what `save` wrote.

        Raises:
            HsijaxError: the file is damaged or from another version's network.
        """
        described = read_metadata(path)
        config = restore_config(described["config"], UnmixConfig)
        plan = Plan(config, described["bands"], described["endmembers"])
        arrays = load_arrays(path)
        encoder = None
        if config.model == "aann":
            encoder = Encoder(
                load_params(path, plan.associator, "encoder/params/"),
                restore_preprocessing(arrays, "encoder/preprocessing/"),
            )
        return cls(
            plan,
            Inputs(config.norm, restore_preprocessing(arrays, "preprocessing/")),
            encoder,
            load_params(path, plan.head, "params/"),
            described["seconds"],
            described["epoch"],
        )


def fit_aann(
    config: UnmixConfig,
    lesson: Lesson,
    run: int,
    checkpoint: Path,
    on_epoch: Callable[[Epoch], None],
) -> TrainedAann:
    """Train both networks for `config.epochs` each, or go on from `checkpoint`.

    The second network's epochs are numbered on from the first one's, which keeps a
    checkpoint of its own beside `checkpoint`. See `lesson.Fit`.

    Raises:
        HsijaxError: the loss is no longer finite.
    """
    plan = Plan(config, lesson.cube.shape[2], lesson.abundances.shape[2])
    inputs = fit_inputs(config, lesson)
    channels = inputs.at(lesson.cube, lesson.train)
    nothing = np.zeros(len(channels), np.int32)  # the targets are the inputs
    first = train_dense(
        config,
        Stage(plan.associator, _reconstruction_error, number=0),
        channels,
        nothing,
        run,
        checkpoint.with_stem(f"{checkpoint.stem}-autoassociative"),
        on_epoch,
    )
    values = compute(plan.associator, AutoAssociator.encode, first.params, channels)
    scaling = fit_preprocessing(values, scaling="standard", components=0)
    encoder = Encoder(jax.device_get(first.params), scaling)
    return _fit_head(plan, inputs, encoder, first, lesson, run, checkpoint, on_epoch)


def fit_pca_network(
    config: UnmixConfig,
    lesson: Lesson,
    run: int,
    checkpoint: Path,
    on_epoch: Callable[[Epoch], None],
) -> TrainedAann:
    """Train the second network on principal components; see `lesson.Fit`.

    Raises:
        UsageError: there are fewer bands or pixels than components.
        HsijaxError: the loss is no longer finite.
    """
    bands = lesson.cube.shape[2]
    most = min(bands, len(lesson.train))
    if config.components > most:
        raise UsageError(
            f"--components {config.components}: {len(lesson.train)} training pixels of "
            f"{bands} bands have {most} principal components"
        )
    plan = Plan(config, bands, lesson.abundances.shape[2])
    inputs = fit_inputs(config, lesson, config.components)
    return _fit_head(plan, inputs, None, None, lesson, run, checkpoint, on_epoch)


def _fit_head(
    plan: Plan,
    inputs: Inputs,
    encoder: Encoder | None,
    first: Trained | None,
    lesson: Lesson,
    run: int,
    checkpoint: Path,
    on_epoch: Callable[[Epoch], None],
) -> TrainedAann:
    """Train the network from features to abundances."""
    train, held_out = (
        _encode(plan, encoder, inputs.at(lesson.cube, pixels))
        for pixels in (lesson.train, lesson.validation)
    )
    targets = values_at(lesson.abundances, lesson.train).astype(np.float32)
    if plan.config.targets == "binary":
        targets = np.eye(plan.endmembers, dtype=np.float32)[targets.argmax(axis=1)]
    reference = values_at(lesson.abundances, lesson.validation)

    def score(params: PyTree) -> float:
        estimated = _unmix(plan, params, held_out)
        return -float(np.sqrt(np.mean((estimated - reference) ** 2)))

    epochs, seconds = (first.epoch, first.seconds) if first else (0, 0.0)

    def count_on(epoch: Epoch) -> None:
        on_epoch(
            epoch._replace(epoch=epoch.epoch + epochs, seconds=epoch.seconds + seconds)
        )

    stage = Stage(
        plan.head,
        _abundance_error,
        number=1,
        score=score if len(held_out) else None,
        keep_best=plan.config.select == "validation",
    )
    trained = train_dense(plan.config, stage, train, targets, run, checkpoint, count_on)
    return TrainedAann(
        plan,
        inputs,
        encoder,
        jax.device_get(trained.params),
        trained.seconds + seconds,
        trained.epoch + epochs,
    )


def _reconstruction_error(
    model: AutoAssociator, inputs: Float[Array, "batch channels"], _: Array
) -> Float[Array, ""]:
    return jnp.mean((model(inputs) - inputs) ** 2)


def _abundance_error(
    model: AbundanceHead,
    features: Float[Array, "batch components"],
    abundances: Float[Array, "batch endmembers"],
) -> Float[Array, ""]:
    return -jnp.sum(abundances * model(features), axis=-1).mean()


def _abundances(
    model: AbundanceHead, features: Float[Array, "batch components"]
) -> Float[Array, "batch endmembers"]:
    return jnp.exp(model(features))


def _encode(
    plan: Plan, encoder: Encoder | None, channels: Float[np.ndarray, "pixels channels"]
) -> Float[np.ndarray, "pixels components"]:
    """Return the standardised values of the bottleneck; principal components as is."""
    if encoder is None:
        return channels
    values = compute(plan.associator, AutoAssociator.encode, encoder.params, channels)
    return scale(encoder.scaling, values)


def _unmix(
    plan: Plan, params: PyTree, features: Float[np.ndarray, "pixels components"]
) -> Float[np.ndarray, "pixels endmembers"]:
    return compute(plan.head, _abundances, params, features)
