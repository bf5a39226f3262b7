"""Extended support vector machines (eSVM): fractions from the margins between classes.

Source:
    Wang and Jia, "Integration of soft and hard classifications using extended support
    vector machines", IEEE GRSL 6(3), 2009. doi:10.1109/LGRS.2009.2020924
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, Int

from hsijax.config import UnmixConfig
from hsijax.errors import HsijaxError
from hsijax.preprocessing import to_arrays
from hsijax.training.checkpoint import load_arrays, read_metadata, save_checkpoint
from hsijax.training.course import Epoch
from hsijax.unmixing.inputs import Inputs, fit_inputs, restore_preprocessing, values_at
from hsijax.unmixing.lesson import Lesson
from hsijax.unmixing.margins import Machine, train_machine

_logger = logging.getLogger("hsijax")

FOLDS = 5
# Penalties, and widths of the kernel in units of 1 / (channels * variance).
PENALTIES = (0.1, 1.0, 10.0, 100.0, 1000.0)
GAMMAS = (0.001, 0.01, 0.1, 1.0)
# Most pure pixels of a class to train on; the rest would move no margin and cost time.
MOST_PURE = 2000


@dataclass(frozen=True, eq=False)
class TrainedEsvm:
    """Support vectors with all that a spectrum goes through before it meets them."""

    inputs: Inputs
    machine: Machine
    penalty: float
    seconds: float  # that training took
    epoch: int = 0  # there are none

    @property
    def parameters(self) -> int:
        """Number of coefficients that are not zero, and intercepts."""
        machine = self.machine
        return int(np.count_nonzero(machine.coefficients)) + len(machine.intercepts)

    def predict(
        self,
        cube: Float[np.ndarray, "rows cols bands"],
        valid: Bool[np.ndarray, "rows cols"],
        pixels: Int[np.ndarray, "pixels 2"],
    ) -> Float[np.ndarray, "pixels endmembers"]:
        """Return the abundances of some pixels, on the simplex.

        Raises:
            HsijaxError: the cube has other bands than the method was trained on.
        """
        return self.machine.unmix(self.inputs.at(cube, pixels).astype(np.float64))

    def save(self, path: Path) -> None:
        """Write what was learned to a safetensors file."""
        machine = self.machine
        arrays = {
            "support": machine.support,
            "coefficients": machine.coefficients,
            "intercepts": machine.intercepts,
            "preprocessing": to_arrays(self.inputs.preprocessing),
        }
        described = {
            "gamma": machine.gamma,
            "classes": machine.classes,
            "penalty": self.penalty,
            "norm": self.inputs.norm,
            "seconds": self.seconds,
        }
        save_checkpoint(path, arrays, described)

    @classmethod
    def load(cls, path: Path) -> "TrainedEsvm":
        """Read what `save` wrote.

        Raises:
            HsijaxError: the file is damaged or holds something else.
        """
        described, arrays = read_metadata(path), load_arrays(path)
        try:
            machine = Machine(
                described["gamma"],
                arrays["support"],
                arrays["coefficients"],
                arrays["intercepts"],
                described["classes"],
            )
        except KeyError as error:
            raise HsijaxError(f"{path} holds no eSVM: {error} is missing") from error
        return cls(
            Inputs(described["norm"], restore_preprocessing(arrays, "preprocessing/")),
            machine,
            described["penalty"],
            described["seconds"],
        )


def find_pure(
    abundances: Float[np.ndarray, "pixels endmembers"],
    pure: float,
    seed: tuple[int, ...],
) -> Int[np.ndarray, " pixels"]:
    """Return the class that each pixel is an example of, from 0; -1 for none.

    Examples have more than `pure` of their class. A class with fewer than 5 such pixels
    is given the 5 purest of those in which it is the largest, which a warning says; of
    one with more than 2,000, as many are drawn.

    Raises:
        HsijaxError: a class is the largest in fewer than 2 pixels.
    """
    rng = np.random.default_rng(seed)
    largest = abundances.argmax(axis=1)
    examples = np.full(len(abundances), -1)
    for label, own in enumerate(abundances.T):
        members = np.flatnonzero(largest == label)
        if len(members) < 2:
            raise HsijaxError(
                f"endmember {label + 1} is the largest in {len(members)} of the "
                f"{len(abundances)} training pixels, and esvm needs 2 or more: train "
                "on more pixels, or use another method"
            )
        chosen = members[own[members] > pure]
        if len(chosen) < FOLDS:
            _logger.warning(
                "esvm: %d training pixels have more than %g of endmember %d; the %d "
                "purest stand in, from %.2f on",
                *(len(chosen), pure, label + 1, min(FOLDS, len(members))),
                np.sort(own[members])[-FOLDS:][0],
            )
            chosen = members[np.argsort(-own[members], kind="stable")[:FOLDS]]
        if len(chosen) > MOST_PURE:
            _logger.info(
                "esvm: trains on %d of the %d pure pixels of endmember %d",
                *(MOST_PURE, len(chosen), label + 1),
            )
            chosen = rng.choice(chosen, MOST_PURE, replace=False)
        examples[chosen] = label
    return examples


def fit_esvm(
    config: UnmixConfig,
    lesson: Lesson,
    run: int,
    checkpoint: Path,
    on_epoch: Callable[[Epoch], None],
) -> TrainedEsvm:
    """Train on the pure ones of the training pixels; see `lesson.Fit`.

    Penalty and kernel width are those of the least sum of RMSE in five-fold
    cross-validation over *all* training pixels, mixed ones too: on the pure ones nearly
    every setting classifies everything right. It takes seconds, so that there is no
    `checkpoint`: a killed run starts anew and ends with the same machine.

    Raises:
        HsijaxError: an endmember is the largest in fewer than 2 training pixels.
    """
    del checkpoint, on_epoch
    start = time.perf_counter()
    inputs = fit_inputs(config, lesson)
    channels = inputs.at(lesson.cube, lesson.train).astype(np.float64)
    abundances = values_at(lesson.abundances, lesson.train)
    examples = find_pure(abundances, config.pure, (config.seed, run, 2))
    penalty, gamma = _cross_validate(
        channels, abundances, examples, (config.seed, run, 3)
    )
    machine = train_machine(channels, examples, penalty, gamma)
    return TrainedEsvm(inputs, machine, penalty, time.perf_counter() - start)


def _cross_validate(
    channels: Float[np.ndarray, "pixels channels"],
    abundances: Float[np.ndarray, "pixels endmembers"],
    examples: Int[np.ndarray, " pixels"],
    seed: tuple[int, ...],
) -> tuple[float, float]:
    """Return penalty and kernel width of the least sum of RMSE on held-out pixels."""
    folds = _draw_folds(examples, seed)
    unit = 1 / (channels.shape[1] * channels.var())
    errors = {}
    for gamma in (unit * factor for factor in GAMMAS):
        for penalty in PENALTIES:
            estimated = np.empty_like(abundances, dtype=np.float64)
            for fold in range(folds.max() + 1):
                out = folds == fold
                machine = train_machine(channels[~out], examples[~out], penalty, gamma)
                estimated[out] = machine.unmix(channels[out])
            squares = np.square(estimated - abundances)
            errors[penalty, gamma] = np.sqrt(squares.mean(axis=0)).sum()
    return min(errors, key=errors.__getitem__)


def _draw_folds(
    examples: Int[np.ndarray, " pixels"], seed: tuple[int, ...]
) -> Int[np.ndarray, " pixels"]:
    """Deal each class's examples, and the other pixels, evenly to the folds."""
    rng = np.random.default_rng(seed)
    count = min(FOLDS, int(np.bincount(examples[examples >= 0]).min()))
    folds = np.empty(len(examples), dtype=int)
    for label in np.unique(examples):
        members = rng.permutation(np.flatnonzero(examples == label))
        folds[members] = np.arange(len(members)) % count
    return folds
