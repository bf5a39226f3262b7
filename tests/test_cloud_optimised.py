"""Layout for the cloud, blocks of rows, and disks that are full."""

import subprocess
import sys

import numpy as np
import pytest

from hsijax.errors import HsijaxError
from hsijax.io import cloud_optimised
from hsijax.io.cube import Georeference
from hsijax.io.geotiff import write_class_geotiff, write_float_geotiff
from hsijax.scenes.scene import LandClass

rasterio = pytest.importorskip("rasterio")

CLASSES = (LandClass(1, "Corn", (255, 0, 0)), LandClass(3, "Oak", (0, 128, 64)))
PLACE = Georeference("EPSG:32611", (15.0, 0.0, 353128.5, 0.0, -15.0, 3813729.5))


def large_map(rows: int = 700, cols: int = 600) -> np.ndarray:
    return np.random.default_rng(0).choice([1, 3], (rows, cols), p=[0.7, 0.3])


def test_class_map_is_cloud_optimised(tmp_path):
    path = tmp_path / "map.tif"
    write_class_geotiff(path, large_map(), CLASSES, PLACE)
    with rasterio.open(path) as dataset:
        assert dataset.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert dataset.block_shapes == [(256, 256)]
        assert dataset.overviews(1) == [2, 4]
        np.testing.assert_array_equal(dataset.read(1), large_map())
    with rasterio.open(path, OVERVIEW_LEVEL=0) as overview:
        values = overview.read(1)
    # The most frequent class, where two of four pixels are not another.
    assert np.unique(values).tolist() == [1, 3]
    counts = (large_map() == 3).reshape(350, 2, 300, 2).sum(axis=(1, 3))
    np.testing.assert_array_equal(
        values[counts != 2], np.where(counts > 2, 3, 1)[counts != 2]
    )


def test_layers_are_cloud_optimised(tmp_path):
    path = tmp_path / "layers.tif"
    layers = np.random.default_rng(0).random((700, 600, 2)).astype(np.float32)
    layers[:2, :2] = np.nan
    layers[2, 2] = np.nan
    write_float_geotiff(path, layers, ["one", "other"], PLACE)
    with rasterio.open(path) as dataset:
        assert dataset.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert dataset.overviews(2) == [2, 4]
        np.testing.assert_array_equal(dataset.read(), np.moveaxis(layers, 2, 0))
    with rasterio.open(path, OVERVIEW_LEVEL=0) as overview:
        values = overview.read(2)
    means = layers[..., 1].reshape(350, 2, 300, 2).swapaxes(1, 2).reshape(350, 300, 4)
    assert np.isnan(values[0, 0])
    assert values[1, 1] == pytest.approx(np.nanmean(means[1, 1]))
    np.testing.assert_allclose(values[2:], means[2:].mean(axis=2), rtol=1e-5)


class Rows:
    """An array on disk that only reads rows, such as one of HDF5."""

    def __init__(self, array: np.ndarray):
        self.array, self.shape, self.dtype = array, array.shape, array.dtype

    def __getitem__(self, rows: slice) -> np.ndarray:
        return self.array[rows]


def test_blocks_on_disk_make_the_same_file(tmp_path, monkeypatch):
    layers = np.random.default_rng(0).random((700, 600, 1))
    write_class_geotiff(tmp_path / "map.tif", large_map(), CLASSES, PLACE)
    write_float_geotiff(tmp_path / "layer.tif", layers, ["one"], PLACE)
    monkeypatch.setattr("hsijax.io.cloud_optimised.IN_MEMORY", 0)
    np.save(tmp_path / "map.npy", large_map())
    np.save(tmp_path / "layer.npy", layers)
    for height, wrap in ((256, lambda array: array), (16, Rows)):
        monkeypatch.setattr("hsijax.io.row_blocks.BLOCK_BYTES", 600 * 8 * height)
        class_map = wrap(np.load(tmp_path / "map.npy", mmap_mode="r"))
        layer = wrap(np.load(tmp_path / "layer.npy", mmap_mode="r"))
        folder = tmp_path / str(height)
        write_class_geotiff(folder / "map.tif", class_map, CLASSES, PLACE)
        write_float_geotiff(folder / "layer.tif", layer, ["one"], PLACE)
        for name in ("map.tif", "map.qml", "map.tif.aux.xml", "layer.tif", "layer.qml"):
            assert (folder / name).read_bytes() == (tmp_path / name).read_bytes()
        assert len([*folder.iterdir()]) == 5


def test_a_large_map_that_was_not_written_whole_is_refused(tmp_path, monkeypatch):
    """GDAL does not always tell."""
    copy = cloud_optimised._copy_ordered

    def lose(draft, file, raster):
        with rasterio.open(draft, "r+") as dataset:
            dataset.write(
                np.zeros((1, 1, 1), np.uint8), window=((699, 700), (599, 600))
            )
        copy(draft, file, raster)

    monkeypatch.setattr(cloud_optimised, "IN_MEMORY", 0)
    monkeypatch.setattr(cloud_optimised, "_copy_ordered", lose)
    with pytest.raises(HsijaxError, match="other values than written from row 512"):
        write_class_geotiff(tmp_path / "map.tif", large_map(), CLASSES, PLACE)
    assert list(tmp_path.iterdir()) == []


def test_unknown_value_in_a_late_block_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(cloud_optimised, "IN_MEMORY", 0)
    class_map = large_map()
    class_map[-1, -1] = 2
    with pytest.raises(HsijaxError, match="value 2"):
        write_class_geotiff(tmp_path / "map.tif", class_map, CLASSES, PLACE)
    assert list(tmp_path.iterdir()) == []


MEMORY = """
import resource, sys
from pathlib import Path
import numpy as np
import rasterio
from hsijax.io.cube import Georeference
from hsijax.io.envi_classification import *
from hsijax.io.geotiff import *
from hsijax.scenes.scene import LandClass

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

folder = Path(sys.argv[1])
place = Georeference("EPSG:32611", (1.0, 0.0, 9.0, 0.0, -1.0, 9.0))
layers = np.memmap(folder / "map", np.float32, "w+", shape=(16000, 2500, 1))
write_float_geotiff(folder / "a.tif", layers[:9], ["one"], place)
before = peak()
write_envi_layers(folder / "a.img", layers, ["one"], place)
write_float_geotiff(folder / "b.tif", layers, ["one"], place)
print(peak() - before)
"""


def test_memory_does_not_grow_with_the_scene(tmp_path):
    """A map of 160 MB; made in memory, or left there where read, it takes 230."""
    pytest.importorskip("resource")
    command = [sys.executable, "-c", MEMORY, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < 200
    assert (tmp_path / "a.img").stat().st_size == 16000 * 2500 * 4


FULL_DISK = """
import resource, sys
from pathlib import Path
import numpy as np
from hsijax.errors import HsijaxError
from hsijax.io import cloud_optimised
from hsijax.io.cube import Georeference
from hsijax.io.envi_classification import *
from hsijax.io.geotiff import *
from hsijax.scenes.scene import LandClass

folder = Path(sys.argv[1])
classes = [LandClass(i, f"class {i}", (i, 0, 0)) for i in range(1, 200)]
rng = np.random.default_rng(0)
noise = rng.integers(1, 200, (512, 512))
layers = rng.random((512, 512, 1))
place = Georeference("EPSG:32611", (1.0, 0.0, 0.0, 0.0, -1.0, 0.0))
calls = {
    "class.tif": lambda p: write_class_geotiff(p, noise, classes, place),
    "float.tif": lambda p: write_float_geotiff(p, layers, ["sure"], place),
    "class.img": lambda p: write_envi_classification(p, noise, classes, place),
    "float.img": lambda p: write_envi_layers(p, layers, ["sure"], place),
}
if sys.argv[2] == "large":
    cloud_optimised.IN_MEMORY = 0
for name, call in calls.items():
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
    call(folder / name)
    size = (folder / name).stat().st_size
    for path in folder.iterdir():
        path.unlink()
    for limit in (500, 20000, size - 500):
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
        try:
            call(folder / name)
        except HsijaxError as error:
            assert "the disk is full" in str(error), error
        else:
            raise AssertionError(f"{name} was written")
print(list(folder.iterdir()))
"""


@pytest.mark.parametrize("size", ["small", "large"])
def test_full_disk_leaves_nothing_behind(tmp_path, size):
    """At once, after the small files, or before the last bytes of a map."""
    pytest.importorskip("resource")
    command = [sys.executable, "-c", FULL_DISK, str(tmp_path), size]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"
