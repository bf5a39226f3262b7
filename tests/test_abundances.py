"""Constrained least squares: against quadprog, by its certificate, and at the edges."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import quadprog
from hypothesis import given, settings
from hypothesis import strategies as st

from hsijax.errors import HsijaxError, UsageError
from hsijax.unmixing import abundances, block_pivoting
from hsijax.unmixing.abundances import CONSTRAINTS, solve_abundances
from hsijax.unmixing.normal_equations import (
    condition_number,
    kkt_violation,
    normal_equations,
    project,
)
from hsijax.unmixing.pixel_blocks import map_blocks
from hsijax.unmixing.support_table import build_table

BANDS = 40
METHODS = sorted(CONSTRAINTS)
BOUNDED = ["fcls", "nnls"]
PATHS = {"table": 12, "active set": 0}


@pytest.fixture(params=PATHS)
def path(request, monkeypatch) -> str:
    """Each of the two ways to a bounded minimum."""
    monkeypatch.setattr(abundances, "TABLE_ENDMEMBERS", PATHS[request.param])
    return request.param


def spectra_of(count: int, seed: int = 0) -> np.ndarray:
    """Smooth positive spectra, as correlated as those of a scene."""
    return np.random.default_rng(seed).random((count, BANDS)).cumsum(axis=1) / BANDS


def pixels_of(endmembers: np.ndarray, pixels: int, noise: float, seed: int = 1):
    rng = np.random.default_rng(seed)
    shares = rng.dirichlet(np.full(len(endmembers), 0.5), pixels)
    return shares @ endmembers + rng.normal(0, noise, (pixels, endmembers.shape[1]))


def by_quadprog(method: str, spectra: np.ndarray, endmembers: np.ndarray):
    sum_to_one, nonnegative = CONSTRAINTS[method]
    count = len(endmembers)
    rows = [np.ones((1, count))] * sum_to_one + [np.eye(count)] * nonnegative
    matrix = np.vstack([np.empty((0, count)), *rows]).T
    bounds = np.r_[np.ones(int(sum_to_one)), np.zeros(count * nonnegative)]
    gram = endmembers @ endmembers.T
    constraints = (matrix, bounds, int(sum_to_one)) if matrix.size else ()
    return np.array(
        [quadprog.solve_qp(gram, endmembers @ s, *constraints)[0] for s in spectra]
    )


def violation(method, spectra, endmembers, found) -> float:
    """Conditions of a minimum from the definition, without the module's own code."""
    sum_to_one, nonnegative = CONSTRAINTS[method]
    gradient = (found @ endmembers - spectra) @ endmembers.T
    if sum_to_one:
        assert np.abs(found.sum(axis=1) - 1).max() < 1e-12 * np.abs(found).max()
    if not nonnegative:
        if sum_to_one:
            gradient -= gradient.mean(axis=1, keepdims=True)
        return float(np.abs(gradient).max())
    assert found.min() >= 0
    if sum_to_one:
        gradient -= np.where(found > 0, gradient, np.inf).min(axis=1, keepdims=True)
    return float(max(-gradient.min(), np.abs(gradient * (found > 0)).max()))


@settings(max_examples=20, deadline=None)
@given(
    count=st.integers(2, 12),
    seed=st.integers(0, 2**32 - 1),
    noise=st.sampled_from([0.0, 0.01, 0.3]),
    method=st.sampled_from(BOUNDED),
)
def test_agrees_with_quadprog(count, seed, noise, method):
    endmembers = np.random.default_rng(seed).random((count, BANDS))
    spectra = pixels_of(endmembers, 50, noise, seed)
    solution = solve_abundances(method, spectra, endmembers)
    expected = by_quadprog(method, spectra, endmembers)
    np.testing.assert_allclose(solution.abundances, expected, rtol=0, atol=1e-9)
    assert solution.largest_kkt <= 1e-9


@pytest.mark.parametrize("method", METHODS)
def test_agrees_with_quadprog_on_each_path(path, method):
    endmembers = spectra_of(6)
    spectra = pixels_of(endmembers, 300, 0.03)
    solution = solve_abundances(method, spectra, endmembers)
    expected = by_quadprog(method, spectra, endmembers)
    np.testing.assert_allclose(solution.abundances, expected, rtol=0, atol=1e-9)
    assert solution.largest_kkt <= 1e-12


@pytest.mark.parametrize("count", [16, 30])
def test_agrees_with_quadprog_beyond_the_table(count):
    assert count > abundances.TABLE_ENDMEMBERS
    endmembers = spectra_of(count)
    spectra = pixels_of(endmembers, 200, 0.03)
    solution = solve_abundances("fcls", spectra, endmembers)
    expected = by_quadprog("fcls", spectra, endmembers)
    np.testing.assert_allclose(solution.abundances, expected, rtol=0, atol=1e-9)
    assert solution.largest_kkt <= 1e-12


def test_float32_spectra_lose_nothing():
    endmembers = spectra_of(6)
    spectra = pixels_of(endmembers, 200, 0.01).astype(np.float32)
    solution = solve_abundances("fcls", spectra, endmembers)
    expected = by_quadprog("fcls", spectra.astype(np.float64), endmembers)
    assert solution.abundances.dtype == np.float64
    np.testing.assert_allclose(solution.abundances, expected, rtol=0, atol=1e-9)
    assert not jax.config.read("jax_enable_x64")


HARD = {
    "one": lambda e: e[:1],
    "shade": lambda e: np.vstack([np.zeros(BANDS), e[:5]]),
    "all zero": np.zeros_like,
    "all alike": lambda e: np.broadcast_to(e[0], e.shape).copy(),
    "duplicated": lambda e: np.vstack([e[:4], e[0], e[1]]),
    "collinear": lambda e: np.vstack([e[:4], e[:2].mean(axis=0), 2 * e[2]]),
    "close": lambda e: np.vstack([e[:5], e[0] + 1e-5 * e[5]]),
}


@pytest.mark.parametrize("kind", HARD)
@pytest.mark.parametrize("method", METHODS)
def test_minimum_of_hard_endmembers(path, method, kind):
    endmembers = HARD[kind](spectra_of(6))
    mixed = pixels_of(spectra_of(6), 60, 0.05)
    far = [1e4 * mixed[:20], -mixed[:20], np.zeros((1, BANDS))]
    spectra = np.vstack([mixed, endmembers, *far])
    solution = solve_abundances(method, spectra, endmembers)
    assert np.isfinite(solution.abundances).all()
    assert solution.largest_kkt <= 1e-9
    near = slice(len(mixed) + len(endmembers))
    found = solution.abundances[near]
    assert violation(method, spectra[near], endmembers, found) < 2e-8
    redundant = kind in {"all zero", "all alike", "duplicated", "collinear"}
    redundant |= kind == "shade" and not CONSTRAINTS[method][0]
    assert np.isinf(solution.condition) == redundant


@pytest.mark.parametrize("method", METHODS)
def test_certificate_is_the_definition(path, method):
    endmembers = spectra_of(6)
    spectra = pixels_of(endmembers, 100, 0.05)
    solution = solve_abundances(method, spectra, endmembers)
    assert violation(method, spectra, endmembers, solution.abundances) < 1e-12
    assert 0 < solution.largest_kkt < 1e-12


@pytest.mark.parametrize(
    ("wrong", "least"),
    [
        ([0.5, 0.5, 0.0], 0.0),
        ([0.6, 0.4, 0.0], 1e-3),  # not the minimum on its support
        ([1.0, 0.0, 0.0], 1e-3),  # an endmember is missing
        ([0.6, 0.6, -0.2], 0.1),
        ([0.4, 0.4, 0.0], 0.1),
    ],
)
def test_certificate_shows_a_wrong_solution(wrong, least):
    endmembers = np.eye(3, BANDS)
    equations = normal_equations(endmembers, sum_to_one=True)
    with jax.enable_x64(True):
        spectra = jnp.asarray([[0.5, 0.5, 0.0]]) @ endmembers
        products, sizes = project(spectra, equations)
        found = kkt_violation(
            jnp.asarray([wrong]), products, sizes, equations, nonnegative=True
        )
    assert (float(found[0]) < 1e-12) == (least == 0)
    assert float(found[0]) >= least


@pytest.mark.parametrize("method", METHODS)
def test_pure_pixels(path, method):
    endmembers = spectra_of(6)
    solution = solve_abundances(method, endmembers, endmembers)
    np.testing.assert_allclose(solution.abundances, np.eye(6), rtol=0, atol=1e-9)


@pytest.mark.parametrize("method", METHODS)
def test_shade_takes_up_darkness(path, method):
    lit = spectra_of(5)
    endmembers = np.vstack([lit, np.zeros(BANDS)])
    spectra = 0.5 * lit[:1]
    found = solve_abundances(method, spectra, endmembers).abundances
    shade = 0.5 if CONSTRAINTS[method][0] else 0.0
    np.testing.assert_allclose(found, [[0.5, 0, 0, 0, 0, shade]], rtol=0, atol=1e-9)


@pytest.mark.parametrize("method", METHODS)
def test_pixels_without_data_disturb_no_other(path, method):
    endmembers = spectra_of(6)
    spectra = pixels_of(endmembers, 30, 0.05)
    alone = solve_abundances(method, spectra, endmembers)
    broken = spectra.copy()
    broken[3, 5], broken[7], broken[20, 0] = np.nan, np.nan, np.inf
    solution = solve_abundances(method, broken, endmembers)
    rows = np.isin(np.arange(30), [3, 7, 20])
    assert np.isnan(solution.abundances[rows]).all()
    assert np.isnan(solution.kkt[rows]).all()
    np.testing.assert_array_equal(solution.abundances[~rows], alone.abundances[~rows])
    assert solution.largest_kkt < 1e-12


@pytest.mark.parametrize("method", METHODS)
def test_result_does_not_depend_on_the_block(path, method):
    endmembers = spectra_of(6)
    spectra = pixels_of(endmembers, 333, 0.05)
    whole = solve_abundances(method, spectra, endmembers).abundances
    for block in (16, 333):
        found = solve_abundances(method, spectra, endmembers, block=block).abundances
        np.testing.assert_allclose(found, whole, rtol=0, atol=1e-11)


def test_no_pixels():
    solution = solve_abundances("fcls", np.empty((0, BANDS)), spectra_of(6))
    assert solution.abundances.shape == (0, 6)
    assert solution.largest_kkt == 0


def test_backup_rule_ends_cycles(monkeypatch):
    """Flipping all infeasible endmembers at once goes round in circles for some."""
    endmembers = spectra_of(12)
    spectra = pixels_of(endmembers, 4_000, 0.5)
    equations = normal_equations(endmembers, sum_to_one=True)
    table = build_table(equations)

    def ended(block):
        pivot = block_pivoting.pivot_blocks
        return map_blocks(pivot, spectra, equations, table, pixels=block)[2]

    assert (~ended(1_000)).sum() <= 4
    monkeypatch.setattr(block_pivoting, "PATIENCE", 10**6)
    assert (~ended(1_001)).sum() >= 20  # blocks of another size are compiled anew
    # What has come to no end is solved by the active set.
    left_over = solve_abundances("fcls", spectra, endmembers, block=1_001)
    assert left_over.largest_kkt < 1e-12


def test_table_solves_each_support():
    endmembers = spectra_of(4)
    equations = normal_equations(endmembers, sum_to_one=True)
    table = build_table(equations)
    products = np.random.default_rng(0).random(4)
    support = [0, 2, 3]
    values = table.maps[0b1101] @ np.r_[products, 1.0]
    gram = np.asarray(equations.gram)
    system = np.ones((4, 4))
    system[:3, :3], system[3, 3] = gram[np.ix_(support, support)], 0.0
    *expected, shift = np.linalg.solve(system, np.r_[products[support], 1.0])
    np.testing.assert_allclose(values[support], expected, atol=1e-9)
    multiplier = gram[1, support] @ expected + shift - products[1]
    assert values[1] == pytest.approx(-multiplier, abs=1e-9)
    assert table.independent[0b1101] == 0b1101


def test_condition_number():
    endmembers = spectra_of(3)
    expected = np.linalg.cond(endmembers)
    assert condition_number(endmembers, False) == pytest.approx(expected)
    shaded = np.vstack([endmembers, np.zeros(BANDS)])
    assert np.isinf(condition_number(shaded, sum_to_one=False))
    assert condition_number(shaded, sum_to_one=True) < 1e4
    assert condition_number(endmembers[:1], sum_to_one=True) == 1


def test_errors():
    spectra = np.ones((5, BANDS))
    with pytest.raises(HsijaxError, match="have 7 bands and the scene has 40"):
        solve_abundances("fcls", spectra, np.ones((3, 7)))
    with pytest.raises(HsijaxError, match="no endmembers"):
        solve_abundances("fcls", spectra, np.ones((0, BANDS)))
    broken = spectra_of(3)
    broken[1, 4] = np.nan
    with pytest.raises(HsijaxError, match="endmember 2 has values that are not finite"):
        solve_abundances("fcls", spectra, broken)
    with pytest.raises(UsageError, match="did you mean 'fcls'"):
        solve_abundances("fcsl", spectra, spectra_of(3))
