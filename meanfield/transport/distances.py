"""Exact optimal transport between equal-weight clouds, under the squared Euclidean cost.

Every function named ``...wasserstein2`` returns the **square** of the 2-Wasserstein distance.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from meanfield import checks
from meanfield.system.generators import generator
from meanfield.transport.clouds import mean_square, two_clouds, varying_coordinates
from meanfield.transport.matching import match_pairs
from meanfield.transport.network_simplex import transport_plan

_PAIRS_AT_ONCE = 64  # bounds the working copies of a large batch


def wasserstein2(x: ArrayLike, y: ArrayLike) -> float:
    r"""Exact **squared** 2-Wasserstein distance of two equal-weight clouds.

    .. math:: W_2^2(x, y) = \min_{\pi} \sum_{ij} \pi_{ij} |x_i - y_j|^2,
              \qquad \pi \ge 0, \; \pi 1 = 1/N, \; \pi^T 1 = 1/M

    One dimension, besides coordinates that all points share: the quantile coupling. Equal sizes:
    an optimal matching, see `optimal_matching`. Other sizes: the network simplex of POT on the
    dense (N, M) cost, which takes about 50 N M bytes.

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
    MemoryError
        The sizes differ, and the costs of all pairs of points do not fit.

    References
    ----------
    Peyré & Cuturi, *Computational Optimal Transport* (2019), sections 2 and 3.

    Examples
    --------
    >>> import numpy as np, meanfield as mf
    >>> x = np.random.default_rng(0).normal(size=(50, 3))
    >>> round(mf.wasserstein2(x, x + [1.0, 2.0, 2.0]), 6)  # a translation by 3
    9.0
    """
    x, y = varying_coordinates(*two_clouds(x, y))
    if x.shape[1] == 1:
        return _wasserstein2_line(x[:, 0], y[:, 0])
    if len(x) == len(y):
        return match_pairs(x[None], y[None])[0].value
    plan = transport_plan(x, y)
    return mean_square(x[plan.rows] - y[plan.columns], plan.mass)


def matched_wasserstein2(x: ArrayLike, y: ArrayLike) -> float | np.ndarray:
    r"""Exact **squared** W2 of every pair of equal-size clouds in a batch.

    The same number as `wasserstein2`, fastest when :math:`x_i` lies near :math:`y_i` as in
    synchronously coupled systems: the start is the identity matching with the potentials
    :math:`u = 0, v_j = |x_j - y_j|^2` of the centred clouds, which one scan over all pairs
    certifies when it is optimal; otherwise only the rows that fail are rematched. Memory is
    O(N p) per pair. Clouds that are not coupled are detected and go to the network simplex of POT,
    which takes about 50 N² bytes; where these are not free, shortest paths alone solve them.

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
    meanfield.transport.optimal_matching : the permutation and its certificate.

    References
    ----------
    [ISD] abstract (the squared-Wasserstein rate that it measures). Peyré & Cuturi, *Computational
    Optimal Transport* (2019), sections 2 and 3 (matchings, and potentials as their certificate).

    Examples
    --------
    >>> import numpy as np, meanfield as mf
    >>> x = np.array([[0.0], [1.0]])
    >>> float(mf.matched_wasserstein2(x, x[::-1] + 2))
    4.0
    """
    x, y = checks.finite("x", x), checks.finite("y", y)
    if x.shape != y.shape or x.ndim < 2 or min(x.shape[-2:]) == 0:
        raise ValueError(
            f"x and y must share one shape (..., N, p), N and p positive; got {x.shape} and "
            f"{y.shape}."
        )
    x, y = varying_coordinates(x, y)
    xs, ys = (z.reshape(-1, *z.shape[-2:]) for z in (x, y))
    if x.shape[-1] == 1:
        values = [_wasserstein2_line(a[:, 0], b[:, 0]) for a, b in zip(xs, ys, strict=True)]
    else:
        values = [
            matching.value
            for first in range(0, len(xs), _PAIRS_AT_ONCE)
            for matching in match_pairs(
                xs[first : first + _PAIRS_AT_ONCE], ys[first : first + _PAIRS_AT_ONCE]
            )
        ]
    return values[0] if x.ndim == 2 else np.reshape(values, x.shape[:-2])


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
    n_projections, seed : int
        Number L of directions, and their seed.

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

    Examples
    --------
    >>> import numpy as np, meanfield as mf
    >>> x = np.random.default_rng(0).normal(size=(50, 3))
    >>> mf.sliced_wasserstein2(x, x) < mf.sliced_wasserstein2(x, x + 1)
    True
    """
    x, y = two_clouds(x, y)
    n_projections = checks.listed("n_projections", n_projections)
    rng = generator(checks.seed(seed))
    directions = rng.standard_normal((x.shape[1], n_projections))
    directions /= np.linalg.norm(directions, axis=0)
    pairs = zip((x @ directions).T, (y @ directions).T, strict=True)
    return float(np.mean([_wasserstein2_line(a, b) for a, b in pairs]))


def gaussian_wasserstein2(
    mean1: ArrayLike, cov1: ArrayLike, mean2: ArrayLike, cov2: ArrayLike
) -> float:
    r"""**Squared** W2 of two Gaussian laws (Bures).

    .. math:: |m_1 - m_2|^2 + \mathrm{tr}\big(C_1 + C_2
              - 2 (C_1^{1/2} C_2 C_1^{1/2})^{1/2}\big)

    Parameters
    ----------
    mean1, cov1 : array_like, shapes (p,) and (p, p), or scalars
        Mean of the first law, and its covariance, symmetric and positive semidefinite.
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

    Examples
    --------
    >>> import meanfield as mf
    >>> mf.gaussian_wasserstein2(0.0, 1.0, 3.0, 4.0)  # 3² + (1 − 2)²
    10.0
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


def _factor(cov: np.ndarray, name: str) -> np.ndarray:
    """Return L with L Lᵀ = cov."""
    if not np.allclose(cov, cov.T, rtol=1e-10, atol=1e-12 * np.abs(cov).max()):
        raise ValueError(f"{name} is not symmetric; give a covariance matrix.")
    values, vectors = np.linalg.eigh((cov + cov.T) / 2)
    if values[0] < -1e-10 * max(values[-1], 0.0) or values[-1] < 0:
        raise ValueError(f"{name} has the negative eigenvalue {values[0]:.3g}; give a covariance.")
    return vectors * np.sqrt(np.maximum(values, 0.0))
