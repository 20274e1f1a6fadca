"""Canonical form: one representative per orbit of the realisation symmetry."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from meanfield.identify.activation_coefficients import Array
from meanfield.identify.atoms import Atoms, as_atoms, make_atoms, scaled, unit_of
from meanfield.identify.symmetry import Symmetry, symmetry_of
from meanfield.problem import Activation, get_activation
from meanfield.system.threads import fixed_blas

TOLERANCE = 1e-9
"""Atoms closer than this, relative to ``max(1, |(w, b)|)``, are one."""


@fixed_blas()
def canonical(
    particles: Any,
    activation: str | Activation,
    *,
    normalisation: str = "mean",
    tolerance: float = TOLERANCE,
) -> Atoms:
    r"""Reduce particles to their active components modulo the realisation symmetry.

    Inactive particles (``a = 0``) are dropped, particles with ``w = 0`` become constants, equal
    features are merged, and every atom is brought into one hemisphere by
    ``σ(z) = s σ(−z) + q(z)``, which leaves an affine function over (not where there is no such
    relation). Atoms of a homogeneous
    activation get ``|(w, b)| = 1``. Sinusoids with equal ``w`` are one atom with
    ``0 ≤ b < π``. An affine activation has no atoms at all. The result is the same function.
    Features of a polynomial activation are linearly dependent: there different canonical forms may
    be the same function.

    Parameters
    ----------
    particles : Particles, Atoms, Dictionary, or tuple (a, w) or (a, w, b)
        Neurons; the replicas of `Particles` are pooled.
    activation : str or Activation
        σ.
    normalisation : {"mean", "sum"}
        Whether plain arrays and particles mean ``(1/N) Σ a_i σ`` or ``Σ a_i σ``.
    tolerance : float
        Atoms closer than this, relative to ``max(1, |(w, b)|)``, are merged; coefficients below
        it, relative to the largest, are dropped.

    Returns
    -------
    Atoms
        Atoms in order of falling ``|c|``, with the affine part ``α + ⟨β, x⟩``.

    Raises
    ------
    TypeError, ValueError
        If `particles` cannot be read, shapes disagree or an entry is not finite.

    Notes
    -----
    Operational definition, after the abstract of [ISD]: active components modulo the finite-rank
    realisation symmetry.

    Examples
    --------
    >>> import numpy as np
    >>> from meanfield.identify import canonical
    >>> atoms = canonical((np.array([1.0, 1.0]), np.array([[2.0], [-2.0]])), "silu")
    >>> atoms.n_atoms, atoms.coefficients.item(), atoms.linear.item()
    (1, 1.0, -1.0)
    """
    activation = get_activation(activation)
    symmetry = symmetry_of(activation)
    atoms = as_atoms(particles, activation, normalisation=normalisation)
    unit = unit_of(atoms)
    atoms = scaled(atoms, 1 / unit)
    c, w, b, mass = atoms.columns, atoms.w, atoms.b, atoms.mass
    constant, linear = atoms.affine
    if symmetry.homogeneous:
        size = np.hypot(np.linalg.norm(w, axis=1), b)
        length = np.where(size > 0, size, 1)
        c, w, b = c * length[:, None], w / length[:, None], b / length

    # An affine activation is affine for every w; the others when w vanishes.
    affine = activation.degree == 1
    flat = affine | (np.linalg.norm(w, axis=1) <= tolerance)
    origin = np.where(affine, 0.0, b[flat])
    slope = c[flat] * activation.derivative(origin)[:, None]
    constant = constant + c[flat].T @ activation.value(origin) + slope.T @ (b[flat] - origin)
    linear = linear + slope.T @ w[flat]

    size = np.linalg.norm(c, axis=1)
    dead = size <= tolerance * size.max(initial=0.0)
    inactive_mass = atoms.inactive_mass + mass[flat | dead].sum()
    active = ~(flat | dead)
    c, w, b, mass = c[active], w[active], b[active], mass[active]

    if len(c):
        if symmetry.sinusoid and b.any():
            c, w, b, mass, cancelled = _merge_sinusoids(c, w, b, mass, symmetry, tolerance)
        else:
            c, w, b, mass, cancelled, left_over = _merge(c, w, b, mass, symmetry, tolerance)
            constant, linear = constant + left_over[0], linear + left_over[1]
        inactive_mass += cancelled
        flip = _lower_hemisphere(w) & (symmetry.sign != 0)
        more_constant, more_linear = symmetry.affine_of(c[flip], w[flip], b[flip])
        constant, linear = constant + more_constant, linear + more_linear
        c[flip] *= symmetry.sign
        w[flip], b[flip] = -w[flip], -b[flip]
        if symmetry.sinusoid and b.any():
            half_turns = np.floor(b / np.pi)
            b = b - np.pi * half_turns
            c = c * np.where(half_turns % 2 == 0, 1, -1)[:, None]
    order = np.lexsort((*w.T, -np.linalg.norm(c, axis=1)))
    c, w, b, mass = c[order], w[order], b[order], mass[order]
    vector = atoms.vector_output
    found = make_atoms(
        activation, c, w, b, constant, linear, mass, vector=vector, inactive_mass=inactive_mass
    )
    return scaled(found, unit)


def symmetric_affine(atoms: Atoms) -> tuple[Array, Array]:
    """Return the affine part (k,), (k, d) when every σ is replaced by ``σ − q/2``.

    That function has exact parity, so this part does not depend on which way atoms point.
    """
    constant, linear = atoms.affine
    half = symmetry_of(atoms.activation).affine_of(atoms.columns / 2, atoms.w, atoms.b)
    return constant + half[0], linear + half[1]


def _lower_hemisphere(w: Array) -> Array:
    """Tell which rows have a negative first entry, entries that are rounding aside."""
    significant = np.abs(w) > 1e-8 * np.abs(w).max(axis=1, keepdims=True)
    first = significant.argmax(axis=1)
    return w[np.arange(len(w)), first] < 0


def _merge(
    c: Array, w: Array, b: Array, mass: Array, symmetry: Symmetry, tolerance: float
) -> tuple[Array, Array, Array, Array, float, tuple[Array, Array]]:
    """Merge atoms with equal features modulo flips.

    Also return the mass of those that cancel, and the affine part that the flips leave over.
    """
    points = np.column_stack([w, b])
    label, flip = _groups(points, tolerance, flips=symmetry.sign != 0)
    left_over = symmetry.affine_of(c[flip], w[flip], b[flip])
    pieces = c * np.where(flip, symmetry.sign, 1)[:, None]
    points = points * np.where(flip, -1, 1)[:, None]
    weight = np.linalg.norm(c, axis=1)
    c, centre, mass, cancelled = _joined(label, pieces, points, weight, mass, tolerance)
    return c, centre[:, :-1], centre[:, -1], mass, cancelled, left_over


def _merge_sinusoids(
    c: Array, w: Array, b: Array, mass: Array, symmetry: Symmetry, tolerance: float
) -> tuple[Array, Array, Array, Array, float]:
    """Merge atoms with equal ``w``: ``σ(z + b) = cos(b) σ(z) + sin(b) σ(z + π/2)``.

    Also return the mass of those that cancel.
    """
    label, flip = _groups(w, tolerance, flips=True)
    sign = np.where(flip, symmetry.sign, 1)[:, None]
    w, b = w * np.where(flip, -1, 1)[:, None], np.where(flip, -b, b)
    pieces = np.stack([c * sign * np.cos(b)[:, None], c * sign * np.sin(b)[:, None]], axis=2)
    weight = np.linalg.norm(c, axis=1)
    merged, centre, mass, cancelled = _joined(label, pieces, w, weight, mass, tolerance)
    # (k, 2) per frequency; of rank one for scalar functions: one amplitude and one phase.
    amplitude, singular, phase = np.linalg.svd(merged, full_matrices=False)
    i, j = np.nonzero(singular > tolerance * singular[:, :1])
    angle = np.arctan2(phase[i, j, 1], phase[i, j, 0])
    return amplitude[i, :, j] * singular[i, j, None], centre[i], angle, mass[i], cancelled


def _groups(points: Array, tolerance: float, flips: bool) -> tuple[Array, Array]:
    """Label points equal, up to sign if it `flips`; say which to flip to agree with their group."""
    size = np.maximum(1, np.linalg.norm(points, axis=1))
    n = len(points)
    both = cKDTree(np.concatenate([points, -points]) if flips else points)
    pairs = both.query_pairs(tolerance * size.max(), output_type="ndarray")
    i, j = pairs.T if len(pairs) else np.zeros((2, 0), dtype=np.intp)
    near = np.linalg.norm(both.data[i] - both.data[j], axis=1) <= tolerance * size[i % n]
    graph = coo_array((np.ones(near.sum()), (i[near] % n, j[near] % n)), shape=(n, n))
    label = connected_components(graph, directed=False)[1]
    first = points[np.unique(label, return_index=True)[1]][label]
    flip = np.linalg.norm(points + first, axis=1) < np.linalg.norm(points - first, axis=1)
    return label, flip & flips


def _sum_by(label: Array, values: Array) -> Array:
    """Sum the rows of `values` that share a label."""
    total = np.zeros((label.max() + 1, *values.shape[1:]))
    np.add.at(total, label, values)
    return total


def _joined(
    label: Array, pieces: Array, points: Array, weight: Array, mass: Array, tolerance: float
) -> tuple[Array, Array, Array, float]:
    """Sum the pieces and masses of each group and average its points, (w) or (w, b), by weight.

    Groups whose sum is no more than rounding of its pieces cancel: of them only the mass is told.
    """
    merged, mass = _sum_by(label, pieces), _sum_by(label, mass)
    centre = _sum_by(label, points * weight[:, None]) / _sum_by(label, weight[:, None])
    axes = tuple(range(1, merged.ndim))
    size = np.sqrt((merged**2).sum(axis=axes))
    gross = _sum_by(label, np.sqrt((pieces**2).sum(axis=axes)))
    keep = size > tolerance * np.maximum(gross, size.max(initial=0.0))
    return merged[keep], centre[keep], mass[keep], float(mass[~keep].sum())
