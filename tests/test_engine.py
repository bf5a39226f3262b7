"""The engine: one program or many, one device or several, with the same result."""

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from small_training import (
    BATCH,
    CHANNELS,
    EPOCHS,
    PATCH,
    PIXELS,
    distance,
    figures,
    make_data,
    make_parts,
    train,
)

from hsijax.classification.network import Blueprint
from hsijax.classification.predict import most_probable, predict_logits
from hsijax.config import TrainConfig
from hsijax.devices import ACCELERATOR, CPU
from hsijax.experiments.train_networks import _make_learner
from hsijax.models import layers
from hsijax.training import loop, mesh
from hsijax.training.checkpoint import read_metadata
from hsijax.training.engine import compile_step
from hsijax.training.step import TrainState

TESTS = Path(__file__).parent


@pytest.fixture(scope="module")
def parts():
    return make_parts()


@pytest.fixture(scope="module")
def alone(parts, tmp_path_factory):
    """Each of three runs for itself, step by step: what all else must equal."""
    folder = tmp_path_factory.mktemp("alone")
    pixels = (PIXELS, 100, PIXELS)
    ended, history = [], []
    for run in range(3):
        [trained], epochs = train(parts, [run], folder, pixels=pixels)
        ended.append(trained)
        history += epochs
    return ended, figures(history)


def assert_same(found, history, alone, runs):
    ended, expected = alone
    for trained, run in zip(found, runs, strict=True):
        assert trained.epoch == ended[run].epoch
        assert distance(trained.params, ended[run].params) < 1e-5
    seen = figures(history)
    assert set(seen) == {key for key in expected if key[0] in runs}
    for key, values in seen.items():
        np.testing.assert_allclose(values, expected[key], atol=1e-5)


def test_epoch_as_one_program_is_its_steps_one_by_one(parts, alone, tmp_path):
    [trained], history = train(parts, [0], tmp_path, one_program=True)
    assert_same([trained], history, alone, [0])
    assert distance(trained.params, alone[0][0].params) < 1e-6


def test_convolutions_of_an_accelerator_in_programs_of_several_runs(
    tmp_path, monkeypatch
):
    """XLA's own, under vmap and in a loop: slow here, and equal everywhere."""
    [alone], history = train(make_parts("resnet1"), [0], tmp_path / "alone")
    monkeypatch.setattr(layers, "plan_execution", lambda: ACCELERATOR)
    found, side_by_side = train(make_parts("resnet1"), [0, 1], tmp_path / "both")
    expected = ([alone], figures(history))
    assert_same(found[:1], [e for e in side_by_side if e.run == 0], expected, [0])


class Killed(BaseException):
    """The process ends here."""


def test_runs_side_by_side_are_each_alone(parts, alone, tmp_path, monkeypatch):
    """Two groups by size; killed in the midst of the first, then resumed.

    Run 0 trained an epoch alone before that, so it goes on in a group of its own.
    """
    monkeypatch.setattr(loop, "SAVING", math.inf)
    pixels = (PIXELS, 100, PIXELS)

    def die(run, epoch):
        def on_epoch(ended):
            if (ended.run, ended.epoch) == (run, epoch):
                raise Killed

        return on_epoch

    with pytest.raises(Killed):
        train(parts, [0, 1, 2], tmp_path, pixels=pixels, on_epoch=die(2, 2))
    reached = {run: tmp_path / f"{run}.safetensors" for run in range(3)}
    assert read_metadata(reached[0])["epoch"] == 1
    assert read_metadata(reached[2])["epoch"] == 1
    assert not reached[1].exists()
    with pytest.raises(Killed):
        train(parts, [0], tmp_path, pixels=pixels, on_epoch=die(0, 3))
    assert read_metadata(reached[0])["epoch"] == 2
    found, history = train(parts, [0, 1, 2], tmp_path, pixels=pixels)
    ended, expected = alone
    assert [t.epoch for t in found] == [t.epoch for t in ended]
    assert distance([t.params for t in found], [t.params for t in ended]) < 1e-5
    seen = figures(history)
    assert {run: min(e for r, e in seen if r == run) for run in range(3)} == {
        0: 3,
        1: 1,
        2: 2,
    }
    for key, values in seen.items():
        np.testing.assert_allclose(values, expected[key], atol=1e-5)


@pytest.mark.parametrize("share", [0.0, 1e-9])
def test_the_last_epoch_is_always_saved(parts, alone, tmp_path, monkeypatch, share):
    """However little time there is for checkpoints."""
    monkeypatch.setattr(loop, "SAVING", share)
    epochs = []
    path = tmp_path / "0.safetensors"

    def on_epoch(ended):
        epochs.append(read_metadata(path)["epoch"] if path.exists() else 0)

    train(parts, [0], tmp_path, on_epoch=on_epoch)
    # The first, because it costs nothing yet; none between; the last.
    assert epochs == [0, 1, 1]
    assert read_metadata(path)["epoch"] == EPOCHS
    [again], history = train(parts, [0], tmp_path)
    assert not history
    assert distance(again.params, alone[0][0].params) == 0


@pytest.fixture(scope="module")
def blueprint() -> Blueprint:
    """Of a network as the command builds it."""
    config = TrainConfig("any", model="resnet1", patch=PATCH, batch=BATCH)
    return Blueprint(config, CHANNELS, 3)


def test_nothing_recompiles_after_the_first_step(blueprint):
    learner = _make_learner(blueprint, 3)
    params = blueprint.first_params(0)
    state = TrainState(params, learner.optimizer.init(params))
    assert not any(leaf.weak_type for leaf in jax.tree.leaves(state))
    data = make_data(0)
    step = compile_step(learner.make_step(None))
    for number in range(3):
        batch = slice(16 * number, 16 * number + BATCH)
        state, _ = step(
            state,
            data.padded,
            data.pixels[batch],
            data.targets[batch],
            jax.random.key(0),
            np.int32(number),
        )
        assert step._cache_size() == 1
    assert not any(leaf.weak_type for leaf in jax.tree.leaves(state))


@pytest.fixture
def compilations():
    """The names of the programs that jax compiles, however small."""
    names = []

    def listen(event: str, duration_secs: float, **more: str | int) -> None:
        if event == "/jax/core/compile/backend_compile_duration":
            names.append(more["fun_name"])

    jax.monitoring.register_event_duration_secs_listener(listen)
    yield names
    jax.monitoring.unregister_event_duration_listener(listen)


@pytest.mark.parametrize(
    ("runs", "epoch"), [([0], "train_step"), ([0, 2], "run_epoch")]
)
def test_no_epoch_after_the_first_compiles_anything(
    tmp_path, monkeypatch, compilations, runs, epoch
):
    """Neither steps, scores and checkpoints, nor those of a resumed training."""
    monkeypatch.setattr(loop, "SAVING", math.inf)
    parts = make_parts()
    known = []

    def die(ended):
        if ended.epoch == 1 and ended.run == 0:
            known.extend(compilations)
        if ended.epoch == 2:
            raise Killed

    with pytest.raises(Killed):
        train(parts, runs, tmp_path, on_epoch=die)
    assert epoch in str(known)
    assert compilations == known
    train(parts, runs, tmp_path)
    # All but that what was read from the checkpoint becomes arrays of jax.
    assert set(compilations[len(known) :]) <= {"jit(convert_element_type)"}


@pytest.mark.parametrize(("architecture", "patch"), [("compact", 3), ("paper", 7)])
def test_prediction_is_patch_wise_whatever_the_batch(architecture, patch):
    """The shared start of the compact network, and batches that are not full."""
    code = make_parts("no-block", architecture, patch)
    params = code.first_state(0).params
    params = jax.tree.map(lambda leaf: leaf + 0.05, params)
    data = make_data(0, pixels=144, patch=patch)
    predictor = code.predictor

    def predict(batch):
        logits = predict_logits(
            predictor._replace(batch=batch), params, data.padded, data.pixels
        )
        return most_probable(logits)

    labels, confidence = predict(predictor.batch)
    assert predictor.batch == CPU.predicted
    for batch in (1, 50, 144, 150):
        found = predict(batch)
        assert np.array_equal(found[0], labels)
        np.testing.assert_allclose(found[1], confidence, atol=1e-5)
    model = nnx.merge(code.network.predict, params)
    patches = jnp.stack(
        [data.padded[r : r + patch, c : c + patch] for r, c in data.pixels]
    )
    probabilities = jax.jit(lambda patches: jax.nn.softmax(model(patches)))(patches)
    assert np.array_equal(probabilities.argmax(1), labels)
    np.testing.assert_allclose(probabilities.max(1), confidence, atol=1e-5)
    assert len(set(labels.tolist())) > 1


@pytest.fixture(scope="module")
def shared(tmp_path_factory) -> dict:
    """What several virtual devices make of it, in a Python of their own."""
    done = subprocess.run(
        [
            sys.executable,
            TESTS / "several_devices.py",
            tmp_path_factory.mktemp("devices"),
        ],
        env=os.environ | {"JAX_NUM_CPU_DEVICES": "4"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize(
    ("case", "mesh"),
    [
        ("batch", {"runs": 1, "batch": 2}),
        ("runs", {"runs": 2, "batch": 1}),
        ("runs and batch", {"runs": 2, "batch": 2}),
    ],
)
def test_several_devices_do_what_one_does(shared, case, mesh):
    found = shared[case]
    assert found["mesh"] == mesh
    assert found["epochs"]
    assert found["labels"]
    assert found["params"] < 1e-5
    assert found["losses"] < 1e-5
    assert found["confidence"] < 1e-5


@pytest.mark.parametrize("work", ["train", "measure"])
def test_devices_do_not_wait_for_each_other_for_ever(work):
    """As they did where more steps waited than XLA lets wait."""
    seconds = "--xla_cpu_collective_call_{}_timeout_seconds=20"
    flags = " ".join(seconds.format(name) for name in ("warn_stuck", "terminate"))
    done = subprocess.run(
        [sys.executable, TESTS / "long_epoch.py", work],
        env=os.environ | {"JAX_NUM_CPU_DEVICES": "2", "XLA_FLAGS": flags},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "3000\n"


def test_some_calls_may_be_ahead_and_no_more(monkeypatch):
    waited = []
    monkeypatch.setattr(mesh.jax, "block_until_ready", waited.append)
    for calls in range(20):
        mesh.keep_pace(range(calls))
    assert mesh.MOST_AHEAD == 16
    assert waited == [0, 1, 2]
