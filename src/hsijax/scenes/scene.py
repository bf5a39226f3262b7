"""A scene: one image with its ground truth and what is known about both."""

import hashlib
import logging
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, Int, Integer, Shaped

from hsijax.errors import HsijaxError
from hsijax.io.cube import Georeference, LazyCube
from hsijax.io.ground_truth import check_ground_truth_size

BLOCK_BYTES = 2**25  # of the cube that are looked at in one go

log = logging.getLogger("hsijax")


@dataclass(frozen=True)
class LandClass:
    """One class of a ground truth: its value there, its name, its colour (RGB)."""

    id: int
    name: str
    colour: tuple[int, int, int]


def hash_file(path: Path) -> str:
    """Return the sha256 of a file's bytes, in hexadecimal digits."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


@dataclass(frozen=True)
class SourceFile:
    """Where an array came from."""

    path: Path
    key: str | None = None  # the variable inside the file
    joined: tuple["SourceFile", ...] = ()  # what it was put together from

    @cached_property
    def sha256(self) -> str:
        """Hash of the file's bytes, or of several hashes; read when asked for."""
        if self.joined:
            hashes = "".join(source.sha256 for source in self.joined)
            return hashlib.sha256(hashes.encode()).hexdigest()
        return hash_file(self.path)


@dataclass(frozen=True)
class Part:
    """A scene that lies below others in one; see `stack_scenes`."""

    scene: "Scene"
    row: int  # of the whole, where its first row lies; its first column is 0
    trains: bool  # False: it is only tested

    @property
    def window(self) -> tuple[slice, slice]:
        """Its rows and columns in the whole."""
        rows, cols = self.scene.shape[:2]
        return slice(self.row, self.row + rows), slice(0, cols)


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
    parts: tuple[Part, ...] = ()  # the scenes that it was put together from
    corner: tuple[int, int] = (0, 0)  # row, col in its file, of a window of a scene

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
    def windows(self) -> tuple[tuple[slice, slice], ...]:
        """Rows and columns of its parts; empty for a scene without parts."""
        return tuple(part.window for part in self.parts)

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

    def blocks(self) -> Iterator[tuple[slice, Shaped[np.ndarray, "rows cols bands"]]]:
        """Yield the cube's good bands, some rows at a time, with the slice of rows."""
        for window in self._row_windows():
            block = np.asarray(self.cube.read(window, slice(0, self.shape[1])))
            yield (
                window,
                block if self.good_bands.all() else block[:, :, self.good_bands],
            )

    def _row_windows(self) -> Iterator[slice]:
        rows, cols, bands = self.shape
        step = max(1, BLOCK_BYTES // (cols * bands * self.cube.dtype.itemsize))
        for start in range(0, rows, step):
            yield slice(start, min(start + step, rows))

    def is_valid(
        self, block: Shaped[np.ndarray, "rows cols good_bands"]
    ) -> Bool[np.ndarray, "rows cols"]:
        """Return False where all bands hold the no-data value or, if there is one, NaN.

        All pixels are valid in a scene without a no-data value.
        """
        if self.nodata is None:
            return np.ones(block.shape[:2], dtype=bool)
        missing = block == self.nodata
        if block.dtype.kind == "f":
            missing |= np.isnan(block)
        return ~missing.all(axis=2)

    def labels_without_data(self) -> Bool[np.ndarray, "rows cols"]:
        """Mark labelled pixels that are no-data; reads only around labels."""
        found = np.zeros(self.shape[:2], dtype=bool)
        if self.nodata is None:
            return found
        labelled = self._labelled() > 0
        for window in self._row_windows():
            there = np.flatnonzero(labelled[window].any(axis=0))
            if there.size:
                place = window, slice(int(there[0]), int(there[-1]) + 1)
                block = np.asarray(self.cube.read(*place))[:, :, self.good_bands]
                found[place] = ~self.is_valid(block) & labelled[place]
        return found

    def load(
        self, *, drop_broken: bool = False
    ) -> tuple[Float[np.ndarray, "rows cols bands"], Bool[np.ndarray, "rows cols"]]:
        """Read the good bands as float32, not rescaled, and which pixels are valid.

        Pixels without data are 0 in all bands. With `drop_broken` so are, with a
        warning, those that hold NaN, infinite numbers or the no-data value in some of
        them.

        Raises:
            HsijaxError: a valid pixel holds NaN or an infinite number.
        """
        if self.parts:
            return self._load_parts(drop_broken)
        rows, cols, _ = self.shape
        values = np.empty((rows, cols, int(self.good_bands.sum())), dtype=np.float32)
        valid = np.empty((rows, cols), dtype=bool)
        broken = np.zeros((rows, cols), dtype=bool)
        partial = np.zeros((rows, cols), dtype=bool)
        for window, block in self.blocks():
            valid[window] = self.is_valid(block)
            with np.errstate(over="ignore"):  # a value too large for float32 is inf
                values[window] = block
            values[window][~valid[window]] = 0
            if block.dtype.kind == "f":
                broken[window] = ~np.isfinite(values[window]).all(axis=2)
            # Zero is an ordinary value where it is not the whole spectrum.
            if self.nodata:
                partial[window] = (block == self.nodata).any(axis=2) & valid[window]
        if drop_broken:
            self._drop(values, valid, broken | partial)
        elif broken.any():
            raise HsijaxError(self._describe_broken(values, broken))
        elif partial.any():
            log.warning(
                "%s: %d pixels hold the no-data value %g in some bands only; they are "
                "used as they are",
                self.source.path,
                np.count_nonzero(partial),
                self.nodata,
            )
        return values, valid

    def _load_parts(self, drop_broken: bool) -> tuple[np.ndarray, np.ndarray]:
        """Load each part as if it were alone: what is wrong names its own file."""
        rows, cols, _ = self.shape
        values = np.zeros((rows, cols, int(self.good_bands.sum())), dtype=np.float32)
        valid = np.zeros((rows, cols), dtype=bool)
        for part in self.parts:
            alone = replace(part.scene, good_bands=self.good_bands)
            found = alone.load(drop_broken=drop_broken)
            values[part.window], valid[part.window] = found
        return values, valid

    def _drop(self, values: np.ndarray, valid: np.ndarray, broken: np.ndarray) -> None:
        if broken.any():
            log.warning(
                "%s: %d pixels hold NaN, infinite or no-data values in some bands; "
                "they are left out",
                self.source.path,
                np.count_nonzero(broken),
            )
        values[broken] = 0
        valid[broken] = False

    def _describe_broken(self, values: np.ndarray, broken: np.ndarray) -> str:
        row, col = np.argwhere(broken)[0]
        there = row + self.corner[0], col + self.corner[1]
        bad_bands = ~np.isfinite(values[row, col])
        band = np.flatnonzero(self.good_bands)[np.argmax(bad_bands)] + 1
        advice = "replace them, or mark their bands as bad (bbl of an ENVI header)"
        if self.nodata is None and bad_bands.all():
            advice = "if they mark missing pixels, name the value: --nodata nan"
        return (
            f"{self.source.path}: {np.count_nonzero(broken)} pixels hold NaN or "
            f"infinite values, the first at row {there[0]}, column {there[1]} (from "
            f"0), band {band} (from 1): {advice}"
        )
