"""L² norms of dictionaries, under standard normal inputs or over given inputs."""

from __future__ import annotations

import math

import numpy as np
from scipy.special import ndtr, owens_t
from scipy.stats import qmc

from meanfield.identify.atoms import Array, Atoms
from meanfield.identify.hermite import coefficient_table
from meanfield.problem import Activation

PAIR_LIMIT = 40
"""Largest dictionary for which every pair of atoms gets its own two-dimensional quadrature."""
SCRAMBLINGS = 8
SOBOL_POINTS = 2**11


def l2_norm(atoms: Atoms, inputs: Array | None = None) -> tuple[float, float, str]:
    """Return ``‖f‖`` in L²(ρ), its error and how it was computed.

    ρ is the standard normal law, or the empirical law of `inputs` of shape (n, d). Closed form for
    homogeneous and affine activations and erf; otherwise quadrature over each pair of atoms, or
    scrambled Sobol points when there are many atoms.
    """
    if inputs is not None:
        values = atoms.predict(inputs).reshape(len(inputs), -1)
        return math.sqrt((values**2).sum(axis=1).mean()), 0.0, "inputs"
    closed = atoms.activation.homogeneous or atoms.activation.name == "erf" or not atoms.n_atoms
    if not closed and atoms.n_atoms > PAIR_LIMIT:
        return _sobol_norm(atoms)
    c, w, b = atoms.columns, atoms.w, atoms.b
    constant, linear = atoms.affine
    r = np.linalg.norm(w, axis=1)
    first = coefficient_table(atoms.activation, 1, r, b)
    gram = gaussian_gram(atoms.activation, w, b)
    # With f = atoms + α + ⟨β, x⟩: E σ_i = γ_0 and E σ_i x = γ_1 ŵ.
    slope = first[:, 1:] * w / np.where(r > 0, r, 1)[:, None]
    squares = np.array([
        np.einsum("ik,ij,jk->", c, gram, c),
        2 * constant @ (c.T @ first[:, 0]),
        2 * np.sum(linear * (c.T @ slope)),
        constant @ constant + np.sum(linear**2),
    ])  # fmt: skip
    gross = np.einsum("ik,ij,jk->", np.abs(c), np.abs(gram), np.abs(c)) + squares[3]
    square = max(squares.sum(), 0.0)
    error_square = 1e-15 * gross
    error = min(math.sqrt(error_square), error_square / max(math.sqrt(square), 1e-300))
    return math.sqrt(square), error, "closed form" if closed else "pair quadrature"


def _sobol_norm(atoms: Atoms) -> tuple[float, float, str]:
    """Average over independent scramblings, with a standard error."""
    squares = []
    for seed in range(SCRAMBLINGS):
        sampler = qmc.MultivariateNormalQMC(
            np.zeros(atoms.w.shape[1]), engine=qmc.Sobol(atoms.w.shape[1], rng=seed)
        )
        values = atoms.predict(sampler.random(SOBOL_POINTS))
        squares.append((values.reshape(SOBOL_POINTS, -1) ** 2).sum(axis=1).mean())
    norm = math.sqrt(np.mean(squares))
    error = float(np.std(squares, ddof=1)) / math.sqrt(SCRAMBLINGS) / max(2 * norm, 1e-300)
    return norm, error, "scrambled Sobol points"


def gaussian_gram(activation: Activation, w: Array, b: Array) -> Array:
    """Return ``E[σ(⟨w_i, x⟩ + b_i) σ(⟨w_j, x⟩ + b_j)]`` for ``x ~ N(0, I)``, shape (S, S)."""
    r = np.linalg.norm(w, axis=1)
    if not len(r):
        return np.zeros((0, 0))
    unit = w / np.where(r > 0, r, 1)[:, None]
    correlation = np.clip(unit @ unit.T, -1, 1)
    np.fill_diagonal(correlation, 1.0)
    if activation.homogeneous:
        return _homogeneous_gram(activation, r, b, correlation)
    if activation.name == "erf":
        return _erf_gram(r, b, correlation)
    return _quadrature_gram(activation, r, b, correlation)


def _normal_orthant(h: Array, k: Array, rho: Array) -> Array:
    """Return ``P(X < h, Y < k)`` for standard normals with correlation `rho`, by Owen's T."""
    tiny = 1e-300
    h, k = np.where(h == 0, tiny, h), np.where(k == 0, tiny, k)
    s = np.sqrt((1 - rho) * (1 + rho))
    with np.errstate(divide="ignore", invalid="ignore"):
        t = owens_t(h, (k / h - rho) / s) + owens_t(k, (h / k - rho) / s)
    inside = 0.5 * (ndtr(h) + ndtr(k)) - t - np.where(h * k < 0, 0.5, 0.0)
    inside = np.where((h > 0) != (k > 0), 0.5 * (ndtr(h) + ndtr(k)) - t - 0.5, inside)
    edge = np.where(rho > 0, ndtr(np.minimum(h, k)), np.maximum(0, ndtr(h) + ndtr(k) - 1))
    return np.where(s > 0, inside, edge)


def _bell(x: Array) -> Array:
    return np.exp(-x * x / 2) / math.sqrt(2 * math.pi)


def _homogeneous_gram(activation: Activation, r: Array, b: Array, rho: Array) -> Array:
    """Sum the four half-line pairs of ``σ(z) = σ(1) (z)_+ + σ(−1) (−z)_+``."""
    up, down = activation.value(np.array([1.0, -1.0]))
    h = b / np.where(r > 0, r, 1)
    hi, hj = np.broadcast_arrays(h[:, None], h[None, :])
    gram = up * up * _ramp_gram(hi, hj, rho)
    if down:
        gram = (
            gram
            + up * down * (_ramp_gram(hi, -hj, -rho) + _ramp_gram(-hi, hj, -rho))
            + down * down * _ramp_gram(-hi, -hj, rho)
        )
    return gram * r[:, None] * r[None, :]


def _ramp_gram(h: Array, k: Array, rho: Array) -> Array:
    """Return ``E[(X + h)_+ (Y + k)_+]``."""
    s = np.sqrt((1 - rho) * (1 + rho))
    with np.errstate(divide="ignore", invalid="ignore"):
        into_k = np.where(s > 0, (k - rho * h) / s, np.inf * np.sign(k - rho * h))
        into_h = np.where(s > 0, (h - rho * k) / s, np.inf * np.sign(h - rho * k))
    into_k, into_h = (
        np.nan_to_num(into_k, posinf=40, neginf=-40),
        np.nan_to_num(into_h, posinf=40, neginf=-40),
    )
    return (
        (rho + h * k) * _normal_orthant(h, k, rho)
        + k * _bell(h) * ndtr(into_k)
        + h * _bell(k) * ndtr(into_h)
        + s * _bell(h) * _bell(into_k)
    )


def _erf_gram(r: Array, b: Array, rho: Array) -> Array:
    """Write ``erf(z) = 2 Φ(√2 z) − 1``; the pair is a bivariate normal probability."""
    spread = np.sqrt(1 + 2 * r * r)
    h = math.sqrt(2) * b / spread
    joint = 2 * rho * np.outer(r / spread, r / spread)
    hi, hj = np.broadcast_arrays(h[:, None], h[None, :])
    return 4 * _normal_orthant(hi, hj, joint) - 2 * ndtr(hi) - 2 * ndtr(hj) + 1


def _quadrature_gram(activation: Activation, r: Array, b: Array, rho: Array) -> Array:
    """Two-dimensional trapezoid rule per pair; its step follows the narrowest transition."""
    step = min(0.25, 0.27 / max(r.max(), 1e-12))
    half = math.ceil(10.5 / step)  # far enough for polynomials of degree 12
    z = step * np.arange(-half, half + 1)
    weight = step * _bell(z)
    gram = np.empty((len(r), len(r)))
    for i in range(len(r)):
        left = weight * activation.value(r[i] * z + b[i])
        for j in range(i + 1):
            s = math.sqrt((1 - rho[i, j]) * (1 + rho[i, j]))
            inner = r[j] * (rho[i, j] * z[:, None] + s * z[None, :]) + b[j]
            gram[i, j] = gram[j, i] = left @ (activation.value(inner) @ weight)
    return gram
