"""Means over replicas with their intervals."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri, stdtrit

LEVEL = 0.95


def mean_interval(
    values: NDArray[np.floating], level: float = LEVEL
) -> tuple[NDArray[np.floating], NDArray[np.floating], NDArray[np.floating]]:
    """Return the mean over replicas and Student's interval for it.

    Parameters
    ----------
    values : ndarray, shape (R, ...)
        One entry per independent replica.
    level : float, default: 0.95
        Confidence level.

    Returns
    -------
    mean, low, high : ndarray, shape (...)
        The bounds are NaN for a single replica, which says nothing about its own spread.
    """
    n_replicas = len(values)
    mean = values.mean(axis=0)
    if n_replicas == 1:
        return mean, np.full_like(mean, np.nan), np.full_like(mean, np.nan)
    error = values.std(axis=0, ddof=1) / np.sqrt(n_replicas)
    half = stdtrit(n_replicas - 1, (1 + level) / 2) * error
    return mean, mean - half, mean + half


def mean_factor(
    values: NDArray[np.floating], axis: int, level: float = LEVEL
) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    """Return the mean of positive values over replicas and a factor that spans its interval.

    Student's interval for the logarithm of the mean, by the delta method: it stays positive.

    Parameters
    ----------
    values : ndarray
        Positive, one entry per independent replica along `axis`.
    axis : int
        The replicas.
    level : float, default: 0.95
        Confidence level.

    Returns
    -------
    mean, factor : ndarray
        The interval is from ``mean / factor`` to ``mean * factor``; NaN for a single replica.
    """
    n_replicas = values.shape[axis]
    mean = values.mean(axis=axis)
    if n_replicas == 1:
        return mean, np.full_like(mean, np.nan)
    error = values.std(axis=axis, ddof=1) / np.sqrt(n_replicas)
    return mean, np.exp(stdtrit(n_replicas - 1, (1 + level) / 2) * error / mean)


def wilson_interval(hits: int, n: int, level: float = LEVEL) -> tuple[float, float]:
    """Return Wilson's interval for a proportion, after `hits` successes in `n` trials.

    Parameters
    ----------
    hits, n : int
        Successes and trials, ``n`` at least 1.
    level : float, default: 0.95
        Confidence level.

    Returns
    -------
    low, high : float
        Between 0 and 1.
    """
    z = ndtri((1 + level) / 2)
    centre = (hits + z * z / 2) / (n + z * z)
    half = z / (n + z * z) * np.sqrt(hits * (n - hits) / n + z * z / 4)
    # Exact at the ends, where rounding would leave 1e-17.
    low = centre - half if hits else 0.0
    return float(low), float(centre + half if hits < n else 1.0)
