"""How the potential grows at infinity: which Gibbs laws exist, and where their mass ends.

A particle of fixed direction ``u`` and radius ``R`` has pre-activations ``R⟨u, z_j⟩``, with
``z_j`` the inputs (and a coordinate 1 for the bias). For every activation of
the table ``σ(z) = σ_∞(z) + O(1)`` with ``σ_∞`` positively homogeneous of degree 1 (zero when σ is
bounded), or σ is a polynomial; `Activation.asymptote` holds ``σ_∞`` and how far σ strays from it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.polynomial import hermite_e
from numpy.typing import NDArray

from meanfield.limit.cubature import product_points
from meanfield.problem.activations import Activation

Array = NDArray[np.float64]


@dataclass(frozen=True)
class DensityBound:
    """Upper bound ``Σ_m coefficients[m] R^m`` of ``−V`` on the sphere of radius ``R``.

    With trained output weights ``−V`` stands for ``|g|²/(2λ_a) − λ_w R²/2``, what is left after
    they are integrated out. The law is normalisable exactly when the bound falls to −∞.
    """

    coefficients: Array

    @property
    def normalisable(self) -> bool:
        """Whether the bound falls to −∞."""
        return self.leading < 0.0

    @property
    def leading(self) -> float:
        """Leading coefficient, 0 when the bound is constant."""
        powers = np.flatnonzero(self.coefficients[1:])
        return float(self.coefficients[1 + powers[-1]]) if len(powers) else 0.0

    def radius(self, level: float) -> float:
        """Radius beyond which the bound stays below ``level``."""
        shifted = self.coefficients.copy()
        shifted[0] -= level
        roots = np.polynomial.polynomial.polyroots(np.trim_zeros(shifted, "b"))
        real = roots.real[np.abs(roots.imag) < 1e-9 * (1.0 + np.abs(roots.real))]
        return float(max(real.max(initial=0.0), 1e-300))


def density_bound(
    activation: Activation, inputs: Array, signals: Array, l2_output: float | None, l2_input: float
) -> DensityBound:
    """Bound the log-density of the Gibbs law with error signals ``r`` far from the origin.

    `inputs` are ``z_j`` (n, q), `signals` ``r_j`` (n, k); `l2_output` is ``λ_a`` where the output
    weights are trained, None where they are frozen at 1.
    """
    n, q = inputs.shape
    signals = signals / n
    if activation.asymptote is None:  # σ is a polynomial
        return _polynomial_bound(activation, inputs, signals, l2_output, l2_input)
    left, right, deviation = activation.asymptote

    def growth(u: Array) -> Array:
        slopes = u @ inputs.T
        return np.where(slopes < 0, left, right) * slopes @ signals  # g_∞(u)

    if l2_output is None:
        offset = deviation * np.abs(signals.sum(1)).sum()
        slope = _maximum(lambda u: -growth(u).sum(1), q)
        return DensityBound(np.array([offset, slope, -0.5 * l2_input]))
    slope = _maximum(lambda u: np.linalg.norm(growth(u), axis=1), q)
    offset = deviation * np.linalg.norm(signals, axis=1).sum()
    square = 0.5 * np.array([offset**2, 2.0 * offset * slope, slope**2]) / l2_output
    square[2] -= 0.5 * l2_input
    return DensityBound(square)


def has_linear_growth(activation: Activation) -> bool:
    """Whether σ grows linearly on at least one side."""
    return activation.bounds is None and activation.asymptote is not None


def _polynomial_bound(
    activation: Activation, inputs: Array, signals: Array, l2_output: float | None, l2_input: float
) -> DensityBound:
    """Bound for a polynomial activation, coefficient by coefficient."""
    degree = activation.degree
    assert degree is not None
    if l2_output is not None:
        # |g|² grows with degree 2k > 2, and no quadratic penalty holds it.
        return DensityBound(np.array([0.0, 0.0, np.inf if signals.any() else -0.5 * l2_input]))
    if isinstance(activation.code, int):
        monomials = hermite_e.herme2poly(np.eye(degree + 1)[degree])
    else:
        monomials = activation.monomials

    def form(m: int) -> float:
        penalty = 0.5 * l2_input if m == 2 else 0.0
        weights = monomials[m] * signals.sum(1)
        return _maximum(lambda u: -((u @ inputs.T) ** m @ weights) - penalty, inputs.shape[1])

    return DensityBound(np.array([form(m) for m in range(degree + 1)]))


def _maximum(function: Callable[[Array], Array], q: int) -> float:
    """Maximum over unit vectors of a Lipschitz function, by sampling and zooming in."""
    u = directions(q)
    values = function(u)
    if q == 1:
        return float(values.max())
    centres = u[np.argsort(values)[-8:]]
    pattern = _offsets(q)
    radius = 4.0 * np.pi / len(u) ** (1.0 / (q - 1))
    best = values.max()
    while radius > 1e-16:
        trial = centres[:, None, :] + radius * pattern
        trial /= np.linalg.norm(trial, axis=-1, keepdims=True)
        values = function(trial.reshape(-1, q)).reshape(trial.shape[:2])
        centres = trial[np.arange(len(trial)), values.argmax(1)]
        best = max(best, values.max())
        radius /= 4.0
    return float(best)


@cache
def _offsets(q: int) -> Array:
    """A lattice on ``[−1, 1]^q`` that holds the origin."""
    return product_points(*[np.linspace(-1.0, 1.0, {2: 9, 3: 7}[q])] * q)


@cache
def directions(q: int) -> Array:
    """Unit vectors that cover the sphere of ``R^q`` evenly, q ≤ 3."""
    if q == 1:
        return np.array([[1.0], [-1.0]])
    if q == 2:
        angle = 2.0 * np.pi * np.arange(2048) / 2048
        return np.column_stack([np.cos(angle), np.sin(angle)])
    count = 8192  # Fibonacci lattice
    height = 1.0 - (2.0 * np.arange(count) + 1.0) / count
    angle = np.pi * (3.0 - np.sqrt(5.0)) * np.arange(count)
    radius = np.sqrt(1.0 - height**2)
    return np.column_stack([radius * np.cos(angle), radius * np.sin(angle), height])
