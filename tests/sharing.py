"""The command line, which fails unless all devices share the work.

A script of its own, run by `test_several_hosts.py` in several processes. With
`side-by-side` as its first word all runs are one program, as on a GPU.
"""

import sys
from dataclasses import replace

import jax
from jax.sharding import Mesh

from hsijax.cli import main
from hsijax.devices import CPU
from hsijax.experiments import train
from hsijax.training import loop, mesh


def make_whole_mesh(runs: int, batch: int) -> Mesh:
    made = mesh.make_mesh(runs, batch)
    assert made is not None
    assert made.size == jax.device_count() == 2
    return made


if __name__ == "__main__":
    loop.make_mesh = make_whole_mesh
    if sys.argv[1] == "side-by-side":
        del sys.argv[1]
        plan = replace(CPU, one_program=True)
        train.plan_execution = loop.plan_execution = lambda: plan
    main()
