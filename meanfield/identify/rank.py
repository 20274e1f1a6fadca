"""The generic rank of the moment map, by singular values with a clear gap."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from meanfield.identify.activation_coefficients import coefficient_table
from meanfield.identify.atoms import Array
from meanfield.identify.moments import MomentMap
from meanfield.identify.symmetry import symmetry_of

CLEAR, ZERO = 1e-11, 1e-14
"""Relative singular values above the first are not zero, below the second are; double precision."""
CLEAR_EXTENDED, ZERO_EXTENDED = 1e-14, 1e-17


@dataclass(frozen=True)
class RankEvidence:
    """Rank of the Jacobian of ``Φ_D`` at several generic points.

    Attributes
    ----------
    degree : int
        ``D``.
    rank : int
        Largest rank found: the generic rank.
    wanted : int
        Number of parameters less the continuous symmetries.
    smallest : float
        Smallest singular value that counts, relative to the largest, at the best point.
    next : float
        Largest one that does not count, there; 0 when there is none.
    clear : bool
        Whether the gap between the two is clear.
    extended : bool
        Whether extended precision was needed.
    """

    degree: int
    rank: int
    wanted: int
    smallest: float
    next: float
    clear: bool
    extended: bool


def generic_rank(moments: MomentMap, points: list[Array]) -> RankEvidence:
    """Return the largest rank over the points, in extended precision where double is unclear."""
    wanted = moments.n_parameters
    wanted -= moments.n_atoms * symmetry_of(moments.activation).continuous_dimension
    best = max((_rank_at(moments, point, wanted) for point in points), key=_strength)
    if best.clear or not _has_extended(moments):
        return best
    extended = [_rank_at(moments, point.astype(np.longdouble), wanted) for point in points]
    return max([best, *extended], key=_strength)


def _has_extended(moments: MomentMap) -> bool:
    """Tell whether platform and activation go beyond double precision."""
    if np.finfo(np.longdouble).eps > ZERO_EXTENDED:
        return False
    try:
        coefficient_table(
            moments.activation, 0, *np.ones((2, 1), np.longdouble), dtype=np.longdouble
        )
    except TypeError:  # SciPy's erf and ndtr do not
        return False
    return True


def _strength(evidence: RankEvidence) -> tuple[int, bool, float]:
    return evidence.rank, evidence.clear, evidence.smallest


def _rank_at(moments: MomentMap, point: Array, wanted: int) -> RankEvidence:
    """Find the rank at one point, in its precision; rows and columns are scaled to one first."""
    extended = point.dtype == np.longdouble
    jacobian = moments.evaluate(point)[1]
    if not len(jacobian):
        return RankEvidence(moments.degree, 0, wanted, 0.0, 0.0, True, extended)
    jacobian = jacobian / np.sqrt((jacobian * jacobian).sum(axis=1))[:, None]
    columns = np.sqrt((jacobian * jacobian).sum(axis=0))
    jacobian = jacobian / np.where(columns > 0, columns, 1)
    singular = _singular_values(jacobian) if extended else np.linalg.svd(jacobian, compute_uv=False)
    relative = np.asarray(singular / singular[0], dtype=float)
    clear, zero = (CLEAR_EXTENDED, ZERO_EXTENDED) if extended else (CLEAR, ZERO)
    rank = int((relative > clear).sum())
    smallest = float(relative[rank - 1])
    following = float(relative[rank]) if rank < min(len(relative), wanted) else 0.0
    return RankEvidence(
        moments.degree, rank, wanted, smallest, following, following <= zero, extended
    )


def _singular_values(matrix: Array) -> Array:
    """One-sided Jacobi in the precision of the matrix, which LAPACK does not offer."""
    u = matrix if matrix.shape[0] >= matrix.shape[1] else matrix.T
    u = u.copy()
    n = u.shape[1]
    for _ in range(30):
        off = 0.0
        for i in range(n):
            for j in range(i):
                x, y, z = u[:, i] @ u[:, i], u[:, j] @ u[:, j], u[:, i] @ u[:, j]
                if z == 0:
                    continue
                off = max(off, float(abs(z) / np.sqrt(x * y)))
                zeta = (y - x) / (2 * z)
                t = np.copysign(1, zeta) / (abs(zeta) + np.sqrt(1 + zeta * zeta))
                cosine = 1 / np.sqrt(1 + t * t)
                u[:, i], u[:, j] = (
                    cosine * (u[:, i] - t * u[:, j]),
                    cosine * (u[:, j] + t * u[:, i]),
                )
        if off < 1e-18:
            break
    return np.sort(np.sqrt((u * u).sum(axis=0)))[::-1]
