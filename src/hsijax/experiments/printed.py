"""What the papers print: their tables' figures, for ours to stand beside."""

# Zhang et al., GRSL 2018, Table II: RMSE on Jasper Ridge; their "Soil" is "Dirt".
JASPER: dict[str, dict[str, float]] = {
    "LSU": {"Tree": 0.184, "Water": 0.202, "Dirt": 0.135, "Road": 0.115, "Sum": 0.636},
    "AANN": {"Tree": 0.065, "Water": 0.052, "Dirt": 0.091, "Road": 0.071, "Sum": 0.279},
    "eSVM": {"Tree": 0.093, "Water": 0.084, "Dirt": 0.128, "Road": 0.091, "Sum": 0.396},
    "pixel CNN": {
        "Tree": 0.031,
        "Water": 0.022,
        "Dirt": 0.037,
        "Road": 0.035,
        "Sum": 0.125,
    },
    "cube CNN": {
        "Tree": 0.017,
        "Water": 0.011,
        "Dirt": 0.027,
        "Road": 0.022,
        "Sum": 0.077,
    },
}

_URBAN_ENDMEMBERS: tuple[str, ...] = (
    "Asphalt road",
    "Grass",
    "Tree",
    "Roof",
    "Metal",
    "Dirt",
    "Sum",
)
# The same, Table III: Urban.
URBAN: dict[str, dict[str, float]] = {
    method: dict(zip(_URBAN_ENDMEMBERS, figures, strict=True))
    for method, figures in {
        "LSU": (0.256, 0.296, 0.300, 0.156, 0.165, 0.166, 1.339),
        "AANN": (0.153, 0.167, 0.160, 0.089, 0.125, 0.120, 0.814),
        "eSVM": (0.110, 0.156, 0.106, 0.078, 0.057, 0.133, 0.640),
        "pixel CNN": (0.048, 0.047, 0.037, 0.026, 0.034, 0.044, 0.236),
        "cube CNN": (0.031, 0.027, 0.022, 0.021, 0.019, 0.025, 0.145),
    }.items()
}
