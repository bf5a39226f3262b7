"""Every command shown in a help text, the README or the docs runs as it stands."""

import re
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest
import scipy.io
import typer.main
from spectral.io import envi
from typer.testing import CliRunner

from hsijax.cli import app

ROOT = Path(__file__).parent.parent
COMMANDS = typer.main.get_command(app).commands  # pyright: ignore[reportAttributeAccessIssue]
# What keeps a training short; the last of two equal options counts.
SHORT = ["--epochs", "1", "--runs", "1", "--no-map"]
SHORT_UNMIXING = ["--epochs", "1", "--mixtures", "400", "--no-controls"]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def examples_of_help() -> list[str]:
    order = ("doctor", "download", "info", "split", "patches", "train", "unmix")
    names = [*order, *(name for name in COMMANDS if name not in order)]
    texts = (COMMANDS[name].help for name in names)
    return [line for text in texts for line in re.findall(r"\$ (hsijax .+)", text)]


def examples_of_pages() -> list[str]:
    blocks = (re.findall(r"```sh\n(.*?)```", page.read_text(), re.S) for page in PAGES)
    lines = "\n".join(block for found in blocks for block in found).splitlines()
    return [line for line in lines if line.startswith("hsijax ")]


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


def test_examples_run(folder, monkeypatch):
    monkeypatch.chdir(folder)
    monkeypatch.setenv("HSIJAX_DATA", str(folder / "data"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
    # No download leaves this machine: nothing listens there.
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    examples = [*dict.fromkeys([*examples_of_help(), *examples_of_pages()])]
    assert len(examples) > 20
    for example in examples:
        arguments = shlex.split(example, comments=True)[1:]
        if arguments[0] == "train" and "--resume" not in arguments:
            arguments += SHORT if "paper" in arguments else [*SHORT, "--patch", "3"]
        if arguments[:2] == ["unmix", "--model"] and "cnn" in arguments[2]:
            arguments += SHORT_UNMIXING
        if arguments[:2] == ["reproduce", "table1"]:
            arguments += ["--only", "salinas-a,1%,no-block", "--preset", "best"]
            arguments += ["--epochs", "1", "--runs", "1"]
        if arguments[:2] == ["reproduce", "beyond-paper"]:
            arguments += ["--only", "salinas-a,blocks,knn", "--quick"]
        if arguments[0] == "bench" and "--solver" not in arguments:
            arguments += ["--model", "no-block"]
        if arguments[0] == "sweep":
            arguments += ["--epochs", "1", "--split", "random"]
        done = CliRunner().invoke(app, arguments)
        said = f"{example}\n{done.stdout}{done.stderr}"
        assert "Traceback" not in said
        if done.exit_code != 0:
            assert "could not be downloaded" in said, said
            assert arguments[0] in ("download", "reproduce"), said
