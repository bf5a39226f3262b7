"""Several devices at one training: runs side by side, and the patches of a batch.

They may be those of several hosts, where the same command runs once on each. All these
processes must come to the same calls in the same order, or they wait for each other.
"""

import logging
import math
from collections.abc import Sequence
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from hsijax.devices import compute_devices

PyTree = Any

_logger = logging.getLogger("hsijax")

RUNS, BATCH = AXES = ("runs", "batch")
# Fewer patches than this on a device are not worth the exchange of gradients.
LEAST_PATCHES = 16
# Programs that may wait for their turn. XLA lets 32 wait on a CPU device, and holds up
# the next one in the thread that one of these needs: where devices meet in their
# programs, they would then wait for each other for ever. Half of it, because a program
# counts until some time after its result is there.
MOST_AHEAD = 16


def make_mesh(runs: int, batch: int) -> Mesh | None:
    """Arrange the devices in use for `runs` trainings at once with batches of a size.

    Whole runs go to devices first, because they exchange nothing; the devices that are
    left over divide the batch. None where a single device has it all.
    """
    devices = compute_devices()
    rows = math.gcd(runs, len(devices))
    shares = range(1, len(devices) // rows + 1)
    cols = max(n for n in shares if n == 1 or _divides(n, batch))
    used = rows * cols
    if used == 1:
        return None
    chosen = devices[:: len(devices) // used][:used]
    if len({device.process_index for device in chosen}) < jax.process_count():
        # A host without a part would have to be told the results.
        _logger.warning(
            "%d hosts cannot share batches of %d: each computes all of it; give "
            "another --batch",
            jax.process_count(),
            batch,
        )
        return None
    return Mesh(np.array(chosen).reshape(rows, cols), AXES)


def keep_pace(results: Sequence[PyTree]) -> None:
    """Wait until no more than `MOST_AHEAD` of the programs called are not yet done.

    Args:
        results: one for each call so far, or of the last `MOST_AHEAD + 1`.
    """
    if len(results) > MOST_AHEAD:
        jax.block_until_ready(results[-1 - MOST_AHEAD])


def _divides(devices: int, batch: int) -> bool:
    return batch % devices == 0 and batch // devices >= LEAST_PATCHES


def place(tree: PyTree, mesh: Mesh | None, *axes: str | None) -> PyTree:
    """Put arrays on the mesh, split along its axes where named, else whole on each.

    With several hosts, each must have the same values.
    """
    if mesh is None:
        return jax.device_put(tree)
    sharding = NamedSharding(mesh, PartitionSpec(*axes))
    if jax.process_count() == 1:
        return jax.device_put(tree, sharding)
    return jax.tree.map(lambda leaf: _place_own_part(leaf, sharding), tree)


def _place_own_part(leaf: Any, sharding: NamedSharding) -> jax.Array:
    """Put this host's part of an array on its devices.

    `jax.device_put` would compare the values of all hosts each time.
    """
    if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        keys = _place_own_part(jax.random.key_data(leaf), sharding)
        return jax.random.wrap_key_data(keys, impl=jax.random.key_impl(leaf))
    if isinstance(leaf, jax.Array) and not leaf.is_fully_addressable:
        assert isinstance(leaf.sharding, NamedSharding)
        leaf = _gather(leaf.sharding.mesh)(leaf)  # from another arrangement
    whole = np.asarray(leaf)
    return jax.make_array_from_callback(whole.shape, sharding, lambda at: whole[at])


def fetch(tree: PyTree, mesh: Mesh | None) -> PyTree:
    """Copy arrays to the host, wherever on the mesh, or its hosts, their parts are."""
    if mesh is not None and jax.process_count() > 1:
        tree = _gather(mesh)(tree)
    return jax.tree.map(np.asarray, jax.device_get(tree))


@cache
def _gather(mesh: Mesh):
    """Compile that what is divided on a mesh becomes whole on each of its devices."""
    whole = NamedSharding(mesh, PartitionSpec())
    return jax.jit(lambda tree: tree, out_shardings=whole)


def decide(choice: bool) -> bool:
    """Return the choice of the first process, for all: clocks differ."""
    if jax.process_count() == 1:
        return choice
    return bool(multihost_utils.broadcast_one_to_all(np.array(choice)))


def all_succeed(success: bool) -> bool:
    """Wait for all processes, and tell each whether all got as far as here."""
    if jax.process_count() == 1:
        return success
    return bool(multihost_utils.process_allgather(np.array(success)).all())
