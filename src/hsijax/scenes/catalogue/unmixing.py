"""Data sheets of the scenes with reference endmembers and abundances."""

from dataclasses import replace

from hsijax.scenes.catalogue import band_tables
from hsijax.scenes.catalogue.sheet import SceneFile, SceneSheet, ehu, github

_RSLAB = "https://rslab.ut.ac.ir/documents/"
_RSLAB_2024 = "https://web.archive.org/web/20240224052358id_/" + _RSLAB
_SETTEMBRE = "gaetanosettembre/data_unmixing"
_SOURCE = (
    "F. Zhu, Hyperspectral unmixing: ground truth labeling, datasets, benchmark "
    "performances and survey, arXiv:1708.05125; https://rslab.ut.ac.ir/data"
)
_NO_HASH = "Nobody has published a hash of the cube: its shape is checked instead."
_FORMULA = (
    "The reference abundances are nearly a formula of the pixels (non-negative least "
    "squares): a good score shows how well the formula is imitated."
)

JASPER_RIDGE = SceneSheet(
    name="jasper-ridge",
    title="Jasper Ridge, California (AVIRIS), 4 endmembers",
    task="unmixing",
    shape=(100, 100, 198),
    files=(
        SceneFile(
            role="cube",
            names=("jasperRidge2_R198.mat",),
            key="Y",
            size=2_987_224,
            sha256=(
                "0e4118a6452f6044978a8ca3762fb0f791115467904936d463c4e111e56e682e",
            ),
            urls=(
                github("mhaut/HSI-datasets", "Unmixing/JasperRidge2_R198.mat"),
                github(_SETTEMBRE, "Datasets/Jasper/jasperRidge2_R198.mat"),
                f"{_RSLAB}81960329/82034928/jasperRidge2_R198.mat",
                f"{_RSLAB_2024}81960329/82034928/jasperRidge2_R198.mat",
            ),
        ),
        SceneFile(
            role="abundances",
            names=("end4.mat", "Jasper_GT.mat"),
            key="A",
            size=178_271,
            sha256=(
                "92f5697b43705802b904fd13ba99b6ce65a3d203682864abc3fbec922beec374",
            ),
            urls=(
                github(_SETTEMBRE, "Datasets/Jasper/Jasper_GT.mat"),
                f"{_RSLAB}81960329/82034928/GroundTruth.zip",
                f"{_RSLAB_2024}81960329/82034928/GroundTruth.zip",
            ),
            archive_member="end4.mat",
        ),
    ),
    endmembers=("Tree", "Water", "Dirt", "Road"),
    scale=5000.0,
    source=_SOURCE,
    notes=(
        "Reflectance is Y / 5000. Pixels are stored column by column.",
        _FORMULA,
    ),
)

_URBAN_CUBE = SceneFile(
    role="cube",
    names=("Urban_R162.mat", "Urban.mat"),
    key="Y",
    urls=(
        github("mhaut/HSI-datasets", "Unmixing/Urban_R162.mat"),
        "https://huggingface.co/datasets/danaroth/urban/resolve/main/Urban_R162.mat",
        "https://hf-mirror.com/datasets/danaroth/urban/resolve/main/Urban_R162.mat",
        github(_SETTEMBRE, "Datasets/Urban/Urban.mat"),
        f"{_RSLAB}437291/1493656/Urban_R162.mat/"
        "24b3640f-ea17-a8cc-6e09-9b2ff22bf8c3?download=true",
        f"{_RSLAB}81960329/82034926/Urban_R162.mat",
        f"{_RSLAB_2024}81960329/82034926/Urban_R162.mat",
    ),
)
_URBAN_NOTES = (
    "Reflectance is Y / 1000. Pixels are stored column by column.",
    "Bands 1-4, 76, 87, 101-111, 136-153 and 198-210 of HYDICE's 210 are removed.",
    _NO_HASH,
    _FORMULA,
)


def _urban(
    endmembers: tuple[str, ...], *, size: int, sha256: str, archive: str
) -> SceneSheet:
    """Describe Urban with one of its three sets of reference abundances."""
    member = f"end{len(endmembers)}_groundTruth.mat"
    abundances = SceneFile(
        role="abundances",
        names=(member,),
        key="A",
        size=size,
        sha256=(sha256,),
        urls=(
            github(_SETTEMBRE, f"Datasets/Urban/{member}"),
            f"{_RSLAB}437291/1493656/{archive}?download=true",
        ),
        archive_member=member,
    )
    return SceneSheet(
        name=f"urban-{len(endmembers)}",
        title=f"Urban, Texas, 1995 (HYDICE, 2 m), {len(endmembers)} endmembers",
        task="unmixing",
        shape=(307, 307, 162),
        files=(_URBAN_CUBE, abundances),
        endmembers=endmembers,
        scale=1000.0,
        source=f"US Army Corps of Engineers; {_SOURCE}",
        notes=_URBAN_NOTES,
    )


URBAN_4 = _urban(
    ("Asphalt road", "Grass", "Tree", "Roof"),
    size=1_948_588,
    sha256="23460f3d4fd4523e2221c8f1895b0bedf0814e88a5a50b1fc6e8e4a0e6b2b2d2",
    archive="groundTruth_4_end.zip/c03d6f3a-cb26-865d-6d4b-04c4480bdc57",
)
URBAN_5 = _urban(
    ("Asphalt road", "Grass", "Tree", "Roof", "Dirt"),
    size=1_939_694,
    sha256="286fd5900c14a984552d17b39aa81a41a12369bce59e2b0a6560ef294639cf9d",
    archive="groundTruth_Urban_end5.zip/fe72c2db-d724-b848-92f7-c5fb0d6d1e79",
)
URBAN_6 = _urban(
    ("Asphalt road", "Grass", "Tree", "Roof", "Metal", "Dirt"),
    size=2_084_100,
    sha256="46f84517c870e8beb8732b10d30218449bae24853590c23cdfb298a7044e7171",
    archive="groundTruth_Urban_end6.zip/4ae2518a-298b-bdd2-0e28-8ee60c8e3ef1",
)
URBAN = replace(
    URBAN_6,
    name="urban",
    notes=("The same as urban-6; urban-4 and urban-5 have fewer.", *_URBAN_NOTES),
)

SAMSON = SceneSheet(
    name="samson",
    title="Samson (SAMSON), 3 endmembers",
    task="unmixing",
    shape=(95, 95, 156),
    files=(
        SceneFile(
            role="cube",
            names=("samson_1.mat", "Samson.mat"),
            urls=(
                github(_SETTEMBRE, "Datasets/Samson/Samson.mat"),
                github("mhaut/HSI-datasets", "Unmixing/Samson.mat"),
                f"{_RSLAB}81960329/82034930/Data_Matlab.rar",
            ),
            archive_member="samson_1.mat",
        ),
        SceneFile(
            role="abundances",
            names=("end3.mat", "Samson_GT.mat"),
            key="A",
            urls=(
                github(_SETTEMBRE, "Datasets/Samson/Samson_GT.mat"),
                f"{_RSLAB}81960329/82034930/GroundTruth.zip",
                f"{_RSLAB_2024}81960329/82034930/GroundTruth.zip",
            ),
            archive_member="end3.mat",
        ),
    ),
    endmembers=("Soil", "Tree", "Water"),
    wavelengths=band_tables.samson(),
    source=_SOURCE,
    notes=(
        "Two incompatible sets of reference abundances circulate (RMSE 0.231 apart): "
        "state the hash of yours.",
        _NO_HASH,
        _FORMULA,
    ),
)

CUPRITE = SceneSheet(
    name="cuprite",
    title="Cuprite, Nevada, 1997 (AVIRIS), the part with 12 reference minerals",
    task="unmixing",
    shape=(250, 190, 188),
    files=(
        SceneFile(
            role="cube",
            names=("CupriteS1_R188.mat", "Cuprite_data_R188.mat"),
            key="Y",
            urls=(
                github(_SETTEMBRE, "Datasets/Cuprite/Cuprite_data_R188.mat"),
                f"{_RSLAB}81960329/82034936/CupriteS1_R188.mat",
                f"{_RSLAB_2024}81960329/82034936/CupriteS1_R188.mat",
            ),
        ),
        SceneFile(
            role="endmembers",
            names=("groundTruth_Cuprite_nEnd12.mat", "Cuprite_GT_nEnd12.mat"),
            key="M",
            urls=(
                github(_SETTEMBRE, "Datasets/Cuprite/Cuprite_GT_nEnd12.mat"),
                f"{_RSLAB}81960329/82034936/groundTruth_Cuprite_end12.zip",
                f"{_RSLAB_2024}81960329/82034936/groundTruth_Cuprite_end12.zip",
            ),
            archive_member="groundTruth_Cuprite_nEnd12.mat",
        ),
    ),
    endmembers=(
        "Alunite",
        "Andradite",
        "Buddingtonite",
        "Dumortierite",
        "Kaolinite 1",
        "Kaolinite 2",
        "Muscovite",
        "Montmorillonite",
        "Nontronite",
        "Pyrope",
        "Sphene",
        "Chalcedony",
    ),
    source=_SOURCE,
    notes=(
        "Bands 1-2, 104-113, 148-167 and 221-224 of 224 are removed.",
        "There are reference spectra, but no reference abundances.",
        _NO_HASH,
    ),
)

CUPRITE_FULL = SceneSheet(
    name="cuprite-full",
    title="Cuprite, Nevada, 1997 (AVIRIS), the whole of scene 3 of flight f970619",
    task="unmixing",
    shape=(512, 614, 224),
    files=(
        SceneFile(
            role="cube",
            names=("Cuprite_f970619t01p02_r02_sc03.a.rfl.mat",),
            key="X",
            size=95_320_136,
            sha256=(
                "2c9fa8b09a7587e5ae9680ea0cb5763b214e9042c9950cdbadbdfeee6cff5086",
            ),
            urls=(ehu("7/7d/Cuprite_f970619t01p02_r02_sc03.a.rfl.mat"),),
        ),
    ),
    source=(
        "NASA/JPL; Grupo de Inteligencia Computacional, University of the Basque "
        "Country, https://www.ehu.eus/ccwintco/index.php/"
        "Hyperspectral_Remote_Sensing_Scenes"
    ),
    notes=("There is no reference; water absorption bands are still in it.",),
)

SHEETS = (
    JASPER_RIDGE,
    URBAN,
    URBAN_4,
    URBAN_5,
    URBAN_6,
    SAMSON,
    CUPRITE,
    CUPRITE_FULL,
)
