"""Philox-4x32-10 and Box–Muller for one block of 64 particles, in SIMD vectors.

Sixteen counters make 64 words: four runs of sixteen, one per slot (see `meanfield.flow.noise`).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from numba import types
from numba.extending import overload
from numpy.typing import NDArray

from meanfield.flow.compiled.cache_key import CacheKey, entry
from meanfield.flow.compiled.functions import (
    cosine_reduced,
    log1p_reduced,
    rotate,
    sine_reduced,
    split_exponent,
)
from meanfield.flow.compiled.layout import BLOCK, Numbers
from meanfield.flow.compiled.simd import (
    INLINE_OPTIONS,
    Vector,
    count_from,
    fma,
    inline,
    join,
    lower_half,
    narrow,
    repeat,
    select,
    signed_to_float,
    square_root,
    store,
    to_float,
    upper_half,
)

_MULTIPLIER_0, _MULTIPLIER_1 = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
_WEYL_0, _WEYL_1 = np.uint64(0x9E3779B9), np.uint64(0xBB67AE85)
_MASK, _32 = np.uint64(0xFFFFFFFF), np.uint64(32)
_LN2 = 0.6931471805599453
Words: TypeAlias = tuple[Vector, Vector, Vector, Vector]

_QUARTER = 2.0 * math.pi / 2.0**32  # radians per unit of a word


@inline
def philox(c0: Vector, c1: Vector, c2: Vector, c3: Vector, seed: np.uint64) -> Words:
    """Four words of each of sixteen counters, held in uint64 lanes."""
    key0, key1 = seed & _MASK, seed >> _32
    for _ in range(10):
        product0 = (c0 & _MASK) * _MULTIPLIER_0
        product1 = (c2 & _MASK) * _MULTIPLIER_1
        c0, c1 = (product1 >> _32) ^ c1 ^ key0, product1
        c2, c3 = (product0 >> _32) ^ c3 ^ key1, product0
        key0 = (key0 + _WEYL_0) & _MASK
        key1 = (key1 + _WEYL_1) & _MASK
    return narrow(c0), narrow(c1), narrow(c2), narrow(c3)


@inline
def block_words(
    block: int, coordinate: int, stream: int, step: int, replica: int, seed: np.uint64
) -> Words:
    """The words of slots 0, 1, 2, 3 of one block of 64 particles and one coordinate."""
    c1 = np.uint64(coordinate) | (np.uint64(stream) << np.uint64(24))
    return philox(
        count_from(np.uint64(16 * block)),
        repeat(c1),
        repeat(np.uint64(step) & _MASK),
        repeat(np.uint64(replica)),
        seed,
    )


def _reduced64(u: Vector, m: Vector, like: Numbers) -> Vector:
    return m - 1.0


def _reduced32(u: Vector, m: Vector, like: Numbers) -> Vector:
    # A word near 2^32 rounds in float32; its distance to 2^32 does not.
    distance = to_float(u ^ np.uint32(0xFFFFFFFF), like) + 0.5
    return select(u >= np.uint32(0xB504F334), distance * -(2.0**-32), m - 1.0)


def _reduced(u: Vector, m: Vector, like: Numbers) -> Vector:
    return (_reduced32 if like.dtype == np.float32 else _reduced64)(u, m, like)


@overload(_reduced, jit_options=INLINE_OPTIONS)
def _reduced_of(u: Vector, m: Vector, like: Numbers) -> Callable[..., Vector]:
    return _reduced32 if like.dtype is types.float32 else _reduced64


@inline
def _radius(u: Vector, like: Numbers) -> Vector:
    """√(−2 ln((u + ½) 2^-32))."""
    exponent, m = split_exponent(to_float(u, like) + 0.5)
    logarithm = fma(exponent - 32.0, _LN2, log1p_reduced(_reduced(u, m, like)))
    return square_root(-2.0 * logarithm)


@inline
def block_gaussians(
    out: Numbers, block: int, coordinate: int, stream: int, step: int, replica: int, seed: np.uint64
) -> None:
    """Fill ``out[:64]`` with the Gaussians of one block and one coordinate."""
    x0, x1, x2, x3 = block_words(block, coordinate, stream, step, replica, seed)
    radius = _radius(join(x0, x2), out)
    turn = join(x1, x3)
    quadrant = (turn + np.uint32(1 << 29)) >> np.uint32(30)
    angle = _QUARTER * signed_to_float(turn - (quadrant << np.uint32(30)), out)
    sine, cosine = rotate(sine_reduced(angle), cosine_reduced(angle), quadrant)
    x, y = radius * cosine, radius * sine
    store(out, 0, lower_half(x))
    store(out, 16, lower_half(y))
    store(out, 32, upper_half(x))
    store(out, 48, upper_half(y))


# Noise on its own ---------------------------------------------------------------------------------


@entry
def fill_gaussians(
    key: CacheKey,
    out: Numbers,
    scratch: Numbers,
    coordinates: NDArray[np.int64],
    stream: int,
    step: int,
    replica: int,
    seed: np.uint64,
) -> None:
    """Fill ``out`` (len(coordinates), N) with Gaussians; ``scratch`` holds one block."""
    n_particles = out.shape[1]
    for row in range(coordinates.size):
        for block in range((n_particles + BLOCK - 1) // BLOCK):
            block_gaussians(scratch, block, coordinates[row], stream, step, replica, seed)
            start = block * BLOCK
            for i in range(start, min(start + BLOCK, n_particles)):
                out[row, i] = scratch[i - start]


@entry
def fill_words(
    key: CacheKey,
    out: NDArray[np.uint32],
    scratch: NDArray[np.uint32],
    coordinates: NDArray[np.int64],
    stream: int,
    step: int,
    replica: int,
    seed: np.uint64,
) -> None:
    """The same with the raw words, one per particle."""
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


@entry
def fill_philox(
    cache_key: CacheKey,
    out: NDArray[np.uint32],
    counter: NDArray[np.uint32],
    key: NDArray[np.uint32],
    word: NDArray[np.uint32],
) -> None:
    """Fill ``out`` (m, 4) with the words of ``counter`` (m, 4) under ``key`` (m, 2).

    ``word`` holds sixteen.
    """
    for row in range(out.shape[0]):
        c0, c1 = np.uint64(counter[row, 0]), np.uint64(counter[row, 1])
        c2, c3 = np.uint64(counter[row, 2]), np.uint64(counter[row, 3])
        seed = np.uint64(key[row, 0]) | (np.uint64(key[row, 1]) << np.uint64(32))
        for slot, words in enumerate(philox(repeat(c0), repeat(c1), repeat(c2), repeat(c3), seed)):
            store(word, 0, words)
            out[row, slot] = word[0]
