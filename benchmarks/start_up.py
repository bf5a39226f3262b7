"""How long until `hsijax train` has done its first step?

Seconds from the start of the process to the end of the first training step of the
default network on Indian Pines (training pixels for one step an epoch), with a cold and
a warm compilation cache, in processes of their own that take turns; and of
`hsijax --help`. Phases: the interpreter with the command line, the other imports, the
preparation (scene, splits, run folder), and training, of which tracing, lowering and
compiling (or reading the cache) are told by jax's own clocks.

    python benchmarks/start_up.py [--dataset indian-pines] [--rounds 5]

Scenes are looked for in the folder HSIJAX_DATA; without Indian Pines there, the scene
is a random one of its size.

What it showed on two CPU cores (`results/start_up-cpu.json`): 2.2 s with a warm cache,
of which 0.8 are imports, and 6.1 s with a cold one, of which 4.2 compile.
"""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

STARTED = "HSIJAX_BENCHMARK_STARTED"  # environment variable: when the process was
CHILD = "--child"
TRAIN = ["train", "--count", "4", "--epochs", "1", "--no-map", "--quiet"]
CLOCKS = {
    "tracing": "/jax/core/compile/jaxpr_trace_duration",
    "lowering": "/jax/core/compile/jaxpr_to_mlir_module_duration",
    "compiling": "/jax/core/compile/backend_compile_duration",  # or reading the cache
}
PHASES = ("command line", "imports", "preparation", "training")
COLD, WARM, HELP = "cold cache", "warm cache", "--help"


def run_child(arguments: list[str]) -> None:
    """Be `hsijax` until the first step has ended, then print when what was done."""
    from hsijax import cli, devices
    from hsijax.cli import console

    ends = {"command line": time.time()}
    clocks: Counter = Counter()
    set_up = devices.set_up_compilation_cache

    def set_up_and_import():
        """Do what comes right before the command's own imports, then these."""
        set_up()
        import jax

        jax.monitoring.register_event_duration_secs_listener(
            lambda event, duration_secs, **kwargs: clocks.update({event: duration_secs})
        )
        import hsijax.experiments.train as experiment

        ends["imports"] = time.time()
        train_runs = experiment.train_runs

        def note_and_train(*args, **kwargs):
            ends["preparation"] = time.time()
            return train_runs(*args, **kwargs)

        experiment.train_runs = note_and_train

    def progress(stage: str, *_):
        if stage.startswith("training"):
            ends["training"] = time.time()
            times = [float(os.environ[STARTED]), *(ends[phase] for phase in PHASES)]
            seconds = dict(zip(PHASES, map(lap, times[1:], times), strict=False))
            parts = {name: clocks[event] for name, event in CLOCKS.items()}
            print(json.dumps({"all": times[-1] - times[0], **seconds, **parts}))
            sys.stdout.flush()
            os._exit(0)

    devices.set_up_compilation_cache = set_up_and_import
    console.show_progress = lambda quiet: contextlib.nullcontext(progress)
    sys.argv[1:] = arguments
    cli.main()


def lap(end: float, begin: float) -> float:
    return end - begin


def make_scene(folder: Path) -> list[str]:
    """Write a random scene of Indian Pines's size; return the options that name it."""
    import numpy as np

    rng = np.random.default_rng(0)
    cube = rng.normal(size=(145, 145, 200)).astype(np.float32)
    np.save(folder / "scene.npy", cube)
    np.save(folder / "truth.npy", rng.integers(0, 17, (145, 145)).astype(np.uint8))
    dataset, truth = str(folder / "scene.npy"), str(folder / "truth.npy")
    return ["--dataset", dataset, "--ground-truth", truth]


def time_start(folder: Path, scene: list[str], cache: Path) -> dict[str, float]:
    """Start a training in a process of its own; return its seconds by phase."""
    child = [sys.executable, __file__, CHILD, *TRAIN, *scene]
    environment = {
        **os.environ,
        "JAX_COMPILATION_CACHE_DIR": str(cache),
        STARTED: repr(time.time()),
    }
    done = subprocess.run(
        [*child, "--out", str(folder / "run"), "--overwrite"],
        env=environment,
        check=True,
        stdout=subprocess.PIPE,
    )
    return json.loads(done.stdout.splitlines()[-1])


def time_help() -> dict[str, float]:
    begin = time.time()
    subprocess.run(
        [sys.executable, "-m", "hsijax", "--help"],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    return {"all": time.time() - begin}


def main():
    if CHILD in sys.argv[1:2]:
        run_child(sys.argv[2:])
        return
    from measure import make_parser, summarise, write_results

    parser = make_parser(__doc__ or "", 5, "one round")
    parser.add_argument("--dataset", default="indian-pines")
    options = parser.parse_args()
    if options.quick:
        options.rounds = 1
    found: dict[str, list[dict[str, float]]] = {COLD: [], WARM: [], HELP: []}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        scene = ["--dataset", options.dataset]
        if not os.environ.get("HSIJAX_DATA"):
            scene = make_scene(folder)
        for _ in range(options.rounds):
            cache = folder / "cache"
            shutil.rmtree(cache, ignore_errors=True)
            found[COLD].append(time_start(folder, scene, cache))
            found[WARM].append(time_start(folder, scene, cache))
            found[HELP].append(time_help())
    rows = []
    names = ("all", *PHASES, *CLOCKS)
    print(f"{'seconds':12}" + "".join(f"{name:>13}" for name in names))
    for case, ones in found.items():
        phases = {n: summarise([o[n] for o in ones]) for n in names if n in ones[0]}
        rows.append({"case": case, **phases})
        medians = (phases[name]["median_ms"] / 1000 for name in phases)
        print(f"{case:12}" + "".join(f"{median:13.2f}" for median in medians))
    settings = {"command": ["hsijax", *TRAIN, *scene[:1]], "dataset": options.dataset}
    if len(scene) > 2:
        settings["dataset"] = "random, 145 x 145 x 200"
    packages = ("jax", "jaxlib", "flax", "optax", "diffrax", "numpy")
    write_results("start_up", packages, settings, rows, options)


if __name__ == "__main__":
    main()
