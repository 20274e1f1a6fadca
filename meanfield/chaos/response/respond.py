r"""The response of M particles to R sources, step by step, and what comes of it.

.. math:: e^{t+1} = Φ^t e^t − \mathrm{gain}\; ∇ψ(θ^t) \tfrac{ℓ''}{n} g^t, \qquad
          g^t = G^t + \tfrac1M \sum_i ∇ψ(θ_i^t) · e_i^t
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from meanfield.chaos.response.linearised import Linear
from meanfield.flow.integrators import coordinate_l2, trained_coordinates

if TYPE_CHECKING:
    from meanfield.chaos.response.copies import Copies
    from meanfield.chaos.response.elsewhere import Elsewhere
    from meanfield.chaos.response.sources import Sources
    from meanfield.flow.scheme import Scheme
    from meanfield.problem import Problem

Array = NDArray[np.floating]


@dataclass
class _Displacements:
    """Displacements (M, p, R) of M particles under R sources, and their velocities if any."""

    position: Array
    velocity: Array | None


@dataclass(frozen=True)
class _Factors:
    """The coefficients of every step for the trained coordinates, (T, p); `l2` is (p,)."""

    decay: Array
    gain: Array
    drift: Array | None
    l2: Array

    @classmethod
    def of(cls, problem: Problem, scheme: Scheme) -> _Factors:
        trained = trained_coordinates(problem)
        step = scheme.coefficients(problem)
        decay, gain, l2 = (
            values[..., trained].astype(np.float32)
            for values in (step.decay, step.gain, coordinate_l2(problem))
        )
        drift = None if step.drift is None else step.drift[:, trained].astype(np.float32)
        return cls(decay, gain, drift, l2)

    def advance(self, e: _Displacements, t: int, at: Linear, fluctuation: Array) -> None:
        """Make step t of displacements, under fluctuations (r, R)."""
        M, p, R = e.position.shape
        diagonal = np.arange(p)
        decay, gain = self.decay[t], self.gain[t][:, None]
        force = (at.force.reshape(M * p, -1) @ fluctuation).reshape(M, p, R)
        if self.drift is None or e.velocity is None:
            matrix = -gain * at.hessian
            matrix[:, diagonal, diagonal] += decay
            force *= -gain
            force += np.matmul(matrix, e.position)
            e.position = force
            return
        matrix = at.hessian
        matrix[:, diagonal, diagonal] += self.l2
        force += np.matmul(matrix, e.position)
        e.velocity = decay[:, None] * e.velocity - gain * force
        e.position = e.position + self.drift[t][:, None] * e.velocity


@dataclass(frozen=True)
class Response:
    """What one system says, at each step that was asked for.

    `coupling` (S,) is the limit of ``N E D_N``, `function` (S,) that of ``N E |f_N − f̄|²``, and
    `pairs` (S, r, r) ``N Cov(ψ(θ₁), ψ(θ₂))`` in the basis; `elsewhere` (S,) is `function` at other
    inputs, NaN without any.
    """

    coupling: Array
    function: Array
    pairs: Array
    elsewhere: Array


def respond(
    problem: Problem,
    scheme: Scheme,
    copies: Copies,
    sources: Sources,
    weights: Array,
    times: list[int],
    elsewhere: Elsewhere | None = None,
) -> Response:
    """Follow the response of the kept particles to sources of `weights` (M, R)."""
    M, R = weights.shape
    factors = _Factors.of(problem, scheme)
    p = len(factors.l2)
    still = np.zeros((M, p, R), np.float32)
    e = _Displacements(still, None if factors.drift is None else still)
    signals = problem.loss.derivative(copies.predictions, problem.targets)
    coupling, function, pairs, others = [], [], [], []
    for t, positions in enumerate(copies.positions):
        curvature = problem.loss.curvature(copies.predictions[t], problem.targets)
        at = sources.linearisation.at(positions, signals[t], curvature)
        source = at.outputs.T @ weights
        gradient, flat = at.gradient.reshape(M * p, -1), e.position.reshape(M * p, R)
        fluctuation = source + gradient.T @ flat / np.float32(M)
        if t in times:
            pair = _outer(fluctuation) - _outer(source) - _noise(at.gradient, e.position)
            inside = np.square(source).sum(dtype=float) + np.trace(pair)
            coupling.append(np.square(e.position).sum(dtype=float) / M)
            function.append((inside + copies.outside[t]) / problem.n_data)
            pairs.append(pair)
            others.append(
                math.nan
                if elsewhere is None
                else copies.elsewhere[t] + elsewhere.feedback(positions, weights, e.position)
            )
        if t < scheme.n_steps:
            factors.advance(e, t, at, fluctuation)
    return Response(*map(np.array, (coupling, function, pairs, others)))


def _outer(x: Array) -> Array:
    x = x.astype(float)
    return x @ x.T


def _noise(gradient: Array, displacement: Array) -> Array:
    """Return what the mean of M particles adds to the covariance of the fluctuations, (r, r).

    It is the covariance of ``∇ψ · e`` from particle to particle, over M.
    """
    M, _, r = gradient.shape
    sums, squares = np.zeros((r, displacement.shape[2])), np.zeros((r, r))
    for i in range(0, M, 64):
        x = np.matmul(gradient[i : i + 64].swapaxes(1, 2), displacement[i : i + 64]).astype(float)
        sums += x.sum(axis=0)
        x = x.swapaxes(0, 1).reshape(r, -1)
        squares += x @ x.T
    return (squares - sums @ sums.T / M) / (M * (M - 1))
