"""Random networks and the symmetry moves that must not change what is found in them."""

from __future__ import annotations

import numpy as np

from meanfield.identify import Atoms
from meanfield.identify.symmetry import symmetry_of
from meanfield.problem import ACTIVATIONS

ALL = sorted(ACTIVATIONS)
IDENTIFIABLE = [name for name in ALL if ACTIVATIONS[name].degree is None]


def network(seed: int, n_atoms: int = 5, d: int = 3, *, bias: bool = True, outputs: int = 0):
    """Return plain arrays a, w, b of a random network."""
    rng = np.random.default_rng(seed)
    a = rng.normal(size=(n_atoms, outputs) if outputs else n_atoms)
    b = 1.5 * rng.normal(size=n_atoms) if bias else np.zeros(n_atoms)
    return a + np.sign(a), rng.normal(size=(n_atoms, d)), b


def moved(arrays, activation, seed: int) -> Atoms:
    """Flip some atoms, rescale homogeneous ones, split all, permute; the function stays."""
    rng = np.random.default_rng(seed)
    a, w, b = arrays
    vector, n = a.ndim == 2, len(w)
    b = np.zeros(n) if b is None else b
    c = (a if vector else a[:, None]) / n
    symmetry = symmetry_of(activation)
    flip = rng.random(n) < 0.5
    flip[0] = True
    constant, linear = symmetry.affine_of(c[flip], w[flip], b[flip])
    sign = np.where(flip, -1, 1)
    c = c * np.where(flip, symmetry.sign, 1)[:, None]
    w, b = w * sign[:, None], b * sign
    if symmetry.homogeneous:
        scale = rng.uniform(0.5, 2, n)
        c, w, b = c / scale[:, None], w * scale[:, None], b * scale
    share = rng.uniform(0.2, 0.8, n)[:, None]
    order = rng.permutation(2 * n)
    c = np.concatenate([c * share, c * (1 - share)])[order]
    w, b = np.concatenate([w, w])[order], np.concatenate([b, b])[order]
    if not vector:
        c, constant, linear = c[:, 0], constant[0], linear[0]
    return Atoms(activation, c, w, b, constant, linear, np.full(2 * n, 0.5 / n))


def forward(arrays, activation, X):
    """Evaluate (1/N) Σ a_i σ(⟨w_i, x⟩ + b_i) with loops."""
    a, w, b = arrays
    out = 0.0
    for i in range(len(w)):
        value = activation.value(X @ w[i] + b[i])
        out = out + (np.multiply.outer(value, a[i]) if a.ndim == 2 else value * a[i])
    return out / len(w)
