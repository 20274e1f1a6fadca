"""Exact transport between clouds of any sizes: the network simplex of POT on the dense costs."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from meanfield.system import memory
from meanfield.transport.clouds import Array

#: Bytes per pair of points that the solver takes at its peak, the costs included.
BYTES_PER_PAIR = 50


@dataclass(frozen=True)
class TransportPlan:
    """An optimal plan between a cloud of N points and one of M.

    Mass moves between the K < N + M pairs `rows`, `columns` of points; `mass` is in units of the
    greatest common part of 1/N and 1/M: whole numbers. `potentials` (M,) are v of the dual
    problem.
    """

    rows: NDArray[np.int64]
    columns: NDArray[np.int64]
    mass: Array
    potentials: Array


def transport_plan(x: Array, y: Array) -> TransportPlan:
    """Solve the transport problem between equal-weight clouds (N, p) and (M, p).

    A MemoryError if the costs do not fit.
    """
    import ot
    from scipy.spatial.distance import cdist

    n, m = len(x), len(y)
    memory.require(BYTES_PER_PAIR * n * m, "give smaller clouds, or clouds of equal sizes")
    costs = cdist(x, y, "sqeuclidean")
    unit = costs.max() or 1.0  # POT's tolerances are absolute
    costs /= unit
    common = math.gcd(n, m)
    # Whole numbers of mass: the flows are exact.
    masses = np.full(n, float(m // common)), np.full(m, float(n // common))
    plan, log = ot.emd(*masses, costs, numItermax=10**9, log=True)
    if log["warning"] is not None:
        raise ArithmeticError(f"POT did not solve the transport problem: {log['warning']}")
    rows, columns = np.nonzero(plan)
    return TransportPlan(rows, columns, plan[rows, columns], unit * log["v"])
