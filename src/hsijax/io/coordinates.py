"""Georeferences from coordinates of pixels, from transforms and from WKT."""

import re

import numpy as np
from jaxtyping import Float

from hsijax.io.cube import Georeference

# The code that names a whole coordinate system stands last in its WKT, 1 or 2.
OWN_CODE = re.compile(r"""(?:AUTHORITY|ID)\["EPSG",\s*"?(\d+)"?\s*\]\s*\]$""")
EVEN = 0.05  # pixels that a coordinate may lie beside an even grid, stored as float32


def name_crs(text: str) -> str:
    """Return "EPSG:code" for a WKT that carries its code, any other text as it is.

    >>> name_crs('GEOGCS["WGS 84",UNIT["degree",0.017],AUTHORITY["EPSG","4326"]]')
    'EPSG:4326'
    """
    code = OWN_CODE.search(text.strip())
    return f"EPSG:{code.group(1)}" if code else text.strip()


def from_centres(
    crs: str | None, x: Float[np.ndarray, " cols"], y: Float[np.ndarray, " rows"]
) -> Georeference | None:
    """Return the georeference of a grid by its pixels' centres; None if it is uneven.

    >>> from_centres(None, np.array([15.0, 45.0]), np.array([95.0, 65.0])).transform
    (30.0, 0.0, 0.0, 0.0, -30.0, 110.0)
    """
    steps = []
    for centres in (x, y):
        if centres.size < 2 or not np.isfinite(centres).all():
            return None
        step = float(centres[-1] - centres[0]) / (centres.size - 1)
        even = centres[0] + step * np.arange(centres.size)
        if not step or np.abs(centres - even).max() > EVEN * abs(step):
            return None
        steps.append(step)
    width, height = steps
    left, top = float(x[0]) - width / 2, float(y[0]) - height / 2
    return Georeference(crs, (width, 0.0, left, 0.0, height, top))


def from_gdal(crs: str | None, numbers: Float[np.ndarray, " 6"]) -> Georeference:
    """Return the georeference of a transform in GDAL's order: x, its steps, y, its.

    >>> from_gdal("EPSG:4326", np.array([10, 0.5, 0, 50, 0, -0.5])).transform
    (0.5, 0.0, 10.0, 0.0, -0.5, 50.0)
    """
    c, a, b, f, d, e = numbers.tolist()
    return Georeference(crs, (a, b, c, d, e, f))
