"""Compiled kernels of the exact assignment between equal-size clouds, in O(N) memory.

The problem is min over permutations of Σ_i c(i, π(i)), c(i, j) = |x_i − y_j|². No cost matrix is
held. Each row keeps the `k` columns of least reduced cost c(i, j) − v_j and a floor below which no
other column lies. Column potentials v only ever fall, so reduced costs only rise and a floor stays
valid until its row is scanned again; whenever a decision would need a column under the floor, the
row is scanned over all N columns. Every step is therefore the dense Jonker–Volgenant step, and the
result is exact.

x is point-major (N, p), y coordinate-major (p, N): a scan runs along contiguous memory.
"""

from __future__ import annotations

import heapq
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from meanfield.system.compiling import FAST_MATH, cached
from meanfield.transport.clouds import Array

_CHUNK = 256
_SMALL = 32  # columns kept per row
_BIDS_PER_ROW = 2  # an auction that stalls gives way to the exact stage

Indices: TypeAlias = NDArray[np.int32]


class Search(NamedTuple):
    """A matching that is being completed, and what is known of the costs."""

    x: Array  # (N, p)
    yt: Array  # (p, N)
    v: Array  # (N,): column potentials
    row_mate: Indices  # (N,): the column of a row, −1 for a free one
    column_mate: Indices  # (N,): the row of a column likewise
    near: Indices  # (N, k): the columns that each row keeps
    near_cost: Array  # (N, k)
    floor: Array  # (N,): of the reduced costs of the others; −inf before the first scan
    costs: Array  # (N,): those of the row that was scanned last


class Paths(NamedTuple):
    """The shortest paths from a free row to columns 0..N−1, and to nodes N..2N−1."""

    heap: list[tuple[float, np.int64]]  # lengths and nodes, which may stand in it several times
    key: Array  # (2N,): least length met so far
    settled: NDArray[np.bool_]  # (2N,): whether that is final
    came_from: Indices  # (N,): the row before a column


# ---------------------------------------------------------------------------- full scans


@cached(fastmath=FAST_MATH)
def _minima_of_four(rows: Array, yt: Array, v: Array, values: Array, best: Array) -> None:
    """Row minima of c(i, j) − v_j for four rows at once; best[r, 0] holds the result."""
    p, n = yt.shape
    best[:] = np.inf
    for start in range(0, n, _CHUNK):
        width = min(_CHUNK, n - start)
        v_part = v[start : start + width]
        for r in range(4):
            for j in range(width):
                values[r, j] = -v_part[j]
        for c in range(p):
            y = yt[c, start : start + width]
            a0, a1, a2, a3 = rows[0, c], rows[1, c], rows[2, c], rows[3, c]
            for j in range(width):
                d0, d1, d2, d3 = a0 - y[j], a1 - y[j], a2 - y[j], a3 - y[j]
                values[0, j] += d0 * d0
                values[1, j] += d1 * d1
                values[2, j] += d2 * d2
                values[3, j] += d3 * d3
        for r in range(4):
            for j in range(width):
                best[r, j] = values[r, j] if values[r, j] < best[r, j] else best[r, j]
    for r in range(4):
        for j in range(1, _CHUNK):
            best[r, 0] = min(best[r, 0], best[r, j])


@cached(nogil=True)
def row_minima(x: Array, yt: Array, v: Array, out: Array) -> None:
    """out[i] = min_j c(i, j) − v_j over *all* columns, for the rows given."""
    n, p = x.shape
    rows = np.empty((4, p))
    values = np.empty((4, _CHUNK))
    best = np.empty((4, _CHUNK))
    for i in range(0, n, 4):
        for r in range(4):
            rows[r] = x[min(i + r, n - 1)]
        _minima_of_four(rows, yt, v, values, best)
        for r in range(min(4, n - i)):
            out[i + r] = best[r, 0]


@cached(fastmath=FAST_MATH)
def _row_costs(point: Array, yt: Array, out: Array) -> None:
    """out[j] = |point − y_j|² for all columns."""
    p, n = yt.shape
    for start in range(0, n, _CHUNK):
        part = out[start : min(start + _CHUNK, n)]
        part[:] = 0.0
        for c in range(p):
            a = point[c]
            y = yt[c, start : start + part.size]
            for j in range(part.size):
                d = a - y[j]
                part[j] += d * d


@cached(fastmath=FAST_MATH)
def _cost(point: Array, yt: Array, j: int) -> float:
    """|point − y_j|² for one column."""
    total = 0.0
    for c in range(point.size):
        d = point[c] - yt[c, j]
        total += d * d
    return total


# ---------------------------------------------------------------------------- candidates


@cached()
def _sift(values: Array, columns: Indices, root: int) -> None:
    """Restore the max-heap below `root`."""
    size = values.size
    value, column = values[root], columns[root]
    while True:
        child = 2 * root + 1
        if child >= size:
            break
        if child + 1 < size and values[child + 1] > values[child]:
            child += 1
        if values[child] <= value:
            break
        values[root], columns[root] = values[child], columns[child]
        root = child
    values[root], columns[root] = value, column


@cached()
def _scan(i: int, search: Search) -> None:
    """Scan row i over all columns and keep the nearest in reduced cost, with their floor."""
    columns, costs, v = search.near[i], search.costs, search.v
    n, k = costs.size, columns.size
    _row_costs(search.x[i], search.yt, costs)
    heap = np.empty(k)
    for j in range(k):
        heap[j] = costs[j] - v[j]
        columns[j] = j
    for root in range(k // 2 - 1, -1, -1):
        _sift(heap, columns, root)
    for start in range(k, n, 64):
        stop = min(start + 64, n)
        below = 0
        for j in range(start, stop):
            below += costs[j] - v[j] < heap[0]
        if below:
            for j in range(start, stop):
                if costs[j] - v[j] < heap[0]:
                    heap[0] = costs[j] - v[j]
                    columns[0] = j
                    _sift(heap, columns, 0)
    search.floor[i] = heap[0] if k < n else np.inf
    for s in range(k):
        search.near_cost[i, s] = costs[columns[s]]


@cached()
def _best_two(i: int, search: Search) -> tuple[float, int, float, int]:
    """Least and second least reduced cost among the kept columns of row i, and where."""
    first, second, j1, j2 = np.inf, np.inf, -1, -1
    for s in range(search.near.shape[1]):
        j = search.near[i, s]
        reduced = search.near_cost[i, s] - search.v[j]
        if reduced < first:
            second, j2 = first, j1
            first, j1 = reduced, j
        elif reduced < second:
            second, j2 = reduced, j
    return first, j1, second, j2


# ---------------------------------------------------------------------------- auction


@cached()
def _auction(search: Search) -> None:
    """Let free rows bid for their best column: the augmenting row reduction.

    Every matched row ends at its best column; ties may leave rows free.
    """
    row_mate, column_mate = search.row_mate, search.column_mate
    n = row_mate.size
    queue = np.empty(n, np.int32)
    waiting = 0
    for i in range(n):
        if row_mate[i] < 0:
            queue[waiting] = i
            waiting += 1
    bids = 0
    while waiting > 0 and bids < _BIDS_PER_ROW * n:
        bids += 1
        waiting -= 1
        i = queue[waiting]
        first, j, second, j2 = _best_two(i, search)
        if second > search.floor[i]:
            _scan(i, search)
            first, j, second, j2 = _best_two(i, search)
        owner = column_mate[j]
        if second > first:
            search.v[j] -= second - first
        elif owner >= 0:
            if column_mate[j2] >= 0:
                continue
            j, owner = j2, -1
        column_mate[j] = i
        row_mate[i] = j
        if owner >= 0:
            row_mate[owner] = -1
            queue[waiting] = owner
            waiting += 1


# ---------------------------------------------------------------------------- shortest paths


@cached()
def _reach(
    i: int,
    offset: float,
    columns: Indices,
    costs: Array,
    bound: float,
    search: Search,
    paths: Paths,
) -> float:
    """Go from row i, reached by a path `offset` long, to columns; the shortest complete path."""
    for s in range(columns.size):
        j = columns[s]
        length = offset + costs[s] - search.v[j]
        if length < bound and length < paths.key[j] and not paths.settled[j]:
            paths.key[j] = length
            paths.came_from[j] = i
            heapq.heappush(paths.heap, (length, np.int64(j)))
            if search.column_mate[j] < 0:
                bound = length
    return bound


@cached()
def _settle(paths: Paths) -> int:
    """The nearest node that is not settled yet; now it is."""
    while True:
        node = heapq.heappop(paths.heap)[1]
        if not paths.settled[node]:
            paths.settled[node] = True
            return int(node)


@cached()
def _shortest_paths(search: Search) -> None:
    """Match every free row along a shortest augmenting path, exactly.

    Dijkstra over columns 0..N−1. Node N + i stands for the columns that row i does not keep: its
    key is a lower bound on theirs, and only when it becomes the least are they looked at.
    """
    x, yt, v, floor = search.x, search.yt, search.v, search.floor
    n = v.size
    every = np.arange(n).astype(np.int32)
    key, settled = np.empty(2 * n), np.empty(2 * n, np.bool_)
    came_from, offset = np.empty(n, np.int32), np.empty(n)
    for start in range(n):
        if search.row_mate[start] >= 0:
            continue
        key[:] = np.inf
        settled[:] = False
        paths = Paths([(0.0, np.int64(0)) for _ in range(0)], key, settled, came_from)
        bound = np.inf  # length of the shortest complete path met so far
        i = start
        offset[i] = 0.0
        while True:
            if floor[i] == -np.inf:
                _scan(i, search)
            near = search.near[i], search.near_cost[i]
            bound = _reach(i, offset[i], *near, bound, search, paths)
            if offset[i] + floor[i] < bound:
                heapq.heappush(paths.heap, (offset[i] + floor[i], np.int64(n + i)))
            node = _settle(paths)
            while node >= n:
                i = node - n
                _scan(i, search)
                bound = _reach(i, offset[i], every, search.costs, bound, search, paths)
                node = _settle(paths)
            if search.column_mate[node] < 0:
                break
            i = search.column_mate[node]
            offset[i] = key[node] - (_cost(x[i], yt, node) - v[node])
        for j in range(n):
            if settled[j]:
                v[j] += min(key[j] - key[node], 0.0)
        _augment(came_from, start, node, search)


@cached()
def _augment(came_from: Indices, start: int, end: int, search: Search) -> None:
    """Swap the matching along the path from row `start` to the free column `end`."""
    j = end
    while True:
        i = came_from[j]
        j_next = search.row_mate[i]
        search.row_mate[i] = j
        search.column_mate[j] = i
        if i == start:
            return
        j = j_next


# ---------------------------------------------------------------------------- the solver


@cached(nogil=True)
def solve(x: Array, yt: Array, v: Array, row_mate: Indices, most_free: int) -> bool:
    """Complete the matching `row_mate` (−1: free), whose rows sit at their best column under v.

    Returns False, with the matching begun, when bids leave more than `most_free` rows free.
    """
    n = x.shape[0]
    k = min(_SMALL, n)
    column_mate = np.full(n, -1, np.int32)
    for i in range(n):
        if row_mate[i] >= 0:
            column_mate[row_mate[i]] = i
    near, near_cost = np.zeros((n, k), np.int32), np.full((n, k), np.inf)
    floor, costs = np.full(n, -np.inf), np.empty(n)
    search = Search(x, yt, v, row_mate, column_mate, near, near_cost, floor, costs)
    _auction(search)
    if np.sum(row_mate < 0) > most_free:
        return False
    _shortest_paths(search)
    return True
