"""Mixtures of known abundances, simulated from spectra of the materials."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Float32

SMOOTHING = 2.0  # pixels; patches of one material are several times as wide
SHARPNESS = 3.0  # of the borders: the larger, the more pixels are nearly pure
FAINTEST = 0.05  # smaller abundances become 0

# Anything that np.random.default_rng takes, so that several draws can be told apart.
Seed = int | Sequence[int] | np.random.SeedSequence


def draw_abundances(
    shape: tuple[int, int], endmembers: int, seed: Seed
) -> Float[np.ndarray, "rows cols endmembers"]:
    """Draw maps of abundances that vary smoothly; some places are pure, some lack one.

    Smoothed noise, one field an endmember, becomes shares by the softmax function; the
    faint ones are cut off and the rest divided by its sum.

    >>> draw_abundances((20, 30), 3, seed=0).sum(axis=2).round(9).all()
    np.True_
    """
    # Here, because few scenes are simulated, and it takes 0.1 s to import.
    from scipy.ndimage import gaussian_filter

    noise = np.random.default_rng(seed).standard_normal((endmembers, *shape))
    fields = gaussian_filter(noise, (0, SMOOTHING, SMOOTHING))
    spread = fields.std(axis=(1, 2), keepdims=True)
    fields = fields / np.where(spread > 0, spread, 1)
    shares = np.exp(SHARPNESS * (fields - fields.max(axis=0)))
    shares /= shares.sum(axis=0)
    # The largest share is at least 1 / endmembers, so never all of them are faint.
    shares[shares < min(FAINTEST, 0.5 / endmembers)] = 0
    return np.moveaxis(shares / shares.sum(axis=0), 0, 2)


def mix(
    abundances: Float[np.ndarray, "rows cols endmembers"],
    bundles: Sequence[Float[np.ndarray, "_members bands"]],
    *,
    snr: float,
    variability: float,
    seed: Seed,
) -> Float32[np.ndarray, "rows cols bands"]:
    """Mix spectra by their abundances, with what makes real pixels differ from that.

    Each pixel draws one member of each bundle (the spectra of one material) and one
    positive factor of mean 1 for its brightness. White noise is added at the end.

    Args:
        abundances: sum to 1 in each pixel.
        bundles: one for each endmember; a single spectrum is a bundle of one.
        snr: mean square of the whole cube over that of the noise, in dB; infinite for
            none.
        variability: standard deviation of the factor.
        seed: of all draws.

    Source:
        Borsoi et al., "Spectral variability in hyperspectral data unmixing", IEEE
        Geoscience and Remote Sensing Magazine 9, 2021. doi:10.1109/MGRS.2021.3071158

    >>> one = mix(np.ones((1, 1, 1)), [np.ones((1, 3))], snr=np.inf, variability=0.0,
    ...           seed=0)
    >>> one
    array([[[1., 1., 1.]]], dtype=float32)
    """
    rng = np.random.default_rng(seed)
    rows, cols, _ = abundances.shape
    cube = np.zeros((rows, cols, bundles[0].shape[1]), dtype=np.float32)
    for share, bundle in zip(np.moveaxis(abundances, 2, 0), bundles, strict=True):
        members = rng.integers(len(bundle), size=(rows, cols))
        spectra = bundle.astype(np.float32)[members]
        cube += np.multiply(
            spectra, share[:, :, None], out=spectra, casting="same_kind"
        )
    if variability:
        # The mean of a gamma distribution is shape x scale, its variance that x scale.
        factor = rng.gamma(variability**-2, variability**2, size=(rows, cols, 1))
        cube *= factor.astype(np.float32)
    if np.isfinite(snr):
        power = np.square(cube, dtype=np.float64).mean() / 10 ** (snr / 10)
        noise = rng.standard_normal(cube.shape, dtype=np.float32)
        cube += np.float32(np.sqrt(power)) * noise
    return cube
