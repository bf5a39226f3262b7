"""The methods that learn abundances from pixels that have them."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from hsijax.unmixing.aann import TrainedAann, fit_aann, fit_pca_network
from hsijax.unmixing.esvm import TrainedEsvm, fit_esvm
from hsijax.unmixing.lesson import Fit, Unmixer
from hsijax.unmixing.networks import TrainedNetwork, fit_network


class Learner(NamedTuple):
    """How a method learns, and how what it learned comes back from its file."""

    fit: Fit
    load: Callable[[Path], Unmixer]


LEARNERS = {
    "pixel-cnn": Learner(fit_network, TrainedNetwork.load),
    "cube-cnn": Learner(fit_network, TrainedNetwork.load),
    "aann": Learner(fit_aann, TrainedAann.load),
    "pca-net": Learner(fit_pca_network, TrainedAann.load),
    "esvm": Learner(fit_esvm, TrainedEsvm.load),
}
