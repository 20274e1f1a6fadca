"""Whether two networks are one function: matching modulo symmetry, distance and L² gap."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

from meanfield import checks
from meanfield.identify.activation_coefficients import Array
from meanfield.identify.atoms import Atoms, as_atoms, scaled, unit_of
from meanfield.identify.canonical import TOLERANCE, canonical, symmetric_affine
from meanfield.identify.gaussian import l2_norm
from meanfield.identify.symmetry import symmetry_of
from meanfield.problem import Activation, get_activation
from meanfield.problem.validation import as_inputs

# A gap with a larger relative error says nothing.
_COARSE = 1e-3


@dataclass(frozen=True, eq=False)
class Equivalence:
    """Verdict on two networks, with its evidence; true in a condition when they are equivalent.

    Attributes
    ----------
    equivalent : bool
        Whether canonical atoms and affine parts agree modulo the realisation symmetry.
    same_function : bool
        Whether the L² gap vanishes within tolerance.
    matching : ndarray of shape (m, 2)
        Indices of matched canonical atoms, the first network's and the second's.
    distance : float
        Quotient distance. Atoms are points ``(c / c̄, w, b)`` modulo symmetry, ``c̄`` the root mean
        square coefficient, and are transported exactly, to one another or into the dead set
        ``c = 0``; the affine parts add ``|α − α′|² + |β − β′|²`` in the same units.
    l2_gap, l2_gap_error : float
        ``‖f − g‖`` in L²(ρ), and its rounding or quadrature error; a standard error for scrambled
        points.
    l2_norm : float
        ``(‖f‖² + ‖g‖²)^{1/2}``, the scale of the gap.
    method, explanation : str
        How the gap was computed, and one sentence; when verdict and gap disagree it says why.
    first, second : Atoms
        The canonical forms.

    Examples
    --------
    >>> import numpy as np, meanfield as mf
    >>> a, w = np.array([1.0]), np.array([[1.0, 2.0]])
    >>> verdict = mf.equivalent((a, w), (-a, -w), "tanh")
    >>> verdict.equivalent, verdict.same_function, verdict.matching
    (True, True, array([[0, 0]]))
    """

    equivalent: bool
    same_function: bool
    matching: Array
    distance: float
    l2_gap: float
    l2_gap_error: float
    l2_norm: float
    method: str
    explanation: str
    first: Atoms
    second: Atoms

    def __bool__(self) -> bool:
        return self.equivalent


def equivalent(
    p: Any,
    q: Any,
    activation: str | Activation,
    *,
    inputs: Any = None,
    normalisation: str = "mean",
    tolerance: float = 1e-6,
) -> Equivalence:
    r"""Decide whether two networks agree modulo the realisation symmetry.

    Both are brought into canonical form and their atoms matched by exact transport in the
    quotient; the verdict is checked against ``‖f − g‖`` in L²(ρ).

    Parameters
    ----------
    p, q : Particles, Atoms, Dictionary, or tuple (a, w) or (a, w, b)
        The networks; sizes may differ.
    activation : str or Activation
        σ of both.
    inputs : array_like of shape (n, d), optional
        Inputs whose empirical law is ρ. By default ρ is the standard normal law.
    normalisation : {"mean", "sum"}
        Whether plain arrays and particles mean ``(1/N) Σ a_i σ`` or ``Σ a_i σ``.
    tolerance : float
        Largest difference that counts as none: of ``(w, b)`` relative to ``max(1, |(w, b)|)``, of
        ``c``, ``α`` and ``β`` relative to the largest coefficient, of the gap relative to
        ``(‖f‖² + ‖g‖²)^{1/2}``.

    Returns
    -------
    Equivalence
        Verdict, matching, distance, gap and an explanation.

    Raises
    ------
    TypeError, ValueError
        If a network cannot be read, shapes disagree or an entry is not finite.

    Notes
    -----
    Operational definition, after the abstract of [ISD]: two measures induce the same function in
    L² exactly when their active components agree modulo the finite-rank realisation symmetry. For
    polynomial activations of degree 2 or more that is false, since their atoms are linearly
    dependent; the explanation says so where it matters.

    Examples
    --------
    >>> import numpy as np
    >>> from meanfield.identify import equivalent
    >>> w = np.array([[1.0, 2.0]])
    >>> bool(equivalent((np.array([1.0]), w), (np.array([-1.0]), -w), "tanh"))
    True
    """
    activation = get_activation(activation)
    tolerance = checks.nonnegative("tolerance", tolerance)
    raw = [
        as_atoms(network, activation, normalisation=normalisation, name=name)
        for network, name in ((p, "p"), (q, "q"))
    ]
    unit = unit_of(*raw)
    f, g = raw = [scaled(atoms, 1 / unit) for atoms in raw]
    # Atoms that count as one in the verdict are one in each network too.
    nearby = max(tolerance, TOLERANCE)
    first, second = (canonical(atoms, activation, tolerance=nearby) for atoms in raw)
    if first.linear.shape != second.linear.shape:
        raise ValueError(
            f"p and q have inputs and outputs {first.linear.shape[::-1]} and "
            f"{second.linear.shape[::-1]}; only networks of one shape can be compared."
        )
    if inputs is not None:
        inputs = as_inputs(inputs, "inputs", first.w.shape[1])
    matching, distance, close = match_atoms(first, second, tolerance)
    difference = Atoms(
        activation,
        np.concatenate([f.coefficients, -g.coefficients]),
        np.concatenate([f.w, g.w]),
        np.concatenate([f.b, g.b]),
        f.constant - g.constant,
        f.linear - g.linear,
        np.concatenate([f.mass, g.mass]) / 2,
    )
    gap, gap_error, method = l2_norm(canonical(difference, activation), inputs)
    norm = float(np.hypot(l2_norm(first, inputs)[0], l2_norm(second, inputs)[0]))
    same_function = gap <= tolerance * norm + 3 * gap_error
    resolved = 3 * gap_error <= max(tolerance, _COARSE) * norm
    no_gap = gap <= 1e-9 * norm + 3 * gap_error
    counts = f"{first.n_atoms} and {second.n_atoms} canonical atoms, {len(matching)} matched"
    return Equivalence(
        close,
        bool(same_function),
        matching,
        distance,
        gap * unit,
        gap_error * unit,
        norm * unit,
        method,
        _explain(close, same_function, no_gap, resolved, counts, activation.degree, inputs),
        scaled(first, unit),
        scaled(second, unit),
    )


def match_atoms(first: Atoms, second: Atoms, tolerance: float) -> tuple[Array, float, bool]:
    """Transport atoms to atoms or to ``c = 0``; return matching, distance and verdict."""
    symmetry = symmetry_of(first.activation)
    coefficients = np.concatenate([first.columns, second.columns])
    size = np.linalg.norm(coefficients, axis=1)
    unit = np.sqrt((size**2).mean()) if len(size) else 1.0
    m, n = first.n_atoms, second.n_atoms
    place = np.column_stack([first.w, first.b])
    reach = np.maximum(1, np.linalg.norm(place, axis=1))[:, None]
    square, worst = np.full((2, m, n), np.inf)
    for c, w, b in symmetry.images(second.columns, second.w, second.b):
        coefficient_gap = cdist(first.columns, c)
        place_gap = cdist(place, np.column_stack([w, b]))
        relative = np.maximum(coefficient_gap / size.max(initial=1e-300), place_gap / reach)
        cost = (coefficient_gap / unit) ** 2 + place_gap**2
        better = cost < square
        square, worst = np.where(better, cost, square), np.where(better, relative, worst)

    cost = np.zeros((m + n, m + n))
    cost[:m, :n] = square
    cost[:m, n:] = (size[:m, None] / unit) ** 2
    cost[m:, :n] = (size[m:] / unit) ** 2
    rows, columns = linear_sum_assignment(cost)
    matched = (rows < m) & (columns < n)
    matching = np.column_stack([rows[matched], columns[matched]])

    affine_gap = [a - b for a, b in zip(*map(symmetric_affine, (first, second)), strict=True)]
    affine_size = [np.abs(part).max() for part in (*first.affine, *second.affine)]
    scale = max(size.max(initial=0.0), *affine_size)
    affine_close = max(np.abs(part).max() for part in affine_gap) <= tolerance * scale
    total = cost[rows, columns].sum() + sum((part**2).sum() for part in affine_gap) / unit**2
    close = (
        len(matching) == m == n
        and bool((worst[tuple(matching.T)] <= tolerance).all())
        and bool(affine_close)
    )
    return matching, float(np.sqrt(total)), close


def _explain(
    close: bool,
    same_function: bool,
    no_gap: bool,
    resolved: bool,
    counts: str,
    degree: int | None,
    inputs: Array | None,
) -> str:
    """Say in one sentence how verdict and gap go together."""
    if close and same_function:
        return f"Equivalent: {counts}, and the functions agree."
    if not close and not same_function:
        return f"Not equivalent: {counts}, and the functions differ."
    if close:
        return (
            f"Equivalent within tolerance ({counts}), but the functions differ by more than it: "
            "large weights or cancelling coefficients amplify the small differences between atoms."
        )
    if not resolved:
        return (
            f"Different atoms ({counts}) whose functions cannot be told apart: coefficients cancel "
            "so far that rounding hides the gap; pass inputs on which to compare."
        )
    if no_gap and degree is not None:
        return (
            f"Different atoms ({counts}) and yet one function: the activation is a polynomial of "
            f"degree {degree}, whose atoms are linearly dependent, so atoms are not identifiable."
        )
    if inputs is not None:
        return (
            f"Different atoms ({counts}) that agree on the {len(inputs)} given inputs within "
            "tolerance; they may differ elsewhere."
        )
    return (
        f"Different atoms ({counts}) and functions that agree within tolerance: some atoms nearly "
        "coincide or contribute almost nothing, so that the gap hardly sees them."
    )
