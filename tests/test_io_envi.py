"""ENVI images: every order on disk, and what headers say in many ways."""

import logging
from pathlib import Path
from typing import TypeVar

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from hsijax.errors import HsijaxError
from hsijax.io import open_file, read_cube
from hsijax.io.envi_header import DTYPES, parse_georeference, read_header

Value = TypeVar("Value")
AXES = {"bsq": (2, 0, 1), "bil": (0, 2, 1), "bip": (0, 1, 2)}


def write_envi(
    path: Path,
    cube: np.ndarray,
    *,
    interleave: str = "bip",
    big_endian: bool = False,
    offset: int = 0,
    **fields: str,
) -> Path:
    """Write an image and its header by hand, independently of the reader."""
    kind = cube.dtype.str[1:]
    code = next(code for code, name in DTYPES.items() if name == kind)
    axes = AXES.get(interleave, (0, 1, 2))
    stored = cube.transpose(axes).astype((">" if big_endian else "<") + kind)
    path.write_bytes(b"x" * offset + stored.tobytes())
    header = {
        "samples": cube.shape[1],
        "lines": cube.shape[0],
        "bands": cube.shape[2],
        "header offset": offset,
        "data type": code,
        "interleave": interleave,
        "byte order": int(big_endian),
    } | {name.replace("_", " "): value for name, value in fields.items()}
    text = "".join(f"{name} = {value}\n" for name, value in header.items())
    header_path = path.with_name(path.name + ".hdr")
    header_path.write_text("ENVI\n" + text)
    return header_path


@given(
    cube=npst.arrays(
        st.sampled_from(list(DTYPES.values())),
        st.tuples(st.integers(1, 5), st.integers(1, 5), st.integers(2, 5)),
    ),
    interleave=st.sampled_from(list(AXES)),
    big_endian=st.booleans(),
    offset=st.integers(0, 20),
)
@settings(max_examples=60, deadline=None)
def test_round_trip(tmp_path_factory, cube, interleave, big_endian, offset):
    path = tmp_path_factory.mktemp("envi") / "scene.img"
    write_envi(path, cube, interleave=interleave, big_endian=big_endian, offset=offset)
    found = read_cube(path).cube
    assert found.shape == cube.shape
    np.testing.assert_array_equal(found.load(), cube)
    window = (slice(0, 1), slice(cube.shape[1] - 1, cube.shape[1]))
    np.testing.assert_array_equal(found.read(*window), cube[window])


CUBE = np.arange(24, dtype=np.float32).reshape(2, 3, 4)


def read_with(tmp_path, **fields):
    write_envi(tmp_path / "a.img", CUBE, **fields)
    return read_cube(tmp_path / "a.img")


def known(value: Value | None) -> Value:
    assert value is not None
    return value


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (
            {"wavelength": "{0.4, 0.5, 0.6, 2.5}", "wavelength_units": "Micrometers"},
            [400, 500, 600, 2500],
        ),
        ({"wavelength": "{0.4, 0.5, 0.6, 2.5}"}, [400, 500, 600, 2500]),
        ({"wavelength": "{400, 500, 600, 2500}"}, [400, 500, 600, 2500]),
        (
            {"wavelength": "{4000, 5000, 6000, 7000}", "wavelength_units": "Angstroms"},
            [400, 500, 600, 700],
        ),
        (
            {"wavelength": "{400, 500, 600, 700}", "wavelength_units": "Unknown"},
            [400, 500, 600, 700],
        ),
        (
            {"band_names": "{b1 (400.5 nm), b2 (500 nm), b3 (600 nm), b4 (700 nm)}"},
            [400.5, 500, 600, 700],
        ),
        ({"band_names": "{0.4 um, 0.5 um, 0.6 um, 0.7 µm}"}, [400, 500, 600, 700]),
        ({"band_names": "{channel 1, channel 2, channel 3, channel 4}"}, None),
        ({"band_names": "{400 nm, 500 nm}"}, None),
        ({}, None),
    ],
)
def test_wavelengths_are_nanometres(tmp_path, fields, expected):
    found = read_with(tmp_path, **fields).wavelengths
    if expected is None:
        assert found is None
    else:
        np.testing.assert_allclose(known(found), expected)


def test_widths_have_the_unit_of_the_wavelengths(tmp_path):
    found = read_with(
        tmp_path,
        wavelength="{0.4, 0.5, 0.6, 0.7}",
        fwhm="{0.01, 0.01, 0.02, 0.02}",
    )
    np.testing.assert_allclose(known(found.fwhm), [10, 10, 20, 20])


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"wavelength": "{400, 500}"}, "'wavelength' has 2 values for 4 bands"),
        ({"wavelength": "{a, b, c, d}"}, "'wavelength' holds text"),
        ({"wavelength": "{0, 0, 0, 0}"}, "not all positive"),
        (
            {"wavelength": "{1, 2, 3, 4}", "wavelength_units": "GHz"},
            "wavelengths in 'ghz'",
        ),
        ({"bbl": "{1, 0}"}, "'bbl' has 2 values for 4 bands"),
        ({"data_ignore_value": "none"}, "data ignore value 'none' is no number"),
    ],
)
def test_fields_that_do_not_fit_are_left_out(tmp_path, caplog, fields, message):
    with caplog.at_level(logging.WARNING, "hsijax"):
        found = read_with(tmp_path, **fields)
    assert message in caplog.text
    assert found.wavelengths is None
    assert found.good_bands is None
    assert found.nodata is None


def test_bad_bands_and_nodata(tmp_path):
    found = read_with(tmp_path, bbl="{1, 0, 1, 1.0}", data_ignore_value="-9999")
    assert known(found.good_bands).tolist() == [True, False, True, True]
    assert found.nodata == -9999
    with pytest.raises(HsijaxError, match=r"a\.img\.hdr: .*all bands as bad"):
        read_with(tmp_path, bbl="{0, 0, 0, 0}")


@pytest.mark.parametrize(
    ("info", "crs", "transform"),
    [
        (
            "{UTM, 1, 1, 500000, 4000000, 15, 15, 11, North, WGS-84}",
            "EPSG:32611",
            (15, 0, 500000, 0, -15, 4000000),
        ),
        (
            "{UTM, 2, 3, 500000, 4000000, 10, 20, 33, South, WGS-84, units=Meters}",
            "EPSG:32733",
            (10, 0, 499990, 0, -20, 4000040),
        ),
        (
            "{UTM, 1, 1, 0, 0, 2, 2, 17, North, North America 1983}",
            "EPSG:26917",
            (2, 0, 0, 0, -2, 0),
        ),
        (
            "{Geographic Lat/Lon, 1, 1, 10, 50, 0.1, 0.1, WGS-84}",
            "EPSG:4326",
            (0.1, 0, 10, 0, -0.1, 50),
        ),
    ],
)
def test_map_info(tmp_path, info, crs, transform):
    found = read_with(tmp_path, map_info=info).georeference
    found = known(found)
    assert found.crs == crs
    np.testing.assert_allclose(found.transform, transform)


def test_unknown_system_keeps_the_text_of_the_header(tmp_path):
    wkt = 'PROJCS["local",GEOGCS["x",DATUM["y",SPHEROID["z",6378137.0,298.25]]]]'
    info = "{local, 1, 1, 5, 6, 1, 1}"
    fields = {"map_info": info, "coordinate_system_string": f"{{{wkt}}}"}
    assert known(read_with(tmp_path, **fields).georeference).crs == wkt
    assert known(read_with(tmp_path, map_info=info).georeference).crs is None
    arbitrary = "{Arbitrary, 1, 1, 0, 0, 1, 1}"
    assert read_with(tmp_path, map_info=arbitrary).georeference is None


@pytest.mark.parametrize("rotation", [0, 30, -55])
def test_rotation_agrees_with_gdal(tmp_path, rotation):
    rasterio = pytest.importorskip("rasterio")
    info = f"{{UTM, 1, 1, 500000, 4e6, 15, 15, 11, North, WGS-84, rotation={rotation}}}"
    found = known(read_with(tmp_path, map_info=info).georeference)
    with rasterio.open(tmp_path / "a.img") as reference:
        np.testing.assert_allclose(found.transform, reference.transform[:6], atol=1e-9)
        assert reference.crs == rasterio.CRS.from_string(found.crs)


def test_rotation_turns_around_the_reference_pixel():
    header = {"map info": ["UTM", "3", "5", "100", "200", "2", "2", "rotation=30"]}
    a, b, c, d, e, f = known(parse_georeference(header, Path("a.hdr"))).transform
    # Its corner, two columns and four rows in, lies where the header says.
    assert (a * 2 + b * 4 + c, d * 2 + e * 4 + f) == pytest.approx((100, 200))


def test_header_of_many_hands(tmp_path):
    text = (
        "ENVI\r\n; made by hand\r\nDescription = {a = b,\r\n samples = 9}\r\n"
        "Samples  = 3\r\nlines=2\r\nbands = 4\r\ndata type = 4\r\n"
        "band names = {\r\n 1 µm,\r\n 2 µm,3 µm, 4 µm}\r\n"
    )
    for encoding in ("utf-8", "latin-1", "utf-8-sig"):
        (tmp_path / "a.hdr").write_bytes(text.encode(encoding))
        header = read_header(tmp_path / "a.hdr")
        assert header["samples"] == "3"
        assert header["band names"] == ["1 µm", "2 µm", "3 µm", "4 µm"]


@pytest.mark.parametrize(
    "name",
    [
        "aviris_ng/ang20160910t185702_2rdn_img.hdr",
        "emit/emit20250324t221005_jpl_unmix_ex.hdr",
        "spectral_libraries/library_berlin.hdr",
    ],
)
def test_header_reads_like_in_spectral(shared_data, name):
    envi = pytest.importorskip("spectral.io.envi")
    reference = envi.read_envi_header(shared_data / name)
    found = read_header(shared_data / name)
    assert found.keys() == reference.keys()
    for field in found.keys() - {"description"}:  # a text, which may hold commas
        assert found[field] == reference[field]


def test_header_and_data_find_each_other(tmp_path):
    for name in ("scene.img", "scene", "scene.dat", "flight.v1"):
        folder = tmp_path / name.replace(".", "-")
        folder.mkdir()
        header = write_envi(folder / name, CUBE)
        for path in (folder / name, header):
            assert read_cube(path).cube.shape == CUBE.shape
        header.rename((folder / name).with_suffix(".hdr"))
        assert open_file(folder / name).path == folder / name


def test_single_band_is_a_raster_with_its_classes(tmp_path):
    raster = np.array([[0, 1], [2, 1]], dtype=np.uint8)[..., None]
    write_envi(
        tmp_path / "gt.img",
        raster,
        file_type="ENVI Classification",
        class_names="{Unclassified, Oak, Pine}",
        class_lookup="{0, 0, 0, 10, 20, 30, 40, 50, 60}",
    )
    file = open_file(tmp_path / "gt.img")
    assert file.cube is None
    assert file.class_table[1:] == ((1, "Oak", (10, 20, 30)), (2, "Pine", (40, 50, 60)))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"lines": "20"}, r"has 96 bytes, but its header a\.img\.hdr describes 960"),
        ({"samples": "three"}, "'samples' is 'three', not a whole number"),
        ({"bands": ""}, "'bands' is '', not a whole number"),
        ({"data_type": "6"}, "data type 6 is not supported"),
        ({"interleave": "tiled"}, "interleave 'tiled' is none of bsq, bil, bip"),
        ({"byte_order": "2"}, "byte order '2' is not 0 or 1"),
        ({"file_type": "ENVI Spectral Library"}, "a spectral library, not a cube"),
        ({"lines": "0"}, "describes 0"),
    ],
)
def test_refused(tmp_path, fields, message):
    with pytest.raises(HsijaxError, match=rf"a\.img.*{message}"):
        read_with(tmp_path, **fields)


def test_no_header_no_data(tmp_path):
    (tmp_path / "a.hdr").write_text("ENVI\nsamples = 1\nlines = 1\nbands = 2\n")
    with pytest.raises(HsijaxError, match="'data type' is ''"):
        open_file(tmp_path / "a.hdr")
    (tmp_path / "b.hdr").write_text("samples = 1\n")
    with pytest.raises(HsijaxError, match=r"b\.hdr is no ENVI header"):
        open_file(tmp_path / "b.hdr")
    header = write_envi(tmp_path / "c.img", CUBE)
    (tmp_path / "c.img").unlink()
    with pytest.raises(HsijaxError, match="no data file beside"):
        open_file(header)


def test_longer_file_is_worth_a_warning(tmp_path, caplog):
    write_envi(tmp_path / "a.img", CUBE)
    with (tmp_path / "a.img").open("ab") as stream:
        stream.write(b"1234567")
    with caplog.at_level(logging.WARNING, "hsijax"):
        read_cube(tmp_path / "a.img")
    assert "has 7 bytes more than its header" in caplog.text


def test_aviris_ng(shared_data):
    found = read_cube(shared_data / "aviris_ng/ang20160910t185702_2rdn_img")
    assert (found.cube.shape, found.cube.dtype) == ((25, 30, 425), np.float32)
    # The wavelengths are in the band names only.
    lengths = known(found.wavelengths)
    np.testing.assert_allclose(lengths[[0, 1, -1]], [376.44, 381.45, 2500.12])
    assert known(found.georeference).crs == "EPSG:32611"
    assert known(found.georeference).transform[2] == 353128.751647949


def test_emit(shared_data):
    found = read_cube(shared_data / "emit/emit20250324t221005_jpl_unmix_ex.hdr")
    assert found.cube.shape == (10, 10, 285)
    # In nanometres, though the header does not say so.
    lengths = known(found.wavelengths)
    np.testing.assert_allclose(lengths[[0, -1]], [381.0055927, 2492.9238809])
    np.testing.assert_allclose(known(found.fwhm)[0], 8.415)
    assert known(found.good_bands).sum() == 244
    assert found.nodata == -9999
    assert found.georeference is None


def test_spectral_library_is_no_cube(shared_data):
    with pytest.raises(HsijaxError, match=r"library_berlin\.hdr .*spectral library"):
        open_file(shared_data / "spectral_libraries/library_berlin.sli")


@pytest.mark.parametrize(
    "name",
    [
        "aviris_ng/ang20160910t185702_2rdn_img",
        "emit/emit20250324t221005_jpl_unmix_ex",
    ],
)
def test_same_numbers_as_spectral(shared_data, name):
    envi = pytest.importorskip("spectral.io.envi")
    path = shared_data / name
    reference = envi.open(f"{path}.hdr", path).open_memmap()
    np.testing.assert_array_equal(read_cube(path).cube.load(), reference)
