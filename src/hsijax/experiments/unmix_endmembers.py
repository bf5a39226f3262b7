"""The endmembers of an unmixing run: from a reference, a file, or the scene itself."""

from dataclasses import dataclass, replace

import numpy as np

from hsijax.config import Progress, UnmixConfig, no_progress
from hsijax.config.unmix import BLIND, SOLVERS
from hsijax.errors import UsageError
from hsijax.io.spectral_library import SpectralLibrary, read_library
from hsijax.scenes import SourceFile
from hsijax.scenes.labels import split_key
from hsijax.scenes.reference import Reference
from hsijax.scenes.unmixing_scene import UnmixingScene
from hsijax.unmixing.counting import Counts, count_endmembers
from hsijax.unmixing.extraction import EXTRACTORS, extract_endmembers
from hsijax.unmixing.matching import match_spectra
from hsijax.unmixing.resampling import check_scale, fit_library


@dataclass(frozen=True, eq=False)
class Endmembers:
    """What a method is given of endmembers, and where that comes from."""

    given: SpectralLibrary | None  # None where the method finds or learns its own
    origin: str  # in words
    count: int
    source: SourceFile | None = None  # a library's file
    drawn: bool = False  # from the scene, anew in each run


def choose_endmembers(
    config: UnmixConfig, data: UnmixingScene, progress: Progress = no_progress
) -> Endmembers:
    """Take the endmembers that the settings name, or that the method falls back on.

    Raises:
        UsageError: the method needs others or none, or is told to look for some and
            not to look for any.
        HsijaxError: a library cannot be read or does not fit the scene.
    """
    reference, wanted = data.reference, config.endmembers
    if config.model in BLIND:
        if wanted is not None:
            raise UsageError(
                f"--model {config.model} looks for the endmembers itself: leave out "
                "--endmembers"
            )
        count, reason = _count(config, data, progress)
        return Endmembers(None, f"{count}, found by the method ({reason})", count)
    if wanted is None and reference is not None:
        names = reference.names
        if config.learns:
            _refuse_search(config)
            return Endmembers(None, "", len(names))
        if reference.endmembers is not None:
            _refuse_search(config)
            origin = f"the reference's: {', '.join(names)}"
            return Endmembers(reference.endmembers, origin, len(names))
    if wanted is not None and wanted not in EXTRACTORS:
        _refuse_search(config)
        return _read_endmembers(wanted, data)
    if config.model == "mesma":
        raise UsageError("--model mesma needs --endmembers FILE, a spectral library")
    if wanted is None and config.model in SOLVERS:
        raise UsageError(
            f"--model {config.model} needs endmembers: give --endmembers FILE, or vca, "
            "nfindr, spa or ppi to look for them in the scene"
        )
    count, reason = _count(config, data, progress)
    method = wanted or "vca"
    origin = f"{count} pixels of the scene, by {method.upper()} ({reason})"
    library = find_endmembers(config, data, count)
    return Endmembers(library, origin, count, drawn=True)


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
    return SpectralLibrary(
        number_endmembers(count),
        data.cube[data.valid][found].astype(np.float64),
        None if scene.wavelengths is None else scene.wavelengths[scene.good_bands],
        None if scene.fwhm is None else scene.fwhm[scene.good_bands],
        pixels=pixels[found] * data.every,
    )


def number_endmembers(count: int) -> tuple[str, ...]:
    """Name endmembers of which only the number is known.

    >>> number_endmembers(2)
    ('endmember 1', 'endmember 2')
    """
    return tuple(f"endmember {number}" for number in range(1, count + 1))


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


def count_by_hysime(
    data: UnmixingScene, progress: Progress = no_progress
) -> tuple[int, Counts]:
    """Return how many endmembers HySime finds, and all that was counted.

    They are two at least: a simplex has no fewer vertices.
    """
    progress("counting endmembers", 0, 1)
    counts = count_endmembers(data.cube[data.valid])
    progress("counting endmembers", 1, 1)
    return max(counts.hysime, 2), counts


def _refuse_search(config: UnmixConfig) -> None:
    """Refuse settings of a search where no endmembers are looked for."""
    wanted = {
        "--count": config.count is not None and "how many to look for",
        "--robust": config.robust and "how to look for endmembers",
    }
    for option, purpose in wanted.items():
        if purpose:
            raise UsageError(f"{option} says {purpose}: give --endmembers vca too")


def _read_endmembers(wanted: str, data: UnmixingScene) -> Endmembers:
    path, key = split_key(wanted)
    if not path.exists() and path.suffix == "":
        raise UsageError(
            f"--endmembers {wanted} is neither a file nor one of "
            f"{', '.join(EXTRACTORS)}"
        )
    scene = data.scene
    library = fit_library(
        read_library(path, key),
        scene.wavelengths,
        scene.fwhm,
        scene.good_bands,
        scene.name,
    )
    check_scale(library, data.cube[data.valid], scene.name)
    count = len(library.names)
    origin = f"{path} ({count} spectra)"
    return Endmembers(library, origin, count, SourceFile(path, key))


def _count(
    config: UnmixConfig, data: UnmixingScene, progress: Progress
) -> tuple[int, str]:
    """How many endmembers to look for, and why so many."""
    if config.count is not None:
        return config.count, "--count"
    if data.reference is not None:
        return len(data.reference.names), "as many as the reference has"
    count, counts = count_by_hysime(data, progress)
    return count, f"HySime says {counts.hysime}, HFC {counts.hfc}; --count decides"
