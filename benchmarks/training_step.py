"""Does hsijax train faster than the same network in PyTorch, and ODE-net than ResNet?

One training step (forward, backward, update) and the prediction of patches, of the
ResNet with six units and of the default ODE-net (RK4, one step), as the product runs
them; the same mathematics in PyTorch, eager and by `torch.compile`; and the ODE-net as
the paper's template solves it, torchdiffeq's Dopri5 at 1e-3, with the gradient through
the solver and by the adjoint. Compact network: 9x9 patches of 200 bands, batch 64;
`--paper`: the paper's, 11x11 and 23x23 patches of one channel, batch 100.

hsijax cuts its patches from the scene within its step, PyTorch finds them cut. A GPU is
given many steps before it is waited for, as in an epoch of the product; a time is that
of one step.

    python benchmarks/training_step.py [--paper] [--threads 1] [--no-compile]

What it showed on two CPU cores (`results/training_step-cpu.json`): the compact ODE-net
trains in 0.72 of the ResNet's time and predicts in 0.82; PyTorch needs 1.29 times ours
for its training and 1.47 for 256 predictions, 1.20 and 1.65 for the ResNet (an earlier
run of 12 rounds: 1.20, 1.33, 1.17 and 1.63); torchdiffeq's Dopri5 10.5 times ours
through the solver and 15.1 by the adjoint. The paper's networks, of which the strided
stages are XLA's own convolutions, are level at 23x23 (1.00 and 1.01 in training) and
behind at 11x11 (PyTorch 0.90 of ours for the ODE-net, `torch.compile` 0.66 in
prediction).
"""

import argparse
import time

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
from ours import Opponent, make_ours, make_work, settings
from pytorch import SOLVES, make_torch, torch_network

# Name: architecture, patch, channels, batch.
SIZES = {
    "compact 9x9x200": ("compact", 9, 200, 64),
    "paper 11x11x1": ("paper", 11, 1, 100),
    "paper 23x23x1": ("paper", 23, 1, 100),
}
# Steps and pixels of each call that is timed.
WORK = {"cpu": (1, 256), "gpu": (20, 8192)}
QUICK = {"compact 5x5x8": ("compact", 5, 8, 8)}
OURS, EAGER, COMPILED = "hsijax", "PyTorch", "torch.compile"


def warm_up(opponent: Opponent) -> float:
    """Compile, and call until all is in place; return the seconds that took."""
    begin = time.perf_counter()
    for function in opponent:
        for _ in range(3):
            function()
    return time.perf_counter() - begin


def make_opponents(model, size, compiles):
    """Return all opponents of one network that work, their counters and notes."""
    architecture, patch, channels, batch = size
    config = settings(architecture, model, patch, batch)
    work = make_work(config, channels, *WORK[jax.default_backend()])
    opponents, counters, notes = {OURS: make_ours(config, work)}, {}, {}
    notes[OURS] = {"first_calls_s": warm_up(opponents[OURS])}
    solves = {EAGER: None} | ({name: name for name in SOLVES if model == "odenet"})
    for name, solve in solves.items():
        network = torch_network(config, channels, solve)
        opponents[name] = make_torch(config, work, network)
        counters[name] = network.block
        notes[name] = {"first_calls_s": warm_up(opponents[name])}
    if compiles:
        network = torch_network(config, channels, None)
        opponent = make_torch(config, work, network, compiled=True)
        try:
            notes[COMPILED] = {"first_calls_s": warm_up(opponent)}
            opponents[COMPILED] = opponent
        except Exception as error:  # whatever its compiler says
            text = f"{type(error).__name__}: {error}".strip().splitlines()[0]
            notes[COMPILED] = {"failed": text}
            print(f"torch.compile of {model}: {text}")
    return opponents, counters, notes


def count_calls(counter, function) -> float | None:
    """Count the field's evaluations of one solve, where they are counted."""
    if not hasattr(counter, "calls"):
        return None
    counter.calls = counter.solves = 0
    function()
    return counter.calls / counter.solves


def measure_size(name: str, size, options: argparse.Namespace) -> list[dict]:
    """Time all opponents of both networks in one interleaved run."""
    made = {m: make_opponents(m, size, options.compile) for m in ("resnet", "odenet")}
    cases = {
        (model, opponent, use): getattr(functions, use)
        for model, (opponents, _, _) in made.items()
        for opponent, functions in opponents.items()
        for use in Opponent._fields
    }
    steps, predicted = WORK[jax.default_backend()]
    patches = {"train": size[3] * steps, "predict": predicted}
    times = interleave(cases, options.rounds)
    rows = []
    print(f"\n{name:26}  median ms   ours is faster   times ResNet   evaluations")
    for model, opponent, use in cases:
        _, counters, notes = made[model]
        found = times[model, opponent, use]
        row = {
            "network": name,
            "model": model,
            "opponent": opponent,
            "use": use,
            **summarise([t / steps if use == "train" else t for t in found]),
            "patches_per_s": patches[use] / float(np.median(found)),
            "times_ours": ratio(found, times[model, OURS, use]),
            # Of the same side; torchdiffeq's is compared with eager PyTorch.
            "times_resnet": ratio(
                found,
                times["resnet", opponent if opponent not in SOLVES else EAGER, use],
            )
            if ("resnet", opponent, use) in times or opponent in SOLVES
            else None,
            "evaluations": count_calls(
                counters.get(opponent), cases[model, opponent, use]
            ),
            **notes[opponent],
        }
        rows.append(row)
        label = f"{model} {opponent}, {use}"
        resnet = "" if row["times_resnet"] is None else f"{row['times_resnet']:.2f}"
        calls = "" if row["evaluations"] is None else row["evaluations"]
        print(
            f"{label:36}{row['median_ms']:9.2f}{row['times_ours']:10.2f} x"
            f"{resnet:>13}{calls:>14}"
        )
    failed = [
        {"network": name, "model": model, "opponent": COMPILED, **notes[COMPILED]}
        for model, (_, _, notes) in made.items()
        if "failed" in notes.get(COMPILED, {})
    ]
    return rows + failed


def main():
    parser = make_parser(__doc__ or "", 20, "one tiny network, no torch.compile")
    parser.add_argument("--paper", action="store_true", help="the paper's networks too")
    parser.add_argument("--threads", type=int, help="cores; default all")
    parser.add_argument("--no-compile", dest="compile", action="store_false")
    options = parser.parse_args()
    threads = limit_threads(options.threads)
    sizes = {k: v for k, v in SIZES.items() if options.paper or v[0] == "compact"}
    if options.quick:
        sizes, options.compile = QUICK, False
        options.rounds = min(options.rounds, 2)
    rows = []
    for name, size in sizes.items():
        rows += measure_size(name, size, options)
    write_results(
        "training_step",
        ("jax", "flax", "optax", "torch", "torchdiffeq", "numpy"),
        {
            "threads": threads,
            "solver": "rk4 x 1",
            "sizes": sizes,
            "predicted_patches": WORK[jax.default_backend()][1],
        },
        rows,
        options,
    )


if __name__ == "__main__":
    main()
