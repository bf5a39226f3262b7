"""`hsijax train` by two processes, which could be on two hosts."""

import json
import math
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from small_stripes import as_options, make_stripes, read_epochs

from hsijax.config import TrainConfig
from hsijax.experiments.train import prepare_run, train_runs
from hsijax.runs import Run
from hsijax.training import loop

COMMAND = ("-m", "hsijax")
SHARING = (str(Path(__file__).parent / "sharing.py"),)
RUNS, EPOCHS = 2, 3


@pytest.fixture(scope="module")
def scene(tmp_path_factory) -> dict:
    folder = tmp_path_factory.mktemp("scene")
    return make_stripes(folder, runs=RUNS, epochs=EPOCHS)


@pytest.fixture(scope="module")
def alone(scene, tmp_path_factory) -> Path:
    """The run folder of one process with one device."""
    folder = tmp_path_factory.mktemp("run") / "alone"
    train_runs(*prepare_run(TrainConfig(**scene), folder))
    return folder


STARTED: list[subprocess.Popen] = []


@pytest.fixture(autouse=True)
def _end_all():
    """Leave no process behind that waits for one that failed."""
    yield
    for process in STARTED:
        process.kill()
        process.communicate()
    STARTED.clear()


def start(*arguments: str, **environment: str) -> subprocess.Popen:
    process = subprocess.Popen(
        [sys.executable, *arguments],
        env=os.environ | {"JAX_NUM_CPU_DEVICES": "1"} | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    STARTED.append(process)
    return process


def start_two(*arguments: str) -> list[subprocess.Popen]:
    """The same command twice, each process with a device of its own."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    return [
        start(
            *arguments,
            JAX_COORDINATOR_ADDRESS=f"127.0.0.1:{port}",
            JAX_NUM_PROCESSES="2",
            JAX_PROCESS_ID=str(number),
        )
        for number in range(2)
    ]


def end(process: subprocess.Popen) -> tuple[int, str, str]:
    """Exit code and what was printed, but for the line of jax's own Gloo."""
    texts = [
        "".join(
            line for line in text.splitlines(keepends=True) if "[Gloo]" not in line
        ).strip()
        for text in process.communicate(timeout=100)
    ]
    return process.returncode, texts[0], texts[1]


def assert_same(folder: Path, alone: Path) -> None:
    found, expected = read_epochs(folder), read_epochs(alone)
    assert set(found) == set(expected)
    assert len(found) == RUNS * EPOCHS
    for key, values in found.items():
        np.testing.assert_allclose(values, expected[key], atol=1e-4)
    one, other = (json.loads((f / "metrics.json").read_text()) for f in (folder, alone))
    np.testing.assert_allclose(one["oa"]["values"], other["oa"]["values"], atol=0.3)
    assert sum(map(sum, one["confusion"])) == sum(map(sum, other["confusion"]))


def test_two_processes_and_two_devices_do_what_one_does(scene, alone, tmp_path):
    """They share the batches; the first one alone writes and speaks."""
    arguments = [*SHARING, "train", *as_options(scene), "--json", "--no-map", "-q"]
    both = tmp_path / "devices"
    devices = start(*arguments, f"--out={both}", JAX_NUM_CPU_DEVICES="2")
    folder = tmp_path / "hosts"
    first, second = start_two(*arguments, f"--out={folder}")
    assert end(second) == (0, "", "")
    code, printed, said = end(first)
    assert (code, said) == (0, "")
    assert json.loads(printed)["run"] == str(folder)
    assert_same(folder, alone)
    assert end(devices)[0] == 0
    assert_same(both, alone)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["devices", "hosts"]


def test_two_processes_go_on_with_what_one_began(scene, alone, tmp_path, monkeypatch):
    """Each with a run of its own, side by side; and they map the scene."""
    monkeypatch.setattr(loop, "SAVING", math.inf)
    note = Run.add_history

    def stop(run, epoch):
        note(run, epoch)
        if (epoch.run, epoch.epoch) == (0, 2):
            raise KeyboardInterrupt

    folder = tmp_path / "run"
    opened = prepare_run(TrainConfig(**scene), folder)
    monkeypatch.setattr(Run, "add_history", stop)
    with pytest.raises(KeyboardInterrupt):
        train_runs(*opened)
    first, second = start_two(
        *SHARING, "side-by-side", "train", "--resume", str(folder), "-q"
    )
    assert end(second) == (0, "", "")
    assert end(first)[::2] == (0, "")
    assert_same(folder, alone)
    assert (folder / "maps" / "stripes-map.png").exists()


def test_mistake_in_one_process_ends_them_all(scene, tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "mine.txt").touch()
    first, second = start_two(*COMMAND, "train", *as_options(scene), f"--out={folder}")
    code, printed, said = end(first)
    assert (code, printed) == (2, "")
    assert "exists already" in said
    code, printed, said = end(second)
    assert (code, printed) == (1, "")
    assert "another process of this command failed" in said
