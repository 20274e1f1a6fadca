"""What this machine can do: the limits that the kernels are held against.

    python -m scripts.benchmarks.particles.bounds

prints them as JSON. Rates are of one thread; for what cores do side by side, run it on each.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable

import numba
import numpy as np
from threadpoolctl import threadpool_limits

from meanfield.flow.compiled.gaussians import block_gaussians
from meanfield.flow.compiled.layout import BLOCK, TILE_ROWS, aligned
from meanfield.flow.compiled.simd import GROUP_BYTES, fma, lanes, load, store, zeros
from meanfield.flow.compiled.structures import make_buffers, make_data
from meanfield.flow.compiled.tile import Tile, predict_rows, tile_addresses
from meanfield.problem import get_activation

_WARM, _MEASURED = 0.2, 0.3  # seconds


@numba.njit
def multiply_add(x, out, n):
    a, z0, z1, z2, z3 = load(x, 0), zeros(x), zeros(x), zeros(x), zeros(x)
    for _ in range(n):
        z0, z1, z2, z3 = fma(a, a, z0), fma(a, a, z1), fma(a, a, z2), fma(a, a, z3)
    store(out, 0, z0 + z1 + z2 + z3)


@numba.njit
def _read(x, out):
    total = zeros(x)
    for i in range(0, x.size, lanes(x)):
        total = total + load(x, i)
    store(out, 0, total)


@numba.njit
def _write(x, out):
    value = load(out, 0)
    for i in range(0, x.size, lanes(x)):
        store(x, i, value)


@numba.njit
def _activate(address, tile, n):
    for _ in range(n):
        predict_rows(address, tile)


@numba.njit
def _draw(normals, total, n):
    for i in range(n):
        block_gaussians(normals, i, 0, 0, 0, 0, np.uint64(0))
        for g in range(0, BLOCK, lanes(normals)):
            store(total, g, load(total, g) + load(normals, g))


def sustained(function: Callable, *args: object) -> float:
    """Median of timed calls over a while, after others that compile and warm the core.

    The shortest would show the clock that a core holds for milliseconds after a rest.
    """
    function(*args)
    times = []
    begin = time.perf_counter()
    while (now := time.perf_counter()) < begin + _WARM + _MEASURED or len(times) < 3:
        function(*args)
        if now > begin + _WARM:
            times.append(time.perf_counter() - now)
    return float(np.median(times))


def second_cache_bytes() -> int:
    """Size of one core's second-level cache; a megabyte where the system does not tell."""
    try:
        return os.sysconf("SC_LEVEL2_CACHE_SIZE") or 2**20
    except (AttributeError, OSError, ValueError):
        return 2**20


def measure() -> dict[str, dict[str, float]]:
    """The limits, per float type."""
    return {dtype: _of_type(np.dtype(dtype)) for dtype in ("float64", "float32")}


def _of_type(dtype: np.dtype) -> dict[str, float]:
    x, out = aligned(2**24 // dtype.itemsize * 4, dtype), aligned(256, dtype)
    x[:] = 1  # pages that were never written are not memory
    matrix = np.ones((1024, 1024), dtype)
    product = np.empty_like(matrix)
    n = 20000
    group = GROUP_BYTES // dtype.itemsize
    result = {
        "multiply_add_gflops": 2 * 4 * group * n / sustained(multiply_add, x, out, n) / 1e9,
        "read_gb_s": x.nbytes / sustained(_read, x, out) / 1e9,
        "write_gb_s": x.nbytes / sustained(_write, x, out) / 1e9,
    }
    with threadpool_limits(1):
        seconds = sustained(lambda: np.dot(matrix, matrix, out=product))
    result["gemm_gflops"] = 2 * 1024**3 / seconds / 1e9
    data = make_data(np.ones((TILE_ROWS, 4)), np.ones((TILE_ROWS, 1)), 5, dtype)
    buffers = make_buffers(data, 6, 1, 0)
    tile = Tile(
        buffers.tile, buffers.theta, buffers.sums, buffers.grad, buffers.residuals, buffers.kept,
        0, 0, 0, 0, TILE_ROWS, 1, False,
    )  # fmt: skip
    for name in ("tanh", "relu", "silu", "gelu"):
        address, _ = tile_addresses(get_activation(name).code, dtype)
        calls = 200
        seconds = sustained(_activate, address, tile, calls)
        per_pair = seconds / (calls * TILE_ROWS * BLOCK)
        result[f"{name}_ns"] = per_pair * 1e9
    result["second_cache_bytes"] = second_cache_bytes()
    per_draw = sustained(_draw, buffers.normals, buffers.theta, 2000) / (2000 * BLOCK)
    result["gaussian_ns"] = per_draw * 1e9
    return result


if __name__ == "__main__":
    print(json.dumps(measure()))
