"""The programs that `hsijax train` and `hsijax unmix` run, on synthetic patches."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from functools import cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.sharding import Mesh

from hsijax.classification.network import Blueprint
from hsijax.config import OdeSolver, TrainConfig, UnmixConfig
from hsijax.devices import plan_execution
from hsijax.experiments.bench_cases import CLASSES, ENDMEMBERS, Case
from hsijax.experiments.bench_programs import Program, read_cost
from hsijax.patches import pad_cube
from hsijax.training.engine import compile_epoch, compile_step
from hsijax.training.mesh import BATCH, make_mesh, place
from hsijax.training.schedule import make_optimizer, make_schedule
from hsijax.training.step import (
    LossFn,
    PyTree,
    TrainState,
    abundance_cross_entropy,
    cross_entropy,
    make_init,
    make_train_step,
)
from hsijax.unmixing import blueprint as unmixing

SIDE = 64  # of the synthetic scene, pixels
STEPS = 1000  # that the learning rate's schedule is made for

# So small that no parameter moves: adaptive steps stay what they are at first.
LR = 1e-12
EPOCH = 16  # steps, where an epoch is one program


class Programs(NamedTuple):
    """One training step and one prediction of a network."""

    train: Program
    predict: Program


def make_programs(case: Case) -> Programs:
    """Make the programs that train and predict with a network.

    Raises:
        UsageError: the network cannot have this patch or these channels.
    """
    if isinstance(case.config, TrainConfig):
        return _classification(case.config, case.channels)
    return _unmixing(case.config, case.channels)


def _classification(config: TrainConfig, channels: int) -> Programs:
    blueprint = Blueprint(replace(config, lr=LR), channels, CLASSES)
    # Solvers have no parameters: all of them share the default's.
    plain = replace(blueprint.config, **asdict(OdeSolver()))
    start = Blueprint(plain, channels, CLASSES)
    start.check()
    rng = np.random.default_rng(config.seed)
    padded = _draw_scene(rng, channels, config.patch, config.padding)
    params = _draw_params(start.build)
    labels = rng.integers(CLASSES, size=config.batch)
    loss_fn = cross_entropy(blueprint.network(), config.label_smoothing)
    mesh = make_mesh(1, config.batch)
    data = (padded, _draw_pixels(rng, config.batch), labels)
    return Programs(
        _train_program(config, loss_fn, config.patch, params, data, config.batch, mesh),
        _predict_program(blueprint, params, padded, rng),
    )


def _predict_program(
    blueprint: Blueprint, params: PyTree, padded: jax.Array, rng: np.random.Generator
) -> Program:
    predictor = blueprint.predictor()
    mesh, batch = predictor.mesh, predictor.batch
    params, padded = place((params, padded), mesh)
    return Program(
        predictor.classify,
        params,
        (
            predictor.share(params, padded),  # once for a scene, so no part of a batch
            place(_draw_pixels(rng, batch), mesh, BATCH),
        ),
        batch,
        carries=False,
        devices=mesh.size if mesh else 1,
    )


def _unmixing(config: UnmixConfig, bands: int) -> Programs:
    blueprint = unmixing.Blueprint(config, bands, ENDMEMBERS)
    rng = np.random.default_rng(config.seed)
    padded = _draw_scene(rng, bands, config.patch, "reflect")
    params = _draw_params(blueprint.build)
    side = min(config.square, SIDE)
    squares = max(1, config.batch // side**2)
    shares = rng.dirichlet(np.ones(ENDMEMBERS), (squares, side, side))
    corners = _draw_pixels(rng, squares, side)
    predicted, count = unmixing.prediction_squares(config, (SIDE, SIDE))
    return Programs(
        _train_program(
            config,
            abundance_cross_entropy(blueprint.network()),
            side + config.patch - 1,
            params,
            (padded, corners, shares.astype(np.float32)),
            squares * side**2,
            make_mesh(1, squares),
        ),
        Program(
            unmixing.compiled_predictor(blueprint, predicted),
            params,
            (padded, _draw_pixels(rng, count, predicted)),
            count * predicted**2,
            carries=False,
        ),
    )


def _train_program(
    config: TrainConfig | UnmixConfig,
    loss_fn: LossFn,
    wide: int,
    params: PyTree,
    data: tuple[Any, ...],
    patches: int,
    mesh: Mesh | None = None,
) -> Program:
    schedule = make_schedule(config.schedule, LR, STEPS)
    optimizer = make_optimizer(config.optimizer, schedule, config.weight_decay)
    step = make_train_step(loss_fn, optimizer, wide, config.augment, mesh)
    padded, *batch = data
    # A copy: each step consumes its state, and predictions need the parameters.
    first = TrainState(jax.tree.map(jnp.copy, params), optimizer.init(params))
    first, padded = place((first, padded), mesh)
    key = place(jax.random.key(config.seed), mesh)
    program = Program(
        compile_step(step, mesh),
        first,
        (padded, *place(tuple(batch), mesh, BATCH), key, np.int32(0)),
        patches,
        carries=True,
        devices=mesh.size if mesh else 1,
    )
    if not plan_execution().one_program:
        return program
    run_epoch = compile_epoch(step, mesh, stacked=False)
    repeated = [np.stack([array] * EPOCH) for array in batch]
    return replace(
        program,
        epoch=lambda first: run_epoch(first, padded, *repeated, key, 0),
        steps=EPOCH,
    )


def estimate_flops(
    case: Case, evaluations: Mapping[str, Any]
) -> tuple[float | None, float | None]:
    """Work out a training step's and a prediction's FLOPs from the evaluations.

    For solvers that loop, because the compiler counts the body of a loop once. What an
    evaluation takes is what one more step of Euler's method adds to a program without
    loops; the solver's own sums are left out.

    Args:
        case: of a continuous block.
        evaluations: from `count_case`.
    """
    assert isinstance(case.config, TrainConfig)
    plain = replace(case.config, **asdict(OdeSolver()))
    flops = [_flops_of_euler(case._replace(config=plain), steps) for steps in (1, 2)]
    (train, predict, predicted_at_once), (train2, predict2, _) = flops
    if train is None or train2 is None or predict is None or predict2 is None:
        return None, None
    counts = evaluations["training"]
    forward = (predict2 - predict) * case.config.batch / predicted_at_once
    backward = train2 - train - forward
    others = counts["forward"] + counts["recomputed"] - 1
    return (
        train + others * forward + (counts["backward"] - 1) * backward,
        # All patches of a batch take as many steps as the one that needs most.
        predict + (evaluations["prediction"]["largest"] - 1) * (predict2 - predict),
    )


@cache
def _flops_of_euler(case: Case, steps: int) -> tuple[float | None, float | None, int]:
    """Count the FLOPs of a training step and a prediction, and the latter's patches."""
    assert isinstance(case.config, TrainConfig)
    euler = replace(case.config, solver="euler", steps=steps)
    programs = make_programs(case._replace(config=euler))
    train, predict = (
        read_cost(program.function.lower(program.first, *program.rest), "flops")
        for program in programs
    )
    return train, predict, programs.predict.patches


def _draw_scene(
    rng: np.random.Generator, channels: int, patch: int, padding: str
) -> jax.Array:
    """Draw a padded cube of standard normal values, as after standardisation."""
    side = max(SIDE, patch)
    cube = rng.normal(size=(side, side, channels)).astype(np.float32)
    return jnp.asarray(pad_cube(cube, patch, padding))


def _draw_pixels(rng: np.random.Generator, count: int, side: int = 1) -> np.ndarray:
    """Draw where patches, or squares of this side, lie in the scene."""
    return rng.integers(SIDE - side + 1, size=(count, 2)).astype(np.int32)


def _draw_params(build: Callable[[nnx.Rngs], nnx.Module]) -> PyTree:
    """Draw a network's parameters from their shapes, which need not be compiled.

    None of a layer's weights starts at zero, as those of a field do in a training: a
    field of zeros is too easy for adaptive steps.
    """
    rng = np.random.default_rng(0)

    def draw(path: tuple[Any, ...], shape: jax.ShapeDtypeStruct) -> jax.Array:
        drawn = np.full(shape.shape, float(path[-1].key == "scale"))
        if len(shape.shape) > 1:
            width = np.prod(shape.shape[:-1]) ** -0.5
            drawn = rng.uniform(-width, width, shape.shape)
        return jnp.asarray(drawn, shape.dtype)

    shapes = jax.eval_shape(make_init(build), jax.random.key(0))
    return jax.tree.map_with_path(draw, shapes)
