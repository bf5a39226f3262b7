"""What do ten runs cost, against one?

Ten trainings on as many random splits, as `hsijax train --runs 10` executes them (on a
CPU one after another, on a GPU as one program), against one: the whole,
with test pixels and figures, and until the last epoch ends. The scene is
made up (blocks of 8 classes, noise); compiling is left out by a first round.

    python benchmarks/many_runs.py [--model resnet] [--epochs 20] [--rounds 3]

What it showed on two CPU cores (`results/many_runs-cpu.json`, one round): 9.3 times one
run with all, 10.3 times until the last epoch. Side by side is for GPUs, of which none
was at hand.
"""

import tempfile
import time
from pathlib import Path

import jax
import numpy as np
from measure import (
    interleave,
    limit_threads,
    make_parser,
    ratio,
    summarise,
    write_results,
)

from hsijax.experiments.train import prepare_run, train_runs
from hsijax.settings import make_config

BANDS, CLASSES, SIDE, BLOCK = 60, 8, 48, 6


def make_scene(folder: Path) -> dict[str, str]:
    """Write a scene, and return the options that name it."""
    rng = np.random.default_rng(0)
    blocks = rng.integers(1, CLASSES + 1, (SIDE // BLOCK, SIDE // BLOCK))
    truth = np.kron(blocks, np.ones((BLOCK, BLOCK), int)).astype(np.uint8)
    spectra = rng.normal(size=(CLASSES + 1, BANDS))
    cube = spectra[truth] + rng.normal(0, 1, (SIDE, SIDE, BANDS))
    np.save(folder / "scene.npy", cube.astype(np.float32))
    np.save(folder / "scene_gt.npy", truth)
    return {
        "dataset": str(folder / "scene.npy"),
        "ground_truth": str(folder / "scene_gt.npy"),
    }


class Execution:
    """So many runs, from their folder to their figures; remembers the last one."""

    def __init__(self, config, folder: Path):
        self.config = config
        self.folder = folder
        self.training: list[float] = []  # seconds in training, of each call

    def __call__(self):
        run, task = prepare_run(self.config, self.folder, overwrite=True)
        begin = time.perf_counter()
        train_runs(run, task, self.note)
        self.training.append(self.last_epoch - begin)

    def note(self, stage: str, *_):
        if stage.startswith("training"):
            self.last_epoch = time.perf_counter()


def main():
    parser = make_parser(__doc__ or "", 3, "two epochs, two runs, one round")
    parser.add_argument("--model", choices=["odenet", "resnet"], default="odenet")
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--epochs", type=int, default=20)
    options = parser.parse_args()
    limit_threads(None)
    if options.quick:
        options.rounds, options.runs, options.epochs = 1, 2, 2
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        scene = make_scene(folder)
        cases = {}
        for runs in (1, options.runs):
            given = {"model": options.model, "epochs": options.epochs, "runs": runs}
            config = make_config({**scene, **given, "frac": 0.15}, {})
            cases[runs] = Execution(config, folder / f"{runs}")
        interleave(cases, 1)  # compiles
        times = interleave(cases, options.rounds)
    rows = []
    print(f"{options.model}: seconds of all, of one run's; of training, of one run's")
    for runs, case in cases.items():
        training = case.training[1:]
        row = {
            "runs": runs,
            **summarise(times[runs]),
            "times_one_run": ratio(times[runs], times[1]),
            "until_the_last_epoch": summarise(training),
            "until_the_last_epoch_times_one_run": ratio(
                training, cases[1].training[1:]
            ),
        }
        rows.append(row)
        print(
            f"{runs:3} runs{row['median_ms'] / 1000:9.2f} s"
            f"{row['times_one_run']:7.2f} x{float(np.median(training)):9.2f} s"
            f"{row['until_the_last_epoch_times_one_run']:7.2f} x"
        )
    write_results(
        f"many_runs-{options.model}" if options.model != "odenet" else "many_runs",
        ("jax", "flax", "optax", "numpy"),
        {
            "model": options.model,
            "scene": [SIDE, SIDE, BANDS],
            "epochs": options.epochs,
            "devices": jax.device_count(),
        },
        rows,
        options,
    )


if __name__ == "__main__":
    main()
