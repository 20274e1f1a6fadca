"""L² norms of dictionaries, under standard normal inputs or over given inputs."""

from __future__ import annotations

import math

import numpy as np
from scipy.special import ndtr, owens_t

from meanfield.identify.activation_coefficients import Array, coefficient_table
from meanfield.identify.atoms import Atoms
from meanfield.identify.symmetry import symmetry_of
from meanfield.problem import Activation

PAIR_LIMIT = 40
"""Largest dictionary for which every pair of atoms gets its own two-dimensional quadrature."""
SCRAMBLINGS = 8
SOBOL_POINTS = 2**11
_REACH = 10.5
"""Inputs beyond this many deviations count as none, also to polynomials of degree 12."""
_MOST_TRAPEZOIDS = 400
"""On either side of 0; more than this in each of two dimensions take longer than panels."""


def l2_norm(atoms: Atoms, inputs: Array | None = None) -> tuple[float, float, str]:
    """Return ``‖f‖`` in L²(ρ), its error and how it was computed.

    ρ is the standard normal law, or the empirical law of `inputs` of shape (n, d). Closed form for
    homogeneous and polynomial activations, sinusoids and erf; otherwise quadrature over each pair
    of atoms, or scrambled Sobol points when there are many atoms.
    """
    if inputs is not None:
        values = atoms.predict(inputs).reshape(len(inputs), -1)
        return math.sqrt((values**2).sum(axis=1).mean()), 0.0, "inputs"
    closed = not atoms.n_atoms or _has_closed_form(atoms.activation)
    if not closed and atoms.n_atoms > PAIR_LIMIT:
        return _sobol_norm(atoms)
    c, w, b = atoms.columns, atoms.w, atoms.b
    if not closed and isinstance(atoms.activation.code, str) and not _resolved(atoms):
        return _sobol_norm(atoms)
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


def _resolved(atoms: Atoms) -> bool:
    """Whether the rules, made for the activations of the table, resolve that of these atoms."""
    if not atoms.activation.smooth:
        return False
    r = np.linalg.norm(atoms.w, axis=1)
    unit = atoms.w / np.where(r > 0, r, 1)[:, None]
    rho = np.clip(unit @ unit.T, -1, 1)
    coarse, fine = (_quadrature_gram(atoms.activation, r, atoms.b, rho, by) for by in (1, 2))
    return bool(np.abs(fine - coarse).max() <= 1e-12 * np.abs(fine).max())


def _has_closed_form(activation: Activation) -> bool:
    """Tell whether `gaussian_gram` needs no quadrature."""
    polynomial = activation.degree is not None
    known = activation.homogeneous or polynomial or activation.name == "erf"
    return known or symmetry_of(activation).sinusoid


def _sobol_norm(atoms: Atoms) -> tuple[float, float, str]:
    """Average over independent scramblings, with a standard error."""
    from scipy.stats import qmc  # takes a third of the time of a start

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
    if activation.degree is not None:
        return _polynomial_gram(activation, r, b, correlation)
    if symmetry_of(activation).sinusoid:
        return _sinusoid_gram(activation, r, b, correlation)
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
        gram = gram + up * down * (_ramp_gram(hi, -hj, -rho) + _ramp_gram(-hi, hj, -rho))
        gram = gram + down * down * _ramp_gram(-hi, -hj, rho)
    return gram * r[:, None] * r[None, :]


def _ramp_gram(h: Array, k: Array, rho: Array) -> Array:
    """Return ``E[(X + h)_+ (Y + k)_+]``."""
    s = np.sqrt((1 - rho) * (1 + rho))
    with np.errstate(divide="ignore", invalid="ignore"):
        into_k = np.where(s > 0, (k - rho * h) / s, np.inf * np.sign(k - rho * h))
        into_h = np.where(s > 0, (h - rho * k) / s, np.inf * np.sign(h - rho * k))
    into_k, into_h = (np.nan_to_num(x, posinf=40, neginf=-40) for x in (into_k, into_h))
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


def _sinusoid_gram(activation: Activation, r: Array, b: Array, rho: Array) -> Array:
    """Half the mean cosines of difference and sum; a sine is a cosine a quarter turn later."""
    phase = b - math.acos(activation.value(np.zeros(1)).item())
    squares = (r * r)[:, None] + (r * r)[None, :]
    cross = 2 * rho * np.outer(r, r)
    apart = np.exp(np.minimum(cross - squares, 0) / 2) * np.cos(phase[:, None] - phase[None, :])
    both = np.exp(np.minimum(-cross - squares, 0) / 2) * np.cos(phase[:, None] + phase[None, :])
    return (apart + both) / 2


def _polynomial_gram(activation: Activation, r: Array, b: Array, rho: Array) -> Array:
    """Sum ``γ_k(r_i, b_i) γ_k(r_j, b_j) ρ^k`` up to the degree (Mehler's formula)."""
    assert activation.degree is not None
    table = coefficient_table(activation, activation.degree, r, b)
    powers = rho[..., None] ** np.arange(activation.degree + 1)
    return np.einsum("ik,jk,ijk->ij", table, table, powers)


def _quadrature_gram(
    activation: Activation, r: Array, b: Array, rho: Array, finer: int = 1
) -> Array:
    """Two-dimensional rule per pair: trapezoids, or graded panels where those are too many."""
    step = min(0.25, 0.27 / max(r.max(), 1e-12)) / finer  # follows the narrowest transition
    half = math.ceil(_REACH / step)
    gram = np.empty((len(r), len(r)))
    if half > _MOST_TRAPEZOIDS:
        for i in range(len(r)):
            for j in range(i + 1):
                gram[i, j] = gram[j, i] = _graded_pair(activation, r[[i, j]], b[[i, j]], rho[i, j])
        return gram
    z = step * np.arange(-half, half + 1)
    weight = step * _bell(z)
    for i in range(len(r)):
        left = weight * activation.value(r[i] * z + b[i])
        for j in range(i + 1):
            s = math.sqrt((1 - rho[i, j]) * (1 + rho[i, j]))
            inner = r[j] * (rho[i, j] * z[:, None] + s * z[None, :]) + b[j]
            gram[i, j] = gram[j, i] = left @ (activation.value(inner) @ weight)
    return gram


def _graded_pair(activation: Activation, r: Array, b: Array, rho: float) -> float:
    """Integrate over the first input, and inside over what the second has besides."""
    s = math.sqrt((1 - rho) * (1 + rho))
    edges = [_graded_edges(np.array([[-b[0] / max(r[0], 1e-300)]]), r[0])]
    if rho:
        edges.append(_graded_edges(np.array([[-b[1] / max(r[1] * abs(rho), 1e-300)]]), r[1]))
        edges[1] = np.sign(rho) * edges[1]
    z, weight = (part[0] for part in _panels(np.concatenate(edges, axis=1)))
    middle = r[1] * rho * z + b[1]
    if r[1] * s < 1e-8:  # nothing besides
        inside = activation.value(middle)
    else:
        y, inner = _panels(_graded_edges(-middle[:, None] / (r[1] * s), r[1] * s))
        inside = (inner * activation.value(middle[:, None] + r[1] * s * y)).sum(axis=1)
    return float(weight @ (activation.value(r[0] * z + b[0]) * inside))


def _graded_edges(centre: Array, rate: float) -> Array:
    """Return edges of panels that grow by the distance from `centre` (m, 1), in units of 1/rate."""
    outwards = 2.0 ** np.arange(math.ceil(math.log2(4 * _REACH * max(rate, 1)))) / max(rate, 1)
    steps = np.concatenate([-outwards, [0.0], outwards])
    whole = np.arange(-_REACH, _REACH + 1, 1.5)
    return np.concatenate([centre + steps, np.broadcast_to(whole, (len(centre), len(whole)))], 1)


def _panels(edges: Array) -> tuple[Array, Array]:
    """Return Gauss–Legendre nodes and weights, times the normal density, both (m, nodes)."""
    edges = np.sort(np.clip(edges, -_REACH, _REACH), axis=1)
    node, weight = np.polynomial.legendre.leggauss(16)
    half = np.diff(edges, axis=1)[..., None] / 2
    nodes = ((edges[:, 1:] + edges[:, :-1])[..., None] / 2 + half * node).reshape(len(edges), -1)
    return nodes, (half * weight).reshape(len(edges), -1) * _bell(nodes)
