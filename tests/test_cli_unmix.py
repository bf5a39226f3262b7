"""`hsijax unmix` and `sweep` on small real scenes, end to end."""

import json
import shutil
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import scipy.io
from spectral.io import envi
from typer.testing import CliRunner
from unmixing_scenes import NAMES, SIDE, write_jasper_crop

from hsijax.cli import app
from hsijax.config import UnmixConfig
from hsijax.errors import HsijaxError
from hsijax.experiments import repeat
from hsijax.experiments.unmix import prepare_unmixing, reopen_unmixing, unmix
from hsijax.runs import open_run
from hsijax.settings import make_unmix_config


@pytest.fixture(scope="module")
def crop(shared_data, tmp_path_factory) -> Path:
    return write_jasper_crop(shared_data, tmp_path_factory.mktemp("crop"))


def run_cli(*arguments: object):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def unmixed(*arguments: object) -> dict:
    done = run_cli("unmix", *arguments, "--json", "--quiet")
    assert done.exit_code == 0, done.stderr
    return json.loads(done.stdout)


def test_least_squares_fills_the_run_folder(crop, tmp_path):
    out = tmp_path / "run"
    done = run_cli("unmix", "--model", "fcls", crop, "--out", out)
    assert done.exit_code == 0, done.stderr
    assert done.stdout.splitlines()[-1] == str(out)
    for name in (
        "config.toml",
        "run.json",
        "split.npz",
        "predictions.npz",
        "metrics.json",
        "endmembers.csv",
        "figures/abundances.png",
        "figures/endmembers.png",
        "figures/residuals.png",
        "maps/abundances.npz",
        "maps/abundances.hdr",
        "maps/uncertainty.hdr",
        "maps/residuals.hdr",
    ):
        assert (out / name).is_file(), name
    metrics = json.loads((out / "metrics.json").read_text())
    rmse = metrics["rmse"]
    assert list(rmse["per_endmember"]) == NAMES
    assert rmse["sum"] == pytest.approx(sum(rmse["per_endmember"].values()))
    assert set(metrics["splits"]) == {"random", "blocks"}
    assert metrics["kkt"] < 1e-9
    assert metrics["sad"] is None  # the endmembers are the reference's own
    assert len(metrics["ground_truth"]["sha256"]) == 64
    assert "NNLS(Y, M / max M)" in metrics["ground_truth"]["provenance"]["verdict"]
    layers: Any = envi.open(out / "maps" / "abundances.hdr")
    assert layers.metadata["band names"] == NAMES
    values = np.asarray(layers.load())
    assert values.shape == (SIDE, SIDE, 4)
    np.testing.assert_allclose(values.sum(axis=2), 1, atol=1e-6)
    # The figures are those of the maps: nothing in between reorders the pixels.
    truth = scipy.io.loadmat(crop.parent / "end4.mat")["A"]
    truth = truth.reshape(4, SIDE, SIDE, order="F").transpose(1, 2, 0)
    errors = np.sqrt(((values - truth) ** 2).mean(axis=(0, 1)))
    np.testing.assert_allclose(errors, list(rmse["per_endmember"].values()), atol=1e-5)


def test_network_is_tested_on_both_splits_beside_its_controls(crop, tmp_path):
    found = unmixed(
        *("--model", "pixel-cnn", crop, "--epochs", 2, "--runs", 2),
        *("--out", tmp_path / "run"),
    )
    for method in ("random", "blocks"):
        column = found["splits"][method]
        assert column["std"] is not None
        assert len(column["values"]) == 2
        sums = [run["sum"] for run in column["values"]]
        assert column["mean"]["sum"] == pytest.approx(np.mean(sums))
        assert {name.split(",")[0] for name in column["controls"]} >= {
            "1-NN",
            "3-NN",
            "4-NN",
            "PCA(4) + network",
        }
    assert found["splits"]["random"]["n_train"] == pytest.approx(432, abs=4)
    assert found["splits"]["blocks"]["leakage"]["test_patch_overlap"] == 0
    assert found["evaluated_on"] == "test pixels of the random split"
    assert found["parameters"] > 10_000
    run = open_run(tmp_path / "run", "unmixing")
    rows = run.read_history()
    assert [row["run"] for row in rows] == [0, 0, 1, 1, 2, 2, 3, 3]
    again = run_cli("evaluate", tmp_path / "run", "--json")
    assert json.loads(again.stdout)["splits"] == found["splits"]


class Stopped(Exception):
    """Stands for a power cut in the middle of a training."""


def test_interrupted_training_ends_with_the_same_figures(crop, tmp_path):
    given = {"scene": str(crop), "model": "pixel-cnn", "epochs": 3, "split": "random"}
    config = make_unmix_config(given, {})
    run, task = prepare_unmixing(config, tmp_path / "whole")
    whole, _ = unmix(run, task)

    def stop(stage: str, done: float, total: float, detail: str = "") -> None:
        if detail.startswith("epoch 2"):
            raise Stopped

    run, task = prepare_unmixing(config, tmp_path / "parts")
    with pytest.raises(Stopped):
        unmix(run, task, stop)
    assert run.read_manifest()["status"] == "failed"
    done = run_cli("unmix", "--resume", tmp_path / "parts", "--json", "--quiet")
    assert done.exit_code == 0, done.stderr
    resumed = json.loads(done.stdout)
    for name in ("mean", "values", "controls"):
        assert resumed["splits"]["random"][name] == whole["splits"]["random"][name], (
            name
        )
    one, other = (
        np.load(tmp_path / name / "maps" / "abundances.npz")["abundances"]
        for name in ("whole", "parts")
    )
    np.testing.assert_array_equal(one, other)


def test_changed_scene_is_not_gone_on_with(crop, tmp_path):
    folder = tmp_path / "scene"
    shutil.copytree(crop.parent, folder)
    config = make_unmix_config({"scene": str(folder / "crop.mat")}, {})
    run, _ = prepare_unmixing(config, tmp_path / "run")
    content = scipy.io.loadmat(folder / "end4.mat")
    content["A"] = np.roll(content["A"], 1, axis=1)
    scipy.io.savemat(
        folder / "end4.mat", {k: v for k, v in content.items() if k[0] != "_"}
    )
    with pytest.raises(Exception, match="another sha256"):
        reopen_unmixing(run)


def test_without_a_reference_the_network_learns_from_mixtures(
    shared_data, tmp_path, monkeypatch
):
    monkeypatch.delenv("HSIJAX_DATA")
    scene = write_jasper_crop(shared_data, tmp_path / "urban", beside=False)
    scene = scene.rename(scene.with_name("urban.mat"))
    found = unmixed(
        *("--model", "cube-cnn", scene, "--epochs", 1, "--mixtures", 400),
        *("--out", tmp_path / "run"),
    )
    assert "mixtures simulated from" in found["trained_on"]
    assert "HySime" in found["trained_on"]
    assert found["rmse"] is None
    assert found["splits"] == {}
    assert found["held_out_mixtures"]["sum"] > 0
    printed = run_cli("evaluate", tmp_path / "run")
    assert "simulated" in printed.stdout
    maps = np.load(tmp_path / "run" / "maps" / "abundances.npz")["abundances"]
    np.testing.assert_allclose(maps.sum(axis=2), 1, atol=1e-5)


# The overall RMSE measured once on the crop, and a tenth more.
@pytest.mark.parametrize(
    ("model", "bound"),
    [
        ("nnls", 0.129),
        ("ucls", 0.197),
        ("scls", 0.171),
        ("sunsal", 0.128),
        ("mesma", 0.477),
        ("aann", 0.060),
        ("esvm", 0.112),
        ("edaa", 0.220),
    ],
)
def test_every_method_runs_on_the_same_scene(model, bound, crop, tmp_path):
    more = ["--epochs", 20] if model == "aann" else []
    if model in ("sunsal", "mesma"):
        # The library of the first run: what we write, we read.
        unmixed("--model", "fcls", crop, "--out", tmp_path / "first", "--overwrite")
        more = ["--endmembers", tmp_path / "first" / "endmembers.csv"]
    found = unmixed("--model", model, crop, "--out", tmp_path / "run", *more)
    assert found["endmembers"] == NAMES
    assert bound / 2 < found["rmse"]["overall"] < bound
    assert set(found["splits"]) == {"random", "blocks"}
    if model == "sunsal":
        assert found["sunsal"]["not_converged"] == 0
        assert found["sunsal"]["iterations"] > 1
    if model == "edaa":
        blind = found["blind"]
        assert len(blind["losses"]) == len(blind["coherences"]) > blind["chosen"]


def test_solvers_may_see_spectra_without_their_brightness(shared_data, tmp_path):
    scene = shared_data / "jasper_ridge" / "jasperRidge2_R198.mat"
    found = unmixed(
        *("--model", "fcls", scene, "--norm", "l2", "--split", "random"),
        *("--out", tmp_path / "run"),
    )
    assert found["rmse"]["sum"] == pytest.approx(0.1543, abs=5e-4)
    assert found["notes"] == ["pixels and endmembers are divided by their l2 norm"]
    # In the units of the cube, whatever the solver sees.
    assert found["reconstruction"]["rmse"] == pytest.approx(0.01888, abs=5e-5)


def test_found_endmembers_are_matched_by_their_spectra_in_each_run(crop, tmp_path):
    run = tmp_path / "run"
    found = unmixed(
        *("--model", "fcls", crop, "--endmembers", "vca", "--runs", 2, "--out", run)
    )
    assert found["matched"].startswith("matched by spectral angle; by abundances")
    assert found["endmembers"] == NAMES
    assert found["evaluated_on"] == "all pixels, run 1"
    per_run = open_run(run, "unmixing").read_manifest()["sad"]
    means = [per_run[number]["mean"] for number in ("0", "1")]
    assert found["sad"]["mean"] == pytest.approx(np.mean(means))
    assert found["sad"]["std"]["mean"] == pytest.approx(np.std(means))
    assert means[0] != means[1]
    seconds = [
        array[1]
        for name, array in open_run(run, "unmixing").read_predictions().items()
        if name.endswith("_seconds")
    ]
    assert len(seconds) == 4
    assert min(seconds) > 0


def test_solver_without_chance_needs_the_same_time_in_each_run(crop, tmp_path):
    found = unmixed("--model", "nnls", crop, "--runs", 3, "--out", tmp_path / "run")
    for column in found["splits"].values():
        assert column["seconds"]["predict"] == found["seconds"]["unmix"] > 0
    assert found["evaluated_on"] == "all pixels"


def test_library_keeps_its_names_beside_those_of_the_reference(crop, tmp_path):
    library = tmp_path / "own.csv"
    spectra = scipy.io.loadmat(crop.parent / "end4.mat")["M"][:, ::-1]
    names = "Asphalt,Soil,Lake,Tree"
    np.savetxt(library, spectra, delimiter=",", header=names, comments="", fmt="%.6g")
    run = tmp_path / "run"
    found = unmixed("--model", "fcls", crop, "--endmembers", library, "--out", run)
    assert found["endmembers"] == NAMES
    assert found["rmse"]["overall"] < 0.13
    written = (run / "endmembers.csv").read_text()
    for name in ("water (Lake)", "dirt (Soil)", "road (Asphalt)"):
        assert name in written
    assert "tree (" not in written
    # It is part of what a run goes on with.
    entry = open_run(run, "unmixing").read_manifest()["endmembers"]
    assert entry["path"] == str(library)
    np.savetxt(library, spectra, delimiter=",", header=names, comments="", fmt="%.3g")
    with pytest.raises(HsijaxError, match="another sha256"):
        reopen_unmixing(open_run(run, "unmixing"))


def test_blind_method_looks_for_as_many_as_it_is_told(crop, tmp_path):
    found = unmixed("--model", "edaa", crop, "--count", 3, "--out", tmp_path / "run")
    assert len(found["endmembers"]) == 3
    assert found["rmse"] is None
    assert "not compared" in found["matched"]


@pytest.mark.parametrize("runs", [1, 2])
def test_split_file_of_both_kinds_keeps_them_apart(runs, crop, tmp_path):
    first = unmixed("--model", "nnls", crop, "--runs", 2, "--out", tmp_path / "first")
    split_file = tmp_path / "first" / "split.npz"
    found = unmixed(
        *("--model", "nnls", crop, "--split-file", split_file, "--runs", runs),
        *("--out", tmp_path / "run"),
    )
    assert list(found["splits"]) == ["random", "blocks"]
    for name, column in found["splits"].items():
        assert column["values"] == first["splits"][name]["values"][:runs]
    run, _ = reopen_unmixing(open_run(tmp_path / "run", "unmixing"))
    assert run.read_manifest()["columns"] == {
        "random": list(range(runs)),
        "blocks": list(range(runs, 2 * runs)),
    }
    done = run_cli(
        *("unmix", "--model", "nnls", crop, "--split-file", split_file),
        *("--runs", 3, "--out", tmp_path / "more"),
    )
    assert done.exit_code == 2
    assert "holds 2 splits of each kind" in done.stderr


def test_split_file_of_another_reference_is_told(crop, tmp_path):
    unmixed("--model", "nnls", crop, "--out", tmp_path / "first")
    other = tmp_path / "other.mat"
    content = scipy.io.loadmat(crop.parent / "end4.mat")
    scipy.io.savemat(other, {"A": content["A"], "M": content["M"]})
    done = run_cli(
        *("unmix", "--model", "nnls", crop, "--ground-truth", other),
        *("--split-file", tmp_path / "first" / "split.npz", "--out", tmp_path / "run"),
    )
    assert done.exit_code == 0, done.stderr
    assert "was made for another reference" in done.stderr


def test_split_that_only_learners_need_is_left_out(crop, tmp_path, caplog):
    """Of one material a scene has no split, and can be unmixed all the same."""
    folder = tmp_path / "scene"
    shutil.copytree(crop.parent, folder)
    truth = scipy.io.loadmat(folder / "end4.mat")
    cube = scipy.io.loadmat(folder / "crop.mat")
    water = np.flatnonzero(truth["A"][1] > 0.9)[:20]
    few = {"Y": cube["Y"][:, water], "nRow": 4, "nCol": 5, "maxValue": 5000}
    scipy.io.savemat(folder / "crop.mat", few)
    abundances = {"A": truth["A"][:, water], "M": truth["M"]}
    scipy.io.savemat(folder / "end4.mat", abundances)
    given = {
        "scene": str(folder / "crop.mat"),
        "model": "fcls",
        "ground_truth": str(folder / "end4.mat"),
    }
    run, task = prepare_unmixing(make_unmix_config(given, {}), tmp_path / "run")
    assert "no figures of the random split" in caplog.text
    metrics, _ = unmix(run, task)
    assert metrics["splits"] == {}
    assert metrics["evaluated_on"] == "all pixels"
    with pytest.raises(HsijaxError, match="train on more pixels"):
        prepare_unmixing(make_unmix_config(given | {"model": "esvm"}, {}))


def test_blocks_are_no_larger_than_a_small_scene(crop, tmp_path):
    folder = tmp_path / "scene"
    shutil.copytree(crop.parent, folder)
    truth = scipy.io.loadmat(folder / "end4.mat")
    cube = scipy.io.loadmat(folder / "crop.mat")
    chosen = np.concatenate(
        [np.flatnonzero(truth["A"].argmax(axis=0) == n)[:7] for n in (0, 1, 2)]
    )[:20]
    few = {"Y": cube["Y"][:, chosen], "nRow": 4, "nCol": 5, "maxValue": 5000}
    scipy.io.savemat(folder / "crop.mat", few)
    abundances = {"A": truth["A"][:, chosen], "M": truth["M"]}
    scipy.io.savemat(folder / "end4.mat", abundances)
    found = unmixed(
        *("--model", "fcls", folder / "crop.mat", "--out", tmp_path / "run"),
        *("--ground-truth", folder / "end4.mat"),
    )
    assert "random" in found["splits"]


def test_interrupted_lesson_of_mixtures_ends_the_same(crop, tmp_path):
    given = {
        "scene": str(crop),
        "model": "pixel-cnn",
        "endmembers": "vca",
        "epochs": 3,
        "mixtures": 400,
        "runs": 2,
        "split": "random",
    }
    config = make_unmix_config(given, {})
    run, task = prepare_unmixing(config, tmp_path / "whole")
    whole, _ = unmix(run, task)

    def stop(stage: str, done: float, total: float, detail: str = "") -> None:
        if "run 2" in stage and detail.startswith("epoch 2"):
            raise Stopped

    run, task = prepare_unmixing(config, tmp_path / "parts")
    with pytest.raises(Stopped):
        unmix(run, task, stop)
    assert run.state_file(1).exists()
    resumed, _ = unmix(*reopen_unmixing(run))
    epochs = [(row["run"], row["epoch"]) for row in run.read_history()]
    assert epochs == [(number, epoch) for number in (0, 1) for epoch in (1, 2, 3)]
    assert [file.name for file in sorted(run.state_file(0).parent.iterdir())] == [
        "run-0.safetensors",
        "run-1.safetensors",
    ]
    for name in ("rmse", "held_out_mixtures", "sad"):
        assert resumed[name] == whole[name], name
    held_out = run.read_manifest()["held_out_mixtures"]
    sums = [held_out[number]["sum"] for number in ("0", "1")]
    assert resumed["held_out_mixtures"]["sum"] == pytest.approx(np.mean(sums))
    assert resumed["held_out_mixtures"]["std"]["sum"] == pytest.approx(np.std(sums))
    assert resumed["trained_on"].startswith("300 of 400 mixtures")


@pytest.mark.parametrize(
    ("name", "chosen", "suffix"),
    [
        ("aviris_ng/ang20160910t185702_2rdn_img", "auto", ".tif"),
        ("emit/emit20250324t221005_jpl_unmix_ex", "auto", ".img"),
        ("enmap_potsdam/images/enmap_potsdam_tile_128_0.tif", "envi", ".img"),
    ],
)
def test_scene_of_a_stranger_as_it_is(name, chosen, suffix, shared_data, tmp_path):
    found = unmixed(
        *("--model", "fcls", shared_data / name, "--endmembers", "vca"),
        *("--count", 4, "--out", tmp_path / "run", "--format", chosen),
    )
    assert found["kkt"] < 1e-9
    assert found["rmse"] is None
    maps = tmp_path / "run" / "maps"
    rasters = sorted(path.name for path in maps.iterdir() if path.suffix == suffix)
    layers = ("abundances", "residuals", "uncertainty")
    assert rasters == [f"{layer}{suffix}" for layer in layers]
    for raster in rasters:
        assert (maps / raster).with_suffix(".qml").is_file()
    with np.load(maps / "abundances.npz") as arrays:
        expected = np.moveaxis(arrays["abundances"], 2, 0).astype(np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # rasterio says that the EMIT crop has no place
        dataset = rasterio.open(maps / rasters[0])
    with dataset:
        assert (dataset.crs is None) == name.startswith("emit")
        assert dataset.descriptions[0] == "endmember 1"
        assert np.isnan(dataset.nodata)
        np.testing.assert_array_equal(dataset.read(), expected)
    if suffix == ".tif":
        with rasterio.open(maps / "residuals.tif") as dataset:
            names = ("RMSE", "spectral angle, radians", "KKT violation")
            assert dataset.descriptions == names
            assert dataset.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
            text = dataset.tags()["TIFFTAG_IMAGEDESCRIPTION"]
            assert text.endswith("fcls, residuals")


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--model", "fcls"], 2, "SCENE"),
        (["--model", "fclss", "crop.mat"], 2, "did you mean 'fcls'"),
        (["--model", "fcls", "no.mat"], 2, "no.mat"),
        (["--model", "fcls", "lone/crop.mat"], 2, "--endmembers"),
        (["--model", "edaa", "crop.mat", "--endmembers", "vca"], 2, "itself"),
        (["--model", "edaa", "crop.mat", "--endmembers", "few.csv"], 2, "itself"),
        (["--model", "fcls", "crop.mat", "--count", "3"], 2, "--endmembers vca"),
        (["--model", "esvm", "crop.mat", "--count", "3"], 2, "--endmembers vca"),
        (
            ["--model", "fcls", "crop.mat", "--endmembers", "few.csv", "--robust"],
            2,
            "--endmembers vca",
        ),
        (["--model", "fcls", "crop.mat", "--epochs", "3"], 2, "--epochs"),
        (["--model", "fcls", "crop.mat", "--endmembers", "vcaa"], 2, "vcaa"),
        (["--model", "fcls", "crop.mat", "--endmembers", "no.csv"], 1, "no.csv"),
        (["--model", "fcls", "crop.mat", "--endmembers", "few.csv"], 1, "bands"),
        (["--model", "fcls", "crop.mat", "--endmembers", "large.csv"], 1, "--scale"),
        (["--model", "fcls", "crop.mat", "--ground-truth", "bad.mat"], 1, "sum"),
        (["--model", "fcls", "crop.mat", "--ground-truth", "small.mat"], 1, "small"),
        (["--resume", "crop.mat"], 2, "hsijax unmix makes one"),
        (["crop.mat", "--resume", "x"], 2, "--resume goes on"),
    ],
)
def test_mistake_is_a_line_or_two(arguments, code, words, crop, tmp_path, monkeypatch):
    monkeypatch.delenv("HSIJAX_DATA", raising=False)
    shutil.copytree(crop.parent, tmp_path, dirs_exist_ok=True)
    (tmp_path / "lone").mkdir()
    shutil.copy(crop, tmp_path / "lone" / "crop.mat")
    truth = scipy.io.loadmat(tmp_path / "end4.mat")
    spectra = truth["M"].T
    names = ",".join(NAMES)
    for name, table in (
        ("few.csv", spectra[:, :50].T),
        ("large.csv", 1e4 * spectra.T),
    ):
        np.savetxt(
            tmp_path / name, table, delimiter=",", header=names, comments="", fmt="%g"
        )
    scipy.io.savemat(tmp_path / "bad.mat", {"A": 2 * truth["A"], "M": truth["M"]})
    small = {"A": truth["A"][:, :100], "M": truth["M"]}
    scipy.io.savemat(tmp_path / "small.mat", small)
    monkeypatch.chdir(tmp_path)
    done = run_cli("unmix", *arguments)
    message = done.stderr.strip().splitlines()
    assert done.exit_code == code, done.stderr
    assert words in message[-1]
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "runs").exists()


def test_run_of_the_other_task_is_refused(crop, tmp_path):
    unmixed("--model", "fcls", crop, "--out", tmp_path / "run")
    done = run_cli("map", tmp_path / "run")
    assert done.exit_code == 2
    assert "hsijax unmix" in done.stderr


def test_sweep_writes_table_and_figure_and_does_nothing_twice(
    crop, tmp_path, monkeypatch
):
    arguments = ["sweep", crop, "--over", "lr", "--values", "1e-3,1e-2"]
    arguments += ["--model", "pca-net", "--epochs", "1"]
    done = run_cli(*arguments, "--out", tmp_path / "sweep", "--json", "--quiet")
    assert done.exit_code == 0, done.stderr
    summary = json.loads(done.stdout)
    assert [row["value"] for row in summary["rows"]] == [1e-3, 1e-2]
    assert set(summary["rows"][0]["splits"]) == {"random", "blocks"}
    assert (tmp_path / "sweep" / "sweep.png").is_file()
    assert len((tmp_path / "sweep" / "sweep.csv").read_text().splitlines()) == 5

    def refuse(*_, **__):
        raise AssertionError("unmixed again")

    monkeypatch.setattr(repeat, "unmix", refuse)
    again = run_cli(*arguments, "--out", tmp_path / "sweep", "--json", "--quiet")
    assert json.loads(again.stdout) == summary
    other = run_cli(*arguments, "--out", tmp_path / "sweep", "--runs", "2")
    assert other.exit_code == 2
    assert "choose another --out" in other.stderr


def test_defaults_of_the_command_are_those_of_the_configuration(crop, tmp_path):
    unmixed("--model", "ucls", crop, "--out", tmp_path / "run")
    config = open_run(tmp_path / "run", "unmixing").read_config(UnmixConfig)
    assert config == make_unmix_config({"scene": str(crop), "model": "ucls"}, {})
