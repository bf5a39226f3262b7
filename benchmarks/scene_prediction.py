"""How long does the map of a whole scene take, and how much memory?

All 111,104 pixels of a scene of Salinas's size, 512 x 217, by the default network: the
nine bands of `salinas/DERIVED_salinas_first9of204bands_512x217.npy` in the folder
HSIJAX_DATA, else random ones; `--bands 204` for a random scene of that many. hsijax as
the product maps it, PyTorch by batches of patches with the same network. Each
measurement is a process of its own: seconds from the scene in memory to the class and
confidence of each pixel, after one such call that compiles, and the peak of resident
memory, less the scene (all of Python, JAX or PyTorch is in it) and less what was there
before the first call.

    python benchmarks/scene_prediction.py [--bands 204] [--threads 1] [--rounds 3]

What it showed on two CPU cores (`results/scene_prediction-cpu.json`, one round): 21.1 s
and 489 MB above the scene of nine bands; PyTorch needs 1.40 times as long.
"""

import argparse
import importlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np
from measure import limit_threads, make_parser, ratio, summarise, write_results

SHAPE = (512, 217)
QUICK_SHAPE = (24, 20)
DERIVED = Path("salinas", "DERIVED_salinas_first9of204bands_512x217.npy")
OURS, THEIRS = "hsijax", "PyTorch"


def load_scene(bands: int, quick: bool) -> tuple[np.ndarray, str]:
    """Return a cube [rows cols bands], and what it is."""
    path = Path(os.environ.get("HSIJAX_DATA", "")) / DERIVED
    rows, cols = QUICK_SHAPE if quick else SHAPE
    if bands == 9 and path.exists():
        cube = np.load(path).astype(np.float32)
        assert cube.shape == (*SHAPE, 9), cube.shape
        return np.ascontiguousarray(cube[:rows, :cols]), path.name
    cube = np.random.default_rng(0).normal(size=(rows, cols, bands))
    return cube.astype(np.float32), "random"


def prepare_ours(cube: np.ndarray):
    """Return a function that maps the scene as the product does."""
    from ours import CLASSES, first_params, settings

    from hsijax.classification.network import Blueprint, TrainedNetwork
    from hsijax.classification.trained import TrainedClassifier
    from hsijax.preprocessing import Inputs, fit_preprocessing
    from hsijax.scenes import LandClass
    from hsijax.scenes.sensor import Sensor

    config = settings("compact", "odenet", 9, 64)
    blueprint = Blueprint(config, cube.shape[-1], CLASSES)
    valid = np.ones(cube.shape[:2], bool)
    classifier = TrainedClassifier(
        TrainedNetwork(blueprint, first_params(blueprint)),
        Inputs(
            fit_preprocessing(cube[valid], scaling=config.scaling, components=0), None
        ),
        Sensor(np.ones(cube.shape[-1], bool)),
        tuple(LandClass(n + 1, f"{n + 1}", (n, n, n)) for n in range(CLASSES)),
    )

    def predict():
        padded = classifier.prepare(cube, valid)
        return classifier.predict(padded, np.argwhere(valid))

    return predict


def prepare_torch(cube: np.ndarray):
    """Return a function that maps the scene in PyTorch, batch after batch."""
    import torch
    from ours import settings
    from pytorch import PREDICTED_AT_ONCE, torch_device, torch_network

    config = settings("compact", "odenet", 9, 64)
    device, side = torch_device(), config.patch
    network = torch_network(config, cube.shape[-1], None).eval()
    batch = PREDICTED_AT_ONCE[device.type]
    rows, cols, _ = cube.shape

    @torch.inference_mode()
    def predict():
        scaled = (cube - cube.mean((0, 1))) / cube.std((0, 1))
        margins = ((side // 2, side // 2), (side // 2, side // 2), (0, 0))
        padded = np.pad(scaled, margins, mode="reflect").transpose(2, 0, 1)
        maps = torch.tensor(padded, device=device)
        # A view, of which only a batch at a time becomes patches in memory.
        windows = maps.unfold(1, side, 1).unfold(2, side, 1).permute(1, 2, 0, 3, 4)
        labels, confidence = [], []
        for start in range(0, rows * cols, batch):
            stop = min(start + batch, rows * cols)
            places = torch.arange(start, stop, device=device)
            logits = network(windows[places // cols, places % cols])
            largest, found = torch.softmax(logits, 1).max(1)
            labels.append(found)
            confidence.append(largest)
        return torch.cat(labels).cpu().numpy(), torch.cat(confidence).cpu().numpy()

    return predict


PREPARE = {OURS: prepare_ours, THEIRS: prepare_torch}


def resident() -> dict[str, int]:
    """Return the resident memory of this process now, and its peak, in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    found = dict(line.split(":", 1) for line in lines)
    return {
        name: 1024 * int(found[key].split()[0])
        for name, key in (("now", "VmRSS"), ("peak", "VmHWM"))
    }


def device_peak(name: str) -> int | None:
    """Return the peak of the GPU's memory in bytes, None on a CPU."""
    if jax.devices()[0].platform == "cpu":
        return None
    if name == OURS:
        return (jax.devices()[0].memory_stats() or {}).get("peak_bytes_in_use")
    import torch

    return torch.cuda.max_memory_allocated()


def measure_here(options: argparse.Namespace) -> None:
    """Do one measurement in this process and print it as JSON."""
    if options.child == THEIRS:
        importlib.import_module("torch")  # before it is told of the threads
    limit_threads(options.threads)
    cube, _ = load_scene(options.bands, options.quick)
    predict = PREPARE[options.child](cube)
    before = resident()["now"]
    seconds = []
    for _ in range(2):
        begin = time.perf_counter()
        labels, confidence = predict()
        seconds.append(time.perf_counter() - begin)
    assert labels.shape == confidence.shape == (cube.shape[0] * cube.shape[1],)
    peak = resident()["peak"]
    result = {
        "first_s": seconds[0],
        "seconds": seconds[1],
        "peak_above_scene_mb": (peak - cube.nbytes) / 1e6,
        "peak_above_start_mb": (peak - before) / 1e6,
        "device_peak_bytes": device_peak(options.child),
    }
    print(json.dumps(result))


def main():
    parser = make_parser(__doc__ or "", 3, "a crop of 24 x 20 pixels, one round")
    parser.add_argument("--bands", type=int, default=9)
    parser.add_argument("--threads", type=int, help="cores; default all")
    parser.add_argument("--child", choices=[*PREPARE], help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        measure_here(options)
        return
    if options.quick:
        options.rounds = 1
    found: dict[str, list[dict]] = {name: [] for name in PREPARE}
    for _ in range(options.rounds):
        for name in PREPARE:
            command = [sys.executable, *sys.argv, "--child", name]
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
            found[name].append(json.loads(done.stdout.splitlines()[-1]))
    cube, source = load_scene(options.bands, options.quick)
    times = {name: [one["seconds"] for one in ones] for name, ones in found.items()}
    rows = []
    print(f"{source}, {cube.shape}: seconds, of hsijax's time; MB above scene, start")
    for name, ones in found.items():
        row = {
            "name": name,
            **summarise(times[name]),
            "times_ours": ratio(times[name], times[OURS]),
            **{key: max(one[key] or 0 for one in ones) for key in list(ones[0])[2:]},
            "first_s": max(one["first_s"] for one in ones),
        }
        rows.append(row)
        print(
            f"{name:10}{row['median_ms'] / 1000:9.2f} s{row['times_ours']:7.2f} x"
            f"{row['peak_above_scene_mb']:9.0f} MB{row['peak_above_start_mb']:9.0f} MB"
        )
    write_results(
        "scene_prediction",
        ("jax", "flax", "torch", "numpy"),
        {
            "scene": source,
            "shape": list(cube.shape),
            "threads": options.threads or os.cpu_count(),
            "patch": 9,
        },
        rows,
        options,
    )


if __name__ == "__main__":
    main()
