"""Means over replicas with their intervals."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtri, stdtrit

Array = NDArray[np.floating]

LEVEL = 0.95


def normal_quantile(level: float = LEVEL) -> float:
    """Return z such that a standard normal lies between −z and z with probability `level`."""
    return float(ndtri((1 + level) / 2))


def mean_interval(values: Array, level: float = LEVEL) -> tuple[Array, Array, Array]:
    """Return the mean over replicas, the first axis, and the ends of Student's interval for it."""
    mean, half = student(values, 0, level)
    return mean, mean - half, mean + half


def student(values: Array, axis: int, level: float) -> tuple[Array, Array]:
    """Return the mean over independent replicas and half the length of Student's interval.

    NaN for a single replica, which says nothing about its own spread.
    """
    n_replicas = values.shape[axis]
    mean = values.mean(axis=axis)
    if n_replicas == 1:
        return mean, np.full_like(mean, np.nan)
    error = values.std(axis=axis, ddof=1) / np.sqrt(n_replicas)
    return mean, stdtrit(n_replicas - 1, (1 + level) / 2) * error


def wilson_interval(hits: ArrayLike, n: float, level: float = LEVEL) -> tuple[Array, Array]:
    """Return the bounds of Wilson's interval for a proportion, after `hits` in `n` trials."""
    hits = np.asarray(hits, dtype=float)  # squares of large counts are beyond integers
    z = normal_quantile(level)
    centre = (hits + z * z / 2) / (n + z * z)
    half = z / (n + z * z) * np.sqrt(hits * (n - hits) / n + z * z / 4)
    # Exact at the ends, where rounding would leave 1e-17.
    low, high = np.where(hits > 0, centre - half, 0.0), np.where(hits < n, centre + half, 1.0)
    return low[()], high[()]
