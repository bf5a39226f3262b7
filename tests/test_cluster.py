"""Maps by the workers of a Dask cluster, and of several scenes in one command."""

import json
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from distributed import LocalCluster
from typer.testing import CliRunner

from hsijax.cli import app
from hsijax.errors import HsijaxError, UsageError
from hsijax.experiments import cluster as clusters
from hsijax.experiments import map_scene, tile_worker
from hsijax.experiments.cluster import Cluster, assign
from hsijax.experiments.map_run import map_run
from hsijax.experiments.map_scene import MapSettings
from hsijax.experiments.tile_store import TileStore
from hsijax.experiments.tile_worker import ClusterError
from hsijax.runs import Run
from hsijax.scenes import load_scene
from hsijax.scenes.sources import hash_file

SMALL = MapSettings(memory=1)  # tiles of one unit
TILES, FILES = 6, 5
# Of this machine alone, at any port that is free.
QUIET: dict[str, Any] = {
    "host": "127.0.0.1",
    "dashboard_address": "127.0.0.1:0",
    "worker_dashboard_address": "127.0.0.1:0",
}
THREADS: dict[str, Any] = {**QUIET, "processes": False, "protocol": "tcp"}


def draw_nothing(path: Path, *arguments, **options) -> None:
    path.touch()


def invoke(*arguments: str | Path, code: int = 0):
    done = CliRunner().invoke(app, [str(a) for a in arguments])
    assert done.exit_code == code, done.output + done.stderr
    return done


def write_scene(path: Path, seed: int = 0) -> Path:
    """Fields of three classes, with a hole of no data."""
    rng = np.random.default_rng(seed)
    truth = np.repeat(np.repeat(rng.integers(1, 4, (5, 8)), 20, 0), 20, 1)[:, :150]
    cube = truth[..., None] * np.arange(1, 7) + rng.normal(0, 1, (*truth.shape, 6))
    cube[60:70, 60:70] = np.nan
    path.parent.mkdir(exist_ok=True)
    np.savez(path, cube=cube.astype(np.float32), gt=truth.astype(np.uint8))
    return path


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Run:
    """A run whose pixels have an influence over their neighbours, and none on tests."""
    folder = tmp_path_factory.mktemp("cluster")
    scene = write_scene(folder / "fields.npz")
    invoke(
        *("train", "--dataset", scene, "--nodata", "nan", "--split", "blocks"),
        *("--frac", "0.02", "--epochs", "1", "--patch", "3", "--diffuse", "1,2"),
        *("--model", "no-block"),
        *("--no-map", "--quiet", "--out", folder / "run"),
    )
    return Run(folder / "run")


@pytest.fixture(scope="module")
def cluster() -> Iterator[LocalCluster]:
    started = LocalCluster(
        n_workers=2,
        threads_per_worker=1,
        processes=True,
        memory_limit="2GB",
        **QUIET,
    )
    with started:
        yield started


@pytest.fixture(autouse=True)
def _logging_of_distributed() -> Iterator[None]:
    logger = logging.getLogger("distributed")
    before = logger.level
    yield
    logger.setLevel(before)


def map_files(run: Run, settings: MapSettings = SMALL, **options) -> dict[str, bytes]:
    files, failed = map_run(run, settings, **options)
    assert not failed
    assert not list(run.maps.glob(".*"))
    return {path.name: path.read_bytes() for path in files}


@pytest.fixture(scope="module")
def expected(run) -> dict[str, bytes]:
    """The files of one process."""
    return map_files(run)


def kill_one(client) -> str:
    """Kill the worker that has most to do, and say which."""
    busy = client.processing()
    there = client.has_what()
    address = max(busy, key=lambda each: len(busy[each]) + len(there[each]))
    assert busy[address] or there[address]
    os.kill(client.run(os.getpid)[address], signal.SIGKILL)
    return address


@pytest.fixture
def killing(monkeypatch) -> list[str]:
    """Kill a worker after the first tile."""
    killed = []
    classify_tiles = Cluster._classify_tiles

    def kill_after_one(self, *arguments):
        for found in classify_tiles(self, *arguments):
            yield found
            if not killed:
                killed.append(kill_one(self.client))

    monkeypatch.setattr(Cluster, "_classify_tiles", kill_after_one)
    return killed


def test_killed_worker_loses_nothing(run, expected, cluster, killing):
    found = map_files(run, scheduler=cluster.scheduler_address)
    assert len(killing) == 1
    assert found == expected


def test_masks_go_with_the_tiles(run, cluster, monkeypatch):
    monkeypatch.setattr(map_scene, "save_class_map_figure", draw_nothing)
    settings = replace(SMALL, labelled_only=True, reject=0.5)
    by_one = map_files(run, settings)
    assert map_files(run, settings, scheduler=cluster.scheduler_address) == by_one


def test_killed_client_goes_on(run, expected, cluster, monkeypatch):
    written = []
    write = TileStore.write

    def stop_at_the_third(self, tile, **arrays):
        if len(written) == 2:
            raise KeyboardInterrupt
        written.append(tile)
        write(self, tile, **arrays)

    address = cluster.scheduler_address
    with monkeypatch.context() as patch:
        patch.setattr(TileStore, "write", stop_at_the_third)
        with pytest.raises(KeyboardInterrupt):
            map_run(run, SMALL, scheduler=address)
    there = []  # tiles that the cluster works on or holds
    classify_tiles = Cluster._classify_tiles

    def count(self, *arguments):
        for found in classify_tiles(self, *arguments):
            there.append(len(self.client.futures))
            yield found
        for _ in range(100):
            left = sum(map(len, self.client.has_what().values()))
            if not left:
                break
            time.sleep(0.02)
        there.append(left)

    monkeypatch.setattr(Cluster, "_classify_tiles", count)
    monkeypatch.setattr(clusters, "PIECES", 1)
    shown = []
    found = map_run(
        *(run, SMALL),
        scheduler=address,
        progress=lambda stage, done, total, detail: shown.append(done / total),
    )
    assert len(shown) == TILES - 2
    assert {file.name: file.read_bytes() for file in found.files} == expected
    assert max(there) <= 2
    assert there[-1] == 0


def test_each_of_several_scenes_has_its_map(run, cluster, tmp_path, monkeypatch):
    monkeypatch.setattr(map_scene, "save_class_map_figure", draw_nothing)
    one = write_scene(tmp_path / "one" / "scene.npz", 1)
    other = write_scene(tmp_path / "other" / "scene.npz", 2)
    damaged = tmp_path / "damaged.npz"
    damaged.write_bytes(one.read_bytes()[:2000])
    command = ("map", run.folder, one, damaged, tmp_path / "lost.npz", other, one)
    options = ("--nodata", "nan", "--json", "--quiet")
    there = ("--scheduler", cluster.scheduler_address)
    done = invoke(*command, *options, *there, code=1)
    said = json.loads(done.stdout)
    assert len({*said["files"]}) == len(said["files"]) == 2 * FILES
    assert list(said["failed"]) == [str(damaged), str(tmp_path / "lost.npz")]
    assert f"error: {damaged} has no map" in done.stderr
    assert "there is no file" in said["failed"][str(tmp_path / "lost.npz")]
    # Named alike, they are told apart by their hashes.
    for path in (one, other):
        mark = f"scene-{hash_file(path)[:8]}-"
        assert sum(mark in Path(file).name for file in said["files"]) == FILES


def test_labels_are_of_one_scene(run):
    with pytest.raises(UsageError, match="--ground-truth is of one scene"):
        map_run(run, SMALL, ["a.npz", "b.npz"], ground_truth="labels.npz")


def test_scene_that_nobody_foresaw_stops_no_archive(run, tmp_path, monkeypatch):
    good = write_scene(tmp_path / "good.npz", 3)
    odd = tmp_path / "odd.npz"

    def load(name, **options):
        if name == str(odd):
            raise KeyError("cube")
        return load_scene(name, **options)

    monkeypatch.setattr("hsijax.experiments.map_run.load_scene", load)
    monkeypatch.setattr(map_scene, "save_class_map_figure", draw_nothing)
    maps = map_run(run, SMALL, [str(odd), str(good)], nodata=float("nan"))
    assert maps.failed == {str(odd): "unexpected KeyError: 'cube'"}
    assert all("good" in file.name for file in maps.files)
    with pytest.raises(KeyError):
        map_run(run, SMALL, [str(odd)])


def test_device_is_that_of_the_workers(run):
    done = invoke(
        "map", run.folder, "--scheduler", "tcp://x:1", "--device", "cpu", code=2
    )
    assert "the workers" in done.stderr


def test_what_is_missing_is_said(run, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "distributed", None)
        with pytest.raises(HsijaxError, match=r"pip install 'hsijax\[dask\]'"):
            map_run(run, SMALL, scheduler="tcp://127.0.0.1:8786")
    monkeypatch.setattr(clusters, "ANSWER", 0.5)
    for address in ("tcp://127.0.0.1:9", "nonsense", "http://127.0.0.1:9"):
        with pytest.raises(ClusterError, match=f"no Dask scheduler .*'{address}'"):
            map_run(run, SMALL, scheduler=address)


def test_cluster_without_workers_is_not_waited_for_long(run, monkeypatch, caplog):
    caplog.set_level(logging.INFO, "hsijax")
    monkeypatch.setattr(clusters, "PATIENCE", 0.3)
    empty = LocalCluster(n_workers=0, **THREADS)
    with empty:
        address = empty.scheduler_address
        with pytest.raises(ClusterError, match=f"no workers.*dask worker {address}"):
            map_run(run, SMALL, scheduler=address)
    assert "waiting for 0.3 seconds" in caplog.text


def test_scheduler_that_goes_away_is_said(run, monkeypatch, tmp_path):
    monkeypatch.setattr(clusters, "ANSWER", 0.5)
    classify_tiles = Cluster._classify_tiles
    going = LocalCluster(n_workers=1, **THREADS)
    with going:

        def close_after_one(self, *arguments):
            for found in classify_tiles(self, *arguments):
                yield found
                going.close()

        monkeypatch.setattr(Cluster, "_classify_tiles", close_after_one)
        with pytest.raises(ClusterError, match=r"has gone; what is done is kept"):
            map_run(run, SMALL, scheduler=going.scheduler_address)


def test_tile_that_kills_its_workers_is_named(run, cluster, killing):
    scheduler = cluster.scheduler
    allowed = scheduler.allowed_failures
    scheduler.allowed_failures = 0
    try:
        with pytest.raises(HsijaxError, match=r"fields, rows .* 1 workers died of it"):
            map_run(run, SMALL, scheduler=cluster.scheduler_address)
    finally:
        scheduler.allowed_failures = allowed


def test_worker_of_another_version_ends_it_all(run, cluster, monkeypatch, tmp_path):
    monkeypatch.setattr(clusters, "own_versions", lambda: {"hsijax": "9", "jax": "8"})
    scenes = [str(write_scene(tmp_path / f"{name}.npz")) for name in "ab"]
    with pytest.raises(ClusterError, match="this command hsijax 9 and jax 8"):
        map_run(
            *(run, SMALL, scenes),
            scheduler=cluster.scheduler_address,
            nodata=float("nan"),
        )


def test_worker_must_see_the_same_files(run, tmp_path):
    path = write_scene(tmp_path / "seen.npz")
    options = {"nodata": float("nan"), "data_dir": None}
    told = assign(run, 0, str(path), load_scene(str(path), **options), options)
    classifier, scene = tile_worker._open(told)
    assert scene.shape == told.shape
    assert tile_worker._open(told)[0] is classifier
    for wrong, reason in (
        ({"which": str(tmp_path / "lost.npz")}, "there is no file"),
        ({"run": tmp_path}, "there is no"),
        ({"network_sha256": "0" * 64}, "another file"),
        ({"shape": (1, 2, 3)}, "another file"),
        ({"sizes": [1]}, "another file"),
    ):
        order = replace(told, name=str(wrong), **wrong)
        with pytest.raises(HsijaxError, match=f"worker on .*{reason}.*same paths"):
            tile_worker._open(order)


def test_scheduler_needs_no_jax():
    code = "import hsijax.experiments.tile_worker, sys; sys.exit('jax' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
