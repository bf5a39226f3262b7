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

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from measure import interleave, make_parser, write_results

from hsijax.config import OdeSolver
from hsijax.models import blocks, count_evaluations, make_classifier, ode

BANDS, CLASSES = 200, 16
BASELINE = "resnet, six units"

UNROLLED = ode.MAX_UNROLLED_CALLS
LOOPED = 0  # a value of MAX_UNROLLED_CALLS: everything goes through diffeqsolve
TEMPLATE = OdeSolver("dopri5", rtol=1e-3, atol=1e-3)

# Name: model, solver, calls unrolled at most, convolutions of the product.
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
            field.conv1.by_winograd = field.conv2.by_winograd = False
    code, params = nnx.split(classifier)

    def predict(params, patches):
        return nnx.merge(code, params)(patches)

    def loss(params, patches, labels):
        logits = predict(params, patches)
        return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()

    step = jax.jit(jax.value_and_grad(loss)).lower(params, patches, labels).compile()
    forward = jax.jit(predict).lower(params, patches).compile()
    return (
        lambda: jax.block_until_ready(step(params, patches, labels)),
        lambda: jax.block_until_ready(forward(params, patches)),
        count_evaluations(classifier, patches).mean,
    )


def main():
    parser = make_parser(__doc__ or "", 10)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--side", type=int, default=9)
    parser.add_argument("--all", action="store_true")
    options = parser.parse_args()

    rng = np.random.default_rng(0)
    shape = (options.batch, options.side, options.side, BANDS)
    patches = jnp.asarray(rng.normal(size=shape), jnp.float32)
    labels = jnp.asarray(rng.integers(CLASSES, size=options.batch))
    cases = CASES | (TRAPS if options.all else {})
    evaluations, functions = {}, {}
    for name, case in cases.items():
        step, forward, evaluations[name] = compile_case(case, patches, labels)
        functions |= {(name, "training"): step, (name, "prediction"): forward}
    times = {
        case: min(seconds)
        for case, seconds in interleave(functions, options.rounds).items()
    }

    rows = []
    print(f"{'':42}calls   training         prediction")
    for name in cases:
        row = {"name": name, "evaluations": evaluations[name]}
        for use in ("training", "prediction"):
            row[f"{use}_ms"] = 1000 * times[name, use]
            row[f"{use}_ratio"] = times[name, use] / times[BASELINE, use]
        rows.append(row)
        print(
            f"{name:42}{row['evaluations']:5.1f}"
            f"{row['training_ms']:9.1f} ms {row['training_ratio']:5.2f}"
            f"{row['prediction_ms']:9.1f} ms {row['prediction_ratio']:5.2f}"
        )

    write_results(
        "ode_solvers",
        ("jax", "flax", "diffrax", "numpy"),
        {
            "architecture": "compact",
            "batch": options.batch,
            "side": options.side,
            "bands": BANDS,
        },
        rows,
        options,
    )


if __name__ == "__main__":
    main()
