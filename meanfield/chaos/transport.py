"""Exact optimal transport between equal-weight clouds, under the squared Euclidean cost."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist


def wasserstein2(x: ArrayLike, y: ArrayLike) -> float:
    r"""Exact **squared** 2-Wasserstein distance of two equal-weight clouds.

    .. math:: W_2^2 = \min_\pi \sum_{ij} \pi_{ij} |x_i - y_j|^2

    Parameters
    ----------
    x, y : array_like, shape (N, p) and (M, p), or (N,) and (M,)
        The clouds; every point of a cloud carries the same weight.

    Returns
    -------
    float
        The squared distance.

    Raises
    ------
    ValueError
        A cloud is empty or not finite, or the dimensions differ.
    """
    x, y = _cloud(x, "x"), _cloud(y, "y")
    if x.shape[1] != y.shape[1]:
        raise ValueError(
            f"x has points of dimension {x.shape[1]} but y of {y.shape[1]}; give both the same."
        )
    if len(x) == len(y):
        if x.shape[1] == 1:
            return _mean_square(np.sort(x, axis=0) - np.sort(y, axis=0))
        rows, columns = linear_sum_assignment(cdist(x, y, "sqeuclidean"))
        return _mean_square(x[rows] - y[columns])
    import ot

    return float(ot.emd2([], [], cdist(x, y, "sqeuclidean"), numItermax=10**9))


def matched_wasserstein2(x: ArrayLike, y: ArrayLike) -> float | np.ndarray:
    """Exact squared W2 of each pair of clouds in a batch; fastest when x_i lies near y_i.

    Parameters
    ----------
    x, y : array_like, shape (..., N, p)
        The clouds of each pair.

    Returns
    -------
    float or ndarray, shape (...)
        The squared distance of each pair.

    Raises
    ------
    ValueError
        The shapes differ, or a cloud is empty or not finite.
    """
    x, y = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    if x.shape != y.shape or x.ndim < 2:
        raise ValueError(f"x and y must share a shape (..., N, p); got {x.shape} and {y.shape}.")
    value = np.empty(x.shape[:-2])
    for index in np.ndindex(value.shape):
        value[index] = wasserstein2(x[index], y[index])
    return float(value) if value.ndim == 0 else value


def _cloud(points: ArrayLike, name: str) -> np.ndarray:
    """Return a cloud as a finite (N, p) float64 array."""
    points = np.asarray(points, dtype=np.float64)
    if points.ndim == 1:
        points = points[:, None]
    if points.ndim != 2 or points.size == 0:
        raise ValueError(f"{name} must be a cloud of shape (N, p); got shape {points.shape}.")
    if not np.isfinite(points).all():
        raise ValueError(f"{name} has entries that are not finite; remove those points first.")
    return points


def _mean_square(difference: np.ndarray) -> float:
    """Return the mean squared row norm, summed without rounding (so in any order)."""
    return math.fsum((difference**2).sum(axis=1)) / len(difference)
