"""Blind unmixing by archetypal analysis (EDAA): endmembers and abundances at once.

The endmembers are weighted means of a few pixels, the pixels weighted means of the
endmembers: spectra ~ abundances @ (weights @ spectra), with both kinds of weights on
the simplex. Entropic descent multiplies weights instead of adding to them, so that they
stay there.

Source:
    Zouaoui, Muhawenayo, Rasti, Chanussot and Mairal, "Entropic descent archetypal
    analysis for blind hyperspectral unmixing", IEEE TIP 32, 2023.
    doi:10.1109/TIP.2023.3301769. What the paper leaves open is as in the authors' code.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from hsijax.config import Progress, no_progress
from hsijax.errors import HsijaxError, UsageError
from hsijax.unmixing.normalise import normalise

RUNS = 50
ROUNDS = 100  # of abundances, then weights
STEPS = 5  # of either kind in a round
# The step size of a run is drawn from these, times what its first archetypes allow.
STEP_FACTORS = (0.125, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
# Runs compete that fit within this share of the best.
TOLERANCE = 0.05
# Archetypes are sought in at most so many pixels. A weight for each of Urban's 94,249
# would cost nine times the time and memory.
SOUGHT = 10_000
# Runs that are computed at once: their products are then large enough to be fast.
GROUP = 10
# Pixels whose abundances are computed at once.
TILE = 8192


@dataclass(frozen=True, eq=False)
class Blind:
    """What blind unmixing found. Its order of endmembers means nothing."""

    endmembers: Float[np.ndarray, "endmembers bands"]  # in the units of the spectra
    # The same means of the same pixels, each pixel divided by its L2 norm before:
    # abundances @ archetypes approximates the spectra divided by theirs.
    archetypes: Float[np.ndarray, "endmembers bands"]
    abundances: Float[np.ndarray, "pixels endmembers"]
    chosen: int  # the run that all this is of
    losses: Float[np.ndarray, " runs"]  # sum of absolute residuals
    coherences: Float[np.ndarray, " runs"]  # largest correlation of two endmembers


class _Descent(NamedTuple):
    """The end of a run, or of a group of runs stacked along the first axis."""

    weights: Any  # [endmembers pixels]
    archetypes: Any  # [endmembers bands]
    loss: Any
    path: Any  # archetypes at the start of each round, [rounds endmembers bands]
    step: Any  # size of the abundances' steps


def edaa(
    spectra: Float[np.ndarray, "pixels bands"],
    count: int,
    *,
    seed: int | Sequence[int],
    runs: int = RUNS,
    progress: Progress = no_progress,
) -> Blind:
    """Find endmembers and abundances from the spectra alone (EDAA).

    Several runs differ in their first weights and in their step size. Of those that fit
    nearly as well as the best, the one counts whose endmembers are the least alike; see
    `choose_run`.

    In more than 10,000 pixels the archetypes are sought among 10,000 drawn at random.
    The abundances of every pixel then follow from the path of the archetypes by the
    same steps, so that a pixel's do not depend on whether it was drawn.

    Args:
        spectra: finite. Those that are all zero have no part in the endmembers.
        count: of endmembers.
        seed: the same seed finds the same on the same device.
        runs: how many compete.
        progress: told of each run.

    Raises:
        UsageError: `count` is less than 2.
        HsijaxError: there are fewer spectra than endmembers.
    """
    if count < 2:
        raise UsageError(f"--count {count}: mixtures need 2 endmembers or more")
    units = normalise(spectra.astype(np.float32), "l2")
    alive = np.flatnonzero(units.any(axis=1))
    if len(alive) < count:
        raise HsijaxError(
            f"{count} endmembers cannot be sought in {len(alive)} pixels that are not "
            "all zero: give a smaller --count or a larger scene"
        )
    seeds = [seed] if isinstance(seed, int) else list(seed)
    drawn = alive
    if len(alive) > SOUGHT:
        rng = np.random.default_rng([*seeds, 0])
        drawn = np.sort(rng.choice(alive, SOUGHT, replace=False))
    losses, coherences = np.empty(runs), np.empty(runs)
    candidates: dict[int, _Descent] = {}
    # A graphics card would otherwise round the products' factors to 10 bits.
    with jax.default_matmul_precision("float32"):
        for run, end in _descend_all(units[drawn], count, seeds, runs):
            losses[run] = end.loss
            coherences[run] = coherence(end.archetypes)
            candidates[run] = end
            # The path of a run that is out is not worth its memory.
            fitting = _fits(losses[: run + 1])
            candidates = {n: end for n, end in candidates.items() if fitting[n]}
            progress("archetypes", run + 1, runs)
        chosen = choose_run(losses, coherences)
        best = candidates[chosen]
        abundances = _replay(units, best)
    return Blind(
        (best.weights @ spectra[drawn]).astype(np.float32),
        np.asarray(best.archetypes),
        abundances,
        chosen,
        losses,
        coherences,
    )


def coherence(archetypes: Float[np.ndarray, "endmembers bands"]) -> float:
    """Return the largest correlation coefficient of two different spectra.

    >>> coherence(np.array([[0.0, 1.0, 2.0], [0.0, 2.0, 4.0], [2.0, 1.0, 0.0]]))
    1.0
    """
    correlations = np.corrcoef(archetypes)
    return float(correlations[~np.eye(len(archetypes), dtype=bool)].max().round(12))


def choose_run(
    losses: Float[np.ndarray, " runs"], coherences: Float[np.ndarray, " runs"]
) -> int:
    """Return the run of least coherence among those within 5 % of the least loss.

    The last run below is the least coherent and does not fit.

    >>> choose_run(np.array([1.0, 1.04, 1.2]), np.array([0.9, 0.8, 0.1]))
    1
    """
    return int(np.where(_fits(losses), coherences, np.inf).argmin())


def _fits(losses: Float[np.ndarray, " runs"]) -> Bool[np.ndarray, " runs"]:
    return losses - losses.min() <= TOLERANCE * losses


def _descend_all(
    units: Float[np.ndarray, "drawn bands"], count: int, seeds: list[int], runs: int
) -> Iterator[tuple[int, _Descent]]:
    """Yield the number and the end of each run."""
    pixels = jnp.asarray(units)
    for start in range(0, runs, GROUP):
        numbers = range(start, min(start + GROUP, runs))
        rngs = [np.random.default_rng([*seeds, 1, number]) for number in numbers]
        factors = np.array([rng.choice(STEP_FACTORS) for rng in rngs], np.float32)
        # Nearly equal weights: the softmax of uniform draws between 0 and 0.1.
        shape = (count, len(units))
        first = np.stack([rng.uniform(0, 0.1, shape) for rng in rngs])
        group = jax.device_get(_descend(pixels, first.astype(np.float32), factors))
        for place, number in enumerate(numbers):
            yield number, _Descent(*(np.array(part[place]) for part in group))


@jax.jit
def _descend(
    pixels: Float[Array, "pixels bands"],
    log_weights: Float[Array, "runs endmembers pixels"],
    factors: Float[Array, " runs"],
) -> _Descent:
    """Descend alternately in abundances and weights, some runs side by side."""
    runs, count, drawn = log_weights.shape

    def project(rows: Array) -> Array:
        # One product for all runs: a product for each is too thin to be fast.
        return (rows.reshape(runs * count, -1) @ pixels.T).reshape(runs, count, -1)

    def combine(rows: Array) -> Array:
        return (rows.reshape(runs * count, -1) @ pixels).reshape(runs, count, -1)

    def find_archetypes(log_weights: Array) -> Array:
        return combine(jax.nn.softmax(log_weights, axis=-1))

    first = find_archetypes(log_weights)
    step = (factors / jnp.linalg.norm(first, 2, axis=(1, 2)) ** 2)[:, None, None]
    # A column of weights is `drawn` long, one of abundances `count`.
    weight_step = step * jnp.sqrt(count / drawn)

    def one_round(state: tuple[Array, Array, Array], _: Any):
        log_abundances, log_weights, archetypes = state
        log_abundances = _improve_abundances(
            log_abundances, archetypes, project(archetypes), step
        )
        abundances = jnp.exp(log_abundances)
        gram = abundances @ abundances.swapaxes(1, 2)
        means = combine(abundances)
        now = archetypes
        for _step in range(STEPS):
            log_weights -= weight_step * project(gram @ now - means)
            now = find_archetypes(log_weights)
        log_weights = jax.nn.log_softmax(log_weights, axis=-1)
        return (log_abundances, log_weights, now), archetypes

    uniform = jnp.full(log_weights.shape, -jnp.log(float(count)))
    (log_abundances, log_weights, archetypes), path = jax.lax.scan(
        one_round, (uniform, log_weights, first), None, length=ROUNDS
    )

    def loss_of(run: tuple[Array, Array]) -> Array:
        log_abundances, archetypes = run
        return jnp.abs(pixels - jnp.exp(log_abundances).T @ archetypes).sum()

    losses = jax.lax.map(loss_of, (log_abundances, archetypes))
    weights = jax.nn.softmax(log_weights, axis=-1)
    return _Descent(weights, archetypes, losses, path.swapaxes(0, 1), step)


def _improve_abundances(
    log_abundances: Float[Array, "*runs endmembers pixels"],
    archetypes: Float[Array, "*runs endmembers bands"],
    projected: Float[Array, "*runs endmembers pixels"],
    step: Float[Array, "..."],
) -> Float[Array, "*runs endmembers pixels"]:
    """Take a round's entropic steps: minus the gradient, then back on the simplex."""
    gram = archetypes @ archetypes.swapaxes(-1, -2)
    for _ in range(STEPS):
        gradient = gram @ jnp.exp(log_abundances) - projected
        log_abundances = jax.nn.log_softmax(log_abundances - step * gradient, axis=-2)
    return log_abundances


def _replay(
    units: Float[np.ndarray, "pixels bands"], run: _Descent
) -> Float[np.ndarray, "pixels endmembers"]:
    """Repeat the steps of a run's abundances for any pixels."""
    parts = []
    for start in range(0, len(units), TILE):
        tile = units[start : start + TILE]
        padded = np.zeros((TILE, units.shape[1]), np.float32)
        padded[: len(tile)] = tile
        parts.append(np.asarray(_replay_tile(padded, run.path, run.step))[: len(tile)])
    abundances = np.concatenate(parts).astype(np.float64)
    return abundances / abundances.sum(axis=1, keepdims=True)


@jax.jit
def _replay_tile(
    pixels: Float[Array, "pixels bands"],
    path: Float[Array, "rounds endmembers bands"],
    step: Float[Array, "..."],
) -> Float[Array, "pixels endmembers"]:
    def one_round(log_abundances: Array, archetypes: Array):
        projected = archetypes @ pixels.T
        improved = _improve_abundances(log_abundances, archetypes, projected, step)
        return improved, None

    shape = (path.shape[1], len(pixels))
    uniform = jnp.full(shape, -jnp.log(float(path.shape[1])))
    return jnp.exp(jax.lax.scan(one_round, uniform, path)[0]).T
