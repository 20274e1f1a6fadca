"""Means over replicas with their intervals."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtri, stdtrit

LEVEL = 0.95


def normal_quantile(level: float = LEVEL) -> float:
    """Return z such that a standard normal lies between −z and z with probability `level`."""
    return float(ndtri((1 + level) / 2))


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
    mean, half = _student(values, 0, level)
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
    mean, half = _student(values, axis, level)
    return mean, np.exp(half / mean)


def _student(
    values: NDArray[np.floating], axis: int, level: float
) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    """Return the mean and half the length of Student's interval, NaN for a single replica."""
    n_replicas = values.shape[axis]
    mean = values.mean(axis=axis)
    if n_replicas == 1:
        return mean, np.full_like(mean, np.nan)
    error = values.std(axis=axis, ddof=1) / np.sqrt(n_replicas)
    return mean, stdtrit(n_replicas - 1, (1 + level) / 2) * error


def wilson_interval(
    hits: ArrayLike, n: int, level: float = LEVEL
) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    """Return Wilson's interval for a proportion, after `hits` successes in `n` trials.

    Parameters
    ----------
    hits : int or array_like of int
        Successes.
    n : int
        Trials, at least 1.
    level : float, default: 0.95
        Confidence level.

    Returns
    -------
    low, high : float or ndarray
        Between 0 and 1, of the shape of `hits`.
    """
    hits = np.asarray(hits)
    z = normal_quantile(level)
    centre = (hits + z * z / 2) / (n + z * z)
    half = z / (n + z * z) * np.sqrt(hits * (n - hits) / n + z * z / 4)
    # Exact at the ends, where rounding would leave 1e-17.
    low, high = np.where(hits > 0, centre - half, 0.0), np.where(hits < n, centre + half, 1.0)
    return low[()], high[()]
