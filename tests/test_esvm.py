import logging
from pathlib import Path

import numpy as np
import pytest
from sklearn.svm import SVC

import hsijax.unmixing.esvm as module
from hsijax.config import UnmixConfig
from hsijax.errors import HsijaxError
from hsijax.training.checkpoint import save_checkpoint
from hsijax.unmixing.esvm import TrainedEsvm, find_pure, fit_esvm
from hsijax.unmixing.lesson import Lesson
from hsijax.unmixing.margins import join_pairs, train_machine

NOWHERE = Path("nowhere.safetensors")


@pytest.fixture(autouse=True)
def _small_grid(monkeypatch):
    monkeypatch.setattr(module, "PENALTIES", (1.0, 100.0))
    monkeypatch.setattr(module, "GAMMAS", (0.01, 0.1))


@pytest.fixture(scope="module")
def lesson() -> Lesson:
    """Mixtures of three spectra, a third of them nearly pure."""
    rng = np.random.default_rng(0)
    abundances = rng.dirichlet(np.full(3, 0.15), (16, 16))
    cube = abundances @ rng.uniform(0.1, 1, (3, 8)) + rng.normal(0, 0.005, (16, 16, 8))
    everywhere = np.ones((16, 16), bool)
    pixels = rng.permutation(np.argwhere(everywhere))
    return Lesson(
        cube.astype(np.float32), everywhere, abundances, pixels[:180], pixels[180:180]
    )


@pytest.fixture(scope="module")
def config() -> UnmixConfig:
    return UnmixConfig(scene="mixtures", model="esvm")


def fit(config: UnmixConfig, lesson: Lesson, run: int = 0) -> TrainedEsvm:
    return fit_esvm(config, lesson, run, NOWHERE, lambda epoch: None)


@pytest.mark.parametrize("classes", [2, 3, 5])
def test_decision_values_are_those_of_scikit_learn(classes):
    rng = np.random.default_rng(classes)
    labels = rng.integers(classes, size=120)
    channels = rng.normal(size=(120, 4)) + labels[:, None]
    examples = np.where(np.arange(120) < 100, labels, -1)
    machine = train_machine(channels, examples, penalty=2.0, gamma=0.1)
    theirs = SVC(C=2.0, gamma="auto", decision_function_shape="ovo")
    theirs.set_params(gamma=0.1).fit(channels[:100], labels[:100])
    expected = theirs.decision_function(channels).reshape(120, -1)
    # Of two classes scikit-learn's are positive for the second.
    expected = -expected if classes == 2 else expected
    assert machine.decide(channels) == pytest.approx(expected, abs=1e-9)
    if classes == 2:
        assert ((machine.decide(channels)[:, 0] < 0) == theirs.predict(channels)).all()


def test_pairs_are_joined_by_the_least_share():
    # Pairs 0-1, 0-2, 1-2: 0 and 1 mix 3 to 1, both rule 2 out.
    assert join_pairs(np.array([[0.5, 1.0, 2.0]]), 3)[0] == pytest.approx(
        [0.75, 0.25, 0]
    )
    # Half of 0 against 1, a quarter of 0 against 2: 2 has 3/4, 1 has 1/4 against it.
    shares = np.array([0.25, 0.25, 0.75])
    found = join_pairs(np.array([[0.0, -0.5, -0.5]]), 3)[0]
    assert found == pytest.approx(shares / shares.sum())


def test_a_pixel_that_all_classes_lose_gets_their_means():
    # 0 beats 1, 1 beats 2, 2 beats 0.
    found = join_pairs(np.array([[2.0, -2.0, 2.0]]), 3)
    assert found[0] == pytest.approx([1 / 3] * 3)


def test_abundances_of_mixtures_are_learned(config, lesson):
    fitted = fit(config, lesson)
    test = np.argwhere(lesson.valid)
    found = fitted.predict(lesson.cube, lesson.valid, test)
    truth = lesson.abundances.reshape(-1, 3)
    assert found.min() >= 0
    assert found.sum(axis=1) == pytest.approx(1, abs=1e-12)
    assert np.sqrt(np.mean((found - truth) ** 2)) < 0.12
    # Better than the pixel's largest material alone.
    hard = np.eye(3)[truth.argmax(axis=1)]
    assert np.mean((found - truth) ** 2) < 0.7 * np.mean((hard - truth) ** 2)
    assert (fitted.epoch, fitted.seconds > 0, fitted.parameters > 3) == (0, True, True)


def test_the_same_seed_trains_the_same_machine(config, lesson):
    one, other = fit(config, lesson), fit(config, lesson)
    assert np.array_equal(one.machine.coefficients, other.machine.coefficients)


def test_only_training_pixels_teach(config, lesson):
    changed = lesson.abundances.copy()
    outside = np.ones((16, 16), bool)
    outside[tuple(lesson.train.T)] = False
    changed[outside] = [1, 0, 0]
    cube = lesson.cube.copy()
    cube[outside] = 0.5
    other = Lesson(cube, lesson.valid, changed, lesson.train, lesson.validation)
    one, two = fit(config, lesson), fit(config, other)
    assert np.array_equal(one.machine.coefficients, two.machine.coefficients)
    assert (one.penalty, one.machine.gamma) == (two.penalty, two.machine.gamma)


def test_the_setting_of_least_error_on_held_out_pixels_wins(
    config, lesson, monkeypatch
):
    # So narrow a kernel knows nothing of any pixel but its examples.
    monkeypatch.setattr(module, "GAMMAS", (1e4, 0.1))
    fitted = fit(config, lesson)
    channels = fitted.inputs.at(lesson.cube, lesson.train).astype(np.float64)
    unit = 1 / (channels.shape[1] * channels.var())
    assert fitted.machine.gamma == pytest.approx(0.1 * unit)


def test_what_was_saved_predicts_the_same_bits(config, lesson, tmp_path):
    fitted = fit(config, lesson)
    fitted.save(tmp_path / "esvm.safetensors")
    again = TrainedEsvm.load(tmp_path / "esvm.safetensors")
    pixels = np.argwhere(lesson.valid)
    one, other = (x.predict(lesson.cube, lesson.valid, pixels) for x in (fitted, again))
    assert np.array_equal(one, other)
    assert again.parameters == fitted.parameters


def test_another_file_or_cube_is_refused(config, lesson, tmp_path):
    path = tmp_path / "other.safetensors"
    save_checkpoint(path, {"a": np.zeros(1)}, {"gamma": 1.0})
    with pytest.raises(HsijaxError, match="holds no eSVM"):
        TrainedEsvm.load(path)
    with pytest.raises(HsijaxError, match="8 bands, the cube has 5"):
        fit(config, lesson).predict(lesson.cube[:, :, :5], lesson.valid, lesson.train)


def test_prediction_is_the_same_alone_and_of_no_pixels(config, lesson):
    fitted = fit(config, lesson)
    whole = fitted.predict(lesson.cube, lesson.valid, lesson.train)
    one = fitted.predict(lesson.cube, lesson.valid, lesson.train[7:8])
    none = fitted.predict(lesson.cube, lesson.valid, lesson.train[:0])
    assert one[0] == pytest.approx(whole[7], abs=1e-9)
    assert none.shape == (0, 3)


def two_materials(first: list[float]) -> np.ndarray:
    return np.stack([np.array(first), 1 - np.array(first)], axis=1)


def test_the_purest_stand_in_for_a_class_without_pure_pixels(caplog):
    abundances = two_materials(
        [*np.linspace(0.91, 1, 9), 0.4, 0.3, 0.2, 0.45, 0.1, 0.35]
    )
    examples = find_pure(abundances, 0.95, (0,))
    assert (examples == 0).sum() == 5
    # The least of the second material among six, 0.55, is left out.
    assert np.flatnonzero(examples == 1).tolist() == [9, 10, 11, 13, 14]
    assert "endmember 2" in caplog.text
    assert "0.60" in caplog.text


def test_a_class_of_two_pixels_makes_two_folds(config, caplog):
    rng = np.random.default_rng(0)
    abundances = two_materials([*rng.uniform(0.6, 1, 60), 0.05, 0.4])[None]
    cube = (abundances @ rng.uniform(0.1, 1, (2, 6))).astype(np.float32)
    pixels = np.argwhere(np.ones((1, 62), bool))
    lesson = Lesson(cube, np.ones((1, 62), bool), abundances, pixels, pixels[:0])
    assert fit(config, lesson).predict(cube, lesson.valid, pixels).shape == (62, 2)
    assert "the 2 purest stand in" in caplog.text


def test_a_class_that_is_nowhere_the_largest_is_an_error(config):
    with pytest.raises(HsijaxError, match="endmember 2 is the largest in 1 of the 3"):
        find_pure(two_materials([0.9, 0.8, 0.1]), 0.9, (0,))


def test_of_very_many_pure_pixels_some_are_drawn(monkeypatch, caplog):
    caplog.set_level(logging.INFO, "hsijax")
    monkeypatch.setattr(module, "MOST_PURE", 10)
    abundances = two_materials([0.95] * 40 + [0.02] * 8)
    one, same = (find_pure(abundances, 0.9, (1,)) for _ in range(2))
    assert [(one == label).sum() for label in (0, 1)] == [10, 8]
    assert np.array_equal(one, same)
    assert not np.array_equal(one, find_pure(abundances, 0.9, (2,)))
    assert "10 of the 40 pure pixels" in caplog.text
