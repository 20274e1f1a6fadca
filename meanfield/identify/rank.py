"""The generic rank of the moment map, by singular values with a clear gap."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from meanfield.identify.activation_coefficients import Array, coefficient_table
from meanfield.identify.moments import MomentMap

CLEAR, ZERO = 1e-11, 1e-14
"""Relative singular values above the first are not zero, below the second are; double precision."""
CLEAR_EXTENDED, ZERO_EXTENDED = 1e-14, 1e-17


@dataclass(frozen=True)
class RankEvidence:
    """Generic rank of the Jacobian of ``Φ_D``, ``D = degree``: the largest over several points.

    `wanted` is the number of parameters less the continuous symmetries. At the best point
    `smallest` is the smallest singular value that counts, relative to the largest, and `next` the
    largest that does not, 0 when there is none; `clear` tells whether the gap between the two is,
    `extended` whether it took extended precision.
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
    # A homogeneous activation leaves one scale per atom free.
    wanted = moments.n_parameters - moments.n_atoms * moments.activation.homogeneous
    best = max((_rank_at(moments, point, wanted) for point in points), key=_strength)
    if best.clear or not _has_extended(moments):
        return best
    extended = [_rank_at(moments, point.astype(np.longdouble), wanted) for point in points]
    return max([best, *extended], key=_strength)


def _has_extended(moments: MomentMap) -> bool:
    """Tell whether platform and activation go beyond double precision."""
    if np.finfo(np.longdouble).eps > ZERO_EXTENDED:
        return False
    one = np.ones(1, np.longdouble)
    try:
        coefficient_table(moments.activation, 0, one, one, dtype=np.longdouble)
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
    clear_gap = following <= zero
    return RankEvidence(moments.degree, rank, wanted, smallest, following, clear_gap, extended)


def _singular_values(matrix: Array) -> Array:
    """One-sided Jacobi in the precision of the matrix, which LAPACK does not offer."""
    u = (matrix if matrix.shape[0] >= matrix.shape[1] else matrix.T).copy()
    for _ in range(30):
        off = 0.0
        for i in range(u.shape[1]):
            for j in range(i):
                x, y, z = u[:, i] @ u[:, i], u[:, j] @ u[:, j], u[:, i] @ u[:, j]
                if z == 0:
                    continue
                off = max(off, float(abs(z) / np.sqrt(x * y)))
                zeta = (y - x) / (2 * z)
                t = np.copysign(1, zeta) / (abs(zeta) + np.sqrt(1 + zeta * zeta))
                left, right = u[:, i] - t * u[:, j], u[:, j] + t * u[:, i]
                cosine = 1 / np.sqrt(1 + t * t)
                u[:, i], u[:, j] = cosine * left, cosine * right
        if off < 1e-18:
            break
    return np.sort(np.sqrt((u * u).sum(axis=0)))[::-1]
