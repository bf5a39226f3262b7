"""The networks in PyTorch, written from the published description alone.

The tables in Paoletti et al., IGARSS 2019 (Fig. 1, and the parameter counts of Table 1)
and in Zhang et al., GRSL 2018 (Table I) are the specification; nothing here is derived
from hsijax. Channels come second.
"""

import torch
from torch import nn

MAPS = 64


def group_norm(groups=32):
    return nn.GroupNorm(groups, MAPS)


def conv3x3(stride=1):
    return nn.Conv2d(MAPS, MAPS, 3, stride=stride, padding=1, bias=False)


class ResidualUnit(nn.Module):
    """Pre-activated; with a stride, the shortcut is a 1x1 convolution."""

    def __init__(self, stride=1, groups=32):
        super().__init__()
        self.norm1 = group_norm(groups)
        self.conv1 = conv3x3(stride)
        self.norm2 = group_norm(groups)
        self.conv2 = conv3x3()
        self.shortcut = None
        if stride > 1:
            self.shortcut = nn.Conv2d(MAPS, MAPS, 1, stride=stride, bias=False)

    def forward(self, x):
        activated = torch.relu(self.norm1(x))
        kept = x if self.shortcut is None else self.shortcut(activated)
        out = self.conv1(activated)
        return kept + self.conv2(torch.relu(self.norm2(out)))


class Field(nn.Module):
    def __init__(self, groups):
        super().__init__()
        self.norm1 = group_norm(groups)
        self.conv1 = conv3x3()
        self.norm2 = group_norm(groups)
        self.conv2 = conv3x3()
        self.norm3 = group_norm(groups)

    def forward(self, t, x):
        out = self.conv1(torch.relu(self.norm1(x)))
        out = self.conv2(torch.relu(self.norm2(out)))
        return self.norm3(out)


def rk4_step(f, x, h):
    k1 = f(0, x)
    k2 = f(0, x + h / 2 * k1)
    k3 = f(0, x + h / 2 * k2)
    k4 = f(0, x + h * k3)
    return x + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)


def dopri5_step(f, x, h):
    """One step of Dormand and Prince (1980), Table 2, fifth order."""
    k1 = f(0, x)
    k2 = f(0, x + h * (k1 / 5))
    k3 = f(0, x + h * (3 / 40 * k1 + 9 / 40 * k2))
    k4 = f(0, x + h * (44 / 45 * k1 - 56 / 15 * k2 + 32 / 9 * k3))
    k5 = f(
        0,
        x
        + h
        * (19372 / 6561 * k1 - 25360 / 2187 * k2 + 64448 / 6561 * k3 - 212 / 729 * k4),
    )
    k6 = f(
        0,
        x
        + h
        * (
            9017 / 3168 * k1
            - 355 / 33 * k2
            + 46732 / 5247 * k3
            + 49 / 176 * k4
            - 5103 / 18656 * k5
        ),
    )
    return x + h * (
        35 / 384 * k1
        + 500 / 1113 * k3
        + 125 / 192 * k4
        - 2187 / 6784 * k5
        + 11 / 84 * k6
    )


STEPS = {"rk4": rk4_step, "dopri5": dopri5_step}


class OdeBlock(nn.Module):
    def __init__(self, solver, steps, groups):
        super().__init__()
        self.field = Field(groups)
        self.step = STEPS[solver]
        self.steps = steps

    def forward(self, x):
        for _ in range(self.steps):
            x = self.step(self.field, x, 1 / self.steps)
        return x


class TiedUnits(nn.Module):
    def __init__(self, repeats, groups):
        super().__init__()
        self.unit = ResidualUnit(groups=groups)
        self.repeats = repeats

    def forward(self, x):
        for _ in range(self.repeats):
            x = self.unit(x)
        return x


def make_block(model, solver, steps, groups=32):
    return {
        "odenet": lambda: OdeBlock(solver, steps, groups),
        "resnet": lambda: nn.Sequential(*(ResidualUnit(1, groups) for _ in range(6))),
        "resnet-tied": lambda: TiedUnits(6, groups),
        "resnet1": lambda: nn.Sequential(ResidualUnit(1, groups)),
        "no-block": nn.Sequential,
    }[model]()


class PaperNetwork(nn.Module):
    def __init__(self, model, channels, classes, solver="rk4", steps=1):
        super().__init__()
        self.stem = nn.Conv2d(channels, MAPS, 3)
        self.down1 = ResidualUnit(stride=2)
        self.down2 = ResidualUnit(stride=2)
        self.block = make_block(model, solver, steps)
        self.norm = group_norm()
        self.linear = nn.Linear(MAPS, classes)

    def forward(self, x):
        x = self.block(self.down2(self.down1(self.stem(x))))
        return self.linear(torch.relu(self.norm(x)).mean((2, 3)))


class CompactNetwork(nn.Module):
    def __init__(self, model, channels, classes, solver="rk4", steps=1):
        super().__init__()
        self.stem = nn.Conv2d(channels, MAPS, 1)
        self.block = make_block(model, solver, steps, groups=4)
        self.norm = group_norm(4)
        self.linear = nn.Linear(2 * MAPS, classes)

    def forward(self, x):
        x = torch.relu(self.norm(self.block(self.stem(x))))
        centre = x.shape[-1] // 2
        return self.linear(torch.cat([x.mean((2, 3)), x[:, :, centre, centre]], 1))


class PixelUnmixer(nn.Module):
    """Zhang et al., GRSL 2018, Table I, upper half; max pooling by two."""

    def __init__(self, bands, endmembers):
        super().__init__()
        sizes = [(1, 3, 5), (3, 6, 4), (6, 12, 5), (12, 24, 4)]
        self.convs = nn.ModuleList(nn.Conv1d(*size) for size in sizes)
        for taps in (5, 4, 5, 4):
            bands = (bands - taps + 1) // 2
        self.f10 = nn.Linear(24 * bands, 150)
        self.f11 = nn.Linear(150, endmembers)

    def forward(self, x):
        """Take spectra [N 1 bands], return abundances, equation (1)."""
        for conv in self.convs:
            x = nn.functional.max_pool1d(torch.relu(conv(x)), 2)
        x = torch.sigmoid(self.f11(torch.relu(self.f10(x.flatten(1)))))
        return x / x.sum(1, keepdim=True)


class CubeUnmixer(nn.Module):
    """Zhang et al., GRSL 2018, Table I, lower half, without its dropout."""

    def __init__(self, bands, endmembers, side):
        super().__init__()
        sizes = [(1, 16, 5), (16, 32, 4), (32, 64, 5), (64, 128, 4)]
        self.convs = nn.ModuleList(
            nn.Conv3d(channels, maps, (taps, 1, 1)) for channels, maps, taps in sizes
        )
        for taps in (5, 4, 5, 4):
            bands = (bands - taps + 1) // 2
        self.f10 = nn.Linear(128 * bands * side * side, 150)
        self.f11 = nn.Linear(150, endmembers)

    def forward(self, x):
        """Take cubes [N 1 bands side side], return abundances, equation (1)."""
        for conv in self.convs:
            x = nn.functional.max_pool3d(torch.relu(conv(x)), (2, 1, 1))
        x = torch.sigmoid(self.f11(torch.relu(self.f10(x.flatten(1)))))
        return x / x.sum(1, keepdim=True)
