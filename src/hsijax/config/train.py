"""Settings of `hsijax train`, with the published recipes as presets."""

from dataclasses import dataclass, fields
from itertools import pairwise
from typing import Any

from hsijax.config.checks import Range, check_choices, check_patch, check_ranges, option
from hsijax.config.scenes import check_scenes, listed
from hsijax.errors import UsageError


@dataclass(frozen=True)
class OdeSolver:
    """How the continuous block is integrated from t = 0 to t = 1.

    Fixed steps if `rtol` is None, else adaptive ones within the tolerances.
    """

    solver: str = "rk4"
    steps: int = 1  # of equal size; fixed-step integration only
    rtol: float | None = None
    atol: float | None = None
    step_control: str = "batch"  # or "sample": a step size of its own for each
    adjoint: str = "checkpoint"  # or "backsolve", "direct"; adaptive only


@dataclass(frozen=True)
class TrainConfig:
    """All that decides what `hsijax train` computes.

    A field is the command line's option of the same name. `config.toml` in a run
    folder holds one of these.
    """

    # The scene, or several as a tuple.
    dataset: str | tuple
    data_dir: str | None = None
    cube_key: str | None = None
    ground_truth: str | tuple | None = None  # FILE or FILE:KEY, one for each scene
    nodata: float | None = None
    scale: float | None = None  # the value that stands for reflectance 1
    test_dataset: str | tuple | None = None  # scenes that are only tested
    test_ground_truth: str | tuple | None = None
    # Which pixels train: a method, or the split file that holds them.
    split: str = "random"  # or "count", "blocks", "masks", "grss", "scenes", "file"
    frac: float = 0.05  # share of each class, rounded up; 1 only of "scenes"
    count: int | None = None  # pixels of each class
    train_mask: str | None = None
    test_mask: str | None = None
    split_file: str | None = None
    block_side: int | None = None  # pixels
    val_frac: float = 0.0  # share of the training pixels
    # The network.
    preset: str = "best"
    model: str = "odenet"
    architecture: str = "compact"
    patch: int = 9  # pixels; odd
    dropout: float = 0.3
    solver: str = "rk4"
    steps: int = 1
    rtol: float | None = None
    atol: float | None = None
    step_control: str = "batch"
    adjoint: str = "checkpoint"
    precision: str = "float32"  # or "bfloat16": of the 3x3 convolutions; on a GPU only
    # What the network sees.
    channels: int = 0  # components to keep; 0: all bands, or 30 components of "mnf"
    components: str = "pca"  # or "mnf", minimum noise fractions
    scaling: str = "standard"  # or "minmax", "none"
    fit: str = "train"  # or "scene": pixels that scaling and components come from
    diffuse: str = "none"  # or times of edge-preserving diffusion, as "12,60"
    edges: float = 4.0  # what stops the diffusion, in usual differences of neighbours
    padding: str = "reflect"  # or "zero": beyond the border of the scene
    # How it learns.
    epochs: int = 80
    batch: int = 64
    lr: float = 2e-3
    optimizer: str = "adamw"
    weight_decay: float = 1e-2
    schedule: str = "one-cycle"
    label_smoothing: float = 0.1
    augment: bool = True  # flips and quarter turns
    balance: str = "none"  # or "sampling", "loss": classes count alike, rare ones too
    # How often, and which epoch counts.
    runs: int = 1
    seed: int = 0
    select: str = "last"  # or "validation", "best-test"

    def __post_init__(self) -> None:
        """Check each value that has a range of its own."""
        check_ranges(self, RANGES)
        check_choices(self, CHOICES)
        for method, needs in NEEDS.items():
            if self.split == method and getattr(self, needs) is None:
                raise UsageError(f"--split {method} needs {option(needs)}")
        whole = self.split == "scenes" and self.frac == 1
        if not (0 < self.frac < 1 or whole):
            raise UsageError(f"--frac must lie between 0 and 1, not {self.frac:g}")
        check_scenes(self)
        check_patch(self.patch)
        if self.select == "validation" and not (
            self.val_frac or self.split in ("file",)
        ):
            raise UsageError(
                "--select validation needs validation pixels: give --val-frac"
            )
        if self.atol is not None and self.rtol is None:
            raise UsageError("--atol needs --rtol")
        _ = self.times

    @property
    def scenes(self) -> tuple[str, ...]:
        """All scenes, those that train before those that are only tested."""
        return listed(self.dataset) + listed(self.test_dataset)

    @property
    def times(self) -> tuple[float, ...]:
        """When the diffusing scene is looked at, in squares of the pixel's side.

        Raises:
            UsageError: they are no ascending positive numbers.
        """
        if self.diffuse == "none":
            return ()
        try:
            times = tuple(float(time) for time in self.diffuse.split(","))
        except ValueError:
            times = ()
        ascending = all(a < b for a, b in pairwise((0.0, *times)))
        if not times or not ascending or times[-1] > LONGEST:
            raise UsageError(
                f"--diffuse {self.diffuse}: give ascending times above 0 and up to "
                f"{LONGEST:g}, as 12,60, or none"
            )
        return times

    @property
    def fitted_patch(self) -> int:
        """Side of what components and diffusion are fitted to around a pixel, pixels.

        What is noise and what an edge takes neighbours to tell.
        """
        fitted = self.times or self.components == "mnf"
        return max(3, self.patch) if fitted else self.patch

    def kept_components(self, bands: int) -> int:
        """Components to keep of so many bands; 0 for the bands themselves."""
        if self.components == "mnf" and not self.channels:
            return min(FRACTIONS, bands)
        return self.channels

    def input_channels(self, bands: int) -> int:
        """Channels that a network gets from so many bands."""
        return (self.kept_components(bands) or bands) * max(1, len(self.times))

    @property
    def ode_solver(self) -> OdeSolver:
        """The solver's settings alone."""
        names = [field.name for field in fields(OdeSolver)]
        return OdeSolver(**{name: getattr(self, name) for name in names})


# Minimum noise fractions that are kept where no number is given.
FRACTIONS = 30
# Time of diffusion: as far as 280 pixels away, in a series of as many terms.
LONGEST = 1000.0

RANGES: list[Range] = [
    ("scale", 1e-12, 1e12),
    ("val_frac", 0.0, 0.9),
    ("count", 1, 10**9),
    ("block_side", 1, 10**6),
    ("patch", 1, 999),
    ("dropout", 0.0, 0.95),
    ("steps", 1, 10_000),
    ("rtol", 1e-12, 1.0),
    ("atol", 1e-15, 1.0),
    ("channels", 0, 10_000),
    ("edges", 1e-3, 1e6),
    ("epochs", 1, 1_000_000),
    ("batch", 1, 1_000_000),
    ("lr", 1e-12, 1e3),
    ("weight_decay", 0.0, 1e3),
    ("label_smoothing", 0.0, 0.9),
    ("runs", 1, 10_000),
    ("seed", 0, 2**32 - 1),
]

CHOICES: dict[str, list[str]] = {
    "split": ["random", "count", "blocks", "masks", "grss", "scenes", "file"],
    "step_control": ["batch", "sample"],
    "adjoint": ["checkpoint", "backsolve", "direct"],
    "precision": ["float32", "bfloat16"],
    "components": ["pca", "mnf"],
    "scaling": ["standard", "minmax", "none"],
    "fit": ["train", "scene"],
    "padding": ["reflect", "zero"],
    "balance": ["none", "sampling", "loss"],
    "select": ["last", "validation", "best-test"],
}

# The option that a way of splitting cannot do without.
NEEDS = {
    "count": "count",
    "masks": "train_mask",
    "scenes": "test_dataset",
    "file": "split_file",
}

# Published recipes, as what differs from the defaults above.
PRESETS: dict[str, dict[str, Any]] = {
    # A compact ODE-net on what diffusion makes of the scene. Sizes and times were
    # chosen on validation pixels of Indian Pines, see docs/networks.md.
    "best": {"patch": 5, "components": "mnf", "diffuse": "12,60"},
    # Paoletti et al., IGARSS 2019. Patch, scaling, batch, rate and epochs are not
    # printed there: they are the same group's habit of those months, and they come
    # out at the printed accuracy.
    "paper": {
        "architecture": "paper",
        "patch": 23,
        "dropout": 0.0,
        "solver": "dopri5",
        "rtol": 1e-3,
        "atol": 1e-3,
        "channels": 1,
        "scaling": "minmax",
        "fit": "scene",
        "padding": "zero",
        "epochs": 120,
        "batch": 100,
        "lr": 1e-3,
        "optimizer": "adam",
        "weight_decay": 0.0,
        "schedule": "constant",
        "label_smoothing": 0.0,
        "augment": False,
    },
}
