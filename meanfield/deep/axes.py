"""The exact limit of linear networks: Gaussian variables as coordinates along orthonormal axes."""

from __future__ import annotations

import numpy as np

#: The engine of a run without samples.
EXACT = "exact"

#: Axes to begin with; where they do not suffice the run begins again with twice as many.
FIRST_AXES = 128


class OutOfAxesError(ArithmeticError):
    """More independent variables were drawn than there are axes."""


class Axes:
    """Independent standard normal variables, as vectors that are orthogonal exactly.

    With the identity activation every variable of the limit is a sum of independent Gaussian ones.
    What is ever asked for are second moments, and those of a variable with coordinates ``u`` and
    another with ``v``, ``⟨u, v⟩ = u·v / n``, are exact where the k-th fresh one is ``√n`` times the
    k-th unit vector. More axes change nothing.
    """

    def __init__(self, n_axes: int):
        self.n_axes, self.used = n_axes, 0

    def take(self, count: int) -> np.ndarray:
        """Return the next vectors, shape (count, n_axes)."""
        if self.used + count > self.n_axes:
            raise OutOfAxesError
        vectors = np.zeros((count, self.n_axes))
        vectors[np.arange(count), self.used + np.arange(count)] = np.sqrt(self.n_axes)
        self.used += count
        return vectors
