"""Exact optimal transport between equal-weight clouds, under the squared Euclidean cost.

Every function named ``...wasserstein2`` returns the **square** of the 2-Wasserstein distance.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numba
import numpy as np
from numpy.typing import ArrayLike

from meanfield import checks
from meanfield.transport import assignment

_PAIRS_AT_ONCE = 64  # bounds the working copies of a large batch
_ROWS_AT_ONCE = 512  # of one scan over all pairs, the unit of work of a thread
_COPIES = 8  # beyond, ties between copies of a point cost more than the network simplex
_TIGHT = 1e-14  # of the typical cost: rounding of one cost
_GAP = 1e-10  # of the mean cost: more than rounding can open between the two bounds


@dataclass(frozen=True)
class Matching:
    """An optimal one-to-one matching of two clouds, with its certificate.

    Attributes
    ----------
    permutation : ndarray, shape (N,)
        ``x[i]`` goes to ``y[permutation[i]]``.
    value : float
        Squared W2, the mean squared length of the matched pairs.
    lower_bound : float
        Value of a dual solution that is feasible for all N² pairs: no matching costs less.
        ``value - lower_bound`` is zero to rounding.
    """

    permutation: np.ndarray
    value: float
    lower_bound: float


def wasserstein2(x: ArrayLike, y: ArrayLike) -> float:
    r"""Exact **squared** 2-Wasserstein distance of two equal-weight clouds.

    .. math:: W_2^2(x, y) = \min_{\pi} \sum_{ij} \pi_{ij} |x_i - y_j|^2,
              \qquad \pi \ge 0, \; \pi 1 = 1/N, \; \pi^T 1 = 1/M

    One dimension, besides coordinates that all points share: the quantile coupling. Equal sizes:
    an optimal matching (see `optimal_matching`), in O(N) memory; likewise when one size is a small
    multiple of the other. Other sizes: the network simplex of POT on the dense (N, M) cost, which
    takes 8 N M bytes.

    Parameters
    ----------
    x, y : array_like, shape (N, p) and (M, p), or (N,) and (M,)
        The clouds; every point of a cloud carries the same weight.

    Returns
    -------
    float
        The squared distance, not its root.

    Raises
    ------
    ValueError
        A cloud is empty or not finite, or the dimensions differ.

    References
    ----------
    Peyré & Cuturi, *Computational Optimal Transport* (2019), sections 2 and 3.
    """
    x, y = _varying(*_two_clouds(x, y))
    if x.shape[1] == 1:
        return _wasserstein2_line(x[:, 0], y[:, 0])
    few, many = sorted((x, y), key=len)
    copies, rest = divmod(len(many), len(few))
    if rest == 0 and copies <= _COPIES:
        return float(matched_wasserstein2(np.repeat(few, copies, axis=0), many))
    return _network_simplex(x, y)


def matched_wasserstein2(x: ArrayLike, y: ArrayLike) -> float | np.ndarray:
    r"""Exact **squared** W2 of every pair of equal-size clouds in a batch.

    The same number as `wasserstein2`, fastest when :math:`x_i` lies near :math:`y_i` as in
    synchronously coupled systems: the start is the identity matching with the potentials
    :math:`u = 0, v_j = |x_j - y_j|^2` of the centred clouds, which one scan over all pairs
    certifies when it is optimal; otherwise only the rows that fail are rematched. Independent
    clouds are detected and solved too. Memory is O(N p) per pair.

    Parameters
    ----------
    x, y : array_like, shape (..., N, p)
        The clouds of each pair, particles last but one, coordinates last.

    Returns
    -------
    float or ndarray, shape (...)
        The squared distance of each pair.

    Raises
    ------
    ValueError
        The shapes differ, or the clouds are empty or not finite.

    See Also
    --------
    optimal_matching : the permutation and its certificate.

    References
    ----------
    [ISD] abstract (the squared-Wasserstein rate that it measures). Peyré & Cuturi, *Computational
    Optimal Transport* (2019), sections 2 and 3 (matchings, and potentials as their certificate).
    """
    x, y = checks.finite("x", x), checks.finite("y", y)
    if x.shape != y.shape or x.ndim < 2 or min(x.shape[-2:]) == 0:
        raise ValueError(
            f"x and y must share one shape (..., N, p), N and p positive; got {x.shape} and "
            f"{y.shape}."
        )
    x, y = _varying(x, y)
    value = np.empty(x.shape[:-2])
    pairs = zip(x.reshape(-1, *x.shape[-2:]), y.reshape(-1, *y.shape[-2:]), strict=True)
    if x.shape[-1] == 1:
        value.ravel()[:] = [_wasserstein2_line(a[:, 0], b[:, 0]) for a, b in pairs]
    else:
        value.ravel()[:] = [
            matching.value for chunk in _chunks(list(pairs)) for matching in _match(*chunk)
        ]
    return float(value) if value.ndim == 0 else value


def optimal_matching(x: ArrayLike, y: ArrayLike) -> Matching:
    r"""Find an optimal matching of two equal-size clouds and prove it optimal.

    .. math:: \min_{\pi \in S_N} \frac1N \sum_i |x_i - y_{\pi(i)}|^2
              = \max \Big\{ \frac1N \sum_i (u_i + v_i) :
                u_i + v_j \le |x_i - y_j|^2 \text{ for all } i, j \Big\}

    Shortest augmenting paths (Jonker & Volgenant 1987) on a few candidate columns per row, each
    row looked at in full whenever a decision could depend on the others; clouds that are not
    coupled first go through auctions of falling :math:`\varepsilon` (Bertsekas 1988). The
    potentials are then checked on all pairs.

    Parameters
    ----------
    x, y : array_like, shape (N, p) or (N,)
        The clouds.

    Returns
    -------
    Matching
        Permutation, value and lower bound.

    Raises
    ------
    ValueError
        A cloud is empty or not finite, or the shapes differ.

    References
    ----------
    R. Jonker and A. Volgenant, *A shortest augmenting path algorithm for dense and sparse linear
    assignment problems*, Computing 38 (1987). D. P. Bertsekas, *The auction algorithm*, Annals of
    Operations Research 14 (1988).
    """
    x, y = _two_clouds(x, y)
    if len(x) != len(y):
        raise ValueError(f"x has {len(x)} points but y {len(y)}; a matching needs equal sizes.")
    return _match(x[None], y[None])[0]


def sliced_wasserstein2(
    x: ArrayLike, y: ArrayLike, n_projections: int = 128, seed: int = 0
) -> float:
    r"""**Squared** sliced W2: the mean over random directions of the 1-D squared W2.

    .. math:: SW_2^2 = \frac1L \sum_{l=1}^{L} W_2^2(\langle \theta_l, x \rangle,
              \langle \theta_l, y \rangle), \qquad \theta_l \text{ uniform on the sphere}

    In one dimension it equals `wasserstein2`; in dimension p its expectation is at most
    :math:`W_2^2 / p`.

    Parameters
    ----------
    x, y : array_like, shape (N, p) and (M, p), or (N,) and (M,)
        The clouds.
    n_projections : int
        Number L of directions.
    seed : int
        Of the directions.

    Returns
    -------
    float
        The squared sliced distance.

    Raises
    ------
    ValueError, TypeError
        A cloud is empty or not finite, the dimensions differ, or `n_projections` or `seed` is not
        a whole number that can be used.

    References
    ----------
    N. Bonneel et al., *Sliced and Radon Wasserstein barycenters of measures* (2015).
    """
    x, y = _two_clouds(x, y)
    n_projections = checks.count("n_projections", n_projections)
    rng = np.random.Generator(np.random.Philox(checks.seed(seed)))
    directions = rng.standard_normal((x.shape[1], n_projections))
    return float(_projected(x, y, directions / np.linalg.norm(directions, axis=0)).mean())


def gaussian_wasserstein2(
    mean1: ArrayLike, cov1: ArrayLike, mean2: ArrayLike, cov2: ArrayLike
) -> float:
    r"""**Squared** W2 of two Gaussian laws (Bures).

    .. math:: |m_1 - m_2|^2 + \mathrm{tr}\big(C_1 + C_2
              - 2 (C_1^{1/2} C_2 C_1^{1/2})^{1/2}\big)

    Parameters
    ----------
    mean1 : array_like, shape (p,) or scalar
        Mean of the first law.
    cov1 : array_like, shape (p, p) or scalar
        Its covariance, symmetric and positive semidefinite.
    mean2, cov2 : array_like
        The same of the second law.

    Returns
    -------
    float
        The squared distance.

    Raises
    ------
    ValueError
        Shapes disagree, an entry is not finite, or a covariance is not symmetric positive
        semidefinite.

    References
    ----------
    Peyré & Cuturi, *Computational Optimal Transport* (2019), remark 2.31.
    """
    mean1, mean2 = (
        np.atleast_1d(checks.finite(name, mean))
        for name, mean in (("mean1", mean1), ("mean2", mean2))
    )
    cov1, cov2 = (
        np.atleast_2d(checks.finite(name, cov)) for name, cov in (("cov1", cov1), ("cov2", cov2))
    )
    p = mean1.size
    if mean1.shape != (p,) or mean2.shape != (p,) or {cov1.shape, cov2.shape} != {(p, p)}:
        raise ValueError(
            f"means and covariances must have shapes (p,) and (p, p); got {mean1.shape}, "
            f"{cov1.shape}, {mean2.shape}, {cov2.shape}."
        )
    # tr (C1^½ C2 C1^½)^½ is the nuclear norm of L1ᵀ L2 for any factors C = L Lᵀ.
    left, right = _factor(cov1, "cov1"), _factor(cov2, "cov2")
    cross = np.linalg.svd(left.T @ right, compute_uv=False).sum()
    bures = np.trace(cov1) + np.trace(cov2) - 2.0 * cross
    return float(((mean1 - mean2) ** 2).sum() + max(bures, 0.0))


# ---------------------------------------------------------------------------- internals


def _varying(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Leave out coordinates that all points share, like frozen weights: they cost nothing."""
    first = x.reshape(-1, x.shape[-1])[0]
    varying = [
        i
        for i, value in enumerate(first)
        if (x[..., i] != value).any() or (y[..., i] != value).any()
    ]
    return (
        (x, y) if len(varying) == len(first) else (x[..., varying or [0]], y[..., varying or [0]])
    )


def _match(x: np.ndarray, y: np.ndarray) -> list[Matching]:
    """Solve a batch of pairs (B, N, p) and certify every matching."""
    # A shift of either cloud changes every matching by one cost, a common factor keeps the best.
    # Medians, because a few far points must not misalign the others.
    xc, yc = (z - np.median(z, axis=1, keepdims=True) for z in (x, y))
    scale = np.maximum(np.abs(xc).max(axis=(1, 2)), np.abs(yc).max(axis=(1, 2)))
    scale = np.where(scale > 0.0, scale, 1.0)
    xc, yc = xc / scale[:, None, None], yc / scale[:, None, None]
    x_square, y_square = (xc**2).sum(axis=2), (yc**2).sum(axis=2)
    mean_cost = x_square.mean(axis=1) + y_square.mean(axis=1)
    typical_cost = np.median(x_square, axis=1) + np.median(y_square, axis=1)
    yt = np.ascontiguousarray(yc.transpose(0, 2, 1))

    u, v = np.empty(x.shape[:2]), ((xc - yc) ** 2).sum(axis=2)
    _row_minima(xc, yt, v, u, np.arange(len(x)))
    identity = np.arange(x.shape[1], dtype=np.int32)
    permutation = np.where(u >= -_TIGHT * typical_cost[:, None], identity, np.int32(-1))
    open_pairs = np.flatnonzero((permutation < 0).any(axis=1))
    _in_threads(
        assignment.solve,
        [(xc[b], yt[b], v[b], permutation[b], typical_cost[b]) for b in open_pairs],
    )
    _row_minima(xc, yt, v, u, open_pairs)

    matchings = []
    for b, columns in enumerate(permutation):
        dual = math.fsum(u[b] + v[b]) / len(columns)
        gap = _mean_square(xc[b] - yc[b, columns]) - dual
        if not gap <= _GAP * mean_cost[b]:
            raise ArithmeticError(
                f"the matching could not be certified: duality gap {gap:.1e} of mean cost "
                f"{mean_cost[b]:.1e}; report the clouds."
            )
        value = _mean_square(x[b] - y[b, columns])
        matchings.append(Matching(columns.copy(), value, value - gap * scale[b] ** 2))
    return matchings


def _row_minima(x, yt, v, out, pairs: np.ndarray) -> None:
    """Fill the row minima of the chosen pairs, in units of rows that threads can share."""
    rows = [slice(i, i + _ROWS_AT_ONCE) for i in range(0, x.shape[1], _ROWS_AT_ONCE)]
    _in_threads(
        assignment.row_minima, [(x[b, r], yt[b], v[b], out[b, r]) for b in pairs for r in rows]
    )


def _in_threads(kernel: Callable[..., None], tasks: list[tuple]) -> None:
    """Run independent calls of a kernel that releases the interpreter lock."""
    if len(tasks) < 2 or numba.get_num_threads() == 1:
        for task in tasks:
            kernel(*task)
        return
    with ThreadPoolExecutor(numba.get_num_threads()) as pool:
        list(pool.map(lambda task: kernel(*task), tasks))


def _chunks(pairs: list[tuple[np.ndarray, np.ndarray]]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Stack pairs of clouds into batches of bounded size."""
    for start in range(0, len(pairs), _PAIRS_AT_ONCE):
        x, y = zip(*pairs[start : start + _PAIRS_AT_ONCE], strict=True)
        yield np.stack(x), np.stack(y)


def _network_simplex(x: np.ndarray, y: np.ndarray) -> float:
    """Exact transport between clouds of unequal sizes, by POT on the dense cost."""
    import ot
    from scipy.spatial.distance import cdist

    costs = cdist(x, y, "sqeuclidean")
    unit = costs.max() or 1.0  # POT's tolerances are absolute
    value, log = ot.emd2([], [], costs / unit, numItermax=10**9, log=True)
    if log["warning"] is not None:
        raise ArithmeticError(f"POT did not solve the transport problem: {log['warning']}")
    return float(value) * unit


def _wasserstein2_line(x: np.ndarray, y: np.ndarray) -> float:
    """Squared W2 on the line: integrate the squared difference of the quantile functions."""
    n, m = len(x), len(y)
    x, y = np.sort(x), np.sort(y)
    if n == m:
        return math.fsum((x - y) ** 2) / n
    # Levels where either quantile function jumps, in exact integer units of 1 / (n m).
    levels = np.union1d(np.arange(n + 1) * m, np.arange(m + 1) * n)
    difference = x[levels[:-1] // m] - y[levels[:-1] // n]
    return math.fsum(np.diff(levels) * difference**2) / (n * m)


def _projected(x: np.ndarray, y: np.ndarray, directions: np.ndarray) -> np.ndarray:
    """Squared W2 along each column of `directions`."""
    return np.array(
        [
            _wasserstein2_line(a, b)
            for a, b in zip((x @ directions).T, (y @ directions).T, strict=True)
        ]
    )


def _factor(cov: np.ndarray, name: str) -> np.ndarray:
    """Return L with L Lᵀ = cov."""
    if not np.allclose(cov, cov.T, rtol=1e-10, atol=1e-12 * np.abs(cov).max()):
        raise ValueError(f"{name} is not symmetric; give a covariance matrix.")
    values, vectors = np.linalg.eigh((cov + cov.T) / 2)
    if values[0] < -1e-10 * max(values[-1], 0.0) or values[-1] < 0:
        raise ValueError(f"{name} has the negative eigenvalue {values[0]:.3g}; give a covariance.")
    return vectors * np.sqrt(np.maximum(values, 0.0))


def _two_clouds(x: ArrayLike, y: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Validate two clouds of one dimension."""
    x, y = _cloud(x, "x"), _cloud(y, "y")
    if x.shape[1] != y.shape[1]:
        raise ValueError(
            f"x has points of dimension {x.shape[1]} but y of {y.shape[1]}; give both the same."
        )
    return x, y


def _cloud(points: ArrayLike, name: str) -> np.ndarray:
    """Return a cloud as a finite (N, p) float64 array."""
    points = checks.finite(name, points)
    if points.ndim == 1:
        points = points[:, None]
    if points.ndim != 2 or points.size == 0:
        raise ValueError(f"{name} must be a cloud of shape (N, p); got shape {points.shape}.")
    return points


def _mean_square(difference: np.ndarray) -> float:
    """Return the mean squared row norm, correctly rounded, so in any order of the rows."""
    return math.fsum((difference**2).sum(axis=1)) / len(difference)
