"""The opponents of our networks by name: their sources, recipes and published figures.

An opponent's recipe is what its authors print, as far as they do; `docs/opponents.md`
says what was changed and why.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from hsijax.config.train import OdeSolver


@dataclass(frozen=True)
class Opponent:
    """A classifier that others have published, and how it is trained here."""

    source: str
    # What differs from the defaults of `TrainConfig`.
    recipe: Mapping[str, Any] = field(default_factory=dict)
    # Settings that change nothing of it.
    idle: tuple[str, ...] = ()
    # Fewest bands or components that it takes.
    bands: int = 1
    # As published, of the network behind `figure`; None where we know of none.
    parameters: int | None = None
    # Published overall accuracy, %, and its protocol; None where we know of none.
    figure: str | None = None


# Of the frame and of the continuous block, which only our own networks have.
_CONTINUOUS = ("architecture", *(setting.name for setting in fields(OdeSolver)))
# Of what looks at one pixel alone.
_PIXEL = ("patch", "padding", "augment")
# Of networks, and of what learns in epochs.
_LEARNING = (
    *("dropout", "precision", "epochs", "batch", "lr", "optimizer", "weight_decay"),
    *("schedule", "label_smoothing", "balance", "select"),
)
_CLASSICAL = (*_CONTINUOUS, *_PIXEL, *_LEARNING)

# What no paper here does; give --augment, --label-smoothing to add it.
_PLAIN = {"weight_decay": 0.0, "label_smoothing": 0.0, "augment": False}

OPPONENTS: dict[str, Opponent] = {
    "1d-cnn": Opponent(
        "Hu et al., Deep convolutional neural networks for hyperspectral image "
        "classification, Journal of Sensors 2015, doi:10.1155/2015/258619",
        {
            **_PLAIN,
            "patch": 1,
            "dropout": 0.0,
            "epochs": 300,
            "batch": 100,
            "lr": 1e-2,
            "optimizer": "sgd",
            "schedule": "cosine",
        },
        (*_CONTINUOUS, *_PIXEL, "dropout", "precision"),
        parameters=81_408,
        figure="90.16 (Indian Pines, the 8 largest classes, 200 training pixels each)",
    ),
    "2d-cnn": Opponent(
        "Makantasis et al., Deep supervised learning for hyperspectral data "
        "classification through convolutional neural networks, IGARSS 2015, "
        "doi:10.1109/IGARSS.2015.7326945",
        {
            **_PLAIN,
            "patch": 5,
            "channels": 10,
            "dropout": 0.0,
            "epochs": 300,
            "lr": 1e-2,
            "optimizer": "sgd",
            "schedule": "cosine",
        },
        (*_CONTINUOUS, "dropout"),
    ),
    "3d-cnn": Opponent(
        "Li, Zhang and Shen, Spectral-spatial classification of hyperspectral imagery "
        "with 3D convolutional neural network, Remote Sensing 9 (1), 2017, "
        "doi:10.3390/rs9010067",
        {
            **_PLAIN,
            "patch": 5,
            "dropout": 0.0,
            "epochs": 200,
            "lr": 1e-2,
            "optimizer": "sgd",
            "schedule": "cosine",
        },
        (*_CONTINUOUS, "dropout", "precision"),
        bands=9,
        figure="99.07 (Indian Pines, half of the pixels for training)",
    ),
    "ssrn": Opponent(
        "Zhong et al., Spectral-spatial residual network for hyperspectral image "
        "classification: a 3-D deep learning framework, IEEE TGRS 56 (2), 2018, "
        "doi:10.1109/TGRS.2017.2755542",
        {
            **_PLAIN,
            "patch": 7,
            "padding": "zero",
            "dropout": 0.5,
            "epochs": 60,
            "batch": 16,
            "lr": 3e-4,
            "optimizer": "rmsprop",
            "schedule": "cosine",
        },
        _CONTINUOUS,
        bands=7,
        figure="99.44 (Indian Pines, 20 % for training; the authors' repository)",
    ),
    "spectral-transformer": Opponent(
        "Hong et al., SpectralFormer: rethinking hyperspectral image classification "
        "with transformers, IEEE TGRS 60, 2022, doi:10.1109/TGRS.2021.3130716",
        {
            **_PLAIN,
            "patch": 7,
            "scaling": "minmax",
            "dropout": 0.1,
            "epochs": 200,
            "lr": 5e-4,
            "optimizer": "adam",
            "schedule": "cosine",
        },
        (*_CONTINUOUS, "precision"),
        figure="81.76 (Indian Pines, a fixed split of 695 training pixels)",
    ),
    "svm": Opponent(
        "Melgani and Bruzzone, Classification of hyperspectral remote sensing images "
        "with support vector machines, IEEE TGRS 42 (8), 2004, "
        "doi:10.1109/TGRS.2004.831865",
        {"patch": 1},
        _CLASSICAL,
    ),
    "random-forest": Opponent(
        "Ham et al., Investigation of the random forest framework for classification "
        "of hyperspectral data, IEEE TGRS 43 (3), 2005, doi:10.1109/TGRS.2004.842481",
        {"patch": 1},
        _CLASSICAL,
    ),
    "knn": Opponent(
        "Cover and Hart, Nearest neighbor pattern classification, IEEE Transactions on "
        "Information Theory 13 (1), 1967, doi:10.1109/TIT.1967.1053964",
        {"patch": 1},
        _CLASSICAL,
    ),
}

# Those of scikit-learn; the others are networks.
CLASSICAL = ("svm", "random-forest", "knn")
# Our own networks, all in the same frame: the continuous block and its rivals.
OWN = ("odenet", "resnet", "resnet-tied", "resnet1", "no-block")
MODELS = (*OWN, *OPPONENTS)


def has_setting(model: str, name: str) -> bool:
    """Whether a setting changes anything that a classifier does.

    >>> has_setting("svm", "epochs"), has_setting("ssrn", "epochs")
    (False, True)
    """
    return model not in OPPONENTS or name not in OPPONENTS[model].idle
