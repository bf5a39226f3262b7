"""The ODE layer against expm, diffrax and itself."""

import dataclasses
import subprocess
import sys
from pathlib import Path

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg
from flax import nnx

from hsijax.config import OdeSolver
from hsijax.errors import UsageError
from hsijax.models import ode, ode_loop
from hsijax.models.ode import SOLVERS, integrate

ORDERS = {
    "euler": 1,
    "midpoint": 2,
    "heun": 2,
    "ralston": 2,
    "bosh3": 3,
    "rk4": 4,
    "tsit5": 5,
    "dopri5": 5,
    "dopri8": 8,
}
ADAPTIVE = OdeSolver("dopri5", rtol=1e-3, atol=1e-3)
replace = dataclasses.replace


class Dense(nnx.Module):
    """A small smooth field, nonlinear and dependent on time."""

    def __init__(self, scale=1.0):
        rng = np.random.default_rng(0)
        self.kernel = nnx.Param(jnp.asarray(scale * rng.normal(size=(4, 4)), float))

    def __call__(self, t, y, args):
        return jnp.tanh(y @ self.kernel[...]) * (1 + 0.5 * t)


@pytest.fixture(scope="module")
def start():
    return jnp.asarray(np.random.default_rng(1).normal(size=(3, 4)), float)


def error(ours, expected):
    return float(jnp.abs(ours - expected).max() / jnp.abs(expected).max())


def value_and_gradients(solve, field, start):
    """Value at t = 1, and gradients with respect to the start and the parameters."""
    code, params = nnx.split(field)

    def loss(params, start):
        end = solve(nnx.merge(code, params), start)
        return jnp.sum(jnp.sin(end)), end

    gradient = jax.jit(jax.value_and_grad(loss, argnums=(0, 1), has_aux=True))
    (_, end), (kernel, start_gradient) = gradient(params, start)
    return end, jax.tree.leaves(kernel)[0], start_gradient


@pytest.mark.parametrize("name", ["midpoint", "heun", "ralston", "bosh3"])
def test_written_out_stages_are_diffrax_own(name):
    assert ode.step_stages(name) == ode_loop.read_stages(name)


def test_loops_know_the_names_that_the_layer_knows():
    assert list(ode_loop.SOLVERS) == list(ode.SOLVERS)
    assert list(ode_loop.ADJOINTS) == list(ode.ADJOINTS)


@pytest.mark.parametrize("name", SOLVERS)
def test_fixed_steps_agree_with_diffeqsolve(name, start):
    def with_diffrax(field, start):
        solution = diffrax.diffeqsolve(
            diffrax.ODETerm(field),
            ode_loop.SOLVERS[name](),
            t0=0.0,
            t1=1.0,
            dt0=0.5,
            y0=start,
            max_steps=3,
        )
        assert solution.ys is not None
        return solution.ys[-1]

    unrolled = OdeSolver(name, 2)
    ours = value_and_gradients(
        lambda field, start: integrate(field, start, unrolled), Dense(), start
    )
    theirs = value_and_gradients(with_diffrax, Dense(), start)
    for our, their in zip(ours, theirs, strict=True):
        assert error(our, their) < 1e-5


@pytest.mark.parametrize(
    "solver", [OdeSolver("euler", ode_loop.CHECKPOINTS + 3), OdeSolver("dopri5", 3)]
)
def test_many_steps_are_looped_and_equal_the_unrolled_ones(solver, start, monkeypatch):
    monkeypatch.setattr(ode, "MAX_UNROLLED_CALLS", 2)
    assert ode.solves_in_loop(solver)
    looped = value_and_gradients(
        lambda field, start: integrate(field, start, solver), Dense(), start
    )
    monkeypatch.setattr(ode, "MAX_UNROLLED_CALLS", 1000)
    assert not ode.solves_in_loop(solver)
    unrolled = value_and_gradients(
        lambda field, start: integrate(field, start, solver), Dense(), start
    )
    for one, other in zip(looped, unrolled, strict=True):
        assert error(one, other) < 1e-5


@pytest.mark.parametrize("name", SOLVERS)
def test_order_of_convergence(name, monkeypatch):
    """Halving the step divides the error on y' = cos(t) A y by 2 to the order."""
    rng = np.random.default_rng(2)
    matrix = rng.normal(size=(4, 4))
    begin = rng.normal(size=(3, 4))
    exact = begin @ scipy.linalg.expm(matrix * np.sin(1.0))
    monkeypatch.setattr(ode, "MAX_UNROLLED_CALLS", 1000)
    with jax.enable_x64(True):
        coefficients = jnp.asarray(matrix)
        errors = [
            np.abs(
                integrate(
                    lambda t, y, args: jnp.cos(t) * y @ coefficients,
                    jnp.asarray(begin),
                    OdeSolver(name, steps),
                )
                - exact
            ).max()
            for steps in ((4, 8) if name == "dopri8" else (16, 32))
        ]
    assert errors[1] > 1e-13  # above rounding, or the quotient means nothing
    observed = np.log2(errors[0] / errors[1])
    assert observed == pytest.approx(ORDERS[name], abs=0.4)


def test_tighter_tolerances_come_closer(start):
    fine = integrate(Dense(), start, OdeSolver("dopri8", 2))
    errors = [
        error(integrate(Dense(), start, OdeSolver("tsit5", rtol=tol, atol=tol)), fine)
        for tol in (1e-2, 1e-4, 1e-6)
    ]
    assert errors[0] > errors[1] > errors[2]
    assert errors[2] < 1e-5


@pytest.mark.parametrize("control", ["batch", "sample"])
@pytest.mark.parametrize(
    ("adjoint", "tolerance"),
    [("checkpoint", 1e-3), ("direct", 1e-3), ("backsolve", 1e-2)],
)
def test_adjoints_agree(control, adjoint, tolerance, start):
    fine = OdeSolver("dopri8", 2)
    expected = value_and_gradients(
        lambda field, start: integrate(field, start, fine), Dense(), start
    )
    solver = OdeSolver("tsit5", 1, 1e-5, 1e-5, control, adjoint)
    ours = value_and_gradients(
        lambda field, start: integrate(field, start, solver), Dense(), start
    )
    for our, wanted in zip(ours, expected, strict=True):
        assert error(our, wanted) < tolerance


def test_step_control_sample_ignores_batch_mates(start):
    solver = replace(ADAPTIVE, step_control="sample")
    calm, wild = start, start.at[1:].multiply(50.0)
    field = Dense()
    np.testing.assert_allclose(
        integrate(field, calm, solver)[0], integrate(field, wild, solver)[0], rtol=1e-6
    )
    batch = replace(ADAPTIVE, step_control="batch")
    difference = integrate(field, calm, batch)[0] - integrate(field, wild, batch)[0]
    assert np.abs(difference).max() > 1e-5


def test_a_solve_that_fails_is_nan(start):
    """Steps run out: never a wrong answer, and a loss that is not finite."""
    stiff = Dense(scale=3e4)
    for control in ("batch", "sample"):
        solver = OdeSolver("heun", 1, 1e-7, 1e-7, control)
        assert jnp.isnan(integrate(stiff, start, solver)).any()


CALLS = [
    *(OdeSolver(name, 3) for name in SOLVERS),
    *(OdeSolver(name, rtol=1e-4) for name in ("heun", "bosh3", "dopri5", "dopri8")),
    OdeSolver("dopri5", rtol=1e-2),
]


@pytest.mark.parametrize("solver", CALLS, ids=lambda s: f"{s.solver}-{s.rtol}")
def test_field_calls_are_counted_as_they_happen(solver, start):
    """Against a field that reports each call from inside the compiled solve."""
    calls = []
    dense = Dense(scale=3.0)

    class Reporting(nnx.Module):
        def __call__(self, t, y, args):
            jax.debug.callback(lambda t: calls.append(t), t)
            return dense(t, y, args)

    counted = ode.count_field_calls(dense, start, solver)
    jax.block_until_ready(jax.jit(lambda y: integrate(Reporting(), y, solver))(start))
    jax.effects_barrier()
    assert counted.tolist() == [len(calls)] * len(start)


def test_sample_counts_are_each_samples_own(start):
    solver = replace(ADAPTIVE, rtol=1e-5, atol=1e-5)
    uneven = start.at[1:].multiply(1e-3)
    alone = [
        int(ode.count_field_calls(Dense(), sample[None], solver)[0])
        for sample in uneven
    ]
    together = ode.count_field_calls(
        Dense(), uneven, replace(solver, step_control="sample")
    )
    assert together.tolist() == alone
    assert len(set(alone)) > 1


@pytest.mark.parametrize(
    ("solver", "message"),
    [
        (OdeSolver("dopri"), "did you mean 'dopri"),
        (OdeSolver("euler", rtol=1e-3), "no error estimate"),
        (OdeSolver("rk4", rtol=1e-3), "no error estimate"),
        (OdeSolver("heun", 0), "0 steps"),
        (OdeSolver("heun", atol=1e-3), "give --rtol"),
        (OdeSolver("heun", adjoint="backsolve"), "is for adaptive steps"),
        (OdeSolver("heun", rtol=-1e-3), "above 0"),
        (OdeSolver("heun", rtol=float("nan")), "above 0"),
        (replace(ADAPTIVE, atol=0.0), "above 0"),
        (replace(ADAPTIVE, adjoint="backsolv"), "did you mean 'backsolve'"),
        (replace(ADAPTIVE, step_control="samples"), "did you mean 'sample'"),
    ],
)
def test_settings_that_cannot_be_followed(solver, message):
    with pytest.raises(UsageError, match=message):
        ode.check_solver(solver)


CACHED_SOLVE = """
import jax, jax.numpy as jnp
from flax import nnx
from hsijax.config import OdeSolver
from hsijax.models.ode import integrate

class Field(nnx.Module):
    def __call__(self, t, y, args):
        return -y

solver = OdeSolver("heun", rtol=1e-3)

@jax.jit
def adaptive_gradient(y):
    return jax.grad(lambda y: integrate(Field(), y, solver).sum())(y)

adaptive_gradient(jnp.ones((2, 3))).block_until_ready()
"""


def test_an_adaptive_solve_enters_the_compilation_cache(tmp_path, monkeypatch):
    """With diffrax's default, throw=True, JAX would refuse to store it."""
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(tmp_path))
    monkeypatch.setenv("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
    monkeypatch.setenv("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "0")
    monkeypatch.setenv("PYTHONPATH", str(Path(ode.__file__).parents[2]))
    subprocess.run([sys.executable, "-c", CACHED_SOLVE], check=True, timeout=300)
    assert any("adaptive_gradient" in entry.name for entry in tmp_path.iterdir())
