"""How large a part of a target must be to carry an atom under a penalty, and in which axes."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from scipy.optimize import minimize

from meanfield.dictionary.hermite_expansion import HermiteExpansion, recorded_terms
from meanfield.dictionary.refit import Array
from meanfield.identify.activation_coefficients import coefficient_table
from meanfield.problem import Activation
from meanfield.problem.targets import HermiteTarget, IndexTarget, Parity, Teacher

LENGTHS = np.geomspace(0.01, 64, 36)
"""Lengths of w that are tried: activations of linear growth reach their supremum at infinity."""
TURNS = np.linspace(-1.4, 1.4, 57)
"""Angles of ``(r, b)`` that are tried; relu has its suprema in closed form of them."""
ALIGNED = 1e-9
"""Off-diagonal entries below this part of the largest one leave axes as they are."""


@lru_cache(maxsize=32)
def capacities(activation: Activation, degree: int, bias: bool) -> Array:
    r"""Return ``κ_k = sup_{r, b} |E[σ(r z + b) h_k(z)]| / √(r² + b²)``, shape (degree + 1,).

    Without bias ``b = 0``. An atom of unit coefficient and length has at most this much of a part
    of degree k.
    """
    lengths = np.ones(1) if activation.homogeneous else LENGTHS
    turns = TURNS if bias else np.zeros(1)

    def ratios(r: Array, b: Array) -> Array:
        return np.abs(coefficient_table(activation, degree, r, b)) / np.hypot(r, b)[:, None]

    r = np.repeat(lengths, len(turns))
    b = r * np.tile(np.tan(turns), len(lengths))
    table = np.concatenate([ratios(r[i : i + 57], b[i : i + 57]) for i in range(0, len(r), 57)])
    out = table.max(axis=0)
    for k in np.flatnonzero(out > 1e-12):
        best = int(table[:, k].argmax())
        start = np.array([np.log(r[best]), np.arctan2(b[best], r[best])])

        def lost(place: Array, k: int = int(k)) -> float:
            length = float(np.exp(np.clip(place[0], -5, np.log(LENGTHS[-1]))))
            turn = float(np.clip(place[1], -1.5, 1.5)) if bias else 0.0
            return -float(ratios(np.array([length]), np.array([length * np.tan(turn)]))[0, k])

        options = {"xatol": 1e-4, "fatol": 1e-7, "maxiter": 60}
        out[k] = max(out[k], -minimize(lost, start, method="Nelder-Mead", options=options).fun)
    out[out < 1e-12 * max(out.max(), 1e-300)] = 0.0
    return out


def principal_axes(expansion: HermiteExpansion) -> Array | None:
    """Return eigenvectors of ``E[∇f* ∇f*ᵀ]`` as columns (d, d); None where axes are that already.

    With ``∂_i h_α = √α_i h_{α − e_i}`` the matrix follows from the coefficients.
    """
    d = expansion.indices.shape[1]
    at: dict[tuple[int, ...], dict[int, float]] = {}
    for index, c in zip(expansion.indices.tolist(), expansion.coefficients, strict=True):
        for i in np.flatnonzero(index).tolist():
            lower = tuple(power - (j == i) for j, power in enumerate(index))
            at.setdefault(lower, {})[i] = float(np.sqrt(index[i]) * c)
    matrix = np.zeros((d, d))
    for parts in at.values():
        rows, values = list(parts), np.array(list(parts.values()))
        matrix[np.ix_(rows, rows)] += np.outer(values, values)
    off = np.abs(matrix - np.diag(np.diag(matrix))).max(initial=0.0)
    if off <= ALIGNED * np.abs(matrix).max(initial=0.0):
        return None
    return np.linalg.eigh(matrix)[1][:, ::-1]


def rotated(target: Any, axes: Array) -> Any:
    """Return a target in new axes: ``y ↦ f*(axes y)``."""
    if isinstance(target, tuple):
        return np.asarray(target[0], dtype=float) @ axes, target[1]
    if isinstance(target, Teacher):
        return Teacher(target.a, target.w @ axes, target.b, target.activation)
    if isinstance(target, IndexTarget):
        return IndexTarget(target.directions @ axes, target.link)
    if isinstance(target, HermiteTarget | Parity):
        return IndexTarget(axes, HermiteTarget(target.n_features, recorded_terms(target)))
    return lambda Y: target(Y @ axes.T)
