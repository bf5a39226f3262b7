"""Materials: what a library's spectra show, one or several spectra each."""

from dataclasses import replace

import numpy as np
from jaxtyping import Float

from hsijax.io.spectral_library import SpectralLibrary


def material_names(library: SpectralLibrary) -> tuple[str, ...]:
    """List the materials of a library in the order of their first spectra.

    >>> shown = ("x", "y", "x")
    >>> material_names(SpectralLibrary(("a", "b", "c"), np.eye(3), classes=shown))
    ('x', 'y')
    """
    return tuple(dict.fromkeys(library.classes or library.names))


def bundles(library: SpectralLibrary) -> list[Float[np.ndarray, "spectra bands"]]:
    """Return the spectra of each material."""
    shown = np.array(library.classes or library.names)
    return [library.spectra[shown == name] for name in material_names(library)]


def material_means(library: SpectralLibrary) -> SpectralLibrary:
    """Return one spectrum a material: the mean of those that show it."""
    if library.classes is None:
        return library
    means = np.array([bundle.mean(axis=0) for bundle in bundles(library)])
    return replace(
        library, names=material_names(library), spectra=means, classes=None, pixels=None
    )


def add_by_material(
    abundances: Float[np.ndarray, "pixels spectra"], library: SpectralLibrary
) -> Float[np.ndarray, "pixels materials"]:
    """Sum the abundances of the spectra that show the same material."""
    names = material_names(library)
    shown = [names.index(name) for name in library.classes or library.names]
    return abundances @ np.eye(len(names))[shown]
