"""What an unmixing run works on: the cube, its endmembers, the pixels of each run."""

import logging
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from hsijax.config import Progress, UnmixConfig, no_progress
from hsijax.config.unmix import BLIND, SOLVERS
from hsijax.errors import UsageError
from hsijax.io.spectral_library import SpectralLibrary, read_library
from hsijax.scenes.loading import find_sheet
from hsijax.scenes.reference import Reference
from hsijax.scenes.unmixing_scene import UnmixingScene, load_unmixing_scene
from hsijax.splits import SplitFile, SplitPlan, leakage, load_splits, make_splits
from hsijax.unmixing.counting import count_endmembers
from hsijax.unmixing.extraction import EXTRACTORS, extract_endmembers
from hsijax.unmixing.matching import match_spectra
from hsijax.unmixing.resampling import check_scale, fit_library

log = logging.getLogger("hsijax")

BLOCK_SIDE = 10  # pixels, unless the settings say otherwise
# Patches that block splits keep apart at least, so that methods of single pixels and
# of 3 x 3 patches are tested on the same pixels.
APART = 3


@dataclass(frozen=True, eq=False)
class UnmixTask:
    """A scene in memory; its endmembers, where they are given; a split a training.

    `columns` has the numbers of the splits made in each way, "random" and "blocks".
    """

    config: UnmixConfig
    data: UnmixingScene
    library: SpectralLibrary | None
    origin: str  # of the endmembers, in words
    count: int  # of abundance maps, where the method looks for the endmembers itself
    splits: SplitFile | None  # None without reference abundances
    columns: dict[str, list[int]]

    @property
    def reference(self) -> Reference | None:
        """The scene's reference abundances."""
        return self.data.reference

    @property
    def learns_from_reference(self) -> bool:
        """Whether a network or another learner is shown the reference abundances."""
        return self.config.learns and self.library is None

    @property
    def spectra(self) -> Float[np.ndarray, "pixels bands"]:
        """The valid pixels of the cube."""
        return self.data.cube[self.data.valid]


def load_unmix_task(
    config: UnmixConfig,
    split_file: Path | None = None,
    progress: Progress = no_progress,
) -> UnmixTask:
    """Read the scene, find or read its endmembers, and split its pixels.

    Raises:
        UsageError: the method needs endmembers or abundances that are not there.
        HsijaxError: a file cannot be read or does not fit the scene.
    """
    data = load_config_scene(config, progress)
    library, origin, count = _endmembers(config, data, progress)
    splits, columns = None, {}
    if data.reference is not None:
        splits, columns = _splits(config, data, data.reference, split_file)
    return UnmixTask(config, data, library, origin, count, splits, columns)


def load_config_scene(config: UnmixConfig, progress: Progress) -> UnmixingScene:
    """Load the scene that a configuration names, and log what was done to it."""
    data = load_unmixing_scene(
        config.scene,
        data_dir=Path(config.data_dir) if config.data_dir else None,
        cube_key=config.cube_key,
        ground_truth=config.ground_truth,
        nodata=config.nodata,
        scale=config.scale,
        progress=progress,
    )
    for note in data.notes:
        log.info("%s", note)
    return data


def with_absolute_paths(config: UnmixConfig) -> UnmixConfig:
    """Let a configuration find its files from any folder."""
    names = ["data_dir", "ground_truth", "split_file"]
    if config.endmembers not in (None, *EXTRACTORS):
        names.append("endmembers")
    if find_sheet(config.scene) is None:
        names.append("scene")
    values = {name: getattr(config, name) for name in names}
    return replace(
        config,
        **{name: str(Path(text).absolute()) for name, text in values.items() if text},
    )


def find_endmembers(
    config: UnmixConfig, data: UnmixingScene, count: int, run: int = 0
) -> SpectralLibrary:
    """Pick pixels of the scene as its endmembers, by the method in the settings."""
    method = config.endmembers if config.endmembers in EXTRACTORS else "vca"
    pixels = np.argwhere(data.valid).astype(np.int32)
    found = extract_endmembers(
        str(method),
        data.cube[data.valid],
        count,
        seed=config.seed + run,
        robust=config.robust,
    )
    scene = data.scene
    library = SpectralLibrary(
        tuple(f"endmember {number}" for number in range(1, count + 1)),
        data.cube[data.valid][found].astype(np.float64),
        None if scene.wavelengths is None else scene.wavelengths[scene.good_bands],
        None if scene.fwhm is None else scene.fwhm[scene.good_bands],
        pixels=pixels[found],
    )
    return name_by_reference(library, data.reference)


def name_by_reference(
    library: SpectralLibrary, reference: Reference | None
) -> SpectralLibrary:
    """Order endmembers that were found as the reference has them, and name them so.

    They are matched by spectral angle; where the reference has no spectra or another
    number of them, nothing changes.
    """
    if reference is None or reference.endmembers is None:
        return library
    known = reference.endmembers.spectra
    if len(known) != len(library.spectra):
        return library
    order = match_spectra(library.spectra, known)
    return replace(
        library,
        names=reference.names,
        spectra=library.spectra[order],
        pixels=None if library.pixels is None else library.pixels[order],
    )


def _endmembers(
    config: UnmixConfig, data: UnmixingScene, progress: Progress
) -> tuple[SpectralLibrary | None, str, int]:
    """Return the endmembers, where they come from, and how many there are."""
    reference, wanted = data.reference, config.endmembers
    if wanted is not None and wanted not in EXTRACTORS:
        return _read_endmembers(wanted, data)
    if config.model in BLIND and wanted is not None:
        raise UsageError(f"--model {config.model} looks for the endmembers itself")
    if wanted is None and reference is not None:
        if config.model in BLIND or config.learns:
            return None, "", len(reference.names)
        if reference.endmembers is not None:
            names = ", ".join(reference.names)
            return reference.endmembers, f"the reference's: {names}", len(names)
    if wanted is None and config.model in SOLVERS:
        raise UsageError(
            f"--model {config.model} needs endmembers: give --endmembers FILE, or vca, "
            "nfindr, spa or ppi to look for them in the scene"
        )
    count, reason = _count(config, data, progress)
    if config.model in BLIND:
        return None, reason, count
    if config.model == "mesma":
        raise UsageError("--model mesma needs --endmembers FILE, a spectral library")
    method = wanted or "vca"
    origin = f"{count} pixels of the scene, by {method.upper()} ({reason})"
    return find_endmembers(config, data, count), origin, count


def _read_endmembers(
    wanted: str, data: UnmixingScene
) -> tuple[SpectralLibrary, str, int]:
    path, _, key = (wanted, "", None) if Path(wanted).exists() else _split_key(wanted)
    if not Path(path).exists() and Path(path).suffix == "":
        raise UsageError(
            f"--endmembers {wanted} is neither a file nor one of "
            f"{', '.join(EXTRACTORS)}"
        )
    scene = data.scene
    library = fit_library(
        read_library(Path(path), key),
        scene.wavelengths,
        scene.fwhm,
        scene.good_bands,
        scene.name,
    )
    check_scale(library, data.cube[data.valid], scene.name)
    return library, f"{path} ({len(library.names)} spectra)", len(library.names)


def _split_key(wanted: str) -> tuple[str, str, str | None]:
    path, colon, key = wanted.rpartition(":")
    return (path, colon, key) if colon else (wanted, "", None)


def _count(
    config: UnmixConfig, data: UnmixingScene, progress: Progress
) -> tuple[int, str]:
    """How many endmembers to look for, and why so many."""
    if config.count is not None:
        return config.count, "--count"
    if data.reference is not None:
        return len(data.reference.names), "as many as the reference has"
    progress("counting endmembers", 0, 1)
    counts = count_endmembers(data.cube[data.valid])
    progress("counting endmembers", 1, 1)
    count = max(counts.hysime, 2)
    return count, f"HySime says {counts.hysime}, HFC {counts.hfc}; --count decides"


def _splits(
    config: UnmixConfig,
    data: UnmixingScene,
    reference: Reference,
    split_file: Path | None,
) -> tuple[SplitFile, dict[str, list[int]]]:
    """Split the pixels by their dominant endmember, in each of the wanted ways."""
    classes = dominant_endmembers(reference, data)
    if split_file is not None or config.split == "file":
        file = load_splits(split_file or Path(str(config.split_file)), classes)
        if split_file is not None:  # a run folder's own
            return file, {k: list(v) for k, v in file.settings["columns"].items()}
        if len(file.splits) < config.runs:
            raise UsageError(
                f"{config.split_file} holds {len(file.splits)} splits, and --runs "
                f"{config.runs} needs one each"
            )
        file = replace(file, splits=file.splits[: config.runs])
        return file, {file.method: list(range(config.runs))}
    methods = ["random", "blocks"] if config.split == "both" else [config.split]
    splits, columns = [], {}
    for method in methods:
        columns[method] = [len(splits) + run for run in range(config.runs)]
        splits += make_splits(
            classes,
            SplitPlan(
                method,
                frac=config.frac,
                block_side=config.block_side or BLOCK_SIDE,
                val_frac=config.val_frac,
            ),
            seed=config.seed,
            runs=config.runs,
            patch_side=max(config.patch, APART),
            class_names=dict(enumerate(reference.names, start=1)),
        )
    source = reference.source
    settings = {
        "columns": columns,
        "frac": config.frac,
        "val_frac": config.val_frac,
        "seed": config.seed,
    }
    hashed = source.sha256 if source else None
    return SplitFile(splits, "+".join(methods), hashed, settings), columns


def dominant_endmembers(
    reference: Reference, data: UnmixingScene
) -> Int[np.ndarray, "rows cols"]:
    """Number each pixel's largest abundance, from 1; 0 where there is no data."""
    largest = np.argmax(reference.abundances, axis=2) + 1
    return np.where(data.valid, largest, 0).astype(np.int32)


def describe_unmix_task(task: UnmixTask) -> dict[str, Any]:
    """Summarise scene, reference, endmembers and splits for `run.json`."""
    data, reference = task.data, task.reference
    entries: dict[str, Any] = {
        "task": "unmixing",
        "scene": {
            "name": data.scene.name,
            "shape": list(data.scene.shape),
            "path": str(data.scene.source.path),
            "key": data.scene.source.key,
            "sha256": data.scene.source.sha256,
            "scale": data.scale,
            "simulated": data.simulated,
            "pixels": int(data.valid.sum()),
        },
        "endmembers": {"origin": task.origin},
        "ground_truth": None,
        "split_method": None,
        "splits": [],
    }
    if reference is not None:
        source = reference.source
        entries["ground_truth"] = {
            "path": str(source.path) if source else None,
            "sha256": source.sha256 if source else None,
            "order": reference.order,
            "names": list(reference.names),
        }
    if task.splits is not None:
        entries["split_method"] = task.splits.method
        entries["splits"] = [
            {
                "n_train": len(split.train),
                "n_validation": len(split.validation),
                "n_test": len(split.test),
                "leakage": asdict(leakage(split, task.config.patch)),
            }
            for split in task.splits.splits
        ]
    return entries
