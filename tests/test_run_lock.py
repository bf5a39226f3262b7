"""One process at a time writes a run folder; a killed one leaves no obstacle."""

import errno
import io
import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from small_run import SMALL_TRAINING
from typer.testing import CliRunner

from hsijax.cli import app
from hsijax.errors import HsijaxError, WriteError
from hsijax.experiments.tile_store import TileStore
from hsijax.io import atomic
from hsijax.io.atomic import scratch_folder, write_atomically, write_text
from hsijax.runs import Run, create_run
from hsijax.runs import lock as locks
from hsijax.runs.lock import LOCK, claim, hold, release

TRAIN = f"train {SMALL_TRAINING}"


def run(text: str):
    return CliRunner().invoke(app, text.split())


@pytest.fixture
def work(small_run, monkeypatch) -> Path:
    monkeypatch.chdir(small_run)
    return small_run


@contextmanager
def another_process(folder: Path):
    """Hold a folder as another process does."""
    code = f"""
from filelock import FileLock
with FileLock({str(folder / LOCK)!r}):
    print("held", flush=True)
    input()
"""
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize(
    "command",
    [
        "train --resume run --no-map --quiet",
        f"{TRAIN} --overwrite",
        "evaluate run --ode-check",
    ],
)
def test_second_process_is_refused_in_one_line(work, command):
    before = {path: path.stat().st_mtime_ns for path in Path("run").rglob("*.*")}
    with another_process(work / "run"):
        done = run(command)
    assert done.exit_code == 1
    assert done.stderr == (
        "error: another process is writing run: wait until it has ended, or end it "
        "first\n"
    )
    after = {path: path.stat().st_mtime_ns for path in Path("run").rglob("*.*")}
    after.pop(Path("run") / LOCK)
    before.pop(Path("run") / LOCK, None)
    assert after == before


def test_a_process_that_was_killed_keeps_nobody_out(work):
    with another_process(work / "run") as process:
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert (work / "run" / LOCK).exists()
        done = run("train --resume run --no-map --quiet")
    assert done.exit_code == 0, done.output
    assert not (work / "run" / LOCK).exists()


def test_what_is_only_read_needs_no_lock(work):
    with another_process(work / "run"):
        assert run("evaluate run").exit_code == 0
        assert run("map run other.npy --quiet").exit_code == 0
        os.unlink("run/metrics.json")
        done = run("evaluate run")
        assert done.exit_code == 1
        assert "another process is writing run" in done.stderr
    assert run("evaluate run").exit_code == 0
    assert Path("run/metrics.json").exists()


def test_a_map_is_drawn_by_one_process_and_others_beside_it(work):
    tiles = work / "run" / "maps" / ".scene.tiles"
    tiles.mkdir(parents=True, exist_ok=True)
    with another_process(tiles):
        done = run("map run --quiet")
        assert done.exit_code == 1
        assert "another process is writing the map run/maps/scene:" in done.stderr
        assert run("map run other.npy --quiet").exit_code == 0
        done = run(f"{TRAIN} --overwrite")
        assert done.exit_code == 1
        assert "another process is writing" in done.stderr
        assert (work / "run" / "run.json").exists()
    assert run("map run --quiet").exit_code == 0
    assert not [p for p in Path("run/maps").iterdir() if p.name.startswith(".")]


def test_process_that_holds_a_folder_may_write_it_again(tmp_path):
    made = create_run(tmp_path / "run", "x", overwrite=False)
    with made.claim():
        hold(made.folder)
    other = (
        "from filelock import FileLock\nFileLock('run/.lock').acquire(blocking=False)"
    )
    command = [sys.executable, "-c", other]
    assert subprocess.run(command, cwd=tmp_path, capture_output=True).returncode == 1
    release(made.folder)
    assert subprocess.run(command, cwd=tmp_path).returncode == 0


def test_work_notes_how_it_ended_and_lets_go(tmp_path):
    made = create_run(tmp_path / "run", "x", overwrite=False)

    def fail(error: BaseException):
        with made.work():
            assert made.read_manifest()["status"] == "running"
            raise error

    for error, status in ((KeyboardInterrupt(), "interrupted"), (OSError(), "failed")):
        with pytest.raises(type(error)):
            fail(error)
        assert made.read_manifest()["status"] == status
    with made.work():
        pass
    assert made.read_manifest()["status"] == "done"
    assert not (made.folder / LOCK).exists()


def test_on_a_full_disk_the_first_file_is_named(tmp_path, monkeypatch):
    made = create_run(tmp_path / "run", "x", overwrite=False)

    def fail():
        with made.work():
            monkeypatch.setattr(Run, "update_manifest", refuse)
            raise WriteError("first")

    def refuse(*_, **__):
        raise WriteError("second")

    with pytest.raises(WriteError, match="first"):
        fail()


def test_run_that_cannot_be_prepared_leaves_no_folder(tmp_path):
    made = create_run(tmp_path / "run", "x", overwrite=False)

    def fail():
        with made.prepare():
            made.update_manifest(status="prepared")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert not made.folder.exists()


@pytest.mark.parametrize("answer", locks.NO_LOCKS)
def test_file_system_without_locks_is_said_and_works(
    tmp_path, monkeypatch, caplog, answer
):
    def refuse(*_):
        raise OSError(answer, os.strerror(answer))

    monkeypatch.setattr("fcntl.flock", refuse)
    with claim(tmp_path):
        assert "file system without locks" in caplog.text
    assert not list(tmp_path.iterdir())


def test_place_that_cannot_be_written_is_said(work, monkeypatch):
    """As root, who may write everything that is not mounted read-only."""

    def refusing(call, is_writing=lambda *_: True):
        def check(path, *rest, **more):
            if Path(str(path)).absolute().is_relative_to(work) and is_writing(*rest):
                raise OSError(errno.EROFS, "Read-only file system", str(path))
            return call(path, *rest, **more)

        return check

    is_creating = lambda flags=0, *_: bool(flags & os.O_CREAT)  # noqa: E731
    is_mode = lambda mode="r", *_: mode[0] != "r" or "+" in mode  # noqa: E731
    monkeypatch.setattr(os, "open", refusing(os.open, is_creating))
    monkeypatch.setattr(os, "mkdir", refusing(os.mkdir))
    monkeypatch.setattr(io, "open", refusing(io.open, is_mode))
    assert run("evaluate run").exit_code == 0
    for command in (
        "train --resume run --quiet",
        "map run other.npy --quiet",
        "evaluate run --ode-check",
        f"{TRAIN.replace('--out run', '--out new')}",
    ):
        done = run(command)
        assert done.exit_code == 1, command
        assert done.stderr.splitlines()[-1].startswith("error: could not write ")
        assert done.stderr.endswith(": Read-only file system\n")


def test_next_writer_removes_what_killed_ones_left(tmp_path):
    """Of this machine only, and of this file only."""
    code = f"""
import os, signal
from pathlib import Path
from hsijax.io.atomic import scratch_folder, write_atomically
path = Path({str(tmp_path)!r}) / "map.tif"
with write_atomically(path) as temporary, scratch_folder(path) as folder:
    temporary.write_text("half")
    (folder / "draft").write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""
    killed = subprocess.run([sys.executable, "-c", code], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert len(list(tmp_path.iterdir())) == 2
    kept = [
        f".map.{atomic.MACHINE}-{os.getppid()}.part.tif",  # lives
        f".map.00000000-{2**22 + 1}.part.tif",  # of another machine
        f".map-2.{atomic.MACHINE}-{2**22 + 1}.part.tif",  # of another map
    ]
    for name in kept:
        (tmp_path / name).write_text("kept")
    write_text(tmp_path / "map.tif", "whole")
    assert {path.name for path in tmp_path.iterdir()} == {"map.tif", *kept}


def test_folder_appears_whole_or_not_at_all(tmp_path):
    path = tmp_path / "patches.zarr"

    def write(text: str):
        with write_atomically(path) as temporary, scratch_folder(path) as scratch:
            assert scratch.is_dir()
            temporary.mkdir()
            (temporary / "a").write_text(text)
            if text == "half":
                raise HsijaxError(text)

    for text in ("first", "second"):
        write(text)
        assert (path / "a").read_text() == text
    with pytest.raises(HsijaxError, match="half"):
        write("half")
    assert (path / "a").read_text() == "second"
    assert list(tmp_path.iterdir()) == [path]


def test_tiles_of_another_plan_are_replaced_under_the_same_lock(tmp_path):
    layers = {"one": (np.dtype(np.uint8), 1)}
    for seed in (1, 2):
        store = TileStore.open(tmp_path / ".x.tiles", (4, 4), layers, {"seed": seed})
        assert (store.folder / LOCK).exists()
    store.remove()
    assert not list(tmp_path.iterdir())
    assert Run(tmp_path).read_history() == []
