"""EnMAP and DESIS: GeoTIFFs with their XML, found from either."""

import logging

import numpy as np
import pytest
from product_files import write_desis_xml, write_enmap_xml
from test_io_hdf import check_windows, known

from hsijax.errors import HsijaxError
from hsijax.io import open_file, read_cube

pytest.importorskip("rasterio")

from test_io_geotiff_reader import PLACE, write_tif

STEM = "ENMAP01-____L2A-DT0000001867_20220724T104526Z_008_V010302_20230628T165614Z"
VALUES = np.random.default_rng(0).integers(1, 9000, (4, 5, 4)).astype(np.int16)


def enmap_case(folder, *, end="-SPECTRAL_IMAGE.TIF", stem=STEM, **more):
    values = VALUES.copy()
    values[0, 0] = -32768
    image = write_tif(folder / f"{stem}{end}", values, nodata=-32768)
    xml = write_enmap_xml(folder / f"{stem}-METADATA.XML", **more)
    return image, xml, values


@pytest.mark.parametrize("end", ["-SPECTRAL_IMAGE.TIF", "-SPECTRAL_IMAGE_COG.TIFF"])
def test_enmap_from_either_file(tmp_path, end):
    image, xml, values = enmap_case(tmp_path, end=end)
    for path in (image, xml):
        assert open_file(path).path == image
        content = read_cube(path)
        np.testing.assert_array_equal(check_windows(content), values)
        assert content.cube.dtype == np.int16
        assert known(content.wavelengths).tolist() == [450, 600, 750, 900]
        assert known(content.fwhm).tolist() == [7, 8, 9, 10]
        # 3 is not expected, 4 holds nothing but no-data.
        assert known(content.good_bands).tolist() == [True, True, False, False]
        assert (content.nodata, content.scale) == (-32768, 10_000)
        assert content.georeference == PLACE


def test_gains_and_offsets_of_their_own(tmp_path):
    gains, offsets = (1e-4, 2e-4, 1e-4, 1e-4), (0.0, 0.0, 0.5, 0.0)
    image, _, values = enmap_case(tmp_path, gains=gains, offsets=offsets)
    content = read_cube(image)
    expected = values * np.array(gains) + np.array(offsets)
    expected[0, 0] = -9999
    np.testing.assert_allclose(check_windows(content), expected, rtol=1e-6)
    assert (content.nodata, content.scale) == (-9999, 1)


def test_radiance_has_no_scale(tmp_path):
    image, _, values = enmap_case(tmp_path, level="L1C", stem="ENMAP01-____L1C-DT1")
    content = read_cube(image)
    np.testing.assert_allclose(content.cube.load()[1], values[1] * 1e-4, rtol=1e-6)
    assert content.scale is None


def test_desis(tmp_path):
    values = VALUES[:, :, :3]
    stem = "DESIS-HSI-L2A-DT1203190212_025-20191203T021128-V0210"
    image = write_tif(tmp_path / f"{stem}-SPECTRAL_IMAGE.tif", values)
    xml = write_desis_xml(tmp_path / f"{stem}-METADATA.xml")
    for path in (image, xml):
        content = read_cube(path)
        np.testing.assert_array_equal(check_windows(content), values)
        assert known(content.wavelengths).tolist() == [402.5, 405, 407.5]
        assert known(content.fwhm).tolist() == [3.5] * 3
        assert content.scale == 10_000


def test_another_level(tmp_path):
    image, xml, _ = enmap_case(
        tmp_path, end="-SPECTRAL_IMAGE_VNIR.TIF", level="L1B", stem="ENMAP01-____L1B-D"
    )
    for path in (image, xml):
        with pytest.raises(HsijaxError, match=r"level L1B, which is not on a map grid"):
            read_cube(path)


def test_an_image_without_its_metadata_says_so(tmp_path, caplog):
    image, xml, _ = enmap_case(tmp_path)
    xml.unlink()
    with caplog.at_level(logging.WARNING, logger="hsijax"):
        assert read_cube(image).wavelengths is None
    assert f"its metadata {xml.name} is not beside it" in caplog.text


def test_files_that_are_not_of_one_product(tmp_path):
    image, xml, _ = enmap_case(tmp_path)
    write_tif(image, VALUES[:, :, :3])
    with pytest.raises(HsijaxError, match=r"describes 4 bands: are they of one"):
        read_cube(xml)
    image.unlink()
    with pytest.raises(HsijaxError, match="no image beside"):
        read_cube(xml)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<level_X><base>", "damaged or no XML"),
        ("<level_X/>", "does not describe bands"),
        ('<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', "has a document type"),
        (
            "<a><bandCharacterisation><bandID number='1'/></bandCharacterisation></a>",
            "does not describe bands",
        ),
    ],
)
def test_bad_metadata(tmp_path, text, message):
    image, xml, _ = enmap_case(tmp_path)
    xml.write_text(text)
    for path in (image, xml):
        with pytest.raises(HsijaxError, match=message):
            read_cube(path)


def test_an_xml_of_something_else(tmp_path):
    path = tmp_path / "map.tif.aux.xml"
    path.write_text("<PAMDataset/>")
    with pytest.raises(HsijaxError, match="no metadata of EnMAP or DESIS"):
        read_cube(path)
