"""Small real scenes for the tests of unmixing, cut out of Jasper Ridge."""

from pathlib import Path

import numpy as np
import scipy.io

SIDE = 24  # pixels
NAMES = ["tree", "water", "dirt", "road"]


def write_jasper_crop(shared_data: Path, folder: Path, *, beside: bool = True) -> Path:
    """Write a crop with all four materials as `crop.mat`, its reference beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    jasper = shared_data / "jasper_ridge"
    cube = scipy.io.loadmat(jasper / "jasperRidge2_R198.mat")["Y"]
    truth = scipy.io.loadmat(jasper / "end4.mat")
    columns = np.arange(10_000).reshape(100, 100, order="F")
    window = columns[30 : 30 + SIDE, 40 : 40 + SIDE].ravel(order="F")
    scipy.io.savemat(
        folder / "crop.mat",
        {"Y": cube[:, window], "nRow": SIDE, "nCol": SIDE, "maxValue": 5000},
    )
    if beside:
        scipy.io.savemat(
            folder / "end4.mat",
            {
                "A": truth["A"][:, window],
                "M": truth["M"],
                "cood": np.array([[name] for name in NAMES], dtype=object),
            },
        )
    return folder / "crop.mat"
