"""Data sheets of fields: Indian Pines, Salinas and its part Salinas-A.

Class colours are those that the field's maps customarily wear, so that a map can be
held beside a published one.
"""

from hsijax.scenes.catalogue import band_tables
from hsijax.scenes.catalogue.sheet import (
    GIC,
    HAUT,
    HYBRID_SN,
    SceneFile,
    SceneSheet,
    ehu,
    github,
    hugging_face,
    legend,
)

_SALINAS_CLASSES = legend("""
    0000ff Brocoli_green_weeds_1
    ff6400 Brocoli_green_weeds_2
    00ff86 Fallow
    964696 Fallow_rough_plow
    6496ff Fallow_smooth
    3c5a72 Stubble
    ffff7d Celery
    ff00ff Grapes_untrained
    6400ff Soil_vinyard_develop
    01aaff Corn_senesced_green_weeds
    00ff00 Lettuce_romaine_4wk
    afaf52 Lettuce_romaine_5wk
    64be38 Lettuce_romaine_6wk
    8c432e Lettuce_romaine_7wk
    73ffac Vinyard_untrained
    ffff00 Vinyard_vertical_trellis
""")
_SALINAS_A_IDS = (1, 10, 11, 12, 13, 14)

INDIAN_PINES = SceneSheet(
    name="indian-pines",
    title="Indian Pines, Indiana, 1992 (AVIRIS, 20 m)",
    task="classification",
    shape=(145, 145, 200),
    files=(
        SceneFile(
            role="cube",
            names=("Indian_pines_corrected.mat", "Indian_pines_corrected.npy"),
            key="indian_pines_corrected",
            size=5_953_527,
            sha256=(
                "ec2f8808710919d566f70f0d4aa885aae1ddfd42b734aba71c5e12ca65450939",
                "8f038e4d81569e38ebfc72a15c9984c150de42580ab260be10a13442e912e451",
            ),
            urls=(
                *hugging_face("danaroth/indian_pines", "Indian_pines_corrected.mat"),
                github(HYBRID_SN, "data/Indian_pines_corrected.mat"),
                github(
                    "researcher111/LearningHyperspectral",
                    "starter-Pines/Indian_pines_corrected.mat",
                ),
                ehu("6/67/Indian_pines_corrected.mat"),
            ),
        ),
        SceneFile(
            role="ground_truth",
            names=("Indian_pines_gt.mat", "Indian_pines_gt.npy"),
            key="indian_pines_gt",
            size=1_125,
            sha256=(
                "65c4687a8ab04f6da4789799bc3bc4f6e88bccac3ed6a2e6ae367e5e6b9e429c",
                "44610d21625b311b05b8e0c4ba9a6cc755c2fbb9df48e4d89419024aa6ad3f9d",
            ),
            urls=(
                *hugging_face("danaroth/indian_pines", "Indian_pines_gt.mat"),
                github(HYBRID_SN, "data/Indian_pines_gt.mat"),
                github(
                    "researcher111/LearningHyperspectral",
                    "starter-Pines/Indian_pines_gt.mat",
                ),
                ehu("c/c4/Indian_pines_gt.mat"),
            ),
        ),
    ),
    classes=legend("""
        8c432e Alfalfa
        0000ff Corn-notill
        ff6400 Corn-mintill
        00ff7b Corn
        a44b9b Grass-pasture
        65aeff Grass-trees
        76feac Grass-pasture-mowed
        3c5b70 Hay-windrowed
        ffff00 Oats
        ffff7d Soybean-notill
        ff00ff Soybean-mintill
        6400ff Soybean-clean
        00acfe Wheat
        00ff00 Woods
        abaf50 Buildings-Grass-Trees-Drives
        65c13c Stone-Steel-Towers
    """),
    grss=(
        SceneFile(
            role="train_mask",
            names=("indianpines_disjoint_dset.mat",),
            key="indianpines_disjoint_dset",
            size=21_248,
            sha256=(
                "430c37ce56a160d410378aa136e5e696e2436e2fe03e275f306c3502f622e77b",
            ),
            urls=(github(HAUT, "Classification/indianpines_disjoint_dset.mat"),),
        ),
    ),
    wavelengths=band_tables.indian_pines(),
    source=f"M. Baumgardner et al., Purdue University, doi:10.4231/R7RX991C; {GIC}",
    licence="CC0 1.0 as stated at huggingface.co/datasets/danaroth/indian_pines",
    notes=(
        "20 water absorption bands of 220 are removed: 104-108, 150-163, 220.",
        "Neighbouring spectrometers overlap: the wavelengths are not monotone.",
    ),
    in_samples=True,
)

SALINAS = SceneSheet(
    name="salinas",
    title="Salinas Valley, California, 1998 (AVIRIS, 3.7 m)",
    task="classification",
    shape=(512, 217, 204),
    files=(
        SceneFile(
            role="cube",
            names=("Salinas_corrected.mat",),
            key="salinas_corrected",
            size=26_552_770,
            sha256=(
                "5ec1c0d22f56d18ecd336f8e35735863c0f160682e04e0c18ef3f89a3334d87d",
            ),
            urls=(
                "https://zenodo.org/records/15771735/files/Salinas_corrected.mat",
                *hugging_face("danaroth/salinas", "Salinas_corrected.mat"),
                github(
                    "SphrGhfri/noisy-hyperspectral-classification",
                    "Salinas/Salinas_corrected.mat",
                ),
                github(HYBRID_SN, "data/Salinas_corrected.mat"),
                ehu("a/a3/Salinas_corrected.mat"),
            ),
        ),
        SceneFile(
            role="ground_truth",
            names=("Salinas_gt.mat",),
            key="salinas_gt",
            size=4_277,
            sha256=(
                "ecfab4d31ef5553f097943235d8ea502038eb4a2067b2ad10b33e37c949955e2",
            ),
            urls=(
                "https://zenodo.org/records/15771735/files/Salinas_gt.mat",
                *hugging_face("danaroth/salinas", "Salinas_gt.mat"),
                github(HAUT, "Classification/salinas_gt.mat"),
                github(HYBRID_SN, "data/Salinas_gt.mat"),
                ehu("f/fa/Salinas_gt.mat"),
            ),
        ),
    ),
    classes=_SALINAS_CLASSES,
    source=GIC,
    notes=("20 water absorption bands of 224 are removed: 108-112, 154-167, 224.",),
)

SALINAS_A = SceneSheet(
    name="salinas-a",
    title="Salinas-A, a part of Salinas (AVIRIS, 3.7 m)",
    task="classification",
    shape=(83, 86, 204),
    files=(
        SceneFile(
            role="cube",
            names=("SalinasA_corrected.mat",),
            key="salinasA_corrected",
            size=1_539_086,
            sha256=(
                "d75684ed3ab71a1024cee0f9db9061f50a3523a92ff5edfbbb1eed976b9f1721",
            ),
            urls=(
                *hugging_face("danaroth/salinas", "SalinasA_corrected.mat"),
                github("AngryCai/GraphConvSC", "HSI_Datasets/SalinasA_corrected.mat"),
                ehu("1/1a/SalinasA_corrected.mat"),
            ),
        ),
        SceneFile(
            role="ground_truth",
            names=("SalinasA_gt.mat",),
            key="salinasA_gt",
            size=587,
            sha256=(
                "17814c1d3296c0e29b27f320f2c4174d2a68adb87e376abe78f02923e2c2e454",
            ),
            urls=(
                *hugging_face("danaroth/salinas", "SalinasA_gt.mat"),
                github("AngryCai/GraphConvSC", "HSI_Datasets/SalinasA_gt.mat"),
                ehu("a/aa/SalinasA_gt.mat"),
            ),
        ),
    ),
    classes=tuple(row for row in _SALINAS_CLASSES if row.id in _SALINAS_A_IDS),
    source=GIC,
    notes=(
        "Labels keep the numbers of Salinas, so they are not contiguous.",
        "Columns 4-85 are rows 272-354, columns 0-81 of Salinas.",
    ),
)

SHEETS = (INDIAN_PINES, SALINAS, SALINAS_A)
