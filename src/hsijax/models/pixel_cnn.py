"""The pixel-based network: one spectrum to its abundances.

34,798 parameters for 198 bands and 4 endmembers.

Source:
    Zhang et al., "Hyperspectral unmixing via deep convolutional neural networks", IEEE
    GRSL 2018, Table I. doi:10.1109/LGRS.2018.2857804
"""

from flax import nnx
from jaxtyping import Array, Float

from hsijax.errors import UsageError
from hsijax.models.abundance_head import AbundanceHead
from hsijax.models.spectral import check_bands, make_layers, pooled_length

MAPS = (3, 6, 12, 24)


class PixelCnn(nnx.Module):
    """Four spectral convolutions (1x5, 1x4, 1x5, 1x4), each pooled, then F10 and F11.

    The batch is the last axis up to F10, whose inputs come map by map, as in PyTorch.
    """

    def __init__(
        self,
        bands: int,
        endmembers: int,
        *,
        patch_side: int = 1,
        hidden: int = 150,
        dropout: float = 0.0,
        output: str = "sigmoid",
        neighbours: float = 1.0,
        rngs: nnx.Rngs,
    ):
        del neighbours  # there are none
        if patch_side != 1:
            raise UsageError(
                f"pixel-cnn sees one pixel: leave out --patch {patch_side}, or give "
                "--model cube-cnn"
            )
        check_bands(bands, "pixel-cnn")
        self.layers = nnx.List(make_layers(MAPS, rngs=rngs))
        self.dropout = nnx.Dropout(dropout)
        self.head = AbundanceHead(
            MAPS[-1] * pooled_length(bands),
            endmembers,
            hidden=hidden,
            output=output,
            rngs=rngs,
        )

    def __call__(
        self,
        patches: Float[Array, "batch 1 1 bands"],
        *,
        rngs: nnx.Rngs | None = None,
    ) -> Float[Array, "batch endmembers"]:
        """Return log abundances; `rngs` is needed only while training with dropout."""
        return self.unmix_squares(patches, rngs=rngs)[:, 0, 0]

    def unmix_squares(
        self,
        squares: Float[Array, "batch side side bands"],
        *,
        rngs: nnx.Rngs | None = None,
    ) -> Float[Array, "batch side side endmembers"]:
        """Return log abundances of each pixel of squares."""
        hidden = squares.reshape(-1, squares.shape[-1]).T[None]
        for number, layer in enumerate(self.layers):
            hidden = layer.batch_last(hidden)
            if number >= 2:
                hidden = self.dropout(hidden, rngs=rngs)
        found = self.head(hidden.reshape(-1, hidden.shape[-1]).T)
        return found.reshape(*squares.shape[:3], -1)
