"""Atoms at rest: a few atoms with their masses at a minimum of the training objective."""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize

from meanfield.dictionary.refit import Array
from meanfield.problem import Problem

STEPS = 500


def settle(problem: Problem, places: Array, columns: Array, rest: Array) -> tuple[Array, Array]:
    r"""Move atoms to a minimum of the objective that the network descends, without noise.

    ``J = R(f) + Σ_i m_i (λ_a |a_i|² + λ_w |(w_i, b_i)|²)/2``, ``f = Σ_i m_i a_i σ_i + rest``, and
    masses ``m_i`` that add up to less than one, the rest of the particles being inactive; `rest`
    (n, k), what takes no atom, stays. Starts from coefficients ``m_i a_i`` (S, k); returns places
    (S, D), of which frozen parts stay, and coefficients.
    """
    X, (S, D), k = problem.with_bias(problem.X), places.shape, columns.shape[1]
    if not S:
        return places, columns
    n, d = len(X), problem.n_features
    l2_output, l2_input = problem.l2_output, problem.l2_input
    trained = np.ones(D)
    trained[:d] *= "w" in problem.train
    trained[d:] *= "b" in problem.train

    def parts(parameters: Array) -> tuple[Array, Array, Array]:
        """Return outputs, places and masses; masses are a softmax with the inactive share."""
        a, w, u = np.split(parameters, [S * k, S * k + S * D])
        u = u - max(u.max(), 0.0)
        share = np.exp(u) / (np.exp(u).sum() + np.exp(-max(parameters[-S:].max(), 0.0)))
        return a.reshape(S, k), w.reshape(S, D), share

    def objective(parameters: Array) -> tuple[float, Array]:
        a, w, mass = parts(parameters)
        z = X @ w.T
        features = problem.activation.value(z)
        f = features @ (mass[:, None] * a) + rest
        signal = problem.loss.derivative(f, problem.targets) / n
        pull = features.T @ signal
        penalty = (l2_output * (a**2).sum(axis=1) + l2_input * (w**2).sum(axis=1)) / 2
        value = float(problem.loss.value(f, problem.targets).mean() + mass @ penalty)
        by_a = mass[:, None] * (pull + l2_output * a)
        slope = (signal @ a.T) * problem.activation.derivative(z)
        by_w = mass[:, None] * (slope.T @ X + l2_input * w) * trained
        by_mass = (a * pull).sum(axis=1) + penalty
        by_u = mass * (by_mass - mass @ by_mass)
        return value, np.concatenate([by_a.ravel(), by_w.ravel(), by_u])

    size = np.linalg.norm(columns, axis=1)
    length = np.linalg.norm(places, axis=1)
    ratio = np.sqrt(l2_output / l2_input) if l2_input > 0 else 1.0
    mass = np.clip(ratio * size / np.where(length > 0, length, 1), 1e-9, None)
    mass *= min(1.0, 0.95 / mass.sum())
    start = [columns / mass[:, None], places, np.log(mass / (1 - mass.sum()))]
    found = minimize(
        objective,
        np.concatenate([part.ravel() for part in start]),
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": STEPS, "maxfun": 2 * STEPS, "ftol": 1e-13, "gtol": 1e-9},
    )
    a, w, mass = parts(found.x)
    return w, mass[:, None] * a
