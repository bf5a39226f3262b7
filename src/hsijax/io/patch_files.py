"""Files of patches, written a chunk at a time: .npz and Zarr."""

import zipfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float, Shaped

from hsijax.errors import HsijaxError
from hsijax.io.atomic import write_atomically

Shape = tuple[int, int, int, int]
Chunks = Iterable[Float[np.ndarray, "chunk side side channels"]]
Tables = Mapping[str, Shaped[np.ndarray, "patches ..."]]
Names = Mapping[str, Sequence[str]]


def write_npz(
    path: Path, shape: Shape, chunks: Chunks, tables: Tables, names: Names
) -> None:
    """Write `patches` of a shape from chunks of them, then what fits in memory.

    Uncompressed: compression would take minutes for a few percent. `np.load` reads it.

    Args:
        path: written atomically.
        shape: patches, side, side, channels.
        chunks: of float32, together of that shape; each is read once, then let go.
        tables: arrays with a row a patch.
        names: lists of text, which become arrays of text.

    Raises:
        HsijaxError: it cannot be written.
    """
    header = {"descr": "<f4", "fortran_order": False, "shape": shape}
    others = {name: np.array(texts) for name, texts in names.items()}
    with (
        write_atomically(path) as temporary,
        zipfile.ZipFile(temporary, "w") as archive,
    ):
        with archive.open("patches.npy", "w", force_zip64=True) as member:
            np.lib.format.write_array_header_1_0(member, header)
            for chunk in chunks:
                member.write(chunk.astype("<f4", order="C").data.cast("B"))
        for name, array in {**tables, **others}.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, array, allow_pickle=False)


def write_zarr(
    path: Path, shape: Shape, chunks: Chunks, tables: Tables, names: Names
) -> None:
    """Write the same as `write_npz` as a Zarr group; names become its attributes.

    An existing group at `path` is replaced once the new one is whole.

    Raises:
        HsijaxError: the package zarr is missing, or the group cannot be written.
    """
    try:
        import zarr
    except ImportError as error:
        raise HsijaxError(
            f"{path} needs the package zarr: `pip install 'hsijax[zarr]'`, or choose "
            "an --out that ends in .npz"
        ) from error
    with write_atomically(path) as temporary:
        group = zarr.open_group(temporary, mode="w")
        start = 0
        patches = None
        for chunk in chunks:
            if patches is None:
                patches = group.create_array(
                    "patches",
                    shape=shape,
                    chunks=(len(chunk), *shape[1:]),
                    dtype="float32",
                )
            patches[start : start + len(chunk)] = chunk
            start += len(chunk)
        for name, array in tables.items():
            group.create_array(name, data=array)
        group.attrs.update({name: list(texts) for name, texts in names.items()})


WRITERS: dict[str, Callable[[Path, Shape, Chunks, Tables, Names], None]] = {
    ".npz": write_npz,
    ".zarr": write_zarr,
}
