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

from meanfield.flow.gaussians import BLOCK, block_gaussians
from meanfield.flow.sigma import SLOPE_FROM_VALUE, VALUE, VALUE_AND_SLOPE, apply
from meanfield.flow.simd import fma, lanes, load, splat, store, total, zeros

ROWS = 32  # data per tile
_DEPTH = 96  # coordinates per pass of the pre-activations, so that the weights stay in cache

_inline = njit(forceinline=True)


class Data(NamedTuple):
    """What the particles are trained on, and the sizes."""

    x: np.ndarray  # (rows, columns) flattened: inputs, a column of ones for the bias, zero padding
    targets: np.ndarray  # (n k,)
    drive: np.ndarray  # (n_steps, n k) or empty
    n: int
    k: int
    inputs: int  # d + 1 with a bias, d without
    columns: int  # inputs, rounded up to a multiple of 4


class Law(NamedTuple):
    """The update's factors and the counters of its noise."""

    decay: np.ndarray
    gain: np.ndarray
    noise: np.ndarray  # (n_steps, C)
    seed: np.uint64
    first_step: int
    first_replica: int
    substeps: int
    loss: int
    train_outer: bool
    train_inner: bool


class Sigma(NamedTuple):
    """The activation."""

    pointer: int  # to its compiled code
    kept_per_pair: int  # numbers worth keeping: σ, and σ′ when σ does not determine it


class Scratch(NamedTuple):
    """Memory of one thread; everything holds whole blocks."""

    theta: np.ndarray  # (C, 64) of the block at hand
    grad: np.ndarray  # (k + columns, 64), its gradient
    tile: np.ndarray  # (ROWS, 64), pre-activations, activations, then pulls
    slopes: np.ndarray  # (ROWS, 64)
    sums: np.ndarray  # (n k, lanes), predictions of the chunk at hand
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
def _preactivations(data, scratch, first, rows):
    """tile[j, i] = ⟨w_i, x_j⟩ + b_i for ``rows`` (rounded up to fours) data from ``first`` on."""
    theta, x, tile, width = scratch.theta, data.x, scratch.tile, data.columns
    step = lanes(tile)
    for begin in range(0, data.inputs, _DEPTH):
        end = min(begin + _DEPTH, data.inputs)
        for row in range(0, rows, 4):
            at = (first + row) * width
            for g in range(0, BLOCK, step):
                to = row * BLOCK + g
                z0 = z1 = z2 = z3 = zeros(tile)
                if begin:
                    z0, z1 = load(tile, to), load(tile, to + BLOCK)
                    z2, z3 = load(tile, to + 2 * BLOCK), load(tile, to + 3 * BLOCK)
                for c in range(begin, end):
                    w = load(theta, (data.k + c) * BLOCK + g)
                    z0 = fma(w, splat(x, at + c), z0)
                    z1 = fma(w, splat(x, at + width + c), z1)
                    z2 = fma(w, splat(x, at + 2 * width + c), z2)
                    z3 = fma(w, splat(x, at + 3 * width + c), z3)
                store(tile, to, z0)
                store(tile, to + BLOCK, z1)
                store(tile, to + 2 * BLOCK, z2)
                store(tile, to + 3 * BLOCK, z3)


@_inline
def kept_at(sigma, slot, n, j):
    """Where the kept activations of a block and datum start."""
    return (slot * sigma.kept_per_pair * n + j) * BLOCK


@_inline
def forward_block(sigma, data, scratch, slot):
    """Add the block's predictions to the sums; keep the activations in ``slot`` unless negative."""
    theta, tile, sums, kept, k = scratch.theta, scratch.tile, scratch.sums, scratch.kept, data.k
    step = lanes(tile)
    for first in range(0, data.n, ROWS):
        rows = min(ROWS, data.n - first)
        _preactivations(data, scratch, first, rows)
        values, at, mode = tile, 0, VALUE
        if slot >= 0:
            values, at = kept, kept_at(sigma, slot, data.n, first)
            mode = VALUE_AND_SLOPE if sigma.kept_per_pair == 2 else VALUE
        apply(sigma.pointer, tile, 0, values, at, kept, at + data.n * BLOCK, rows * BLOCK, mode)
        for row in range(rows):
            for o in range(k):
                to = ((first + row) * k + o) * step
                share = load(sums, to)
                for g in range(0, BLOCK, step):
                    value = load(values, at + row * BLOCK + g)
                    share = fma(load(theta, o * BLOCK + g), value, share)
                store(sums, to, share)


@_inline
def _pull(data, scratch, values, value_at, slopes, slope_at, first, rows, train_outer):
    """tile[j] = ⟨r_j, a⟩ σ′, and the gradient of the outer weights grows by Σ_j r_j σ."""
    theta, tile, grad, residuals, k = (
        scratch.theta, scratch.tile, scratch.grad, scratch.residuals, data.k,
    )  # fmt: skip
    step = lanes(tile)
    for row in range(rows):
        for g in range(0, BLOCK, step):
            at = row * BLOCK + g
            value = load(values, value_at + at)
            pull = zeros(tile)
            for o in range(k):
                r = splat(residuals, (first + row) * k + o)
                pull = fma(r, load(theta, o * BLOCK + g), pull)
                if train_outer:
                    to = o * BLOCK + g
                    store(grad, to, fma(r, value, load(grad, to)))
            store(tile, at, pull * load(slopes, slope_at + at))


@_inline
def _inner_gradient(data, scratch, first, rows):
    """grad[k + c] += Σ_j tile[j] x_{j,c}, four coordinates at a time."""
    x, tile, grad, width = data.x, scratch.tile, scratch.grad, data.columns
    step = lanes(tile)
    for c in range(0, width, 4):
        for g in range(0, BLOCK, step):
            to = (data.k + c) * BLOCK + g
            g0, g1 = load(grad, to), load(grad, to + BLOCK)
            g2, g3 = load(grad, to + 2 * BLOCK), load(grad, to + 3 * BLOCK)
            for row in range(rows):
                at = (first + row) * width + c
                pull = load(tile, row * BLOCK + g)
                g0 = fma(pull, splat(x, at), g0)
                g1 = fma(pull, splat(x, at + 1), g1)
                g2 = fma(pull, splat(x, at + 2), g2)
                g3 = fma(pull, splat(x, at + 3), g3)
            store(grad, to, g0)
            store(grad, to + BLOCK, g1)
            store(grad, to + 2 * BLOCK, g2)
            store(grad, to + 3 * BLOCK, g3)


@_inline
def gradient_block(sigma, data, scratch, slot, train_outer, train_inner):
    """Gradient of the data part for the block at hand, from kept or fresh activations."""
    tile, kept, n = scratch.tile, scratch.kept, data.n
    clear(scratch.grad)
    for first in range(0, n, ROWS):
        rows = min(ROWS, n - first)
        values, value_at, slopes, slope_at = tile, 0, scratch.slopes, 0
        if slot < 0:
            _preactivations(data, scratch, first, rows)
            mode = VALUE_AND_SLOPE
        else:
            values, value_at = kept, kept_at(sigma, slot, n, first)
            mode = SLOPE_FROM_VALUE
        if slot >= 0 and sigma.kept_per_pair == 2:
            slopes, slope_at = kept, value_at + n * BLOCK
        else:
            apply(sigma.pointer, values, value_at, values, value_at, slopes, 0, rows * BLOCK, mode)
        _pull(data, scratch, values, value_at, slopes, slope_at, first, rows, train_outer)
        if train_inner:
            _inner_gradient(data, scratch, first, rows)


@_inline
def update_block(scratch, law, t, block, replica):
    """Move the block's particles by one step; 0, or NaN when one left the finite numbers."""
    theta, grad, normals = scratch.theta, scratch.grad, scratch.normals
    kind = theta.dtype.type
    step = lanes(theta)
    watch = zeros(theta)
    for c in range(law.decay.size):
        decay, gain, amplitude = law.decay[c], law.gain[c], law.noise[t, c]
        if amplitude != 0.0:
            amplitude /= math.sqrt(law.substeps)
        fine = law.substeps * (law.first_step + t)
        for g in range(0, BLOCK, step):
            moved = kind(decay) * load(theta, c * BLOCK + g)
            if gain != 0.0:
                moved = fma(load(grad, c * BLOCK + g), kind(-gain), moved)
            store(theta, c * BLOCK + g, moved)
        if amplitude != 0.0:
            for m in range(law.substeps):
                block_gaussians(normals, block, c, 0, fine + m, replica, law.seed)
                for g in range(0, BLOCK, step):
                    moved = fma(load(normals, g), kind(amplitude), load(theta, c * BLOCK + g))
                    store(theta, c * BLOCK + g, moved)
        for g in range(0, BLOCK, step):
            watch = fma(load(theta, c * BLOCK + g), 0.0, watch)
    return total(watch)


@_inline
def fetch(local, theta, replica, start, C, N):
    """Copy a block of particles into ``local`` (C, 64); places beyond N hold zeros."""
    stop = min(start + BLOCK, N)
    for c in range(C):
        at = (replica * C + c) * N
        for i in range(start, stop):
            local[c * BLOCK + i - start] = theta[at + i]
        for i in range(stop - start, BLOCK):
            local[c * BLOCK + i] = 0


@_inline
def put_back(theta, local, replica, start, C, N, k):
    """Copy a block back, and clear the outer weights of the places beyond N."""
    stop = min(start + BLOCK, N)
    for c in range(C):
        at = (replica * C + c) * N
        for i in range(start, stop):
            theta[at + i] = local[c * BLOCK + i - start]
    for o in range(k):
        for i in range(stop - start, BLOCK):
            local[o * BLOCK + i] = 0
