r"""Fluctuations at inputs that the network is not trained on.

There :math:`g(x) = G(x) + E[∇ψ_x(\barθ) · e]`, with the displacements that the data made.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from meanfield.chaos.response.linearised import moving_columns

if TYPE_CHECKING:
    from meanfield.problem import Problem

Array = NDArray[np.floating]

_HELD = 2**23  # numbers that are held at a time


@dataclass(frozen=True)
class Elsewhere:
    """Inputs (m, d) at which the function constant is wanted too."""

    problem: Problem
    inputs: Array

    def variance(self, positions: Array) -> float:
        """Return ``Var ψ_x`` over particles (C, size), summed over outputs, mean over inputs."""
        size = positions.shape[1]
        sums = np.zeros((2, len(self.inputs), self.problem.n_outputs))
        rows = max(1, _HELD // sums[0].size)
        for first in range(0, size, rows):
            psi = self._features(positions[:, first : first + rows]).astype(float)
            sums += psi.sum(axis=0), np.square(psi).sum(axis=0)
        return float((sums[1] - sums[0] ** 2 / size).sum() / (size - 1) / len(self.inputs))

    def feedback(self, positions: Array, weights: Array, displacement: Array) -> float:
        """Return what the response adds to that variance.

        Of particles (C, M), the sources' weights (M, R) and displacements (M, p, R) under them.
        """
        M = len(weights)
        source = np.tensordot(self._features(positions), weights, (0, 0)).astype(float)
        sums, squares = np.zeros(source.shape), np.zeros(source.shape)
        rows = max(1, _HELD // source.size)
        for first in range(0, M, rows):
            part = slice(first, first + rows)
            moved = self._tangents(positions[:, part], displacement[part])
            sums += moved.sum(axis=0, dtype=float)
            squares += np.square(moved).sum(axis=0, dtype=float)
        # The mean over M particles has an error of its own, whose square is no feedback.
        noise = (squares - sums**2 / M) / (M * (M - 1))
        found = np.square(source + sums / M) - np.square(source) - noise
        return float(found.sum() / len(self.inputs))

    def _read(self, positions: Array) -> tuple[Array, Array, Array]:
        """Return the inputs with a column for the bias, a (M, k) and pre-activations (M, m)."""
        k, X = self.problem.n_outputs, self.problem.with_bias(self.inputs).astype(np.float32)
        points = positions.T.astype(np.float32)
        return X, points[:, :k], points[:, k:] @ X.T

    def _features(self, positions: Array) -> Array:
        _, a, z = self._read(positions)
        return np.asarray(self.problem.activation.value(z)[:, :, None] * a[:, None])

    def _tangents(self, positions: Array, displacement: Array) -> Array:
        """Return ``∇ψ_x(θ_i) · e_i``, shape (M, m, k, R)."""
        problem, (X, a, z) = self.problem, self._read(positions)
        outer = problem.n_outputs if "a" in problem.train else 0
        slope = problem.activation.derivative(z)[:, :, None]
        bent = slope * (X[:, moving_columns(problem)] @ displacement[:, outer:])
        moved = a[:, None, :, None] * bent[:, :, None]
        if outer:
            value = problem.activation.value(z)
            moved = moved + value[:, :, None, None] * displacement[:, None, :outer]
        return np.asarray(moved)
