"""Optimal one-to-one matchings of equal-size clouds, and the certificate of each.

Every matching starts from column potentials v and the rows that sit at their best column under
them: those of the identity, which leaves little to do for coupled clouds, or those of the network
simplex, for clouds that turn out not to be coupled. `assignment.solve` completes it exactly.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from meanfield.system import memory
from meanfield.system.compiling import thread_count
from meanfield.transport import assignment, network_simplex
from meanfield.transport.clouds import Array, mean_square, two_clouds

_ROWS_AT_ONCE = 512  # of one scan over all pairs of points, the unit of work of a thread
# Clouds of which bids leave a larger share of the rows free go to the network simplex: with fewer,
# shortest paths take its time at most and down to a twentieth, with more up to 30 times as much.
_FREE_SHARE = 0.9
_TIGHT = 1e-14  # of the typical cost: rounding of one cost
_GAP = 1e-10  # of the mean cost: more than rounding can open between the two bounds


@dataclass(frozen=True)
class Matching:
    """An optimal one-to-one matching of two clouds, with its certificate.

    Attributes
    ----------
    permutation : ndarray, shape (N,)
        ``x[i]`` goes to ``y[permutation[i]]``.
    value : float
        Squared W2, the mean squared length of the matched pairs.
    lower_bound : float
        Value of a dual solution that is feasible for all N² pairs: no matching costs less.
        ``value - lower_bound`` is zero to rounding.

    Examples
    --------
    >>> import numpy as np, meanfield as mf
    >>> x = np.random.default_rng(0).normal(size=(20, 2))
    >>> found = mf.transport.optimal_matching(x, x[::-1])
    >>> found.permutation[:3].tolist(), bool(0 <= found.value - found.lower_bound < 1e-12)
    ([19, 18, 17], True)
    """

    permutation: NDArray[np.int32]
    value: float
    lower_bound: float


def optimal_matching(x: ArrayLike, y: ArrayLike) -> Matching:
    r"""Find an optimal matching of two equal-size clouds and prove it optimal.

    .. math:: \min_{\pi \in S_N} \frac1N \sum_i |x_i - y_{\pi(i)}|^2
              = \max \Big\{ \frac1N \sum_i (u_i + v_i) :
                u_i + v_j \le |x_i - y_j|^2 \text{ for all } i, j \Big\}

    Shortest augmenting paths (Jonker & Volgenant 1987) from the identity, on a few candidate
    columns per row, each row looked at in full whenever a decision could depend on the others;
    for clouds that are not coupled, from a solution of POT's network simplex. The potentials are
    then checked on all pairs.

    Parameters
    ----------
    x, y : array_like, shape (N, p) or (N,)
        The clouds.

    Returns
    -------
    Matching
        Permutation, value and lower bound.

    Raises
    ------
    ValueError
        A cloud is empty or not finite, or the shapes differ.

    References
    ----------
    R. Jonker and A. Volgenant, *A shortest augmenting path algorithm for dense and sparse linear
    assignment problems*, Computing 38 (1987). N. Bonneel et al., *Displacement interpolation using
    Lagrangian mass transport*, ACM Transactions on Graphics 30 (2011), for the network simplex.

    Examples
    --------
    >>> import numpy as np
    >>> from meanfield.transport import optimal_matching
    >>> optimal_matching(np.array([0.0, 5.0]), np.array([5.0, 1.0])).value
    0.5
    """
    x, y = two_clouds(x, y)
    if len(x) != len(y):
        raise ValueError(f"x has {len(x)} points but y {len(y)}; a matching needs equal sizes.")
    return match_pairs(x[None], y[None])[0]


def match_pairs(x: Array, y: Array) -> list[Matching]:
    """Solve a batch of pairs of clouds (B, N, p) and certify every matching."""
    batch = _Batch(x, y)
    batch.fill_row_minima(range(len(x)))
    for b in range(len(x)):
        batch.free_loose_rows(b)
    begun = np.flatnonzero((batch.permutation < 0).any(axis=1)).tolist()
    batch.complete(begun, int(_FREE_SHARE * batch.size))
    matchings = []
    for b in range(len(x)):
        gap, allowed = batch.gap(b), _GAP * batch.mean_cost[b]
        if not gap <= allowed:
            batch.solve_uncoupled(b)
            gap = batch.gap(b)
        if not gap <= allowed:
            raise ArithmeticError(
                f"the matching could not be certified: duality gap {gap:.1e} of mean cost "
                f"{batch.mean_cost[b]:.1e}; report the clouds."
            )
        columns = batch.permutation[b]
        value = mean_square(x[b] - y[b, columns])
        matchings.append(Matching(columns.copy(), value, value - gap * batch.scale[b] ** 2))
    return matchings


class _Batch:
    """Pairs of clouds, centred and scaled, with their matchings and potentials so far."""

    def __init__(self, x: Array, y: Array):
        # A shift of either cloud changes every matching by one cost, a common factor keeps the
        # best. Medians, because a few far points must not misalign the others.
        xc, yc = (z - np.median(z, axis=1, keepdims=True) for z in (x, y))
        scale = np.maximum(np.abs(xc).max(axis=(1, 2)), np.abs(yc).max(axis=(1, 2)))
        self.scale = np.where(scale > 0.0, scale, 1.0)
        self.x, self.y = xc / self.scale[:, None, None], yc / self.scale[:, None, None]
        self.yt = np.ascontiguousarray(self.y.transpose(0, 2, 1))
        x_square, y_square = (self.x**2).sum(axis=2), (self.y**2).sum(axis=2)
        self.mean_cost = x_square.mean(axis=1) + y_square.mean(axis=1)
        self.tolerance = _TIGHT * (np.median(x_square, axis=1) + np.median(y_square, axis=1))
        self.size = x.shape[1]
        self.permutation = np.tile(np.arange(self.size, dtype=np.int32), (len(x), 1))
        self.v = ((self.x - self.y) ** 2).sum(axis=2)
        self.u = np.empty(x.shape[:2])

    def fill_row_minima(self, pairs: Sequence[int]) -> None:
        """Fill u with the least reduced cost of every row, over all columns."""
        parts = [slice(i, i + _ROWS_AT_ONCE) for i in range(0, self.size, _ROWS_AT_ONCE)]
        tasks = [
            (self.x[b, rows], self.yt[b], self.v[b], self.u[b, rows])
            for b in pairs
            for rows in parts
        ]
        _in_threads(assignment.row_minima, tasks)

    def free_loose_rows(self, b: int) -> None:
        """Unmatch the rows that do not sit at their best column."""
        columns = self.permutation[b]
        reduced = ((self.x[b] - self.y[b, columns]) ** 2).sum(axis=1) - self.v[b, columns]
        columns[self.u[b] < reduced - self.tolerance[b]] = -1

    def complete(self, pairs: Sequence[int], most_free: int) -> None:
        """Match the free rows of some pairs, or give up on a pair with more than `most_free`."""
        tasks = [(self.x[b], self.yt[b], self.v[b], self.permutation[b], most_free) for b in pairs]
        complete = _in_threads(assignment.solve, tasks)
        self.fill_row_minima([b for b, done in zip(pairs, complete, strict=True) if done])

    def solve_uncoupled(self, b: int) -> None:
        """Solve a pair by the network simplex; without the memory for it, by bare paths."""
        if network_simplex.BYTES_PER_PAIR * self.size**2 < 0.9 * memory.available():
            plan = network_simplex.transport_plan(self.x[b], self.y[b])
            self.permutation[b, plan.rows], self.v[b] = plan.columns, plan.potentials
            self.fill_row_minima([b])
            self.free_loose_rows(b)  # those whose potentials are rounded
        if (self.permutation[b] < 0).any():
            self.complete([b], self.size)

    def gap(self, b: int) -> float:
        """Return the mean cost of a matching less what its potentials prove; inf if incomplete."""
        if (self.permutation[b] < 0).any():
            return math.inf
        dual = math.fsum(self.u[b] + self.v[b]) / self.size
        return mean_square(self.x[b] - self.y[b, self.permutation[b]]) - dual


def _in_threads(kernel: Callable[..., Any], tasks: list[tuple[Any, ...]]) -> list[Any]:
    """Return what independent calls of a kernel give that releases the interpreter lock."""
    if len(tasks) < 2 or thread_count() == 1:
        return [kernel(*task) for task in tasks]
    with ThreadPoolExecutor(thread_count()) as pool:
        return list(pool.map(lambda task: kernel(*task), tasks))
