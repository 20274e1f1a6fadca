"""Philox-4x32-10 and Box–Muller for one block of 64 particles, in SIMD vectors.

Sixteen counters make 64 words: four runs of sixteen, one per slot (see `meanfield.flow.noise`).
"""

from __future__ import annotations

import math

import numpy as np
from numba import types
from numba.extending import overload

from meanfield.flow.compiled.cache_key import KEY, entry
from meanfield.flow.compiled.functions import (
    cosine_reduced,
    log1p_reduced,
    rotate,
    sine_reduced,
    split_exponent,
)
from meanfield.flow.compiled.layout import BLOCK, aligned
from meanfield.flow.compiled.simd import (
    INLINE_OPTIONS,
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
_QUARTER = 2.0 * math.pi / 2.0**32  # radians per unit of a word


@inline
def philox(c0, c1, c2, c3, seed):
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
def block_words(block, coordinate, stream, step, replica, seed):
    """The words of slots 0, 1, 2, 3 of one block of 64 particles and one coordinate."""
    c1 = np.uint64(coordinate) | (np.uint64(stream) << np.uint64(24))
    return philox(
        count_from(np.uint64(16 * block)),
        repeat(c1),
        repeat(np.uint64(step) & _MASK),
        repeat(np.uint64(replica)),
        seed,
    )


def _reduced64(u, m, like):
    return m - 1.0


def _reduced32(u, m, like):
    # A word near 2^32 rounds in float32; its distance to 2^32 does not.
    distance = to_float(u ^ np.uint32(0xFFFFFFFF), like) + 0.5
    return select(u >= np.uint32(0xB504F334), distance * -(2.0**-32), m - 1.0)


def _reduced(u, m, like):
    return (_reduced32 if like.dtype == np.float32 else _reduced64)(u, m, like)


@overload(_reduced, jit_options=INLINE_OPTIONS)
def _reduced_of(u, m, like):
    return _reduced32 if like.dtype is types.float32 else _reduced64


@inline
def _radius(u, like):
    """√(−2 ln((u + ½) 2^-32))."""
    exponent, m = split_exponent(to_float(u, like) + 0.5)
    logarithm = fma(exponent - 32.0, _LN2, log1p_reduced(_reduced(u, m, like)))
    return square_root(-2.0 * logarithm)


@inline
def block_gaussians(out, block, coordinate, stream, step, replica, seed):
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
def _fill_gaussians(key, out, scratch, coordinates, stream, step, replica, seed):
    n_particles = out.shape[1]
    for row in range(coordinates.size):
        for block in range((n_particles + BLOCK - 1) // BLOCK):
            block_gaussians(scratch, block, coordinates[row], stream, step, replica, seed)
            start = block * BLOCK
            for i in range(start, min(start + BLOCK, n_particles)):
                out[row, i] = scratch[i - start]


@entry
def _fill_words(key, out, scratch, coordinates, stream, step, replica, seed):
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
def _fill_philox(cache_key, out, counter, key):
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
    _fill_gaussians(KEY, out, scratch, coordinates, stream, step, replica, np.uint64(seed))


def fill_words(out, coordinates, stream, step, replica, seed):
    """Fill ``out`` (len(coordinates), N) uint32 with the raw words, one per particle."""
    scratch = np.empty(BLOCK, np.uint32)
    _fill_words(KEY, out, scratch, coordinates, stream, step, replica, np.uint64(seed))


def fill_philox(out, counter, key):
    """Fill ``out`` (m, 4) with the words of ``counter`` (m, 4) under ``key`` (m, 2)."""
    _fill_philox(KEY, out, counter, key)
