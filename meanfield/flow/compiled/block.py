"""One block of 64 particles through one step: pre-activations, predictions, gradient, update.

Data come in tiles of rows that stay in the first-level cache with what belongs to them. The two
matrix products hold a group of particles times four data (or four coordinates) in registers:
sixteen running sums, enough to keep two multiply–add units busy through their latency.
"""

from __future__ import annotations

import math
from typing import TypeAlias

from meanfield.flow.compiled.gaussians import block_gaussians
from meanfield.flow.compiled.layout import BLOCK, PASS_COORDINATES, TILE_ROWS, Numbers
from meanfield.flow.compiled.simd import (
    Vector,
    fma,
    inline,
    lanes,
    load,
    prefetch,
    splat,
    store,
    total,
    zeros,
)
from meanfield.flow.compiled.structures import (
    Buffers,
    Data,
    Functions,
    NoiseCounters,
    State,
    UpdateFactors,
)
from meanfield.flow.compiled.tile import Tile, predict_rows, pull_rows

Four: TypeAlias = tuple[Vector, Vector, Vector, Vector]


@inline
def clear(array: Numbers) -> None:
    """Zero an array; a slice assignment would compile its error messages, which takes seconds."""
    for i in range(array.size):
        array[i] = 0


@inline
def _load4(array: Numbers, at: int) -> Four:
    """Four rows of one group."""
    return (
        load(array, at),
        load(array, at + BLOCK),
        load(array, at + 2 * BLOCK),
        load(array, at + 3 * BLOCK),
    )


@inline
def _store4(array: Numbers, at: int, sums: Four) -> None:
    """The inverse of `_load4`."""
    store(array, at, sums[0])
    store(array, at + BLOCK, sums[1])
    store(array, at + 2 * BLOCK, sums[2])
    store(array, at + 3 * BLOCK, sums[3])


@inline
def _add4(sums: Four, particles: Vector, x: Numbers, at: int, stride: int) -> Four:
    """Add to each of four sums the same group of particles times its own number."""
    return (
        fma(particles, splat(x, at), sums[0]),
        fma(particles, splat(x, at + stride), sums[1]),
        fma(particles, splat(x, at + 2 * stride), sums[2]),
        fma(particles, splat(x, at + 3 * stride), sums[3]),
    )


@inline
def _preactivations(data: Data, buffers: Buffers, first: int, rows: int) -> None:
    """tile[j, i] = ⟨w_i, x_j⟩ + b_i for ``rows`` (rounded up to fours) data from ``first`` on."""
    theta, x, tile, start = buffers.theta, data.x, buffers.tile, first * data.columns
    nothing = (zeros(tile), zeros(tile), zeros(tile), zeros(tile))
    for begin in range(0, data.inputs, PASS_COORDINATES):
        end = min(begin + PASS_COORDINATES, data.inputs)
        columns = min(PASS_COORDINATES, data.columns - begin)
        for g in range(0, BLOCK, lanes(tile)):
            for row in range(0, rows, 4):
                at = start + begin * TILE_ROWS + row * columns - 4 * begin
                to = row * BLOCK + g
                sums = _load4(tile, to) if begin else nothing
                # Two at a time: what counts the loop competes with the multiply–add units.
                for c in range(begin, end - 1, 2):
                    w = (data.k + c) * BLOCK + g
                    sums = _add4(sums, load(theta, w), x, at + 4 * c, 1)
                    sums = _add4(sums, load(theta, w + BLOCK), x, at + 4 * c + 4, 1)
                if (end - begin) % 2:
                    w = (data.k + end - 1) * BLOCK + g
                    sums = _add4(sums, load(theta, w), x, at + 4 * (end - 1), 1)
                _store4(tile, to, sums)


@inline
def kept_at(kept_per_pair: int, slot: int, n: int, j: int) -> int:
    """Where the kept activations of a block and datum start."""
    return (slot * kept_per_pair * n + j) * BLOCK


@inline
def _tile(
    data: Data, buffers: Buffers, kept_per_pair: int, slot: int, first: int, rows: int
) -> Tile:
    """The tile of ``rows`` data from ``first`` on; nothing is kept in a negative slot."""
    at = kept_at(kept_per_pair, max(slot, 0), data.n, first)
    row, width = first * data.k, lanes(buffers.sums) // 4
    return Tile(
        buffers.tile, buffers.theta, buffers.sums, buffers.grad, buffers.residuals, buffers.kept,
        row * width, row, at, at + data.n * BLOCK, rows, data.k, slot >= 0,
    )  # fmt: skip


@inline
def forward_block(functions: Functions, data: Data, buffers: Buffers, slot: int) -> None:
    """Add the block's predictions to the sums; keep the activations in ``slot`` unless negative."""
    for first in range(0, data.n, TILE_ROWS):
        rows = min(TILE_ROWS, data.n - first)
        _preactivations(data, buffers, first, rows)
        tile = _tile(data, buffers, functions.kept_per_pair, slot, first, rows)
        predict_rows(functions.predict, tile)


@inline
def _inner_gradient(
    data: Data, buffers: Buffers, first: int, rows: int, soon: int, parts: int
) -> None:
    """grad[k + c] += Σ_j tile[j] x_{j,c}, four coordinates at a time.

    Meanwhile the next tile's kept σ, and σ′ if ``parts`` is 2, are fetched from ``soon`` on.
    """
    x, tile, grad, width = data.x, buffers.tile, buffers.grad, data.columns
    for c in range(0, width, 4):
        begin = c - c % PASS_COORDINATES
        columns = min(PASS_COORDINATES, width - begin)
        at = first * width + begin * TILE_ROWS + 4 * (c - begin)
        for g in range(0, BLOCK, lanes(tile)):
            for part in range(parts):
                for q in range(TILE_ROWS * c // width, TILE_ROWS * (c + 4) // width):
                    prefetch(buffers.kept, soon + (part * data.n + q) * BLOCK + g)
            to = (data.k + c) * BLOCK + g
            sums = _load4(grad, to)
            for row in range(0, rows - 1, 2):
                pull, x_at = row * BLOCK + g, at + (row & -4) * columns + (row & 3)
                sums = _add4(sums, load(tile, pull), x, x_at, 4)
                sums = _add4(sums, load(tile, pull + BLOCK), x, x_at + 1, 4)
            if rows % 2:
                row = rows - 1
                x_at = at + (row & -4) * columns + (row & 3)
                sums = _add4(sums, load(tile, row * BLOCK + g), x, x_at, 4)
            _store4(grad, to, sums)


@inline
def gradient_block(
    functions: Functions, data: Data, buffers: Buffers, slot: int, train_inner: bool
) -> None:
    """Gradient of the data part for the block at hand, from kept or fresh activations."""
    clear(buffers.grad)
    for first in range(0, data.n, TILE_ROWS):
        rows = min(TILE_ROWS, data.n - first)
        if slot < 0:
            _preactivations(data, buffers, first, rows)
        tile = _tile(data, buffers, functions.kept_per_pair, slot, first, rows)
        pull_rows(functions.pull, tile)
        if train_inner:
            soon = tile.values_at + rows * BLOCK
            _inner_gradient(
                data, buffers, first, rows, soon, functions.kept_per_pair if slot >= 0 else 0
            )


@inline
def update_block(
    buffers: Buffers, factors: UpdateFactors, counters: NoiseCounters, t: int, block: int, r: int
) -> float:
    """Move the block's particles by one step; 0, or NaN when one left the finite numbers."""
    replica = counters.first_replica + r
    theta, grad, normals = buffers.theta, buffers.grad, buffers.normals
    kind = theta.dtype.type
    step = lanes(theta)
    watch = zeros(theta)
    C = factors.decay.shape[1]
    kinetic = factors.drift.size > 0
    for c in range(C):
        decay, gain = factors.decay[t, c], factors.gain[t, c]
        at = (C + c if kinetic else c) * BLOCK  # velocities come after the positions
        if kinetic and gain != 0.0:
            for g in range(c * BLOCK, (c + 1) * BLOCK, step):
                store(grad, g, fma(load(theta, g), kind(factors.l2[c]), load(grad, g)))
        for g in range(0, BLOCK, step):
            moved = kind(decay) * load(theta, at + g)
            if gain != 0.0:
                moved = fma(load(grad, c * BLOCK + g), kind(-gain), moved)
            store(theta, at + g, moved)
        for j in range(factors.noise.shape[1]):
            amplitude = factors.noise[t, j, c]
            if amplitude != 0.0:
                amplitude /= math.sqrt(counters.substeps)
                step_number = counters.stride * (counters.first_step + t) + counters.shift + j
                fine = counters.substeps * step_number
                for m in range(counters.substeps):
                    block_gaussians(normals, block, c, 0, fine + m, replica, counters.seed)
                    for g in range(0, BLOCK, step):
                        moved = fma(load(normals, g), kind(amplitude), load(theta, at + g))
                        store(theta, at + g, moved)
        if kinetic:
            for g in range(c * BLOCK, (c + 1) * BLOCK, step):
                velocity = load(theta, C * BLOCK + g)
                store(theta, g, fma(velocity, kind(factors.drift[t, c]), load(theta, g)))
        for g in range(0, BLOCK, step):
            watch = fma(load(theta, c * BLOCK + g), 0.0, watch)
    return total(watch)


@inline
def fetch(local: Numbers, state: State, replica: int, start: int) -> None:
    """Copy a block of particles into ``local`` (rows, 64); places beyond N hold zeros."""
    theta, N = state.theta, state.N
    for c in range(state.rows):
        at = (replica * state.rows + c) * N + start
        if start + BLOCK <= N:
            for g in range(0, BLOCK, lanes(local)):
                store(local, c * BLOCK + g, load(theta, at + g))
        else:
            for i in range(BLOCK):
                local[c * BLOCK + i] = theta[at + i] if start + i < N else 0


@inline
def put_back(state: State, local: Numbers, replica: int, start: int, k: int) -> None:
    """Copy a block back, and clear the outer weights of the places beyond N."""
    theta, N = state.theta, state.N
    for c in range(state.rows):
        at = (replica * state.rows + c) * N + start
        if start + BLOCK <= N:
            for g in range(0, BLOCK, lanes(local)):
                store(theta, at + g, load(local, c * BLOCK + g))
        else:
            for i in range(N - start):
                theta[at + i] = local[c * BLOCK + i]
    for o in range(k):
        for i in range(N - start, BLOCK):
            local[o * BLOCK + i] = 0
