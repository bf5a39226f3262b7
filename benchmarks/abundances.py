"""What exact, fully constrained unmixing costs, against the ways others go.

A scene of Urban's size, 307 x 307 pixels of 162 bands, made of the real abundances and
six endmembers of `urban/end6_groundTruth.mat` with noise and a brightness of each
pixel's own (seeded). Opponents run interleaved, on part of the pixels where a whole
scene would take long; times are minima over rounds, and errors are against quadprog.

    python benchmarks/abundances.py DATA [--rounds 5] [--pixels 4000]

DATA is the folder that holds `urban/end6_groundTruth.mat`.

What it showed: see `results/abundances-<device>.json`.
"""

from pathlib import Path

import numpy as np
import quadprog
import scipy.io
import scipy.optimize
from measure import interleave, make_parser, write_results

from hsijax.unmixing.abundances import solve_abundances
from hsijax.unmixing.sunsal import sunsal

NOISE, BRIGHTNESS = 0.01, 0.1  # standard deviations; reflectance, share
SUM_WEIGHT = 1e3  # of the row of ones that makes NNLS keep the sum


def make_scene(data: Path):
    truth = scipy.io.loadmat(data / "urban" / "end6_groundTruth.mat")
    abundances, endmembers = truth["A"].T, truth["M"].T.astype(float)
    rng = np.random.default_rng(0)
    spectra = abundances @ endmembers
    spectra *= rng.normal(1, BRIGHTNESS, (len(spectra), 1))
    spectra += rng.normal(0, NOISE, spectra.shape)
    return spectra.astype(np.float32), np.ascontiguousarray(endmembers)


def by_table(spectra, endmembers):
    return solve_abundances("fcls", spectra, endmembers).abundances


def by_quadprog(spectra, endmembers):
    count = len(endmembers)
    gram = endmembers @ endmembers.T
    products = spectra.astype(float) @ endmembers.T
    constraints = np.vstack([np.ones(count), np.eye(count)]).T.copy()
    bounds = np.r_[1.0, np.zeros(count)]
    return np.array(
        [quadprog.solve_qp(gram, p, constraints, bounds, 1)[0] for p in products]
    )


def by_nnls(spectra, endmembers):
    ones = np.full((1, len(endmembers)), SUM_WEIGHT)
    system = np.vstack([endmembers.T, ones])
    weighted = np.pad(
        spectra.astype(float), ((0, 0), (0, 1)), constant_values=SUM_WEIGHT
    )
    return np.array([scipy.optimize.nnls(system, pixel)[0] for pixel in weighted])


def by_admm(spectra, endmembers):
    return sunsal(
        spectra, endmembers, sparsity=0.0, sum_to_one=True, tolerance=1e-4
    ).abundances


# Name: function, and whether it gets all pixels.
CASES = {
    "table look-up block pivoting (ours)": (by_table, True),
    "quadprog, one pixel at a time": (by_quadprog, False),
    "scipy nnls with a weighted sum row": (by_nnls, False),
    "ADMM at 1e-4 (our sunsal)": (by_admm, False),
}


def main():
    parser = make_parser(__doc__ or "", 5)
    parser.add_argument("data", type=Path)
    parser.add_argument("--pixels", type=int, default=4_000)
    options = parser.parse_args()

    spectra, endmembers = make_scene(options.data)
    rng = np.random.default_rng(1)
    part = spectra[rng.choice(len(spectra), options.pixels, replace=False)]
    expected = by_quadprog(part, endmembers)
    errors, cases = {}, {}
    for name, (function, whole) in CASES.items():
        found = function(part, endmembers)  # compiles, too
        errors[name] = float(np.abs(found - expected).max())
        pixels = spectra if whole else part
        cases[name] = lambda f=function, pixels=pixels: f(pixels, endmembers)
    times = {
        name: min(seconds) * (1 if CASES[name][1] else len(spectra) / len(part))
        for name, seconds in interleave(cases, options.rounds).items()
    }
    solution = solve_abundances("fcls", spectra, endmembers)

    rows = []
    reference = times["quadprog, one pixel at a time"]
    print(f"{'':38}pixels/s    scene   quadprog =  largest error")
    for name, seconds in times.items():
        row = {
            "name": name,
            "pixels_timed": len(spectra) if CASES[name][1] else options.pixels,
            "pixels_per_s": len(spectra) / seconds,
            "scene_s": seconds,
            "times_quadprog": reference / seconds,
            "largest_error": errors[name],
        }
        rows.append(row)
        print(
            f"{name:36}{row['pixels_per_s']:10,.0f}{seconds:8.2f} s"
            f"{row['times_quadprog']:9.2f} x{row['largest_error']:16.1e}"
        )
    print(f"largest KKT violation of all {len(spectra):,}: {solution.largest_kkt:.1e}")

    write_results(
        "abundances",
        ("jax", "numpy", "scipy", "quadprog"),
        {
            "pixels": len(spectra),
            "bands": spectra.shape[1],
            "endmembers": len(endmembers),
            "noise": NOISE,
            "brightness": BRIGHTNESS,
        },
        rows,
        options,
        largest_kkt=solution.largest_kkt,
        condition=solution.condition,
    )


if __name__ == "__main__":
    main()
