"""The tiles of a scene by the workers of a Dask cluster that is there already.

The workers read the scene themselves; this process hands out its tiles and keeps them.
"""

import logging
import os
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hsijax.classification.tiles import Job, TileClasses, cut_piece
from hsijax.classification.trained import TrainedClassifier
from hsijax.config.memory import MOST
from hsijax.errors import HsijaxError, describe
from hsijax.experiments.classify_scene import Computing
from hsijax.experiments.tile_worker import (
    Assignment,
    ClusterError,
    classify_piece,
    file_sizes,
    own_versions,
)
from hsijax.runs import Run
from hsijax.scenes import Scene
from hsijax.scenes.loading import find_sheet
from hsijax.scenes.sources import hash_file, to_absolute
from hsijax.scenes.tiles import Window

if TYPE_CHECKING:
    from distributed import Future

ANSWER = 10.0  # seconds that the scheduler has to answer
PATIENCE = 60.0  # seconds without any worker
LOOK = 2.0  # seconds between two looks at the workers
PIECES = 3  # of each worker on their way: one is computed, one read, one waits
KEPT = "what is done is kept, and the same command goes on with it"

log = logging.getLogger("hsijax")


@dataclass(frozen=True)
class Cluster:
    """The workers that a scheduler has."""

    address: str
    client: Any  # a `distributed.Client`, by whose types all may be coroutines

    def computing(self, assignment: Assignment) -> Computing:
        """Return how the tiles of a scene are computed here.

        Raises:
            ClusterError: the scheduler has gone, or has no worker.
        """
        self._wait_for_workers()
        found = self._ask(partial(self.client.scheduler_info, n_workers=-1))["workers"]
        limits = [each["memory_limit"] for each in found.values()]
        # A worker that takes 60 % of its limit is spilling already; 0 is no limit.
        memory = min(min(limits) // 2, MOST) if limits and all(limits) else None
        classify = partial(self._classify_tiles, assignment)
        return Computing(classify, max(1, len(found)), memory)

    def _classify_tiles(
        self,
        assignment: Assignment,
        classifier: TrainedClassifier,
        job: Job,
        tiles: Sequence[Window],
    ) -> Iterator[tuple[Window, TileClasses]]:
        """Yield the tiles as they come; what a dead worker had goes to another one."""
        waiting = deque(tiles)
        flying: dict[Future, Window] = {}
        try:
            while waiting or flying:
                workers = self._wait_for_workers()
                while waiting and len(flying) < PIECES * workers:
                    tile = waiting.popleft()
                    piece = cut_piece(classifier, job, tile)
                    # Not pure: a tile of another command is none of ours.
                    future = self.client.submit(
                        classify_piece, assignment, piece, pure=False
                    )
                    flying[future] = tile
                for future in self._wait_for_any(flying):
                    tile = flying.pop(future)
                    found = self._take(future, tile, job)
                    future.release()
                    yield tile, found
        finally:
            # An exception that is kept would keep them, and the workers busy.
            for future in flying:
                future.release()

    def _wait_for_any(self, flying: dict["Future", Window]) -> list["Future"]:
        """Return those that have come, after a moment at most; maybe none."""
        from distributed import wait

        def look() -> list["Future"]:
            try:
                wait([*flying], timeout=LOOK, return_when="FIRST_COMPLETED")
            except TimeoutError:
                return []
            return [future for future in flying if future.done()]

        return self._ask(look)

    def _take(self, future: "Future", tile: Window, job: Job) -> TileClasses:
        """Fetch what a worker has found.

        Raises:
            ClusterError: no worker can do it, whatever the scene.
            HsijaxError: it could not be found.
        """
        from distributed import KilledWorker

        rows, cols = (f"{part.start} to {part.stop - 1}" for part in tile)
        there = f"{job.scene.name}, rows {rows} and columns {cols} (from 0)"
        error = self._ask(future.exception)
        if error is None:
            return self._ask(future.result)
        if isinstance(error, HsijaxError):
            raise error
        if isinstance(error, KilledWorker):
            raise HsijaxError(
                f"{there}: {error.allowed_failures + 1} workers died of it, the last "
                f"one at {error.last_worker.address}; see what it logged. If that was "
                "for want of memory, give --max-memory, about what a worker may take"
            ) from error
        raise HsijaxError(
            f"{there} failed in the cluster at {self.address}: {describe(error)}; its "
            "scheduler and workers need what is installed here"
        ) from error

    def _wait_for_workers(self) -> int:
        """Return how many workers there are, at least one.

        Raises:
            ClusterError: there have been none for a while.
        """
        since = time.monotonic()
        said = False
        while not (workers := len(self._ask(self.client.nthreads))):
            if time.monotonic() - since > PATIENCE:
                raise ClusterError(
                    f"the scheduler at {self.address} has no workers: start some by "
                    f"`dask worker {self.address}`; {KEPT}"
                )
            if not said:
                log.info(
                    "the scheduler at %s has no workers: waiting for %g seconds",
                    *(self.address, PATIENCE),
                )
            said = True
            time.sleep(min(LOOK, PATIENCE))
        return workers

    def _ask(self, question: Callable[[], Any]) -> Any:
        """Ask the scheduler for something.

        Raises:
            ClusterError: it has gone.
        """
        from distributed import CancelledError

        try:
            return question()
        except (OSError, RuntimeError, ValueError, CancelledError) as error:
            raise ClusterError(
                f"the scheduler at {self.address} has gone; {KEPT}"
            ) from error


def assign(
    run: Run, number: int, which: str | int, scene: Scene, options: Mapping[str, Any]
) -> Assignment:
    """Say what a worker opens to classify a scene that is open here.

    Args:
        run: whose classifier it is.
        number: of the training.
        which: the scene's name, or its number among the run's own.
        scene: that it is.
        options: further ones of `load_scene` that it was opened with.
    """
    given = dict(options)
    if "ground_truth" in given:
        given["ground_truth"] = to_absolute(given["ground_truth"])
    named = given.get("data_dir")
    if isinstance(which, int):
        named = named or run.read_config().data_dir
    elif find_sheet(which) is None:
        which = to_absolute(which)
    if folder := named or os.environ.get("HSIJAX_DATA"):
        given["data_dir"] = Path(folder).absolute()
    return Assignment(
        run=run.folder.absolute(),
        number=number,
        network_sha256=hash_file(run.network_file(number)),
        which=which,
        options=given,
        shape=scene.shape,
        sizes=file_sizes(scene),
        versions=own_versions(),
    )


@contextmanager
def connect(address: str) -> Iterator[Cluster]:
    """Work with the cluster that a scheduler has, such as "tcp://host:8786".

    Raises:
        HsijaxError: distributed is not installed, or no scheduler answers there.
    """
    try:
        from distributed import Client
    except ImportError as error:
        raise HsijaxError(
            "--scheduler needs dask and distributed: pip install 'hsijax[dask]'"
        ) from error
    # What it says of a scheduler that has gone, our error says.
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    try:
        client = Client(address, timeout=ANSWER)
    # An AssertionError is all that it says of a host that it does not find.
    except (OSError, ValueError, AssertionError) as error:
        reason = str(error).partition("\n")[0] or "no such host"
        raise ClusterError(
            f"no Dask scheduler answers at '{address}' ({reason}): give one such as "
            "tcp://host:8786, as `dask scheduler` prints it"
        ) from error
    with client:
        yield Cluster(address, client)
