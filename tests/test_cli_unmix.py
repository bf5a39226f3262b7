"""`hsijax unmix`, `sweep` and `reproduce` on small real scenes, end to end."""

import json
import shutil
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
from hsijax.experiments import repeat, reproduce
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


@pytest.mark.parametrize(
    "model", ["nnls", "ucls", "scls", "sunsal", "mesma", "aann", "esvm", "edaa"]
)
def test_every_method_runs_on_the_same_scene(model, crop, tmp_path):
    more = ["--epochs", 2] if model == "aann" else []
    if model in ("sunsal", "mesma"):
        # The library of the first run: what we write, we read.
        unmixed("--model", "fcls", crop, "--out", tmp_path / "first", "--overwrite")
        more = ["--endmembers", tmp_path / "first" / "endmembers.csv"]
    found = unmixed("--model", model, crop, "--out", tmp_path / "run", *more)
    assert found["endmembers"] == NAMES
    assert 0 < found["rmse"]["overall"] < 0.6
    assert set(found["splits"]) == {"random", "blocks"}


@pytest.mark.parametrize(
    ("name", "suffix"),
    [
        ("aviris_ng/ang20160910t185702_2rdn_img", ".tif"),
        ("emit/emit20250324t221005_jpl_unmix_ex", ".img"),
        ("enmap_potsdam/images/enmap_potsdam_tile_128_0.tif", ".tif"),
    ],
)
def test_scene_of_a_stranger_as_it_is(name, suffix, shared_data, tmp_path):
    found = unmixed(
        *("--model", "fcls", shared_data / name, "--endmembers", "vca"),
        *("--count", 4, "--out", tmp_path / "run"),
    )
    assert found["kkt"] < 1e-9
    assert found["rmse"] is None
    raster = tmp_path / "run" / "maps" / f"abundances{suffix}"
    assert raster.is_file()
    if suffix == ".tif":
        with rasterio.open(raster) as dataset:
            assert dataset.count == 4
            assert dataset.crs is not None
            assert dataset.descriptions[0] == "endmember 1"
            sums = dataset.read(masked=True).sum(axis=0)
        np.testing.assert_allclose(sums.compressed(), 1, atol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--model", "fcls"], 2, "SCENE"),
        (["--model", "fclss", "crop.mat"], 2, "did you mean 'fcls'"),
        (["--model", "fcls", "no.mat"], 2, "no.mat"),
        (["--model", "fcls", "lone/crop.mat"], 2, "--endmembers"),
        (["--model", "edaa", "crop.mat", "--endmembers", "vca"], 2, "itself"),
        (["--model", "fcls", "crop.mat", "--endmembers", "vcaa"], 2, "vcaa"),
        (["--model", "fcls", "crop.mat", "--endmembers", "no.csv"], 1, "no.csv"),
        (["--model", "fcls", "crop.mat", "--endmembers", "few.csv"], 1, "bands"),
        (["--model", "fcls", "crop.mat", "--endmembers", "large.csv"], 1, "--scale"),
        (["--model", "fcls", "crop.mat", "--ground-truth", "bad.mat"], 1, "sum"),
        (["--model", "fcls", "crop.mat", "--ground-truth", "small.mat"], 1, "small"),
        (["--resume", "crop.mat"], 2, "no run folder"),
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
    arguments = ["sweep", crop, "--over", "patch", "--values", "1,3", "--epochs", "1"]
    done = run_cli(*arguments, "--out", tmp_path / "sweep", "--json", "--quiet")
    assert done.exit_code == 0, done.stderr
    summary = json.loads(done.stdout)
    assert [row["value"] for row in summary["rows"]] == [1, 3]
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


def test_reproduced_table_has_the_printed_figures_beside(crop, tmp_path, monkeypatch):
    table = reproduce.UnmixingTable(str(crop), reproduce.printed.JASPER, 0.75)
    monkeypatch.setitem(reproduce.TABLES, "unmixing-jasper", table)
    rows = ("LSU", "eSVM", "pixel CNN")
    chosen = {label: reproduce.ROWS[label] for label in rows}
    monkeypatch.setattr(reproduce, "ROWS", chosen)
    done = run_cli(
        *("reproduce", "unmixing-jasper", "--runs", "1", "--epochs", "1"),
        *("--out", tmp_path / "out", "--quiet"),
    )
    assert done.exit_code == 0, done.stderr
    for words in ("LSU", "eSVM", "pixel CNN", "0.636", "0.396", "0.125", "blocks"):
        assert words in done.stdout


def test_defaults_of_the_command_are_those_of_the_configuration(crop, tmp_path):
    unmixed("--model", "ucls", crop, "--out", tmp_path / "run")
    config = open_run(tmp_path / "run", "unmixing").read_config(UnmixConfig)
    assert config == make_unmix_config({"scene": str(crop), "model": "ucls"}, {})
