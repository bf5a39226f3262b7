"""Small files in the published layouts of imaging spectrometers' products."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np

WGS84 = (
    'GEOGCS["WGS 84",DATUM["WGS_1984",SPHEROID["WGS 84",6378137,298.257223563]],'
    'PRIMEM["Greenwich",0],UNIT["degree",0.0174532925199433],AUTHORITY["EPSG","4326"]]'
)
UTM = (
    'PROJCS["WGS 84 / UTM zone 11N",GEOGCS["WGS 84",AUTHORITY["EPSG","4326"]],'
    'UNIT["metre",1,AUTHORITY["EPSG","9001"]],AUTHORITY["EPSG","32611"]]'
)


def random_values(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).uniform(0.01, 0.9, shape).astype(np.float32)


def as_dataset(item) -> h5py.Dataset:
    assert isinstance(item, h5py.Dataset)
    return item


def add_axes(file: h5py.File, name: str, axes: tuple[str, ...]) -> None:
    """Name the axes of a dataset as netCDF-4 does, by dimension scales in the root."""
    dataset = as_dataset(file[name])
    for number, (axis, length) in enumerate(zip(axes, dataset.shape, strict=True)):
        if axis not in file:
            # What netCDF writes where a dimension has no coordinates.
            scale = file.create_dataset(axis, (length,), ">f4")
            scale.make_scale(
                f"This is a netCDF dimension but not a netCDF variable.{length:10d}"
            )
        elif not as_dataset(file[axis]).is_scale:
            as_dataset(file[axis]).make_scale(axis)
        dataset.dims[number].attach_scale(file[axis])


def write_emit(
    path: Path, raw: np.ndarray, glt: np.ndarray, *, level: str = "reflectance"
) -> Path:
    """Write L2A (`reflectance`) or L1B (`radiance`); `glt` is [rows cols (x, y)]."""
    bands = raw.shape[2]
    with h5py.File(path, "w") as file:
        file.attrs["geotransform"] = [10.0, 0.5, 0.0, 50.0, 0.0, -0.5]
        file.attrs["spatial_ref"] = WGS84
        file.create_dataset(level, data=raw, chunks=(4, 3, bands))
        file[level].attrs["_FillValue"] = np.array([-9999.0], dtype=np.float32)
        add_axes(file, level, ("downtrack", "crosstrack", "bands"))
        group = file.create_group("sensor_band_parameters")
        group["wavelengths"] = np.linspace(400, 2400, bands, dtype=np.float32)
        group["fwhm"] = np.full(bands, 8.5, dtype=np.float32)
        if level == "reflectance":
            good = np.ones(bands, dtype=np.uint8)
            good[2] = 0
            group["good_wavelengths"] = good
        location = file.create_group("location")
        for name in ("lat", "lon"):
            location[name] = np.zeros(raw.shape[:2])
        for part, name in enumerate(("glt_x", "glt_y")):
            location[name] = glt[:, :, part].astype(np.int32)
    return path


def write_prisma(
    path: Path, vnir: np.ndarray, swir: np.ndarray, *, level: str = "L2D", **more: Any
) -> Path:
    """Write cubes as stored: rows x bands x columns, wavelengths descending."""
    attributes = {
        "List_Cw_Vnir": np.array([960, 950, 700, 450, 0], dtype=np.float32),
        "List_Fwhm_Vnir": np.array([12, 12, 11, 10, 0], dtype=np.float32),
        "List_Cw_Swir": np.array([0, 2400, 1600, 945], dtype=np.float32),
        "List_Fwhm_Swir": np.array([0, 9, 10, 11], dtype=np.float32),
        "L2ScaleVnirMin": np.float32(0.0),
        "L2ScaleVnirMax": np.float32(1.2),
        "L2ScaleSwirMin": np.float32(-0.1),
        "L2ScaleSwirMax": np.float32(0.8),
        "Epsg_Code": np.uint32(32633),
        "Product_ULcorner_easting": 500_015.0,
        "Product_ULcorner_northing": 5_000_045.0,
        "Product_LRcorner_easting": 500_015.0 + 30 * (vnir.shape[2] - 1),
        "Product_LRcorner_northing": 5_000_045.0 - 30 * (vnir.shape[0] - 1),
        **more,
    }
    with h5py.File(path, "w") as file:
        for name, value in attributes.items():
            if value is not None:
                file.attrs[name] = value
        fields = f"HDFEOS/SWATHS/PRS_{level}_HCO/Data Fields"
        file[f"{fields}/VNIR_Cube"] = vnir
        file[f"{fields}/SWIR_Cube"] = swir
    return path


def write_pace_l1b(path: Path, parts: Mapping[str, np.ndarray]) -> Path:
    """Write the detectors blue, red and SWIR, bands first."""
    starts = {"blue": 590, "red": 600, "SWIR": 940}
    with h5py.File(path, "w") as file:
        file.attrs["instrument"] = "OCI"
        for name, values in parts.items():
            dataset = file.create_dataset(f"observation_data/rhot_{name}", data=values)
            dataset.attrs["_FillValue"] = np.float32(-32767)
            wavelengths = starts[name] + 5 * np.arange(len(values), dtype=np.float32)
            file[f"sensor_band_parameters/{name}_wavelength"] = wavelengths
    return path


def write_pace_l2(path: Path, stored: np.ndarray) -> Path:
    """Write `rhos` as packed integers, and flags; its list of bands is elsewhere."""
    rows, cols, bands = stored.shape
    with h5py.File(path, "w") as file:
        file.attrs["instrument"] = b"OCI"
        file.attrs["processing_level"] = "L2"
        dataset = file.create_dataset("geophysical_data/rhos", data=stored)
        dataset.attrs.update(
            {
                "long_name": "Surface reflectance",
                "units": "",
                "scale_factor": np.float32(2e-5),
                "add_offset": np.float32(0.5),
                "_FillValue": np.int16(-32767),
            }
        )
        axes = ("number_of_lines", "pixels_per_line", "wavelength_3d")
        add_axes(file, "geophysical_data/rhos", axes)
        file["geophysical_data/l2_flags"] = np.zeros((rows, cols), dtype=np.int32)
        group = file.create_group("sensor_band_parameters")
        group["wavelength"] = np.arange(300, 300 + 2 * bands)
        group["wavelength_3d"] = 350 + 10 * np.arange(bands)
        group["wavelength_3d"].attrs["units"] = "nm"
    return path


def write_aviris(
    path: Path, values: np.ndarray, *, name: str = "reflectance", raw: bool = False
) -> Path:
    """Write an orthorectified cube, bands first; `raw` adds a lookup table."""
    bands, rows, cols = values.shape
    with h5py.File(path, "w") as file:
        file["northing"] = 4_000_000.0 - 5 * np.arange(rows)
        file["easting"] = 700_000.0 + 5 * np.arange(cols)
        mapping = file.create_dataset("transverse_mercator", data=b"")
        mapping.attrs["crs_wkt"] = UTM
        mapping.attrs["GeoTransform"] = "699997.5 5 0 4000002.5 0 -5"
        dataset = file.create_dataset(f"{name}/{name}", data=values)
        dataset.attrs["_FillValue"] = np.float32(-9999)
        dataset.attrs["grid_mapping"] = "transverse_mercator"
        add_axes(file, f"{name}/{name}", ("wavelength", "northing", "easting"))
        wavelengths = np.linspace(380, 2500, bands, dtype=np.float32)
        file[f"{name}/wavelength"] = wavelengths
        file[f"{name}/wavelength"].attrs["units"] = "nanometers"
        file[f"{name}/fwhm"] = np.full(bands, 7.4, dtype=np.float32)
        if raw:
            file["geolocation_lookup_table/line"] = np.zeros((4, 4), dtype=np.int32)
    return path


def write_enmap_xml(
    path: Path, *, level: str = "L2A", gains=(1e-4,) * 4, offsets=(0.0,) * 4
) -> Path:
    """Write metadata of four bands: number 3 is not expected, 4 has no statistics."""
    rows = "".join(
        f'<bandID number="{n}"><wavelengthCenterOfBand>{300 + 150 * n}'
        f"</wavelengthCenterOfBand><FWHMOfBand>{6 + n}</FWHMOfBand>"
        f"<GainOfBand>{gain}</GainOfBand><OffsetOfBand>{offset}</OffsetOfBand></bandID>"
        for n, (gain, offset) in enumerate(zip(gains, offsets, strict=True), 1)
    )
    path.write_text(
        f'<?xml version="1.0" encoding="UTF-8"?><level_X><base><level>{level}</level>'
        f"</base><specific><bandCharacterisation>{rows}</bandCharacterisation>"
        "<vnirProductQuality><expectedChannelsList>1,2</expectedChannelsList>"
        "</vnirProductQuality><swirProductQuality><expectedChannelsList>4"
        "</expectedChannelsList></swirProductQuality></specific><product>"
        '<bandStatistics><bandID number="1"><mean>312.5</mean><stdDeviation>9'
        '</stdDeviation></bandID><bandID number="4"><mean>-1000000</mean>'
        "<stdDeviation>0</stdDeviation></bandID></bandStatistics></product></level_X>"
    )
    return path


def write_desis_xml(path: Path) -> Path:
    """Write metadata of three bands, in disorder, as DESIS names their parts."""
    rows = "".join(
        f"<band><bandNumber>{n}</bandNumber><wavelengthWidthOfBand>3.5"
        f"</wavelengthWidthOfBand><wavelengthCenterOfBand>{400 + 2.5 * n}"
        f"</wavelengthCenterOfBand><response>0,1,0</response><gainOfBand>1.0E-4"
        "</gainOfBand><offsetOfBand>0.0</offsetOfBand></band>"
        for n in (2, 1, 3)
    )
    path.write_text(
        "<hsi_doc><base/><specific><interiorOrientation><band><bandNumber>1"
        f"</bandNumber></band></interiorOrientation><bandCharacterisation>{rows}"
        "</bandCharacterisation></specific></hsi_doc>"
    )
    return path
