"""Philox-4x32-10 and Box–Muller for one block of 64 particles, in SIMD vectors.

Sixteen counters make 64 words: four runs of sixteen, one per slot (see `meanfield.flow.noise`).
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit, types
from numba.extending import overload

from meanfield.flow.compiled.functions import (
    cosine_reduced,
    log1p_reduced,
    rotate,
    sine_reduced,
    split_exponent,
)
from meanfield.flow.compiled.simd.operations import (
    count_from,
    fma,
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

_inline = njit(forceinline=True)

_MULTIPLIER_0, _MULTIPLIER_1 = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
_WEYL_0, _WEYL_1 = np.uint64(0x9E3779B9), np.uint64(0xBB67AE85)
_MASK, _32 = np.uint64(0xFFFFFFFF), np.uint64(32)
_LN2 = 0.6931471805599453
_QUARTER = 2.0 * math.pi / 2.0**32  # radians per unit of a word


@_inline
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


@_inline
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


def _reduced(u, m, like):
    raise NotImplementedError("only in compiled code")


@overload(_reduced, jit_options={"forceinline": True})
def _reduced_of(u, m, like):
    if like.dtype is types.float64:
        return lambda u, m, like: m - 1.0
    # A word near 2^32 rounds in float32; its distance to 2^32 does not.
    top = np.uint32(0xB504F334)
    full = np.uint32(0xFFFFFFFF)

    def single(u, m, like):
        distance = to_float(u ^ full, like) + 0.5
        return select(u >= top, distance * -(2.0**-32), m - 1.0)

    return single


@_inline
def _radius(u, like):
    """√(−2 ln((u + ½) 2^-32))."""
    exponent, m = split_exponent(to_float(u, like) + 0.5)
    logarithm = fma(exponent - 32.0, _LN2, log1p_reduced(_reduced(u, m, like)))
    return square_root(-2.0 * logarithm)


@_inline
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
