"""A scene: one image with its ground truth and what is known about both."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np
from jaxtyping import Bool, Float, Int, Integer, Shaped

from hsijax.errors import HsijaxError
from hsijax.io.cube import Georeference, LazyCube
from hsijax.io.ground_truth import check_ground_truth_size
from hsijax.scenes.band_names import describe_bands
from hsijax.scenes.sources import SourceFile
from hsijax.scenes.tiles import Window, whole_window

BLOCK_BYTES = 2**25  # of the cube that are looked at in one go

log = logging.getLogger("hsijax")


@dataclass(frozen=True)
class LandClass:
    """One class of a ground truth: its value there, its name, its colour (RGB)."""

    id: int
    name: str
    colour: tuple[int, int, int]


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

    def blocks(
        self, window: Window | None = None
    ) -> Iterator[tuple[slice, Shaped[np.ndarray, "rows cols bands"]]]:
        """Yield the cube's good bands, some rows at a time, with the slice of rows.

        With a window, its pixels alone; its rows are counted from its first one.
        """
        corner = window or whole_window(self.shape)
        for rows in self._some_rows(corner):
            block = np.asarray(self.cube.read(rows, corner.cols))
            yield (
                slice(rows.start - corner.rows.start, rows.stop - corner.rows.start),
                block if self.good_bands.all() else block[:, :, self.good_bands],
            )

    def _some_rows(self, window: Window) -> Iterator[slice]:
        """Yield the rows of a window, a few at a time."""
        width = window.shape[1] * self.shape[2] * self.cube.dtype.itemsize
        rows, step = window.rows, max(1, BLOCK_BYTES // width)
        for start in range(rows.start, rows.stop, step):
            yield slice(start, min(start + step, rows.stop))

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

    def labels_without_data(self) -> Bool[np.ndarray, "rows cols"]:
        """Mark labelled pixels that are no-data; reads only around labels."""
        found = np.zeros(self.shape[:2], dtype=bool)
        if self.nodata is None:
            return found
        labelled = self._labelled() > 0
        for rows in self._some_rows(whole_window(self.shape)):
            there = np.flatnonzero(labelled[rows].any(axis=0))
            if there.size:
                place = rows, slice(int(there[0]), int(there[-1]) + 1)
                block = np.asarray(self.cube.read(*place))[:, :, self.good_bands]
                found[place] = ~self.is_valid(block) & labelled[place]
        return found

    def load(
        self, window: Window | None = None, *, drop_broken: bool = False
    ) -> tuple[Float[np.ndarray, "rows cols bands"], Bool[np.ndarray, "rows cols"]]:
        """Read the good bands as float32, not rescaled, and which pixels are valid.

        See `clean_blocks`, of which this is all in one.

        Raises:
            HsijaxError: a valid pixel holds NaN or an infinite number, or there is
                none because some bands have no data.
        """
        if self.parts:
            return self._load_parts(drop_broken)
        size = (window or whole_window(self.shape)).shape
        values = np.empty((*size, int(self.good_bands.sum())), dtype=np.float32)
        valid = np.empty(size, dtype=bool)
        for rows, block, good in self.clean_blocks(window, drop_broken=drop_broken):
            values[rows], valid[rows] = block, good
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
                broken = np.asarray(~np.isfinite(values).all(axis=2))
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
        there = row + corner[0] + self.corner[0], col + corner[1] + self.corner[1]
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
            f"infinite values, the first at row {there[0]}, column {there[1]} (from "
            f"0), band {band + 1} (from 1){length}: {advice}"
        )
