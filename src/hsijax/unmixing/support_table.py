"""The solution of constrained least squares on every support, made once."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Array, Bool, Float, Int

from hsijax.unmixing.normal_equations import NormalEquations

# A squared distance from the span of other endmembers below which one counts as their
# combination, as a share of its squared norm; rounding errors reach 4e-15.
DEPENDENT = 1e-14


class SupportTable(NamedTuple):
    """For each support, a bit mask, the affine map from inner products to its solution.

    A row inside the support gives an abundance, one outside gives the negative
    multiplier of its bound. `independent` drops from a support each endmember that
    is a combination of earlier ones in it; only supports without such are solved.
    """

    maps: Float[Array | np.ndarray, "supports endmembers endmembers_and_1"]
    independent: Int[Array | np.ndarray, " supports"]


def build_table(equations: NormalEquations) -> SupportTable:
    """Solve all supports, each from the one without its last endmember.

    `2 ** M` maps of M x (M + 1) values for M endmembers: 5 MB for 12, 143 MB for 16.
    """
    start = np.asarray(equations.system)
    count, rows = len(equations.gram), len(start)
    tableaus = np.empty((2**count, *start.shape))
    tableaus[0] = start
    independent = np.zeros(2**count, dtype=np.int32)
    places = np.arange(rows)
    for last in range(count):
        half = 2**last
        usable = tableaus[:half, last, last] > DEPENDENT * start[last, last]
        chosen = usable[:, None] & (places == last)
        swept = sweep(tableaus[:half], chosen)
        if equations.sum_to_one:
            # Without an endmember there is nothing that could sum to one.
            swept[:1] = sweep(swept[:1], (places == count)[None])
        tableaus[half : 2 * half] = swept
        independent[half : 2 * half] = independent[:half] + half * usable
    inside = np.arange(2**count)[:, None] >> np.arange(count) & 1 == 1
    maps = tableaus[:, :count, [*range(count), -1]]
    maps[:, :, :count] = np.where(inside[:, None, :], maps[:, :, :count], np.eye(count))
    return SupportTable(maps, independent)


def sweep(
    tableaus: Float[Array | np.ndarray, "batch rows columns"],
    chosen: Bool[Array | np.ndarray, "batch rows"],
) -> Float[Array | np.ndarray, "batch rows columns"]:
    """Exchange one unknown of each linear system with its equation, or none.

    The principal pivot: twice on the same place changes nothing. Where a batch
    entry's `chosen` is all false, its system stays as it is.

    >>> sweep(np.array([[[4.0, 2.0, 8.0], [2.0, 3.0, 0.0]]]), np.array([[True, False]]))
    array([[[ 0.25,  0.5 ,  2.  ],
            [-0.5 ,  2.  , -4.  ]]])
    """
    xp = tableaus.__array_namespace__()
    rows, columns = tableaus.shape[1:]
    row = xp.where(chosen[:, :, None], tableaus, 0.0).sum(axis=1)
    column = xp.where(chosen[:, None, :], tableaus[:, :, :rows], 0.0).sum(axis=2)
    pivot = xp.where(chosen, column, 0.0).sum(axis=1, keepdims=True)
    pivot = xp.where(chosen.any(axis=1, keepdims=True), pivot, 1.0)
    across = xp.pad(chosen, ((0, 0), (0, columns - rows)))
    row = row / pivot
    swept = tableaus - column[:, :, None] * row[:, None, :]
    swept = xp.where(across[:, None, :], -(column / pivot)[:, :, None], swept)
    row = xp.where(across, 1.0 / pivot, row)
    return xp.where(chosen[:, :, None], row[:, None, :], swept)
