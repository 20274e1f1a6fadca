"""Has it learned: R² and accuracy on held-out rows, with an interval that counts the rows too."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from meanfield.statistics.estimate import Estimate
from meanfield.statistics.intervals import LEVEL, wilson_interval

Array = NDArray[np.floating]


def r2(predictions: Array, targets: Array, level: float = LEVEL) -> Estimate:
    r"""Return the share of the variance that is explained, over rows and replicas.

    .. math:: R^2 = 1 − \frac{\mathrm{mean}_{r,j} |f_r(x_j) − y_j|^2}{\mathrm{mean}_j |y_j − ȳ|^2}

    Rows and replicas are both drawn: with :math:`d_j` the influence of row j on the mean over
    replicas, the variance is :math:`\mathrm{Var}_j(d)/m + \mathrm{Var}_r(R_r^2)/R`.

    Parameters
    ----------
    predictions : ndarray, shape (R, m, k)
        Outputs of R networks.
    targets : ndarray, shape (m, k)
        Labels.
    level : float, default: 0.95
        Confidence level.

    Returns
    -------
    Estimate
        NaN where the labels do not vary.
    """
    targets = np.asarray(targets, dtype=float)
    errors = np.square(predictions - targets).sum(axis=2)
    spread = np.square(targets - targets.mean(axis=0)).sum(axis=1)
    total = spread.mean()
    # Labels that are all one number differ from their mean by its rounding.
    rounding = len(targets) * np.finfo(float).eps * np.abs(targets).max(initial=0.0)
    if not total > rounding**2:
        return Estimate(np.nan, label="R²")
    value = 1 - errors.mean() / total
    influence = (errors.mean(axis=0) - (1 - value) * spread) / total
    half = _half_width(influence, 1 - errors.mean(axis=1) / total, level)
    high = min(value + half, 1.0)
    return Estimate(value, value - half, high, level, resampled=_OVER, label="R²")


def accuracy(correct: NDArray[np.bool_], level: float = LEVEL) -> Estimate:
    """Return the share of correct answers, over rows and replicas.

    Wilson's interval for as many independent rows as have the variance of that mean: at most the
    rows there are, however many replicas answer them.

    Parameters
    ----------
    correct : ndarray of bool, shape (R, m)
        Whether each network is right on each row.
    level : float, default: 0.95
        Confidence level.

    Returns
    -------
    Estimate
        Within 0 and 1.
    """
    n_rows = correct.shape[1]
    value = float(correct.mean())
    variance = _variance(correct.mean(axis=0), correct.mean(axis=1))
    effective = min(n_rows, value * (1 - value) / variance) if variance > 0 else n_rows
    low, high = wilson_interval(value * effective, effective, level)
    return Estimate(value, low, high, level, resampled=_OVER, label="accuracy")


_OVER = "rows and replicas"


def _variance(rows: Array, replicas: Array) -> float:
    """Return the variance of a mean over rows and replicas, from its means over each."""
    by_rows = rows.var(ddof=1) / len(rows) if len(rows) > 1 else 0.0
    return float(by_rows + (replicas.var(ddof=1) / len(replicas) if len(replicas) > 1 else 0.0))


def _half_width(rows: Array, replicas: Array, level: float) -> float:
    if len(rows) < 2:
        return np.nan
    quantile = stdtrit(len(rows) - 1, (1 + level) / 2)
    return float(quantile * np.sqrt(_variance(rows, replicas)))
