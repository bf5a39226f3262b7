"""The class maps of a run: of its own scenes, of another one, or of an archive."""

from collections import Counter
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any, NamedTuple

from hsijax.classification.trained import TrainedClassifier
from hsijax.config import Progress, no_progress
from hsijax.errors import HsijaxError, UsageError, describe
from hsijax.experiments.classify_scene import HERE
from hsijax.experiments.cluster import assign, connect
from hsijax.experiments.confidence import read_temperature
from hsijax.experiments.map_scene import MapSettings, map_scene
from hsijax.experiments.reject import check_threshold, warn_uncalibrated
from hsijax.experiments.run_scenes import scenes_of_run
from hsijax.experiments.tile_worker import ClusterError
from hsijax.experiments.write_layers import check_raster_format
from hsijax.runs import Run
from hsijax.scenes import load_scene
from hsijax.scenes.sources import name_source


class Maps(NamedTuple):
    """What came of the scenes."""

    files: list[Path]
    failed: dict[str, str]  # why there is no map of a scene, by its name


def map_run(
    run: Run,
    settings: MapSettings,
    names: Sequence[str] = (),
    *,
    scheduler: str | None = None,
    progress: Progress = no_progress,
    **options: Any,
) -> Maps:
    """Write the class maps of a run's own scenes, or of others, each for itself.

    Where there are several, one that cannot be mapped does not keep the others from
    their maps.

    Args:
        run: a run whose training `settings.number` has ended.
        settings: how.
        names: of scenes, as `load_scene` takes them; none for those of the run.
        scheduler: address of a Dask cluster that computes; None for this process.
        progress: shows how far it is.
        options: further ones of `load_scene`, such as `data_dir`.

    Raises:
        UsageError: there is no such training in the folder, threshold or format.
        HsijaxError: it has not ended; the cluster cannot be worked with; or the only
            scene cannot be mapped, see `map_scene`.
    """
    names = [*dict.fromkeys(names)]
    _check(run, settings)
    if len(names) > 1 and "ground_truth" in options:
        raise UsageError(
            "--ground-truth is of one scene: map it by a command of its own"
        )
    config = run.read_config()
    classifier = TrainedClassifier.load(run.network_file(settings.number))
    found = Maps([], {})
    with connect(scheduler) if scheduler else nullcontext() as cluster:
        own = [] if names else scenes_of_run(config, progress, **options)
        if settings.reject is not None and not _is_calibrated(run, settings.number):
            warn_uncalibrated()
        alike = Counter(map(_file_name, names))
        for which in names or range(len(own)):
            try:
                if isinstance(which, int):
                    scene = own[which]
                else:
                    scene = load_scene(which, progress=progress, **options)
                computing = HERE
                if cluster:
                    order = assign(run, settings.number, which, scene, options)
                    computing = cluster.computing(order)
                found.files.extend(
                    map_scene(
                        run,
                        scene,
                        classifier,
                        settings,
                        computing=computing,
                        named_alike=alike[_file_name(which)] > 1,
                        other_truth="ground_truth" in options,
                        progress=progress,
                    )
                )
            except ClusterError:
                raise
            # Also what nobody foresaw: an archive is not to stop at one odd file.
            except Exception as error:
                if len(names or own) == 1:
                    raise
                name = which if isinstance(which, str) else own[which].name
                found.failed[name] = describe(error)
    return found


def _check(run: Run, settings: MapSettings) -> None:
    """Refuse what is wrong whatever the scene, before anything is read."""
    if settings.reject is not None:
        check_threshold(settings.reject)
    check_raster_format(settings.raster_format)
    number, count = settings.number, run.read_config().runs
    if number >= count:
        raise UsageError(
            f"--run-number {number}: {run.folder} holds {count}, counted from 0"
        )
    if not run.network_file(number).exists():
        raise HsijaxError(
            f"run {number} in {run.folder} has not ended: go on with "
            f"`hsijax train --resume {run.folder}`"
        )


def _is_calibrated(run: Run, number: int) -> bool:
    return read_temperature(run.read_manifest(), number) is not None


def _file_name(which: str | int) -> str:
    """What files are named after, alike where a system or a catalogue tells no case."""
    return "" if isinstance(which, int) else name_source(Path(which)).lower()
