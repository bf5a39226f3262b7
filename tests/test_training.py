import math

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx
from scipy.special import log_softmax

from hsijax.errors import HsijaxError, UsageError
from hsijax.training import loop
from hsijax.training.checkpoint import load_checkpoint, read_metadata, save_checkpoint
from hsijax.training.course import (
    Course,
    Loop,
    Trained,
    Training,
    TrainingSet,
    balanced_batches,
    batches,
)
from hsijax.training.engine import compile_step
from hsijax.training.loop import train_run, train_together
from hsijax.training.schedule import (
    OPTIMIZERS,
    SCHEDULES,
    make_optimizer,
    make_schedule,
)
from hsijax.training.step import (
    TrainState,
    cross_entropy,
    make_init,
    make_train_step,
    split_network,
    weigh_labels,
    weighted_cross_entropy,
)

PATCH = 3
CHANNELS = 4


class Tiny(nnx.Module):
    """The least network that has dropout and learns from patches."""

    def __init__(self, rngs: nnx.Rngs):
        self.dropout = nnx.Dropout(0.2)
        self.out = nnx.Linear(CHANNELS, 2, rngs=rngs)

    def __call__(self, patches, *, rngs=None):
        return self.out(self.dropout(patches.mean((1, 2)), rngs=rngs))


@pytest.fixture(scope="module")
def data() -> TrainingSet:
    """A left half and a right half that differ in their first channel."""
    rng = np.random.default_rng(0)
    cube = rng.normal(size=(12, 12, CHANNELS)).astype(np.float32)
    cube[:, 6:, 0] += 3
    pixels = np.argwhere(np.ones((10, 10))).astype(np.int32)
    return TrainingSet(jnp.asarray(cube), pixels, (pixels[:, 1] >= 5).astype(np.int32))


@pytest.fixture(scope="module")
def parts():
    """A step, an initialiser, an optimiser and its schedule."""
    code = nnx.eval_shape(lambda: Tiny(nnx.Rngs(0)))
    schedule = make_schedule("one-cycle", 0.05, 6 * 4)
    optimizer = make_optimizer("adamw", schedule, 1e-2)
    loss_fn = cross_entropy(split_network(code, code), 0.1)
    step = make_train_step(loss_fn, optimizer, PATCH, augment=True)
    return step, make_init(Tiny), optimizer, schedule


@pytest.fixture
def saved_each_epoch(monkeypatch):
    """Else an epoch of a millisecond is not worth its checkpoint."""
    monkeypatch.setattr(loop, "SAVING", math.inf)


class Killed(BaseException):
    """The process ends here."""


def start(parts, seed: int = 0) -> TrainState:
    params = parts[1](jax.random.key(seed))
    return TrainState(params, parts[2].init(params))


def make_loop(parts, **changes) -> Loop:
    settings = {"epochs": 6, "batch": 32, "seed": (0, 0), **changes}
    return Loop(lambda mesh: parts[0], parts[3], **settings)


def equal(a, b) -> bool:
    return all(jax.tree.leaves(jax.tree.map(np.array_equal, a, b)))


def test_training_lowers_the_loss_and_compiles_once(parts, data, tmp_path):
    losses = []
    noted = make_loop(parts, on_epoch=lambda epoch: losses.append(epoch.loss))
    trained = train_run(noted, start(parts), data, tmp_path / "state.safetensors")
    assert losses[-1] < losses[0] - 0.1
    assert trained.epoch == 6
    assert compile_step(parts[0])._cache_size() == 1


@pytest.mark.parametrize(("at", "balanced"), [(1, False), (4, False), (4, True)])
def test_killed_and_resumed_ends_bit_for_bit_as_uninterrupted(
    parts, data, tmp_path, at, balanced, saved_each_epoch
):
    settings = {"balanced": balanced}
    whole = train_run(
        make_loop(parts, **settings), start(parts), data, tmp_path / "whole.safetensors"
    )

    def die(epoch):
        if epoch.epoch == at + 1:
            raise Killed  # before this epoch's checkpoint is written

    path = tmp_path / "state.safetensors"
    with pytest.raises(Killed):
        train_run(make_loop(parts, on_epoch=die, **settings), start(parts), data, path)
    assert read_metadata(path)["epoch"] == at
    seen = []
    noted = make_loop(
        parts, on_epoch=lambda epoch: seen.append(epoch.epoch), **settings
    )
    # Another start shows that everything comes from the checkpoint.
    resumed = train_run(noted, start(parts, seed=7), data, path)
    assert seen[0] == at + 1
    assert equal(resumed.params, whole.params)


def test_each_epoch_has_an_order_of_its_own(parts, data, tmp_path):
    orders = []

    def record(state, padded, pixels, labels, key, number):
        jax.debug.callback(lambda pixels: orders.append(pixels.tolist()), pixels)
        return state, jnp.float32(0)

    both = Loop(
        lambda mesh: record, parts[3], epochs=2, batch=len(data.pixels), seed=(0, 0)
    )
    train_run(both, start(parts), data, tmp_path / "s.safetensors")
    jax.effects_barrier()
    assert orders[0] != orders[1]
    assert sorted(orders[0]) == sorted(orders[1]) == data.pixels.tolist()


def test_another_seed_trains_another_network(parts, data, tmp_path):
    one = train_run(make_loop(parts), start(parts), data, tmp_path / "1.safetensors")
    other = train_run(
        make_loop(parts, seed=(0, 1)), start(parts), data, tmp_path / "2.safetensors"
    )
    assert not equal(one.params, other.params)


@pytest.mark.parametrize("resume_at", [None, 3])
def test_the_epoch_that_scores_best_is_kept(
    parts, data, tmp_path, resume_at, saved_each_epoch
):
    scores = iter([0.2, 0.9, 0.1, 0.5, 0.9, 0.3])
    params_at = {}

    def score(params):
        params_at[len(params_at) + 1] = jax.tree.map(np.array, params)
        return next(scores)

    def die(epoch):
        if epoch.epoch == resume_at:
            raise Killed

    path = tmp_path / "state.safetensors"
    if resume_at:
        with pytest.raises(Killed):
            train_run(
                make_loop(parts, score=score, keep_best=True, on_epoch=die),
                start(parts),
                data,
                path,
            )
        scores = iter([0.1, 0.5, 0.9, 0.3])
    trained = train_run(
        make_loop(parts, score=score, keep_best=True), start(parts), data, path
    )
    assert trained.epoch == 2
    assert equal(trained.params, params_at[2])


def test_loss_that_is_not_finite_stops_with_the_epoch(parts, data, tmp_path):
    broken = TrainingSet(data.padded * jnp.nan, data.pixels, data.targets)
    fine = Training(make_loop(parts), start(parts), data, tmp_path / "fine.safetensors")
    bad = Training(
        make_loop(parts, seed=(0, 1)), start(parts), broken, tmp_path / "b.safetensors"
    )
    ended, failure = train_together([fine, bad])
    assert isinstance(ended, Trained)
    assert read_metadata(fine.checkpoint)["epoch"] == 6
    alone = train_run(
        make_loop(parts), start(parts), data, tmp_path / "alone.safetensors"
    )
    for one, other in zip(
        *map(jax.tree.leaves, (ended.params, alone.params)), strict=True
    ):
        np.testing.assert_allclose(one, other, atol=1e-4)
    assert "of run 1" in str(failure)
    assert not bad.checkpoint.exists()
    with pytest.raises(HsijaxError, match="nan in epoch 1"):
        train_run(make_loop(parts), start(parts), broken, tmp_path / "s.safetensors")


@pytest.mark.parametrize("pixels", [1, 20, 64, 100])
def test_every_pixel_is_in_an_epoch_and_no_batch_is_short(pixels):
    found = list(batches(pixels, 32, (0, 0, 0)))
    assert {len(batch) for batch in found} == {32}
    assert set(np.concatenate(found)) == set(range(pixels))
    assert len(found) == -(-pixels // 32)


@pytest.mark.parametrize("counts", [(74, 1, 30), (200, 3), (5,), (1, 0, 2)])
@pytest.mark.parametrize("batch", [16, 32])
def test_balanced_epoch_draws_each_class_equally_often(counts, batch):
    labels = np.repeat(np.arange(len(counts)), counts)
    found = list(balanced_batches(labels, batch, (0, 0, 0)))
    assert {len(indices) for indices in found} == {batch}
    assert len(found) == len(list(batches(len(labels), batch, (0, 0, 0))))
    drawn = np.concatenate(found)
    share, rest = divmod(len(drawn), np.count_nonzero(counts))
    for label, count in enumerate(counts):
        members = drawn[labels[drawn] == label]
        assert len(members) in ((share, share + bool(rest)) if count else (0,))
        # No pixel comes again before all others of its class have come.
        times = np.bincount(members, minlength=len(labels))[labels == label]
        assert not count or np.ptp(times) <= 1
    again = np.concatenate(list(balanced_batches(labels, batch, (0, 0, 0))))
    assert np.array_equal(drawn, again)
    if len(set(labels)) > 1:
        other = np.concatenate(list(balanced_batches(labels, batch, (0, 0, 1))))
        assert not np.array_equal(drawn, other)


def test_balanced_loop_trains_on_balanced_batches(parts, data, tmp_path):
    few = np.flatnonzero((data.targets == 0) | (data.pixels[:, 0] == 0))
    rare = TrainingSet(data.padded, data.pixels[few], data.targets[few])
    shares = []
    for balanced in (False, True):
        training = Training(
            make_loop(parts, balanced=balanced), start(parts), rare, tmp_path / "none"
        )
        pixels, labels = Course(training).batches(3)
        shares.append(float(labels.mean()))
        assert np.array_equal(labels, (pixels[..., 1] >= 5))
    assert shares == [pytest.approx(5 / 55, abs=0.05), 0.5]


def test_weighted_loss_is_that_worked_out_by_hand(parts):
    labels = np.array([0, 0, 0, 1])
    patches = np.random.default_rng(0).normal(size=(4, PATCH, PATCH, CHANNELS))
    params = parts[1](jax.random.key(0))
    code = nnx.eval_shape(lambda: Tiny(nnx.Rngs(0)))
    network = split_network(code, code)
    network = network._replace(train=network.predict)  # no dropout
    logits = nnx.merge(network.predict, params)(jnp.asarray(patches, jnp.float32))
    weights = np.array([4 / 6, 4 / 6, 4 / 6, 4 / 2])
    targets = 0.9 * np.eye(2)[labels] + 0.1 / 2
    expected = -(weights[:, None] * targets * log_softmax(logits, axis=1)).sum() / 4
    assert weights.mean() == 1
    loss = weighted_cross_entropy(network, 0.1)
    found = loss(params, patches, weigh_labels(labels, 2), jax.random.key(0))
    assert float(found) == pytest.approx(float(expected), rel=1e-5)
    plain = cross_entropy(network, 0.1)(params, patches, labels, jax.random.key(0))
    even = np.eye(2, dtype=np.float32)[labels]
    assert float(loss(params, patches, even, jax.random.key(0))) == pytest.approx(
        float(plain), rel=1e-5
    )


def test_runs_of_other_weights_share_a_step(parts, data, tmp_path):
    """Whichever comes first, each ends the same: weights come with the pixels."""
    code = nnx.eval_shape(lambda: Tiny(nnx.Rngs(0)))
    loss_fn = weighted_cross_entropy(split_network(code, code), 0.1)
    step = make_train_step(loss_fn, parts[2], PATCH, augment=False)
    chosen = [np.flatnonzero(data.pixels[:, 1] >= first)[:40] for first in (1, 4)]
    targets = [weigh_labels(data.targets[pixels], 2) for pixels in chosen]
    assert not np.allclose(*(weights.max(axis=0) for weights in targets))

    def train(order: tuple[int, int]) -> dict[int, Trained | HsijaxError]:
        trainings = [
            Training(
                make_loop((step, *parts[1:]), seed=(0, run), epochs=1),
                start(parts),
                TrainingSet(data.padded, data.pixels[chosen[run]], targets[run]),
                tmp_path / f"{run}-{order[0]}-first",
            )
            for run in order
        ]
        return dict(zip(order, train_together(trainings), strict=True))

    one, other = train((0, 1)), train((1, 0))
    for run in (0, 1):
        found, expected = one[run], other[run]
        assert isinstance(found, Trained)
        assert isinstance(expected, Trained)
        for pair in zip(
            *map(jax.tree.leaves, (found.params, expected.params)), strict=True
        ):
            np.testing.assert_allclose(*pair, atol=1e-6)


@pytest.mark.parametrize("name", SCHEDULES)
def test_schedule_stays_within_the_largest_rate(name):
    schedule = make_schedule(name, 0.1, 50)
    rates = [float(np.asarray(schedule(step))) for step in range(50)]
    assert max(rates) == pytest.approx(0.1, rel=0.05)
    assert min(rates) >= 0


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizer_descends_a_bowl(name):
    optimizer = make_optimizer(name, optax.constant_schedule(0.05), 0.0)
    params = jnp.array([3.0, -2.0])
    state = optimizer.init(params)
    for _ in range(60):
        updates, state = optimizer.update(params, state, params)
        params = jnp.asarray(optax.apply_updates(params, updates))
    assert np.abs(params).sum() < 4.5


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_weight_decay_shrinks_weights_that_have_no_gradient(name):
    optimizer = make_optimizer(name, optax.constant_schedule(0.05), 0.1)
    params = jnp.ones(1)
    updates, _ = optimizer.update(jnp.zeros(1), optimizer.init(params), params)
    assert np.asarray(updates)[0] < 0


def test_unknown_names_are_usage_errors():
    with pytest.raises(UsageError, match="'adam'"):
        make_optimizer("adamm", optax.constant_schedule(0.1), 0.0)
    with pytest.raises(UsageError, match="'cosine'"):
        make_schedule("cosin", 0.1, 10)


def test_checkpoint_comes_back_bit_for_bit_with_readable_names(tmp_path):
    kernel = np.array([[0.1, np.pi]], np.float32)
    tree = {"stem": {"kernel": kernel}, "count": np.int32(3)}
    path = tmp_path / "c.safetensors"
    save_checkpoint(path, tree, {"epoch": 4})
    assert equal(load_checkpoint(path, tree), tree)
    assert read_metadata(path) == {"epoch": 4}
    assert b"stem/kernel" in path.read_bytes()


def test_checkpoint_of_another_network_is_refused(tmp_path):
    path = tmp_path / "c.safetensors"
    save_checkpoint(path, {"a": np.zeros(3)}, {})
    with pytest.raises(HsijaxError, match="another network"):
        load_checkpoint(path, {"a": np.zeros(4)})


def test_damaged_checkpoint_is_named(tmp_path):
    path = tmp_path / "c.safetensors"
    tree = {"a": np.zeros(300)}
    save_checkpoint(path, tree, {})
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(HsijaxError, match=path.name):
        read_metadata(path)
    with pytest.raises(HsijaxError, match=path.name):
        load_checkpoint(path, tree)
