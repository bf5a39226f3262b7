"""A small real scene for trainings of seconds, cut out of Salinas-A."""

from pathlib import Path

import scipy.io

WINDOW = slice(36, 60)  # pixels, of rows and columns: four classes


def write_salinas_crop(shared_data: Path, folder: Path) -> tuple[Path, Path]:
    """Write a crop with every tenth band, and its ground truth; return both."""
    scene = shared_data / "salinas_a"
    cube = scipy.io.loadmat(scene / "SalinasA_corrected.mat")["salinasA_corrected"]
    truth = scipy.io.loadmat(scene / "SalinasA_gt.mat")["salinasA_gt"]
    files = folder / "crop.mat", folder / "gt.mat"
    scipy.io.savemat(files[0], {"cube": cube[WINDOW, WINDOW, ::10]})
    scipy.io.savemat(files[1], {"gt": truth[WINDOW, WINDOW]})
    return files
