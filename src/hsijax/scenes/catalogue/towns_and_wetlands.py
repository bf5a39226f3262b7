"""Data sheets of Pavia, twice, of Kennedy Space Center and of Botswana.

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

PAVIA_UNIVERSITY = SceneSheet(
    name="pavia-university",
    title="Pavia University, Italy, 2001 (ROSIS, 1.3 m)",
    task="classification",
    shape=(610, 340, 103),
    files=(
        SceneFile(
            role="cube",
            names=("PaviaU.mat",),
            key="paviaU",
            size=34_806_917,
            sha256=(
                "28447fa87f7a5797845e9a189c0da85e23b1d06a4ba7361e5ff44efbf834d2fb",
            ),
            urls=(
                *hugging_face("danaroth/pavia", "PaviaU.mat"),
                github(
                    "SphrGhfri/noisy-hyperspectral-classification", "Pavia/PaviaU.mat"
                ),
                github(HYBRID_SN, "data/PaviaU.mat"),
                ehu("e/ee/PaviaU.mat"),
            ),
        ),
        SceneFile(
            role="ground_truth",
            names=("PaviaU_gt.mat",),
            key="paviaU_gt",
            size=11_005,
            sha256=(
                "23f6a426928f9b32984adffe659e29f554f9fb6c93b5a107528d308d5087a829",
            ),
            urls=(
                *hugging_face("danaroth/pavia", "PaviaU_gt.mat"),
                github(HAUT, "Classification/paviaU_gt.mat"),
                github(HYBRID_SN, "data/PaviaU_gt.mat"),
                ehu("5/50/PaviaU_gt.mat"),
            ),
        ),
    ),
    classes=legend("""
        c0c0c0 Asphalt
        00ff00 Meadows
        00ffff Gravel
        008000 Trees
        ff00ff Painted metal sheets
        a55229 Bare Soil
        800080 Bitumen
        ff0000 Self-Blocking Bricks
        ffff00 Shadows
    """),
    grss=(
        SceneFile(
            role="train_mask",
            names=("TRpavia_fixed.mat",),
            key="TRpavia_fixed",
            size=2_379,
            sha256=(
                "9eb125761f65b562f4b33c48af45131c9bdf26cb5eaa50cecf744873033a063b",
            ),
            urls=(github(HAUT, "Classification/TRpavia_fixed.mat"),),
        ),
        SceneFile(
            role="test_mask",
            names=("TSpavia_fixed.mat",),
            key="TSpavia_fixed",
            size=11_167,
            sha256=(
                "da9aa60e63079f2743fe9c435e00ed88a7fb2d7171c8cce7a18a6d2faab12e4e",
            ),
            urls=(github(HAUT, "Classification/TSpavia_fixed.mat"),),
        ),
    ),
    source=f"P. Gamba, University of Pavia; {GIC}",
)

PAVIA_CENTRE = SceneSheet(
    name="pavia-centre",
    title="Pavia Centre, Italy, 2001 (ROSIS, 1.3 m)",
    task="classification",
    shape=(1096, 715, 102),
    files=(
        SceneFile(
            role="cube",
            names=("Pavia.mat",),
            key="pavia",
            size=129_624_657,
            sha256=(
                "b60341da323fd271cd97dd6d7a69514d385ccd7fdfc5a60c4ff5994b047f152e",
            ),
            urls=(*hugging_face("danaroth/pavia", "Pavia.mat"), ehu("e/e3/Pavia.mat")),
        ),
        SceneFile(
            role="ground_truth",
            names=("Pavia_gt.mat",),
            key="pavia_gt",
            size=34_887,
            sha256=(
                "7eb54ab81b404dd3ae572e6d0ec211595029e5a847bec2cfb8f9e72d07066b69",
            ),
            urls=(
                *hugging_face("danaroth/pavia", "Pavia_gt.mat"),
                ehu("5/53/Pavia_gt.mat"),
            ),
        ),
    ),
    classes=legend("""
        0000ff Water
        008000 Trees
        00ff00 Meadows
        ff0000 Self-Blocking Bricks
        8e4702 Bare Soil
        c0c0c0 Asphalt
        00ffff Bitumen
        f66e00 Tiles
        ffff00 Shadows
    """),
    source=f"P. Gamba, University of Pavia; {GIC}",
    notes=(
        "The provider's page lists classes 3-9 in another order (Asphalt, Bricks, "
        "Bitumen, Tiles, Shadows, Meadows, Bare Soil); this is the order of published "
        "maps, in which the largest class of the town is Tiles.",
    ),
)

KSC = SceneSheet(
    name="ksc",
    title="Kennedy Space Center, Florida, 1996 (AVIRIS, 18 m)",
    task="classification",
    shape=(512, 614, 176),
    files=(
        SceneFile(
            role="cube",
            names=("KSC.mat",),
            key="KSC",
            size=56_824_624,
            sha256=(
                "b1ad011cfdb65c853e4f9f6108ca4774467d87f90a5c23b74ff3a2984a3b4786",
            ),
            urls=(
                *hugging_face("Tanishq165/HSI_Datasets", "KSC.mat"),
                ehu("2/26/KSC.mat"),
            ),
        ),
        SceneFile(
            role="ground_truth",
            names=("KSC_gt.mat",),
            key="KSC_gt",
            size=3_240,
            sha256=(
                "a1d6ab9293691006bd4d9742d1a1e1c141b1aaa5fbc5fa128b33c1d09038510b",
            ),
            urls=(
                *hugging_face("Tanishq165/HSI_Datasets", "KSC_gt.mat"),
                ehu("a/a6/KSC_gt.mat"),
            ),
        ),
    ),
    classes=legend("""
        8c432e Scrub
        0000ff Willow swamp
        ff6400 Cabbage palm hammock
        00ff7b Cabbage palm/oak hammock
        a44b9b Slash pine
        65aeff Oak/broadleaf hammock
        76feac Hardwood swamp
        3c5b70 Graminoid marsh
        ffff00 Spartina marsh
        65c13c Cattail marsh
        ff00ff Salt marsh
        6400ff Mud flats
        00acfe Water
    """),
    source=f"University of Texas, Center for Space Research; {GIC}",
)

BOTSWANA = SceneSheet(
    name="botswana",
    title="Okavango Delta, Botswana, 2001 (EO-1 Hyperion, 30 m)",
    task="classification",
    shape=(1476, 256, 145),
    files=(
        SceneFile(
            role="cube",
            names=("Botswana.mat",),
            key="Botswana",
            size=78_911_133,
            sha256=(
                "f1603903c844cdc2980550b0180688e8e1a72d4292595d1120e1dec2a80a91c7",
            ),
            urls=(
                *hugging_face("Tanishq165/HSI_Datasets", "Botswana.mat"),
                ehu("7/72/Botswana.mat"),
            ),
        ),
        SceneFile(
            role="ground_truth",
            names=("Botswana_gt.mat",),
            key="Botswana_gt",
            size=4_039,
            sha256=(
                "668394905e10e629c16584bfd02b0f533b96d6ba18a63274a94ff3a77126a887",
            ),
            urls=(
                *hugging_face("Tanishq165/HSI_Datasets", "Botswana_gt.mat"),
                github(HAUT, "Classification/Botswana_gt.mat"),
                ehu("5/58/Botswana_gt.mat"),
            ),
        ),
    ),
    classes=legend("""
        0000fe Water
        00ff00 Hippo grass
        ff00ff Floodplain grasses 1
        208920 Floodplain grasses 2
        972fff Reeds
        cd991d Riparian
        fff68c Firescar
        7c8383 Island interior
        22afa5 Acacia woodlands
        961780 Acacia shrublands
        d36b1a Acacia grasslands
        00ffff Short mopane
        fc0006 Mixed mopane
        ffff00 Exposed soils
    """),
    wavelengths=band_tables.botswana(),
    source=f"University of Texas, Center for Space Research; {GIC}",
)

SHEETS = (PAVIA_UNIVERSITY, PAVIA_CENTRE, KSC, BOTSWANA)
