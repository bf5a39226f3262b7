"""Spectral libraries: every real file at hand, and what we write, read again."""

import csv
import logging

import numpy as np
import pytest
import scipy.io
from spectral.io import envi

from hsijax.errors import HsijaxError, UsageError
from hsijax.io.spectral_library import (
    SpectralLibrary,
    read_library,
    write_library_csv,
    write_library_envi,
)

# SPy sets the shape of the library that it reads, which NumPy 2.5 warns of.
spy = pytest.mark.filterwarnings("ignore:Setting the shape:DeprecationWarning")

NAMES = ("Corn, no till", 'Dächer "rot" µ {neu}', "水 = water")
FULL = SpectralLibrary(
    NAMES,
    np.random.default_rng(0).random((3, 5)),
    np.array([418.24, 423.874, 1 / 3 + 500, 900.0, 2445.53]),
    np.array([6.99561, 6.6675, 7.0, 8.0, 11.0]),
    ("crop, green", "roof", "water"),
    np.array([[0, 12], [3, 4], [99, 0]], dtype=np.int32),
)
ENVI_NAMES = ("Corn- no till", 'Dächer "rot" µ (neu)', "水 - water")
PLAIN = SpectralLibrary(("a", "b"), np.array([[0.1, np.nan], [0.3, 0.25]]))


def known(array: np.ndarray | None) -> np.ndarray:
    assert array is not None
    return array


def same(read, written, names=None):
    assert read.names == (names or written.names)
    for field in ("spectra", "wavelengths", "fwhm", "pixels"):
        one, other = getattr(read, field), getattr(written, field)
        assert (one is None) == (other is None), field
        if one is not None:
            np.testing.assert_array_equal(one, other)


def write(path, text, encoding="utf-8"):
    path.write_text(text, encoding=encoding)
    return path


@pytest.mark.parametrize("library", [FULL, PLAIN])
def test_csv_round_trip_is_exact(tmp_path, library):
    path = tmp_path / "library.csv"
    write_library_csv(path, library)
    read = read_library(path)
    same(read, library)
    assert read.classes == library.classes
    assert read.source == "library.csv"
    assert [file.name for file in tmp_path.iterdir()] == ["library.csv"]


def test_csv_of_float32_is_exact_and_short(tmp_path):
    path = tmp_path / "library.csv"
    spectra = np.array([[0.1, 0.2], [0.3, 0.7]], dtype=np.float32)
    write_library_csv(path, SpectralLibrary(("a", "b"), spectra))
    assert path.read_text() == "name,band 1,band 2\na,0.1,0.2\nb,0.3,0.7\n"
    np.testing.assert_array_equal(
        read_library(path).spectra.astype(np.float32), spectra
    )


def test_envi_round_trip_is_exact_but_for_commas(tmp_path):
    write_library_envi(tmp_path / "library.sli", FULL)
    for name in ("library.sli", "library.hdr"):
        read = read_library(tmp_path / name)
        same(read, FULL, ENVI_NAMES)
        assert read.classes == ("crop- green", "roof", "water")
    assert len(list(tmp_path.iterdir())) == 2
    write_library_envi(tmp_path / "plain.sli", PLAIN)
    same(read_library(tmp_path / "plain.sli"), PLAIN)


@pytest.mark.parametrize("library", [FULL, PLAIN])
def test_a_note_is_seen_by_people_alone(tmp_path, library):
    note = "SIMULATED, no real scene: {mixed} = from spectra"
    path = tmp_path / "library.csv"
    write_library_csv(path, library, note)
    with path.open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["name"] in library.names]
    assert [row["note"] for row in rows] == [note] * len(library.names)
    read = read_library(path)
    same(read, library)
    assert read.classes == library.classes
    path.unlink()  # a table beside a .sli file is read with it
    write_library_envi(tmp_path / "library.sli", library, note)
    same(
        read_library(tmp_path / "library.sli"),
        library,
        None if library is PLAIN else ENVI_NAMES,
    )
    header = (tmp_path / "library.hdr").read_text(encoding="utf-8")
    assert "description = {spectral library: SIMULATED- no real scene" in header


@spy
def test_spy_reads_our_envi_library(tmp_path):
    for dtype in (np.float32, np.float64):
        spectra = FULL.spectra.astype(dtype)
        ours = SpectralLibrary(("a", "b", "c"), spectra, FULL.wavelengths, FULL.fwhm)
        write_library_envi(tmp_path / "library.sli", ours)
        theirs = envi.open(tmp_path / "library.hdr")
        assert isinstance(theirs, envi.SpectralLibrary)
        assert theirs.names == ["a", "b", "c"]
        assert theirs.spectra.dtype == dtype
        np.testing.assert_array_equal(theirs.spectra, spectra)
        np.testing.assert_array_equal(theirs.bands.centers, FULL.wavelengths)
        np.testing.assert_array_equal(theirs.bands.bandwidths, FULL.fwhm)
        assert theirs.bands.band_unit == "Nanometers"


def test_an_envi_library_has_its_suffix(tmp_path):
    with pytest.raises(UsageError, match=r"NAME.sli, not library.img"):
        write_library_envi(tmp_path / "library.img", FULL)


@pytest.mark.parametrize(
    ("title", "scale"),
    [
        ("wavelength", 1.0),
        ("Wavelength (nm)", 1.0),
        ("Wavelength [um]", 1e-3),
        ("wavelength_micrometers", 1e-3),
        ("wavelength", 1e-3),
        ("nm", 1.0),
    ],
)
def test_csv_of_columns(tmp_path, caplog, title, scale):
    caplog.set_level(logging.INFO)
    lines = [f"{title},tree,soil,FWHM"]
    lines += [f"{w * scale:g},{w / 1e4},,{10 * scale:g}" for w in (420, 410, 400)]
    library = read_library(write(tmp_path / "my.csv", "\n".join(lines)))
    assert library.names == ("tree", "soil")
    np.testing.assert_allclose(known(library.wavelengths), [400, 410, 420])
    np.testing.assert_allclose(known(library.fwhm), [10, 10, 10])
    np.testing.assert_allclose(library.spectra[0], [0.04, 0.041, 0.042])
    assert np.isnan(library.spectra[1]).all()
    guessed = title == "wavelength" and scale != 1
    assert ("0.4 to 0.42, are taken for micrometres" in caplog.text) == guessed
    assert "are sorted by their wavelengths" in caplog.text


def test_csv_of_rows(tmp_path):
    text = "\ufeffID;Material;0,41 um;0,40 um\n7;soil;0,5;-1.23e34\n8;soil;1;0,25\n"
    library = read_library(write(tmp_path / "my.csv", text))
    assert library.names == ("7", "8")
    assert library.classes == ("soil", "soil")
    np.testing.assert_allclose(known(library.wavelengths), [400, 410])
    np.testing.assert_array_equal(library.spectra, [[np.nan, 0.5], [0.25, 1]])


def test_csv_without_wavelengths(tmp_path):
    columns = read_library(
        write(tmp_path / "a.csv", "band\ttree\tsoil\n1\t3\t5\n2\t4\t6")
    )
    rows = read_library(write(tmp_path / "b.csv", "band 1,band 2\n3,4\n5,6\n"))
    for library, names in (
        (columns, ("tree", "soil")),
        (rows, ("spectrum 1", "spectrum 2")),
    ):
        assert library.names == names
        assert library.wavelengths is None
        assert library.spectra.tolist() == [[3, 4], [5, 6]]


def test_repeated_names_are_one_material(tmp_path):
    text = "name,400,410\nsoil,1,2\ntree,3,4\nsoil,5,6\n"
    library = read_library(write(tmp_path / "my.csv", text))
    assert library.names == ("soil 1", "tree", "soil 2")
    assert library.classes == ("soil", "tree", "soil")


@pytest.mark.parametrize("encoding", ["latin-1", "utf-8", "utf-8-sig"])
def test_encodings_of_spreadsheets(tmp_path, encoding):
    text = "nm,Bäume\n400,1\n410,2\n"
    assert read_library(write(tmp_path / "my.csv", text, encoding)).names == ("Bäume",)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("400,410\n0.1,0.2\n", "has numbers in its first line: begin it with titles"),
        ("wavelength,a\n400,x\n410,1\n", "'x' in line 2, column 'a', is no number"),
        ("wavelength,a\n400,1\n410\n", "line 3 has 1 cells, but there are 2 titles"),
        ("wavelength,a\n400,1\n400,2\n", "gives the wavelength 400 nm twice"),
        ("wavelength,a\n400,1\n-1,2\n", "not every wavelength is a positive number"),
        ("wavelength,a\n400,1\n", "1 spectra of 1 bands: no spectral library"),
        ("just a text\nof two lines\n", "is no table"),
        ("name,class\na,b\nc,d\n", "holds names but no numbers"),
        ("\0\1\2,\n,", "is no text"),
        ("<html>", "is a web page"),
    ],
)
def test_what_is_wrong_with_a_csv(tmp_path, text, message):
    with pytest.raises(HsijaxError, match=message) as caught:
        read_library(write(tmp_path / "my.csv", text))
    assert str(tmp_path / "my.csv") in str(caught.value)


def test_unknown_files(tmp_path):
    with pytest.raises(HsijaxError, match=r"cannot read .*none.csv: No such file"):
        read_library(tmp_path / "none.csv")
    with pytest.raises(HsijaxError, match=r"ends in none of .csv, .*.sli, .hdr"):
        read_library(write(tmp_path / "library.xlsx", "PK"))


def test_usgs(shared_data):
    path = shared_data / "spectral_libraries/USGS_1995_Library.mat"
    library = read_library(path)
    columns = scipy.io.loadmat(path)["datalib"].T
    order = np.argsort(columns[0])
    assert library.spectra.shape == (498, 224)
    assert library.names[0] == "Acmite NMNH133746"
    assert library.names[-1] == "Walnut_Leaf SUN (Green)"
    np.testing.assert_allclose(known(library.wavelengths), 1e3 * columns[0][order])
    np.testing.assert_allclose(known(library.fwhm), 1e3 * columns[1][order])
    assert (np.diff(known(library.wavelengths)) > 0).all()
    # The 16 deleted cells of the file are in the column of channel numbers.
    np.testing.assert_array_equal(library.spectra, columns[3:][:, order])
    assert library.classes is None


def test_deleted_cells_are_nan(tmp_path):
    titles = ["Wavelengths in microns", "Data value = channel", "one", "two"]
    width = max(map(len, titles))
    codes = [[ord(letter) for letter in title.ljust(width)] for title in titles]
    table = np.array([[0.5, 2, -1.23e34, 0.2], [0.4, 1, 0.1, 0.3], [0.6, 3, 0.4, 0.5]])
    path = tmp_path / "usgs.mat"
    scipy.io.savemat(path, {"datalib": table, "names": np.array(codes, float)})
    library = read_library(path)
    assert library.names == ("one", "two")
    np.testing.assert_array_equal(
        library.spectra, [[0.1, np.nan, 0.4], [0.3, 0.2, 0.5]]
    )
    assert library.fwhm is None


@pytest.mark.parametrize(
    ("file", "counts"),
    [
        (
            "urban/spectral_library_urban.mat",
            {"Asphalt": 69, "Grass": 100, "Tree": 115, "Roof": 118, "Metal": 85}
            | {"Dirt": 164},
        ),
        (
            "jasper_ridge/spectral_library_jasperRidge.mat",
            {"Tree": 129, "Water": 138, "Dirt": 127, "Road": 135},
        ),
    ],
)
def test_bundles(shared_data, file, counts):
    library = read_library(shared_data / file)
    assert library.classes is not None
    assert list(dict.fromkeys(library.classes)) == list(counts)
    assert {name: library.classes.count(name) for name in counts} == counts
    whole = scipy.io.loadmat(shared_data / file)["A"]
    np.testing.assert_array_equal(library.spectra, whole.T)
    assert library.names[1] == f"{library.classes[0]} 2"
    # The same array by its name has no classes.
    assert read_library(shared_data / file, "A").classes is None


def test_endmembers_of_benchmarks(shared_data):
    roofs = read_library(shared_data / "urban/end6_groundTruth.mat")
    assert roofs.names == ("Asphalt Road", "Grass", "Tree", "Roof", "Metal", "Dirt")
    assert roofs.spectra.shape == (6, 162)
    zhu = read_library(shared_data / "jasper_ridge/end4.mat")
    assert zhu.names == ("tree", "water", "dirt", "road")
    palsson = read_library(shared_data / "jasper_ridge/Jasper_palsson.mat")
    assert palsson.names == tuple(f"endmember {number}" for number in range(1, 5))
    np.testing.assert_array_equal(palsson.spectra, zhu.spectra)
    with pytest.raises(HsijaxError, match="holds no spectral library"):
        read_library(shared_data / "jasper_ridge/jasperRidge2_R198.mat")


def test_other_arrays_of_mat(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    spectra = np.random.default_rng(0).random((3, 7))
    names = np.array(["tree", "soil", "roof"], dtype=object)
    path = tmp_path / "my.mat"
    scipy.io.savemat(path, {"spectra": spectra.T})
    np.testing.assert_array_equal(read_library(path).spectra, spectra)
    assert "the columns of" in caplog.text
    # Names or wavelengths say which side is which.
    wavelengths = np.arange(0.4, 1.1, 0.1)
    for extra in ({"names": names}, {"wavelength": wavelengths}):
        scipy.io.savemat(path, {"spectra": spectra, **extra})
        library = read_library(path)
        np.testing.assert_array_equal(library.spectra, spectra)
    np.testing.assert_allclose(known(library.wavelengths), 1e3 * wavelengths)
    scipy.io.savemat(path, {"one": spectra, "two": spectra})
    with pytest.raises(HsijaxError, match=r"several arrays .* name one with FILE:KEY"):
        read_library(path)
    assert read_library(path, "two").spectra.shape == (7, 3)
    with pytest.raises(HsijaxError, match="holds no variable 'three'"):
        read_library(path, "three")


def test_emit_csv(shared_data):
    path = shared_data / "spectral_libraries/emit_basic_endmember_library.csv"
    library = read_library(path)
    assert library.classes == ("SOIL", "SOIL", "SOIL", "PV", "NPV")
    assert library.names == ("SOIL 1", "SOIL 2", "SOIL 3", "PV", "NPV")
    with path.open(encoding="utf-8-sig", newline="") as stream:
        table = list(csv.reader(stream))
    wavelengths = np.array(table[0][1:], float)
    assert (np.diff(wavelengths) < 0).any()
    order = np.argsort(wavelengths)
    np.testing.assert_array_equal(library.wavelengths, wavelengths[order])
    values = np.array([row[1:] for row in table[1:]], float)
    np.testing.assert_array_equal(library.spectra, values[:, order])


@spy
def test_berlin(shared_data, caplog):
    caplog.set_level(logging.INFO)
    folder = shared_data / "spectral_libraries"
    library = read_library(folder / "library_berlin.sli")
    theirs = envi.open(folder / "library_berlin.hdr", folder / "library_berlin.sli")
    assert isinstance(theirs, envi.SpectralLibrary)
    assert list(library.names) == theirs.names
    np.testing.assert_allclose(library.spectra, theirs.spectra / 10_000)
    assert "are divided by 10000, of which its header says" in caplog.text
    np.testing.assert_allclose(
        known(library.wavelengths), 1e3 * np.array(theirs.bands.centers)
    )
    assert known(library.fwhm)[0] == pytest.approx(5.8)
    assert library.classes is not None
    assert library.classes.count("roof") == 23
    coarse = read_library(folder / "library_berlin.hdr", "level_1").classes
    assert coarse is not None
    assert coarse.count("impervious") == 38
    with pytest.raises(HsijaxError, match=r"no column 'level_9'; .* level_1, level_2"):
        read_library(folder / "library_berlin.sli", "level_9")
    with pytest.raises(HsijaxError, match="holds names but no numbers"):
        read_library(folder / "library_berlin.csv")


def test_a_foreign_table_beside_an_envi_library(tmp_path, caplog):
    library = SpectralLibrary(("a", "b"), np.ones((2, 3)))
    write_library_envi(tmp_path / "x.sli", library)
    write(tmp_path / "x.csv", "name,class\nb,soil\na,tree\n")
    assert read_library(tmp_path / "x.sli").classes is None
    assert "names other spectra; it is not used" in caplog.text
    write(tmp_path / "x.csv", "name,class\na,soil\nb,tree\n")
    assert read_library(tmp_path / "x.sli").classes == ("soil", "tree")


def test_damaged_envi_libraries(tmp_path):
    write_library_envi(tmp_path / "x.sli", FULL)
    data = (tmp_path / "x.sli").read_bytes()
    (tmp_path / "x.sli").write_bytes(data[:-1])
    with pytest.raises(HsijaxError, match="has 119 bytes, but its header"):
        read_library(tmp_path / "x.sli")
    header = (tmp_path / "x.hdr").read_text(encoding="utf-8")
    write(tmp_path / "x.hdr", header.replace("ENVI Spectral Library", "ENVI Standard"))
    with pytest.raises(HsijaxError, match="describes an image, not a spectral library"):
        read_library(tmp_path / "x.sli")
    (tmp_path / "x.hdr").unlink()
    with pytest.raises(HsijaxError, match="no ENVI header"):
        read_library(tmp_path / "x.sli")
