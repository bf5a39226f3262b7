"""Optimisers and learning-rate schedules by name."""

from collections.abc import Callable

import optax

from hsijax.errors import lookup


def _one_cycle(lr: float, steps: int) -> optax.Schedule:
    return optax.cosine_onecycle_schedule(max(steps, 2), lr)


# Each takes the largest rate and the number of steps of the whole training.
SCHEDULES: dict[str, Callable[[float, int], optax.Schedule]] = {
    "constant": lambda lr, steps: optax.constant_schedule(lr),
    "cosine": optax.cosine_decay_schedule,
    "one-cycle": _one_cycle,
}

# Each takes the schedule and the weight decay.
OPTIMIZERS: dict[
    str, Callable[[optax.Schedule, float], optax.GradientTransformation]
] = {
    "adam": lambda lr, decay: _decayed(optax.adam(lr), decay),
    "adamw": lambda lr, decay: optax.adamw(lr, weight_decay=decay),
    "adagrad": lambda lr, decay: _decayed(optax.adagrad(lr), decay),
    "rmsprop": lambda lr, decay: _decayed(optax.rmsprop(lr), decay),
    "sgd": lambda lr, decay: _decayed(optax.sgd(lr, momentum=0.9), decay),
}


def _decayed(
    optimizer: optax.GradientTransformation, decay: float
) -> optax.GradientTransformation:
    """Add L2 regularisation to the gradient, as these optimisers do it."""
    if not decay:
        return optimizer
    return optax.chain(optax.add_decayed_weights(decay), optimizer)


def make_schedule(name: str, lr: float, steps: int) -> optax.Schedule:
    """Return the learning rate as a function of the step number."""
    return lookup(SCHEDULES, name, "schedule")(lr, steps)


def make_optimizer(
    name: str, schedule: optax.Schedule, weight_decay: float
) -> optax.GradientTransformation:
    """Return an optimiser; momentum of sgd is 0.9."""
    return lookup(OPTIMIZERS, name, "optimizer")(schedule, weight_decay)
