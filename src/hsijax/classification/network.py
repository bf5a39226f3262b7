"""A network as a classifier: what it is built from, and its parameters."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path

import jax
import numpy as np
from flax import nnx
from jaxtyping import Array, Float, Int

from hsijax.classification.predict import Predictor, make_predictor, predict_logits
from hsijax.config import OdeSolver, Progress, TrainConfig, no_progress
from hsijax.models import Classifier, make_classifier
from hsijax.training.checkpoint import load_checkpoint
from hsijax.training.step import Network, PyTree, make_init, split_network


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
            patch=config.patch,
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
class TrainedNetwork:
    """A network with the parameters that it has learned."""

    blueprint: Blueprint
    params: PyTree

    @property
    def config(self) -> TrainConfig:
        """The settings that it was trained with."""
        return self.blueprint.config

    @classmethod
    def load(cls, path: Path, blueprint: Blueprint) -> "TrainedNetwork":
        """Read the parameters from a file below `params/`.

        Raises:
            HsijaxError: the file is damaged or from another version's network.
        """
        template = nnx.to_pure_dict(nnx.state(_skeleton(blueprint), nnx.Param))
        return cls(blueprint, load_checkpoint(path, template, prefix="params/"))

    def arrays(self) -> PyTree:
        """Return what `load` reads."""
        return self.params

    def model(self, use: str = "predict") -> Classifier:
        """Build the model with its parameters, as it does "predict" or "train"."""
        return nnx.merge(getattr(self.blueprint.network(), use), self.params)

    def with_solver(self, solver: OdeSolver) -> "TrainedNetwork":
        """Return the same parameters with another solver of the continuous block."""
        config = replace(self.blueprint.config, **asdict(solver))
        return replace(self, blueprint=replace(self.blueprint, config=config))

    def logits(
        self,
        padded: Float[Array, "padded_rows padded_cols channels"],
        pixels: Int[np.ndarray, "pixels 2"],
        progress: Progress = no_progress,
    ) -> Float[np.ndarray, "pixels classes"]:
        """Return the logits of pixels of a prepared cube."""
        return predict_logits(
            self.blueprint.predictor(), self.params, padded, pixels, progress=progress
        )
