"""Noise as a function: every number is determined by (seed, replica, step, particle, coordinate).

Counter-based generation (Philox-4x32-10, [1]_) needs no state, so a particle's Brownian path does
not depend on how many particles run beside it, on the number of threads, or on a restart.

Counter and key of particle ``i``, coordinate ``c``::

    key      = (seed mod 2^32, seed div 2^32)
    counter  = (16 (i div 64) + i mod 16,  c + 2^24 stream,  step,  replica)

and of the four words of that call the particle owns number ``s = (i mod 64) div 16``. Gaussians
come from Box–Muller: words ``(x, y)`` of an even and the following odd slot give

    u = (x + 1/2) 2^-32,  v = y 2^-32,   √(−2 ln u) cos 2πv  and  √(−2 ln u) sin 2πv.

References
----------
.. [1] J. K. Salmon et al., Parallel random numbers: as easy as 1, 2, 3, SC '11 (2011).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import DTypeLike, NDArray

from meanfield.flow.compiled import gaussians
from meanfield.flow.compiled.cache_key import KEY
from meanfield.flow.compiled.layout import BLOCK, Numbers, aligned

BROWNIAN, INITIAL, MINIBATCH = 0, 1, 3  # streams


def gaussian(
    seed: int,
    replica: int,
    step: int,
    n_particles: int,
    coordinates: int | Sequence[int],
    stream: int = BROWNIAN,
    dtype: DTypeLike = "float64",
) -> Numbers:
    """Standard normal variables ξ of one replica and step, (number of coordinates, n_particles).

    An integer ``c`` stands for the coordinates ``0 .. c-1``, particles start from 0. In float32
    they are the same numbers up to rounding.
    """
    chosen = _checked(seed, replica, step, coordinates, stream)
    out = np.empty((chosen.size, n_particles), np.dtype(dtype))
    scratch = aligned(BLOCK, out.dtype)
    gaussians.fill_gaussians(KEY, out, scratch, chosen, stream, step, replica, np.uint64(seed))
    return out


def words(
    seed: int,
    replica: int,
    step: int,
    n_particles: int,
    coordinates: int | Sequence[int],
    stream: int,
) -> Numbers:
    """The raw 32-bit words, one per particle and coordinate (arguments as in `gaussian`)."""
    chosen = _checked(seed, replica, step, coordinates, stream)
    out = np.empty((chosen.size, n_particles), np.uint32)
    scratch = np.empty(BLOCK, np.uint32)
    gaussians.fill_words(KEY, out, scratch, chosen, stream, step, replica, np.uint64(seed))
    return out


def philox(counter: Numbers, key: Numbers) -> Numbers:
    """Philox-4x32-10: the words (..., 4) of counters (..., 4) under keys (..., 2), all uint32."""
    counter = np.asarray(counter, np.uint32)
    key = np.broadcast_to(np.asarray(key, np.uint32), (*counter.shape[:-1], 2))
    out = np.empty_like(counter)
    counters, keys, word = counter.reshape(-1, 4), key.reshape(-1, 2), np.empty(16, np.uint32)
    gaussians.fill_philox(KEY, out.reshape(-1, 4), counters, keys, word)
    return out


def _checked(
    seed: int, replica: int, step: int, coordinates: int | Sequence[int], stream: int
) -> NDArray[np.int64]:
    """Coordinates as an array, after checking that all counter words are in range."""
    for name, value, bits in (
        ("seed", seed, 64), ("replica", replica, 32), ("step", step, 32), ("stream", stream, 8)
    ):  # fmt: skip
        if not 0 <= value < 2**bits:
            raise ValueError(f"{name} is {value}; it must lie in [0, 2^{bits}).")
    chosen = np.arange(coordinates) if isinstance(coordinates, int) else np.asarray(coordinates)
    if chosen.size and not (chosen.min() >= 0 and chosen.max() < 2**24):
        raise ValueError(f"coordinates reach {chosen.max()}; they must lie in [0, 2^24).")
    return chosen.astype(np.int64)
