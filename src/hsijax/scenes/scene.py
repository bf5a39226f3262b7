"""A scene: one image with its ground truth and what is known about both."""

import hashlib
import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, Int, Integer, Shaped

from hsijax.errors import HsijaxError
from hsijax.io.cube import Georeference, LazyCube
from hsijax.io.ground_truth import check_ground_truth_size
from hsijax.scenes.band_names import describe_bands
from hsijax.scenes.tiles import Window, whole_window

BLOCK_BYTES = 2**25  # of the cube that are looked at in one go

log = logging.getLogger("hsijax")


@dataclass(frozen=True)
class LandClass:
    """One class of a ground truth: its value there, its name, its colour (RGB)."""

    id: int
    name: str
    colour: tuple[int, int, int]


def hash_file(path: Path) -> str:
    """Return the sha256 of a file's bytes, in hexadecimal digits.

    That of a folder, such as a Zarr store, is the sha256 of a list of its files, in
    the order of their names, each with its own sha256 as `sha256sum` prints it.
    """
    if path.is_dir():
        digest = hashlib.sha256()
        names = sorted(
            file.relative_to(path).as_posix()
            for file in path.rglob("*")
            if file.is_file()
        )
        for name in names:
            digest.update(f"{hash_file(path / name)}  {name}\n".encode())
        return digest.hexdigest()
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def holds_data(
    block: Shaped[np.ndarray, "rows cols *bands"], nodata: float | None
) -> Bool[np.ndarray, "rows cols"]:
    """Return False where all bands hold the no-data value or, if there is one, NaN."""
    if nodata is None:
        return np.ones(block.shape[:2], dtype=bool)
    missing = block == nodata
    if block.dtype.kind == "f":
        missing |= np.isnan(block)
    return ~missing.all(axis=tuple(range(2, block.ndim)))


@dataclass(frozen=True)
class SourceFile:
    """Where an array came from."""

    path: Path
    key: str | None = None  # the variable inside the file

    @cached_property
    def sha256(self) -> str:
        """Hash of the file's (or folder's) bytes; read once, when first asked for."""
        return hash_file(self.path)


@dataclass(frozen=True)
class Scene:
    """A cube `[rows cols bands]`, read lazily, with its ground truth and metadata.

    The ground truth is 0 where a pixel has no label and a class's `id` elsewhere; ids
    need not be contiguous. Band masks and no-data values are honoured by `load`.
    """

    name: str
    cube: LazyCube
    source: SourceFile
    good_bands: Bool[np.ndarray, " bands"]
    wavelengths: Float[np.ndarray, " bands"] | None = None  # nm
    fwhm: Float[np.ndarray, " bands"] | None = None  # nm
    nodata: float | None = None
    scale: float | None = None  # reflectance is the values divided by it
    ground_truth: Int[np.ndarray, "rows cols"] | None = None
    ground_truth_source: SourceFile | None = None
    classes: tuple[LandClass, ...] = ()
    georeference: Georeference | None = None
    notes: tuple[str, ...] = field(default=())  # what the loader found worth saying

    def __post_init__(self):
        if self.ground_truth is not None:
            source = self.ground_truth_source
            path = source.path if source else "given"
            check_ground_truth_size(self.ground_truth.shape, self.shape, path)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Rows, columns, bands of the cube as it is stored."""
        return self.cube.shape

    @property
    def class_ids(self) -> Int[np.ndarray, " classes"]:
        """Values of the classes in the ground truth, in the order of `classes`."""
        return np.array([land_class.id for land_class in self.classes], dtype=np.int32)

    def class_counts(self) -> Int[np.ndarray, " classes"]:
        """Count the labelled pixels of each class."""
        ground_truth = self._labelled()
        counts = np.bincount(ground_truth.ravel(), minlength=max(self.class_ids) + 1)
        return counts[self.class_ids]

    def labels(self, pixels: Integer[np.ndarray, "n 2"]) -> Int[np.ndarray, " n"]:
        """Return for labelled pixels (row, col) the index of their class, from 0.

        Raises:
            ValueError: one of them has no label.
        """
        values = self._labelled()[pixels[:, 0], pixels[:, 1]]
        index = np.full(max(self.class_ids) + 1, -1, dtype=np.int32)
        index[self.class_ids] = np.arange(len(self.classes))
        found = index[values]
        if (found < 0).any():
            row, col = pixels[np.argmin(found)]
            raise ValueError(f"the pixel at row {row}, column {col} has no label")
        return found

    def _labelled(self) -> Int[np.ndarray, "rows cols"]:
        if self.ground_truth is None:
            raise HsijaxError(
                f"{self.name} has no ground truth; name one with --ground-truth FILE"
            )
        return self.ground_truth

    def blocks(
        self, window: Window | None = None
    ) -> Iterator[tuple[slice, Shaped[np.ndarray, "rows cols bands"]]]:
        """Yield the cube's good bands, some rows at a time, with the slice of rows.

        With a window, its pixels alone; its rows are counted from its first one.
        """
        rows, cols = window or whole_window(self.shape)
        height, width = Window(rows, cols).shape
        step = max(1, BLOCK_BYTES // (width * self.shape[2] * self.cube.dtype.itemsize))
        for start in range(0, height, step):
            stop = min(start + step, height)
            these = slice(rows.start + start, rows.start + stop)
            block = np.asarray(self.cube.read(these, cols))
            yield (
                slice(start, stop),
                block if self.good_bands.all() else block[:, :, self.good_bands],
            )

    def is_valid(
        self, block: Shaped[np.ndarray, "rows cols good_bands"]
    ) -> Bool[np.ndarray, "rows cols"]:
        """Return False where a band holds the no-data value, or all of them NaN.

        A no-data value of 0 is an ordinary one where it is not the whole spectrum. All
        pixels are valid in a scene without a no-data value.
        """
        known = holds_data(block, self.nodata)
        if not self.nodata:
            return known
        marked = np.isnan(block) if np.isnan(self.nodata) else block == self.nodata
        return known & ~marked.any(axis=2)

    def _is_missing(
        self, values: Shaped[np.ndarray, "*pixels bands"]
    ) -> Bool[np.ndarray, "*pixels bands"]:
        """Return True where there is the no-data value or NaN."""
        marked = values == self.nodata
        return marked | np.isnan(values) if values.dtype.kind == "f" else marked

    def valid_pixels(self) -> Bool[np.ndarray, "rows cols"]:
        """Return False where a pixel is no-data; reads the cube if it can have such."""
        if self.nodata is None:
            return np.ones(self.shape[:2], dtype=bool)
        return np.concatenate([self.is_valid(block) for _, block in self.blocks()])

    def load(
        self, window: Window | None = None, *, drop_broken: bool = False
    ) -> tuple[Float[np.ndarray, "rows cols bands"], Bool[np.ndarray, "rows cols"]]:
        """Read the good bands as float32, not rescaled, and which pixels are valid.

        See `clean_blocks`, of which this is all in one.

        Raises:
            HsijaxError: a valid pixel holds NaN or an infinite number, or there is
                none because some bands have no data.
        """
        size = (window or whole_window(self.shape)).shape
        values = np.empty((*size, int(self.good_bands.sum())), dtype=np.float32)
        valid = np.empty(size, dtype=bool)
        for rows, block, good in self.clean_blocks(window, drop_broken=drop_broken):
            values[rows], valid[rows] = block, good
        return values, valid

    def clean_blocks(
        self, window: Window | None = None, *, drop_broken: bool = False
    ) -> Iterator[
        tuple[
            slice,
            Float[np.ndarray, "rows cols bands"],
            Bool[np.ndarray, "rows cols"],
        ]
    ]:
        """Yield rows, their good bands as float32, and which pixels are valid.

        Pixels that are not valid are 0 in all bands. With `drop_broken` those that hold
        NaN or infinite numbers are not valid either. Of a whole scene, not of a window,
        it is said how many lack some bands.

        Raises:
            HsijaxError: a valid pixel holds NaN or an infinite number, or there is none
                in the scene because some bands have no data.
        """
        held = np.zeros(int(self.good_bands.sum()), dtype=bool)
        partial = broken_pixels = valid_pixels = 0
        for rows, block in self.blocks(window):
            valid = self.is_valid(block)
            with np.errstate(over="ignore"):  # a value too large for float32 is inf
                values = block.astype(np.float32)
            has_data = ~self._is_missing(block[~valid])
            held |= has_data.any(axis=0)
            partial += int(np.count_nonzero(has_data.any(axis=1)))
            values[~valid] = 0
            if block.dtype.kind == "f":
                broken = ~np.isfinite(values).all(axis=2)
                broken_pixels += int(np.count_nonzero(broken))
                if broken.any() and not drop_broken:
                    corner = window or whole_window(self.shape)
                    place = (corner.rows.start + rows.start, corner.cols.start)
                    raise HsijaxError(self._describe_broken(values, broken, place))
                values[broken] = 0
                valid &= ~broken
            valid_pixels += int(np.count_nonzero(valid))
            yield rows, values, valid
        if window is not None:
            return
        if partial and not valid_pixels:
            raise HsijaxError(self._describe_empty(held))
        if partial or broken_pixels:
            log.warning(
                "%s: %d pixels hold %s in some bands; they are left out",
                self.source.path,
                partial + broken_pixels,
                "NaN, infinite or no-data values" if broken_pixels else "no data",
            )

    def _describe_empty(self, held: Bool[np.ndarray, " good_bands"]) -> str:
        bands = np.flatnonzero(self.good_bands)[~held]
        which = "some bands"
        if bands.size:
            lengths = None if self.wavelengths is None else self.wavelengths[bands]
            which = describe_bands(lengths, bands)
        return (
            f"{self.source.path}: no pixel has data in all {held.size} bands, because "
            f"{which} have none; mark bands without data as bad (bbl of an ENVI header)"
        )

    def _describe_broken(
        self, values: np.ndarray, broken: np.ndarray, corner: tuple[int, int]
    ) -> str:
        row, col = np.argwhere(broken)[0]
        bad_bands = ~np.isfinite(values[row, col])
        band = np.flatnonzero(self.good_bands)[np.argmax(bad_bands)]
        length = (
            "" if self.wavelengths is None else f", {self.wavelengths[band]:.5g} nm"
        )
        advice = "replace them, or mark their bands as bad (bbl of an ENVI header)"
        if self.nodata is None and np.isnan(values[row, col][bad_bands]).all():
            advice = "if they mark missing pixels, name the value: --nodata nan"
        return (
            f"{self.source.path}: {np.count_nonzero(broken)} pixels hold NaN or "
            f"infinite values, the first at row {corner[0] + row}, column "
            f"{corner[1] + col} (from 0), band {band + 1} (from 1){length}: {advice}"
        )
