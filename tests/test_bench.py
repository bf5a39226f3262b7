"""`hsijax bench`: its rows, what it counts, and what it reads from the compiler."""

import json
from concurrent.futures import ThreadPoolExecutor

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from typer.testing import CliRunner

from hsijax.classification.network import Blueprint
from hsijax.cli import app
from hsijax.config import OdeSolver, TrainConfig
from hsijax.errors import UsageError
from hsijax.experiments import bench
from hsijax.experiments.bench_cases import CLASSES, choose_cases
from hsijax.experiments.bench_counts import count_case
from hsijax.experiments.bench_networks import (
    estimate_flops,
    make_programs,
)
from hsijax.experiments.bench_programs import (
    Program,
    read_cost,
    start_compiling,
    warm_up,
    without_cache,
)
from hsijax.models import count_evaluations
from hsijax.models.blocks import BLOCKS, MAPS
from hsijax.models.compact import BLOCK
from hsijax.models.evaluations import tally_evaluations
from hsijax.patches import gather_patches
from hsijax.reports import bench_table

TINY = {"patch": 3, "batch": 4, "channels": 6}


def count_gradient(model, solver, *, stand_in=True):
    """Count a block's evaluations per patch: forward alone, then with the gradient."""
    block = BLOCKS[model](solver, BLOCK, nnx.Rngs(0))
    hidden = jax.random.normal(jax.random.key(0), (2, 3, 3, MAPS))
    tally = tally_evaluations(block, stand_in=stand_in)
    counts = []
    for function in (block.__call__, jax.grad(lambda h: block(h).sum())):
        tally.forward = tally.backward = 0
        jax.block_until_ready(jax.jit(function)(hidden))
        jax.effects_barrier()
        counts.append((tally.forward / 2, tally.backward / 2))
    return counts


def test_true_field_is_counted_as_its_stand_in():
    solver = OdeSolver("euler")
    assert count_gradient("odenet", solver, stand_in=False) == [(1, 0), (1, 1)]
    assert count_gradient("odenet", solver) == [(1, 0), (1, 1)]


@pytest.mark.parametrize(
    ("model", "solver", "calls"),
    [
        ("odenet", OdeSolver("rk4"), 4),
        ("odenet", OdeSolver("tsit5"), 6),
        ("resnet", OdeSolver(), 6),
        ("resnet-tied", OdeSolver(), 6),
        ("no-block", OdeSolver(), 0),
    ],
)
def test_evaluations_without_loops(model, solver, calls):
    assert count_gradient(model, solver) == [(calls, 0), (calls, calls)]


def test_loop_of_known_length_recomputes_its_forward_pass():
    # 36 calls are more than are unrolled; each step is recomputed from a checkpoint.
    forward_pass, (forward, backward) = count_gradient("odenet", OdeSolver("rk4", 9))
    assert forward_pass == (36, 0)
    assert backward == 36
    assert forward >= 2 * 36
    assert forward % 36 == 0


def test_backsolve_makes_evaluations_of_its_own():
    solver = OdeSolver("dopri5", rtol=1e-6, adjoint="backsolve")
    (alone, none), (forward, backward) = count_gradient("odenet", solver)
    assert alone > 7  # more than one step
    assert none == 0
    # Going back, each derivative comes with a value of the field.
    assert forward - alone == backward > 7


def test_cost_is_read_from_every_form_that_jax_has_had():
    class Stage:
        def __init__(self, answer):
            self.answer = answer

        def cost_analysis(self):
            if isinstance(self.answer, Exception):
                raise self.answer
            return self.answer

    for answer in ({"flops": 8.0}, [{"flops": 8.0}]):
        assert read_cost(Stage(answer), "flops") == 8.0
    for answer in (None, [], {}, {"flops": -1.0}, NotImplementedError()):
        assert read_cost(Stage(answer), "flops") is None
    square = jnp.ones((8, 8))
    lowered = jax.jit(jnp.matmul).lower(square, square)
    assert read_cost(lowered.compile(), "flops") == 2 * 8**3


def test_compilation_is_cold(tmp_path):
    names = {
        "jax_compilation_cache_dir": str(tmp_path),
        "jax_persistent_cache_min_compile_time_secs": 0,
        "jax_persistent_cache_min_entry_size_bytes": -1,
    }
    before = {name: jax.config.values[name] for name in names}
    program = Program(jax.jit(lambda x: x * 3 + 1), jnp.ones(5), (), 5, carries=False)
    try:
        for name, value in names.items():
            jax.config.update(name, value)
        with without_cache(), ThreadPoolExecutor(1) as pool:
            measured = warm_up(start_compiling(program, pool))
        assert not list(tmp_path.iterdir())
        jax.jit(lambda x: x * 5 + 2)(jnp.ones(7)).block_until_ready()
        assert list(tmp_path.iterdir())  # the cache is on again
    finally:
        for name, value in before.items():
            jax.config.update(name, value)
    assert measured.compile_seconds > 0
    assert measured.result.tolist() == [4.0] * 5
    assert measured.describe()["memory"]["peak"] >= 2 * 5 * 4


def test_flops_by_evaluations_agree_with_the_compiler():
    case = choose_cases({"solver": "rk4", "steps": 1, **TINY})[0]
    programs = make_programs(case)
    evaluations = count_case(case, programs)
    assert evaluations is not None
    assert evaluations["training"] == {"forward": 4, "recomputed": 0, "backward": 4}
    found = estimate_flops(case, evaluations)
    for program, flops in zip(programs, found, strict=True):
        lowered = program.function.lower(program.first, *program.rest)
        # Left out are the sums of the slopes.
        assert flops == pytest.approx(read_cost(lowered, "flops"), rel=0.02)


def test_adaptive_evaluations_are_those_of_every_patch():
    case = choose_cases({"solver": "dopri5", "rtol": 1e-3, **TINY})[0]
    programs = make_programs(case)
    counted = count_case(case, programs)
    assert counted is not None
    training, prediction = counted["training"], counted["prediction"]
    assert training["forward"] == training["backward"] > 7  # more than one step
    assert training["recomputed"] >= training["forward"]
    assert prediction["mean"] <= prediction["largest"]
    assert isinstance(case.config, TrainConfig)
    network = Blueprint(case.config, TINY["channels"], CLASSES).network()
    padded, pixels = programs.train.rest[0], programs.predict.rest[1]
    patches = gather_patches(padded, pixels, TINY["patch"])
    classifier = nnx.merge(network.predict, programs.predict.first)
    whole = count_evaluations(classifier, patches)
    assert prediction == pytest.approx(whole._asdict())


def test_rows_by_default():
    cases = choose_cases({"patch": 5})
    assert {case.config.model for case in cases} == {*BLOCKS, "pixel-cnn", "cube-cnn"}
    assert [case.solver for case in cases[:2]] == ["rk4 x1", None]
    solvers = [case.solver for case in cases if case.solver]
    assert len(solvers) == len(set(solvers)) == 7
    assert [case.loops for case in cases if case.solver][-3:] == [False, False, True]
    every = [case.solver for case in choose_cases({"model": "odenet"})]
    assert every[-2:] == ["dopri5 0.001 checkpoint", "dopri5 0.001 backsolve"]
    assert {case.config.patch for case in cases} == {5, 1, 3}
    assert {case.channels for case in cases} == {60, 198}
    paper = choose_cases({"preset": "paper", "model": "resnet"})[0]
    assert (paper.config.patch, paper.config.batch, paper.channels) == (23, 100, 1)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"model": "odnet"}, "did you mean 'odenet'"),
        ({"patch": 8}, "try 7 or 9"),
        ({"batch": 0}, "--batch must be between"),
        ({"model": "resnet", "solver": "euler"}, "--solver is of odenet"),
        ({"model": "cube-cnn", "channels": 0}, "--channels must be at least 1"),
        ({"adjoint": "backsolve"}, "give --rtol"),
    ],
)
def test_wrong_options(given, says):
    with pytest.raises(UsageError, match=says):
        choose_cases(given)


def test_command_prints_rows_as_json_and_as_tables():
    arguments = ["--model", "no-block", "--patch", "3", "--batch", "4"]
    arguments += ["--channels", "6", "--json", "--quiet", "--device", "cpu"]
    done = CliRunner().invoke(app, ["bench", *arguments])
    assert done.exit_code == 0, done.stderr
    report = json.loads(done.stdout)
    (row,) = report["rows"]
    assert report["device"] == "cpu"
    assert not report["interrupted"]
    # Stem 6 x 64 + 64, norm 2 x 64, linear 128 x 16 + 16.
    assert row["parameters"] == 448 + 128 + 2064
    assert row["settings"]["channels"] == 6
    assert row["evaluations"]["training"]["backward"] == 0
    for use in bench.USES:
        speed = row[use]["patches_per_second"]
        assert 0 < speed["lower_quartile"] <= speed["median"]
        assert row[use]["flops"] > 0
        assert row[use]["compile_seconds"] > 0
    other = {**row, "model": "odenet", "solver": "dopri5 0.001 checkpoint"}
    other["training"] = {**row["training"], "loops": True, "patches_per_second": None}
    lines = bench_table.cost_lines([other, row])
    assert lines[1].startswith("no-block")  # the faster first
    assert ">=" in lines[2]
    assert "-" in bench_table.speed_lines([other, row])[2].split()
    assert "Device: cpu." in bench_table.notes(report)


def test_interruption_keeps_what_is_known(monkeypatch):
    trained = []

    def interrupt(measured, *_):
        trained.extend(pair[0] for pair in measured)
        raise KeyboardInterrupt

    monkeypatch.setattr(bench, "_time_rounds", interrupt)
    report = bench.benchmark(choose_cases({"model": "no-block", **TINY}))
    assert report["interrupted"]
    (row,) = report["rows"]
    assert row["training"]["patches_per_second"] is None
    assert row["training"]["flops"] > 0
    assert any("Interrupted" in line for line in bench_table.notes(report))
    # No step moves the parameters, so that adaptive steps stay what they are.
    again = make_programs(choose_cases({"model": "no-block", **TINY})[0])
    now, then = trained[0].first.params, again.train.first.params
    for one, other in zip(jax.tree.leaves(now), jax.tree.leaves(then), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-9)
