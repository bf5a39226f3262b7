from dataclasses import fields

import pytest
import tomli_w

from hsijax.config import PRESETS, UNMIX_PRESETS, TrainConfig, UnmixConfig
from hsijax.config.unmix import METHODS, OWNERS
from hsijax.errors import HsijaxError, UsageError
from hsijax.settings import (
    config_values,
    make_config,
    make_unmix_config,
    read_config,
    restore_config,
)


def test_command_line_outweighs_file_outweighs_preset():
    config = make_config(
        {"dataset": "salinas", "lr": 0.5}, {"preset": "paper", "lr": 0.1, "batch": 7}
    )
    assert (config.lr, config.batch, config.patch) == (0.5, 7, 23)


def test_paper_preset_is_the_published_recipe():
    config = make_config({"dataset": "salinas", "preset": "paper"}, {})
    assert (config.architecture, config.channels, config.scaling) == (
        "paper",
        1,
        "minmax",
    )
    assert (config.solver, config.rtol, config.atol) == ("dopri5", 1e-3, 1e-3)
    assert config.padding == "zero"


def test_fixed_steps_on_the_command_line_end_adaptive_ones():
    config = make_config({"dataset": "x", "preset": "paper", "steps": 4}, {})
    assert config.ode_solver.rtol is None
    assert config.ode_solver.steps == 4


@pytest.mark.parametrize(
    "given", [{}, {"steps": 2}, {"solver": "rk4", "steps": 1}, {"frac": 0.1}]
)
@pytest.mark.parametrize("preset", PRESETS)
def test_configuration_survives_its_file(tmp_path, preset, given):
    """Also what has no value in it, which TOML cannot say."""
    config = make_config({"dataset": "x", "preset": preset, **given}, {})
    path = tmp_path / "config.toml"
    path.write_text(tomli_w.dumps(config_values(config)))
    assert restore_config(read_config(path)) == config
    assert make_config({}, read_config(path)) == config
    assert make_config({"lr": 0.5}, read_config(path)).lr == 0.5


def test_another_preset_does_not_go_with_a_complete_file():
    complete = config_values(make_config({"dataset": "x"}, {}))
    with pytest.raises(UsageError, match="--preset paper"):
        make_config({"preset": "paper"}, complete)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"frac": 0.0}, "--frac"),
        ({"frac": 1.0}, "--frac"),
        ({"frac": -0.1}, "--frac"),
        ({"patch": 8}, "odd"),
        ({"epochs": 0}, "--epochs"),
        ({"lr": float("nan")}, "--lr"),
        ({"select": "validation"}, "--val-frac"),
        ({"atol": 1e-3, "solver": "dopri5"}, "--rtol"),
        ({"scaling": "minmx"}, "did you mean 'minmax'"),
        ({"preset": "papr"}, "did you mean 'paper'"),
        ({"split": "masks"}, "--train-mask"),
        ({"split": "blcks"}, "did you mean 'blocks'"),
        ({"split": "file"}, "neither a split file"),
        ({"split": "blocks", "count": 20}, "does not go with --count"),
        ({"frac": 0.1, "count": 20}, "give one of --frac, --count"),
        ({"test_mask": "t.mat"}, "--test-mask needs"),
        ({"block_side": 7}, "--block-side"),
        ({"steps": 2, "rtol": 1e-3, "solver": "dopri5"}, "--steps"),
        ({"adjoint": "direct"}, "--adjoint"),
    ],
)
def test_bad_value_is_a_usage_error_that_names_the_option(given, words):
    with pytest.raises(UsageError, match=words):
        make_config({"dataset": "x", **given}, {})


@pytest.mark.parametrize(
    ("text", "error", "words"),
    [
        ("epoch = 3", UsageError, "did you mean 'epochs'"),
        ("epochs = 'many'", UsageError, "epochs cannot be 'many'"),
        ("epochs = true", UsageError, "epochs cannot be True"),
        ("epochs =", HsijaxError, "cannot read"),
    ],
)
def test_bad_file_is_refused_with_its_reason(tmp_path, text, error, words):
    path = tmp_path / "config.toml"
    path.write_text(text)
    with pytest.raises(error, match=words):
        read_config(path)


def test_whole_number_serves_where_a_fraction_is_meant(tmp_path):
    path = tmp_path / "config.toml"
    path.write_text("lr = 1")
    assert read_config(path) == {"lr": 1.0}


@pytest.mark.parametrize("preset", PRESETS)
def test_presets_name_settings_that_exist(preset):
    TrainConfig(dataset="x", **PRESETS[preset])


def test_unmixing_presets_are_the_published_recipes():
    pixel = make_unmix_config(
        {"scene": "urban", "model": "pixel-cnn", "preset": "paper"}, {}
    )
    cube = make_unmix_config(
        {"scene": "urban", "model": "cube-cnn", "preset": "paper"}, {}
    )
    assert (pixel.patch, pixel.lr, pixel.dropout) == (1, 1e-2, 0.0)
    assert (cube.patch, cube.lr, cube.dropout) == (3, 5e-4, 0.2)
    for config in (pixel, cube):
        assert (config.optimizer, config.schedule, config.batch) == (
            "adagrad",
            "constant",
            100,
        )
        assert (config.output, config.targets, config.norm) == (
            "sigmoid",
            "abundances",
            "none",
        )


@pytest.mark.parametrize(
    ("preset", "model"),
    [("best", model) for model in METHODS]
    + [("paper", model) for model in UNMIX_PRESETS["paper"]],
)
def test_unmixing_configuration_survives_its_file(tmp_path, preset, model):
    config = make_unmix_config({"scene": "x", "preset": preset, "model": model}, {})
    path = tmp_path / "config.toml"
    path.write_text(tomli_w.dumps(config_values(config)))
    values = read_config(path, UnmixConfig)
    assert restore_config(values, UnmixConfig) == config
    assert make_unmix_config({}, values) == config
    assert make_unmix_config({"frac": 0.5}, values).frac == 0.5


def test_solvers_see_spectra_as_they_are_unless_told():
    assert make_unmix_config({"scene": "x", "model": "fcls"}, {}).norm == "none"
    given = {"scene": "x", "model": "fcls", "norm": "l2"}
    assert make_unmix_config(given, {}).norm == "l2"
    assert make_unmix_config({"scene": "x", "model": "pixel-cnn"}, {}).norm == "l2"


@pytest.mark.parametrize(
    ("model", "name", "value"),
    [
        ("fcls", "epochs", 3),
        ("fcls", "patch", 3),
        ("fcls", "mixtures", 1000),
        ("nnls", "sparsity", 0.1),
        ("sunsal", "norm", "l1"),
        ("sunsal", "largest", 2),
        ("mesma", "lr", 0.1),
        ("edaa", "robust", True),
        ("edaa", "norm", "l1"),
        ("esvm", "epochs", 3),
        ("aann", "hidden", 20),
        ("pca-net", "patch", 3),
        ("cube-cnn", "width", 20),
    ],
)
def test_option_of_another_method_is_refused_on_the_command_line(model, name, value):
    with pytest.raises(UsageError, match=f"--{name} changes nothing of {model}"):
        make_unmix_config({"scene": "x", "model": model, name: value}, {})
    # A file may be shared by several methods.
    config = make_unmix_config({"scene": "x", "model": model}, {name: value})
    assert getattr(config, name) == value
    owner = OWNERS[name][0]
    given = {"scene": "x", "model": owner, name: value}
    assert getattr(make_unmix_config(given, {}), name) == value


def test_settings_of_some_methods_are_settings():
    settings = {field.name for field in fields(UnmixConfig)}
    assert set(OWNERS) <= settings
    assert all(set(owners) <= set(METHODS) for owners in OWNERS.values())


@pytest.mark.parametrize("preset", UNMIX_PRESETS)
def test_presets_give_no_method_a_setting_that_it_does_not_have(preset):
    for model, recipe in UNMIX_PRESETS[preset].items():
        make_unmix_config({"scene": "x", "model": model, **recipe}, {})


def test_another_method_does_not_go_with_a_complete_file():
    complete = config_values(make_unmix_config({"scene": "x", "model": "aann"}, {}))
    with pytest.raises(UsageError, match="--model esvm"):
        make_unmix_config({"model": "esvm"}, complete)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"model": "cube-cn"}, "did you mean 'cube-cnn'"),
        ({"count": 1}, "--count"),
        ({"frac": 1.0}, "--frac"),
        ({"patch": 2, "model": "cube-cnn"}, "odd"),
        ({"split": "block"}, "did you mean 'blocks'"),
        ({"split": "file"}, "--split-file"),
        ({"split": "random", "split_file": "s.npz"}, "leave out --split"),
        ({"split_file": "s.npz", "frac": 0.5}, "leave out --frac"),
        ({"split": "random", "block_side": 5}, "leave out --split random"),
        ({"preset": "paper"}, "no recipe for fcls, only for pixel-cnn"),
        ({"select": "validation", "model": "pixel-cnn"}, "--val-frac"),
        ({"scale": 0.0}, "--scale"),
        ({"norm": "l3"}, "--norm"),
    ],
)
def test_bad_unmixing_value_is_a_usage_error_that_names_the_option(given, words):
    with pytest.raises(UsageError, match=words):
        make_unmix_config({"scene": "x", **given}, {})


def test_unmixing_needs_a_scene():
    with pytest.raises(UsageError, match="SCENE"):
        make_unmix_config({"model": "fcls"}, {})
