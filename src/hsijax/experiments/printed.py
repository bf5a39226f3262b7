"""What the papers print: their tables' figures, for ours to stand beside."""

# Mean and standard deviation by the first word of the row.
Column = dict[str, dict[str, float]]

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

# Paoletti et al., IGARSS 2019, Table 1. A row: a class by its number, or what it is;
# mean and standard deviation of ResNet and ODE-net at the smaller share of training
# pixels, then of both at the larger.
_INDIAN_PINES = """\
1         8.41  8.9794 |  21.14 16.4219 |  95.13  5.8974 |  94.62  4.7901
2        73.55  5.4803 |  77.36  4.8655 |  97.93  0.5693 |  98.04  1.3882
3        61.49 14.2059 |  68.34  8.1622 |  98.23  0.5575 |  97.21  2.1993
4        63.36 21.8903 |  69.08  9.5369 |  97.96  1.6717 |  98.11  1.3859
5        67.82 11.6907 |  72.95  5.2044 |  95.71  2.6678 |  97.22  2.1684
6        76.00  9.7225 |  80.48  7.2722 |  98.87  0.7967 |  99.39  0.4774
7         0.74  2.2222 |  11.48 18.2537 |  89.13 17.0898 |  94.35  8.0288
8        94.82  7.9803 |  93.84  7.5768 |  99.93  0.1129 |  99.90  0.1970
9         0.53  1.5789 |   5.79 12.1053 |  69.41 19.2956 |  89.41  8.6453
10       58.70 18.5370 |  65.25  4.7458 |  97.13  1.6627 |  96.94  1.2801
11       85.49  4.6536 |  88.61  2.3170 |  99.36  0.6392 |  99.54  0.3739
12       71.08  9.3017 |  72.14  6.4694 |  97.70  1.2010 |  97.68  1.5948
13       79.14 17.7546 |  90.51  6.7375 |  99.20  1.2902 |  99.83  0.3680
14       90.91  3.4966 |  95.60  2.6161 |  99.41  0.5582 |  99.67  0.2920
15       64.20 11.0867 |  76.18 12.1276 |  96.40  2.6988 |  97.56  1.4998
16        2.56  6.6305 |  34.67 31.0308 |  94.18  2.6065 |  89.11  5.9156
oa       75.18  6.2376 |  79.98  1.7644 |  98.29  0.4306 |  98.45  0.4583
aa       56.17  7.3123 |  63.96  4.2821 |  95.35  1.7001 |  96.79  1.0424
kappa    71.50  7.3363 |  77.05  2.0522 |  98.05  0.4909 |  98.23  0.5232
seconds  48.98  0.1925 | 106.25  0.1801 |  78.07  0.2078 | 205.31  9.7192
"""
_SALINAS = """\
1        90.07  4.5933 |  93.59  4.9556 |  99.85  0.1732 |  99.98  0.0253
2        88.68  5.4176 |  92.68  3.8408 |  99.96  0.0600 |  99.92  0.1118
3        78.80 14.1556 |  91.29  8.1720 |  99.81  0.2193 |  99.93  0.1665
4        98.27  2.1726 |  99.17  0.7469 |  99.87  0.0813 |  99.86  0.1429
5        98.16  1.3211 |  98.79  0.9839 |  99.80  0.1443 |  99.73  0.1782
6        98.88  0.7218 |  99.40  0.6706 |  99.97  0.0365 |  99.95  0.0595
7        94.87  3.6414 |  97.48  1.4419 |  99.82  0.1576 |  99.89  0.0847
8        89.98  2.6326 |  90.62  1.8414 |  99.38  0.3279 |  99.46  0.2733
9        96.19  2.3344 |  98.46  0.7968 |  99.99  0.0268 |  99.96  0.1129
10       91.87  4.7726 |  95.55  2.3230 |  99.95  0.0551 |  99.97  0.0320
11       93.53  4.6894 |  94.36  1.9628 |  98.52  0.9781 |  99.29  0.3507
12       95.32  2.1510 |  96.69  1.6449 |  99.60  0.3991 |  99.84  0.1155
13       96.92  1.9443 |  97.85  1.2978 |  99.42  0.4998 |  99.34  0.6287
14       90.56  5.6880 |  96.52  2.5817 |  99.65  0.5155 |  99.84  0.2379
15       82.81  3.1921 |  86.46  3.5356 |  99.43  0.2990 |  99.61  0.2081
16       86.07  5.2526 |  93.28  1.8057 |  99.68  0.2761 |  99.63  0.4261
oa       91.20  1.2009 |  93.87  0.5633 |  99.68  0.1240 |  99.75  0.0723
aa       91.94  1.5623 |  95.14  0.4933 |  99.67  0.1333 |  99.76  0.0695
kappa    90.19  1.3403 |  93.18  0.6271 |  99.64  0.1381 |  99.72  0.0805
seconds 113.22  0.1221 | 347.84  0.4285 | 223.65  0.3511 | 713.40  4.2058
"""
_PARAMETERS: dict[str, float] = {"resnet": 601_872, "odenet": 232_080}


def _read_columns(text: str) -> list[Column]:
    """Return a scene's columns: the figures by the first word of their row."""
    rows = dict(line.split(maxsplit=1) for line in text.splitlines())
    columns = zip(*(figures.split("|") for figures in rows.values()), strict=True)
    return [
        {
            name: dict(zip(("mean", "std"), map(float, pair.split()), strict=True))
            for name, pair in zip(rows, column, strict=True)
        }
        for column in columns
    ]


def _by_network(columns: list[Column]) -> dict[str, Column]:
    return {
        model: column | {"parameters": {"mean": count}}
        for (model, count), column in zip(_PARAMETERS.items(), columns, strict=True)
    }


# By scene and share of training pixels, then by network, then by row.
TABLE_1: dict[tuple[str, float], dict[str, Column]] = {
    ("indian-pines", 0.03): _by_network(_read_columns(_INDIAN_PINES)[:2]),
    ("indian-pines", 0.15): _by_network(_read_columns(_INDIAN_PINES)[2:]),
    ("salinas", 0.01): _by_network(_read_columns(_SALINAS)[:2]),
    ("salinas", 0.1): _by_network(_read_columns(_SALINAS)[2:]),
}
