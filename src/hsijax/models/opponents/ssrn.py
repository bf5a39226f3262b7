"""SSRN, the spectral-spatial residual network: 364,168 parameters at 200 bands.

The spectral half looks at each pixel alone, so that it is a stem: a prediction does
it once for a scene. The spatial half is the head.

Source:
    Zhong et al., "Spectral-spatial residual network for hyperspectral image
    classification: a 3-D deep learning framework", IEEE TGRS 56 (2), 2018, Fig. 3.
    doi:10.1109/TGRS.2017.2755542

Every batch norm of the paper is a group norm of one group here, with as many
parameters: of a pixel's bands and maps in the spectral half, of a patch's pixels and
maps in the spatial one. A batch norm's running statistics would be a second kind of
state beside the parameters.
"""

from typing import ClassVar

import jax
import jax.numpy as jnp
from flax import nnx
from jax import lax
from jaxtyping import Array, Float

from hsijax.errors import UsageError
from hsijax.models.layers import Convolution, GroupNorm, norm_relu
from hsijax.models.opponents.along_bands import AlongBands, PixelNorm

MAPS, WIDE = 24, 128
TAPS = 7
# Of a scene, at once: the maps of all of them would take 24 * bands / 2 numbers each.
PIXELS = 4096


class SpectralBlock(nnx.Module):
    """Two convolutions of 1x1x7 with a shortcut (Fig. 1)."""

    def __init__(self, *, rngs: nnx.Rngs):
        self.conv1 = AlongBands(TAPS, MAPS, MAPS, padding="SAME", rngs=rngs)
        self.norm1 = PixelNorm(MAPS)
        self.conv2 = AlongBands(TAPS, MAPS, MAPS, padding="SAME", rngs=rngs)
        self.norm2 = PixelNorm(MAPS)

    def __call__(
        self, spectra: Float[Array, "pixels bands maps"]
    ) -> Float[Array, "pixels bands maps"]:
        """Return the spectra after the block."""
        residual = jax.nn.relu(self.norm1(self.conv1(spectra)))
        residual = self.norm2(self.conv2(residual))
        return jax.nn.relu(spectra + residual)


class SpatialBlock(nnx.Module):
    """Two convolutions of 3x3 with a shortcut (Fig. 2)."""

    def __init__(self, *, rngs: nnx.Rngs):
        self.conv1 = Convolution(MAPS, MAPS, bias=True, rngs=rngs)
        self.norm1 = GroupNorm(MAPS, 1)
        self.conv2 = Convolution(MAPS, MAPS, bias=True, rngs=rngs)
        self.norm2 = GroupNorm(MAPS, 1)

    def __call__(
        self, maps: Float[Array, "batch side side maps"]
    ) -> Float[Array, "batch side side maps"]:
        """Return the maps after the block."""
        residual = norm_relu(self.norm1, self.conv1(maps))
        residual = self.norm2(self.conv2(residual))
        return jax.nn.relu(maps + residual)


class SpectralHalf(nnx.Module):
    """Each pixel's spectrum to 128 maps."""

    pointwise: ClassVar[bool] = True  # whether pixels are looked at one by one

    def __init__(self, channels: int, *, rngs: nnx.Rngs):
        if channels < TAPS:
            raise UsageError(
                f"ssrn needs {TAPS} bands or more, and gets {channels}: give another "
                "--model"
            )
        self.maps = WIDE
        halved = (channels - TAPS) // 2 + 1
        self.conv1 = AlongBands(TAPS, 1, MAPS, stride=2, rngs=rngs)
        self.norm1 = PixelNorm(MAPS)
        self.block1 = SpectralBlock(rngs=rngs)
        self.block2 = SpectralBlock(rngs=rngs)
        # A kernel as long as the spectrum is a matrix.
        self.conv2 = nnx.Linear(halved * MAPS, WIDE, rngs=rngs)
        self.norm2 = PixelNorm(WIDE)

    def __call__(
        self, patches: Float[Array, "batch rows cols channels"]
    ) -> Float[Array, "batch rows cols maps"]:
        """Return spectral features, of patches or of a whole scene."""
        pixels = patches.reshape(-1, patches.shape[3])
        # A batch of patches is learned from: there, all maps are kept in any case.
        if len(patches) == 1 and len(pixels) > PIXELS:
            found = self._part_by_part(pixels)
        else:
            found = self._features(pixels)
        return found.reshape(*patches.shape[:3], WIDE)

    def _part_by_part(
        self, pixels: Float[Array, "pixels bands"]
    ) -> Float[Array, "pixels maps"]:
        parts = -(-len(pixels) // PIXELS)
        size = -(-len(pixels) // parts)
        filled = jnp.pad(pixels, ((0, parts * size - len(pixels)), (0, 0)))
        found = lax.map(self._features, filled.reshape(parts, size, -1))
        return found.reshape(-1, WIDE)[: len(pixels)]

    def _features(
        self, pixels: Float[Array, "pixels bands"]
    ) -> Float[Array, "pixels maps"]:
        spectra = jax.nn.relu(self.norm1(self.conv1(pixels[..., None])))
        spectra = self.block2(self.block1(spectra))
        wide = self.conv2(spectra.reshape(len(spectra), 1, -1))
        return jax.nn.relu(self.norm2(wide))[:, 0]


class SpatialHalf(nnx.Module):
    """From the spectral features of a patch to its class."""

    def __init__(
        self, channels: int, classes: int, patch: int, dropout: float, *, rngs: nnx.Rngs
    ):
        if patch < 3:
            raise UsageError(f"ssrn needs --patch 3 or more, not {patch}")
        self.conv = Convolution(channels, MAPS, padding=0, bias=True, rngs=rngs)
        self.norm = GroupNorm(MAPS, 1)
        self.block1 = SpatialBlock(rngs=rngs)
        self.block2 = SpatialBlock(rngs=rngs)
        self.dropout = nnx.Dropout(dropout)
        self.output = nnx.Linear(MAPS, classes, rngs=rngs)

    def __call__(
        self,
        maps: Float[Array, "batch side side maps"],
        *,
        rngs: nnx.Rngs | None = None,
    ) -> Float[Array, "batch classes"]:
        """Return class logits."""
        maps = norm_relu(self.norm, self.conv(maps))
        maps = self.block2(self.block1(maps))
        return self.output(self.dropout(maps.mean((1, 2)), rngs=rngs))
