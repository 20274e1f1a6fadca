"""Teachers, clouds of particles around their atoms, and how close a dictionary came."""

from __future__ import annotations

import numpy as np

from meanfield.identify.symmetry import symmetry_of
from meanfield.problem import Problem, get_activation
from meanfield.problem.targets import Teacher


def teacher(name, d, n_atoms, seed, *, bias=False, outputs=1, angle=20.0):
    """Draw a teacher with atoms at least `angle` degrees apart modulo sign."""
    rng = np.random.default_rng(seed)
    if d == 2:
        gaps = rng.dirichlet(np.ones(n_atoms)) * (180 - angle * n_atoms) + angle
        turn = np.radians(np.cumsum(gaps) + rng.uniform(0, 180))
        w = np.column_stack([np.cos(turn), np.sin(turn)])
    else:
        w = Teacher.random(d, n_atoms, name, min_angle=angle, seed=seed).w
    w = w * rng.uniform(1.2, 2.0, (n_atoms, 1))
    a = rng.uniform(0.7, 1.3, (n_atoms, outputs)) * rng.choice([-1, 1], (n_atoms, outputs))
    b = 0.5 * rng.standard_normal(n_atoms) if bias else None
    return Teacher(a if outputs > 1 else a[:, 0], w, b, name)


def problem_of(target, n=500, noise=0.0, seed=0, **options):
    """Draw inputs, and labels with noise relative to their standard deviation."""
    rng = np.random.default_rng([seed, 1])
    X = rng.standard_normal((n, target.n_features))
    y = target(X)
    y = y + noise * y.std() * rng.standard_normal(y.shape)
    return Problem(X, y, target.activation, bias=target.b is not None, **options)


def cloud(target, seed=0, *, per_atom=20, jitter=0.05, inactive=30, without=()):
    """Scatter particles around the atoms of a teacher, with more that carry next to nothing.

    Returns arrays a, w, b in the mean-field scaling; atoms in `without` get no particles.
    """
    rng = np.random.default_rng([seed, 2])
    keep = [i for i in range(len(target.w)) if i not in without]
    size = np.linalg.norm(target.w, axis=1)
    label = np.repeat(keep, per_atom)
    n, d = len(label) + inactive, target.n_features
    share = rng.dirichlet(2 * np.ones(per_atom), len(keep)).ravel()
    w = target.w[label] + jitter * size[label, None] * rng.standard_normal((len(label), d))
    a = n * target.a[label].T * share
    w = np.vstack([w, rng.standard_normal((inactive, d))])
    a = np.concatenate([a.T, 1e-3 * rng.standard_normal((inactive, *target.a.shape[1:]))])
    if target.b is None:
        return a, w, None
    b = target.b[label] + jitter * rng.standard_normal(len(label))
    return a, w, np.concatenate([b, rng.standard_normal(inactive)])


def worst_angle(target, dictionary):
    """Return the largest angle, in degrees, from an atom of the teacher to the nearest found."""
    if not dictionary.n_atoms:
        return 90.0
    unit = [w / np.linalg.norm(w, axis=1)[:, None] for w in (target.w, dictionary.function.w)]
    cosine = np.abs(unit[0] @ unit[1].T).max(axis=1)
    return float(np.degrees(np.arccos(np.clip(cosine, -1, 1))).max())


def has_remainder(name):
    """Tell whether flips leave an affine function over."""
    return symmetry_of(get_activation(name)).has_remainder
