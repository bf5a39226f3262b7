"""The networks: a frame (architecture) around a block (model), and their opponents.

`make_classifier("odenet", "paper", ...)` is the published ODE-net, "resnet" in its
place the published ResNet. A new block is one row of `BLOCKS`, a new frame one file
with `Stem`, `Head` and `BLOCK` and one row of `ARCHITECTURES`. `make_classifier("ssrn",
...)` is a published network of others, for which `opponents` has one file each.
"""

from types import ModuleType
from typing import NamedTuple

import jax
from flax import nnx
from jaxtyping import Array, Float

from hsijax.config import OdeSolver, TrainConfig
from hsijax.devices import plan_execution
from hsijax.errors import lookup
from hsijax.models import compact, paper
from hsijax.models.base import Classifier, count_parameters
from hsijax.models.blocks import BLOCKS
from hsijax.models.layers import Convolution
from hsijax.models.opponents import OPPONENTS, make_opponent

__all__ = [
    "ARCHITECTURES",
    "BLOCKS",
    "OPPONENTS",
    "Classifier",
    "Evaluations",
    "count_evaluations",
    "count_parameters",
    "make_classifier",
]

ARCHITECTURES: dict[str, ModuleType] = {"paper": paper, "compact": compact}


def make_classifier(
    model: str,
    architecture: str,
    *,
    channels: int,
    classes: int,
    solver: OdeSolver,
    dropout: float,
    patch: int = TrainConfig.patch,
    precision: str = "float32",
    rngs: nnx.Rngs,
) -> Classifier:
    """Make a network with new weights.

    Args:
        model: what sits in the middle, a name in `BLOCKS`; or the whole, a name in
            `OPPONENTS`.
        architecture: what is around it, a name in `ARCHITECTURES`; opponents ignore it.
        channels: of the patches: bands or principal components.
        classes: number of logits.
        solver: settings of the continuous block; the others ignore them. They hold no
            parameters, so networks that differ in them only share their weights.
        dropout: share of the pooled features that is dropped while training.
        patch: side of the patches, pixels, which ours take as they come.
        precision: of the 3x3 convolutions, "float32" or "bfloat16". A device that is
            not for the latter takes the former.
        rngs: where the weights come from.

    Raises:
        UsageError: an unknown name, solver settings that exclude each other, or
            patches or channels that an opponent cannot have.
    """
    lookup({**BLOCKS, **OPPONENTS}, model, "model")
    if model in OPPONENTS:
        classifier = make_opponent(
            model,
            channels=channels,
            classes=classes,
            patch=patch,
            dropout=dropout,
            rngs=rngs,
        )
    else:
        frame = lookup(ARCHITECTURES, architecture, "architecture")
        classifier = Classifier(
            frame.Stem(channels, rngs=rngs),
            BLOCKS[model](solver, frame.BLOCK, rngs),
            frame.Head(classes, dropout, rngs=rngs),
        )
    if precision == "bfloat16" and plan_execution().half_convolutions:
        for _, module in nnx.iter_modules(classifier):
            if isinstance(module, Convolution):
                module.half = True
    return classifier


class Evaluations(NamedTuple):
    """How often the block's function is applied in a forward pass, over patches."""

    mean: float
    largest: int


@jax.jit
def _evaluations(classifier, patches):
    return classifier.block.evaluations(classifier.stem(patches))


def count_evaluations(
    classifier: Classifier, patches: Float[Array, "batch side side channels"]
) -> Evaluations:
    """Measure the function evaluations that these patches take, per patch.

    For residual networks they are the applications of a residual unit.
    """
    counts = _evaluations(classifier, patches)
    return Evaluations(float(counts.mean()), int(counts.max()))
