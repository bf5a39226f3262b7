from dataclasses import replace
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from sklearn.decomposition import PCA

from hsijax.config import UnmixConfig
from hsijax.errors import HsijaxError, UsageError
from hsijax.models.aann import AutoAssociator
from hsijax.unmixing.aann import TrainedAann, fit_aann, fit_pca_network
from hsijax.unmixing.lesson import Lesson
from hsijax.unmixing.normalise import normalise

FITS = {"aann": fit_aann, "pca-net": fit_pca_network}
BANDS, ENDMEMBERS = 20, 3


@pytest.fixture(scope="module")
def lesson() -> Lesson:
    """Mixtures of three spectra with a little noise."""
    rng = np.random.default_rng(0)
    abundances = rng.dirichlet(np.full(ENDMEMBERS, 0.5), (20, 20))
    cube = abundances @ rng.uniform(0.1, 1, (ENDMEMBERS, BANDS))
    cube += rng.normal(0, 0.002, cube.shape)
    everywhere = np.ones((20, 20), bool)
    pixels = rng.permutation(np.argwhere(everywhere))
    return Lesson(
        cube.astype(np.float32),
        everywhere,
        abundances,
        pixels[:250],
        pixels[250:300],
    )


def make_config(model: str, **changes) -> UnmixConfig:
    settings = {"epochs": 40, "lr": 1e-2, "batch": 50, "width": 12, "components": 3}
    return UnmixConfig(scene="mixtures", model=model, **{**settings, **changes})


def ignore(epoch):
    pass


@pytest.fixture(scope="module")
def trained(lesson, tmp_path_factory) -> dict[str, TrainedAann]:
    folder = tmp_path_factory.mktemp("runs")
    return {
        model: fit(make_config(model), lesson, 0, folder / f"{model}.st", ignore)
        for model, fit in FITS.items()
    }


def unmix(method: TrainedAann, lesson: Lesson) -> np.ndarray:
    return method.predict(lesson.cube, lesson.valid, np.argwhere(lesson.valid))


def error(found: np.ndarray, lesson: Lesson) -> float:
    truth = lesson.abundances.reshape(-1, ENDMEMBERS)
    return float(np.sqrt(np.mean((found - truth) ** 2)))


@pytest.mark.parametrize("model", FITS)
def test_abundances_are_learned(model, trained, lesson):
    found = unmix(trained[model], lesson)
    assert found.sum(axis=1) == pytest.approx(1, abs=1e-5)
    assert found.min() >= 0
    mean = lesson.abundances.mean((0, 1))
    assert error(found, lesson) < 0.3 * error(mean, lesson)


def test_parameters_are_those_of_the_layers(trained):
    second = (3 * 12 + 12) + (12 * 3 + 3)
    first = (20 * 12 + 12) + (12 * 3 + 3) + (3 * 12 + 12) + (12 * 20 + 20)
    assert trained["pca-net"].parameters == second
    assert trained["aann"].parameters == first + second


def test_the_bottleneck_is_between_two_tangents_and_linear():
    model = AutoAssociator(5, width=4, components=2, rngs=nnx.Rngs(0))
    inputs = np.random.default_rng(0).normal(size=(7, 5)).astype(np.float32)
    params = jax.device_get(nnx.to_pure_dict(nnx.state(model, nnx.Param)))

    def layer(name, x):
        return x @ params[name]["kernel"] + params[name]["bias"]

    codes = layer("bottleneck", np.tanh(layer("mapping", inputs)))
    output = layer("output", np.tanh(layer("demapping", codes)))
    seen = jnp.asarray(inputs)
    assert np.asarray(model.encode(seen)) == pytest.approx(codes, abs=1e-5)
    assert np.asarray(model(seen)) == pytest.approx(output, abs=1e-5)


def test_the_control_sees_the_principal_components_of_training_spectra(trained, lesson):
    seen = trained["pca-net"].inputs.at(lesson.cube, lesson.train)
    spectra = normalise(lesson.cube[tuple(lesson.train.T)].astype(np.float64), "l2")
    theirs = PCA(3).fit_transform(spectra)
    for ours, expected in zip(seen.T, theirs.T, strict=True):
        assert abs(np.corrcoef(ours, expected)[0, 1]) > 0.9999


def test_first_epochs_reproduce_spectra_and_the_second_ones_are_counted_on(
    lesson, tmp_path
):
    epochs = []
    config = make_config("aann", epochs=6)
    method = fit_aann(config, lesson, 2, tmp_path / "c.safetensors", epochs.append)
    assert [epoch.epoch for epoch in epochs] == list(range(1, 13))
    assert {epoch.run for epoch in epochs} == {2}
    assert method.epoch == 12
    seconds = [epoch.seconds for epoch in epochs]
    assert seconds == sorted(seconds)
    for part in (epochs[:6], epochs[6:]):
        assert part[-1].loss < part[0].loss
        assert part[-1].lr < part[0].lr  # each has a schedule of its own
    assert [epoch.score is None for epoch in epochs] == [True] * 6 + [False] * 6
    assert epochs[-1].score > epochs[6].score


class Killed(BaseException):
    """The process ends here."""


@pytest.mark.parametrize("at", [2, 7])
def test_killed_and_resumed_ends_bit_for_bit_as_uninterrupted(lesson, tmp_path, at):
    config = make_config("aann", epochs=5)
    whole = fit_aann(config, lesson, 0, tmp_path / "whole.safetensors", ignore)

    def die(epoch):
        if epoch.epoch == at:
            raise Killed

    path = tmp_path / "state.safetensors"
    with pytest.raises(Killed):
        fit_aann(config, lesson, 0, path, die)
    seen = []
    resumed = fit_aann(config, lesson, 0, path, lambda epoch: seen.append(epoch.epoch))
    assert seen[0] == at
    assert np.array_equal(unmix(resumed, lesson), unmix(whole, lesson))


def test_seed_and_run_decide_the_network(lesson, tmp_path):
    found = [
        unmix(
            fit_pca_network(
                replace(make_config("pca-net", epochs=2), seed=seed),
                lesson,
                run,
                tmp_path / f"{number}.safetensors",
                ignore,
            ),
            lesson,
        )
        for number, (seed, run) in enumerate([(0, 0), (0, 0), (0, 1), (1, 0)])
    ]
    assert np.array_equal(found[0], found[1])
    assert not np.array_equal(found[0], found[2])
    assert not np.array_equal(found[0], found[3])


def test_the_epoch_of_the_best_validation_score_counts(lesson, tmp_path):
    epochs = []
    # So large a rate that the last epoch is not the best.
    rates = {"lr": 0.3, "schedule": "constant", "epochs": 12}
    config = make_config("pca-net", select="validation", val_frac=0.2, **rates)
    path = tmp_path / "c.safetensors"
    method = fit_pca_network(config, lesson, 0, path, epochs.append)
    best = max(epochs, key=lambda epoch: epoch.score)
    assert method.epoch == best.epoch < 12
    found = method.predict(lesson.cube, lesson.valid, lesson.validation)
    truth = lesson.abundances[tuple(lesson.validation.T)]
    assert -np.sqrt(np.mean((found - truth) ** 2)) == pytest.approx(best.score)


@pytest.mark.parametrize("model", FITS)
def test_what_was_saved_predicts_the_same_bits(model, trained, lesson, tmp_path):
    path = tmp_path / "method.safetensors"
    trained[model].save(path)
    again = TrainedAann.load(path)
    assert np.array_equal(unmix(again, lesson), unmix(trained[model], lesson))
    assert again.parameters == trained[model].parameters
    assert (again.epoch, again.seconds) == (
        trained[model].epoch,
        trained[model].seconds,
    )


def test_only_training_pixels_teach(trained, lesson, tmp_path):
    outside = np.ones((20, 20), bool)
    outside[tuple(lesson.train.T)] = False
    cube, abundances = lesson.cube.copy(), lesson.abundances.copy()
    cube[outside], abundances[outside] = 0.5, [1, 0, 0]
    other = replace(lesson, cube=cube, abundances=abundances)
    again = fit_aann(make_config("aann"), other, 0, tmp_path / "c.safetensors", ignore)
    assert np.array_equal(unmix(again, lesson), unmix(trained["aann"], lesson))


def test_a_pixel_is_the_same_alone(trained, lesson):
    predict = partial(trained["aann"].predict, lesson.cube, lesson.valid)
    whole, one = predict(lesson.train), predict(lesson.train[7:8])
    assert one[0] == pytest.approx(whole[7], abs=1e-6)
    assert predict(lesson.train[:0]).shape == (0, ENDMEMBERS)


def test_bad_input_is_refused(trained, lesson, tmp_path):
    path: Path = tmp_path / "c.safetensors"
    with pytest.raises(UsageError, match="--components 21"):
        fit_pca_network(make_config("pca-net", components=21), lesson, 0, path, ignore)
    with pytest.raises(HsijaxError, match="20 bands, the cube has 5"):
        trained["aann"].predict(lesson.cube[:, :, :5], lesson.valid, lesson.train)
    broken = make_config("aann", lr=1e3, optimizer="sgd", epochs=3)
    with pytest.raises(HsijaxError, match=r"the loss is .* a smaller --lr"):
        fit_aann(broken, lesson, 0, path, ignore)
