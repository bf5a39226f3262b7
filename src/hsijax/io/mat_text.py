"""Texts in MATLAB files: the names that stand beside the numbers."""

from pathlib import Path

import h5py
import numpy as np

from hsijax.io.mat import damaged

TEXT_CLASSES = ("cell", "char")


def read_texts(path: Path) -> dict[str, tuple[str, ...]]:
    """Read all cell arrays of texts, and character arrays row by row.

    Nothing is returned of cells that hold anything else, and of other formats.

    Raises:
        HsijaxError: the file is damaged.
    """
    if path.suffix.lower() != ".mat":
        return {}
    try:
        found = _read_hdf5(path) if h5py.is_hdf5(path) else _read_mat(path)
    except Exception as error:  # SciPy's parser fails in many ways on damaged bytes
        raise damaged(path, error) from error
    return {name: texts for name, texts in found.items() if texts}


def _read_mat(path: Path) -> dict[str, tuple[str, ...]]:
    from scipy.io import loadmat, whosmat  # as in `mat`

    names = [n for n, _, kind in whosmat(path) if kind in TEXT_CLASSES]
    if not names:
        return {}
    arrays = loadmat(path, variable_names=names)
    return {name: _flatten(arrays[name]) for name in names}


def _flatten(array: np.ndarray) -> tuple[str, ...]:
    """Return the texts of a cell or character array; none if a cell holds no text."""
    texts = []
    for item in array.ravel():
        cell = np.asarray(item)
        if cell.dtype.kind != "U" or cell.size > 1:
            return ()
        texts.append("".join(cell.ravel().tolist()).strip())
    return tuple(texts)


def _read_hdf5(path: Path) -> dict[str, tuple[str, ...]]:
    found = {}
    with h5py.File(path) as file:
        for name, item in file.items():
            kind = item.attrs.get("MATLAB_class", b"")
            kind = kind.decode() if isinstance(kind, bytes) else kind
            if kind not in TEXT_CLASSES or not isinstance(item, h5py.Dataset):
                continue
            if kind == "char":
                rows = item[()].T
                found[name] = tuple(_decode(row) for row in rows)
            else:
                cells = [file[reference] for reference in item[()].T.ravel(order="F")]
                texts = [
                    _decode(cell[()])
                    for cell in cells
                    if isinstance(cell, h5py.Dataset)
                    and cell.attrs.get("MATLAB_class") == b"char"
                ]
                if len(texts) == len(cells):
                    found[name] = tuple(texts)
    return found


def _decode(codes: np.ndarray) -> str:
    return "".join(map(chr, codes.ravel())).strip()
