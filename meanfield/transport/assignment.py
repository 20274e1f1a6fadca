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

import numpy as np

from meanfield.system.compiling import FAST_MATH, cached

_CHUNK = 256
_SMALL = 32  # columns kept per row
_BIDS_PER_ROW = 2  # an auction that stalls gives way to the exact stage


# ---------------------------------------------------------------------------- full scans


@cached(fastmath=FAST_MATH)
def _minima_of_four(rows, yt, v, values, best):
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
def row_minima(x, yt, v, out):
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
def _row_costs(point, yt, out):
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
def _cost(point, yt, j):
    """|point − y_j|² for one column."""
    total = 0.0
    for c in range(point.size):
        d = point[c] - yt[c, j]
        total += d * d
    return total


# ---------------------------------------------------------------------------- candidates


@cached()
def _sift(values, columns, root):
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
def _scan(i, x, yt, v, near, near_cost, floor, costs, heap):
    """Scan row i over all columns and keep the nearest in reduced cost, with their floor."""
    n, k = costs.size, heap.size
    columns = near[i]
    _row_costs(x[i], yt, costs)
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
    floor[i] = heap[0] if k < n else np.inf
    for s in range(k):
        near_cost[i, s] = costs[columns[s]]


@cached()
def _best_two(i, v, near, near_cost):
    """Least and second least reduced cost among the kept columns of row i, and where."""
    first, second, j1, j2 = np.inf, np.inf, -1, -1
    for s in range(near.shape[1]):
        reduced = near_cost[i, s] - v[near[i, s]]
        if reduced < first:
            second, j2 = first, j1
            first, j1 = reduced, near[i, s]
        elif reduced < second:
            second, j2 = reduced, near[i, s]
    return first, j1, second, j2


# ---------------------------------------------------------------------------- auction


@cached()
def _auction(x, yt, v, near, near_cost, floor, row_mate, column_mate):
    """Let free rows bid for their best column: the augmenting row reduction.

    Every matched row ends at its best column; ties may leave rows free.
    """
    n = x.shape[0]
    costs, heap = np.empty(n), np.empty(near.shape[1])
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
        first, j, second, j2 = _best_two(i, v, near, near_cost)
        if second > floor[i]:
            _scan(i, x, yt, v, near, near_cost, floor, costs, heap)
            first, j, second, j2 = _best_two(i, v, near, near_cost)
        owner = column_mate[j]
        if second > first:
            v[j] -= second - first
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
def _push(heap, place, key, size, node, value):
    """Insert a node of the indexed min-heap, or lower its key; returns the heap's size."""
    at = place[node]
    if at < 0:
        at = size
        size += 1
    key[node] = value
    while at > 0:
        parent = (at - 1) >> 1
        if key[heap[parent]] <= value:
            break
        heap[at] = heap[parent]
        place[heap[at]] = at
        at = parent
    heap[at] = node
    place[node] = at
    return size


@cached()
def _pop(heap, place, key, size):
    """Remove the least node and mark it settled (place −2)."""
    top = heap[0]
    place[top] = -2
    size -= 1
    if size > 0:
        node = heap[size]
        value = key[node]
        at = 0
        while True:
            child = 2 * at + 1
            if child >= size:
                break
            if child + 1 < size and key[heap[child + 1]] < key[heap[child]]:
                child += 1
            if key[heap[child]] >= value:
                break
            heap[at] = heap[child]
            place[heap[at]] = at
            at = child
        heap[at] = node
        place[node] = at
    return top


@cached()
def _shortest_paths(x, yt, v, near, near_cost, floor, row_mate, column_mate):
    """Match every free row along a shortest augmenting path, exactly.

    Dijkstra over columns 0..n−1. Node n + i stands for the columns that row i does not keep: its
    key is a lower bound on theirs, and only when it becomes the least are they looked at.
    """
    n = x.shape[0]
    costs, kept = np.empty(n), np.empty(near.shape[1])
    heap = np.empty(2 * n, np.int32)
    place = np.full(2 * n, -1, np.int32)
    key = np.full(2 * n, np.inf)
    touched = np.empty(2 * n, np.int32)
    came_from = np.empty(n, np.int32)
    offset = np.empty(n)
    for start in range(n):
        if row_mate[start] >= 0:
            continue
        n_touched, size, i, end = 0, 0, start, -1
        bound = np.inf  # length of the shortest complete path met so far
        offset[i] = 0.0
        while end < 0:
            if floor[i] == -np.inf:
                _scan(i, x, yt, v, near, near_cost, floor, costs, kept)
            for s in range(near.shape[1]):
                j = near[i, s]
                length = offset[i] + near_cost[i, s] - v[j]
                if length < bound and length < key[j] and place[j] != -2:
                    if place[j] == -1:
                        touched[n_touched] = j
                        n_touched += 1
                    size = _push(heap, place, key, size, j, length)
                    came_from[j] = i
                    if column_mate[j] < 0:
                        bound = length
            if offset[i] + floor[i] < bound:
                touched[n_touched] = n + i
                n_touched += 1
                size = _push(heap, place, key, size, n + i, offset[i] + floor[i])
            node = _pop(heap, place, key, size)
            size -= 1
            while node >= n:
                i = node - n
                _scan(i, x, yt, v, near, near_cost, floor, costs, kept)
                for j in range(n):
                    length = offset[i] + costs[j] - v[j]
                    if length < bound and length < key[j] and place[j] != -2:
                        if place[j] == -1:
                            touched[n_touched] = j
                            n_touched += 1
                        size = _push(heap, place, key, size, j, length)
                        came_from[j] = i
                        if column_mate[j] < 0:
                            bound = length
                node = _pop(heap, place, key, size)
                size -= 1
            if column_mate[node] < 0:
                end = node
            else:
                i = column_mate[node]
                offset[i] = key[node] - (_cost(x[i], yt, node) - v[node])
        for t in range(n_touched):
            node = touched[t]
            if node < n and place[node] == -2:
                v[node] += min(key[node] - key[end], 0.0)
        for t in range(n_touched):
            place[touched[t]] = -1
            key[touched[t]] = np.inf
        _augment(came_from, start, end, row_mate, column_mate)


@cached()
def _augment(came_from, start, end, row_mate, column_mate):
    """Swap the matching along the path from row `start` to the free column `end`."""
    j = end
    while True:
        i = came_from[j]
        j_next = row_mate[i]
        row_mate[i] = j
        column_mate[j] = i
        if i == start:
            return
        j = j_next


# ---------------------------------------------------------------------------- the solver


@cached(nogil=True)
def solve(x, yt, v, row_mate, most_free):
    """Complete the matching `row_mate` (−1: free), whose rows sit at their best column under v.

    Returns False, with the matching begun, when bids leave more than `most_free` rows free.
    """
    n = x.shape[0]
    k = min(_SMALL, n)
    near = np.zeros((n, k), np.int32)
    near_cost = np.full((n, k), np.inf)
    floor = np.full(n, -np.inf)  # not scanned yet
    column_mate = np.full(n, -1, np.int32)
    for i in range(n):
        if row_mate[i] >= 0:
            column_mate[row_mate[i]] = i
    _auction(x, yt, v, near, near_cost, floor, row_mate, column_mate)
    if np.sum(row_mate < 0) > most_free:
        return False
    _shortest_paths(x, yt, v, near, near_cost, floor, row_mate, column_mate)
    return True
