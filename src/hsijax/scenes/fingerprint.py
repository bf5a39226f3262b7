"""Whether a scene is read as it was before."""

import hashlib

import numpy as np

from hsijax.scenes.scene import Scene

SHOWN = 64  # pixels of a row that are looked at


def fingerprint(scene: Scene) -> str:
    """Return a hash of how a scene's file is understood, and of some of its values.

    It changes with what a header beside the file says: order and type of the values,
    bands, no-data, scale.
    """
    rows, cols, _ = scene.shape
    across = slice(0, min(cols, SHOWN))
    digest = hashlib.sha256()
    for row in (0, rows // 2, rows - 1):
        values = np.asarray(scene.cube.read(slice(row, row + 1), across))
        digest.update(np.ascontiguousarray(values).tobytes())
    for array in (scene.good_bands, scene.wavelengths, scene.fwhm):
        digest.update(b"" if array is None else array.tobytes())
    place = scene.georeference
    said = (scene.shape, scene.cube.dtype.str, scene.nodata, scene.scale, place)
    digest.update(repr(said).encode())
    return digest.hexdigest()
