"""How often the programs of a row evaluate the network's function."""

from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from hsijax.classification.network import Blueprint
from hsijax.config import OdeSolver, TrainConfig
from hsijax.experiments.bench_cases import CLASSES, Case
from hsijax.experiments.bench_networks import LR, Programs
from hsijax.models import Classifier, Evaluations, count_evaluations
from hsijax.models.blocks import MAPS
from hsijax.models.evaluations import tally_evaluations
from hsijax.patches import gather_patches
from hsijax.training.step import cross_entropy, split_network

_gather = jax.jit(gather_patches, static_argnames="patch_side")


def count_case(case: Case, programs: Programs) -> dict[str, Any] | None:
    """Count the function evaluations of a training step and of a prediction, per patch.

    `forward` are those of the forward pass, `recomputed` the further ones that the
    backward pass makes, `backward` the transposed derivatives. They are counted while
    a gradient runs: of the loss that is trained on, by the patches that are measured,
    where steps adapt. None of networks without a block.
    """
    config = case.config
    if not isinstance(config, TrainConfig):
        return None
    network = Blueprint(replace(config, lr=LR), case.channels, CLASSES).network()
    model = nnx.merge(network.train, jax.device_get(programs.predict.first))
    if case.loops:
        return _count_adaptive(case, programs, model)
    # Whatever the patches are: a trivial function counts, on one pixel.
    hidden = jnp.zeros((1, 1, 1, MAPS))
    forward = int(model.block.evaluations(hidden)[0])
    tally = tally_evaluations(model.block, stand_in=True)
    gradient = jax.jit(jax.grad(lambda hidden: model.block(hidden).sum()))
    jax.block_until_ready(gradient(hidden))
    jax.effects_barrier()
    return {
        "training": {
            "forward": forward,
            "recomputed": tally.forward - forward,
            "backward": tally.backward,
        },
        "prediction": Evaluations(forward, forward)._asdict(),
    }


def _count_adaptive(
    case: Case, programs: Programs, model: Classifier
) -> dict[str, Any]:
    """Count with the network, the loss and the patches that are measured."""
    config = case.config
    assert isinstance(config, TrainConfig)
    # One device is enough to count.
    params = jax.device_get(programs.predict.first)
    padded, pixels, labels = jax.device_get(programs.train.rest[:3])
    others = jax.device_get(programs.predict.rest[1])
    trained = _gather(padded, pixels, patch_side=config.patch)
    # Forward, all adjoints do the same: one program for all of them.
    plain = replace(config, lr=LR, adjoint=OdeSolver().adjoint)
    forward_only = Blueprint(plain, case.channels, CLASSES).network()
    forward = count_evaluations(nnx.merge(forward_only.train, params), trained).mean
    tally = tally_evaluations(model.block)
    loss_fn = cross_entropy(split_network(model, model), config.label_smoothing)
    wrapped = nnx.to_pure_dict(nnx.state(model, nnx.Param))
    key = jax.random.key(config.seed)
    jax.block_until_ready(jax.jit(jax.grad(loss_fn))(wrapped, trained, labels, key))
    jax.effects_barrier()
    patches = len(trained)
    return {
        "training": {
            "forward": forward,
            "recomputed": tally.forward / patches - forward,
            "backward": tally.backward / patches,
        },
        "prediction": _count_predicted(
            nnx.merge(forward_only.predict, params), padded, others, config
        )._asdict(),
    }


def _count_predicted(
    classifier: Classifier, padded: np.ndarray, pixels: np.ndarray, config: TrainConfig
) -> Evaluations:
    """Count in a prediction, in parts as large as a batch of the training."""
    parts = np.array_split(pixels, max(1, len(pixels) // config.batch))
    found = [
        count_evaluations(classifier, _gather(padded, part, patch_side=config.patch))
        for part in parts
    ]
    mean = np.average([one.mean for one in found], weights=[len(p) for p in parts])
    return Evaluations(float(mean), max(one.largest for one in found))
