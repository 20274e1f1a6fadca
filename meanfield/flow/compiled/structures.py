"""What the compiled step is given, as named tuples of arrays and numbers."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import DTypeLike

from meanfield.flow.compiled.activations import is_polynomial, keeps_slope
from meanfield.flow.compiled.cache_key import CacheKey
from meanfield.flow.compiled.layout import BLOCK, PASS_COORDINATES, TILE_ROWS, Numbers, aligned
from meanfield.flow.compiled.losses import residuals_address
from meanfield.flow.compiled.simd import GROUP_BYTES
from meanfield.flow.compiled.tile import tile_addresses

# Tiles that are filled together, which bounds the memory that it takes.
_TILES_AT_ONCE = 64
# Bytes of kept activations per thread: what memory gives back sooner than arithmetic.
_KEEP_BYTES = 1 << 24
_KEEP_BYTES_WIDE = 1 << 28  # with wide inputs even main memory is faster than computing them again
_WIDE, _NARROW = 48, 24  # input dimensions; below the second, piecewise polynomials are not kept


class State(NamedTuple):
    """The particles of all replicas, changed in place."""

    theta: Numbers  # (R, rows, N) flattened
    rows: int  # C of positions, and what else an integrator carries along
    N: int


class Data(NamedTuple):
    """What the particles are trained on, and the sizes."""

    x: Numbers  # inputs, a column of ones for the bias, zero padding; `layout` has the order
    targets: Numbers  # (n k,)
    weights: Numbers  # (n,), of mean 1: what each datum counts
    drive: Numbers  # (n_steps, n k) or empty: predictions that replace the particles' own
    n: int
    k: int
    inputs: int  # d + 1 with a bias, d without
    columns: int  # inputs, rounded up to a multiple of 4


class UpdateFactors(NamedTuple):
    """The factors of each step's update."""

    decay: Numbers  # (n_steps, C)
    gain: Numbers  # (n_steps, C)
    noise: Numbers  # (n_steps, J, C)
    drift: Numbers  # (n_steps, C), or empty without velocities
    l2: Numbers  # (C,), for velocities
    train_outer: bool
    train_inner: bool


class NoiseCounters(NamedTuple):
    """Which random numbers a call uses: increment j of step t has number stride t + shift + j."""

    seed: np.uint64
    first_step: int  # absolute number of the first step
    first_replica: int
    stride: int = 1
    shift: int = 0
    substeps: int = 1  # fine increments summed, and divided by its square root, into each one


class Functions(NamedTuple):
    """The activation and the loss."""

    predict: int | CacheKey  # addresses of their compiled code
    pull: int | CacheKey
    residuals: int | CacheKey
    kept_per_pair: int  # numbers worth keeping: σ, and σ′ when σ does not determine it


class Buffers(NamedTuple):
    """Memory of one thread; everything holds whole blocks."""

    theta: Numbers  # (rows, 64) of the block at hand
    grad: Numbers  # (k + columns, 64), its gradient
    tile: Numbers  # (TILE_ROWS, 64), pre-activations, activations, then pulls
    sums: Numbers  # (n k, lanes / 4), predictions of the chunk at hand
    residuals: Numbers  # (n k,), divided by n
    predictions: Numbers  # (n k,) float64
    normals: Numbers  # (64,)
    kept: Numbers  # (blocks kept, 1 or 2, n, 64): σ, and σ′ when σ does not determine it


class Share(NamedTuple):
    """One thread's part of the work, and what it has in common with the others."""

    first_replica: int
    last_replica: int
    rank: int
    size: int  # threads that work on these replicas together
    partial: Numbers  # (2, chunks, n k): predictions of each chunk, of even and of odd steps
    arrivals: Numbers  # (1,): see `threads.wait`


class Output(NamedTuple):
    """What a call reports."""

    predict: int  # 0: no predictions, 1: those before each step, 2: those of the present state
    predictions: Numbers  # (R, n_steps, n k), or empty
    failed: Numbers  # (R,): receives the first state that is not finite


def _given(array: Numbers) -> Numbers:
    """float64 numbers to be read: never writeable, which to numba would be another type."""
    array = np.ascontiguousarray(array, np.float64).view()
    array.flags.writeable = False
    return array


def make_data(
    X: Numbers,
    targets: Numbers,
    inputs: int,
    dtype: DTypeLike,
    *,
    drive: Numbers | None = None,
    weights: Numbers | None = None,
) -> Data:
    """Inputs as the step wants them, a column of ones if ``inputs`` is d + 1, padded to fours.

    ``X`` is (n, d), ``targets`` (n, k), ``drive`` (n_steps, n, k) or None, ``weights`` (n,) of mean
    1 or None for a plain mean.
    """
    n, d = X.shape
    k = targets.shape[1]
    columns = -(-inputs // 4) * 4
    tiles = aligned(-(-n // TILE_ROWS) * TILE_ROWS * columns, np.dtype(dtype))
    tiles = tiles.reshape(-1, TILE_ROWS * columns)
    for first in range(0, n, _TILES_AT_ONCE * TILE_ROWS):
        part = X[first : first + _TILES_AT_ONCE * TILE_ROWS]
        some = tiles[first // TILE_ROWS :][:_TILES_AT_ONCE]
        rows = np.zeros((len(some) * TILE_ROWS, columns), dtype)
        rows[: len(part), :d] = part
        rows[: len(part), d:inputs] = 1
        fours = rows.reshape(len(some), -1, 4, columns).swapaxes(2, 3)
        for begin in range(0, columns, PASS_COORDINATES):
            of_pass = fours[:, :, begin : begin + PASS_COORDINATES]
            to = some[:, begin * TILE_ROWS :][:, : of_pass[0].size]
            to[:] = of_pass.reshape(len(some), -1)
    drive = _given(np.empty((0, n, k)) if drive is None else drive).reshape(-1, n * k)
    weights = _given(np.ones(n) if weights is None else weights)
    return Data(
        tiles.reshape(-1), _given(targets).reshape(-1), weights, drive, n, k, inputs, columns
    )


def make_factors(
    decay: Numbers,
    gain: Numbers,
    noise: Numbers,
    k: int,
    *,
    drift: Numbers | None = None,
    l2: Numbers | None = None,
) -> UpdateFactors:
    """Factors of ``n_steps`` updates with ``k`` outputs.

    ``noise`` is (n_steps, C) or (n_steps, J, C); ``decay`` and ``gain`` are (n_steps, C), or (C,)
    where all steps share them. ``drift`` (n_steps, C) and ``l2`` (C,) belong to the kinetic update.
    """
    noise = _given(noise)
    noise = noise[:, None] if noise.ndim == 2 else noise
    n_steps, _, C = noise.shape
    decay, gain = (_given(np.broadcast_to(a, (n_steps, C))) for a in (decay, gain))
    drift = _given(np.empty((0, 0)) if drift is None else drift)
    l2 = _given(np.zeros(C) if l2 is None else l2)
    outer, inner = bool(gain[:, :k].any()), bool(gain[:, k:].any())
    return UpdateFactors(decay, gain, noise, drift, l2, outer, inner)


def make_functions(activation: int | str, loss: int | str, data: Data, *, keep: bool) -> Functions:
    """The activation and the loss with these codes; ``keep`` allows to keep activations."""
    kept = 2 if keeps_slope(activation) else 1
    if not keep or (data.inputs < _NARROW and is_polynomial(activation)):
        kept = 0
    dtype = data.x.dtype
    return Functions(*tile_addresses(activation, dtype), residuals_address(loss, dtype), kept)


def make_buffers(data: Data, rows: int, n_blocks: int, kept_per_pair: int) -> Buffers:
    """Memory for one thread that passes over ``n_blocks`` blocks of states of ``rows`` rows."""
    dtype, n, k = data.x.dtype, data.n, data.k
    block_bytes = kept_per_pair * n * BLOCK * dtype.itemsize
    budget = _KEEP_BYTES_WIDE if data.inputs >= _WIDE else _KEEP_BYTES
    slots = min(n_blocks, budget // max(block_bytes, 1)) if kept_per_pair else 0
    quarter = GROUP_BYTES // dtype.itemsize // 4
    return Buffers(
        theta=aligned(rows * BLOCK, dtype),
        grad=aligned((k + data.columns) * BLOCK, dtype),
        tile=aligned(TILE_ROWS * BLOCK, dtype),
        sums=aligned(n * k * quarter, dtype),
        residuals=aligned(n * k, dtype),
        predictions=np.empty(n * k),
        normals=aligned(BLOCK, dtype),
        kept=aligned(slots * block_bytes // dtype.itemsize, dtype),
    )
