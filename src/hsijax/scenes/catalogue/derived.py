"""Data sheets of scenes made from others: a part of Urban, and simulated mixtures."""

from hsijax.scenes.catalogue.agriculture import INDIAN_PINES
from hsijax.scenes.catalogue.sheet import SceneFile, SceneSheet, Window, github
from hsijax.scenes.catalogue.unmixing import URBAN_6

# What all simulated scenes are mixed with.
SNR = 30.0  # dB
VARIABILITY = 0.1  # standard deviation of a pixel's brightness, whose mean is 1
SEED = 0
# Classes of Indian Pines whose spectra differ most, and how many pixels show each.
MATERIALS = ("Soybean-mintill", "Wheat", "Woods", "Stone-Steel-Towers")
MEMBERS = 60

_HOW = (
    f"each pixel draws one spectrum of each bundle and a brightness of standard "
    f"deviation {VARIABILITY:g}; noise of {SNR:g} dB, seed {SEED}"
)

URBAN_CROP = SceneSheet(
    name="urban-crop",
    title="Urban, Texas: 34 x 78 pixels of it, 6 endmembers",
    task="unmixing",
    shape=(34, 78, 162),
    files=(
        SceneFile(
            role="cube",
            names=("subimage_Urban_R162.mat",),
            key="im",
            size=819_810,
            sha256=(
                "a5da8beb6593c630ebe9baa12a61e9e86001f0ea36023e71331ef528f3a62469",
            ),
            urls=(
                github(
                    "ricardoborsoi/MultiscaleKernelSURelease",
                    "DATA/subimage_Urban_R162.mat",
                ),
            ),
        ),
        URBAN_6.files[1],
    ),
    endmembers=URBAN_6.endmembers,
    window=Window(size=(307, 307), rows=(223, 257), cols=(149, 227)),
    source=URBAN_6.source,
    notes=(
        "Rows 223 to 256 and columns 149 to 226 (from 0) of Urban; where they lie was "
        "found by correlation.",
        "The values are reflectance.",
    ),
)

SIMULATED_MIXTURES = SceneSheet(
    name="simulated-mixtures",
    title="Mixtures of 4 classes of Indian Pines, simulated",
    task="unmixing",
    shape=(80, 80, 200),
    files=INDIAN_PINES.files,
    endmembers=MATERIALS,
    wavelengths=INDIAN_PINES.wavelengths,
    source=INDIAN_PINES.source,
    licence=INDIAN_PINES.licence,
    in_samples=True,
    simulated=(
        "SIMULATED, no real scene: random maps of abundances, mixed from the "
        f"{MEMBERS} most typical pixels of each of {len(MATERIALS)} classes of Indian "
        f"Pines; {_HOW}"
    ),
    notes=("The spectra are the sensor's counts / 10,000, not reflectance.",),
)

URBAN_SIMULATED = SceneSheet(
    name="urban-simulated",
    title="Urban's reference abundances and bundles of spectra, mixed (simulated)",
    task="unmixing",
    shape=(307, 307, 162),
    files=(
        SceneFile(
            role="bundles",
            names=("spectral_library_urban.mat",),
            size=432_534,
            sha256=(
                "19047fa928b762ed1ca9405e56b0085845c56db1c18d7c176f3a51a467af8d83",
            ),
            urls=(
                github(
                    "ricardoborsoi/MUA_SparseUnmixing",
                    "real_data/spectral_library_urban.mat",
                ),
            ),
        ),
        URBAN_6.files[1],
    ),
    endmembers=URBAN_6.endmembers,
    source=URBAN_6.source,
    simulated=(
        "SIMULATED, not the real cube of Urban: its reference abundances of 6 "
        f"endmembers, mixed from bundles of 69 to 164 of its pixels; {_HOW}"
    ),
)

SHEETS = (URBAN_CROP, SIMULATED_MIXTURES, URBAN_SIMULATED)
