"""Compiled kernels of the particle system: noise, forward pass, time stepping.

Layout: ``theta`` is (R, C, N), coordinate major; rows ``0..k-1`` hold the outer weights ``a``, the
next ``d`` the inner weights ``w``, and the last one the bias ``b`` when there is one
(``C = k + d + 1`` with a bias, ``C = k + d`` without).

One step, with ``g_c`` the gradient of the data part ``(1/n) Σ_j ⟨r_j, a⟩ σ(⟨w, x_j⟩ + b)``::

    θ_c ← decay_c θ_c − gain_c g_c + noise_{t,c} ξ_{t,c}

so that one kernel serves Euler–Maruyama and exponential Euler alike. ``gain_c = 0`` and
``noise_{:,c} = 0`` with ``decay_c = 1`` freeze a coordinate.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numba
import numpy as np
from numba import njit

BLOCK = 64  # particles per block: 16 Philox counters, four runs of 16 Gaussians

_M0, _M1 = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
_W0, _W1 = np.uint64(0x9E3779B9), np.uint64(0xBB67AE85)
_MASK = np.uint64(0xFFFFFFFF)
_32 = np.uint64(32)
_TURN = 2.0 * math.pi / 4294967296.0
_ULP = 1.0 / 4294967296.0
_jit = njit(cache=True, nogil=True, fastmath={"contract", "nsz"})


@_jit
def philox_words(c0, c1, c2, c3, k0, k1):
    """Philox4x32-10: four 32-bit words (held in uint64) from a counter and a key."""
    for _ in range(10):
        p0 = _M0 * c0
        p1 = _M1 * c2
        c0, c1, c2, c3 = (p1 >> _32) ^ c1 ^ k0, p1 & _MASK, (p0 >> _32) ^ c3 ^ k1, p0 & _MASK
        k0 = (k0 + _W0) & _MASK
        k1 = (k1 + _W1) & _MASK
    return c0, c1, c2, c3


@_jit
def block_words(out, block, coordinate, stream, step, replica, seed):
    """Fill ``out`` (4, 16) with the words of one block of 64 particles and one coordinate."""
    k0, k1 = seed & _MASK, seed >> _32
    c1 = np.uint64(coordinate) | (np.uint64(stream) << np.uint64(24))
    for lane in range(16):
        c0 = np.uint64(16 * block + lane)
        out[0, lane], out[1, lane], out[2, lane], out[3, lane] = philox_words(
            c0, c1, np.uint64(step) & _MASK, np.uint64(replica), k0, k1
        )


@_jit
def block_gaussians(out, words, block, coordinate, stream, step, replica, seed):
    """Fill ``out`` (64,) with the Gaussians of one block and one coordinate."""
    block_words(words, block, coordinate, stream, step, replica, seed)
    for half in range(2):
        for lane in range(16):
            radius = math.sqrt(-2.0 * math.log((words[2 * half, lane] + 0.5) * _ULP))
            angle = words[2 * half + 1, lane] * _TURN
            out[32 * half + lane] = radius * math.cos(angle)
            out[32 * half + 16 + lane] = radius * math.sin(angle)


@_jit
def fill_gaussians(out, coordinates, stream, step, replica, seed):
    """Fill ``out`` (len(coordinates), N) with Gaussians."""
    words = np.empty((4, 16), np.uint64)
    block_out = np.empty(BLOCK)
    for row in range(coordinates.size):
        for start in range(0, out.shape[1], BLOCK):
            stop = min(start + BLOCK, out.shape[1])
            block_gaussians(
                block_out, words, start // BLOCK, coordinates[row], stream, step, replica, seed
            )
            for i in range(start, stop):
                out[row, i] = block_out[i - start]


@_jit
def fill_words(out, coordinates, stream, step, replica, seed):
    """Fill ``out`` (len(coordinates), N) uint32 with the raw words, one per particle."""
    words = np.empty((4, 16), np.uint64)
    for row in range(coordinates.size):
        for start in range(0, out.shape[1], BLOCK):
            block_words(words, start // BLOCK, coordinates[row], stream, step, replica, seed)
            for i in range(start, min(start + BLOCK, out.shape[1])):
                out[row, i] = words[(i - start) // 16, i % 16]


@_jit
def fill_philox(out, counter, key):
    """Fill ``out`` (m, 4) with the words of ``counter`` (m, 4) under ``key`` (m, 2)."""
    for i in range(out.shape[0]):
        out[i, 0], out[i, 1], out[i, 2], out[i, 3] = philox_words(
            np.uint64(counter[i, 0]),
            np.uint64(counter[i, 1]),
            np.uint64(counter[i, 2]),
            np.uint64(counter[i, 3]),
            np.uint64(key[i, 0]),
            np.uint64(key[i, 1]),
        )


@_jit
def activate(code, z):
    """σ(z) and σ'(z) of the activation with this code."""
    if code == 0:
        return z, 1.0
    if code == 1:
        s = math.tanh(z)
        return s, 1.0 - s * s
    if code == 2:
        return math.erf(z), 2.0 / math.sqrt(math.pi) * math.exp(-z * z)
    if code == 3:
        return math.sin(z), math.cos(z)
    if code == 4:
        s = logistic(z)
        return s, s * (1.0 - s)
    if code == 5:
        return (z, 1.0) if z > 0 else (0.0 * z, 0.0)
    if code == 6:
        return (z, 1.0) if z > 0 else (0.01 * z, 0.01)
    if code == 7:
        s = logistic(z)
        return z * s, s * (1.0 + z * (1.0 - s))
    if code == 8:
        cdf = 0.5 * math.erfc(-z / math.sqrt(2.0))
        return z * cdf, cdf + z * math.exp(-0.5 * z * z) / math.sqrt(2.0 * math.pi)
    if code == 9:
        return max(z, 0.0) + math.log1p(math.exp(-abs(z))), logistic(z)
    if code == 10:
        return math.cos(z), -math.sin(z)
    if code == 11:
        return abs(z), (1.0 if z > 0 else (-1.0 if z < 0 else 0.0))
    return hermite(code - 11, z)


@_jit
def logistic(z):
    """1 / (1 + exp(−z)) without overflow."""
    t = math.exp(-abs(z))
    return 1.0 / (1.0 + t) if z >= 0 else t / (1.0 + t)


@_jit
def hermite(degree, z):
    """He_k(z) and its derivative k He_{k−1}(z), by the three-term recursion."""
    previous, value = 1.0, z
    for k in range(1, degree):
        previous, value = value, z * value - k * previous
    return value, degree * previous


@_jit
def residuals(out, f, targets, loss):
    """Fill ``out`` (n, k) with ∂ℓ/∂f."""
    n, k = f.shape
    for j in range(n):
        if loss == 0:
            for o in range(k):
                out[j, o] = f[j, o] - targets[j, o]
        elif loss == 1:
            for o in range(k):
                out[j, o] = -targets[j, o] * logistic(-targets[j, o] * f[j, o])
        else:
            peak = f[j, 0]
            for o in range(1, k):
                peak = max(peak, f[j, o])
            total = 0.0
            for o in range(k):
                out[j, o] = math.exp(f[j, o] - peak)
                total += out[j, o]
            for o in range(k):
                out[j, o] = out[j, o] / total - targets[j, o]


@_jit
def preactivations(z, theta, X, j, start, stop, k):
    """z_i = ⟨w_i, x_j⟩ + b_i for the particles of one block."""
    d = X.shape[1]
    bias = theta.shape[0] - k - d
    for i in range(start, stop):
        z[i - start] = theta[k + d, i] if bias else theta.dtype.type(0)
    for c in range(d):
        x = X[j, c]
        for i in range(start, stop):
            z[i - start] += theta[k + c, i] * x


@_jit
def predict(f, theta, X, code):
    """Fill ``f`` (n, k) with the mean over particles of a σ(⟨w, x⟩ + b)."""
    n, k = f.shape
    N = theta.shape[1]
    z = np.empty(BLOCK, theta.dtype)
    f[:] = 0.0
    for start in range(0, N, BLOCK):
        stop = min(start + BLOCK, N)
        for j in range(n):
            preactivations(z, theta, X, j, start, stop, k)
            for i in range(stop - start):
                z[i] = activate(code, z[i])[0]
            for o in range(k):
                total = 0.0
                for i in range(start, stop):
                    total += theta[o, i] * z[i - start]
                f[j, o] += total
    f /= N


@_jit
def block_gradient(g, theta, X, r, start, stop, code, z):
    """Fill ``g`` (C, 64) with the data gradient of one block."""
    n, k = r.shape
    d = X.shape[1]
    g[:] = 0.0
    for j in range(n):
        preactivations(z, theta, X, j, start, stop, k)
        for i in range(stop - start):
            value, slope = activate(code, z[i])
            pull = 0.0
            for o in range(k):
                g[o, i] += r[j, o] * value
                pull += r[j, o] * theta[o, start + i]
            z[i] = pull * slope
        for c in range(d):
            for i in range(stop - start):
                g[k + c, i] += z[i] * X[j, c]
        if theta.shape[0] > k + d:
            for i in range(stop - start):
                g[k + d, i] += z[i]


@_jit
def add_noise(theta, amplitude, step, substeps, replica, seed, start, stop, xi, words):
    """θ_{c,i} += amplitude_c ξ, ξ the normalised sum over the ``substeps`` fine increments."""
    for c in range(theta.shape[0]):
        if amplitude[c] == 0.0:
            continue
        scale = amplitude[c] / math.sqrt(substeps)
        for m in range(substeps):
            block_gaussians(xi, words, start // BLOCK, c, 0, substeps * step + m, replica, seed)
            for i in range(start, stop):
                theta[c, i] += scale * xi[i - start]


@_jit
def advance_replica(
    theta, X, targets, first_step, seed, replica, decay, gain, noise, code, loss, drive, out, sub
):
    """Advance one replica (C, N) in place; the step of the first non-finite state or −1."""
    n, k = targets.shape
    C, N = theta.shape
    f, r = np.empty((n, k)), np.empty((n, k))
    z, g = np.empty(BLOCK, theta.dtype), np.empty((C, BLOCK), theta.dtype)
    xi, words = np.empty(BLOCK), np.empty((4, 16), np.uint64)
    for t in range(noise.shape[0]):
        if out.size or not drive.size:
            predict(f, theta, X, code)
            if not np.isfinite(f).all():
                return first_step + t
        if out.size:
            out[t] = f
        residuals(r, drive[t] if drive.size else f, targets, loss)
        r /= n
        bad = 0.0
        for start in range(0, N, BLOCK):
            stop = min(start + BLOCK, N)
            block_gradient(g, theta, X, r, start, stop, code, z)
            for c in range(C):
                for i in range(start, stop):
                    theta[c, i] = decay[c] * theta[c, i] - gain[c] * g[c, i - start]
            add_noise(theta, noise[t], first_step + t, sub, replica, seed, start, stop, xi, words)
            for c in range(C):
                for i in range(start, stop):
                    bad += 0.0 * theta[c, i]
        if bad != 0.0:
            return first_step + t + 1
    return -1


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
    drive: np.ndarray | None = None,
    predictions_out: np.ndarray | None = None,
    substeps: int = 1,
) -> tuple[int, int]:
    """Advance ``theta`` in place by ``len(noise)`` steps of the update in the module's docstring.

    Parameters
    ----------
    theta
        (R, C, N), float32 or float64, C-contiguous: the particles, changed in place.
    X, targets
        (n, d) inputs and (n, k) targets.
    first_step, seed, replica0
        Absolute number of the first step, the seed, and the replica number of ``theta[0]``: with
        the particle and the coordinate they determine the noise.
    decay, gain, noise
        (C,), (C,) and (n_steps, C): the update's factors, per coordinate.
    activation, loss
        Codes, as in ``ACTIVATIONS`` and in ``meanfield.problem.losses``.
    drive
        (n_steps, n, k) predictions that replace the particles' own, or None.
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
    X = np.ascontiguousarray(X, theta.dtype)
    targets = np.ascontiguousarray(targets, np.float64)
    decay, gain = np.asarray(decay, np.float64), np.asarray(gain, np.float64)
    noise = np.ascontiguousarray(noise, np.float64)
    nothing = np.empty((0, 0, 0))
    drive = nothing if drive is None else np.ascontiguousarray(drive, np.float64)

    def advance_one(r: int) -> int:
        return advance_replica(
            theta[r], X, targets, first_step, np.uint64(seed), replica0 + r, decay, gain, noise,
            activation, loss, drive, nothing if predictions_out is None else predictions_out[r],
            substeps,
        )  # fmt: skip

    stopped = _over_replicas(advance_one, len(theta))
    return min(
        ((step, replica0 + r) for r, step in enumerate(stopped) if step >= 0), default=(-1, -1)
    )


def forward(theta: np.ndarray, X: np.ndarray, activation: int, n_outputs: int) -> np.ndarray:
    """Predictions (R, n, k), float64: the mean over particles of ``a σ(⟨w, x⟩ + b)``."""
    X = np.ascontiguousarray(X, theta.dtype)
    out = np.empty((len(theta), len(X), n_outputs))
    _over_replicas(lambda r: predict(out[r], theta[r], X, activation), len(theta))
    return out


def _over_replicas(function: Callable[[int], Any], n_replicas: int) -> list[Any]:
    """Call ``function`` for every replica, on as many threads as numba may use."""
    n_threads = min(numba.get_num_threads(), n_replicas)
    if n_threads == 1:
        return [function(r) for r in range(n_replicas)]
    with ThreadPoolExecutor(n_threads) as pool:
        return list(pool.map(function, range(n_replicas)))
