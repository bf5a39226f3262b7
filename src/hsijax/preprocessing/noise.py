"""What in a scene is noise, by how neighbouring pixels differ."""

import numpy as np
from jaxtyping import Bool, Float

# More differences than this change a covariance of a few hundred bands no more.
MOST = 50_000
# Added to the noise of each band, as a share of the mean: with few differences some
# direction would seem to be without noise. The second times (bands / differences)^2, if
# that is more.
FLOOR, SCARCE = 1e-3, 0.1
# A spread below this share of a band's largest value is rounding, not signal.
CONSTANT = 1e-12


def neighbour_steps(
    cube: Float[np.ndarray, "rows cols bands"], chosen: Bool[np.ndarray, "rows cols"]
) -> Float[np.ndarray, "bonds bands"]:
    """Return the differences of neighbours, below and to the right, both chosen.

    At most 50,000, every so many of a larger scene, as float64.

    >>> row = np.array([[[1.0], [3.0], [7.0]]])
    >>> neighbour_steps(row, np.array([[True, True, False]]))
    array([[2.]])
    """
    below = np.argwhere(chosen[1:] & chosen[:-1])
    right = np.argwhere(chosen[:, 1:] & chosen[:, :-1])
    # Odd, so as not to fall on the same few columns of a scene in every row.
    every = -(-(len(below) + len(right) + 2) // MOST) | 1
    found = [
        cube[tuple((first + offset).T)].astype(np.float64) - cube[tuple(first.T)]
        for first, offset in ((below[::every], (1, 0)), (right[::every], (0, 1)))
    ]
    return np.concatenate(found)


def noise_fractions(
    centred: Float[np.ndarray, "pixels bands"],
    steps: Float[np.ndarray, "bonds bands"],
    components: int,
) -> Float[np.ndarray, "bands components"]:
    """Return the directions of largest signal over noise, of the same noise each.

    Green et al., A transformation for ordering multispectral data in terms of image
    quality with implications for noise removal, IEEE TGRS 26 (1), 1988: noise is how
    neighbours differ, here the half of them that differ least, because the others lie
    across edges. The largest entry of each direction is positive. A band that does not
    vary has no part in any.

    Args:
        centred: spectra less their mean.
        steps: from `neighbour_steps`.
        components: how many directions.
    """
    deviation = centred.std(axis=0)
    varies = deviation > CONSTANT * np.abs(centred).max(axis=0)
    deviation = np.where(varies, deviation, np.inf)
    steps = steps / deviation
    size = np.abs(steps).mean(axis=1)
    quiet = steps[size <= np.median(size)] if len(steps) else steps
    # Less their mean, which is a slope.
    noise = np.cov(quiet.T) if len(quiet) > 1 else np.eye(len(deviation))
    noise = np.atleast_2d(noise)
    level = np.trace(noise) / len(noise)
    floor = max(FLOOR, min(1.0, SCARCE * (len(noise) / max(1, len(quiet))) ** 2))
    noise += floor * (level if level > 0 else 1.0) * np.eye(len(noise))
    values, vectors = np.linalg.eigh(noise)
    whiten = vectors / np.sqrt(values)
    signal = whiten.T @ np.atleast_2d(np.cov((centred / deviation).T)) @ whiten
    rotate = np.linalg.eigh(signal)[1][:, ::-1][:, :components]
    directions = (whiten @ rotate) / deviation[:, None]
    largest = np.abs(directions).argmax(axis=0)
    return directions * np.sign(directions[largest, np.arange(components)])
