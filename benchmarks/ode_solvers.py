"""What an ODE solver costs: the same network with other solvers, and the ResNet.

The compact network on 9x9 patches of 200 bands, batch 64: one training step's value and
gradient, and one prediction, in milliseconds and as a multiple of the ResNet with six
residual units. Times are minima over interleaved rounds, so that a busy machine hurts
all alike; compare ratios.

    python benchmarks/ode_solvers.py [--rounds 10] [--batch 64] [--side 9] [--all]

On two CPU cores, alone (`results/ode_solvers-cpu.json`): RK4 in one step costs 0.74 of
the ResNet's training step and 0.58 of its prediction, Euler or midpoint with as many
evaluations 0.63 and 0.54, adaptive Dopri5 at 1e-3 6.5 and 6.0.

`--all` adds the convolutions as they are inside diffrax's loops, which on a CPU is the
trap of jax-ml/jax#12868 and takes minutes.
"""

import argparse
import json
import time
from importlib import metadata
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

from hsijax.config import OdeSolver
from hsijax.io.atomic import write_text
from hsijax.models import blocks, count_evaluations, make_classifier, ode

BANDS, CLASSES = 200, 16
BASELINE = "resnet, six units"
RESULTS = Path(__file__).parent / "results"

UNROLLED = ode.MAX_UNROLLED_CALLS
LOOPED = 0  # a value of MAX_UNROLLED_CALLS: everything goes through diffeqsolve
TEMPLATE = OdeSolver("dopri5", rtol=1e-3, atol=1e-3)

# Name: model, solver, calls unrolled at most, convolutions fit for a loop.
CASES = {
    BASELINE: ("resnet", OdeSolver(), UNROLLED, True),
    "resnet1, one unit": ("resnet1", OdeSolver(), UNROLLED, True),
    "euler x 4, unrolled": ("odenet", OdeSolver("euler", 4), UNROLLED, True),
    "midpoint x 2, unrolled": ("odenet", OdeSolver("midpoint", 2), UNROLLED, True),
    "rk4 x 1, unrolled": ("odenet", OdeSolver("rk4", 1), UNROLLED, True),
    "dopri5 x 1, unrolled": ("odenet", OdeSolver("dopri5", 1), UNROLLED, True),
    "rk4 x 1, diffeqsolve": ("odenet", OdeSolver("rk4", 1), LOOPED, True),
    "dopri5 1e-3, diffeqsolve, batch": ("odenet", TEMPLATE, UNROLLED, True),
    "dopri5 1e-3, diffeqsolve, sample": (
        "odenet",
        OdeSolver("dopri5", rtol=1e-3, atol=1e-3, step_control="sample"),
        UNROLLED,
        True,
    ),
}
TRAPS = {
    "rk4 x 1, diffeqsolve, plain convolutions": (
        "odenet",
        OdeSolver("rk4", 1),
        LOOPED,
        False,
    ),
}


def compile_case(case, patches, labels):
    """Compile training and prediction; return both and the evaluations."""
    model, solver, unrolled_at_most, safe = case
    ode.MAX_UNROLLED_CALLS = unrolled_at_most
    classifier = make_classifier(
        model,
        "compact",
        channels=BANDS,
        classes=CLASSES,
        solver=solver,
        dropout=0.0,
        rngs=nnx.Rngs(0),
    )
    if isinstance(classifier.block, blocks.OdeBlock):
        field = classifier.block.field
        # A field of zeros, as it is at first, would be too easy to integrate.
        field.norm3.scale[...] = jnp.ones_like(field.norm3.scale[...])
        if not safe:
            field.conv1.as_product = field.conv2.as_product = False
    code, params = nnx.split(classifier)

    def predict(params, patches):
        return nnx.merge(code, params)(patches)

    def loss(params, patches, labels):
        logits = predict(params, patches)
        return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()

    step = jax.jit(jax.value_and_grad(loss)).lower(params, patches, labels).compile()
    forward = jax.jit(predict).lower(params, patches).compile()
    return (
        lambda: step(params, patches, labels),
        lambda: forward(params, patches),
        count_evaluations(classifier, patches).mean,
    )


def main():
    parser = argparse.ArgumentParser(description="What an ODE solver costs.")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--side", type=int, default=9)
    parser.add_argument("--all", action="store_true")
    options = parser.parse_args()

    rng = np.random.default_rng(0)
    shape = (options.batch, options.side, options.side, BANDS)
    patches = jnp.asarray(rng.normal(size=shape), jnp.float32)
    labels = jnp.asarray(rng.integers(CLASSES, size=options.batch))
    cases = CASES | (TRAPS if options.all else {})
    compiled = {}
    for name, case in cases.items():
        compiled[name] = compile_case(case, patches, labels)

    times = {name: [np.inf, np.inf] for name in cases}
    for _ in range(options.rounds):
        for name, (*functions, _) in compiled.items():
            for place, function in enumerate(functions):
                begin = time.perf_counter()
                jax.block_until_ready(function())
                elapsed = time.perf_counter() - begin
                times[name][place] = min(times[name][place], elapsed)

    rows = []
    print(f"{'':42}calls   training         prediction")
    for name, (training, prediction) in times.items():
        row = {
            "name": name,
            "evaluations": compiled[name][2],
            "training_ms": 1000 * training,
            "training_ratio": training / times[BASELINE][0],
            "prediction_ms": 1000 * prediction,
            "prediction_ratio": prediction / times[BASELINE][1],
        }
        rows.append(row)
        print(
            f"{name:42}{row['evaluations']:5.1f}"
            f"{row['training_ms']:9.1f} ms {row['training_ratio']:5.2f}"
            f"{row['prediction_ms']:9.1f} ms {row['prediction_ratio']:5.2f}"
        )

    device = jax.devices()[0]
    result = {
        "benchmark": "ode_solvers",
        "device": {"platform": device.platform, "kind": device.device_kind},
        "versions": {
            name: metadata.version(name) for name in ("jax", "flax", "diffrax", "numpy")
        },
        "settings": {
            "architecture": "compact",
            "batch": options.batch,
            "side": options.side,
            "bands": BANDS,
            "rounds": options.rounds,
        },
        "rows": rows,
    }
    path = RESULTS / f"ode_solvers-{device.platform}.json"
    write_text(path, json.dumps(result, indent=2) + "\n")
    print(f"written: {path}")


if __name__ == "__main__":
    main()
