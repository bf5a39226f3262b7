"""The networks: exact sizes, and what every one of them must do."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from hsijax import models
from hsijax.config import OdeSolver
from hsijax.devices import ACCELERATOR, CPU
from hsijax.errors import UsageError
from hsijax.models import (
    ARCHITECTURES,
    BLOCKS,
    count_evaluations,
    count_parameters,
    make_classifier,
)

CHANNELS, CLASSES, SIDE, BATCH = 5, 3, 5, 4
FIXED = OdeSolver("rk4", 1)
ADAPTIVE = OdeSolver("bosh3", rtol=1e-2, atol=1e-2)


def make(model, architecture, solver=FIXED, dropout=0.0, precision="float32"):
    return make_classifier(
        model,
        architecture,
        channels=CHANNELS,
        classes=CLASSES,
        solver=solver,
        dropout=dropout,
        precision=precision,
        rngs=nnx.Rngs(0),
    )


def perturbed(module):
    """Parameters that are not at zero or one, where gradients may vanish."""
    code, params = nnx.split(module)
    rng = np.random.default_rng(0)
    params = jax.tree.map(
        lambda p: p + jnp.asarray(rng.normal(0, 0.1, p.shape), p.dtype), params
    )
    return nnx.merge(code, params)


@jax.jit
def apply(module, inputs):
    """Compiled, because operation by operation is slow."""
    return module(inputs)


@pytest.fixture(scope="module")
def patches():
    shape = (BATCH, SIDE, SIDE, CHANNELS)
    return jnp.asarray(np.random.default_rng(1).normal(size=shape), jnp.float32)


# A convolution of 64 maps: 3 * 3 * 64 * 64 = 36,864. A norm: 2 * 64 = 128.
FIELD = 3 * 128 + 2 * 36_864
UNIT = 2 * 128 + 2 * 36_864
# A down-sampling block is a unit with a 1x1 convolution as its shortcut.
PAPER_FRAME = (9 * 64 + 64) + 2 * (UNIT + 64 * 64) + (128 + 64 * 16 + 16)
COMPACT_FRAME = (200 * 64 + 64) + (128 + 128 * 16 + 16)


@pytest.mark.parametrize(
    ("architecture", "model", "parameters", "by_hand"),
    [
        ("paper", "odenet", 232_080, PAPER_FRAME + FIELD),
        ("paper", "resnet", 601_872, PAPER_FRAME + 6 * UNIT),
        ("paper", "resnet-tied", 231_952, PAPER_FRAME + UNIT),
        ("paper", "resnet1", 231_952, PAPER_FRAME + UNIT),
        ("paper", "no-block", 157_968, PAPER_FRAME),
        ("compact", "odenet", 89_168, COMPACT_FRAME + FIELD),
        ("compact", "resnet", 458_960, COMPACT_FRAME + 6 * UNIT),
        ("compact", "resnet-tied", 89_040, COMPACT_FRAME + UNIT),
        ("compact", "resnet1", 89_040, COMPACT_FRAME + UNIT),
        ("compact", "no-block", 15_056, COMPACT_FRAME),
    ],
)
def test_parameter_counts(architecture, model, parameters, by_hand):
    assert parameters == by_hand
    channels = {"paper": 1, "compact": 200}[architecture]
    classifier = make_classifier(
        model,
        architecture,
        channels=channels,
        classes=16,
        solver=FIXED,
        dropout=0.3,
        rngs=nnx.Rngs(0),
    )
    assert count_parameters(classifier) == parameters


@pytest.mark.parametrize("model", BLOCKS)
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_family_contract(architecture, model, patches):
    """Logits finite and shaped, every parameter trained, and compiled only once."""
    code, params, rest = nnx.split(perturbed(make(model, architecture)), nnx.Param, ...)
    compilations = 0

    @jax.jit
    def step(params, patches):
        nonlocal compilations
        compilations += 1

        def loss(params):
            logits = nnx.merge(code, params, rest)(patches)
            return jnp.square(logits).sum(), logits

        (_, logits), grads = jax.value_and_grad(loss, has_aux=True)(params)
        return jax.tree.map(lambda p, g: p - 1e-6 * g, params, grads), grads, logits

    updated, grads, logits = step(params, patches)
    assert logits.shape == (BATCH, CLASSES)
    assert jnp.isfinite(logits).all()
    for path, grad in nnx.to_flat_state(grads):
        assert jnp.abs(grad[...]).max() > 0, path
    step(updated, patches)
    assert compilations == 1
    assert nnx.graphdef(make(model, architecture)) == nnx.graphdef(
        make(model, architecture)
    )


def test_dropout_only_while_training(patches):
    classifier = make("no-block", "compact", dropout=0.5)
    training = nnx.view(classifier, deterministic=False)
    evaluating = nnx.view(classifier, deterministic=True)

    def dropped(seed):
        return training(patches, rngs=nnx.Rngs(dropout=jax.random.key(seed)))

    np.testing.assert_array_equal(dropped(1), dropped(1))
    assert jnp.abs(dropped(1) - dropped(2)).max() > 0
    np.testing.assert_array_equal(
        evaluating(patches), make("no-block", "compact")(patches)
    )
    assert not jax.tree.leaves(nnx.state(training, nnx.RngState))


@pytest.mark.parametrize("model", [name for name in BLOCKS if name != "no-block"])
def test_compact_blocks_start_at_the_identity(model, patches):
    classifier = make(model, "compact")
    hidden = classifier.stem(patches)
    np.testing.assert_array_equal(apply(classifier.block, hidden), hidden)
    # A block that is stuck there would be no block: something must get a gradient.
    slope = jax.jit(jax.grad(lambda block, hidden: jnp.sin(block(hidden)).sum()))
    grads = slope(classifier.block, hidden)
    assert max(jnp.abs(leaf).max() for leaf in jax.tree.leaves(grads)) > 0


def test_tied_units_are_one_unit_six_times(patches):
    tied = perturbed(make("resnet-tied", "compact")).block
    hidden = jnp.ones((2, 3, 3, 64)) * jnp.linspace(-1, 1, 64)
    expected = hidden
    for _ in range(6):
        expected = apply(tied.units[0], expected)
    np.testing.assert_allclose(apply(tied, hidden), expected, rtol=1e-6)


@pytest.mark.parametrize("side", [1, 2, 5, 8])
def test_down_sampling_rounds_up(side):
    stem = make("no-block", "paper").stem
    shape = jax.eval_shape(stem, jnp.zeros((2, side + 2, side + 2, CHANNELS))).shape
    assert shape == (2, -(-side // 4), -(-side // 4), 64)


def test_a_patch_too_small_for_the_paper():
    with pytest.raises(UsageError, match="side 1 are too small"):
        make("no-block", "paper")(jnp.zeros((2, 1, 1, CHANNELS)))


@pytest.mark.parametrize(("model", "halved"), [("odenet", 7), ("resnet1", 7)])
def test_precision_is_of_all_convolutions_where_the_device_is_for_it(
    model, halved, monkeypatch
):
    def count(execution):
        monkeypatch.setattr(models, "plan_execution", lambda: execution)
        built = make(model, "paper", precision="bfloat16")
        return sum(getattr(m, "half", False) for _, m in nnx.iter_modules(built))

    assert count(ACCELERATOR) == halved
    assert count(CPU) == 0


@pytest.mark.parametrize(
    ("model", "solver"),
    [
        ("odenet", OdeSolver("rk4", 100)),
        ("odenet", ADAPTIVE),
        ("resnet", FIXED),
    ],
)
def test_convolutions_avoid_the_loop_trap(model, solver, patches):
    """On a CPU no block holds a convolution that XLA's loops make slow."""
    classifier = make(model, "compact", solver)

    def loss(patches):
        return classifier(patches).sum()

    program = str(jax.make_jaxpr(jax.grad(loss))(patches))
    assert "dot_general" in program
    assert "conv_general_dilated" not in program


def test_predictions_do_not_depend_on_batch_mates_with_step_control_sample(patches):
    """Why prediction always uses "sample"; the parameters are the same."""
    mates = patches.at[1:].multiply(0.05)
    params = nnx.state(perturbed(make("odenet", "compact", ADAPTIVE)))

    def first_logits(step_control):
        solver = dataclasses.replace(ADAPTIVE, step_control=step_control)
        classifier = make("odenet", "compact", solver)
        nnx.update(classifier, params)
        predict = jax.jit(lambda patches: classifier(patches))
        return predict(patches)[0], predict(mates)[0]

    np.testing.assert_allclose(*first_logits("sample"), atol=1e-5)
    one, other = first_logits("batch")
    assert jnp.abs(one - other).max() > 1e-4


def test_adaptive_network_trains(patches):
    """Finite gradients for every parameter, through the solver's loops."""
    classifier = perturbed(make("odenet", "compact", ADAPTIVE))
    code, params = nnx.split(classifier)
    grads = jax.jit(
        jax.grad(lambda params: jnp.square(nnx.merge(code, params)(patches)).sum())
    )(params)
    for path, grad in nnx.to_flat_state(grads):
        assert jnp.isfinite(grad[...]).all(), path
        assert jnp.abs(grad[...]).max() > 0, path


@pytest.mark.parametrize(
    ("model", "solver", "evaluations"),
    [
        ("odenet", OdeSolver("rk4", 2), 8),
        ("odenet", OdeSolver("dopri5", 2), 12),
        ("resnet", FIXED, 6),
        ("resnet-tied", FIXED, 6),
        ("resnet1", FIXED, 1),
        ("no-block", FIXED, 0),
    ],
)
def test_evaluations(model, solver, evaluations, patches):
    counted = count_evaluations(make(model, "compact", solver), patches)
    assert counted == (evaluations, evaluations)


def test_evaluations_of_an_adaptive_solve(patches):
    """An identity takes two steps: one of the first size, one to the end."""
    counted = count_evaluations(make("odenet", "compact", ADAPTIVE), patches)
    assert counted == (2 * 3 + 1, 2 * 3 + 1)


@pytest.mark.parametrize(
    ("model", "architecture", "message"),
    [
        ("odnet", "paper", "no model named 'odnet'; did you mean 'odenet'"),
        ("odenet", "papers", "no architecture named 'papers'; did you mean 'paper'"),
    ],
)
def test_unknown_names(model, architecture, message):
    with pytest.raises(UsageError, match=message):
        make(model, architecture)


def test_solver_settings_are_checked_when_a_network_is_made():
    with pytest.raises(UsageError, match="no error estimate"):
        make("odenet", "compact", OdeSolver("rk4", rtol=1e-3))
