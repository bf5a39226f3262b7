"""Published networks that ours are compared with, one a file.

A new one is one row of `OPPONENTS` and one of `hsijax.config.opponents`. Most are a
head alone: nothing is done to single pixels before. None has a block in the middle.
"""

from flax import nnx

from hsijax.models.base import Classifier, SamePixels
from hsijax.models.blocks import ResidualBlock
from hsijax.models.compact import BLOCK
from hsijax.models.opponents.cnn_1d import Cnn1d
from hsijax.models.opponents.cnn_2d import Cnn2d
from hsijax.models.opponents.cnn_3d import Cnn3d
from hsijax.models.opponents.spectral_transformer import SpectralTransformer
from hsijax.models.opponents.ssrn import SpatialHalf, SpectralHalf

Stem = type[SamePixels | SpectralHalf]
Head = type[Cnn1d | Cnn2d | Cnn3d | SpatialHalf | SpectralTransformer]

OPPONENTS: dict[str, tuple[Stem, Head]] = {
    "1d-cnn": (SamePixels, Cnn1d),
    "2d-cnn": (SamePixels, Cnn2d),
    "3d-cnn": (SamePixels, Cnn3d),
    "ssrn": (SpectralHalf, SpatialHalf),
    "spectral-transformer": (SamePixels, SpectralTransformer),
}


def make_opponent(
    model: str,
    *,
    channels: int,
    classes: int,
    patch: int,
    dropout: float,
    rngs: nnx.Rngs,
) -> Classifier:
    """Make a published network with new weights.

    Args:
        model: a name in `OPPONENTS`.
        channels: of the patches: bands or principal components.
        classes: number of logits.
        patch: side of the patches, pixels.
        dropout: as the network has it; some have none.
        rngs: where the weights come from.

    Raises:
        UsageError: it cannot have so few channels, or patches of this side.
    """
    make_stem, make_head = OPPONENTS[model]
    stem = make_stem(channels, rngs=rngs)
    head = make_head(stem.maps, classes, patch, dropout, rngs=rngs)
    return Classifier(stem, ResidualBlock(BLOCK, 0, rngs=rngs), head)
