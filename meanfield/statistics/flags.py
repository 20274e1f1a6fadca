"""The tests behind the flags of a rate: a floor, and a line that is none.

`values` has shape (K, R): K particle counts by R replicas.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr

Array = NDArray[np.float64]


def floor_test(
    counts: Array, values: Array, expected_slope: float, weights: Array
) -> tuple[float, float]:
    """Test for a floor that does not fall with N; return its share at the largest N, p-value.

    Model: N^-s · mean = c + floor · N^-s, and from five counts on + c₁ / N, so that the next order
    of the power law is not taken for a floor. Least squares with the `weights` of the means; the
    fitted floor is a mean over replicas: one-sided t test.
    """
    scale = counts**-expected_slope
    columns = [scale / scale.max(), np.ones_like(counts), counts.min() / counts]
    design = np.stack(columns[: 3 if len(counts) >= 5 else 2], axis=1)
    root = np.sqrt(weights)
    inverse = np.linalg.pinv(design * root[:, None])[0] * root
    floor = (inverse * scale / scale.max()) @ values
    share = float(floor.mean() / values[-1].mean())
    error = float(floor.std(ddof=1)) / math.sqrt(len(floor))
    if error <= 1e-12 * values[-1].mean():
        return share, float(share < 1e-12)
    return share, float(stdtr(len(floor) - 1, -floor.mean() / error))


def line_test(values: Array, design: Array, repeats: Array, curve: Array | float = 0.0) -> float:
    """Return the bootstrap p-value of the log means being a combination of the columns (K, p).

    Of a line in log N these are 1 and log N; of a fitted `curve`, (K,), its tangents.

    Hotelling's statistic of the residuals, against its own bootstrap distribution: its F
    distribution needs Gaussian data. NaN with too few replicas for the number of counts.
    """
    n_counts, n_replicas = values.shape
    n_columns = design.shape[1]
    if n_replicas <= n_counts - n_columns:
        return math.nan
    off_line = np.linalg.svd(design)[0][:, n_columns:].T
    residual = off_line @ (np.log(values.mean(axis=1)) - curve)
    if np.abs(residual).max() < 1e-10:
        return 1.0

    def statistic(repeats: Array, center: Array | float) -> Array:
        means = repeats @ values.T / n_replicas
        distance = (np.log(means) - curve) @ off_line.T - center
        # The influence of each replica has mean zero, for off_line · 1 = 0.
        influence = (off_line / means[:, None, :]) @ values
        spread = (influence * repeats[:, None, :]) @ influence.swapaxes(1, 2)
        # Resamples with too few different replicas count as far off.
        spread += 1e-12 * np.eye(len(off_line))
        return np.einsum("bq,bq->b", distance, np.linalg.solve(spread, distance[..., None])[..., 0])

    observed = statistic(np.ones((1, n_replicas)), 0.0)[0]
    with np.errstate(divide="ignore", invalid="ignore"):
        exceeded = ~(statistic(repeats, residual) < observed)
    return float((1 + exceeded.sum()) / (1 + len(repeats)))


def misfits(counts: Array, values: Array, expected_slope: float) -> dict[str, float]:
    """Return χ² of the log means under three models that have two parameters each.

    With the expected slope s they are a ``floor``, ``c N^s + floor``; a ``slope`` of its own,
    ``c N^s'``; and a law that has not ``settled``, ``N^s (c + c' / N)``. The covariance of the log
    means is that of the replicas, its correlations shrunk where replicas are few.
    """
    n_counts, n_replicas = values.shape
    means = values.mean(axis=1)
    covariance = np.atleast_2d(np.cov(values / means[:, None])) / n_replicas
    shrunk = min(1.0, n_counts / n_replicas)
    covariance = (1 - shrunk) * covariance + shrunk * np.diag(np.diag(covariance))
    covariance += 1e-12 * np.eye(n_counts)
    whiten = np.linalg.inv(np.linalg.cholesky(covariance))
    level = whiten @ np.ones(n_counts)

    def misfit(curves: Array) -> Array:
        """Return χ² of log means less curves (..., K), at their best level."""
        left = (np.log(means) - curves) @ whiten.T
        best = left @ level / (level @ level)
        return np.square(left - best[..., None] * level).sum(axis=-1)

    log_n = np.log(counts / counts[-1])
    slope = misfit(np.zeros(n_counts))
    rise = whiten @ (log_n - (whiten @ log_n) @ level / (level @ level))
    slope -= float(rise @ (whiten @ np.log(means))) ** 2 / float(rise @ rise)
    shares = np.linspace(0.0, 1.0, 201)[:-1, None]
    floors = misfit(np.log((1 - shares) * np.exp(expected_slope * log_n) + shares))
    # Relative to the constant at the smallest N: from nearly nothing to twenty times it.
    corrections = np.concatenate([np.linspace(-0.99, 1.0, 200), np.geomspace(1.0, 20.0, 60)])
    small = counts.min() / counts
    unsettled = misfit(expected_slope * log_n + np.log1p(corrections[:, None] * small))
    return {
        "floor": float(floors.min()),
        "slope": float(slope),
        "settled": float(unsettled.min()),
    }
