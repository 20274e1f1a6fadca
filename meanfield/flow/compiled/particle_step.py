"""Compiled kernels of the particle system: noise, forward pass, time stepping.

Layout: ``theta`` is (R, C, N), coordinate major; rows ``0..k-1`` hold the outer weights ``a``, the
next ``d`` the inner weights ``w``, and the last one the bias ``b`` when there is one
(``C = k + d + 1`` with a bias, ``C = k + d`` without).

One step, with ``g_c`` the gradient of the data part ``(1/n) Σ_j ⟨r_j, a⟩ σ(⟨w, x_j⟩ + b)``::

    θ_c ← decay_{t,c} θ_c − gain_{t,c} g_c + Σ_j noise_{t,j,c} ζ_{t,j,c}

or, with velocities in rows ``C .. 2C-1``::

    v_c ← decay_{t,c} v_c − gain_{t,c} (g_c + λ_c θ_c) + Σ_j noise_{t,j,c} ζ_{t,j,c}
    θ_c ← θ_c + drift_{t,c} v_c

so that one kernel serves every integrator (`meanfield.flow.integrators`). ``gain_c = 0`` and
``noise_c = 0`` with ``decay_c = 1`` freeze a coordinate.

How it runs. Particles go in *blocks* of 64, blocks in *chunks* whose number depends on N alone.
A thread passes over its chunks once per step: for each block the gradient at the residuals of the
last predictions, the update with noise made on the spot, and the block's share of the next
predictions. Shares are summed within a chunk, chunks in order: the bits depend neither on the
number of threads nor on how steps are divided into calls.

What happens inside a block is in `block.py`, the activations are in `activations.py`.
"""

from __future__ import annotations

import math

import numba
import numpy as np
from numba import njit

from meanfield.flow.compiled import threads
from meanfield.flow.compiled.activations import BLOCK, Stamp, is_polynomial, keeps_slope, pointers
from meanfield.flow.compiled.block import (
    ROWS,
    Data,
    Law,
    Scratch,
    Sigma,
    clear,
    fetch,
    forward_block,
    gradient_block,
    kept_at,
    put_back,
    update_block,
)
from meanfield.flow.compiled.gaussians import block_gaussians, block_words, philox
from meanfield.flow.compiled.simd.operations import lanes, load_quarter, repeat, store, total
from meanfield.flow.compiled.simd.vectors import group_lanes

_CHUNKS = 64  # at most, per replica
_CHUNK_BLOCKS = 4  # at least, per chunk

_inline = njit(forceinline=True)
_entry = njit(cache=True, nogil=True)


# Between blocks -----------------------------------------------------------------------------------


@_inline
def _logistic(z):
    """1 / (1 + exp(−z)) without overflow."""
    t = math.exp(-abs(z))
    return 1.0 / (1.0 + t) if z >= 0 else t / (1.0 + t)


@njit
def _set_residuals(out, f, targets, weights, n, k, loss):
    """Fill ``out`` (n k,) with ``w ∂ℓ/∂f / n``; a weight of 1 changes no bit."""
    for j in range(n):
        w = weights[j]
        if loss == 0:
            for o in range(k):
                out[j * k + o] = w * (f[j * k + o] - targets[j * k + o]) / n
        elif loss == 1:
            for o in range(k):
                y = targets[j * k + o]
                out[j * k + o] = w * (-y * _logistic(-y * f[j * k + o])) / n
        else:
            peak = f[j * k]
            for o in range(1, k):
                peak = max(peak, f[j * k + o])
            mass = 0.0
            for o in range(k):
                mass += math.exp(f[j * k + o] - peak)
            for o in range(k):
                i = j * k + o
                out[i] = w * (math.exp(f[i] - peak) / mass - targets[i]) / n


@njit
def _merge(f, partial, parity, n_particles):
    """Fill ``f`` (n k,) with the mean over particles, chunks in order; whether all are finite."""
    clear(f)
    for chunk in range(partial.shape[1]):
        for i in range(f.size):
            f[i] += partial[parity, chunk, i]
    finite = True
    for i in range(f.size):
        f[i] /= n_particles
        finite &= math.isfinite(f[i])
    return finite


@njit
def _chunk_start(chunk, n_chunks, n_blocks):
    """First block of a chunk; chunks differ by one block at most."""
    return chunk * n_blocks // n_chunks


@_entry
def advance_team(
    stamp, theta, shape, sigma, data, law, scratch, partial, predictions, forward, replicas,
    arrivals, rank, size, failed,
):  # fmt: skip
    """One thread's part in advancing some replicas.

    ``forward`` is 0 when no prediction is needed, 1 when those before each step are, 2 when only
    those of the present state are (and no step is made). ``partial`` (2, chunks, n k) and
    ``arrivals`` belong to the team. ``failed[r]`` receives the first state that is not finite.
    """
    C, N = shape
    n_chunks, n_blocks = partial.shape[1], (N + BLOCK - 1) // BLOCK
    slots = scratch.kept.size // max(kept_at(sigma, 1, data.n, 0), 1)
    n_steps = 0 if forward == 2 else law.noise.shape[0]
    width = lanes(scratch.sums) // 4
    first_chunk, last_chunk = rank * n_chunks // size, (rank + 1) * n_chunks // size
    parity = 0
    for r in range(replicas[0], replicas[1]):
        for t in range(n_steps + 1):
            predict = forward == 2 or (forward == 1 and t < n_steps)
            lost = False
            slot = 0
            for chunk in range(first_chunk, last_chunk):
                if predict:
                    clear(scratch.sums)
                watch = 0.0
                for block in range(
                    _chunk_start(chunk, n_chunks, n_blocks),
                    _chunk_start(chunk + 1, n_chunks, n_blocks),
                ):
                    kept = slot if slot < slots and forward == 1 else -1
                    slot += 1
                    fetch(scratch.theta, theta, r, block * BLOCK, C, N)
                    if t > 0:
                        if law.train_outer or law.train_inner:
                            gradient_block(sigma, data, scratch, kept, law.train_inner)
                        watch += update_block(scratch, law, t - 1, block, law.first_replica + r)
                        put_back(theta, scratch.theta, r, block * BLOCK, C, N, data.k)
                    if predict:
                        forward_block(sigma, data, scratch, kept)
                if predict:
                    for j in range(data.n * data.k):
                        share = total(load_quarter(scratch.sums, j * width))
                        partial[parity, chunk, j] = share + watch
                lost |= watch != 0.0
            if predict:
                threads.wait(arrivals, size)
                lost = not _merge(scratch.predictions, partial, parity, N)
                parity = 1 - parity
                if predictions.size and rank == 0:
                    for i in range(data.n * data.k):
                        predictions[r, t, i] = scratch.predictions[i]
            if lost:
                failed[r] = law.first_step + t
                break
            if t < n_steps:
                if data.drive.size:
                    for i in range(data.n * data.k):
                        scratch.predictions[i] = data.drive[t, i]
                _set_residuals(
                    scratch.residuals, scratch.predictions, data.targets, data.weights,
                    data.n, data.k, law.loss,
                )  # fmt: skip


# Shell --------------------------------------------------------------------------------------------

_STAMP = Stamp()
_NONE = np.empty((0, 0))
# Bytes of kept activations per thread: what memory gives back sooner than arithmetic.
_KEEP_BYTES = 1 << 24
_KEEP_BYTES_WIDE = 1 << 28  # with wide inputs even main memory is faster than computing them again
_WIDE, _NARROW = 48, 24  # input dimensions; below the second, piecewise polynomials are not kept
_WORTH_A_THREAD = 200_000  # particle–datum pairs
_FORWARD_ROWS = 4096  # data per call of `forward`, which bounds its memory


def aligned(size: int, dtype: np.dtype) -> np.ndarray:
    """Zeros whose first byte starts a cache line."""
    room = np.zeros(size * dtype.itemsize + 64, np.uint8)
    start = -room.ctypes.data % 64
    return room[start : start + size * dtype.itemsize].view(dtype)


def as_data(X: np.ndarray, targets: np.ndarray, drive, weights, C: int, dtype) -> Data:
    """Inputs as the kernel wants them: a column of ones for the bias, padding to fours."""
    n, d = X.shape
    k = targets.shape[1]
    columns = -(-(C - k) // 4) * 4
    x = aligned(-(-n // 4) * 4 * columns, dtype).reshape(-1, columns)
    x[:n, :d] = X
    x[:n, d : C - k] = 1
    drive = np.empty((0, n, k)) if drive is None else np.ascontiguousarray(drive, np.float64)
    targets = np.ascontiguousarray(targets, np.float64).reshape(-1)
    weights = np.ones(n) if weights is None else np.ascontiguousarray(weights, np.float64)
    return Data(x.reshape(-1), targets, weights, drive.reshape(-1, n * k), n, k, C - k, columns)


def _kept_per_pair(activation: int, inputs: int) -> int:
    """Numbers to keep per pair: σ, and σ′ when σ does not determine it; none when not worth it."""
    if inputs < _NARROW and is_polynomial(activation):
        return 0
    return 2 if keeps_slope(activation) else 1


def make_scratch(data: Data, C: int, n_blocks: int, kept_per_pair: int) -> Scratch:
    """Memory for one thread that passes over ``n_blocks`` blocks."""
    dtype, n, k = data.x.dtype, data.n, data.k
    block_bytes = kept_per_pair * n * BLOCK * dtype.itemsize
    budget = _KEEP_BYTES_WIDE if data.inputs >= _WIDE else _KEEP_BYTES
    slots = min(n_blocks, budget // max(block_bytes, 1)) if kept_per_pair else 0
    width = group_lanes(numba.from_dtype(dtype)) // 4
    return Scratch(
        theta=aligned(C * BLOCK, dtype),
        grad=aligned((k + data.columns) * BLOCK, dtype),
        tile=aligned(ROWS * BLOCK, dtype),
        sums=aligned(n * k * width, dtype),
        residuals=aligned(n * k, dtype),
        predictions=np.empty(n * k),
        normals=aligned(BLOCK, dtype),
        kept=aligned(slots * block_bytes // dtype.itemsize, dtype),
    )


def _run(activation, theta, data, law, predictions, forward, n_steps) -> np.ndarray:
    """Share replicas and chunks among threads; the first lost state of each replica."""
    if not theta.flags.c_contiguous or theta.dtype not in (np.float32, np.float64):
        raise ValueError("theta must be a C-contiguous array of float32 or float64.")
    R, C, N = theta.shape
    n_blocks = -(-N // BLOCK)
    n_chunks = max(1, min(_CHUNKS, n_blocks // _CHUNK_BLOCKS))
    pairs = R * N * data.n * max(n_steps, 1)
    size = max(1, min(numba.get_num_threads(), pairs // _WORTH_A_THREAD, R * n_chunks))
    kept_per_pair = _kept_per_pair(activation, data.inputs) if forward == 1 else 0
    sigma = Sigma(*pointers(activation, theta.dtype), kept_per_pair)
    failed = np.full((size, R), np.iinfo(np.int64).max)

    def work(rank: int, members: int, replicas: tuple[int, int], partial, arrivals) -> None:
        scratch = make_scratch(data, C, -(-n_blocks // members), kept_per_pair)
        own = rank if members > 1 else 0
        advance_team(
            _STAMP, theta.reshape(-1), (C, N), sigma, data, law, scratch, partial, predictions,
            forward, replicas, arrivals, own, members, failed[rank],
        )  # fmt: skip

    def buffers() -> tuple[np.ndarray, np.ndarray]:
        return np.empty((2, n_chunks, data.n * data.k)), np.zeros(1, np.int64)

    # As many replicas as divide evenly go one to a thread; the threads team up on the others.
    alone = R - R % size
    if alone:
        each = alone // size
        threads.run(size, lambda rank: work(rank, 1, (rank * each, rank * each + each), *buffers()))
    if alone < R:
        partial, arrivals = buffers()
        members = min(size, n_chunks)
        threads.run(members, lambda rank: work(rank, members, (alone, R), partial, arrivals))
    return failed.min(axis=0)


def advance(
    theta: np.ndarray,
    X: np.ndarray,
    targets: np.ndarray,
    *,
    first_step: int,
    seed: int,
    replica0: int,
    decay: np.ndarray,
    gain: np.ndarray,
    noise: np.ndarray,
    activation: int,
    loss: int,
    drift: np.ndarray | None = None,
    l2: np.ndarray | None = None,
    stride: int = 1,
    shift: int = 0,
    drive: np.ndarray | None = None,
    weights: np.ndarray | None = None,
    predictions_out: np.ndarray | None = None,
    substeps: int = 1,
) -> tuple[int, int]:
    """Advance ``theta`` in place by ``len(noise)`` steps of the update in the module's docstring.

    Parameters
    ----------
    theta
        (R, C, N), float32 or float64, C-contiguous: the particles, changed in place. Rows after
        the first C hold the velocities; rows that no integrator knows are left alone.
    X, targets
        (n, d) inputs and (n, k) targets.
    first_step, seed, replica0
        Absolute number of the first step, the seed, and the replica number of ``theta[0]``: with
        the particle and the coordinate they determine the noise.
    decay, gain, noise
        (n_steps, C) or (C,), the same, and (n_steps, C) or (n_steps, J, C): the update's factors.
    drift, l2
        (n_steps, C) and (C,): factors of the kinetic update, or None.
    stride, shift
        Increment j of step t has number ``stride * t + shift + j``.
    activation, loss
        Codes, as in ``ACTIVATIONS`` and in ``meanfield.problem.losses``.
    drive
        (n_steps, n, k) predictions that replace the particles' own, or None.
    weights
        (n,) of mean 1: the weight of each datum in the loss, or None for a plain mean.
    predictions_out
        (R, n_steps, n, k) float64, receives the predictions *before* each step, or None.
    substeps
        Fine Gaussians summed (and divided by its square root) into each step's own.

    Returns
    -------
    tuple of int
        ``(step, replica)`` of the first state that is not finite (``step`` counts states: the
        state before step ``s`` has number ``s``), or ``(-1, -1)``.
    """
    noise = np.ascontiguousarray(noise, np.float64)
    noise = noise[:, None] if noise.ndim == 2 else noise
    R, k, C = len(theta), targets.shape[1], noise.shape[2]
    shape = (len(noise), C)
    decay, gain = (
        np.ascontiguousarray(np.broadcast_to(a, shape), np.float64) for a in (decay, gain)
    )
    drift = np.empty((0, 0)) if drift is None else np.ascontiguousarray(drift, np.float64)
    l2 = np.zeros(C) if l2 is None else np.ascontiguousarray(l2, np.float64)
    law = Law(
        decay, gain, noise, drift, l2, stride, shift, np.uint64(seed), first_step, replica0,
        substeps, loss, bool(gain[:, :k].any()), bool(gain[:, k:].any()),
    )  # fmt: skip
    predictions = np.empty((0, 0, 0))
    if predictions_out is not None:
        predictions = predictions_out.reshape(R, len(noise), targets.size)
        if not np.may_share_memory(predictions, predictions_out):
            raise ValueError("predictions_out must hold the (n, k) of each step contiguously.")
    needed = int(drive is None or predictions_out is not None)
    data = as_data(X, targets, drive, weights, C, theta.dtype)
    failed = _run(activation, theta, data, law, predictions, needed, len(noise))
    replica = int(failed.argmin())
    lost = int(failed[replica])
    return (-1, -1) if lost == np.iinfo(np.int64).max else (lost, replica0 + replica)


def forward(theta: np.ndarray, X: np.ndarray, activation: int, n_outputs: int) -> np.ndarray:
    """Predictions (R, n, k), float64: the mean over particles of ``a σ(⟨w, x⟩ + b)``."""
    R, C, _ = theta.shape
    law = Law(
        _NONE, _NONE, _NONE[:, None], _NONE, _NONE[0:0].reshape(-1), 1, 0, np.uint64(0), 0, 0, 1,
        0, False, False,
    )  # fmt: skip
    out = np.empty((R, len(X), n_outputs))
    for start in range(0, len(X), _FORWARD_ROWS):
        rows = X[start : start + _FORWARD_ROWS]
        part = np.empty((R, 1, len(rows), n_outputs))
        data = as_data(rows, np.zeros((len(rows), n_outputs)), None, None, C, theta.dtype)
        _run(activation, theta, data, law, part.reshape(R, 1, -1), 2, 0)
        out[:, start : start + _FORWARD_ROWS] = part[:, 0]
    return out


# Noise on its own ---------------------------------------------------------------------------------


@_entry
def _fill_gaussians(stamp, out, scratch, coordinates, stream, step, replica, seed):
    n_particles = out.shape[1]
    for row in range(coordinates.size):
        for block in range((n_particles + BLOCK - 1) // BLOCK):
            block_gaussians(scratch, block, coordinates[row], stream, step, replica, seed)
            start = block * BLOCK
            for i in range(start, min(start + BLOCK, n_particles)):
                out[row, i] = scratch[i - start]


@_entry
def _fill_words(stamp, out, scratch, coordinates, stream, step, replica, seed):
    n_particles = out.shape[1]
    for row in range(coordinates.size):
        for block in range((n_particles + BLOCK - 1) // BLOCK):
            for slot, words in enumerate(
                block_words(block, coordinates[row], stream, step, replica, seed)
            ):
                store(scratch, 16 * slot, words)
            start = block * BLOCK
            for i in range(start, min(start + BLOCK, n_particles)):
                out[row, i] = scratch[i - start]


@_entry
def _fill_philox(stamp, out, counter, key):
    word = np.empty(16, np.uint32)
    for row in range(out.shape[0]):
        c0, c1 = np.uint64(counter[row, 0]), np.uint64(counter[row, 1])
        c2, c3 = np.uint64(counter[row, 2]), np.uint64(counter[row, 3])
        seed = np.uint64(key[row, 0]) | (np.uint64(key[row, 1]) << np.uint64(32))
        for slot, words in enumerate(philox(repeat(c0), repeat(c1), repeat(c2), repeat(c3), seed)):
            store(word, 0, words)
            out[row, slot] = word[0]


def fill_gaussians(out, coordinates, stream, step, replica, seed):
    """Fill ``out`` (len(coordinates), N) with Gaussians."""
    scratch = aligned(BLOCK, out.dtype)
    _fill_gaussians(_STAMP, out, scratch, coordinates, stream, step, replica, np.uint64(seed))


def fill_words(out, coordinates, stream, step, replica, seed):
    """Fill ``out`` (len(coordinates), N) uint32 with the raw words, one per particle."""
    scratch = np.empty(BLOCK, np.uint32)
    _fill_words(_STAMP, out, scratch, coordinates, stream, step, replica, np.uint64(seed))


def fill_philox(out, counter, key):
    """Fill ``out`` (m, 4) with the words of ``counter`` (m, 4) under ``key`` (m, 2)."""
    _fill_philox(_STAMP, out, counter, key)
