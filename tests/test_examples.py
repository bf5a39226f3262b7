"""Every command shown in a help text, the README or the docs runs as it stands."""

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import scipy.io
import typer.main
from examples import read_examples, run_example
from spectral.io import envi

from hsijax.cli import app

ROOT = Path(__file__).parent.parent
COMMANDS = typer.main.get_command(app).commands  # pyright: ignore[reportAttributeAccessIssue]
# What keeps a training short; the last of two equal options counts.
SHORT = ["--epochs", "1", "--runs", "1", "--no-map"]
LEAN = ["--diffuse", "none", "--channels", "4", "--solver", "euler"]
SHORT_UNMIXING = ["--epochs", "1", "--mixtures", "400", "--no-controls"]
# The commands of own-scenes.md are run, as they stand, by test_own_scenes.
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
PAGES.remove(ROOT / "docs" / "own-scenes.md")


def examples_of_help() -> list[str]:
    order = ("doctor", "download", "info", "split", "patches", "train", "unmix")
    names = [*order, *(name for name in COMMANDS if name not in order)]
    texts = (COMMANDS[name].help for name in names)
    return [line for text in texts for line in re.findall(r"\$ (hsijax .+)", text)]


def examples_of_pages() -> list[str]:
    return [example for page in PAGES for example in read_examples(page)]


def shorten(arguments: list[str]) -> list[str]:
    """Return options that make a command take seconds."""
    command, *rest = arguments
    more = []
    if command == "train" and "--resume" in rest:
        more += ["--no-map"]  # `hsijax map` of the same run is an example too
        more += ["--runs", "2"] if "--runs" in rest else []
    elif command == "train":
        more += SHORT if "paper" in rest else [*SHORT, "--patch", "3"]
        # The largest scene; other examples train with what is left out here.
        more += LEAN if "salinas" in rest else []
    elif command == "unmix" and rest[0] == "--model" and "cnn" in rest[1]:
        more += SHORT_UNMIXING
    elif rest[:1] == ["table1"]:
        more += ["--only", "salinas-a,1%,no-block", "--preset", "best"]
        more += ["--epochs", "1", "--runs", "1"]
    elif rest[:1] == ["beyond-paper"]:
        more += ["--only", "salinas-a,blocks,knn", "--quick"]
    elif command == "bench":
        more += ["--model", "odenet" if "--solver" in rest else "no-block"]
    elif command == "sweep":
        more += ["--epochs", "1", "--runs", "1", "--split", "random"]
    return more


@pytest.fixture(scope="module")
def folder(shared_data, tmp_path_factory) -> Path:
    """A user's folder: a scene of their own, masks, and made-up Salinas values."""
    folder = tmp_path_factory.mktemp("user")
    rng = np.random.default_rng(0)
    truth = np.repeat(np.repeat(rng.integers(0, 4, (6, 6)), 5, 0), 5, 1)
    truth = truth.astype(np.uint8)
    cube = (truth[..., None] * 50 + rng.normal(0, 5, (30, 30, 12))).astype(np.float32)
    for name in ("my", "other", "field"):
        envi.save_image(str(folder / f"{name}.hdr"), cube, ext=".img", force=True)
    for name in ("labels", "gt", "classes"):
        scipy.io.savemat(folder / f"{name}.mat", {"gt": truth})
    for shift, name in enumerate(("north", "east", "south")):
        np.savez(folder / f"{name}.npz", cube=cube + shift, gt=truth)
    scipy.io.savemat(
        folder / "train.mat", {"train": truth * (rng.random((30, 30)) < 0.2)}
    )
    known = scipy.io.loadmat(shared_data / "salinas" / "salinas_gt.mat")["salinas_gt"]
    crop = shared_data / "urban" / "subimage_Urban_R162.mat"
    scipy.io.savemat(
        folder / "urban.mat", {"im": scipy.io.loadmat(crop)["im"][:20, :20]}
    )
    shares = np.linspace(20, 120, 12)
    np.savetxt(
        folder / "library.csv",
        np.stack([np.arange(1, 13), shares, shares[::-1]], axis=1),
        delimiter=",",
        header="band,soil,grass",
        comments="",
    )
    values = 100 * known[..., None].astype(np.int16) + np.arange(204, dtype=np.int16)
    data = folder / "data"
    data.mkdir()
    np.save(data / "Salinas_corrected.npy", values)
    scipy.io.savemat(data / "Salinas_gt.mat", {"salinas_gt": known})
    for name in ("indian_pines", "salinas_a"):
        shutil.copytree(shared_data / name, data / name)
    return folder


EXAMPLES = [*dict.fromkeys([*examples_of_help(), *examples_of_pages()])]


# One after the other, because some take what earlier ones wrote. A test each, because
# then this file counts as a large one, with which pytest-xdist begins.
@pytest.mark.parametrize("example", EXAMPLES)
def test_example_runs(example, folder, monkeypatch):
    monkeypatch.chdir(folder)
    monkeypatch.setenv("HSIJAX_DATA", str(folder / "data"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
    # No download leaves this machine: nothing listens there.
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    done = run_example(example, shorten(example.split()[1:]))
    said = f"{example}\n{done.stdout}{done.stderr}"
    if done.exit_code != 0:
        assert "could not be downloaded" in said, said
        assert example.split()[1] in ("download", "reproduce"), said
