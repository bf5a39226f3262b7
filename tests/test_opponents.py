"""The published opponents: their sizes, their twins in PyTorch, their recipes."""

import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.io
import tomli_w
from classification_scenes import write_salinas_crop
from flax import nnx
from typer.testing import CliRunner

from hsijax.cli import app
from hsijax.config import OdeSolver, TrainConfig
from hsijax.config.opponents import CLASSICAL, MODELS, OWN
from hsijax.config.opponents import OPPONENTS as RECORDS
from hsijax.errors import UsageError
from hsijax.experiments.bench_cases import choose_cases
from hsijax.experiments.sweep_values import make_points
from hsijax.experiments.task import load_task
from hsijax.models import BLOCKS, OPPONENTS, count_parameters, make_classifier
from hsijax.models.opponents import ssrn
from hsijax.settings import config_values, make_config, read_config, restore_config

CLASSES, BATCH = 3, 4
PATCH = {"1d-cnn": 1, "2d-cnn": 7, "3d-cnn": 7, "ssrn": 5, "spectral-transformer": 3}


def make(model, channels, patch=None, classes=CLASSES):
    return make_classifier(
        model,
        "compact",
        channels=channels,
        classes=classes,
        solver=OdeSolver(),
        dropout=0.0,
        patch=PATCH[model] if patch is None else patch,
        rngs=nnx.Rngs(0),
    )


def draw_patches(model, channels, seed=1):
    shape = (BATCH, PATCH[model], PATCH[model], channels)
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def fill(model, channels):
    """The network with parameters from NumPy: drawn by jax, they compile one by one."""
    code, params = nnx.split(nnx.eval_shape(lambda: make(model, channels)))
    rng = np.random.default_rng(0)

    def draw(path, param):
        level = 1.0 if path[-2].key == "scale" else 0.0
        values = level + rng.normal(0, max(param.size, 100) ** -0.25, param.shape)
        return values.astype(param.dtype)

    return nnx.merge(code, jax.tree.map_with_path(draw, params))


@jax.jit
def slopes(module, patches):
    """Logits, and the gradient of their squares."""

    def loss(module):
        logits = module(patches, rngs=nnx.Rngs(0))
        return jnp.square(logits).sum(), logits

    return jax.grad(loss, has_aux=True)(module)


# Kernels and biases in the order of the layers; 200 bands, 16 classes.
SSRN_SPECTRAL = (7 + 1) * 24 + 48 + 4 * ((7 * 24 + 1) * 24 + 48)
SSRN_SPECTRAL += (97 * 24 + 1) * 128 + 256
SSRN_SPATIAL = (9 * 128 + 1) * 24 + 48 + 4 * ((9 * 24 + 1) * 24 + 48) + (24 + 1) * 16
LAYER = 64 * 3 * 64 + (64 + 1) * 64 + (64 + 1) * 8 + (8 + 1) * 64 + 2 * 128
BY_HAND = {
    "1d-cnn": (22 + 1) * 20 + (36 * 20 + 1) * 100 + (100 + 1) * 16,
    "2d-cnn": (9 * 10 + 1) * 30 + (9 * 30 + 1) * 90 + (90 + 1) * 60 + (60 + 1) * 16,
    "3d-cnn": (63 + 1) * 2 + (27 * 2 + 1) * 4 + (192 * 4 + 1) * 16,
    "ssrn": SSRN_SPECTRAL + SSRN_SPATIAL,
    "spectral-transformer": (49 * 3 + 1) * 64
    + (67 + 1) * 64
    + 64
    + 5 * LAYER
    + 128
    + (64 + 1) * 16,
}


@pytest.mark.parametrize("model", OPPONENTS)
def test_parameters_by_hand(model):
    recipe = RECORDS[model].recipe
    channels = recipe.get("channels", 200)
    network = nnx.eval_shape(lambda: make(model, channels, recipe["patch"], 16))
    assert count_parameters(network) == BY_HAND[model]


def test_the_printed_count_of_the_1d_cnn():
    """220 bands and the 8 largest classes, as the authors count them."""
    network = nnx.eval_shape(lambda: make("1d-cnn", 220, classes=8))
    assert count_parameters(network) == RECORDS["1d-cnn"].parameters == 81_408


@pytest.mark.parametrize("channels", [204, 9])
@pytest.mark.parametrize("model", OPPONENTS)
def test_logits_of_any_number_of_bands(model, channels):
    patches = jnp.asarray(draw_patches(model, channels))
    logits = nnx.eval_shape(
        lambda x: make(model, channels)(x, rngs=nnx.Rngs(0)), patches
    )
    assert logits.shape == (BATCH, CLASSES)


@pytest.mark.parametrize(
    ("model", "channels", "patch", "message"),
    [
        ("1d-cnn", 20, 3, "1d-cnn sees one pixel: leave out --patch 3"),
        ("2d-cnn", 20, 3, "2d-cnn needs --patch 5 or more, not 3"),
        ("3d-cnn", 20, 3, "3d-cnn needs --patch 5 or more, not 3"),
        (
            *("3d-cnn", 8, 5),
            "3d-cnn needs 9 bands or more, and gets 8: give another --model(\n|$)",
        ),
        ("ssrn", 20, 1, "ssrn needs --patch 3 or more, not 1"),
        (
            *("ssrn", 6, 5),
            "ssrn needs 7 bands or more, and gets 6: give another --model(\n|$)",
        ),
    ],
)
def test_too_small(model, channels, patch, message):
    with pytest.raises(UsageError, match=message):
        nnx.eval_shape(lambda: make(model, channels, patch))


@pytest.mark.parametrize("model", OPPONENTS)
def test_the_fewest_bands(model):
    fewest = RECORDS[model].bands
    network = nnx.eval_shape(lambda: make(model, fewest))
    assert count_parameters(network) > 0
    assert make_config({"dataset": "x", "model": model, "channels": fewest}, {})
    if fewest > 1:
        with pytest.raises(UsageError, match=f"needs {fewest} bands or more"):
            nnx.eval_shape(lambda: make(model, fewest - 1))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {"model": "2d-cnn"},
            "^the recipe of 2d-cnn takes 10 components, few has only 7 bands: give "
            "--channels 7 or fewer$",
        ),
        (
            {"model": "2d-cnn", "channels": 8},
            "^--channels 8: few has only 7 bands: give --channels 7 or fewer$",
        ),
        ({"channels": 10}, "^--channels 10: few has only 7 bands: give --channels 7"),
    ],
)
def test_more_components_than_bands(shared_data, tmp_path, given, message):
    cube, truth = write_salinas_crop(shared_data, tmp_path)
    np.save(tmp_path / "few.npy", scipy.io.loadmat(cube)["cube"][..., :7])
    scene = {"dataset": str(tmp_path / "few.npy"), "ground_truth": str(truth)}
    with pytest.raises(UsageError, match=message):
        load_task(make_config({**scene, **given}, {}))


def group_norm(torch, maps, norm):
    return torch.nn.functional.group_norm(maps, 1, norm["scale"], norm["bias"], 1e-5)


def linear(torch, maps, layer):
    bias = layer.get("bias")
    return torch.nn.functional.linear(maps, layer["kernel"].T, bias)


def along_bands(torch, maps, layer, space=1, **more):
    """A 3-D convolution; kernels of ours are [taps, space and channels, maps]."""
    taps, _, count = layer["kernel"].shape
    kernel = layer["kernel"].reshape(taps, space, space, -1, count)
    kernel = kernel.permute(4, 3, 1, 2, 0)
    return torch.nn.functional.conv3d(maps, kernel, layer["bias"], **more)


def over_space(torch, maps, layer, **more):
    kernel = layer["kernel"].permute(3, 2, 0, 1)
    return torch.nn.functional.conv2d(maps, kernel, layer["bias"], **more)


def twin_1d(torch, stem, head, patches):
    spectra = patches[:, None]  # batch, channel, row, col, band
    maps = torch.tanh(along_bands(torch, spectra, head["convolution"]))[:, :, 0, 0]
    pool = -(-maps.shape[2] // 40)
    maps = torch.nn.functional.max_pool1d(maps, pool, ceil_mode=True)
    hidden = torch.tanh(linear(torch, maps.mT.flatten(1), head["hidden"]))
    return linear(torch, hidden, head["output"])


def twin_2d(torch, stem, head, patches):
    maps = patches.permute(0, 3, 1, 2)
    maps = torch.relu(over_space(torch, maps, head["conv1"]))
    maps = torch.relu(over_space(torch, maps, head["conv2"]))
    features = maps.permute(0, 2, 3, 1).flatten(1)
    hidden = torch.relu(linear(torch, features, head["hidden"]))
    return linear(torch, hidden, head["output"])


def twin_3d(torch, stem, head, patches):
    maps = torch.relu(along_bands(torch, patches[:, None], head["conv1"], space=3))
    maps = torch.relu(along_bands(torch, maps, head["conv2"], space=3))
    return linear(torch, maps.permute(0, 2, 3, 4, 1).flatten(1), head["output"])


def twin_ssrn(torch, stem, head, patches):
    def norm_pixels(maps, norm):
        apart = maps.permute(0, 2, 3, 1, 4).flatten(0, 2)  # pixel, map, band
        apart = group_norm(torch, apart, norm)
        shape = (len(maps), *maps.shape[2:4], *apart.shape[1:])
        return apart.reshape(shape).permute(0, 3, 1, 2, 4)

    def residual(maps, block, convolve, norm):
        first = torch.relu(norm(convolve(maps, block["conv1"]), block["norm1"]))
        second = norm(convolve(first, block["conv2"]), block["norm2"])
        return torch.relu(maps + second)

    def spectral(maps, layer):
        return along_bands(torch, maps, layer, padding=(0, 0, 3))

    def spatial(maps, layer):
        return over_space(torch, maps, layer, padding=1)

    def norm_patch(maps, norm):
        return group_norm(torch, maps, norm)

    maps = along_bands(torch, patches[:, None], stem["conv1"], stride=(1, 1, 2))
    maps = torch.relu(norm_pixels(maps, stem["norm1"]))
    for name in ("block1", "block2"):
        maps = residual(maps, stem[name], spectral, norm_pixels)
    kernel = stem["conv2"]["kernel"].reshape(maps.shape[4], 24, 128)
    whole = {"kernel": kernel, "bias": stem["conv2"]["bias"]}
    maps = torch.relu(norm_pixels(along_bands(torch, maps, whole), stem["norm2"]))
    # 128 maps are now the third axis of one: a kernel of 3x3x128.
    volume = maps.permute(0, 4, 2, 3, 1)
    kernel = head["conv"]["kernel"].permute(3, 0, 1, 2)[:, None]
    maps = torch.nn.functional.conv3d(volume, kernel, head["conv"]["bias"])[..., 0]
    maps = torch.relu(norm_patch(maps, head["norm"]))
    for name in ("block1", "block2"):
        maps = residual(maps, head[name], spatial, norm_patch)
    return linear(torch, maps.mean((2, 3)), head["output"])


def twin_transformer(torch, stem, head, patches):
    def norm(tokens, layer):
        shape = tokens.shape[-1:]
        return torch.nn.functional.layer_norm(
            tokens, shape, layer["scale"], layer["bias"]
        )

    def attend(tokens, layer):
        split = linear(torch, tokens, layer["project"]).chunk(3, dim=-1)
        heads = [part.unflatten(-1, (4, 16)).transpose(1, 2) for part in split]
        found = torch.nn.functional.scaled_dot_product_attention(*heads)
        return linear(torch, found.transpose(1, 2).flatten(2), layer["join"])

    spectra = patches.flatten(1, 2)
    spectra = torch.cat(
        [spectra, spectra[..., -1:].repeat(1, 1, -spectra.shape[2] % 3)], 2
    )
    groups = torch.stack([part.flatten(1) for part in spectra.split(3, dim=2)], dim=1)
    answer = head["answer"].expand(len(patches), 1, -1)
    tokens = torch.cat([answer, linear(torch, groups, head["embed"])], dim=1)
    tokens = tokens + head["place"]
    for layer in head["layers"].values():
        tokens = tokens + attend(norm(tokens, layer["norm1"]), layer)
        hidden = linear(torch, norm(tokens, layer["norm2"]), layer["hidden"])
        hidden = torch.nn.functional.gelu(hidden)
        tokens = tokens + linear(torch, hidden, layer["output"])
    return linear(torch, norm(tokens[:, 0], head["norm"]), head["output"])


TWINS = {
    "1d-cnn": twin_1d,
    "2d-cnn": twin_2d,
    "3d-cnn": twin_3d,
    "ssrn": twin_ssrn,
    "spectral-transformer": twin_transformer,
}


@pytest.mark.parametrize("model", OPPONENTS)
def test_every_parameter_learns_and_the_outputs_are_pytorchs(model):
    """True 3-D convolutions on PyTorch's side; 53 bands leave the 1-D CNN a rest."""
    channels = 53
    network = fill(model, channels)
    patches = draw_patches(model, channels)
    grads, logits = jax.device_get(slopes(network, patches))
    assert np.isfinite(logits).all()
    for path, grad in jax.tree.leaves_with_path(nnx.state(grads, nnx.Param)):
        assert np.isfinite(grad).all(), path
        assert np.abs(grad).max() > 0, path
    # No answer depends on the patches beside it, as with a batch norm it would.
    mates = np.concatenate([patches[:1], 3 * draw_patches(model, channels, 2)[1:]])
    _, others = jax.device_get(slopes(network, mates))
    np.testing.assert_allclose(others[0], logits[0], rtol=1e-5, atol=1e-6)
    assert np.abs(others[1:] - logits[1:]).max() > 1e-2

    torch = pytest.importorskip("torch", reason="the reference needs PyTorch")
    params = jax.tree.map(
        lambda p: torch.tensor(np.asarray(p)), nnx.to_pure_dict(nnx.state(network))
    )
    expected = TWINS[model](
        torch, params.get("stem", {}), params["head"], torch.tensor(patches)
    ).numpy()
    error = np.abs(logits - expected).max() / np.abs(expected).max()
    assert error < 1e-5


def test_a_scene_part_by_part_is_its_pixels(monkeypatch):
    stem = fill("ssrn", 9).stem
    # 161 pixels: three parts of 54, the last of which is filled up.
    scene = np.random.default_rng(0).normal(size=(1, 7, 23, 9)).astype(np.float32)
    whole = jax.jit(lambda stem, patches: stem(patches))(stem, scene)
    monkeypatch.setattr(ssrn, "PIXELS", 60)
    parts = jax.jit(lambda stem, patches: stem(patches))(stem, scene)
    np.testing.assert_allclose(parts, whole, atol=1e-5)


@pytest.mark.parametrize(
    ("shape", "most"),
    [
        ((1, 60, 20_000), ssrn.PIXELS),  # a strip has few rows
        ((1, 151, 151), ssrn.PIXELS),
        ((1, 7, 7), 49),
        ((128, 7, 7), 128 * 49),  # a batch that is trained on
    ],
)
def test_how_many_pixels_have_their_maps_at_once(monkeypatch, shape, most):
    sizes = []
    features = ssrn.SpectralHalf._features

    def record(self, pixels):
        sizes.append(len(pixels))
        return features(self, pixels)

    monkeypatch.setattr(ssrn.SpectralHalf, "_features", record)
    patches = jax.ShapeDtypeStruct((*shape, 9), np.float32)
    found = nnx.eval_shape(lambda x: make("ssrn", 9).stem(x), patches)
    assert found.shape == (*shape, 128)
    assert most / 2 < max(sizes) <= most


def test_names_are_those_of_the_registries():
    assert set(OWN) == set(BLOCKS)
    assert set(RECORDS) == {*OPPONENTS, *CLASSICAL}
    assert len(set(MODELS)) == len(MODELS)


SETTINGS = {setting.name for setting in dataclasses.fields(TrainConfig)}


@pytest.mark.parametrize("model", RECORDS)
def test_recipes(model, tmp_path):
    record = RECORDS[model]
    assert {*record.recipe, *record.idle} <= SETTINGS
    assert "doi:" in record.source
    config = make_config({"dataset": "x", "model": model}, {})
    assert config_values(config).items() >= dict(record.recipe).items()
    # The command line outweighs a file, which outweighs the recipe.
    assert make_config({"dataset": "x", "model": model}, {"channels": 9}).channels == 9
    path = tmp_path / "config.toml"
    path.write_text(tomli_w.dumps(config_values(config)))
    complete = read_config(path)
    assert restore_config(complete) == config == make_config({}, complete)
    assert make_config({"runs": 2}, complete).runs == 2


@pytest.mark.parametrize(
    ("given", "file", "message"),
    [
        ({"model": "ssnr"}, {}, "no model named 'ssnr'; did you mean 'ssrn'"),
        ({"model": "xyz"}, {}, "known: odenet, .*, ssrn, .*, svm"),
        (
            *({"model": "ssrn", "preset": "paper"}, {}),
            "--preset paper has no recipe for ssrn: leave it out, and ssrn is trained "
            "by its own recipe",
        ),
        (
            *({"model": "ssrn", "channels": 6}, {}),
            "--channels 6: ssrn needs 7 or more, or 0 for all bands",
        ),
        ({"model": "3d-cnn"}, {"channels": 8}, "--channels 8: 3d-cnn needs 9 or more"),
        ({"model": "ssrn", "architecture": "compact"}, {}, "--architecture changes no"),
        ({"model": "ssrn", "rtol": 1e-3}, {}, "--rtol changes nothing of ssrn: leave"),
        ({"steps": 2}, {"model": "3d-cnn"}, "--steps changes nothing of 3d-cnn"),
        ({"model": "3d-cnn"}, {"solver": "heun"}, "--solver changes nothing of 3d-cnn"),
        ({"model": "1d-cnn", "patch": 3}, {}, "--patch changes nothing of 1d-cnn"),
        ({"model": "svm", "epochs": 3}, {}, "--epochs changes nothing of svm"),
        ({"model": "knn", "select": "validation"}, {}, "--select changes nothing of"),
    ],
)
def test_what_an_opponent_does_not_have(given, file, message):
    with pytest.raises(UsageError, match=message):
        make_config({"dataset": "x", **given}, file)


@pytest.mark.parametrize(("one", "other"), [("ssrn", "odenet"), ("odenet", "ssrn")])
def test_a_complete_file_is_of_its_model(one, other):
    """Else the settings of one would train the other."""
    complete = config_values(make_config({"dataset": "x", "model": one}, {}))
    with pytest.raises(UsageError, match=f"--model {other} does not go with a"):
        make_config({"model": other}, complete)
    with pytest.raises(UsageError, match="--preset paper"):
        make_config({"preset": "paper"}, complete)


def test_sweeps_and_benchmarks():
    config = make_config({"dataset": "x", "model": "1d-cnn"}, {})
    assert [point.config.lr for point in make_points(config, "lr", [0.5])] == [0.5]
    with pytest.raises(UsageError, match="--patch changes nothing of 1d-cnn"):
        make_points(config, "patch", None)
    for model in OPPONENTS:
        (case,) = choose_cases({"model": model})
        assert (case.config.model, case.solver, case.loops) == (model, None, False)
    assert not OPPONENTS.keys() & {case.config.model for case in choose_cases({})}


def test_an_opponent_through_the_commands(shared_data, tmp_path):
    """Trained and evaluated as the ODE-net is; far above the largest class's share."""
    cube, truth = write_salinas_crop(shared_data, tmp_path)
    run = tmp_path / "run"
    options = ["--ground-truth", truth, "--model", "1d-cnn", "--frac", 0.1]
    options += ["--epochs", 40, "--batch", 16, "--out", run, "--no-map"]
    train = ["train", "--dataset", cube, *options, "--json", "--quiet"]
    done = CliRunner().invoke(app, [str(argument) for argument in train])
    assert done.exit_code == 0, done.stderr
    metrics = json.loads(done.stdout)
    tested = [entry["n_test"] for entry in metrics["per_class"]]
    assert metrics["oa"]["mean"] > 100 * max(tested) / sum(tested) + 20
    assert metrics["function_evaluations"]["predict"] == {"mean": 0.0, "largest": 0}
    again = CliRunner().invoke(app, ["evaluate", str(run), "--json"])
    assert json.loads(again.stdout)["oa"] == metrics["oa"]
    shown = CliRunner().invoke(app, ["evaluate", str(run)]).stdout
    assert "parameters" in shown
    assert "evaluations" not in shown
