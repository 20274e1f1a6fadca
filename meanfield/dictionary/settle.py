"""Atoms at rest: a few atoms with their masses at a minimum of the training objective."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize

from meanfield.dictionary.potential import value_and_slope
from meanfield.dictionary.refit import Array
from meanfield.problem import Problem

STEPS = 500
MEMORY = 30
"""Steps that the quasi-Newton method remembers: masses and lengths are coupled and stiff."""


class Settled(NamedTuple):
    """Places (S, D), coefficients (S, k), and masses (S,), which add up to at most one."""

    places: Array
    columns: Array
    mass: Array


def settle(
    problem: Problem,
    places: Array,
    columns: Array,
    rest: Array | float = 0.0,
    *,
    steps: int = STEPS,
    still: bool = False,
) -> Settled:
    r"""Move atoms to a minimum of the objective that the network descends, without noise.

    ``J = R(f) + Σ_i m_i (λ_a |a_i|² + λ_w |(w_i, b_i)|²)/2``, ``f = Σ_i m_i a_i σ_i + rest``, and
    masses ``m_i`` that add up to less than one, the rest of the particles being inactive; `rest`
    (n, k), what takes no atom, stays, and so do frozen parts of places, or all of them if `still`.

    Masses are ``m_i = s_i²/(s_0² + Σ_j s_j²)``, with ``s_i a_i`` in place of ``a_i``: an atom that
    has almost no mass yet can still gain some, which a softmax does not let it.
    """
    X, (S, D), k = problem.with_bias(problem.X), places.shape, columns.shape[1]
    if not S:
        return Settled(places, columns, np.zeros(0))
    n, d = len(X), problem.n_features
    l2_output, l2_input = problem.l2_output, problem.l2_input
    trained = np.full(D, float(not still))
    trained[:d] *= "w" in problem.train
    trained[d:] *= "b" in problem.train

    known = value_and_slope(problem.activation, X @ places.T) if still else None

    def parts(parameters: Array) -> tuple[Array, Array, Array, float]:
        """Return ``s_i a_i``, places, ``s`` of atoms, and ``Z = s_0² + Σ_i s_i²``."""
        b, w, s = np.split(parameters, [S * k, S * k + S * D])
        return b.reshape(S, k), w.reshape(S, D), s[1:], float(s @ s)

    def objective(parameters: Array) -> tuple[float, Array]:
        b, w, s, total = parts(parameters)
        features, slopes = known or value_and_slope(problem.activation, X @ w.T)
        f = features @ ((s / total)[:, None] * b) + rest
        signal = problem.loss.derivative(f, problem.targets) / n
        pull = features.T @ signal
        size = (w**2).sum(axis=1)
        penalty = (l2_output * (b**2).sum() + l2_input * (s**2 @ size)) / 2
        value = float(problem.loss.value(f, problem.targets).mean() + penalty / total)
        by_b = (s[:, None] * pull + l2_output * b) / total
        slope = (signal @ ((s / total)[:, None] * b).T) * slopes
        by_w = (slope.T @ X + l2_input * (s**2 / total)[:, None] * w) * trained
        gain = (b * pull).sum(axis=1)
        by_total = -(s @ gain + penalty) / total**2
        by_s = 2 * parameters[-S - 1 :] * by_total
        by_s[1:] += (gain + l2_input * s * size) / total
        return value, np.concatenate([by_b.ravel(), by_w.ravel(), by_s])

    size = np.linalg.norm(columns, axis=1)
    length = np.linalg.norm(places, axis=1)
    ratio = np.sqrt(l2_output / l2_input) if l2_input > 0 else 1.0
    mass = np.clip(ratio * size / np.where(length > 0, length, 1), 1e-9, None)
    mass *= min(1.0, 0.98 / mass.sum())
    s = np.sqrt(mass)
    start = [(columns / s[:, None]).ravel(), places.ravel(), [np.sqrt(1 - mass.sum())], s]
    found = minimize(
        objective,
        np.concatenate(start),
        jac=True,
        method="L-BFGS-B",
        options={
            "maxiter": steps,
            "maxfun": 2 * steps,
            "maxcor": MEMORY,
            "ftol": 1e-14,
            "gtol": 1e-9,
        },
    )
    b, w, s, total = parts(found.x)
    return Settled(w, (s / total)[:, None] * b, s**2 / total)
