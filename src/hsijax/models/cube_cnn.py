"""The cube-based network: a square of spectra to the abundances of its centre.

1,601,330 parameters for 3x3 pixels, 198 bands and 4 endmembers.

Source:
    Zhang et al., "Hyperspectral unmixing via deep convolutional neural networks", IEEE
    GRSL 2018, Table I and Fig. 1. doi:10.1109/LGRS.2018.2857804
"""

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from hsijax.models.abundance_head import AbundanceHead
from hsijax.models.spectral import check_bands, make_layers, pooled_length

MAPS = (16, 32, 64, 128)


class CubeCnn(nnx.Module):
    """Four convolutions (5x1x1, 4x1x1, 5x1x1, 4x1x1), each pooled, then F10 and F11.

    The kernels reach along the spectrum only, so each pixel of the square is filtered
    for itself, and F10 is the first to see them together; its inputs come pixel by
    pixel, in each place by place along the spectrum, in each map by map. There is
    dropout after the third and the fourth convolution.

    So a pixel that lies in several patches needs filtering only once: see
    `unmix_squares`.
    """

    def __init__(
        self,
        bands: int,
        endmembers: int,
        *,
        patch_side: int = 3,
        hidden: int = 150,
        dropout: float = 0.2,
        output: str = "sigmoid",
        neighbours: float = 1.0,
        rngs: nnx.Rngs,
    ):
        check_bands(bands, "cube-cnn")
        self.patch_side = patch_side
        self.neighbours = neighbours
        self.layers = nnx.List(make_layers(MAPS, rngs=rngs))
        self.dropout = nnx.Dropout(dropout)
        self.head = AbundanceHead(
            patch_side**2 * pooled_length(bands) * MAPS[-1],
            endmembers,
            hidden=hidden,
            output=output,
            rngs=rngs,
        )

    def __call__(
        self,
        patches: Float[Array, "batch side side bands"],
        *,
        rngs: nnx.Rngs | None = None,
    ) -> Float[Array, "batch endmembers"]:
        """Return log abundances; `rngs` is needed only while training with dropout."""
        return self.unmix_squares(patches, rngs=rngs)[:, 0, 0]

    def unmix_squares(
        self,
        squares: Float[Array, "batch wide wide bands"],
        *,
        rngs: nnx.Rngs | None = None,
    ) -> Float[Array, "batch side side endmembers"]:
        """Return log abundances of each pixel whose patch lies in its square.

        They are those of the patches one by one, at a fraction of the work.
        """
        batch, wide = squares.shape[:2]
        hidden = squares.reshape(-1, squares.shape[-1], 1)
        for number, layer in enumerate(self.layers):
            hidden = layer.batch_first(hidden)
            if number >= 2:
                hidden = self.dropout(hidden, rngs=rngs)
        hidden = hidden.reshape(batch, wide, wide, -1)
        side = wide - self.patch_side + 1
        around = range(self.patch_side)
        centre = self.patch_side // 2
        views = [
            hidden[:, r : r + side, c : c + side]
            * (1.0 if r == c == centre else self.neighbours)
            for r in around
            for c in around
        ]
        return self.head(jnp.concatenate(views, axis=-1))
