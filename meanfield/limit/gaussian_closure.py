"""Exact Gaussian closure: linear activation, output weights held at 1, squared loss."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from meanfield import checks
from meanfield.errors import ArgumentError, DivergenceError
from meanfield.flow.scheme import Scheme

if TYPE_CHECKING:
    from meanfield.problem import Problem

Array = NDArray[np.float64]

_ELSEWHERE = "use method='particles' (any problem) or method='fokker-planck' (at most 2 parameters)"


@dataclass(frozen=True)
class GaussianClosure:
    r"""Mean-field law and exact finite-``N`` second moments of a linear particle system.

    The particles are ``w_i`` (the bias, when there is one, is the last coordinate of ``w_i``,
    and the inputs gain a coordinate 1). With ``Σ̂ = XᵀX/n`` and ``c = Xᵀy/n`` one step is

    .. math:: w_i ← α w_i − γ (Σ̂ m_N − c) + √{s_t}\, ξ_i, \qquad m_N = (1/N) Σ_i w_i,

    where ``(α, γ, s_t) = (1 − ηλ, η, 2ητ_t)`` for Euler steps; the coefficients of the other
    integrators are those of `meanfield.flow.integrators`. In Leimkuhler and Matthews' method the
    noise of a step is correlated with that of the step before, which the recursions follow.
    The mean-field law at step ``t`` is ``N(mean[t], covariance(t))``.

    All particles are displaced from their McKean–Vlasov copies by one common vector, so that the
    coupling constant is also ``E[N W2²(µ_t^N, µ̄_t^N)]`` (matched transport).
    """

    predictions: Array  # (n_steps + 1, n[, 1]): f̄_t = X m̄_t on the training inputs
    mean: Array  # (n_steps + 1, p): m̄_t
    coupling_constant: Array  # (n_steps + 1,): tr P_δδ = E[N D_N] for every N
    mean_constant: Array  # (n_steps + 1,): tr P_ee = N E|m_N − m̄|² for every N
    function_constant: Array  # (n_steps + 1,): tr(Σ̂ P_ee) = N E (1/n) Σ_j (f_N(x_j) − f̄(x_j))²
    scheme: Scheme
    _initial_covariance: Array
    _axes: Array  # eigenvectors of Σ̂, as columns
    _law: Array  # (n_steps + 1, 2): covariance of the law is u C_0 + v I
    _initial_response: Array  # (n_steps + 1, 2, p): δ and e per unit of initial e, by mode
    _noise_response: Array  # (n_steps + 1, 3, p): δδ, δe, ee from the noise, by mode

    def covariance(self, step: int) -> Array:
        """Covariance of the mean-field law at ``step``, shape (p, p)."""
        u, v = self._law[step]
        return u * self._initial_covariance + v * np.eye(self.mean.shape[1])

    def propagation_matrix(self, step: int) -> Array:
        """``P_t = N Cov(δ, e)``, shape (2p, 2p), the same for every ``N``.

        ``δ = θ_i − θ̄_i`` is the displacement of a particle from its McKean–Vlasov copy and
        ``e = m_N − m̄`` the error of the empirical mean; blocks in the order ``δ, e``.
        """
        p = self.mean.shape[1]
        start = self._axes.T @ self._initial_covariance @ self._axes
        initial, noise = self._initial_response[step], self._noise_response[step]
        blocks = np.empty((2, p, 2, p))
        for i in range(2):
            for j in range(2):
                mode = np.outer(initial[i], initial[j]) * start + np.diag(noise[i + j])
                blocks[i, :, j, :] = self._axes @ mode @ self._axes.T
        return blocks.reshape(2 * p, 2 * p)

    def particle_covariance(self, step: int, n_particles: int) -> Array:
        """Covariance of one particle of a system of ``N``: ``(1 − 1/N) D_t + Q_t/N``.

        ``D_t`` is the covariance of the mean-field law and ``Q_t = P_ee(t)``. The mean of one
        particle is that of the mean-field law, so the bias of the law is ``(Q_t − D_t)/N`` in
        the covariance and nothing else.
        """
        if n_particles < 1:
            raise ArgumentError("n_particles", f"must be at least 1, got {n_particles}.")
        p = self.mean.shape[1]
        share = 1.0 / n_particles
        fluctuation = self.propagation_matrix(step)[p:, p:]
        return (1.0 - share) * self.covariance(step) + share * fluctuation


def gaussian_closure(
    problem: Problem,
    scheme: Scheme,
    *,
    initial_mean: ArrayLike | None = None,
    initial_covariance: ArrayLike | None = None,
) -> GaussianClosure:
    """Mean-field path of a linear problem, exact to rounding, with its ``1/N`` constants.

    `problem`: identity activation, squared loss, one output, output weights frozen at 1, all else
    trained. `initial_mean` (p,) and `initial_covariance` (p, p) are those of ``(w, b)``; by default
    those of the scheme's initial law, which must then be Gaussian. Seed, precision and minibatches
    play no part.
    """
    check_closed(problem)
    if scheme.integrator.has_velocity:
        raise ArgumentError(
            "integrator",
            message="The Gaussian closure has no velocities, which "
            f"integrator={scheme.integrator.name!r} needs; use method='particles'.",
        )
    if initial_covariance is None:
        initial_covariance = _covariance(problem, scheme)
    X = problem.with_bias(problem.X)
    n, p = X.shape
    start_mean, start_covariance = _initial_moments(initial_mean, initial_covariance, p)
    step = scheme.coefficients(problem)
    # The trained coordinates share one penalty, so that the last one stands for all.
    alpha, gamma = step.decay[:, -1], step.gain[:, -1]
    noise = (*step.noise[..., -1].T, np.zeros(scheme.n_steps))[:2]  # of ξ_t and ξ_{t+1}
    gains, axes = np.linalg.eigh(X.T @ X / n)
    push = np.outer(gamma, axes.T @ (X.T @ problem.targets[:, 0] / n))
    with np.errstate(over="ignore", invalid="ignore"):
        mean, law, initial, noisy = _propagate(
            alpha, np.outer(gamma, gains), push, noise, axes.T @ start_mean
        )
        mean = mean @ axes.T
        predictions = mean @ X.T
    if not (np.isfinite(predictions).all() and np.isfinite(noisy).all()):
        first = int(np.argmax(~np.isfinite(predictions).all(1) | ~np.isfinite(noisy).all((1, 2))))
        stable = 1.0 / (problem.l2_input + max(gains[-1], 0.0))
        raise DivergenceError(
            f"The mean-field law left the finite numbers at step {first} with step sizes up to "
            f"{scheme.step_sizes.max():g}; step_size={stable:.3g} is stable.",
            step=first,
            replica=0,
            stable_step_size=stable,
        )
    start = np.einsum("ij,jk,ki->i", axes.T, start_covariance, axes)
    second = initial**2 * start + noisy[:, ::2]  # δδ and ee, by mode
    return GaussianClosure(
        predictions=predictions[..., None] if problem.vector_output else predictions,
        mean=mean,
        coupling_constant=second[:, 0].sum(-1),
        mean_constant=second[:, 1].sum(-1),
        function_constant=second[:, 1] @ gains,
        scheme=scheme,
        _initial_covariance=start_covariance,
        _axes=axes,
        _law=law,
        _initial_response=initial,
        _noise_response=noisy,
    )


def check_closed(problem: Problem) -> None:
    """Refuse a problem whose law does not stay Gaussian, naming the reason."""
    trained = ("w", "b") if problem.bias else ("w",)
    reason = None
    if problem.activation.name != "identity":
        reason = f"the activation is {problem.activation.name!r}, not 'identity'"
    elif problem.loss.name != "squared":
        reason = f"the loss is {problem.loss.name!r}, not 'squared'"
    elif problem.n_outputs != 1:
        reason = f"the problem has {problem.n_outputs} outputs, not 1"
    elif tuple(problem.train) != trained:
        reason = f"the trained coordinates are {tuple(problem.train)}, not {trained}"
    if reason:
        raise ArgumentError(
            "problem", message=f"The Gaussian closure does not apply: {reason}; {_ELSEWHERE}."
        )


def _covariance(problem: Problem, scheme: Scheme) -> Array:
    """Return the covariance of the scheme's initial law in the trained coordinates."""
    law = scheme.init
    if law is None or law.law != "gaussian":
        raise ArgumentError(
            "init",
            message=f"The Gaussian closure needs init='gaussian', got {law and law.law!r}; use "
            "method='particles'.",
        )
    return np.diag(law.coordinate_scale(problem)[problem.n_outputs :] ** 2)


def _initial_moments(mean: ArrayLike | None, covariance: ArrayLike, p: int) -> tuple[Array, Array]:
    """Return validated initial moments, of mean 0 by default."""
    checks.unmasked("initial_mean", mean)
    checks.unmasked("initial_covariance", covariance)
    mean = np.zeros(p) if mean is None else np.asarray(mean, dtype=float)
    covariance = np.asarray(covariance, dtype=float)
    if mean.shape != (p,) or not np.isfinite(mean).all():
        raise ValueError(f"initial_mean must hold {p} finite numbers, got shape {mean.shape}.")
    if covariance.shape != (p, p) or not np.isfinite(covariance).all():
        raise ValueError(
            f"initial_covariance must be a finite ({p}, {p}) matrix, got shape {covariance.shape}."
        )
    symmetric = np.allclose(covariance, covariance.T, rtol=1e-12, atol=0)
    scale = max(1.0, np.abs(covariance).max())
    if not symmetric or np.linalg.eigvalsh(covariance)[0] < -1e-12 * scale:
        raise ValueError("initial_covariance must be symmetric and positive semi-definite.")
    return mean, covariance


def _propagate(
    alpha: Array, gain: Array, push: Array, noise: Sequence[Array], mean: Array
) -> tuple[Array, Array, Array, Array]:
    """Run every recursion in the eigenbasis of Σ̂, where the modes do not mix.

    For each mode, e ← β e + p ξ̄_t + q ξ̄_{t+1} and δ ← α δ − g e, with β = α − g and ξ̄ of
    variance 1/N. At step t only e is correlated with ξ̄_t, through the q of the step before.
    """
    n_steps, p = gain.shape
    means = np.empty((n_steps + 1, p))
    law = np.empty((n_steps + 1, 2))
    initial = np.empty((n_steps + 1, 2, p))
    noisy = np.empty((n_steps + 1, 3, p))
    u, v, before = 1.0, 0.0, 0.0
    delta, error = np.zeros(p), np.ones(p)
    dd, de, ee = np.zeros(p), np.zeros(p), np.zeros(p)
    for t in range(n_steps + 1):
        means[t], law[t] = mean, (u, v)
        initial[t], noisy[t] = (delta, error), (dd, de, ee)
        if t == n_steps:
            break
        a, g = alpha[t], gain[t]
        beta = a - g
        now, after = noise[0][t], noise[1][t]
        s, shared = now**2 + after**2, now * before
        mean = beta * mean + push[t]
        u, v = a**2 * u, a**2 * v + 2.0 * a * shared + s
        delta, error = a * delta - g * error, beta * error
        dd = a**2 * dd - 2.0 * a * g * de + g**2 * ee
        de = beta * (a * de - g * ee) - g * shared
        ee = beta**2 * ee + 2.0 * beta * shared + s
        before = after
    return means, law, initial, noisy
