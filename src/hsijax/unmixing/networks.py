"""The unmixing networks, trained on pixels whose abundances are known."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from jax.sharding import Mesh
from jaxtyping import Array, Bool, Float, Int

from hsijax.config import UnmixConfig
from hsijax.errors import HsijaxError
from hsijax.models.base import count_parameters
from hsijax.patches import pad_cube
from hsijax.preprocessing import Preprocessing, apply, fit_preprocessing, to_arrays
from hsijax.settings import config_values, restore_config
from hsijax.training.checkpoint import (
    load_arrays,
    load_checkpoint,
    read_metadata,
    save_checkpoint,
)
from hsijax.training.course import Epoch, Loop, TrainingSet, steps_per_epoch
from hsijax.training.loop import train_run
from hsijax.training.schedule import make_optimizer, make_schedule
from hsijax.training.step import (
    PyTree,
    TrainState,
    TrainStep,
    abundance_cross_entropy,
    make_init,
    make_train_step,
)
from hsijax.unmixing.blueprint import Blueprint, predict_pixels
from hsijax.unmixing.inputs import restore_preprocessing, values_at
from hsijax.unmixing.lesson import Lesson
from hsijax.unmixing.normalise import normalise
from hsijax.unmixing.squares import corners_of_squares, cut_targets


@dataclass(frozen=True, eq=False)
class TrainedNetwork:
    """A network's parameters with all that its input goes through."""

    blueprint: Blueprint
    params: PyTree
    preprocessing: Preprocessing
    seconds: float  # that training took
    epoch: int  # the one that `params` come from

    @property
    def parameters(self) -> int:
        """Number of trainable values."""
        return count_parameters(self.blueprint.skeleton())

    def prepare(
        self,
        cube: Float[np.ndarray, "rows cols bands"],
        valid: Bool[np.ndarray, "rows cols"],
    ) -> Float[Array, "padded_rows padded_cols bands"]:
        """Normalise, scale and pad a cube, and put it on the device.

        Raises:
            HsijaxError: the cube has other bands than the network was trained on.
        """
        if cube.shape[2] != self.blueprint.bands:
            raise HsijaxError(
                f"the network was trained on {self.blueprint.bands} bands, the cube "
                f"has {cube.shape[2]}"
            )
        config = self.blueprint.config
        scaled = apply(self.preprocessing, normalise(cube, config.norm), valid)
        return jnp.asarray(pad_cube(scaled, config.patch))

    def predict(
        self,
        cube: Float[np.ndarray, "rows cols bands"],
        valid: Bool[np.ndarray, "rows cols"],
        pixels: Int[np.ndarray, "pixels 2"],
    ) -> Float[np.ndarray, "pixels endmembers"]:
        """Return the abundances of some pixels, on the simplex."""
        return predict_pixels(
            self.blueprint, self.params, self.prepare(cube, valid), pixels
        )

    def save(self, path: Path) -> None:
        """Write what was learned to a safetensors file."""
        arrays = {
            "params": self.params,
            "preprocessing": to_arrays(self.preprocessing),
        }
        described = {
            "config": config_values(self.blueprint.config),
            "bands": self.blueprint.bands,
            "endmembers": self.blueprint.endmembers,
            "seconds": self.seconds,
            "epoch": self.epoch,
        }
        save_checkpoint(path, arrays, described)

    @classmethod
    def load(cls, path: Path) -> "TrainedNetwork":
        """Read what `save` wrote.

        Raises:
            HsijaxError: the file is damaged or from another version's network.
        """
        described = read_metadata(path)
        config = restore_config(described["config"], UnmixConfig)
        blueprint = Blueprint(config, described["bands"], described["endmembers"])
        template = nnx.to_pure_dict(nnx.state(blueprint.skeleton(), nnx.Param))
        return cls(
            blueprint,
            load_checkpoint(path, template, prefix="params/"),
            restore_preprocessing(load_arrays(path), "preprocessing/"),
            described["seconds"],
            described["epoch"],
        )


def fit_network(
    config: UnmixConfig,
    lesson: Lesson,
    run: int,
    checkpoint: Path,
    on_epoch: Callable[[Epoch], None],
) -> TrainedNetwork:
    """Train pixel-cnn or cube-cnn, or go on from `checkpoint`; see `lesson.Fit`.

    Raises:
        UsageError: the network cannot have these bands or this patch.
        HsijaxError: the loss is no longer finite.
    """
    blueprint = Blueprint(config, lesson.cube.shape[2], lesson.abundances.shape[2])
    train_spectra = normalise(values_at(lesson.cube, lesson.train), config.norm)
    untrained = TrainedNetwork(
        blueprint,
        _first_params(blueprint, run),
        fit_preprocessing(train_spectra, scaling=config.scaling, components=0),
        seconds=0.0,
        epoch=0,
    )
    padded = untrained.prepare(lesson.cube, lesson.valid)
    shown = lesson.abundances
    if config.targets == "binary":
        shown = np.eye(shown.shape[2])[shown.argmax(axis=2)]
    side = min(config.square, *shown.shape[:2])
    corners = corners_of_squares(lesson.train, side, lesson.valid.shape)
    data = TrainingSet(padded, corners, cut_targets(shown, lesson.train, corners, side))
    batch = max(1, config.batch // side**2)
    reference = values_at(lesson.abundances, lesson.validation)

    def score(params: PyTree) -> float:
        estimated = predict_pixels(blueprint, params, padded, lesson.validation)
        return -float(np.sqrt(np.mean((estimated - reference) ** 2)))

    steps = steps_per_epoch(len(corners), batch)
    learner = _make_learner(blueprint, side, steps)
    loop = Loop(
        learner.make_step,
        learner.schedule,
        config.epochs,
        batch,
        (config.seed, run),
        score if len(lesson.validation) else None,
        config.select == "validation",
        on_epoch,
        remedy="a smaller --lr",
        # One device's step is twice as fast as that of two which share its squares.
        shares_batch=False,
    )
    first = TrainState(untrained.params, learner.optimizer.init(untrained.params))
    trained = train_run(loop, first, data, checkpoint)
    return TrainedNetwork(
        blueprint,
        trained.params,
        untrained.preprocessing,
        trained.seconds,
        trained.epoch,
    )


def _first_params(blueprint: Blueprint, run: int) -> PyTree:
    """Draw the parameters that a run starts from."""
    # The second fold keeps these draws apart from those of the steps.
    key = jax.random.fold_in(jax.random.key(blueprint.config.seed), run)
    return _compiled_init(blueprint)(jax.random.fold_in(key, 2**32 - 1))


@cache
def _compiled_init(blueprint: Blueprint) -> Callable[..., PyTree]:
    return make_init(blueprint.build)


class _Learner(NamedTuple):
    """The step of a network with what it follows."""

    make_step: Callable[[Mesh | None], TrainStep]
    schedule: Callable[[int], Any]
    optimizer: optax.GradientTransformation


@cache
def _make_learner(blueprint: Blueprint, side: int, steps: int) -> _Learner:
    """Make the step once for all runs that have as many `steps` in an epoch."""
    config = blueprint.config
    schedule = make_schedule(config.schedule, config.lr, config.epochs * steps)
    optimizer = make_optimizer(config.optimizer, schedule, config.weight_decay)
    loss_fn = abundance_cross_entropy(blueprint.network())
    wide = side + config.patch - 1

    @cache
    def make_step(mesh: Mesh | None) -> TrainStep:
        return make_train_step(loss_fn, optimizer, wide, config.augment, mesh)

    return _Learner(make_step, schedule, optimizer)
