"""Classical classifiers: the same commands, scikit-learn's predictions."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.ensemble import RandomForestClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.svm import SVC
from spectral.io import envi
from spectral.io.spyfile import SpyFile
from typer.testing import CliRunner

from hsijax.classification import spectral, tuning
from hsijax.classification.estimators import METHODS
from hsijax.classification.spectral import SpectralClassifier, fit_spectral
from hsijax.classification.trained import TrainedClassifier
from hsijax.classification.tuning import (
    FOLDS,
    choose_neighbours,
    choose_svm,
    deal_folds,
)
from hsijax.cli import app
from hsijax.config import OdeSolver, TrainConfig
from hsijax.config.opponents import CLASSICAL
from hsijax.errors import HsijaxError, UsageError
from hsijax.experiments import train_spectral
from hsijax.experiments.solver_scores import score_solver
from hsijax.experiments.task import reload_task
from hsijax.experiments.train import prepare_run, reopen_run, train_runs
from hsijax.runs import Run

WINDOW = slice(45, 75), slice(10, 40)  # rows and columns: eight classes


def invoke(*arguments: object):
    done = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert done.exit_code == 0, done.stdout + done.stderr
    return done


@pytest.fixture(scope="module", autouse=True)
def _quick():
    """Fewer trees, and a search of four points in place of forty."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tuning, "TREES", 50)
        patch.setattr(tuning, "PENALTIES", (10.0, 1000.0))
        patch.setattr(tuning, "WIDTHS", (0.03, 0.3))
        yield


@pytest.fixture(scope="module")
def scene(shared_data, tmp_path_factory) -> list[str]:
    """The options that name a crop of Indian Pines, every tenth band of it."""
    folder = tmp_path_factory.mktemp("crop")
    source = shared_data / "indian_pines"
    cube = np.load(source / "Indian_pines_corrected.npy")[WINDOW][..., ::10]
    np.save(folder / "crop.npy", cube)
    np.save(folder / "gt.npy", np.load(source / "Indian_pines_gt.npy")[WINDOW])
    files = [str(folder / name) for name in ("crop.npy", "gt.npy")]
    return ["--dataset", files[0], "--ground-truth", files[1]]


@pytest.fixture(scope="module")
def runs(scene, tmp_path_factory) -> dict[str, Run]:
    """Two runs of each classifier by the command; one training pixel of class 1."""
    folder = tmp_path_factory.mktemp("runs")
    for model in CLASSICAL:
        options = ("--model", model, "--frac", "0.05", "--runs", "2", "--no-map", "-q")
        invoke("train", *scene, *options, "--out", folder / model)
    return {model: Run(folder / model) for model in CLASSICAL}


@pytest.fixture
def config(runs) -> TrainConfig:
    """The settings of the SVM's runs."""
    return runs["svm"].read_config()


def load(run: Run, number: int = 0):
    """Return a classifier, the cube as it sees it, and its spectra and labels."""
    classifier = TrainedClassifier.load(run.network_file(number))
    task = reload_task(run)
    padded = classifier.prepare(task.cube, task.valid)
    train = task.splits.splits[number].train
    return classifier, padded, np.asarray(padded)[tuple(train.T)], task


def learned_by(classifier: TrainedClassifier) -> SpectralClassifier:
    assert isinstance(classifier.learned, SpectralClassifier)
    return classifier.learned


def every_pixel(padded) -> np.ndarray:
    return np.argwhere(np.ones(padded.shape[:2], dtype=bool))


@pytest.mark.parametrize("model", CLASSICAL)
def test_command_leaves_a_whole_run_that_leaks_nothing(runs, model):
    run = runs[model]
    metrics, manifest = run.read_metrics(), run.read_manifest()
    assert manifest["status"] == "done"
    counts = manifest["splits"][0]["n_train_per_class"]
    assert min(counts) == 1
    assert metrics["oa"]["mean"] > 50  # eight classes, the largest a share of 0.39
    assert metrics["split"]["leakage"] == {
        "test_with_train_centre": 0.0,
        "test_patch_overlap": 0.0,
    }
    assert metrics["parameters"] > 0
    assert metrics["function_evaluations"] == {}
    assert not metrics["selected_on_test"]
    assert set(manifest["hyper_parameters"]) == {"0", "1"}
    files = {path.name for path in run.folder.rglob("*.*")}
    assert "confusion.png" in files
    assert not files & {"history.csv", "training.png"}
    assert not [name for name in files if "state" in name]
    shown = invoke("evaluate", run.folder).stdout
    assert f"{metrics['oa']['mean']:.2f}" in shown
    assert "function evaluations" not in shown


@pytest.mark.parametrize("model", CLASSICAL)
def test_predictions_are_those_of_scikit_learn(runs, model):
    run = runs[model]
    _, padded, spectra, task = load(run)
    labels = task.scene.labels(task.splits.splits[0].train)
    chosen = run.read_manifest()["hyper_parameters"]["0"]
    found = run.read_predictions()
    row, col = found["run0_pixels"].T
    if model == "svm":
        direct = SVC(C=chosen["C"], gamma=chosen["gamma"], break_ties=True)
    elif model == "knn":
        direct = KNeighborsClassifier(chosen["k"], weights="distance")
    else:
        direct = RandomForestClassifier(chosen["trees"], random_state=chosen["seed"])
    direct.fit(spectra.astype(np.float64), labels)
    labels = direct.predict(np.asarray(padded)[row, col].astype(np.float64))
    predicted = np.array(task.scene.class_ids)[np.asarray(labels, int)]
    assert_array_equal(found["run0_predicted"], predicted)
    metrics = run.read_metrics()
    assert metrics["oa"]["values"][0] == pytest.approx(
        100 * np.mean(predicted == found["run0_truth"])
    )


def test_parameters_count_what_decides(runs):
    for model, count in {
        "svm": lambda fitted, spectra: (
            fitted.support_vectors_.size
            + fitted.dual_coef_.size
            + fitted.intercept_.size
        ),
        "random-forest": lambda fitted, spectra: sum(
            int((tree.tree_.children_left >= 0).sum()) + tree.tree_.node_count
            for tree in fitted.estimators_
        ),
        "knn": lambda fitted, spectra: len(spectra) * (spectra.shape[1] + 1),
    }.items():
        classifier, _, spectra, _ = load(runs[model])
        learned = learned_by(classifier)
        assert learned.parameters == count(learned.estimator, spectra)
        assert learned.parameters == runs[model].read_metrics()["parameters"]


@pytest.mark.parametrize("model", CLASSICAL)
def test_saved_and_loaded_it_says_the_same_to_the_bit(runs, model, tmp_path):
    first = runs[model].network_file(0)
    classifier, padded, spectra, _ = load(runs[model])
    assert learned_by(classifier).arrays()["spectra"].dtype == np.float32
    assert_array_equal(learned_by(classifier).arrays()["spectra"], spectra)
    notes = {"epoch": 0, "seconds": 1.0}
    classifier.save(tmp_path / "again.safetensors", **notes)
    again = TrainedClassifier.load(tmp_path / "again.safetensors")
    pixels = every_pixel(padded)
    one, other = (c.learned.logits(padded, pixels) for c in (classifier, again))
    assert one.tobytes() == other.tobytes()
    assert np.isfinite(one).all()
    assert len(first.read_bytes()) < 100_000  # arrays of 38 spectra, no estimator


@pytest.mark.parametrize("model", CLASSICAL)
def test_blocks_of_pixels_change_nothing(runs, model, monkeypatch):
    classifier, padded, _, _ = load(runs[model])
    pixels = every_pixel(padded)[:100]
    done = []
    whole = classifier.learned.logits(padded, pixels)
    monkeypatch.setattr(spectral, "BLOCK", 33)
    parts = classifier.learned.logits(padded, pixels, lambda *told: done.append(told))
    assert_allclose(parts, whole, rtol=0, atol=1e-5)
    assert [told[1:] for told in done] == [(33, 100), (66, 100), (99, 100), (100, 100)]


def test_svm_margins_agree_with_votes_also_where_pairs_go_in_a_circle(runs):
    classifier, padded, spectra, task = load(runs["svm"])
    labels = task.scene.labels(task.splits.splits[0].train)
    pixels = every_pixel(padded)
    logits = classifier.learned.logits(padded, pixels)
    direct = SVC(break_ties=True).set_params(**learned_by(classifier).settings)
    direct.fit(spectra.astype(np.float64), labels)
    seen = np.asarray(padded)[tuple(pixels.T)].astype(np.float64)
    assert_array_equal(logits.argmax(axis=1), direct.predict(seen))
    assert ((logits > 0).sum(axis=1) <= 1).all()
    circles = (logits < 0).all(axis=1)
    assert 0 < circles.mean() < 0.2
    # Of two classes, the margin is what scikit-learn says.
    two = labels < 2
    direct.fit(spectra[two].astype(np.float64), labels[two])
    assert len(direct.classes_) == 2
    direct.set_params(decision_function_shape="ovo", break_ties=False)
    scores = METHODS["svm"].score(direct, seen)
    assert_allclose(scores[:, 1], direct.decision_function(seen))
    assert_array_equal(direct.classes_[scores.argmax(axis=1)], direct.predict(seen))


def make_spectra(counts: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """Clouds of so many spectra around a corner for each label."""
    labels = np.repeat(np.arange(len(counts)), counts)
    rng = np.random.default_rng(0)
    spectra = 5 * np.eye(len(counts))[labels] + rng.normal(size=(len(labels), 1))
    return spectra.astype(np.float32), labels


@pytest.mark.parametrize("model", CLASSICAL)
@pytest.mark.parametrize("counts", [[9, 1, 0, 3, 2], [1, 1, 0, 0, 1], [2, 2, 0, 0, 0]])
def test_classes_with_one_training_pixel_or_none(config, model, counts):
    spectra, labels = make_spectra(counts)
    config = replace(config, model=model)
    fitted, accuracy = fit_spectral(config, spectra, labels, len(counts), seed=3)
    pixels = np.stack([np.zeros(len(labels), int), np.arange(len(labels))], axis=1)
    logits = fitted.logits(jnp.asarray(spectra[None]), pixels)
    assert np.isfinite(logits).all()
    assert_array_equal(logits.argmax(axis=1), labels)
    seen = np.array(counts) > 0
    assert (logits[:, seen].min(axis=1) - logits[:, ~seen].max(axis=1) >= 9.9).all()
    searched = model != "random-forest" and max(counts) > 1
    assert (accuracy is not None) == searched


@pytest.mark.parametrize("counts", [[9, 1, 0, 3, 2], [2, 2], [40, 7, 1]])
def test_every_fold_trains_all_classes(counts):
    _, labels = make_spectra(counts)
    labels = np.random.default_rng(1).permutation(labels)
    indices, folds = deal_folds(labels, seed=0)
    assert_array_equal(indices, np.arange(len(labels)))
    assert set(labels[folds < 0]) == {n for n, c in enumerate(counts) if c == 1}
    for fold in range(FOLDS):
        assert set(labels[folds != fold]) == set(labels)
        for label, count in enumerate(counts):
            held_out = int(((folds == fold) & (labels == label)).sum())
            assert held_out in ((0,) if count == 1 else (count // 5, -(-count // 5)))
    others = [deal_folds(labels, seed)[1] for seed in range(1, 9)]
    assert not all(np.array_equal(folds, other) for other in others)


def test_search_of_many_pixels_takes_the_same_share_of_each_class():
    _, labels = make_spectra([800, 150, 1])
    indices, folds = deal_folds(labels, seed=0, most=100)
    assert np.bincount(labels[indices]).tolist() == [85, 16, 1]
    assert len(np.unique(indices)) == len(folds) == 102


def test_search_finds_what_held_out_pixels_need(monkeypatch):
    rng = np.random.default_rng(0)
    # Kernels too wide to part a ring from a disc, right, and too narrow to generalise.
    monkeypatch.setattr(tuning, "WIDTHS", (1e-6, 0.3, 1e4))
    angle, labels = rng.uniform(0, 2 * np.pi, 80), np.repeat([0, 1], 40)
    radius = np.where(labels, 2.0, 1.0) + rng.normal(0, 0.02, 80)
    ring = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
    told: list[tuple] = []
    settings, accuracy = choose_svm(ring, labels, 0, lambda *args: told.append(args))
    assert settings["gamma"] == pytest.approx(0.3 / (2 * ring.var()))
    assert accuracy is not None
    assert accuracy > 0.95
    assert [args[:2] for args in told] == [(1, 3), (2, 3), (3, 3)]
    # Every fourth label is wrong: one neighbour is then worse than several.
    blobs = np.where(labels, 4.0, 0.0)[:, None] + rng.normal(size=(80, 2))
    noisy = np.where(np.arange(80) % 4 == 0, 1 - labels, labels)
    settings, _ = choose_neighbours(blobs, noisy, 0)
    assert settings["k"] > 1
    settings, _ = choose_neighbours(blobs[:4], np.array([0, 0, 1, 1]), 0)
    assert settings["k"] <= 3


def test_one_near_neighbour_outweighs_two_far_ones():
    spectra, labels = np.array([[0.0], [3.0], [3.1]]), np.array([0, 1, 1])
    fitted = METHODS["knn"].fit({"k": 3}, spectra, labels)
    scores = METHODS["knn"].score(fitted, np.array([[0.5], [0.0]]))
    assert scores.argmax(axis=1).tolist() == [0, 0]
    assert_allclose(scores[1], np.log([1, 0.5 / 3]))  # half a vote for the other


def test_interrupted_runs_go_on_where_they_were(runs, config, monkeypatch, tmp_path):
    whole = runs["svm"]
    run, task = prepare_run(config, tmp_path / "run")
    fit, done = train_spectral.fit_spectral, []

    def stop_at_second(*args):
        if done:
            raise KeyboardInterrupt
        done.append(args)
        return fit(*args)

    monkeypatch.setattr(train_spectral, "fit_spectral", stop_at_second)
    with pytest.raises(KeyboardInterrupt):
        train_runs(run, task)
    assert run.read_manifest()["status"] == "interrupted"
    before = run.network_file(0).stat().st_mtime_ns
    assert not run.network_file(1).exists()
    done.clear()
    train_runs(*reopen_run(run))
    assert len(done) == 1  # the first run is not fitted again
    (run.folder / "predictions.npz").unlink()
    train_runs(*reopen_run(run))
    assert len(done) == 1  # what is saved is predicted only
    assert run.network_file(0).stat().st_mtime_ns == before
    for name in ("oa", "aa", "kappa", "per_class", "confusion", "parameters"):
        assert run.read_metrics()[name] == whole.read_metrics()[name]
    chosen, again = (r.read_manifest()["hyper_parameters"] for r in (whole, run))
    assert again == chosen


def test_runs_of_a_forest_have_their_own_seeds(runs):
    forest = learned_by(load(runs["random-forest"])[0]).estimator
    assert forest.n_jobs == 1  # or the order of a sum would depend on the threads
    chosen = runs["random-forest"].read_manifest()["hyper_parameters"]
    assert chosen["0"]["seed"] != chosen["1"]["seed"]


def test_split_file_is_shared_with_the_ode_net(scene, config, tmp_path):
    file = tmp_path / "split.npz"
    dataset, truth = scene[1], scene[3]
    invoke("split", dataset, "--ground-truth", truth, "--frac", "0.1", "--out", file)
    small = ("--split", file, "--no-map", "-q")
    invoke("train", *scene, *small, "--model", "knn", "--out", tmp_path / "knn")
    neighbours = Run(tmp_path / "knn")
    network = replace(
        config, model="odenet", patch=5, split="file", split_file=str(file), runs=1
    )
    run, task = prepare_run(network, tmp_path / "odenet")
    (split,) = task.splits.splits
    found = neighbours.read_predictions()["run0_pixels"]
    assert {*map(tuple, found)} == {*map(tuple, split.test)}
    ours, theirs = (r.read_manifest()["splits"][0] for r in (neighbours, run))
    assert ours["n_train_per_class"] == theirs["n_train_per_class"]
    assert ours["leakage"]["test_patch_overlap"] == 0
    assert theirs["leakage"]["test_patch_overlap"] > 0.9


def read_classes(files: list[str]) -> np.ndarray:
    (header,) = (f for f in files if f.endswith("-classes.img"))
    image = envi.open(Path(header).with_suffix(".hdr"))
    assert isinstance(image, SpyFile)
    return np.asarray(image.open_memmap(interleave="bip"))[..., 0]


@pytest.mark.parametrize("model", CLASSICAL)
def test_map_of_the_scene_and_of_another(runs, scene, model, tmp_path):
    run = runs[model]
    files = json.loads(invoke("map", run.folder, "--json", "-q").stdout)["files"]
    classes = read_classes(files)
    found = run.read_predictions()
    assert_array_equal(classes[tuple(found["run0_pixels"].T)], found["run0_predicted"])
    other = tmp_path / "other.npy"
    np.save(other, np.load(scene[1])[5:25, 3:])
    done = invoke("map", run.folder, other, "--json", "-q")
    part = read_classes(json.loads(done.stdout)["files"])
    assert_array_equal(part, classes[5:25, 3:])


def test_principal_components_and_validation_pixels(scene, tmp_path):
    invoke(
        *("train", *scene, "--model", "svm", "--frac", "0.1", "--val-frac", "0.3"),
        *("--channels", "3", "--scaling", "minmax", "--no-map", "-q"),
        *("--out", tmp_path / "run"),
    )
    run = Run(tmp_path / "run")
    classifier, padded, spectra, task = load(run)
    assert padded.shape == (30, 30, 3)
    kept = learned_by(classifier).arrays()["spectra"]
    assert_array_equal(kept, spectra)
    assert kept.shape == (len(task.splits.splits[0].train), 3)
    # What trains has not been chosen by what validates, which calibrates it.
    assert classifier.temperature == run.read_manifest()["temperature"]["0"]
    assert classifier.temperature != 1


def test_what_is_no_network_has_no_other_solver(runs):
    classifier, padded, _, _ = load(runs["svm"])
    pixels = np.array([[0, 0]])
    with pytest.raises(UsageError, match="svm is no network"):
        score_solver(classifier, padded, pixels, np.array([1]), OdeSolver("heun"))
    folder = str(runs["svm"].folder)
    done = CliRunner().invoke(app, ["evaluate", folder, "--ode-check"])
    assert done.exit_code == 2
    assert "run of svm, which solves no differential equation" in " ".join(
        done.stderr.split()
    )


def test_file_without_its_spectra_is_refused(runs, tmp_path):
    path = tmp_path / "run.safetensors"
    shutil.copy(runs["svm"].network_file(0), path)
    content = path.read_bytes()
    path.write_bytes(content.replace(b"params/spectra", b"params/spectrx"))
    with pytest.raises(HsijaxError, match="holds no svm: it has no params/spectra"):
        TrainedClassifier.load(path)
