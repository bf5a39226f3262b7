"""What a worker of a Dask cluster does: it opens a run and a scene, reads and computes.

The scheduler imports this module too, so that it asks for jax only where it computes.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache, lru_cache
from importlib import metadata
from pathlib import Path
from socket import gethostname
from threading import Lock, Semaphore
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from hsijax import __version__
from hsijax.errors import HsijaxError
from hsijax.scenes import Scene, load_scene
from hsijax.scenes.sources import hash_file
from hsijax.scenes.tiles import Piece

if TYPE_CHECKING:
    from hsijax.classification.tiles import TileClasses
    from hsijax.classification.trained import TrainedClassifier

# Whatever the number of threads, two pieces are in memory: one that is read while
# another one is computed.
PLACES, READING, COMPUTING = Semaphore(2), Lock(), Lock()


class ClusterError(HsijaxError):
    """The cluster cannot be worked with, whatever the scene."""


def own_versions() -> dict[str, str]:
    """Return the versions that the bytes of a map depend on."""
    return {"hsijax": __version__, "jax": metadata.version("jax")}


def file_sizes(scene: Scene) -> list[int | None]:
    """Return the bytes of each file of a scene's cube; None for what is no file."""
    paths = [source.path for source in scene.source.joined or (scene.source,)]
    return [path.stat().st_size if path.is_file() else None for path in paths]


@dataclass(frozen=True)
class Assignment:
    """What a worker opens, by absolute paths, and what it must find there.

    No two are equal, so that a file that was replaced is opened anew by the next
    command.
    """

    run: Path = field(compare=False)
    number: int = field(compare=False)  # of the training that classifies
    network_sha256: str = field(compare=False)
    which: str | int = field(compare=False)  # a scene, or the number of the run's own
    options: Mapping[str, Any] = field(compare=False)  # of `load_scene`
    shape: tuple[int, int, int] = field(compare=False)
    sizes: list[int | None] = field(compare=False)  # see `file_sizes`
    versions: Mapping[str, str] = field(compare=False)
    name: str = field(default_factory=lambda: uuid4().hex)


def classify_piece(assignment: Assignment, piece: Piece) -> "TileClasses":
    """Classify a piece of a scene, here.

    Raises:
        ClusterError: this worker has other versions than the client.
        HsijaxError: it does not see the same files, or the scene cannot be read.
    """
    with PLACES:
        with READING:
            classifier, scene = _open(assignment)
            from hsijax.classification.tiles import classify_content, read_piece

            content = read_piece(classifier, scene, piece)
        with COMPUTING:
            return classify_content(classifier, content)


@lru_cache(maxsize=2)
def _open(assignment: Assignment) -> tuple["TrainedClassifier", Scene]:
    """Open what is to be worked with, and see that it is what the client has."""
    host, found = gethostname(), own_versions()
    if found != assignment.versions:
        here, there = (
            " and ".join(f"{name} {version}" for name, version in versions.items())
            for versions in (found, assignment.versions)
        )
        raise ClusterError(
            f"the worker on {host} has {here}, this command {there}: install the same "
            "versions on all hosts"
        )
    try:
        _set_up_device()
        from hsijax.experiments.run_scenes import scenes_of_run
        from hsijax.runs import Run

        run, which = Run(assignment.run), assignment.which
        file = run.network_file(assignment.number)
        classifier = _open_classifier(file, assignment.network_sha256)
        if isinstance(which, int):
            scene = scenes_of_run(run.read_config(), **assignment.options)[which]
        else:
            scene = load_scene(which, **assignment.options)
        if (scene.shape, file_sizes(scene)) != (assignment.shape, assignment.sizes):
            raise HsijaxError(f"{scene.source.path} is another file there")
        return classifier, classifier.fit_scene(scene)
    except HsijaxError as error:
        raise HsijaxError(
            f"the worker on {host} cannot do it: {error}; all workers need the run "
            "and the scene under the same paths"
        ) from error


@lru_cache(maxsize=1)
def _open_classifier(file: Path, sha256: str) -> "TrainedClassifier":
    from hsijax.classification.trained import TrainedClassifier

    if not file.is_file():
        raise HsijaxError(f"there is no {file}")
    if hash_file(file) != sha256:
        raise HsijaxError(f"{file} is another file there")
    return TrainedClassifier.load(file)


@cache
def _set_up_device() -> None:
    """Choose a device as the command line does."""
    from hsijax.devices import select_device, set_up_compilation_cache

    select_device("auto")
    set_up_compilation_cache()
