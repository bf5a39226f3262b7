"""Where a configuration comes from: a preset, a file, the command line."""

import tomllib
from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, TypeVar

from hsijax.config import (
    CHOICES,
    PRESETS,
    UNMIX_PRESETS,
    TrainConfig,
    UnmixConfig,
)
from hsijax.config.checks import option
from hsijax.config.opponents import MODELS, OPPONENTS
from hsijax.config.scenes import unlisted
from hsijax.config.unmix import METHODS, OWNERS, has_setting
from hsijax.errors import HsijaxError, UsageError, lookup, suggest

Config = TypeVar("Config", TrainConfig, UnmixConfig)

# Options that name the way of splitting.
WAYS = {"frac": "random", "count": "count", "train_mask": "masks"}
# Settings that complete files of earlier days lack; their defaults are those of then.
NEWER = ("balance", "components", "diffuse", "edges")
# Options of unmixing that say how pixels are split.
SPLITTING = ("split", "frac", "block_side", "val_frac")


def make_config(given: Mapping[str, Any], file: Mapping[str, Any]) -> TrainConfig:
    """Merge what a preset, a configuration file and the command line say.

    `given` (the command line) outweighs `file`, which outweighs the preset; opponents
    have a recipe of their own instead.

    Raises:
        UsageError: an unknown name, a value out of range, two options that exclude
            each other, or one that would change nothing.

    >>> make_config({"dataset": "salinas", "preset": "paper"}, {"lr": 0.1}).patch
    23
    >>> make_config({"dataset": "salinas", "model": "ssrn"}, {}).patch
    7
    """
    given = {name: _without_list(value) for name, value in given.items()}
    name = given.get("preset", file.get("preset", TrainConfig.preset))
    preset = lookup(PRESETS, name, "preset")
    model = given.get("model", file.get("model", TrainConfig.model))
    lookup(dict.fromkeys(MODELS), model, "model")
    complete = _is_complete(file, TrainConfig)
    if model in OPPONENTS:
        _check_opponent(model, name, given if complete else {**file, **given})
        preset = dict(OPPONENTS[model].recipe)
    if complete:
        preset = _refuse_another("preset", name, file, TrainConfig)
        if model in OPPONENTS or file["model"] in OPPONENTS:
            _refuse_another("model", model, file, TrainConfig)
    values = {**preset, **file, **_settle(given, file.get("test_dataset"))}
    if values.get("split") == "scenes" and not {"frac", "count"} & {*given, *file}:
        values["frac"] = 1.0  # every labelled pixel of the scenes that train
    if "dataset" not in values:
        raise UsageError("no scene to train on: give --dataset NAME or FILE")
    config = TrainConfig(**values)
    for name in ("adjoint", "step_control"):
        if name in given and config.rtol is None:
            raise UsageError(f"{option(name)} is of adaptive steps: give --rtol too")
    if "edges" in given and not config.times:
        raise UsageError("--edges is of diffusion: give --diffuse too")
    fewest = OPPONENTS[model].bands if model in OPPONENTS else 1
    if 0 < config.channels * max(1, len(config.times)) < fewest:
        raise UsageError(
            f"--channels {config.channels}: {model} needs {fewest} or more, or 0 for "
            "all bands"
        )
    return config


def _check_opponent(model: str, preset: str, said: Mapping[str, Any]) -> None:
    """Refuse what an opponent does not have."""
    if preset != TrainConfig.preset:
        raise UsageError(
            f"--preset {preset} has no recipe for {model}: leave it out, and {model} "
            "is trained by its own recipe"
        )
    idle = [name for name in said if name in OPPONENTS[model].idle]
    if idle:
        raise UsageError(f"{option(idle[0])} changes nothing of {model}: leave it out")


def make_unmix_config(given: Mapping[str, Any], file: Mapping[str, Any]) -> UnmixConfig:
    """Merge what a preset, a configuration file and the command line say.

    The preset's recipe is that of the method; `given` (the command line) outweighs
    `file`, which outweighs the preset.

    Raises:
        UsageError: a value is out of range, or two options exclude each other.

    >>> make_unmix_config({"scene": "urban", "model": "cube-cnn"}, {}).patch
    3
    """
    name = given.get("preset", file.get("preset", UnmixConfig.preset))
    model = given.get("model", file.get("model", UnmixConfig.model))
    recipes = lookup(UNMIX_PRESETS, name, "preset")
    if _is_complete(file, UnmixConfig):
        recipe = _refuse_another("preset", name, file, UnmixConfig)
        _refuse_another("model", model, file, UnmixConfig)
    elif name != UnmixConfig.preset and model in METHODS and model not in recipes:
        raise UsageError(
            f"--preset {name} has no recipe for {model}, only for {', '.join(recipes)}"
        )
    else:
        recipe = recipes.get(model, {})
    if "scene" not in {**file, **given}:
        raise UsageError("no scene to unmix: give SCENE, a catalogue name or a file")
    _refuse_idle(given, model)
    if "split_file" in given:
        given = {**given, "split": "file"}
    return UnmixConfig(**{**recipe, **file, **given})


def _refuse_idle(given: Mapping[str, Any], model: str) -> None:
    """Refuse options that would change nothing."""
    idle = [name for name in given if not has_setting(model, name)]
    if idle and model in METHODS:
        owners = ", ".join(OWNERS[idle[0]])
        raise UsageError(
            f"{option(idle[0])} changes nothing of {model}, it is for {owners}: leave "
            "it out"
        )
    if "split_file" in given or given.get("split") == "file":
        decided = [n for n in SPLITTING if n in given and given[n] != "file"]
        if decided:
            raise UsageError(
                f"--split-file decides the pixels: leave out {_options(decided)}"
            )
    if "block_side" in given and given.get("split") == "random":
        raise UsageError("--block-side is of blocks: leave out --split random")


def _is_complete(file: Mapping[str, Any], kind: type[Config]) -> bool:
    """Whether a file has every setting that cannot be without a value."""
    return set(file) >= set(_types(kind)) - {*_optional(kind), *NEWER}


def _refuse_another(
    setting: str, value: str, file: Mapping[str, Any], kind: type[Config]
) -> dict[str, Any]:
    """Let a complete file stand for its preset: what it leaves out has no value."""
    if value != file[setting]:
        raise UsageError(
            f"{option(setting)} {value} does not go with a complete configuration, "
            f"which has all settings of '{file[setting]}' in it"
        )
    return dict.fromkeys(_optional(kind))


def _types(kind: type[Config]) -> dict[str, Any]:
    return {field.name: field.type for field in fields(kind)}


def _optional(kind: type[Config]) -> list[str]:
    """Settings that may have no value; a complete file leaves those out."""
    return [name for name, type_ in _types(kind).items() if isinstance(None, type_)]


def restore_config(
    values: Mapping[str, Any], kind: type[Config] = TrainConfig
) -> Config:
    """Return the configuration that `config_values` took apart.

    >>> config = make_config({"dataset": "x", "preset": "paper", "steps": 2}, {})
    >>> restore_config(config_values(config)) == config
    True
    """
    values = {name: _without_list(value) for name, value in values.items()}
    return kind(**{**dict.fromkeys(_optional(kind)), **values})


def _without_list(value: Any) -> Any:
    """Return a list of a file as settings have it."""
    return unlisted(value) if isinstance(value, list) else value


def config_values(config: TrainConfig | UnmixConfig) -> dict[str, Any]:
    """All settings that have a value, ready for TOML."""
    return {name: v for name, v in asdict(config).items() if v is not None}


def choose_split(given: Mapping[str, Any]) -> dict[str, Any]:
    """Work out the way of splitting from the options that were given.

    `split` among them is a method's name or a split file; without it, the other
    options say which method is meant.

    Raises:
        UsageError: the options exclude each other, or a method lacks its option.

    >>> choose_split({"count": 50})
    {'split': 'count'}
    >>> choose_split({"split": "blocks", "frac": 0.1})
    {'split': 'blocks'}
    """
    named = [way for way in WAYS if way in given]
    if len(named) > 1:
        raise UsageError(f"give one of {_options(named)}, not {len(named)}")
    split = given.get("split")
    if split is None:
        split = WAYS[named[0]] if named else None
    elif split == "file" or split not in CHOICES["split"]:
        if named:
            raise UsageError(
                f"--split {split} is a file, which decides the pixels: leave out "
                f"{_options(named)}"
            )
        if not Path(split).exists():
            methods = [method for method in CHOICES["split"] if method != "file"]
            raise UsageError(
                f"--split {split} is neither a split file nor a method"
                f"{suggest(split, methods)}"
            )
        return {"split": "file", "split_file": split}
    elif named and split not in (
        *(WAYS[named[0]], "scenes"),
        "blocks" if "frac" in given else "",
    ):
        raise UsageError(f"--split {split} does not go with {_options(named)}")
    if "test_dataset" in given:
        if "train_mask" in given or given.get("split", "scenes") != "scenes":
            raise UsageError(
                "--test-dataset splits by scenes: leave out every other way than "
                "--frac or --count of the scenes that train"
            )
        return {"split": "scenes", **({"count": None} if "frac" in given else {})}
    if "test_mask" in given and split != "masks":
        raise UsageError("--test-mask needs --train-mask")
    if "block_side" in given and split != "blocks":
        raise UsageError("--block-side is the side of blocks: split by blocks")
    return {} if split is None else {"split": split}


def _options(names: list[str]) -> str:
    return ", ".join(option(name) for name in names)


def _settle(given: Mapping[str, Any], test_dataset: Any = None) -> dict[str, Any]:
    """Work out what some options say about others, and about a file's scenes."""
    implied: dict[str, Any] = {}
    if "rtol" in given:
        if "steps" in given:
            raise UsageError("--steps are of equal size, --rtol adapts them: give one")
        implied["atol"] = given["rtol"]
    elif "steps" in given:
        implied |= {"rtol": None, "atol": None}
    scenes = {"test_dataset": test_dataset} if test_dataset else {}
    return {**implied, **given, **choose_split({**scenes, **given})}


def read_config(path: Path, kind: type[Config] = TrainConfig) -> dict[str, Any]:
    """Read the settings that a TOML file holds.

    Raises:
        HsijaxError: the file cannot be read.
        UsageError: it has an unknown setting or a value of the wrong type.
    """
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise HsijaxError(f"cannot read the configuration {path}: {error}") from error
    known = _types(kind)
    for name, value in values.items():
        if name not in known:
            raise UsageError(
                f"{path}: no setting named '{name}'{suggest(name, list(known))}"
            )
        type_ = known[name]
        if isinstance(value, list) and all(isinstance(one, str) for one in value):
            values[name] = value = unlisted(value)
        is_flag = isinstance(value, bool)
        if isinstance(value, int) and not is_flag and isinstance(0.0, type_):
            values[name] = float(value)
        elif not isinstance(value, type_) or (is_flag and type_ is not bool):
            raise UsageError(f"{path}: {name} cannot be {value!r}")
    return values
