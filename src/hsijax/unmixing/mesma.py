"""MESMA: each pixel's own choice of spectra from a library of several a material."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from hsijax.errors import HsijaxError, UsageError
from hsijax.io.spectral_library import SpectralLibrary
from hsijax.unmixing.abundances import check_endmembers
from hsijax.unmixing.materials import material_names
from hsijax.unmixing.pixel_blocks import map_blocks
from hsijax.unmixing.support_table import DEPENDENT

# Models of a pixel at most: some 3e7 models a second make that half an hour for a
# scene of 100,000 pixels.
MOST_MODELS = 500_000
PIXELS, MODELS = 256, 512  # computed at once
# Limits of the fractions of a material and of shade in a model that counts.
FRACTIONS = (-0.05, 1.05)
SHADE = (-0.05, 1.05)
# Of the largest value: two errors this close are the same.
ROUNDING = 1e-7


@dataclass(frozen=True, eq=False)
class MesmaSolution:
    """The model chosen for each pixel; NaN and -1 where none is within the limits.

    `fractions` are those of the library's classes, in the order of `classes`; with
    that of shade they sum to one. `members` are the spectra taken, -1 for none.
    """

    classes: tuple[str, ...]
    fractions: Float[np.ndarray, "pixels classes"]
    shade: Float[np.ndarray, " pixels"]
    members: Int[np.ndarray, "pixels largest"]
    rmse: Float[np.ndarray, " pixels"]

    @property
    def abundances(self) -> Float[np.ndarray, "pixels classes"]:
        """The materials' fractions without shade: at least 0, with sum 1."""
        positive = np.maximum(self.fractions, 0.0)
        total = positive.sum(axis=1, keepdims=True)
        return positive / np.where(total == 0, np.nan, total)


def mesma(
    spectra: Float[np.ndarray, "pixels bands"],
    library: SpectralLibrary,
    *,
    largest: int = 3,
    gain: float = 0.02,
) -> MesmaSolution:
    """Multiple endmember spectral mixture analysis: the best of all small models.

    A model is one to `largest` spectra of different classes, and shade: a spectrum of
    zeros. So `largest=3` tries all models of 2, 3 and 4 endmembers. Fractions sum to
    one, shade having the rest, and are otherwise free: least squares in closed form.
    Of the models whose fractions are within FRACTIONS and SHADE, the one of the
    least root mean square error is a pixel's; `gain` holds back larger ones.

    Args:
        spectra: in the units of the library.
        library: its `classes` say which spectra are alternatives; without them each
            is a class of its own.
        largest: classes in a model at most, shade aside.
        gain: by what share a model's error must be below that of the best one with
            fewer endmembers to be preferred: more spectra always fit noise better.

    Raises:
        UsageError: `largest` is less than 1 or `gain` not a share.
        HsijaxError: bands differ in number, a spectrum is not finite, or there are
            more than MOST_MODELS models.

    Source:
        Roberts et al., "Mapping chaparral in the Santa Monica Mountains using multiple
        endmember spectral mixture models", Remote Sensing of Environment 65, 1998.
        doi:10.1016/S0034-4257(98)00037-6
    """
    if largest < 1 or not 0 <= gain < 1:
        raise UsageError(
            "MESMA needs at least one class a model and a gain from 0 to below 1, not"
            f" {largest} and {gain:g}"
        )
    check_endmembers(spectra, library.spectra)
    classes = material_names(library)
    owners = np.array(library.classes or library.names)
    groups = [np.flatnonzero(owners == name) for name in classes]
    largest = min(largest, len(classes))
    total = count_models([len(group) for group in groups], largest)
    if total > MOST_MODELS:
        raise HsijaxError(
            f"{len(owners)} spectra of {len(classes)} classes make {total:,} models of"
            f" up to {largest} spectra, more than {MOST_MODELS:,}: give fewer spectra"
            " or a smaller --largest"
        )
    members = np.full((len(spectra), largest), -1)
    rmse = np.full(len(spectra), np.inf)
    least = ROUNDING * np.abs(library.spectra).max()
    for size in range(1, largest + 1):
        models, found = _best_models(spectra, library.spectra, groups, size)
        better = found < np.where(np.isinf(rmse), np.inf, (1 - gain) * rmse - least)
        members[better, :size] = models[better]
        members[better, size:] = -1
        rmse[better] = found[better]
    fractions = _fit_members(spectra, library.spectra, members)
    by_class = np.zeros((len(spectra), len(classes)))
    for place, group in enumerate(groups):
        by_class[:, place] = np.where(np.isin(members, group), fractions, 0).sum(axis=1)
    unmodelled = np.isinf(rmse)
    by_class[unmodelled], rmse[unmodelled] = np.nan, np.nan
    return MesmaSolution(classes, by_class, 1 - by_class.sum(axis=1), members, rmse)


def count_models(counts: Sequence[int], largest: int) -> int:
    """Count the models of one to `largest` classes, one spectrum each.

    >>> count_models([2, 3], 2)  # 2 and 3 of one spectrum, 6 of two
    11
    """
    return sum(
        math.prod(chosen)
        for size in range(1, largest + 1)
        for chosen in itertools.combinations(counts, size)
    )


def _best_models(
    spectra: Float[np.ndarray, "pixels bands"],
    library: Float[np.ndarray, "spectra bands"],
    groups: Sequence[Int[np.ndarray, " _"]],
    size: int,
) -> tuple[Int[np.ndarray, "pixels size"], Float[np.ndarray, " pixels"]]:
    """Return each pixel's best model of a size, and its error, infinite for none."""
    models = np.concatenate(
        [
            np.stack(np.meshgrid(*chosen, indexing="ij"), axis=-1).reshape(-1, size)
            for chosen in itertools.combinations(groups, size)
        ]
    )
    directions = library.astype(np.float64).T
    scale = np.linalg.norm(directions, axis=0).max() or 1.0
    directions = directions / scale
    inner = (directions.T @ directions)[models[:, :, None], models[:, None, :]]
    # Spectra that are multiples of each other make a model that says nothing new.
    norms = np.sqrt(np.diagonal(inner, axis1=1, axis2=2))
    shapes = inner / np.maximum(norms[:, :, None] * norms[:, None, :], 1e-300)
    usable = np.linalg.eigvalsh(shapes)[:, 0] > DEPENDENT
    models, inner = models[usable], inner[usable]
    if not len(models):
        nothing = np.full(len(spectra), np.inf)
        return np.full((len(spectra), size), -1), nothing
    # Batches of one length; the last one's models repeat.
    padded = np.resize(np.arange(len(models)), -(-len(models) // MODELS) * MODELS)
    batches = models[padded].reshape(-1, MODELS, size)
    inverses = np.linalg.inv(inner)[padded].reshape(-1, MODELS, size, size)
    chosen, rmse = map_blocks(
        _search,
        spectra,
        directions,
        np.asarray(scale),
        batches,
        inverses,
        pixels=PIXELS,
    )
    return models[padded][chosen], rmse


@jax.jit
def _search(
    spectra: Float[Array, "pixels bands"],
    directions: Float[Array, "bands spectra"],
    scale: Float[Array, ""],
    batches: Int[Array, "batches models size"],
    inverses: Float[Array, "batches models size size"],
) -> tuple[Int[Array, " pixels"], Float[Array, " pixels"]]:
    """Go through all models, a batch at a time, and keep each pixel's best."""
    scaled = spectra.astype(jnp.float64) / scale
    energy = (scaled**2).sum(axis=1)
    products = (scaled @ directions).T
    size = batches.shape[2]

    def search(state, batch):
        chosen, least, begin = state
        models, inverse = batch
        inner = [products[models[:, place]] for place in range(size)]
        explained, total, within = 0.0, 0.0, True
        for row in range(size):
            fraction = sum(inverse[:, row, k, None] * inner[k] for k in range(size))
            explained += fraction * inner[row]
            total += fraction
            within &= (fraction >= FRACTIONS[0]) & (fraction <= FRACTIONS[1])
        within &= (1 - total >= SHADE[0]) & (1 - total <= SHADE[1])
        error = jnp.where(within, energy - explained, jnp.inf)
        place, error = error.argmin(axis=0), error.min(axis=0)
        better = error < least
        chosen = jnp.where(better, begin + place, chosen)
        return (chosen, jnp.where(better, error, least), begin + len(models)), None

    nothing = jnp.zeros_like(energy, dtype=int), jnp.full_like(energy, jnp.inf), 0
    (chosen, least, _), _ = jax.lax.scan(search, nothing, (batches, inverses))
    return chosen, jnp.sqrt(jnp.maximum(least, 0.0) / len(directions)) * scale


def _fit_members(
    spectra: Float[np.ndarray, "pixels bands"],
    library: Float[np.ndarray, "spectra bands"],
    members: Int[np.ndarray, "pixels largest"],
) -> Float[np.ndarray, "pixels largest"]:
    """Return the fractions of each pixel's own spectra, 0 where it has fewer."""
    fractions = np.zeros(members.shape)
    for begin in range(0, len(spectra), PIXELS):
        part = slice(begin, begin + PIXELS)
        absent = members[part] < 0
        own = np.where(absent[:, :, None], 0.0, library[members[part]])
        inner = own @ own.transpose(0, 2, 1)
        inner += absent[:, :, None] * np.eye(members.shape[1])
        products = np.where(absent, 0.0, np.einsum("plb,pb->pl", own, spectra[part]))
        fractions[part] = np.linalg.solve(inner, products[:, :, None])[:, :, 0]
    return fractions
