"""Styles beside rasters: what QGIS reads of them, and that they are sound XML."""

from xml.etree import ElementTree

import numpy as np
import pytest

from hsijax.io.cube import Georeference
from hsijax.io.envi_classification import write_envi_classification, write_envi_layers
from hsijax.io.geotiff import write_class_geotiff, write_float_geotiff
from hsijax.io.qgis_style import write_class_style
from hsijax.scenes.scene import LandClass

CLASSES = (
    LandClass(1, 'Corn, "no" till\x00', (255, 0, 0)),
    LandClass(300, "Bäume & <Sträucher>", (0, 128, 64)),
)
PLACE = Georeference("EPSG:32611", (15.0, 0.0, 353128.5, 0.0, -15.0, 3813729.5))


def read_renderer(path) -> ElementTree.Element:
    root = ElementTree.parse(path).getroot()
    assert root.tag == "qgis"
    assert root.get("version", "").startswith("3.")
    renderer = root.find("pipe/rasterrenderer")
    assert renderer is not None
    assert (renderer.get("band"), renderer.get("opacity")) == ("1", "1")
    return renderer


@pytest.mark.parametrize("suffix", [".tif", ".img"])
def test_classes_have_names_and_colours(tmp_path, suffix):
    path = tmp_path / f"reject-0.8-map{suffix}"
    class_map = np.array([[1, 300, 0]])
    if suffix == ".tif":
        pytest.importorskip("rasterio")
        write_class_geotiff(path, class_map, CLASSES, PLACE)
    else:
        write_envi_classification(path, class_map, CLASSES)
    renderer = read_renderer(tmp_path / "reject-0.8-map.qml")
    assert renderer.get("type") == "paletted"
    # No entry for 0: what has none is transparent.
    assert [dict(entry.attrib) for entry in renderer.iter("paletteEntry")] == [
        {"value": "1", "color": "#ff0000", "label": 'Corn, "no" till', "alpha": "255"},
        {
            "value": "300",
            "color": "#008040",
            "label": "Bäume & <Sträucher>",
            "alpha": "255",
        },
    ]


@pytest.mark.parametrize(
    ("layer", "ends"),
    [
        ([0.4, 0.93, np.nan], ("0", "1")),
        ([0.0, 0.031, np.inf], ("0", "0.05")),
        ([-3.0, 1800.0, 0.0], ("-5", "2000")),
        ([np.nan, np.nan, np.nan], ("0", "1")),
    ],
)
@pytest.mark.parametrize("suffix", [".tif", ".img"])
def test_first_layer_is_shown_on_a_round_scale(tmp_path, layer, ends, suffix):
    path = tmp_path / f"map{suffix}"
    layers = np.stack([np.array([layer]), np.full((1, 3), 1e9)], axis=2)
    if suffix == ".tif":
        pytest.importorskip("rasterio")
        write_float_geotiff(path, layers, ["one", "other"], PLACE)
    else:
        write_envi_layers(path, layers, ["one", "other"])
    renderer = read_renderer(tmp_path / "map.qml")
    assert renderer.get("type") == "singlebandpseudocolor"
    (shader,) = renderer.iter("colorrampshader")
    values = [item.get("value", "") for item in shader]
    assert (values[0], values[-1]) == ends
    assert (shader.get("minimumValue"), shader.get("maximumValue")) == ends
    numbers = [float(value) for value in values]
    assert numbers == sorted(numbers)


def test_no_style_without_its_raster(tmp_path):
    def fail():
        with write_class_style(tmp_path / "map.tif", CLASSES):
            raise ValueError("no map")

    with pytest.raises(ValueError, match="no map"):
        fail()
    assert list(tmp_path.iterdir()) == []
