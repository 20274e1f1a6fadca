"""Gibbs laws ``µ_f ∝ exp(−V_f/τ)`` as a function of the predictions ``f`` that drive ``V``."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from meanfield.limit.cubature import DEPTH, Chart, Grid, adaptive_grid, cartesian, polar, refined
from meanfield.limit.growth import DensityBound, density_bound, has_linear_growth

if TYPE_CHECKING:
    from meanfield.problem import Problem

Array = NDArray[np.float64]

_CHUNK = 200_000  # entries of a feature matrix held at once


class GibbsFamily:
    """The Gibbs laws of a problem, one for each set of predictions.

    With ``g(θ) = (1/n) Σ_j r_j σ(⟨θ, z_j⟩)``, ``θ = (w, b)``, the law of ``θ`` has log-density
    ``E = |g|²/(2 λ_a τ) − λ_w |θ|²/(2τ)`` when ``a`` is trained, and then ``a`` given ``θ`` is
    ``N(−g/λ_a, (τ/λ_a) I)``; when ``a`` is 1, ``E = −(Σ_o g_o + λ_w |θ|²/2)/τ``.
    """

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.inputs = problem.with_bias(problem.X)
        self.trained_output = "a" in problem.train

    @property
    def output_variance(self) -> float:
        """Variance ``τ/λ_a`` of trained output weights given ``θ``."""
        return self.problem.temperature / self.problem.l2_output

    @property
    def chart(self) -> Chart:
        """Cells of the integrals; they end at the kinks of σ where that can be arranged."""
        z, q = self.inputs, self.inputs.shape[1]
        if q != 2 or not has_linear_growth(self.problem.activation):
            return cartesian(q)
        # Ridges of the density run along rays, and kinks lie on the rays orthogonal to an input.
        normal = np.arctan2(z[:, 1], z[:, 0])[np.abs(z).sum(1) > 0]
        kinks = np.concatenate([normal + 0.5 * np.pi, normal - 0.5 * np.pi])
        return polar(kinks if not self.problem.activation.smooth else kinks[:0])

    def signals(self, f: Array) -> Array:
        """Error signals ``r_j = ℓ'(f_j, y_j)``, shape (n, k)."""
        return self.problem.loss.derivative(f, self.problem.targets)

    def density_bound(self, f: Array) -> DensityBound:
        """How the law of ``f`` decays at infinity."""
        problem = self.problem
        return density_bound(
            problem.activation,
            self.inputs,
            self.signals(f),
            problem.l2_output if self.trained_output else None,
            problem.l2_input,
        )

    def features(self, theta: Array, inputs: Array | None = None) -> Array:
        """``σ(⟨θ, z_j⟩)``, shape (Q, n)."""
        inputs = self.inputs if inputs is None else inputs
        # Three products at most: written out they are faster than a thin matrix product.
        pre_activations = np.multiply.outer(theta[:, 0], inputs[:, 0])
        for i in range(1, inputs.shape[1]):
            pre_activations += np.multiply.outer(theta[:, i], inputs[:, i])
        return self.problem.activation.value(pre_activations)

    def forces(self, theta: Array, signals: Array) -> Array:
        """``g(θ)``, shape (Q, k), in chunks that bound the memory."""
        n = len(self.inputs)
        rows = max(1, _CHUNK // n)
        parts = [self.features(theta[i : i + rows]) @ signals for i in range(0, len(theta), rows)]
        return np.concatenate(parts) / n

    def energy(self, theta: Array, signals: Array) -> Array:
        """``E(θ)``, shape (Q,)."""
        problem = self.problem
        g = self.forces(theta, signals)
        gain = np.square(g).sum(1) / (2.0 * problem.l2_output) if self.trained_output else -g.sum(1)
        return (gain - 0.5 * problem.l2_input * np.square(theta).sum(1)) / problem.temperature

    def at(self, f: Array, tail: float) -> Gibbs:
        """Return the Gibbs law that the predictions ``f`` (n, k) produce; see `adaptive_grid`."""
        signals = self.signals(f)

        def energy(theta: Array) -> Array:
            return self.energy(theta, signals)

        q = self.inputs.shape[1]
        level = energy(np.zeros((1, q)))[0] - DEPTH
        radius = self.density_bound(f).radius(level * self.problem.temperature)
        return Gibbs(self, f, signals, adaptive_grid(energy, self.chart, radius, tail))


@dataclass(frozen=True, eq=False)
class Gibbs:
    """One Gibbs law on its grid, with the quantities that Newton's method needs.

    ``f`` and ``signals`` are (n, k).
    """

    family: GibbsFamily
    f: Array
    signals: Array
    grid: Grid

    def _output_weights(self, theta: Array) -> Array:
        """Conditional mean of ``a``, shape (Q, k)."""
        family = self.family
        if family.trained_output:
            return -family.forces(theta, self.signals) / family.problem.l2_output
        return np.ones((len(theta), family.problem.n_outputs))

    def predictions(self, X: Array, absolute: bool = False) -> Array:
        """``∫ a σ dµ`` at inputs (m, d), shape (m, k); of ``|a σ|`` where `absolute`."""
        theta, weights = self.grid.measure
        inputs = self.family.problem.with_bias(X)
        rows = max(1, _CHUNK // len(inputs))
        weighted = weights[:, None] * self._output_weights(theta)
        if absolute:
            weighted = np.abs(weighted)
        found = np.zeros((len(inputs), weighted.shape[1]))
        for i in range(0, len(theta), rows):
            features = self.family.features(theta[i : i + rows], inputs)
            found += (np.abs(features) if absolute else features).T @ weighted[i : i + rows]
        return found

    @cached_property
    def response(self) -> Array:
        """``Φ(f) = ∫ a σ dµ_f`` on the data, shape (n, k)."""
        return self.predictions(self.family.problem.X)

    @cached_property
    def log_partition(self) -> float:
        """``log ∫ exp(−V/τ)`` over the trained coordinates."""
        problem = self.family.problem
        gaussian = 0.0
        if self.family.trained_output:
            ratio = 2.0 * np.pi * problem.temperature / problem.l2_output
            gaussian = 0.5 * problem.n_outputs * np.log(ratio)
        return self.grid.log_integral + gaussian

    @cached_property
    def dual(self) -> float:
        """Dual value ``D = −(1/n) Σ_j (r_j f_j − ℓ(f_j)) − τ log Z``."""
        problem = self.family.problem
        conjugate = (self.signals * self.f).sum(-1) - problem.loss.value(self.f, problem.targets)
        return float(-conjugate.mean() - problem.temperature * self.log_partition)

    @property
    def duality_gap(self) -> float:
        """Primal less dual value, ``(1/n) Σ_j [ℓ(Φ_j) − ℓ(f_j) − r_j (Φ_j − f_j)]``."""
        problem = self.family.problem
        change = self.response - self.f
        after, before = (problem.loss.value(f, problem.targets) for f in (self.response, self.f))
        return max(0.0, float((after - before - (self.signals * change).sum(-1)).mean()))

    def newton_step(self) -> tuple[Array, float]:
        """Newton step of ``f − Φ(f) = 0``, and the slope of the dual along it (≥ 0).

        With ``M = Cov(aσ)/(nτ)`` and ``L`` the curvature of the loss, the Jacobian is
        ``I + M L``; it has no eigenvalue below 1.
        """
        problem = self.family.problem
        n, k = self.f.shape
        curvature = problem.loss.curvature(self.f, problem.targets)
        covariance = self._covariance() / (n * problem.temperature)
        product = np.einsum("aibj,bjl->aibl", covariance.reshape(n, k, n, k), curvature)
        gap = (self.response - self.f).reshape(-1)
        step = np.linalg.solve(np.eye(n * k) + product.reshape(n * k, n * k), gap)
        slope = np.einsum("ai,aij,aj->", gap.reshape(n, k), curvature, step.reshape(n, k)) / n
        return step.reshape(n, k), float(slope)

    def _covariance(self) -> Array:
        """Covariance of ``a_o σ_j`` over the law, shape (nk, nk)."""
        theta, weights = self.grid.measure
        n, k = self.f.shape
        outputs = self._output_weights(theta)
        second, spread = np.zeros((n * k, n * k)), np.zeros((n, n))
        rows = max(1, _CHUNK // (n * k))
        for i in range(0, len(theta), rows):
            part = slice(i, i + rows)
            features = self.family.features(theta[part]) * np.sqrt(weights[part, None])
            products = (features[:, :, None] * outputs[part, None, :]).reshape(len(features), -1)
            second += products.T @ products
            if self.family.trained_output:
                spread += features.T @ features
        if self.family.trained_output:
            second += self.family.output_variance * np.kron(spread, np.eye(k))
        flat = self.response.reshape(-1)
        return second - np.outer(flat, flat)

    def refined(self) -> Gibbs:
        """The same law on a grid with halved cells."""
        grid = refined(lambda theta: self.family.energy(theta, self.signals), self.grid)
        return Gibbs(self.family, self.f, self.signals, grid)

    def log_density(self, points: Array) -> Array:
        """Log-density at points (Q, p) of the trained coordinates."""
        family = self.family
        k = family.problem.n_outputs if family.trained_output else 0
        theta = points[:, k:]
        marginal = family.energy(theta, self.signals) - self.grid.log_integral
        if not family.trained_output:
            return marginal
        variance = family.output_variance
        distance = np.square(points[:, :k] - self._output_weights(theta)).sum(1)
        return marginal - 0.5 * distance / variance - 0.5 * k * np.log(2.0 * np.pi * variance)

    def moments(self) -> tuple[Array, Array]:
        """Mean (p,) and covariance (p, p) of the trained coordinates."""
        theta, weights = self.grid.measure
        trained = self.family.trained_output
        points = np.hstack([self._output_weights(theta), theta]) if trained else theta
        mean = weights @ points
        centred = points - mean
        covariance = (weights[:, None] * centred).T @ centred
        if trained:
            k = self.family.problem.n_outputs
            covariance[:k, :k] += self.family.output_variance * np.eye(k)
        return mean, covariance

    def sample(self, size: int, rng: np.random.Generator) -> Array:
        """Draw points (size, C) of all coordinates a, w, b."""
        theta = self._sample_inputs(size, rng)
        outputs = self._output_weights(theta)
        if self.family.trained_output:
            spread = np.sqrt(self.family.output_variance)
            outputs = outputs + spread * rng.standard_normal(outputs.shape)
        return np.hstack([outputs, theta])

    def _sample_inputs(self, size: int, rng: np.random.Generator) -> Array:
        """Rejection from uniform proposals in each cell, cells chosen by their mass."""
        grid = self.grid
        terms, q = grid.log_terms, grid.low.shape[1]
        mass = np.exp(terms - terms.max()).sum(1)
        # Density in chart coordinates, whose integral over a cell is its mass.
        log_chart = grid.values + grid.log_jacobians
        # The nodes do not touch the corners of a cell: leave room above the highest of them.
        ceiling = log_chart.max(1) + 0.15 * np.minimum(np.ptp(log_chart, axis=1), 20.0)
        cells = rng.choice(len(mass), size=size, p=mass / mass.sum())
        points = np.empty((size, q))
        open_ = np.arange(size)
        while len(open_):
            chosen = cells[open_]
            u = grid.low[chosen] + (grid.high - grid.low)[chosen] * rng.random((len(open_), q))
            theta = grid.chart.to_theta(u)
            height = self.family.energy(theta, self.signals) + grid.chart.log_jacobian(u)
            accepted = np.log(rng.random(len(open_))) < height - ceiling[chosen]
            points[open_[accepted]] = theta[accepted]
            open_ = open_[~accepted]
        return points
