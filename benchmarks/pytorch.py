"""The same networks in PyTorch, with fixed steps or as torchdiffeq solves them."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import torch
import torchdiffeq
from measure import import_reference
from ours import CLASSES, Opponent, Work

from hsijax.config import TrainConfig

reference = import_reference()

FRAMES = {"compact": "CompactNetwork", "paper": "PaperNetwork"}
SOLVES = {
    "torchdiffeq": torchdiffeq.odeint,
    "torchdiffeq adjoint": torchdiffeq.odeint_adjoint,
}
PREDICTED_AT_ONCE = {"cpu": 128, "cuda": 4096}  # patches
TOLERANCE = 1e-3  # relative and absolute, as the paper's template has it


class Solved(torch.nn.Module):
    """The continuous block as the paper's template solves it: Dopri5, adaptive."""

    def __init__(self, field: torch.nn.Module, solve: Callable[..., torch.Tensor]):
        super().__init__()
        self.field = field
        self.solve = solve
        self.calls = self.solves = 0
        field.register_forward_pre_hook(self.count)

    def count(self, *_):
        self.calls += 1

    def forward(self, x):
        self.solves += 1
        times = torch.tensor([0.0, 1.0], device=x.device)
        tolerances = {"rtol": TOLERANCE, "atol": TOLERANCE}
        return self.solve(self.field, x, times, method="dopri5", **tolerances)[-1]


def torch_device() -> torch.device:
    """Return the device that PyTorch's side computes on: the GPU where JAX has one."""
    if jax.devices()[0].platform == "cpu" or not torch.cuda.is_available():
        return torch.device("cpu")
    # XLA multiplies float32 matrices in TF32 on a GPU unless told otherwise.
    torch.set_float32_matmul_precision("high")
    torch.backends.cudnn.benchmark = True
    return torch.device("cuda")


def torch_network(config: TrainConfig, channels: int, solve: str | None) -> Any:
    """Make the network in PyTorch, with torchdiffeq's solver if `solve` names one."""
    torch.manual_seed(0)
    frame = getattr(reference, FRAMES[config.architecture])
    network = frame(config.model, channels, CLASSES)
    if solve:
        network.block = Solved(network.block.field, SOLVES[solve])
    return network.to(torch_device())


def wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()


def make_torch(
    config: TrainConfig, work: Work, network: Any, *, compiled: bool = False
) -> Opponent:
    """Make PyTorch's steps and prediction; its patches lie ready on its device.

    `compiled` is by torch.compile, which raises whatever fails in it.
    """
    device, side = torch_device(), config.patch

    def cut(pixels: np.ndarray) -> torch.Tensor:
        found = [work.padded[r : r + side, c : c + side] for r, c in pixels]
        return torch.tensor(np.stack(found).transpose(0, 3, 1, 2).copy(), device=device)

    batches = [cut(pixels) for pixels in work.pixels]
    labels = torch.tensor(work.labels, dtype=torch.long, device=device)
    to_predict = cut(work.predicted).split(PREDICTED_AT_ONCE[device.type])
    kinds = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}
    optimizer = kinds[config.optimizer](
        network.parameters(), lr=config.lr, weight_decay=config.weight_decay
    )
    run = torch.compile(network, dynamic=False) if compiled else network

    def train():
        for patches, answers in zip(batches, labels, strict=True):
            optimizer.zero_grad()
            loss = torch.nn.functional.cross_entropy(
                run(patches), answers, label_smoothing=config.label_smoothing
            )
            loss.backward()
            optimizer.step()
        wait(device)

    def predict():
        with torch.inference_mode():
            for patches in to_predict:
                torch.softmax(run(patches), 1).max(1)
        wait(device)

    return Opponent(train, predict)
