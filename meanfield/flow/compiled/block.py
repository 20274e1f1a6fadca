"""One block of 64 particles through one step: pre-activations, predictions, gradient, update.

Data come in tiles of rows that stay in the first-level cache with what belongs to them. The two
matrix products hold a group of particles times four data (or four coordinates) in registers:
sixteen running sums, enough to keep two multiply–add units busy through their latency.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import njit

from meanfield.flow.compiled.activations import BLOCK, predict_rows, pull_rows
from meanfield.flow.compiled.gaussians import block_gaussians
from meanfield.flow.compiled.simd.operations import (
    fma,
    lanes,
    load,
    prefetch,
    splat,
    store,
    total,
    zeros,
)

ROWS = 64  # data per tile
_DEPTH = 64  # coordinates per pass of the pre-activations, so that the weights stay in cache

_inline = njit(forceinline=True)


class Data(NamedTuple):
    """What the particles are trained on, and the sizes."""

    x: np.ndarray  # (rows, columns) flattened: inputs, a column of ones for the bias, zero padding
    targets: np.ndarray  # (n k,)
    weights: np.ndarray  # (n,), of mean 1: what each datum counts
    drive: np.ndarray  # (n_steps, n k) or empty
    n: int
    k: int
    inputs: int  # d + 1 with a bias, d without
    columns: int  # inputs, rounded up to a multiple of 4


class Law(NamedTuple):
    """The update's factors and the counters of its noise."""

    decay: np.ndarray  # (n_steps, C)
    gain: np.ndarray  # (n_steps, C)
    noise: np.ndarray  # (n_steps, J, C)
    drift: np.ndarray  # (n_steps, C), or empty without velocities
    l2: np.ndarray  # (C,), for velocities
    stride: int  # increment j of step t has number stride * t + shift + j
    shift: int
    seed: np.uint64
    first_step: int
    first_replica: int
    substeps: int
    loss: int
    train_outer: bool
    train_inner: bool


class Sigma(NamedTuple):
    """The activation."""

    predict: int  # addresses of its compiled code
    pull: int
    kept_per_pair: int  # numbers worth keeping: σ, and σ′ when σ does not determine it


class Scratch(NamedTuple):
    """Memory of one thread; everything holds whole blocks."""

    theta: np.ndarray  # (rows, 64) of the block at hand
    grad: np.ndarray  # (k + columns, 64), its gradient
    tile: np.ndarray  # (ROWS, 64), pre-activations, activations, then pulls
    sums: np.ndarray  # (n k, lanes / 4), predictions of the chunk at hand
    residuals: np.ndarray  # (n k,), divided by n
    predictions: np.ndarray  # (n k,) float64
    normals: np.ndarray  # (64,)
    kept: np.ndarray  # (blocks kept, 1 or 2, n, 64): σ, and σ′ when σ does not determine it


@_inline
def clear(array):
    """Zero an array; a slice assignment would compile its error messages, which takes seconds."""
    for i in range(array.size):
        array[i] = 0


# Inside one block ---------------------------------------------------------------------------------


@_inline
def _load4(array, at):
    """Four rows of one group."""
    return (
        load(array, at),
        load(array, at + BLOCK),
        load(array, at + 2 * BLOCK),
        load(array, at + 3 * BLOCK),
    )


@_inline
def _store4(array, at, sums):
    """The inverse of `_load4`."""
    store(array, at, sums[0])
    store(array, at + BLOCK, sums[1])
    store(array, at + 2 * BLOCK, sums[2])
    store(array, at + 3 * BLOCK, sums[3])


@_inline
def _add4(sums, particles, x, at, stride):
    """Add to each of four sums the same group of particles times its own number."""
    return (
        fma(particles, splat(x, at), sums[0]),
        fma(particles, splat(x, at + stride), sums[1]),
        fma(particles, splat(x, at + 2 * stride), sums[2]),
        fma(particles, splat(x, at + 3 * stride), sums[3]),
    )


@_inline
def _preactivations(data, scratch, first, rows):
    """tile[j, i] = ⟨w_i, x_j⟩ + b_i for ``rows`` (rounded up to fours) data from ``first`` on."""
    theta, x, tile, width = scratch.theta, data.x, scratch.tile, data.columns
    nothing = (zeros(tile), zeros(tile), zeros(tile), zeros(tile))
    for begin in range(0, data.inputs, _DEPTH):
        end = min(begin + _DEPTH, data.inputs)
        for g in range(0, BLOCK, lanes(tile)):
            for row in range(0, rows, 4):
                at, to = (first + row) * width, row * BLOCK + g
                sums = _load4(tile, to) if begin else nothing
                # Two at a time: what counts the loop competes with the multiply–add units.
                for c in range(begin, end - 1, 2):
                    w = (data.k + c) * BLOCK + g
                    sums = _add4(sums, load(theta, w), x, at + c, width)
                    sums = _add4(sums, load(theta, w + BLOCK), x, at + c + 1, width)
                if (end - begin) % 2:
                    w = (data.k + end - 1) * BLOCK + g
                    sums = _add4(sums, load(theta, w), x, at + end - 1, width)
                _store4(tile, to, sums)


@_inline
def kept_at(sigma, slot, n, j):
    """Where the kept activations of a block and datum start."""
    return (slot * sigma.kept_per_pair * n + j) * BLOCK


@_inline
def forward_block(sigma, data, scratch, slot):
    """Add the block's predictions to the sums; keep the activations in ``slot`` unless negative."""
    n, k, tile, kept = data.n, data.k, scratch.tile, scratch.kept
    width = lanes(tile) // 4
    for first in range(0, n, ROWS):
        rows = min(ROWS, n - first)
        _preactivations(data, scratch, first, rows)
        at = kept_at(sigma, max(slot, 0), n, first)
        predict_rows(
            sigma.predict, tile, 0, scratch.theta, 0, scratch.sums, first * k * width,
            kept, at, kept, at + n * BLOCK, k, rows, slot >= 0,
        )  # fmt: skip


@_inline
def _inner_gradient(data, scratch, first, rows, soon, parts):
    """grad[k + c] += Σ_j tile[j] x_{j,c}, four coordinates at a time.

    Meanwhile the next tile's kept σ, and σ′ if ``parts`` is 2, are fetched from ``soon`` on.
    """
    x, tile, grad, width = data.x, scratch.tile, scratch.grad, data.columns
    for c in range(0, width, 4):
        for g in range(0, BLOCK, lanes(tile)):
            for part in range(parts):
                for q in range(ROWS * c // width, ROWS * (c + 4) // width):
                    prefetch(scratch.kept, soon + (part * data.n + q) * BLOCK + g)
            to, at = (data.k + c) * BLOCK + g, first * width + c
            sums = _load4(grad, to)
            for row in range(0, rows - 1, 2):
                pull = row * BLOCK + g
                sums = _add4(sums, load(tile, pull), x, at + row * width, 1)
                sums = _add4(sums, load(tile, pull + BLOCK), x, at + row * width + width, 1)
            if rows % 2:
                pull = (rows - 1) * BLOCK + g
                sums = _add4(sums, load(tile, pull), x, at + (rows - 1) * width, 1)
            _store4(grad, to, sums)


@_inline
def gradient_block(sigma, data, scratch, slot, train_inner):
    """Gradient of the data part for the block at hand, from kept or fresh activations."""
    n, k, tile, kept = data.n, data.k, scratch.tile, scratch.kept
    clear(scratch.grad)
    for first in range(0, n, ROWS):
        rows = min(ROWS, n - first)
        if slot < 0:
            _preactivations(data, scratch, first, rows)
        at = kept_at(sigma, max(slot, 0), n, first)
        pull_rows(
            sigma.pull, tile, 0, scratch.theta, 0, scratch.grad, 0, scratch.residuals, first * k,
            kept, at, kept, at + n * BLOCK, k, rows, slot >= 0,
        )  # fmt: skip
        if train_inner:
            parts = sigma.kept_per_pair if slot >= 0 else 0
            _inner_gradient(data, scratch, first, rows, at + rows * BLOCK, parts)


@_inline
def update_block(scratch, law, t, block, replica):
    """Move the block's particles by one step; 0, or NaN when one left the finite numbers."""
    theta, grad, normals = scratch.theta, scratch.grad, scratch.normals
    kind = theta.dtype.type
    step = lanes(theta)
    watch = zeros(theta)
    C = law.decay.shape[1]
    kinetic = law.drift.size > 0
    for c in range(C):
        decay, gain = law.decay[t, c], law.gain[t, c]
        at = (C + c if kinetic else c) * BLOCK  # velocities come after the positions
        if kinetic and gain != 0.0:
            for g in range(c * BLOCK, (c + 1) * BLOCK, step):
                store(grad, g, fma(load(theta, g), kind(law.l2[c]), load(grad, g)))
        for g in range(0, BLOCK, step):
            moved = kind(decay) * load(theta, at + g)
            if gain != 0.0:
                moved = fma(load(grad, c * BLOCK + g), kind(-gain), moved)
            store(theta, at + g, moved)
        for j in range(law.noise.shape[1]):
            amplitude = law.noise[t, j, c]
            if amplitude != 0.0:
                amplitude /= math.sqrt(law.substeps)
                fine = law.substeps * (law.stride * (law.first_step + t) + law.shift + j)
                for m in range(law.substeps):
                    block_gaussians(normals, block, c, 0, fine + m, replica, law.seed)
                    for g in range(0, BLOCK, step):
                        moved = fma(load(normals, g), kind(amplitude), load(theta, at + g))
                        store(theta, at + g, moved)
        if kinetic:
            for g in range(c * BLOCK, (c + 1) * BLOCK, step):
                velocity = load(theta, C * BLOCK + g)
                store(theta, g, fma(velocity, kind(law.drift[t, c]), load(theta, g)))
        for g in range(0, BLOCK, step):
            watch = fma(load(theta, c * BLOCK + g), 0.0, watch)
    return total(watch)


@_inline
def fetch(local, theta, replica, start, C, N):
    """Copy a block of particles into ``local`` (C, 64); places beyond N hold zeros."""
    for c in range(C):
        at = (replica * C + c) * N + start
        if start + BLOCK <= N:
            for g in range(0, BLOCK, lanes(local)):
                store(local, c * BLOCK + g, load(theta, at + g))
        else:
            for i in range(BLOCK):
                local[c * BLOCK + i] = theta[at + i] if start + i < N else 0


@_inline
def put_back(theta, local, replica, start, C, N, k):
    """Copy a block back, and clear the outer weights of the places beyond N."""
    for c in range(C):
        at = (replica * C + c) * N + start
        if start + BLOCK <= N:
            for g in range(0, BLOCK, lanes(local)):
                store(theta, at + g, load(local, c * BLOCK + g))
        else:
            for i in range(N - start):
                theta[at + i] = local[c * BLOCK + i]
    for o in range(k):
        for i in range(N - start, BLOCK):
            local[o * BLOCK + i] = 0
