"""How many endmembers a scene has: HFC and HySime."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Real
from scipy.stats import norm

from hsijax.errors import HsijaxError
from hsijax.unmixing.extraction import usable_pixels
from hsijax.unmixing.subspace import measure_moments

FALSE_ALARM_RATES = (1e-3, 1e-4, 1e-5)

# Powers below this share of a band's mean power are rounding: keeps the matrix of a
# regression regular, and spectra without noise from having signal in all dimensions.
ROUNDING = 1e-10


class Counts(NamedTuple):
    """Two estimates of how many endmembers there are; HySime's is the one to use."""

    hysime: int
    hfc_by_rate: dict[float, int]  # by false-alarm rate

    @property
    def hfc(self) -> int:
        """The estimate of HFC at the largest false-alarm rate, 0.001."""
        return self.hfc_by_rate[FALSE_ALARM_RATES[0]]


def count_endmembers(spectra: Real[np.ndarray, "pixels bands"]) -> Counts:
    """Estimate the number of endmembers from the spectra alone, on any scale.

    HySime estimates the noise and HFC does not, which makes HFC too high where the
    noise differs from band to band; so it is HySime's number that `--count auto` takes.

    Raises:
        HsijaxError: there are no more pixels than bands, from which no noise can be
            told.
    """
    values = spectra[usable_pixels(spectra)].astype(np.float64)
    pixels, bands = values.shape
    if pixels <= bands:
        raise HsijaxError(
            f"cannot tell how many endmembers there are: it takes more pixels than "
            f"bands, and there are {pixels} and {bands}; give --count N"
        )
    with jax.enable_x64(True):
        covariance, correlation, counted = _analyse(jnp.asarray(values))
    return Counts(
        int(counted), _hfc(np.asarray(covariance), np.asarray(correlation), pixels)
    )


@jax.jit
def _analyse(
    spectra: Float[Array, "pixels bands"],
) -> tuple[Float[Array, " bands"], Float[Array, " bands"], Int[Array, ""]]:
    """Return the eigenvalues that HFC compares, and the count of HySime."""
    moments = measure_moments(spectra)
    return (
        jnp.linalg.eigvalsh(moments.covariance)[::-1],
        jnp.linalg.eigvalsh(moments.correlation)[::-1],
        _hysime(moments.correlation, len(spectra)),
    )


def _hysime(correlation: Float[Array, "bands bands"], pixels: int) -> Int[Array, ""]:
    """Count the dimensions in which the signal's power exceeds the noise's.

    The noise of a band is what a regression on all other bands leaves.

    Two things differ from the paper where there are few pixels (below six times the
    bands), which else have noise counted as signal. The noise's power is divided by
    the degrees of freedom that are left, not by the pixels; and a dimension must have
    as many times that power as the strongest direction of pure noise comes to by
    chance (Marchenko and Pastur), not only twice.

    Source:
        Bioucas-Dias and Nascimento, "Hyperspectral subspace identification", IEEE
        TGRS 46, 2008, section II and equations 15 to 24.
        doi:10.1109/TGRS.2008.918089
    """
    bands = len(correlation)
    rounding = ROUNDING * jnp.trace(correlation) / bands * jnp.eye(bands)
    # Residuals of all regressions at once: spectra @ weights.
    inverse = jnp.linalg.inv(correlation + rounding)
    weights = inverse / jnp.diag(inverse)
    noise = jnp.diag(weights.T @ correlation @ weights)
    signal_part = jnp.eye(bands) - weights
    signal = signal_part.T @ correlation @ signal_part
    axes = jnp.linalg.eigh((signal + signal.T) / 2)[1]
    noise *= pixels / (pixels - bands + 1)
    noise_power = jnp.square(axes).T @ (noise + jnp.diag(rounding))
    power = (axes * (correlation @ axes)).sum(axis=0)
    threshold = max(2.0, (1 + (bands / pixels) ** 0.5) ** 2)
    return (threshold * noise_power < power).sum()


def _hfc(
    covariance: Float[np.ndarray, " bands"],
    correlation: Float[np.ndarray, " bands"],
    pixels: int,
) -> dict[float, int]:
    """Count the eigenvalues that the mean makes larger than chance does.

    Source:
        Chang and Du, "Estimation of number of spectrally distinct signal sources in
        hyperspectral imagery", IEEE TGRS 42, 2004, section III (the method of
        Harsanyi, Farrand and Chang, 1993). doi:10.1109/TGRS.2003.819189
    """
    deviations = np.sqrt(2 / pixels * (covariance**2 + correlation**2))
    above = np.where(
        correlation > ROUNDING * correlation.mean(), correlation - covariance, 0
    )
    return {
        rate: int(np.count_nonzero(above > norm.isf(rate) * deviations))
        for rate in FALSE_ALARM_RATES
    }
