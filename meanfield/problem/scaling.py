"""Mean and scale of columns, and the one rule for a column that is constant."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.floating]

_LEAST_COUNT = 16
_LARGE = 1e6
_FAR_OUT = 100.0


def is_constant(mean: ArrayLike, deviation: ArrayLike, n_rows: int) -> NDArray[np.bool_]:
    """Tell which columns differ from their mean by rounding only, ``std ≤ n ε |mean|``.

    A mean of n numbers is no more exact than that; of a few, n counts as 16.
    """
    rounding = max(n_rows, _LEAST_COUNT) * np.finfo(float).eps
    with np.errstate(over="ignore"):
        return np.asarray(np.asarray(deviation) <= rounding * np.abs(np.asarray(mean)))


def column_statistics(values: Array) -> tuple[Array, Array, list[int]]:
    """Return mean, scale and the constant columns; a constant column keeps scale 1,
    or that of its mean if this is large."""
    equal = (values == values[0]).all(axis=0)
    with np.errstate(over="ignore", invalid="ignore"):
        mean = values.mean(axis=0)
    # Sums beyond the range of floats: halve as often as there are rows.
    unit = 2.0 ** -np.ceil(np.log2(len(values)))
    mean = np.where(np.isfinite(mean), mean, (values * unit).mean(axis=0) / unit)
    mean = np.where(equal, values[0], mean)
    # Relative to the largest deviation, so that squares neither overflow nor vanish.
    largest = np.where(equal, 1.0, np.abs(values - mean).max(axis=0))
    scale = largest * ((values - mean) / largest).std(axis=0)
    constant = equal | is_constant(mean, scale, len(values))
    return mean, _scale(mean, scale, constant), np.flatnonzero(constant).tolist()


def weighted_moments(columns: Array, weights: Array) -> tuple[Array, Array]:
    """Return weighted mean and deviation of every column; a constant one as above."""
    # By powers of two, so that squares and sums neither overflow nor vanish, and no bit changes.
    unit = _power_of_two(columns)
    mean = np.average(columns / unit, axis=0, weights=weights)
    centred = columns / unit - mean
    spread = _power_of_two(centred)
    deviation = spread * np.sqrt(np.average((centred / spread) ** 2, axis=0, weights=weights))
    constant = is_constant(mean, deviation, int(np.count_nonzero(weights)))
    mean, deviation = mean * unit, deviation * unit
    return mean, _scale(mean, deviation, constant)


def _scale(mean: Array, deviation: Array, constant: NDArray[np.bool_]) -> Array:
    """Return the scale of columns: 1 for a constant one, unless its rounding is no small number."""
    size = np.abs(mean)
    return np.where(constant, np.where(size > _LARGE, size, 1.0), deviation)


def _power_of_two(columns: Array) -> Array:
    """Return the power of two below the largest entry of each column."""
    exponents = np.frexp(np.abs(columns).max(axis=0))[1] - 1
    return np.ldexp(1.0, np.clip(exponents, -1000, 1000))


def extreme_rows(columns: Array) -> dict[int, tuple[NDArray[np.intp], float]]:
    """Return the columns of which a few rows have nearly all of the variance.

    With each: the rows, at most one in a hundred or one, that are further from the median than a
    hundred times what nine in ten keep to, and have nine tenths of the squares; and how far the
    largest is, in that unit.
    """
    largest = np.abs(columns).max(axis=0)
    relative = columns / np.where(largest > 0, largest, 1.0)
    away = np.abs(relative - np.median(relative, axis=0))
    usual = np.quantile(away, 0.9, axis=0)
    far = away > _FAR_OUT * usual
    few = (usual > 0) & far.any(axis=0) & (far.sum(axis=0) <= max(1, len(columns) // 100))
    most = (away**2 * far).sum(axis=0) >= 0.9 * (away**2).sum(axis=0)
    return {
        int(j): (np.flatnonzero(far[:, j]), float(away[:, j].max() / usual[j]))
        for j in np.flatnonzero(few & most)
    }
