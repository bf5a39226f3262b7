"""What the layout of the unmixing networks is worth, against PyTorch's Conv1d, Conv3d.

Both networks of Zhang et al. (GRSL 2018) on 198 bands and 4 endmembers, batch 100: one
training step's value and gradient, and one prediction, on one thread, in milliseconds
and as a multiple of PyTorch's speed. Times are CPU seconds of the process, minima over
interleaved rounds, so that a busy machine hurts all alike; compare ratios.

    python benchmarks/unmixing_networks.py [--rounds 40] [--batch 100]

On one core of a busy machine (`results/unmixing_networks-cpu.json`): pixel-cnn trains
3.1 and predicts 2.4 times as fast as Conv1d, cube-cnn 1.1 and 2.6 times as Conv3d.

"batch last" is one matrix product over shifted views for each convolution, "batch
first" is XLA's 1-D convolution over all pixels of all patches. The first is what
pixel-cnn uses, the second what cube-cnn uses.
"""

import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import torch
from flax import nnx
from measure import (
    import_reference,
    interleave,
    limit_threads,
    make_parser,
    write_results,
)

from hsijax.models.unmixing import make_unmixer

reference = import_reference()

BANDS, ENDMEMBERS = 198, 4
SIDES = {"pixel-cnn": 1, "cube-cnn": 3}
PYTORCH = {
    "pixel-cnn": ("PyTorch Conv1d", lambda: reference.PixelUnmixer(BANDS, ENDMEMBERS)),
    "cube-cnn": ("PyTorch Conv3d", lambda: reference.CubeUnmixer(BANDS, ENDMEMBERS, 3)),
}


def batch_last(network, patches):
    """Run a network as PixelCnn runs, also for squares."""
    hidden = patches.reshape(-1, BANDS).T[None]
    for layer in network.layers:
        hidden = layer.batch_last(hidden)
    return network.head(hidden.reshape(-1, len(patches)).T)


def batch_first(network, patches):
    """Run a network as CubeCnn runs."""
    hidden = patches.reshape(-1, BANDS, 1)
    for layer in network.layers:
        hidden = layer.batch_first(hidden)
    return network.head(hidden.reshape(len(patches), -1))


def compile_jax(model, layout, patches, abundances):
    """Compile training and prediction of our network in one layout."""
    network = make_unmixer(
        model,
        bands=BANDS,
        endmembers=ENDMEMBERS,
        patch_side=SIDES[model],
        hidden=150,
        dropout=0.0,
        output="sigmoid",
        rngs=nnx.Rngs(0),
    )
    code, params, rest = nnx.split(network, nnx.Param, ...)

    def predict(params, patches):
        return layout(nnx.merge(code, params, rest), patches)

    def loss(params, patches, abundances):
        return -jnp.sum(abundances * predict(params, patches), axis=-1).mean()

    arrays = jnp.asarray(patches), jnp.asarray(abundances)
    step = jax.jit(jax.value_and_grad(loss)).lower(params, *arrays).compile()
    forward = jax.jit(predict).lower(params, arrays[0]).compile()
    return (
        lambda: jax.block_until_ready(step(params, *arrays)),
        lambda: jax.block_until_ready(forward(params, arrays[0])),
    )


def make_torch(model, patches, abundances):
    """Make training and prediction of PyTorch's network."""
    network = PYTORCH[model][1]()
    cubes = torch.tensor(np.moveaxis(patches, -1, 1)[:, None].copy())
    if model == "pixel-cnn":
        cubes = cubes[..., 0, 0].contiguous()
    targets = torch.tensor(abundances)

    def step():
        network.zero_grad()
        loss = -(targets * torch.log(network(cubes))).sum(1).mean()
        loss.backward()

    def forward():
        with torch.inference_mode():
            network(cubes)

    return step, forward


def main():
    parser = make_parser(__doc__ or "", 40)
    parser.add_argument("--batch", type=int, default=100)
    options = parser.parse_args()
    limit_threads(1)

    rows = []
    print(f"{'':40}training            prediction")
    for model, side in SIDES.items():
        rng = np.random.default_rng(0)
        shape = (options.batch, side, side, BANDS)
        patches = rng.normal(size=shape).astype(np.float32)
        abundances = rng.dirichlet(np.ones(ENDMEMBERS), options.batch)
        abundances = abundances.astype(np.float32)
        opponent = PYTORCH[model][0]
        cases = {
            opponent: make_torch(model, patches, abundances),
            "batch last": compile_jax(model, batch_last, patches, abundances),
            "batch first": compile_jax(model, batch_first, patches, abundances),
        }
        functions = {
            (name, use): function
            for name, pair in cases.items()
            for use, function in zip(("training", "prediction"), pair, strict=True)
        }
        found = interleave(functions, options.rounds, clock=time.process_time)
        times = {case: min(seconds) for case, seconds in found.items()}
        for name in cases:
            row: dict[str, Any] = {"network": model, "name": name}
            for use in ("training", "prediction"):
                row[f"{use}_ms"] = 1000 * times[name, use]
                row[f"{use}_speed"] = times[opponent, use] / times[name, use]
            rows.append(row)
            print(
                f"{model + ', ' + name:32}"
                f"{row['training_ms']:9.2f} ms {row['training_speed']:5.2f}"
                f"{row['prediction_ms']:9.2f} ms {row['prediction_speed']:5.2f}"
            )

    write_results(
        "unmixing_networks",
        ("jax", "flax", "torch", "numpy"),
        {
            "threads": 1,
            "batch": options.batch,
            "bands": BANDS,
            "endmembers": ENDMEMBERS,
        },
        rows,
        options,
    )


if __name__ == "__main__":
    main()
