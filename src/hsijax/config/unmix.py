"""Settings of `hsijax unmix`, with the published recipes as presets."""

from dataclasses import dataclass
from typing import Any

from hsijax.config.checks import (
    RASTER_FORMATS,
    Range,
    check_choices,
    check_patch,
    check_ranges,
)
from hsijax.errors import UsageError

# What each method needs. Solvers are given the endmembers, learners are shown pixels
# whose abundances are known, blind methods get the cube alone.
SOLVERS = ("fcls", "nnls", "ucls", "scls", "sunsal", "mesma")
NETWORKS = ("pixel-cnn", "cube-cnn")
LEARNERS = (*NETWORKS, "aann", "pca-net", "esvm")
BLIND = ("edaa",)
METHODS = (*SOLVERS, *LEARNERS, *BLIND)
LEAST_SQUARES = ("fcls", "nnls", "ucls", "scls")
GRADUAL = (*NETWORKS, "aann", "pca-net")  # learn in epochs

# The settings that not every method has, and the methods that have them.
OWNERS: dict[str, tuple[str, ...]] = {
    "robust": (*SOLVERS, *LEARNERS),
    "sparsity": ("sunsal",),
    "largest": ("mesma",),
    "norm": (*LEAST_SQUARES, *LEARNERS),
    "scaling": LEARNERS,
    **dict.fromkeys(("patch", "hidden", "dropout", "neighbours"), NETWORKS),
    **dict.fromkeys(("square", "augment"), NETWORKS),
    **dict.fromkeys(("width", "components"), ("aann", "pca-net")),
    "pure": ("esvm",),
    **dict.fromkeys(("output", "targets", "epochs", "batch", "lr"), GRADUAL),
    **dict.fromkeys(("optimizer", "weight_decay", "schedule"), GRADUAL),
    **dict.fromkeys(("val_frac", "select"), GRADUAL),
    **dict.fromkeys(("mixtures", "snr", "variability", "controls"), LEARNERS),
}


def has_setting(model: str, name: str) -> bool:
    """Whether a setting changes anything that a method does.

    >>> has_setting("fcls", "epochs"), has_setting("aann", "epochs")
    (False, True)
    """
    return model in OWNERS.get(name, METHODS)


@dataclass(frozen=True)
class UnmixConfig:
    """All that decides what `hsijax unmix` computes; the defaults are preset `best`.

    A field is the command line's option of the same name. `config.toml` in a run
    folder holds one of these.
    """

    # The scene.
    scene: str
    data_dir: str | None = None
    cube_key: str | None = None
    ground_truth: str | None = None  # FILE or FILE:KEY, of reference abundances
    nodata: float | None = None
    scale: float | None = None  # the cube's values are divided by it
    # The method, and the endmembers that it is given.
    model: str = "fcls"
    preset: str = "best"
    endmembers: str | None = None  # FILE, or "vca", "nfindr", "spa", "ppi"
    count: int | None = None  # of endmembers to look for; None estimates it
    robust: bool = False  # look for endmembers away from outliers
    sparsity: float = 1e-3  # sunsal: weight of the sum of abundances
    largest: int = 3  # mesma: most materials in a pixel, shade aside
    # Which pixels train.
    split: str = "both"  # random and blocks; or one of them, or "file"
    frac: float = 0.75
    split_file: str | None = None
    block_side: int | None = None  # pixels
    # Block splits keep patches of this side apart at least, so that methods of single
    # pixels and of smaller patches are tested on the same pixels.
    apart: int = 3
    val_frac: float = 0.0  # share of the training pixels
    # The network.
    patch: int = 1  # pixels; odd
    hidden: int = 150  # units of the layer F10
    dropout: float = 0.0
    neighbours: float = 1.0  # cube-cnn: weight of a patch's pixels but its centre
    output: str = "sigmoid"  # divided by their sum, or "softmax"
    targets: str = "abundances"  # or "binary": the largest one alone
    # Of each spectrum, also of the endmembers: "none", "l1", "l2" or "max".
    norm: str = "l2"
    scaling: str = "standard"  # of each band after that, or "minmax" or "none"
    width: int = 30  # aann: units of its hidden layers
    components: int = 4  # aann: units of its bottleneck; pca-net: components
    pure: float = 0.9  # esvm: abundance from which a pixel counts as pure
    # How it learns.
    epochs: int = 100
    batch: int = 100  # pixels
    # Side of the squares of pixels that train together: cube-cnn filters a pixel once
    # for all patches of a square that hold it.
    square: int = 1
    lr: float = 2e-3
    optimizer: str = "adam"
    weight_decay: float = 0.0
    schedule: str = "cosine"
    augment: bool = False  # flips and quarter turns
    # Mixtures to learn from where no abundances are known.
    mixtures: int = 10_000
    snr: float = 40.0  # dB
    variability: float = 0.1  # standard deviation of a spectrum's scale
    controls: bool = True  # measure what needs no network on the same pixels, too
    # How often, and which epoch counts.
    runs: int = 1
    seed: int = 0
    select: str = "last"  # or "validation"
    format: str = "auto"  # of the maps, or "geotiff" or "envi"

    def __post_init__(self) -> None:
        """Check each value that has a range of its own."""
        check_ranges(self, RANGES)
        check_choices(self, CHOICES)
        check_patch(self.patch)
        if not 0 < self.frac < 1:
            raise UsageError(f"--frac must lie between 0 and 1, not {self.frac:g}")
        if self.split == "file" and self.split_file is None:
            raise UsageError("--split file needs --split-file")
        if self.select == "validation" and not (self.val_frac or self.split == "file"):
            raise UsageError(
                "--select validation needs validation pixels: give --val-frac"
            )

    @property
    def learns(self) -> bool:
        """Whether the method needs pixels of known abundances."""
        return self.model in LEARNERS


RANGES: list[Range] = [
    ("scale", 1e-12, 1e12),
    ("count", 2, 200),
    ("sparsity", 0.0, 1e3),
    ("largest", 1, 3),
    ("val_frac", 0.0, 0.9),
    ("block_side", 1, 10**6),
    ("apart", 1, 99),
    ("patch", 1, 99),
    ("hidden", 1, 100_000),
    ("dropout", 0.0, 0.95),
    ("neighbours", 0.0, 1.0),
    ("width", 1, 100_000),
    ("components", 1, 10_000),
    ("pure", 0.0, 1.0),
    ("epochs", 1, 1_000_000),
    ("batch", 1, 1_000_000),
    ("square", 1, 1_000),
    ("lr", 1e-12, 1e3),
    ("weight_decay", 0.0, 1e3),
    ("mixtures", 100, 10**8),
    ("snr", 0.0, 200.0),
    ("variability", 0.0, 1.0),
    ("runs", 1, 10_000),
    ("seed", 0, 2**32 - 1),
]

CHOICES: dict[str, list[str]] = {
    "model": list(METHODS),
    "split": ["both", "random", "blocks", "file"],
    "output": ["sigmoid", "softmax"],
    "targets": ["abundances", "binary"],
    "norm": ["none", "l1", "l2", "max"],
    "scaling": ["standard", "minmax", "none"],
    "select": ["last", "validation"],
    "format": RASTER_FORMATS,
}

# Zhang et al., GRSL 2018; the layer F10, the dropout rate and the epochs are not
# printed. The rates are those of Jasper Ridge.
_PAPER: dict[str, Any] = {
    "norm": "none",
    "scaling": "none",
    "optimizer": "adagrad",
    "schedule": "constant",
}

# What differs from the defaults above, by preset and by method.
UNMIX_PRESETS: dict[str, dict[str, dict[str, Any]]] = {
    "best": {
        **{model: {"norm": "none"} for model in LEAST_SQUARES},
        "pixel-cnn": {"epochs": 200, "lr": 5e-3, "schedule": "one-cycle"},
        "cube-cnn": {
            "patch": 3,
            "neighbours": 0.02,
            "output": "softmax",
            "epochs": 30,
            "batch": 50,
            "square": 5,
            "lr": 5e-3,
            "schedule": "one-cycle",
            "augment": True,
        },
        "aann": {"epochs": 700, "lr": 1e-2},
        "pca-net": {"epochs": 700, "lr": 1e-2},
    },
    "paper": {
        "pixel-cnn": _PAPER | {"lr": 1e-2, "epochs": 200},
        "cube-cnn": _PAPER | {"patch": 3, "dropout": 0.2, "lr": 5e-4, "epochs": 200},
        "aann": {"norm": "none", "epochs": 700, "lr": 1e-2},
        "pca-net": {"norm": "none", "epochs": 700, "lr": 1e-2},
        "esvm": {"norm": "none", "scaling": "none"},
    },
}
