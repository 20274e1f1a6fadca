"""The compiled step of the particle system: forward pass and time stepping.

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

How it runs. Particles go in blocks of 64, blocks in chunks (`layout.py`).
A thread passes over its chunks once per step: for each block the gradient at the residuals of the
last predictions, the update with noise made on the spot, and the block's share of the next
predictions. Shares are summed within a chunk, chunks in order: the bits depend neither on the
number of threads nor on how steps are divided into calls.

What happens inside a block is in `block.py`, inside a tile in `tile.py`; what the step is given is
described in `structures.py`.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from meanfield.flow.compiled import threads
from meanfield.flow.compiled.block import (
    clear,
    fetch,
    forward_block,
    gradient_block,
    kept_at,
    put_back,
    update_block,
)
from meanfield.flow.compiled.cache_key import KEY, CacheKey, entry
from meanfield.flow.compiled.layout import BLOCK, MAX_CHUNKS, MIN_CHUNK_BLOCKS, Numbers
from meanfield.flow.compiled.losses import Residuals, set_residuals
from meanfield.flow.compiled.simd import inline, lanes, load_quarter, total
from meanfield.flow.compiled.structures import (
    Buffers,
    Data,
    Functions,
    NoiseCounters,
    Output,
    Share,
    State,
    UpdateFactors,
    make_buffers,
    make_data,
    make_factors,
    make_functions,
)
from meanfield.system.compiling import thread_count

# Which predictions are computed: none, those before each step, those of the present state without
# any step.
_NONE, _BEFORE_STEPS, _PRESENT = 0, 1, 2

# Between blocks -----------------------------------------------------------------------------------


@inline
def _merge(f: Numbers, partial: Numbers, parity: int, n_particles: int) -> bool:
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


@inline
def _chunk_start(chunk: int, n_chunks: int, n_blocks: int) -> int:
    """First block of a chunk; chunks differ by one block at most."""
    return chunk * n_blocks // n_chunks


@entry
def _advance_share(
    key: CacheKey,
    state: State,
    data: Data,
    functions: Functions,
    factors: UpdateFactors,
    counters: NoiseCounters,
    buffers: Buffers,
    share: Share,
    output: Output,
) -> None:
    """One thread's part in advancing some replicas."""
    n_chunks, n_blocks = share.partial.shape[1], (state.N + BLOCK - 1) // BLOCK
    slots = buffers.kept.size // max(kept_at(functions.kept_per_pair, 1, data.n, 0), 1)
    n_steps = 0 if output.predict == _PRESENT else factors.noise.shape[0]
    width = lanes(buffers.sums) // 4
    first_chunk = share.rank * n_chunks // share.size
    last_chunk = (share.rank + 1) * n_chunks // share.size
    parity = 0
    for r in range(share.first_replica, share.last_replica):
        for t in range(n_steps + 1):
            predict = output.predict == _PRESENT or (
                output.predict == _BEFORE_STEPS and t < n_steps
            )
            lost = False
            slot = 0
            for chunk in range(first_chunk, last_chunk):
                if predict:
                    clear(buffers.sums)
                watch = 0.0
                for block in range(
                    _chunk_start(chunk, n_chunks, n_blocks),
                    _chunk_start(chunk + 1, n_chunks, n_blocks),
                ):
                    kept = slot if slot < slots and output.predict == _BEFORE_STEPS else -1
                    slot += 1
                    fetch(buffers.theta, state, r, block * BLOCK)
                    if t > 0:
                        if factors.train_outer or factors.train_inner:
                            gradient_block(functions, data, buffers, kept, factors.train_inner)
                        watch += update_block(buffers, factors, counters, t - 1, block, r)
                        put_back(state, buffers.theta, r, block * BLOCK, data.k)
                    if predict:
                        forward_block(functions, data, buffers, kept)
                if predict:
                    for j in range(data.n * data.k):
                        prediction = total(load_quarter(buffers.sums, j * width))
                        share.partial[parity, chunk, j] = prediction + watch
                lost |= watch != 0.0
            if predict:
                threads.wait(share.arrivals, share.size)
                lost = not _merge(buffers.predictions, share.partial, parity, state.N)
                parity = 1 - parity
                if output.predictions.size and share.rank == 0:
                    for i in range(data.n * data.k):
                        output.predictions[r, t, i] = buffers.predictions[i]
            if lost:
                output.failed[r] = counters.first_step + t
                break
            if t < n_steps:
                if data.drive.size:
                    for i in range(data.n * data.k):
                        buffers.predictions[i] = data.drive[t, i]
                set_residuals(
                    functions.residuals,
                    Residuals(
                        buffers.residuals, buffers.predictions, data.targets, data.weights,
                        data.n, data.k,
                    ),
                )  # fmt: skip


# Shell --------------------------------------------------------------------------------------------

_WORTH_A_THREAD = 200_000  # particle–datum pairs
_FORWARD_ROWS = 4096  # data per call of `forward`, which bounds its memory
_NEVER = np.iinfo(np.int64).max


def _run(
    theta: Numbers,
    data: Data,
    functions: Functions,
    factors: UpdateFactors,
    counters: NoiseCounters,
    predict: int,
    predictions: Numbers,
) -> NDArray[np.int64]:
    """Share replicas and chunks among threads; the first lost state of each replica."""
    R, rows, N = theta.shape
    state = State(theta.reshape(-1), rows, N)
    n_blocks = -(-N // BLOCK)
    n_chunks = max(1, min(MAX_CHUNKS, n_blocks // MIN_CHUNK_BLOCKS))
    pairs = R * N * data.n * max(len(factors.noise), 1)
    n_threads = max(1, min(thread_count(), pairs // _WORTH_A_THREAD, R * n_chunks))
    failed = np.full((n_threads, R), _NEVER)

    def work(
        first: int, last: int, thread: int, rank: int, size: int, common: tuple[Numbers, Numbers]
    ) -> None:
        buffers = make_buffers(data, rows, -(-n_blocks // size), functions.kept_per_pair)
        share = Share(first, last, rank, size, *common)
        output = Output(predict, predictions, failed[thread])
        _advance_share(KEY, state, data, functions, factors, counters, buffers, share, output)

    def shared() -> tuple[Numbers, Numbers]:
        return np.empty((2, n_chunks, data.n * data.k)), np.zeros(1, np.int64)

    # As many replicas as divide evenly go one to a thread; the threads work on the others together.
    alone = R - R % n_threads
    each = alone // n_threads
    if alone:
        threads.run(
            n_threads,
            lambda thread: work(thread * each, (thread + 1) * each, thread, 0, 1, shared()),
        )
    if alone < R:
        size, together = min(n_threads, n_chunks), shared()
        threads.run(size, lambda rank: work(alone, R, rank, rank, size, together))
    return failed.min(axis=0)


def advance(
    theta: Numbers,
    data: Data,
    factors: UpdateFactors,
    counters: NoiseCounters,
    *,
    activation: int | str,
    loss: int | str,
    predictions_out: Numbers | None = None,
) -> tuple[int, int]:
    """Advance ``theta`` (R, rows, N), C-contiguous, in place by the steps whose factors are given.

    Rows after the first C hold the velocities; rows that no integrator knows are left alone. The
    counters' ``first_replica`` is that of ``theta[0]``. ``predictions_out`` (R, n_steps, n, k)
    float64 receives the predictions *before* each step. Returns ``(step, replica)`` of the first
    state that is not finite (the state before step ``s`` has number ``s``), or ``(-1, -1)``.
    """
    if not theta.flags.c_contiguous or theta.dtype not in (np.float32, np.float64):
        raise ValueError("theta must be a C-contiguous array of float32 or float64.")
    if data.x.dtype != theta.dtype:
        raise ValueError(f"data hold {data.x.dtype} and theta {theta.dtype}; make both the same.")
    filled, predictions = None, np.empty((0, 0, 0))
    if predictions_out is not None:
        # For a part of an array, which is of another type, numba would compile everything again.
        filled = np.ascontiguousarray(predictions_out)
        predictions = filled.reshape(len(theta), len(factors.noise), data.n * data.k)
    needed = not data.drive.size or predictions_out is not None
    functions = make_functions(activation, loss, data, keep=needed)
    predict = _BEFORE_STEPS if needed else _NONE
    failed = _run(theta, data, functions, factors, counters, predict, predictions)
    if predictions_out is not None and filled is not predictions_out:
        predictions_out[...] = filled
    replica = int(failed.argmin())
    lost = int(failed[replica])
    return (-1, -1) if lost == _NEVER else (lost, counters.first_replica + replica)


def forward(theta: Numbers, X: Numbers, activation: int | str, n_outputs: int) -> Numbers:
    """Predictions (R, n, k), float64: the mean over particles of ``a σ(⟨w, x⟩ + b)``."""
    R, C, _ = theta.shape
    no_steps = np.empty((0, C))
    factors = make_factors(no_steps, no_steps, no_steps, n_outputs)
    counters = NoiseCounters(np.uint64(0), 0, 0)
    out = np.empty((R, len(X), n_outputs))
    for start in range(0, len(X), _FORWARD_ROWS):
        rows = X[start : start + _FORWARD_ROWS]
        part = np.empty((R, 1, len(rows) * n_outputs))
        data = make_data(rows, np.zeros((len(rows), n_outputs)), C - n_outputs, theta.dtype)
        functions = make_functions(activation, 0, data, keep=False)
        _run(theta, data, functions, factors, counters, _PRESENT, part)
        out[:, start : start + _FORWARD_ROWS] = part.reshape(R, len(rows), n_outputs)
    return out
