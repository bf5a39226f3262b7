"""Simulated scenes: real spectra, mixed by abundances that are known."""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from hsijax.config import Progress, no_progress
from hsijax.io import open_file
from hsijax.io.choose import choose_cube
from hsijax.io.cube import LazyCube
from hsijax.io.ground_truth import choose_ground_truth, read_ground_truth
from hsijax.io.spectral_library import SpectralLibrary
from hsijax.metrics.unmixing import spectral_angle
from hsijax.scenes.catalogue.agriculture import INDIAN_PINES
from hsijax.scenes.catalogue.derived import (
    MATERIALS,
    MEMBERS,
    SEED,
    SIMULATED_MIXTURES,
    SNR,
    URBAN_SIMULATED,
    VARIABILITY,
)
from hsijax.scenes.catalogue.sheet import SceneSheet
from hsijax.scenes.lookup import locate
from hsijax.scenes.mixing import draw_abundances, mix
from hsijax.scenes.reference import Reference
from hsijax.scenes.scene import Scene, SourceFile

COUNTS = 10_000  # of Indian Pines' sensor, that become 1


@dataclass(frozen=True, eq=False)
class Simulation:
    """What a scene is mixed from: abundances, a bundle of spectra for each, files.

    The reference endmembers are the means of the bundles.
    """

    sheet: SceneSheet
    abundances: Float[np.ndarray, "rows cols endmembers"]
    bundles: Sequence[Float[np.ndarray, "_members bands"]]
    spectra_source: SourceFile
    abundances_source: SourceFile | None = None  # None where they are drawn

    def scene(self) -> Scene:
        """Return the scene; the cube is mixed when it is first looked at."""

        @functools.cache
        def load() -> np.ndarray:
            return mix(
                self.abundances,
                self.bundles,
                snr=SNR,
                variability=VARIABILITY,
                seed=[SEED, 1],
            )

        shape, wavelengths = self.sheet.shape, self.sheet.wavelengths
        return Scene(
            name=self.sheet.name,
            cube=LazyCube(shape, np.dtype(np.float32), lambda r, c: load()[r, c]),
            source=self.spectra_source,
            good_bands=np.ones(shape[2], dtype=bool),
            wavelengths=None if wavelengths is None else np.array(wavelengths),
            scale=1.0,
            notes=(self.sheet.simulated, *self.sheet.about),
        )

    def reference(self) -> Reference:
        """Return the abundances that it is mixed by."""
        means = np.array([bundle.mean(axis=0) for bundle in self.bundles])
        wavelengths = self.sheet.wavelengths
        return Reference(
            abundances=self.abundances,
            names=self.sheet.endmembers,
            endmembers=SpectralLibrary(
                self.sheet.endmembers,
                means.astype(np.float64),
                None if wavelengths is None else np.array(wavelengths),
            ),
            source=self.abundances_source,
            order="the cube is mixed by these abundances",
        )


def simulate(
    sheet: SceneSheet, data_dir: Path | None = None, progress: Progress = no_progress
) -> Simulation:
    """Prepare a simulated scene of the catalogue; its ingredients may be downloaded.

    Raises:
        HsijaxError: a file that it is made from cannot be had.
    """
    return BUILDERS[sheet.name](data_dir, progress)


def _mix_indian_pines(data_dir: Path | None, progress: Progress) -> Simulation:
    cube_path, labels_path = (
        locate(INDIAN_PINES, file, data_dir, progress) for file in INDIAN_PINES.files
    )
    content = choose_cube(open_file(cube_path)).content
    cube = content.cube.load().astype(np.float32) / COUNTS
    file = open_file(labels_path)
    labels = read_ground_truth(file, choose_ground_truth(file, None, cube.shape[:2]))
    ids = {land_class.name: land_class.id for land_class in INDIAN_PINES.classes}
    rows, cols, _ = SIMULATED_MIXTURES.shape
    return Simulation(
        sheet=SIMULATED_MIXTURES,
        abundances=draw_abundances((rows, cols), len(MATERIALS), [SEED, 0]),
        bundles=[_choose_typical(cube[labels == ids[name]]) for name in MATERIALS],
        spectra_source=SourceFile(cube_path),
    )


def _choose_typical(
    spectra: Float[np.ndarray, "pixels bands"],
) -> Float[np.ndarray, "members bands"]:
    """Return the spectra at the smallest angles to their mean: hardly mixed ones."""
    mean = np.broadcast_to(spectra.mean(axis=0), spectra.shape)
    return spectra[np.argsort(spectral_angle(spectra, mean), kind="stable")[:MEMBERS]]


def _mix_urban(data_dir: Path | None, progress: Progress) -> Simulation:
    bundles_path, abundances_path = (
        locate(URBAN_SIMULATED, file, data_dir, progress)
        for file in URBAN_SIMULATED.files
    )
    rows, cols, _ = URBAN_SIMULATED.shape
    count = len(URBAN_SIMULATED.endmembers)
    stored = open_file(abundances_path).named("A").read()  # pixels column by column
    library = open_file(bundles_path)
    return Simulation(
        sheet=URBAN_SIMULATED,
        abundances=stored.reshape(count, cols, rows).transpose(2, 1, 0),
        bundles=[library.named(f"lib{n + 1}").read().T for n in range(count)],
        spectra_source=SourceFile(bundles_path),
        abundances_source=SourceFile(abundances_path, "A"),
    )


BUILDERS: dict[str, Callable[[Path | None, Progress], Simulation]] = {
    SIMULATED_MIXTURES.name: _mix_indian_pines,
    URBAN_SIMULATED.name: _mix_urban,
}
