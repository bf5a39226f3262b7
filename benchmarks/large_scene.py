"""What does a scene larger than memory cost, in memory and in speed?

A simulated scene of 1,940 x 1,940 pixels and 425 bands of float32 (6.4 GB), an ENVI
file that is written first: mixtures of smooth spectra in fields, with noise, and labels
on 0.1 % of the pixels. Each command runs in a process of its own, whose peak of
resident memory is measured (all of Python and JAX is in it, and what is mapped of
files): `train` (preset best, few epochs), `map` and `unmix --model fcls`. Then one
corner of the scene, tile by tile from the file into the store of a map, takes turns
with the same pixels in memory, prepared and predicted in one go.

    python benchmarks/large_scene.py [--folder DIR] [--rounds 2]

What it showed on two busy CPU cores (`results/large_scene-cpu.json`): `map` took 1.42
GB at most, `unmix` 1.57 (told 1.5), `train` 2.51; tiles from the file took 0.85 times
as long as the same pixels in memory, which are prepared before the first is predicted.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from measure import interleave, limit_threads, make_parser, ratio, write_results

SIDE, BANDS, CORNER = 1940, 425, 704
QUICK_SIDE, QUICK_BANDS, QUICK_CORNER = 150, 20, 80
CLASSES, FIELD = 5, 40  # pixels of a field's side
EPOCHS, QUICK_EPOCHS = 20, 1


def write_scene(folder: Path, side: int, bands: int) -> tuple[Path, Path, Path]:
    """Write cube, labels and endmembers, some rows at a time."""
    rng = np.random.default_rng(0)
    lengths = np.linspace(380, 2500, bands)
    centres = rng.uniform(400, 2400, (CLASSES, 4, 1))
    widths = rng.uniform(60, 400, (CLASSES, 4, 1))
    spectra = np.exp(-(((lengths - centres) / widths) ** 2)).sum(axis=1) / 4
    fields = rng.integers(0, CLASSES, (-(-side // FIELD), -(-side // FIELD)))
    truth = np.repeat(np.repeat(fields, FIELD, 0), FIELD, 1)[:side, :side]
    cube, header = folder / "large.img", folder / "large.hdr"
    with cube.open("wb") as stream:
        for start in range(0, side, 20):
            there = truth[start : start + 20]
            share = rng.uniform(0.6, 1, (*there.shape, 1)).astype(np.float32)
            other = spectra[rng.integers(0, CLASSES, there.shape)]
            values = share * spectra[there] + (1 - share) * other
            noise = rng.standard_normal(values.shape, dtype=np.float32)
            values = (values + 0.01 * noise).astype("<f4")
            stream.write(values.transpose(0, 2, 1).tobytes())  # BIL
    listed = ", ".join(f"{length:.2f}" for length in lengths)
    header.write_text(
        f"ENVI\nsamples = {side}\nlines = {side}\nbands = {bands}\ndata type = 4\n"
        "interleave = bil\nbyte order = 0\nheader offset = 0\n"
        "map info = {UTM, 1, 1, 500000, 4000000, 5, 5, 11, North, WGS-84}\n"
        f"wavelength units = Nanometers\nwavelength = {{{listed}}}\n"
    )
    # Labelled are some small squares, as a survey would have them.
    labels = np.zeros((side, side), np.uint8)
    corners = rng.integers(0, side - 8, (max(10, side**2 // 50_000), 2))
    for row, col in corners:
        labels[row : row + 8, col : col + 8] = 1 + truth[row, col]
    np.save(folder / "labels.npy", labels)
    rows = zip(lengths, *spectra, strict=True)
    names = ",".join(f"material {number}" for number in range(CLASSES))
    table = "\n".join(",".join(f"{value:.6g}" for value in row) for row in rows)
    (folder / "library.csv").write_text(f"wavelength,{names}\n{table}\n")
    return header, folder / "labels.npy", folder / "library.csv"


def run(*arguments: object) -> dict[str, float]:
    """Run a command; return its seconds and the peak of its memory."""
    command = [sys.executable, "-m", "hsijax", *map(str, arguments), "--quiet"]
    begin = time.perf_counter()
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(child.pid, 0)
    if status:
        sys.exit(f"failed: {' '.join(command)}")
    peak = used.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    found = {"seconds": time.perf_counter() - begin, "peak_gb": peak / 1e9}
    print(f"{arguments[0]}: {found['seconds']:.1f} s, {found['peak_gb']:.2f} GB")
    return found


def compare(folder: Path, header: Path, corner: int, rounds: int):
    """Time tiles from the file against the same pixels in memory."""
    from hsijax.classification.trained import TrainedClassifier
    from hsijax.experiments.classify_scene import classify_scene
    from hsijax.experiments.map_scene import LAYERS
    from hsijax.experiments.tile_store import TileStore
    from hsijax.io.cube import LazyCube
    from hsijax.runs import open_run
    from hsijax.scenes import load_scene

    scene = load_scene(str(header))
    whole = scene.cube
    part = LazyCube((corner, corner, whole.shape[2]), whole.dtype, whole.read)
    scene = replace(scene, cube=part)
    classifier = TrainedClassifier.load(open_run(folder / "run").network_file(0))
    cube, valid = scene.load()
    pixels = np.argwhere(valid)
    found = {}

    def in_memory() -> None:
        padded = classifier.prepare(cube, valid)
        found["memory"] = classifier.predict(padded, pixels)[0].reshape(valid.shape)

    def by_tiles() -> None:
        store = TileStore.open(folder / "tiles", scene.shape[:2], LAYERS, {})
        classes = classify_scene(classifier, scene, store, memory=3 * 2**29).classes
        found["tiles"] = np.array(classes)
        store.remove()

    cases = {"in memory": in_memory, "tiles": by_tiles}
    for function in cases.values():
        function()  # compile
    times = interleave(cases, rounds)
    assert np.array_equal(found["memory"], found["tiles"])
    return times


def main() -> None:
    """Write the scene, measure, and delete it."""
    parser = make_parser(__doc__ or "", 2, "the scene is of 150 x 150 pixels")
    parser.add_argument("--folder", type=Path, help="where 7 GB have room")
    options: argparse.Namespace = parser.parse_args()
    side, bands, corner, epochs = SIDE, BANDS, CORNER, EPOCHS
    if options.quick:
        side, bands, corner = QUICK_SIDE, QUICK_BANDS, QUICK_CORNER
        epochs = QUICK_EPOCHS
    threads = limit_threads(None)
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        header, labels, library = write_scene(folder, side, bands)
        size = header.with_suffix(".img").stat().st_size
        print(f"a scene of {side} x {side} x {bands}: {size / 1e9:.2f} GB")
        learning = ("--frac", 0.1, "--epochs", epochs, "--no-map")
        truth = ("--ground-truth", labels)
        rows: list[dict[str, Any]] = [
            {"command": "train"}
            | run(
                "train",
                "--dataset",
                header,
                *truth,
                *learning,
                "--out",
                f"{folder}/run",
            ),
            {"command": "map"} | run("map", f"{folder}/run", header),
            {"command": "unmix --model fcls"}
            | run(
                *("unmix", header, "--model", "fcls", "--endmembers", library),
                *("--max-memory", "1.5G", "--out", f"{folder}/unmixed"),
            ),
        ]
        for row in rows[1:]:
            row["pixels_per_second"] = side**2 / row["seconds"]
        times = compare(folder, header, corner, options.rounds)
    slower = ratio(times["tiles"], times["in memory"])
    for name, seconds in times.items():
        speed = corner**2 / np.median(seconds)
        rows.append({"command": name, "pixels_per_second": float(speed)})
        print(f"{name}: {speed:,.0f} pixels/s")
    print(f"tiles take {slower:.2f} times as long")
    write_results(
        "large_scene",
        ("hsijax", "jax", "numpy"),
        {"side": side, "bands": bands, "gigabytes": size / 1e9, "threads": threads},
        rows,
        options,
        tiles_over_memory=slower,
    )


if __name__ == "__main__":
    main()
