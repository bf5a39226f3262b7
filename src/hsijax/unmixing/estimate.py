"""Abundances of given endmembers by any of the solvers, and how good they are."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from hsijax.config import UnmixConfig
from hsijax.io.spectral_library import SpectralLibrary
from hsijax.metrics.unmixing import spectral_angle
from hsijax.unmixing.abundances import solve_abundances
from hsijax.unmixing.materials import add_by_material, material_means
from hsijax.unmixing.mesma import mesma
from hsijax.unmixing.normalise import NORMS, normalise
from hsijax.unmixing.sunsal import sunsal
from hsijax.unmixing.uncertainty import abundance_deviations, residuals


@dataclass(frozen=True, eq=False)
class Estimate:
    """Abundances of spectra, a column a material; None where a method has no such.

    The abundances of a pixel that no model of MESMA explains are NaN.
    """

    names: tuple[str, ...]
    abundances: Float[np.ndarray, "pixels materials"]
    endmembers: SpectralLibrary | None = None  # one spectrum a material
    rmse: Float[np.ndarray, " pixels"] | None = None  # of the reconstruction
    angle: Float[np.ndarray, " pixels"] | None = None  # of the reconstruction, radians
    deviations: Float[np.ndarray, "pixels materials"] | None = None  # standard ones
    kkt: Float[np.ndarray, " pixels"] | None = None
    condition: float | None = None  # of the endmembers
    models: Int[np.ndarray, "pixels largest"] | None = None  # spectra taken, -1 none
    shade: Float[np.ndarray, " pixels"] | None = None  # divided by the rest
    parameters: int | None = None  # trainable ones
    seconds: tuple[float, float] | None = None  # to learn and to unmix
    notes: tuple[str, ...] = ()  # sentences to stand beside the figures
    details: Mapping[str, Any] = field(default_factory=dict)  # for `metrics.json`


def estimate_abundances(
    config: UnmixConfig,
    spectra: Float[np.ndarray, "pixels bands"],
    library: SpectralLibrary,
) -> Estimate:
    """Unmix spectra by the solver that the settings name.

    Of a library with several spectra a material, the least-squares solvers take the
    means, the sparse solver and MESMA all of them. The least-squares solvers see pixels
    and endmembers divided by the norm in the settings; the residuals are those of the
    pixels as they are.

    Raises:
        UsageError: there is no such solver.
        HsijaxError: spectra and endmembers do not fit each other.
    """
    if config.model == "sunsal":
        return _sparse(config, spectra, library)
    if config.model == "mesma":
        return _multiple(config, spectra, library)
    materials = material_means(library)
    shapes = normalise(spectra, config.norm)
    directions = normalise(materials.spectra, config.norm)
    solution = solve_abundances(config.model, shapes, directions)
    rmse, angle = residuals(shapes, solution.abundances, directions)
    estimate = Estimate(
        materials.names,
        solution.abundances,
        materials,
        rmse,
        angle,
        abundance_deviations(config.model, solution, shapes, directions),
        solution.kkt,
        solution.condition,
    )
    size_of = NORMS[config.norm]
    if size_of is None:
        return estimate
    return replace(
        estimate,
        rmse=rmse * size_of(spectra)[:, 0],
        notes=(f"pixels and endmembers are divided by their {config.norm} norm",),
    )


def _sparse(
    config: UnmixConfig,
    spectra: Float[np.ndarray, "pixels bands"],
    library: SpectralLibrary,
) -> Estimate:
    """Unmix by a whole library; abundances need not sum to one."""
    found = sunsal(spectra, library.spectra, sparsity=config.sparsity)
    rmse, angle = residuals(spectra, found.abundances, library.spectra)
    materials = material_means(library)
    by_material = add_by_material(found.abundances, library)
    left = int((~found.converged).sum())
    details = {"iterations": int(found.iterations.max()), "not_converged": left}
    words = f"{left:,} of {len(spectra):,} pixels did not converge"
    return Estimate(
        materials.names,
        by_material,
        materials,
        rmse,
        angle,
        notes=(words,) if left else (),
        details={"sunsal": details},
    )


def _multiple(
    config: UnmixConfig,
    spectra: Float[np.ndarray, "pixels bands"],
    library: SpectralLibrary,
) -> Estimate:
    """Unmix by the best model of each pixel, and divide by what is not shade."""
    found = mesma(spectra, library, largest=config.largest)
    classes = library.classes or library.names
    of_class = np.array([found.classes.index(name) for name in classes])
    modelled = np.zeros(spectra.shape)
    for members in found.members.T:
        fractions = np.take_along_axis(
            found.fractions, of_class[members][:, None], axis=1
        )
        taken = (members >= 0)[:, None]
        modelled += np.where(taken, fractions * library.spectra[members], 0)
    angle = spectral_angle(modelled, spectra)
    return Estimate(
        found.classes,
        found.abundances,
        material_means(library),
        found.rmse,
        np.where(np.isnan(found.rmse), np.nan, angle),
        models=found.members,
        shade=found.shade,
    )
