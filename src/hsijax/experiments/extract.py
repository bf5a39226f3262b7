"""Find the endmembers of a scene, and write them as a library."""

from contextlib import suppress
from pathlib import Path
from typing import Any

from hsijax.config import Progress, UnmixConfig, no_progress
from hsijax.errors import UsageError, lookup
from hsijax.experiments.unmix_endmembers import (
    count_by_hysime,
    find_endmembers,
    name_by_reference,
)
from hsijax.experiments.unmix_task import load_config_scene
from hsijax.io.atomic import remove
from hsijax.io.spectral_library import (
    SpectralLibrary,
    write_library_csv,
    write_library_envi,
)
from hsijax.metrics.unmixing import spectral_angle
from hsijax.reports.spectra import save_spectra_figure
from hsijax.runs import next_free_folder
from hsijax.scenes.reference import Reference
from hsijax.scenes.unmixing_scene import UnmixingScene
from hsijax.unmixing.extraction import EXTRACTORS
from hsijax.unmixing.matching import match_spectra

FILES = ("endmembers.csv", "endmembers.sli", "endmembers.hdr", "endmembers.png")


def write_endmembers(
    config: UnmixConfig,
    out: Path | None = None,
    *,
    overwrite: bool = False,
    progress: Progress = no_progress,
) -> dict[str, Any]:
    """Write the spectra of the pixels that serve as endmembers, with their places.

    Args:
        config: of it the scene and how to read it, `endmembers` (a method), `count`
            (None: HySime counts), `robust` and `seed` matter.
        out: folder; None for the next free `endmembers/<scene>-<method>-<number>`.
        overwrite: replace files that are there.
        progress: shows how far it is.

    Returns:
        What `hsijax endmembers --json` prints; angles are in radians.

    Raises:
        UsageError: there is no such method, a file exists, or too many endmembers are
            wanted.
        HsijaxError: the scene cannot be used.
    """
    method = config.endmembers or "vca"
    lookup(EXTRACTORS, method, "method of extraction")
    _check_folder(out, overwrite)
    data = load_config_scene(config, progress)
    count, counts = config.count, None
    if count is None:
        count, counts = count_by_hysime(data, progress)
    progress("looking for endmembers", 0, 1)
    library = name_by_reference(find_endmembers(config, data, count), data.reference)
    progress("looking for endmembers", 1, 1)
    name = data.scene.name
    if out is None:
        out = next_free_folder(Path("endmembers"), f"{name}-{method}")
    try:
        _write(out, library, data, method)
    except BaseException:
        for file in FILES:
            remove(out / file)
        with suppress(OSError):
            out.rmdir()  # unless it holds something else
        raise
    return {
        "out": str(out),
        "files": list(FILES),
        "scene": name,
        "simulated": data.simulated,
        "pixels": int(data.valid.sum()),
        "method": method,
        "seed": config.seed,
        "robust": config.robust,
        "count": count,
        "hysime": counts.hysime if counts else None,
        "hfc": counts.hfc_by_rate if counts else None,
        "endmembers": _describe(library, data.reference),
    }


def _check_folder(out: Path | None, overwrite: bool) -> None:
    if out is None:
        return
    if out.exists() and not out.is_dir():
        raise UsageError(f"--out {out} is a file: name a folder")
    there = [name for name in FILES if (out / name).exists()]
    if there and not overwrite:
        raise UsageError(
            f"{out / there[0]} exists: choose another --out, or give --overwrite"
        )


def _write(
    out: Path, library: SpectralLibrary, data: UnmixingScene, method: str
) -> None:
    write_library_csv(out / "endmembers.csv", library, data.simulated)
    write_library_envi(out / "endmembers.sli", library, data.simulated)
    known = data.reference.endmembers if data.reference else None
    comparable = known is not None and len(known.names) == len(library.names)
    save_spectra_figure(
        out / "endmembers.png",
        library,
        title=f"{data.scene.name}: endmembers by {method}",
        reference=known if comparable else None,
        stamp=data.simulated,
    )


def _describe(
    library: SpectralLibrary, reference: Reference | None
) -> list[dict[str, Any]]:
    """List where each endmember is, and which of the reference it is like."""
    assert library.pixels is not None
    rows: list[dict[str, Any]] = [
        {"name": name, "row": int(row), "col": int(col)}
        for name, (row, col) in zip(library.names, library.pixels, strict=True)
    ]
    if reference is None or reference.endmembers is None:
        return rows
    known = reference.endmembers.spectra
    for number, found in enumerate(match_spectra(library.spectra, known)):
        if found >= 0:
            rows[found]["reference"] = reference.names[number]
            angle = spectral_angle(library.spectra[found], known[number])
            rows[found]["angle"] = float(angle)
    return rows
