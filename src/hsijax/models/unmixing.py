"""The unmixing networks by name."""

from flax import nnx

from hsijax.errors import lookup
from hsijax.models.cube_cnn import CubeCnn
from hsijax.models.pixel_cnn import PixelCnn

# Patches [N S S B] in, log abundances [N R] out.
AbundanceNetwork = PixelCnn | CubeCnn
NETWORKS: dict[str, type[AbundanceNetwork]] = {
    "pixel-cnn": PixelCnn,
    "cube-cnn": CubeCnn,
}


def make_unmixer(
    model: str,
    *,
    bands: int,
    endmembers: int,
    patch_side: int,
    hidden: int,
    dropout: float,
    output: str,
    neighbours: float = 1.0,
    rngs: nnx.Rngs,
) -> AbundanceNetwork:
    """Make a network with new weights.

    Args:
        model: "pixel-cnn" or "cube-cnn".
        bands: of the spectra.
        endmembers: number of abundances.
        patch_side: odd, in pixels; 1 for the pixel-based network.
        hidden: units of the layer F10.
        dropout: share of the features of the third and fourth convolution that is
            dropped while training.
        output: "sigmoid" for eq. (1) of the paper, or "softmax".
        neighbours: what the features of all but the centre of a patch are multiplied
            by. The network can express the same whatever it is, but learns more from
            the centre if it is small.
        rngs: where the weights come from.

    Raises:
        UsageError: an unknown name, too few bands, or a patch for pixel-cnn.
    """
    network = lookup(NETWORKS, model, "network")
    return network(
        bands,
        endmembers,
        patch_side=patch_side,
        hidden=hidden,
        dropout=dropout,
        output=output,
        neighbours=neighbours,
        rngs=rngs,
    )
