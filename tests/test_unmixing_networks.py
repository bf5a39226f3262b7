"""The learners pixel-cnn and cube-cnn: what they learn, and what must not matter."""

from dataclasses import replace

import jax
import numpy as np
import pytest

from hsijax.config import UnmixConfig
from hsijax.errors import HsijaxError, UsageError
from hsijax.training.checkpoint import read_metadata
from hsijax.unmixing.blueprint import BATCH
from hsijax.unmixing.lesson import Lesson
from hsijax.unmixing.networks import TrainedNetwork, fit_network
from hsijax.unmixing.normalise import NORMS, normalise

SIDE, BANDS, ENDMEMBERS = 16, 70, 3
CONFIG = UnmixConfig(
    "made-up", model="pixel-cnn", epochs=15, batch=32, lr=1e-2, schedule="one-cycle"
)

# At the rate of pixel-cnn, its many maps would die.
CUBE = replace(CONFIG, model="cube-cnn", patch=3, epochs=4, batch=64, lr=1e-3)


@pytest.fixture(scope="module")
def lesson() -> Lesson:
    """Linear mixtures under uneven light; the last two columns are not trained on."""
    rng = np.random.default_rng(0)
    places = np.linspace(0, 1, BANDS)
    peaks = np.array([[0.2], [0.5], [0.8]])
    endmembers = 0.1 + np.exp(-(((places - peaks) / 0.15) ** 2))
    abundances = rng.dirichlet(np.full(ENDMEMBERS, 0.5), size=(SIDE, SIDE))
    light = rng.uniform(0.5, 2, size=(SIDE, SIDE, 1))
    cube = (light * (abundances @ endmembers)).astype(np.float32)
    pixels = np.argwhere(np.ones((SIDE, SIDE)))
    test = pixels[:, 1] >= SIDE - 2
    valid = np.ones((SIDE, SIDE), bool)
    return Lesson(cube, valid, abundances, pixels[~test][:200], pixels[~test][200:])


def fit(config, lesson, path, run=0, on_epoch=lambda epoch: None) -> TrainedNetwork:
    return fit_network(config, lesson, run, path / "state.safetensors", on_epoch)


@pytest.fixture(scope="module")
def trained(lesson, tmp_path_factory) -> TrainedNetwork:
    return fit(CONFIG, lesson, tmp_path_factory.mktemp("trained"))


def predict(network, lesson):
    pixels = np.argwhere(np.ones(lesson.valid.shape))
    return network.predict(lesson.cube, lesson.valid, pixels)


def equal(a, b) -> bool:
    return all(jax.tree.leaves(jax.tree.map(np.array_equal, a, b)))


class Killed(BaseException):
    """The process ends here."""


def rmse_of_test(network, lesson) -> float:
    test = lesson.abundances[:, -2:].reshape(-1, ENDMEMBERS)
    pixels = np.argwhere(np.ones((SIDE, 2))) + np.array([0, SIDE - 2])
    estimated = network.predict(lesson.cube, lesson.valid, pixels)
    return float(np.sqrt(np.mean((estimated - test) ** 2)))


def test_learns_abundances_of_pixels_that_it_never_saw(trained, lesson):
    assert rmse_of_test(trained, lesson) < 0.06  # 0.33 for the mean of all
    estimated = predict(trained, lesson)
    assert estimated.min() >= 0
    np.testing.assert_allclose(estimated.sum(axis=1), 1, rtol=1e-5)
    # Kernels and biases of four convolutions, then F10 and F11.
    assert trained.parameters == 1_644 + (24 * 150 + 150) + (150 * 3 + 3)
    assert trained.epoch == CONFIG.epochs
    assert trained.seconds > 0


def test_brightness_does_not_matter_after_l2(trained, lesson):
    brighter = replace(lesson, cube=3 * lesson.cube)
    np.testing.assert_allclose(
        predict(trained, brighter), predict(trained, lesson), atol=1e-5
    )


def test_a_pixel_is_predicted_the_same_in_any_company(trained, lesson):
    pixels = np.argwhere(np.ones(lesson.valid.shape))
    assert len(pixels) > BATCH
    together = trained.predict(lesson.cube, lesson.valid, pixels)
    chosen = np.random.default_rng(0).permutation(len(pixels))[:70]
    apart = trained.predict(lesson.cube, lesson.valid, pixels[chosen])
    np.testing.assert_allclose(apart, together[chosen], atol=1e-6)
    assert trained.predict(lesson.cube, lesson.valid, pixels[:0]).shape == (0, 3)


@pytest.mark.parametrize("at", [1, 3])
def test_killed_and_resumed_ends_bit_for_bit_as_uninterrupted(lesson, tmp_path, at):
    config = replace(CUBE, dropout=0.2, augment=True)
    (tmp_path / "whole").mkdir()
    whole = fit(config, lesson, tmp_path / "whole")

    def die(epoch):
        if epoch.epoch == at + 1:
            raise Killed  # before this epoch's checkpoint is written

    with pytest.raises(Killed):
        fit(config, lesson, tmp_path, on_epoch=die)
    assert read_metadata(tmp_path / "state.safetensors")["epoch"] == at
    assert equal(fit(config, lesson, tmp_path).params, whole.params)


def test_saved_and_loaded_predicts_the_same(trained, lesson, tmp_path):
    path = tmp_path / "network.safetensors"
    trained.save(path)
    loaded = TrainedNetwork.load(path)
    np.testing.assert_array_equal(predict(loaded, lesson), predict(trained, lesson))
    assert (loaded.seconds, loaded.epoch) == (trained.seconds, trained.epoch)
    assert loaded.parameters == trained.parameters


def test_nothing_is_learned_from_pixels_that_do_not_train(trained, lesson, tmp_path):
    cube, abundances = lesson.cube.copy(), lesson.abundances.copy()
    cube[:, -2:] = np.random.default_rng(3).uniform(size=cube[:, -2:].shape)
    abundances[:, -2:] = [1, 0, 0]
    other = fit(CONFIG, replace(lesson, cube=cube, abundances=abundances), tmp_path)
    assert equal(other.params, trained.params)
    assert equal(vars(other.preprocessing), vars(trained.preprocessing))


def test_pixels_without_data_have_no_say(lesson, tmp_path):
    config = replace(CUBE, epochs=1)
    network = fit(config, lesson, tmp_path)
    valid = lesson.valid.copy()
    valid[3, 4] = False
    cubes = [lesson.cube.copy(), lesson.cube.copy()]
    cubes[1][3, 4] = 7
    pixels = np.array([[3, 5], [9, 9]])  # beside the hole, and far from it
    found, again = (network.predict(cube, valid, pixels) for cube in cubes)
    np.testing.assert_array_equal(found, again)
    whole = network.predict(lesson.cube, lesson.valid, pixels)
    assert np.abs(found[0] - whole[0]).max() > 1e-4
    np.testing.assert_array_equal(found[1], whole[1])


def test_binary_targets_are_the_largest_abundance(lesson, tmp_path):
    for name in ("binary", "by-hand"):
        (tmp_path / name).mkdir()
    config = replace(CONFIG, epochs=2)
    binary = fit(replace(config, targets="binary"), lesson, tmp_path / "binary")
    largest = np.eye(ENDMEMBERS)[lesson.abundances.argmax(axis=-1)]
    by_hand = fit(config, replace(lesson, abundances=largest), tmp_path / "by-hand")
    assert equal(binary.params, by_hand.params)


def test_validation_chooses_the_epoch_of_least_rmse(lesson, tmp_path):
    config = replace(CONFIG, epochs=6, lr=0.1, val_frac=0.1, select="validation")
    config = replace(config, schedule="constant")
    epochs = []
    network = fit(config, lesson, tmp_path, on_epoch=epochs.append)
    scores = [epoch.score for epoch in epochs]
    assert network.epoch == 1 + int(np.argmax(scores)) < 6
    pixels = lesson.validation
    errors = network.predict(lesson.cube, lesson.valid, pixels)
    errors = errors - lesson.abundances[pixels[:, 0], pixels[:, 1]]
    assert max(scores) == pytest.approx(-np.sqrt(np.mean(errors**2)))


def test_each_run_is_another_one_and_comes_again(lesson, tmp_path):
    config = replace(CONFIG, epochs=1)
    params = []
    for run in (0, 1, 0):
        folder = tmp_path / str(len(params))
        folder.mkdir()
        params.append(fit(config, lesson, folder, run).params)
    assert not equal(params[0], params[1])
    assert equal(params[0], params[2])


def test_bad_input_is_refused_with_what_to_do(trained, lesson, tmp_path):
    few = replace(lesson, cube=lesson.cube[..., :12])
    with pytest.raises(UsageError, match=r"at least 66 bands.*has 12"):
        fit(CONFIG, few, tmp_path)
    with pytest.raises(HsijaxError, match="trained on 70 bands, the cube has 12"):
        predict(trained, few)
    broken = replace(lesson, abundances=lesson.abundances * np.nan)
    with pytest.raises(HsijaxError, match="nan in epoch 1 of run 0: try a smaller"):
        fit(CONFIG, broken, tmp_path)


@pytest.mark.parametrize("norm", NORMS)
def test_each_norm(norm):
    spectra = np.array([[1.0, -2.0, 2.0], [0.0, 0.0, 0.0]], np.float32)
    size = {"none": 1, "l1": 5, "l2": 3, "max": 2}[norm]
    normalised = normalise(spectra, norm)
    np.testing.assert_allclose(normalised, spectra / size)
    assert normalised.dtype == np.float32


def test_an_unknown_norm_is_named():
    with pytest.raises(UsageError, match="did you mean 'l2'"):
        normalise(np.ones((1, 3)), "l22")
