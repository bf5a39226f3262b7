"""What a learner of abundances is shown, and what it is afterwards."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float, Int

from hsijax.config import UnmixConfig
from hsijax.training.course import Epoch


@dataclass(frozen=True, eq=False)
class Lesson:
    """A cube in reflectance, its abundances, and the pixels to learn from.

    Pixels without data are 0 in the cube and not among `train` and `validation`.
    """

    cube: Float[np.ndarray, "rows cols bands"]  # float32
    valid: Bool[np.ndarray, "rows cols"]
    abundances: Float[np.ndarray, "rows cols endmembers"]
    train: Int[np.ndarray, "n_train 2"]
    validation: Int[np.ndarray, "n_validation 2"]


@runtime_checkable
class Unmixer(Protocol):
    """A method that has learned."""

    @property
    def parameters(self) -> int:
        """Number of trainable values."""
        ...

    @property
    def seconds(self) -> float:
        """Time that training took."""
        ...

    @property
    def epoch(self) -> int:
        """The epoch that counts; 0 where there are none."""
        ...

    def predict(
        self,
        cube: Float[np.ndarray, "rows cols bands"],
        valid: Bool[np.ndarray, "rows cols"],
        pixels: Int[np.ndarray, "pixels 2"],
    ) -> Float[np.ndarray, "pixels endmembers"]:
        """Return the abundances of some pixels, on the simplex."""
        ...

    def save(self, path: Path) -> None:
        """Write what was learned to a safetensors file."""
        ...


# fit(config, lesson, run, checkpoint, on_epoch): `run` is the run's number, from which
# with the seed all randomness follows; `checkpoint` is the file that an interrupted
# training goes on from.
Fit = Callable[[UnmixConfig, Lesson, int, Path, Callable[[Epoch], None]], Unmixer]
