"""The networks equal their PyTorch twins: outputs to 1e-5, gradients to 1e-4."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from hsijax.config import OdeSolver
from hsijax.models import make_classifier
from hsijax.models.blocks import OdeBlock
from hsijax.models.ode import integrate
from hsijax.models.unmixing import make_unmixer

torch = pytest.importorskip("torch", reason="the reference needs PyTorch")
reference = pytest.importorskip("torch_reference")

CLASSES = 5
# Where a module of ours stands in the reference.
RENAMED = {
    "paper": [("stem.conv", "stem"), ("stem.down", "down"), ("head.", "")],
    "compact": [("stem.spectral", "stem"), ("head.", "")],
}
LEAVES = {"kernel": "weight", "scale": "weight", "bias": "bias"}


def torch_name(path: tuple, architecture: str, model: str) -> str:
    *modules, leaf = map(str, path)
    name = ".".join([*modules, LEAVES[leaf]])
    name = name.replace("block.units.", "block.")
    if model == "resnet-tied":
        name = name.replace("block.0.", "block.unit.")
    for ours, theirs in RENAMED[architecture]:
        name = name.replace(ours, theirs)
    return name


def to_torch(array: np.ndarray, leaf: str) -> np.ndarray:
    """Move a kernel's last two axes, in and maps, to the front as maps and in."""
    if leaf != "kernel":
        return array
    return np.moveaxis(array, (-1, -2), (0, 1))


def make_pair(architecture: str, model: str, channels: int, solver: OdeSolver):
    ours = make_classifier(
        model,
        architecture,
        channels=channels,
        classes=CLASSES,
        solver=solver,
        dropout=0.0,
        rngs=nnx.Rngs(7),
    )
    rng = np.random.default_rng(3)
    code, params = nnx.split(ours)
    # New networks are too regular: scales of 1 and 0, biases of 0.
    params = jax.tree.map(
        lambda p: p + jnp.asarray(rng.normal(0, 0.1, p.shape), p.dtype), params
    )
    network = {
        "paper": reference.PaperNetwork,
        "compact": reference.CompactNetwork,
    }[architecture]
    theirs = network(model, channels, CLASSES, solver.solver, solver.steps)
    named = dict(theirs.named_parameters())
    copied = set()
    for path, leaf in nnx.to_flat_state(params):
        name = torch_name(path, architecture, model)
        value = to_torch(np.asarray(leaf[...]), str(path[-1]))
        with torch.no_grad():
            named[name].copy_(torch.tensor(value.reshape(named[name].shape)))
        copied.add(name)
    assert copied == set(named)
    return code, params, theirs


def relative_error(ours, theirs) -> float:
    return float(np.abs(ours - theirs).max() / np.abs(theirs).max())


CASES = [
    ("paper", "odenet", 1, OdeSolver("rk4", 1)),
    ("paper", "odenet", 3, OdeSolver("dopri5", 1)),
    ("paper", "resnet", 1, OdeSolver()),
    ("paper", "resnet-tied", 1, OdeSolver()),
    ("paper", "resnet1", 1, OdeSolver()),
    ("paper", "no-block", 1, OdeSolver()),
    ("compact", "odenet", 12, OdeSolver("rk4", 1)),
]


@pytest.mark.parametrize(("architecture", "model", "channels", "solver"), CASES)
def test_equals_the_torch_reference(architecture, model, channels, solver):
    code, params, theirs = make_pair(architecture, model, channels, solver)
    rng = np.random.default_rng(5)
    patches = rng.normal(size=(3, 9, 9, channels)).astype(np.float32)
    weights = rng.normal(size=(3, CLASSES)).astype(np.float32)

    @jax.jit
    def loss(params, patches):
        logits = nnx.merge(code, params)(patches)
        return jnp.sum(logits * weights), logits

    # The float64 copy of the reference says what is right, so that the tolerance
    # holds our rounding errors and not also its own.
    theirs = theirs.double()
    inputs = torch.tensor(np.moveaxis(patches, -1, 1)).double().requires_grad_()
    expected = theirs(inputs)
    (expected * torch.tensor(weights)).sum().backward()

    gradient = jax.value_and_grad(loss, argnums=(0, 1), has_aux=True)
    (_, logits), (grads, patch_grads) = gradient(params, jnp.asarray(patches))
    assert relative_error(logits, expected.detach().numpy()) < 1e-5
    wanted = np.moveaxis(inputs.grad.numpy(), 1, -1)
    assert relative_error(patch_grads, wanted) < 1e-4
    named = dict(theirs.named_parameters())
    for path, leaf in nnx.to_flat_state(grads):
        name = torch_name(path, architecture, model)
        ours = to_torch(np.asarray(leaf[...]), str(path[-1]))
        wanted = named[name].grad.numpy().reshape(ours.shape)
        assert relative_error(ours, wanted) < 1e-4, name


def test_the_solution_equals_torchdiffeq():
    torchdiffeq = pytest.importorskip("torchdiffeq")
    code, params, theirs = make_pair("paper", "odenet", 1, OdeSolver("rk4", 1))
    block = nnx.merge(code, params).block
    assert isinstance(block, OdeBlock)
    hidden = np.random.default_rng(1).normal(size=(1, 3, 3, 64)).astype(np.float32)
    with torch.no_grad():
        _, end = torchdiffeq.odeint(
            theirs.block.field.double(),
            torch.tensor(np.moveaxis(hidden, -1, 1)).double(),
            torch.tensor([0.0, 1.0]).double(),
            rtol=1e-6,
            atol=1e-6,
        )
    expected = np.moveaxis(end.numpy(), 1, -1)

    def error(solver):
        end = jax.jit(lambda start: integrate(block.field, start, solver))(hidden)
        return relative_error(end, expected)

    # The field has kinks (ReLU), so the error stays well above the tolerance.
    assert error(OdeSolver("dopri5", rtol=1e-5, atol=1e-5)) < 1e-3
    assert error(OdeSolver("rk4", 24)) < 2e-4
    assert error(OdeSolver("euler", 8)) > 1e-2


def flattened_as_torch(weights, model: str, side: int, length: int) -> np.ndarray:
    """Reorder what enters F10, [in out], from our order of features to PyTorch's."""
    if model == "pixel-cnn":
        return weights  # map by map in both
    ours = weights.reshape(side, side, length, 128, -1)
    return np.moveaxis(ours, (3, 2), (0, 1)).reshape(weights.shape)


@pytest.mark.parametrize(
    ("model", "side", "bands"),
    [("pixel-cnn", 1, 198), ("cube-cnn", 3, 198), ("cube-cnn", 1, 80)],
)
def test_unmixing_networks_equal_the_torch_reference(model, side, bands):
    endmembers, batch = 4, 5
    ours = make_unmixer(
        model,
        bands=bands,
        endmembers=endmembers,
        patch_side=side,
        hidden=150,
        dropout=0.2,
        output="sigmoid",
        rngs=nnx.Rngs(7),
    )
    code, params, rest = nnx.split(nnx.view(ours, deterministic=True), nnx.Param, ...)
    rng = np.random.default_rng(3)
    params = jax.tree.map(
        lambda p: p + jnp.asarray(rng.normal(0, 0.05, p.shape), p.dtype), params
    )
    theirs = {
        "pixel-cnn": lambda: reference.PixelUnmixer(bands, endmembers),
        "cube-cnn": lambda: reference.CubeUnmixer(bands, endmembers, side),
    }[model]()
    length = theirs.f10.in_features // (side**2 * ours.layers[-1].bias.shape[0])

    def as_torch(path: tuple, array) -> tuple[str, np.ndarray]:
        *modules, leaf = map(str, path)
        name = ".".join([*modules, LEAVES[leaf]])
        name = name.replace("layers.", "convs.").replace("head.", "")
        value = np.asarray(array)
        if name == "f10.weight":
            value = flattened_as_torch(value, model, side, length)
        return name, to_torch(value, leaf).reshape(named[name].shape)

    named = dict(theirs.named_parameters())
    for path, leaf in nnx.to_flat_state(params):
        name, value = as_torch(path, leaf[...])
        with torch.no_grad():
            named[name].copy_(torch.tensor(value))
    assert len(nnx.to_flat_state(params)) == len(named)

    patches = rng.normal(size=(batch, side, side, bands)).astype(np.float32)
    weights = rng.normal(size=(batch, endmembers)).astype(np.float32)

    @jax.jit
    def loss(params, patches):
        abundances = jnp.exp(nnx.merge(code, params, rest)(patches))
        return jnp.sum(abundances * weights), abundances

    theirs = theirs.double()
    inputs = np.moveaxis(patches, -1, 1)[:, None]
    if model == "pixel-cnn":
        inputs = inputs[..., 0, 0]
    expected = theirs(torch.tensor(inputs).double())
    (expected * torch.tensor(weights)).sum().backward()

    gradient = jax.value_and_grad(loss, has_aux=True)
    (_, abundances), grads = gradient(params, jnp.asarray(patches))
    np.testing.assert_allclose(abundances, expected.detach().numpy(), atol=1e-5)
    for path, leaf in nnx.to_flat_state(grads):
        name, value = as_torch(path, leaf[...])
        assert relative_error(value, named[name].grad.numpy()) < 1e-4, name
