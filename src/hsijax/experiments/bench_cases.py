"""What `hsijax bench` measures: which networks, which solvers, in which settings."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from hsijax.config import OdeSolver, TrainConfig, UnmixConfig
from hsijax.errors import UsageError, lookup
from hsijax.models import BLOCKS, OPPONENTS
from hsijax.models.layers import check_precision
from hsijax.models.ode import solves_in_loop
from hsijax.models.unmixing import NETWORKS
from hsijax.settings import make_config, make_unmix_config

BASELINE = "resnet"  # that all classifiers are compared with
# Of the Indian Pines and the Jasper Ridge scene.
CLASSES, BANDS = 16, 200
ENDMEMBERS, UNMIXING_BANDS = 4, 198
SCENE = "synthetic"  # in the place of a scene's name

# As options of `hsijax train`; the first is the default.
SOLVERS: list[dict[str, Any]] = [
    {"solver": "rk4", "steps": 1},
    {"solver": "euler", "steps": 4},
    {"solver": "midpoint", "steps": 2},
    {"solver": "heun", "steps": 2},
    {"solver": "tsit5", "steps": 1},
    {"solver": "dopri5", "steps": 1},
    {"solver": "dopri5", "rtol": 1e-3},
    {"solver": "dopri5", "rtol": 1e-3, "adjoint": "backsolve"},
]
SOLVER_OPTIONS = ("solver", "steps", "rtol", "adjoint")


class Case(NamedTuple):
    """One row: a network in its settings."""

    config: TrainConfig | UnmixConfig
    channels: int  # of the patches: bands or components

    @property
    def solver(self) -> str | None:
        """The solver of the continuous block in a few words; None without one."""
        config = self.config
        if not isinstance(config, TrainConfig) or config.model != "odenet":
            return None
        return name_solver(config.ode_solver)

    @property
    def loops(self) -> bool:
        """Whether the solver loops, as those of adaptive steps do."""
        config = self.config
        if not isinstance(config, TrainConfig) or config.model != "odenet":
            return False
        return solves_in_loop(config.ode_solver)


def name_solver(solver: OdeSolver) -> str:
    """Name a solver's settings in a few words.

    >>> name_solver(OdeSolver()), name_solver(OdeSolver("dopri5", rtol=1e-3))
    ('rk4 x1', 'dopri5 0.001 checkpoint')
    """
    if solver.rtol is None:
        return f"{solver.solver} x{solver.steps}"
    return f"{solver.solver} {solver.rtol:g} {solver.adjoint}"


def choose_cases(given: Mapping[str, Any]) -> list[Case]:
    """List what to measure from the options that were given.

    Args:
        given: of `model`, `preset`, `patch`, `channels`, `batch`, `solver`, `steps`,
            `rtol`, `adjoint` and `precision` those that have a value.

    Raises:
        UsageError: an unknown name, a value out of range, or options that exclude each
            other.

    >>> [case.config.model for case in choose_cases({"model": "pixel-cnn"})]
    ['pixel-cnn']
    """
    model = given.get("model")
    sizes = {
        n: given[n] for n in ("preset", "patch", "batch", "precision") if n in given
    }
    channels = given.get("channels")
    solver = {name: given[name] for name in SOLVER_OPTIONS if name in given}
    if solver and model not in (None, "odenet"):
        raise UsageError(f"--{next(iter(solver))} is of odenet: leave it out")
    if model is not None:
        lookup({**BLOCKS, **OPPONENTS, **NETWORKS}, model, "model")
    if model in NETWORKS:
        if "precision" in given:
            raise UsageError(f"--precision is not of {model}: leave it out")
        return [_unmixing_case(model, sizes, channels)]
    if solver or model == "odenet":
        settings = [solver] if solver else SOLVERS
        return [_case("odenet", {**sizes, **s}, channels) for s in settings]
    if model is not None:
        return [_case(model, sizes, channels)]
    # Another adjoint of a solver that is there takes a fifth of the time of all rows.
    own = [settings for settings in SOLVERS if "adjoint" not in settings]
    solved = [_case("odenet", {**sizes, **s}, channels) for s in own]
    others = [_case(name, sizes, channels) for name in BLOCKS if name != "odenet"]
    preset = {name: sizes[name] for name in ("preset",) if name in sizes}
    unmixing = [_unmixing_case(name, preset, None) for name in NETWORKS]
    return [solved[0], *others, *solved[1:], *unmixing]


def _case(model: str, options: Mapping[str, Any], channels: int | None) -> Case:
    if channels is not None:
        options = {**options, "channels": channels}
    config = make_config({"dataset": SCENE, "model": model, **options}, {})
    check_precision(config.precision)
    return Case(config, channels or config.input_channels(BANDS))


def _unmixing_case(
    model: str, options: Mapping[str, Any], channels: int | None
) -> Case:
    config = make_unmix_config({"scene": SCENE, "model": model, **options}, {})
    if channels is not None and channels < 1:
        raise UsageError(f"--channels must be at least 1 for {model}, not {channels}")
    return Case(config, UNMIXING_BANDS if channels is None else channels)
