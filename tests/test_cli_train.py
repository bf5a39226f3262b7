"""`hsijax train`, `evaluate` and `map` on real scenes, from the outside."""

import csv
import json
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import h5py
import numpy as np
import pytest
import scipy.io
from classification_scenes import write_salinas_crop
from PIL import Image
from scipy.special import softmax
from spectral.io import envi
from spectral.io.spyfile import SpyFile
from typer.testing import CliRunner

from hsijax.classification.calibration import LIMITS, fit_temperature
from hsijax.classification.trained import TrainedClassifier
from hsijax.cli import app
from hsijax.experiments import map_scene
from hsijax.experiments.map_run import map_run
from hsijax.experiments.map_scene import MapSettings
from hsijax.experiments.task import reload_task
from hsijax.metrics.calibration import wilson_interval
from hsijax.preprocessing import reach
from hsijax.reports.tables import leakage_note
from hsijax.runs import Run

QUICK = ["--patch", "5", "--batch", "16", "--quiet"]
SMALL_RUN = ["train", "--dataset", "salinas-a", "--frac", "0.01", "--epochs", "2"]
SMALL_RUN += ["--no-map", *QUICK]
FIGURES = ("oa", "aa", "kappa", "per_class", "confusion", "split", "parameters")


def invoke(*arguments: str | Path):
    done = CliRunner().invoke(app, [str(a) for a in arguments])
    assert done.exit_code == 0, done.output + done.stderr
    return done


def read_envi(header: Path) -> np.ndarray:
    image = envi.open(header)
    assert isinstance(image, SpyFile)
    return np.asarray(image.open_memmap(interleave="bip"))[..., 0]


def read(path: Path):
    return json.loads(path.read_text())


@pytest.fixture(scope="module")
def run(shared_data, tmp_path_factory) -> Path:
    """Two quick trainings on Salinas-A."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    invoke(
        *("train", "--dataset", "salinas-a", "--data-dir", shared_data),
        *("--frac", "0.01", "--epochs", "30", "--runs", "2", "--out", folder, *QUICK),
    )
    return folder


def test_run_folder_holds_what_the_design_promises(run):
    found = {path.name for path in run.iterdir()}
    assert found == {
        *("config.toml", "run.json", "split.npz", "history.csv", "checkpoints"),
        *("predictions.npz", "metrics.json", "figures", "maps"),
    }
    checkpoints = sorted(path.name for path in (run / "checkpoints").iterdir())
    assert checkpoints == ["run-0.safetensors", "run-1.safetensors"]
    manifest = read(run / "run.json")
    assert manifest["status"] == "done"
    assert len(manifest["scene"]["sha256"]) == 64
    assert manifest["versions"]["jax"]
    assert "cpu" in manifest["device"].lower()
    with (run / "history.csv").open() as stream:
        assert len(list(csv.DictReader(stream))) == 60


def test_metrics_hold_the_contract_and_agree_with_the_predictions(run):
    metrics = read(run / "metrics.json")
    with np.load(run / "predictions.npz", allow_pickle=False) as arrays:
        predictions = dict(arrays)
    for number in range(2):
        truth = predictions[f"run{number}_truth"]
        correct = 100 * np.mean(truth == predictions[f"run{number}_predicted"])
        assert metrics["oa"]["values"][number] == pytest.approx(correct)
    values = metrics["oa"]["values"]
    assert metrics["oa"]["mean"] == pytest.approx(np.mean(values))
    assert metrics["oa"]["std"] == pytest.approx(np.std(values, ddof=0))
    assert metrics["oa"]["ddof"] == 0
    assert metrics["oa"]["mean"] > 90  # six crops in rows: hard to miss
    assert [row["id"] for row in metrics["per_class"]] == [1, 10, 11, 12, 13, 14]
    assert [row["n_train"] for row in metrics["per_class"]] == [4, 14, 7, 16, 7, 8]
    assert metrics["split"]["n_train"] + metrics["split"]["n_test"] == 5348
    # Diffusion lets every test pixel see training pixels, and that is said.
    assert metrics["split"]["leakage"]["test_with_train_centre"] == 1
    assert metrics["split"]["sight"] == 5 + 2 * reach((12.0, 60.0))
    assert metrics["seconds"]["train"] > 0
    assert not metrics["selected_on_test"]
    pixels = [{tuple(p) for p in predictions[f"run{n}_pixels"]} for n in (0, 1)]
    assert pixels[0] != pixels[1]


def test_same_command_gives_the_same_figures_and_map(run, shared_data, tmp_path):
    invoke("train", "--config", run / "config.toml", "--out", tmp_path / "again", "-q")
    one, other = read(run / "metrics.json"), read(tmp_path / "again" / "metrics.json")
    for name in FIGURES:
        assert one[name] == other[name]
    for name in ("salinas-a-map.png", "salinas-a-classes.img"):
        first, second = run / "maps" / name, tmp_path / "again" / "maps" / name
        assert first.read_bytes() == second.read_bytes()


def test_map_shows_the_predictions_in_the_scene_colours(run):
    classes = read_envi(run / "maps" / "salinas-a-classes.hdr")
    image = Image.open(run / "maps" / "salinas-a-classes.png")
    assert np.array_equal(np.asarray(image), classes)
    assert classes.min() > 0  # the border is predicted like all else
    with np.load(run / "predictions.npz") as predictions:
        row, col = predictions["run0_pixels"].T
        assert np.array_equal(classes[row, col], predictions["run0_predicted"])
    confidence = read_envi(run / "maps" / "salinas-a-confidence.hdr")
    assert 1 / 6 <= confidence.min() <= confidence.max() <= 1


def test_map_of_labelled_pixels_only(run, shared_data, tmp_path):
    done = invoke("map", run, "--labelled", "--run-number", "1", "--json", "-q")
    files = json.loads(done.stdout)["files"]
    truth = scipy.io.loadmat(shared_data / "salinas_a" / "SalinasA_gt.mat")
    bare = next(f for f in files if f.endswith("run1-labelled-classes.png"))
    shown = np.asarray(Image.open(bare))
    assert np.array_equal(shown > 0, truth["salinasA_gt"] > 0)


def test_map_of_a_leak_free_run_is_what_was_tested(shared_data, tmp_path):
    """Nothing flows into the test patches, however the ground truth is named."""
    cube, truth = write_salinas_crop(shared_data, tmp_path)
    folder = tmp_path / "run"
    invoke(
        *("train", "--dataset", cube, "--ground-truth", truth, "--out", folder),
        *("--split", "blocks", "--frac", "0.1", "--patch", "3", "--block-side", "6"),
        *("--epochs", "2", "--no-map", "--quiet"),
    )
    run = Run(folder)
    predictions = run.read_predictions()
    assert run.read_metrics()["split"]["leakage"]["test_patch_overlap"] == 0
    map_run(run, MapSettings(), ground_truth=str(truth))
    rows, cols = predictions["run0_pixels"].T
    classes = read_envi(next(run.maps.glob("*-classes.hdr")))
    np.testing.assert_array_equal(classes[rows, cols], predictions["run0_predicted"])
    confidence = read_envi(next(run.maps.glob("*-confidence.hdr")))
    np.testing.assert_allclose(
        confidence[rows, cols], predictions["run0_confidence"], atol=1e-6
    )


def test_map_refuses_a_scene_of_other_bands(run, shared_data):
    scene = shared_data / "pavia_centre" / "pavia_crop100_v73.mat"
    done = CliRunner().invoke(app, ["map", str(run), str(scene)])
    assert done.exit_code == 1
    assert "102 bands" in done.stderr
    assert "204" in done.stderr


@pytest.mark.parametrize("flag", ["", "--json", "--csv", "--latex", "--markdown"])
def test_evaluate_prints_the_table_with_what_leaks(run, flag):
    before = read(run / "metrics.json")
    done = invoke("evaluate", run, *([flag] if flag else []))
    assert read(run / "metrics.json") == before
    if flag == "--json":
        assert json.loads(done.stdout) == before
        return
    digits = (
        str(before["oa"]["mean"]) if flag == "--csv" else f"{before['oa']['mean']:.2f}"
    )
    assert digits in done.stdout
    assert "Lettuce" in done.stdout or "lettuce" in done.stdout
    share = before["split"]["leakage"]["test_with_train_centre"]
    assert any(text in done.stdout for text in (f"{100 * share:.1f}", str(share)))


def test_metrics_judge_the_confidence(run):
    metrics = read(run / "metrics.json")
    confidence = metrics["confidence"]
    assert not confidence["calibrated"]
    assert confidence["temperature"] == [None, None]
    with np.load(run / "predictions.npz", allow_pickle=False) as arrays:
        for number, mean in enumerate(confidence["mean"]["values"]):
            sure = arrays[f"run{number}_confidence"]
            assert mean == pytest.approx(100 * sure.mean(), rel=1e-4)
            curve = confidence["aurc"]["values"][number]
            assert 0 <= curve < 100 - metrics["oa"]["values"][number] + 1
        counts = arrays["run0_truth"] == 1, arrays["run1_truth"] == 1
        right = [(arrays[f"run{n}_predicted"][counts[n]] == 1).sum() for n in range(2)]
    bounds = [wilson_interval(int(right[n]), int(counts[n].sum())) for n in range(2)]
    found = metrics["per_class"][0]["wilson"]
    assert found == pytest.approx(100 * np.mean(bounds, axis=0))
    assert (run / "figures" / "reliability.png").exists()
    assert (run / "figures" / "risk-coverage.png").exists()


def test_evaluate_what_is_left_when_the_unsure_are_rejected(run):
    done = invoke("evaluate", run, "--reject", "0.8", "--json")
    assert "not calibrated" in done.stderr
    printed = json.loads(done.stdout)
    left = printed.pop("reject")
    assert printed == read(run / "metrics.json")
    with np.load(run / "predictions.npz", allow_pickle=False) as arrays:
        sure = [arrays[f"run{n}_confidence"] >= 0.8 for n in range(2)]
        truth = [arrays[f"run{n}_truth"] for n in range(2)]
        right = [truth[n] == arrays[f"run{n}_predicted"] for n in range(2)]
    assert 0 < sure[0].mean() < 1
    for n in range(2):
        assert left["coverage"]["values"][n] == pytest.approx(100 * sure[n].mean())
        assert left["oa"]["values"][n] == pytest.approx(100 * right[n][sure[n]].mean())
        accuracies = [
            right[n][sure[n] & (truth[n] == k)].mean() for k in set(truth[n][sure[n]])
        ]
        assert left["aa"]["values"][n] == pytest.approx(100 * np.mean(accuracies))
    for row in left["per_class"]:
        rejected = [(~sure[n] & (truth[n] == row["id"])).sum() for n in range(2)]
        assert row["n_rejected"] == np.mean(rejected)
    shown = invoke("evaluate", run, "--reject", "0.8").stdout
    assert f"{left['oa']['mean']:.2f}" in shown
    assert "overlap a training patch" in shown
    none = json.loads(invoke("evaluate", run, "--reject", "0.999999", "--json").stdout)
    assert none["reject"]["coverage"]["mean"] == 0
    assert none["reject"]["oa"]["mean"] is None
    assert invoke("evaluate", run, "--reject", "0.999999").stdout


@pytest.mark.parametrize("command", ["evaluate", "map"])
@pytest.mark.parametrize("threshold", ["0", "1", "1.5", "nan"])
def test_threshold_outside_0_and_1_is_refused(run, command, threshold):
    done = CliRunner().invoke(app, [command, str(run), "--reject", threshold])
    assert done.exit_code == 2
    assert "--reject must lie between 0 and 1" in done.stderr


def test_rejection_goes_with_no_other_table(run):
    done = CliRunner().invoke(app, ["evaluate", str(run), "--reject", "0.5", "--csv"])
    assert done.exit_code == 2
    assert "--reject" in done.stderr


def test_map_without_the_unsure_pixels(run):
    before = (run / "maps" / "salinas-a-classes.img").read_bytes()
    done = invoke("map", run, "--reject", "0.8", "--json", "--quiet")
    assert "not calibrated" in done.stderr
    files = [Path(name) for name in json.loads(done.stdout)["files"]]
    assert all(path.name.startswith("salinas-a-reject-0.8-") for path in files)
    whole, left = (
        read_envi(run / "maps" / f"salinas-a{part}-classes.hdr")
        for part in ("", "-reject-0.8")
    )
    confidence, same = (
        read_envi(run / "maps" / f"salinas-a{part}-confidence.hdr")
        for part in ("", "-reject-0.8")
    )
    assert np.array_equal(confidence, same)
    assert np.array_equal(left, np.where(confidence >= 0.8, whole, 0))
    assert 0 < (left == 0).mean() < 1
    assert (run / "maps" / "salinas-a-classes.img").read_bytes() == before


def test_map_says_what_leaks(run, monkeypatch):
    notes = []
    monkeypatch.setattr(
        map_scene, "save_class_map_figure", lambda *_, note, **__: notes.append(note)
    )
    for number in (0, 1):
        map_run(Run(run), MapSettings(number, labelled_only=True))
    shares = [split["leakage"] for split in read(run / "run.json")["splits"]]
    assert notes == [leakage_note(share) for share in shares]


# A shell starts what runs in its background deaf to Ctrl-C.
HEARING = """
import signal
from hsijax.cli import main
signal.signal(signal.SIGINT, signal.default_int_handler)
main()
"""


def train_in_a_process(folder: Path, data: Path, *more: str) -> subprocess.Popen:
    arguments = ["--dataset", "salinas-a", "--data-dir", str(data), "--frac", "0.01"]
    arguments += ["--epochs", "40", "--runs", "2", "--no-map", *QUICK, *more]
    return subprocess.Popen(
        [sys.executable, "-c", HEARING, "train", "--out", str(folder), *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize(
    ("how", "number"), [(signal.SIGKILL, 0), (signal.SIGKILL, 1), (signal.SIGINT, 1)]
)
def test_killed_run_resumes_to_the_same_figures(
    whole_run, shared_data, tmp_path, how, number
):
    folder = tmp_path / "killed"
    process = train_in_a_process(folder, shared_data)
    history = folder / "history.csv"
    deadline = time.monotonic() + 120
    while not (history.exists() and f"\n{number},7," in history.read_text()):
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.005)
    process.send_signal(how)
    said = process.communicate(timeout=60)[1]
    if how == signal.SIGINT:
        assert process.returncode == 130
        assert f"hsijax train --resume {folder}" in said
        assert read(folder / "run.json")["status"] == "interrupted"
    assert not (folder / "metrics.json").exists()
    done = CliRunner().invoke(app, ["evaluate", str(folder)])
    assert done.exit_code == 1
    assert "--resume" in done.stderr
    invoke("train", "--resume", folder, "--no-map", "--quiet")
    for name in FIGURES:
        assert read(folder / "metrics.json")[name] == whole_run[name]
    with (folder / "history.csv").open() as stream:
        rows = [(int(row["run"]), int(row["epoch"])) for row in csv.DictReader(stream)]
    assert rows == [(run, epoch) for run in range(2) for epoch in range(1, 41)]


@pytest.fixture(scope="module")
def whole_run(shared_data, tmp_path_factory):
    """The figures of the same training without an interruption."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    process = train_in_a_process(folder, shared_data)
    said = process.communicate(timeout=180)[1]
    assert process.returncode == 0, said
    return read(folder / "metrics.json")


def test_resume_refuses_a_scene_that_changed(run, shared_data, tmp_path):
    manifest = read(run / "run.json")
    manifest["scene"]["sha256"] = "0" * 64
    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    (copy / "run.json").write_text(json.dumps(manifest))
    done = CliRunner().invoke(app, ["train", "--resume", str(copy), "-q"])
    assert done.exit_code == 1
    assert "sha256" in done.stderr


def test_existing_run_folder_is_kept(run, shared_data):
    before = (run / "metrics.json").read_bytes()
    arguments = ["--dataset", "salinas-a", "--data-dir", str(shared_data)]
    done = CliRunner().invoke(app, ["train", *arguments, "--out", str(run)])
    assert done.exit_code == 2
    assert "exists already" in done.stderr
    assert (run / "metrics.json").read_bytes() == before


def assert_is_calibrated(folder: Path) -> None:
    """Check what a run's temperature is, where it stands, and that maps use it."""
    run = Run(folder)
    task, classifier = reload_task(run), TrainedClassifier.load(run.network_file(0))
    temperature = classifier.temperature
    assert temperature not in (1.0, *LIMITS)
    assert run.read_manifest()["temperature"] == {"0": temperature}
    assert run.read_metrics()["confidence"]["temperature"] == [temperature]
    split, padded = task.splits.splits[0], classifier.prepare(task.cube, task.valid)
    logits = classifier.learned.logits(padded, split.validation)
    labels = task.scene.labels(split.validation)
    assert temperature == pytest.approx(fit_temperature(logits, labels), rel=1e-4)
    layer = read_envi(next(run.maps.glob("*-confidence.hdr")))
    logits = classifier.learned.logits(padded, split.test)
    for tested in (layer[*split.test.T], run.read_predictions()["run0_confidence"]):
        expected = softmax(logits / temperature, axis=1).max(axis=1)
        np.testing.assert_allclose(tested, expected, atol=1e-5)
        assert not np.allclose(tested, softmax(logits, axis=1).max(axis=1), atol=1e-3)


def test_scene_of_ones_own_with_a_ground_truth_of_ones_own(shared_data, tmp_path):
    """A v7.3 cube whose axes are reversed, labelled here by brightness."""
    scene = shared_data / "pavia_centre" / "pavia_crop100_v73.mat"
    with h5py.File(scene) as file:
        bright = np.asarray(file["data"])[60].T
    truth = np.digitize(bright, np.quantile(bright, [0.3, 0.7])) + 1
    truth[::3] = 0
    scipy.io.savemat(tmp_path / "mine.mat", {"mine": truth.astype(np.uint8)})
    done = invoke(
        *("train", "--dataset", scene, "--ground-truth", tmp_path / "mine.mat"),
        *("--count", "20", "--val-frac", "0.2", "--select", "validation"),
        *("--epochs", "3", "--out", tmp_path / "run", "--json", *QUICK),
    )
    metrics = json.loads(done.stdout)
    assert metrics["oa"]["mean"] > 50
    assert metrics["split"]["n_train"] == 3 * 16
    assert metrics["split"]["n_validation"] == 3 * 4
    assert_is_calibrated(tmp_path / "run")
    assert (tmp_path / "run" / "maps" / "pavia_crop100_v73-map.png").exists()


def test_selecting_on_test_marks_every_output(shared_data, tmp_path):
    done = invoke(
        *("train", "--dataset", "salinas-a", "--data-dir", shared_data),
        *("--select", "best-test", "--epochs", "2", "--out", tmp_path / "run", *QUICK),
    )
    assert "selected on test" in done.stdout.lower()
    assert read(tmp_path / "run" / "metrics.json")["selected_on_test"]
    for flag in ("--csv", "--latex", "--markdown"):
        shown = invoke("evaluate", tmp_path / "run", flag).stdout
        assert "selected on test" in shown.lower()


def test_split_file_decides_the_pixels(shared_data, tmp_path):
    scene = ["salinas-a", "--data-dir", str(shared_data)]
    split = tmp_path / "split.npz"
    invoke("split", *scene, "--count", "5", "--seed", "3", "--out", split)
    invoke(
        *("train", "--dataset", *scene, "--split", split, "--epochs", "1"),
        *("--no-map", "--out", tmp_path / "run", *QUICK),
    )
    with np.load(split) as wanted, np.load(tmp_path / "run" / "split.npz") as used:
        assert np.array_equal(wanted["train_0"], used["train_0"])
        assert np.array_equal(wanted["test_0"], used["test_0"])


def test_truncated_scene_ends_with_a_line_and_nothing_behind(shared_data, tmp_path):
    scene = shared_data / "salinas" / "Salinas_corrected.TRUNCATED.mat"
    out = tmp_path / "run"
    truth = shared_data / "salinas" / "salinas_gt.mat"
    arguments = ["train", "--dataset", str(scene), "--ground-truth", str(truth)]
    done = CliRunner().invoke(app, [*arguments, "--out", str(out)])
    assert done.exit_code == 1
    assert "Salinas_corrected.TRUNCATED.mat" in done.stderr
    assert not out.exists()


def test_full_disk_ends_with_a_line_and_the_run_can_go_on(shared_data, tmp_path):
    """A real limit of the operating system: no file may grow beyond 300 kB."""
    folder = tmp_path / "run"
    code = f"""
import resource, sys
sys.argv = ["hsijax", *{SMALL_RUN!r}, "--out", {str(folder)!r}]
sys.argv += ["--data-dir", {str(shared_data)!r}]
from hsijax.cli import main
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, resource.RLIM_INFINITY))
main()
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr.count("\n") <= 3
    assert "the disk is full: could not write" in done.stderr
    assert not list((folder / "checkpoints").iterdir())
    assert read(folder / "run.json")["status"] == "failed"
    invoke("train", "--resume", folder, "--no-map", "--quiet")
    assert read(folder / "run.json")["status"] == "done"


def test_map_of_a_moved_scene_and_of_a_namesake(run, shared_data, tmp_path):
    """--data-dir outweighs the run's own; another scene's maps get their own name."""
    moved = tmp_path / "elsewhere"
    shutil.copytree(shared_data / "salinas_a", moved)
    before = (run / "maps" / "salinas-a-classes.img").read_bytes()
    invoke("map", run, "--data-dir", moved, "--quiet")
    assert (run / "maps" / "salinas-a-classes.img").read_bytes() == before
    cube = scipy.io.loadmat(moved / "SalinasA_corrected.mat")["salinasA_corrected"]
    np.save(tmp_path / "salinas-a.npy", cube[:20])
    done = invoke("map", run, tmp_path / "salinas-a.npy", "--json", "--quiet")
    files = json.loads(done.stdout)["files"]
    assert len(files) == 5
    assert all(re.search(r"/salinas-a-[0-9a-f]{8}-", file) for file in files)
    assert (run / "maps" / "salinas-a-classes.img").read_bytes() == before


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (["--channels", "300"], 2, "has only 204 bands"),
        (["--preset", "paper", "--patch", "1"], 2, "too small"),
        (["--solver", "rk5"], 2, "'rk4'"),
        (["--model", "odnet"], 2, "'odenet'"),
        (["--solver", "rk4", "--rtol", "1e-3"], 2, "error estimate"),
        (["--optimizer", "adamm"], 2, "'adam'"),
        (["--precision", "bfloat16"], 2, "is for a GPU"),
        (["--precision", "float16"], 2, "bfloat16"),
    ],
)
def test_mistake_leaves_an_earlier_run_alone(
    run, shared_data, tmp_path, options, code, words
):
    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    scene = ["--dataset", "salinas-a", "--data-dir", str(shared_data)]
    arguments = ["train", *scene, "--out", str(copy), "--overwrite", *options]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == code
    assert words in done.stderr
    assert (copy / "metrics.json").exists()


def test_patch_larger_than_the_scene(shared_data, tmp_path):
    arguments = ["train", "--dataset", "salinas-a", "--data-dir", str(shared_data)]
    done = CliRunner().invoke(app, [*arguments, "--patch", "101"])
    assert done.exit_code == 2
    assert "83 x 86" in done.stderr
