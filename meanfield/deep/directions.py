"""Gaussian directions for the infinite-width limit: quasi-random at first, then independent."""

from __future__ import annotations

import numpy as np
from scipy.special import ndtri
from scipy.stats import qmc

from meanfield.system.generators import generator


class GaussianDirections:
    """A sequence of standard normal vectors of one replica, one coordinate per sample.

    The first `n_quasi` vectors are the coordinates of one scrambled Sobol sequence, in the order in
    which they are asked for, by whichever layer; the others are independent. Separate sequences for
    separate layers would not do: even with independent scramblings their first coordinates share
    leading digits, which makes them dependent. With quasi-random vectors `n_samples` is a power of
    two.
    """

    def __init__(self, seed: int, stream: int, n_samples: int, n_quasi: int):
        self.random = generator(seed, stream)
        self.n_samples, self.used = n_samples, 0
        self.quasi = np.empty((0, n_samples))
        if n_quasi:
            scrambling = int(self.random.integers(2**63))
            points = qmc.Sobol(n_quasi, rng=scrambling).random(n_samples)
            # The grid of 2^-30 gets its midpoints, so that no coordinate is exactly 0.
            self.quasi = ndtri(points.T + 2.0**-31)

    def take(self, count: int) -> np.ndarray:
        """Return the next vectors, shape (count, n_samples)."""
        quasi = self.quasi[self.used : self.used + count]
        self.used += count
        rest = self.random.standard_normal((count - len(quasi), self.n_samples))
        return np.concatenate([quasi, rest])
