"""One particle's step, linearised about the mean-field path, for many particles at once."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from meanfield.problem import Activation

if TYPE_CHECKING:
    from meanfield.problem import Problem

Array = NDArray[np.floating]

_DIFFERENCE = 1e-4
#: σ″ of z, σ(z) and σ′(z), where these give it.
_SECOND: dict[str, Callable[[Array, Array, Array], Array]] = {
    "identity": lambda z, value, slope: np.zeros_like(z),
    "tanh": lambda z, value, slope: -2 * value * slope,
    "erf": lambda z, value, slope: -2 * z * slope,
    "sin": lambda z, value, slope: -value,
    "cos": lambda z, value, slope: -value,
    "sigmoid": lambda z, value, slope: slope * (1 - 2 * value),
    "softplus": lambda z, value, slope: slope * (1 - slope),
}


def second_derivative(
    activation: Activation, z: Array, value: Array, slope: Array, kink_width: float
) -> Array:
    """Return σ″; that of a kink is its jump times a normal density of width `kink_width`."""
    if not activation.smooth:
        low, high, _ = activation.asymptote or (0.0, 0.0, 0.0)
        density = np.exp(-0.5 * np.square(z / kink_width)) / (math.sqrt(2 * math.pi) * kink_width)
        return (high - low) * density
    if activation.name in _SECOND:
        return _SECOND[activation.name](z, value, slope)
    x = z.astype(np.float64)
    above, below = activation.derivative(x + _DIFFERENCE), activation.derivative(x - _DIFFERENCE)
    return ((above - below) / (2 * _DIFFERENCE)).astype(z.dtype)


def moving_columns(problem: Problem) -> NDArray[np.bool_]:
    """Return which of the inputs, and of the ones for the bias, have a trained weight."""
    trained = ["w" in problem.train] * problem.n_features
    return np.array(trained + ["b" in problem.train] * problem.bias)


@dataclass(frozen=True)
class Linear:
    """What a step does to small displacements of M particles; p trained coordinates, r directions.

    `outputs` (M, r) is ``ψ B``; `gradient` (M, p, r) its gradient; `force` (M, p, r) that of
    ``ψ H B / n``; `hessian` (M, p, p) that of ``(1/n) Σ_j ⟨ℓ′_j, ψ_j⟩``, None where not asked for.
    """

    outputs: Array
    gradient: Array
    force: Array
    hessian: Array


class Linearisation:
    """The features ``ψ_jc(θ) = a_c σ(⟨w, x_j⟩ + b)`` of a problem in a basis (n k, r) of the data.

    Displacements have the trained coordinates only, in the order a, w, b.
    """

    def __init__(self, problem: Problem, basis: Array, kink_width: float = 0.1):
        self.problem, self.kink_width = problem, kink_width
        n, k = problem.n_data, problem.n_outputs
        self.basis = basis.astype(np.float32).reshape(n, k, -1)
        self._inputs = problem.with_bias(problem.X).astype(np.float32)
        self._moving = self._inputs[:, moving_columns(problem)]
        self._outer = "a" in problem.train
        self._squares = np.einsum("jl,jm->jlm", self._moving, self._moving).reshape(
            n, self._moving.shape[1] ** 2
        )
        self._projected = self._project(self.basis)

    def _project(self, basis: Array) -> tuple[Array, Array]:
        """Return what σ and σ′ are multiplied with: (n, k r) and (n, p_in k r)."""
        n, k, r = basis.shape
        inner = self._moving[:, :, None, None] * basis[:, None]
        return basis.reshape(n, k * r), inner.reshape(n, self._moving.shape[1] * k * r)

    def features(self, positions: Array) -> Array:
        """Return ψ of particles (C, M), shape (M, n k)."""
        a, z = self._read(positions)
        return (self.problem.activation.value(z)[:, :, None] * a[:, None]).reshape(len(z), -1)

    def _read(self, positions: Array) -> tuple[Array, Array]:
        k = self.problem.n_outputs
        points = np.ascontiguousarray(positions.T, dtype=np.float32)
        return points[:, :k], points[:, k:] @ self._inputs.T

    def at(self, positions: Array, signals: Array, curvature: Array) -> Linear:
        """Linearise at particles (C, M), for error signals (n, k) and ℓ″ (n, k, k)."""
        problem = self.problem
        n, k, _ = self.basis.shape
        a, z = self._read(positions)
        value, slope = problem.activation.value(z), problem.activation.derivative(z)
        second = second_derivative(problem.activation, z, value, slope, self.kink_width)
        gradient, outputs = self._gradient(a, value, slope, self._projected)
        if problem.loss.name == "squared":
            force = gradient / np.float32(n)
        else:
            pulled = np.einsum("jcd,jcr->jdr", curvature / n, self.basis).astype(np.float32)
            force, _ = self._gradient(a, value, slope, self._project(pulled))
        signals = (signals / n).astype(np.float32)
        q, outer = self._moving.shape[1], k if self._outer else 0
        hessian = np.zeros((len(z), outer + q, outer + q), np.float32)
        inner = (second * (a @ signals.T)) @ self._squares
        hessian[:, outer:, outer:] = inner.reshape(len(z), q, q)
        if outer:
            mixed = (signals[:, :, None] * self._moving[:, None]).reshape(n, k * q)
            cross = (slope @ mixed).reshape(len(z), k, q)
            hessian[:, :outer, outer:] = cross
            hessian[:, outer:, :outer] = cross.swapaxes(1, 2)
        return Linear(outputs, gradient, force, hessian)

    def _gradient(
        self, a: Array, value: Array, slope: Array, projected: tuple[Array, Array]
    ) -> tuple[Array, Array]:
        """Return the gradient (M, p, r) of ``ψ B``, and ``ψ B`` itself, (M, r)."""
        M, k, r = *a.shape, projected[0].shape[1] // a.shape[1]
        outer = (value @ projected[0]).reshape(M, k, r)
        inner = (slope @ projected[1]).reshape(M, self._moving.shape[1], k, r)
        inner = np.einsum("mlcr,mc->mlr", inner, a) if k > 1 else inner[:, :, 0] * a[:, :, None]
        outputs = np.einsum("mcr,mc->mr", outer, a)
        return np.concatenate([outer, inner], axis=1) if self._outer else inner, outputs
