"""Intervals by resampling replicas: studentised bootstrap and jackknife.

`values` has shape (K, R): K particle counts (or times) by R replicas. A replica is resampled with
all its K values, because they share their noise.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from meanfield.statistics.estimate import Estimate
from meanfield.statistics.intervals import LEVEL

Array = NDArray[np.float64]

RESAMPLES = 2000
#: With fewer replicas too many resamples consist of one or two of them.
FEWEST_RESAMPLED = 8


def draw_repeats(n_replicas: int, seed: int) -> Array:
    """Return how often each replica occurs in each resample, shape (RESAMPLES, R)."""
    rng = np.random.Generator(np.random.Philox(seed))
    chosen = rng.integers(n_replicas, size=(RESAMPLES, n_replicas))
    chosen += n_replicas * np.arange(RESAMPLES)[:, None]
    counts = np.bincount(chosen.ravel(), minlength=RESAMPLES * n_replicas)
    return counts.reshape(RESAMPLES, n_replicas).astype(float)


def bootstrap_t(
    values: Array,
    function: Callable[[Array], Array],
    gradient: Callable[[Array], Array],
    repeats: Array,
) -> Estimate:
    """Estimate a smooth function of the K replica means, with a symmetric bootstrap-t interval.

    Both callables take means of shape (..., K); `gradient` returns (..., K). Every resample is
    divided by its own delta-method error: t* = (g* − g) / se*, and the interval is
    g ± se · quantile(|t*|), of Student's law where there are few replicas. `repeats` comes from
    `draw_repeats`.
    """
    n_replicas = values.shape[1]

    def with_error(repeats: Array) -> tuple[Array, Array]:
        means = repeats @ values.T / n_replicas
        slopes = gradient(means)
        second = np.einsum("br,br->b", repeats, (slopes @ values) ** 2) / n_replicas
        variance = second - np.sum(slopes * means, axis=-1) ** 2
        # Below rounding the replicas agree.
        rounding = 1e-13 * np.sum(np.abs(slopes * means), axis=-1)
        variance = np.where(variance > rounding**2, variance, 0.0)
        return function(means), np.sqrt(variance / (n_replicas - 1))

    estimate, error = (float(x[0]) for x in with_error(np.ones((1, n_replicas))))
    if error == 0:
        return Estimate(estimate, estimate, estimate, resampled="replicas")
    if n_replicas < FEWEST_RESAMPLED:
        half = error * float(stdtrit(n_replicas - 1, (1 + LEVEL) / 2))
        return Estimate(estimate, estimate - half, estimate + half, resampled="replicas")
    with np.errstate(divide="ignore", invalid="ignore"):
        starred, errors = with_error(repeats)
        distances = np.abs(starred - estimate) / errors
    # A resample that has no estimate or no spread counts as arbitrarily far off.
    distances = np.where(np.isnan(distances), np.inf, distances)
    half = error * float(np.quantile(distances, LEVEL, method="higher"))
    return Estimate(estimate, estimate - half, estimate + half, resampled="replicas")


def mean_over_replicas(values: Array, repeats: Array) -> Estimate:
    """Estimate the mean of values (R,)."""
    return bootstrap_t(values[None], lambda m: m[..., 0], np.ones_like, repeats)


def log_mean_interval(values: Array, weights: Array, repeats: Array) -> Estimate:
    """Estimate Σ_k weights_k mean_k, positive, with an interval that stays positive."""
    if weights @ values.mean(axis=1) <= 0:
        return bootstrap_t(
            values, lambda m: m @ weights, lambda m: np.broadcast_to(weights, m.shape), repeats
        )
    logarithm = bootstrap_t(
        values,
        lambda m: np.log(m @ weights),
        lambda m: weights / (m @ weights)[..., None],
        repeats,
    )
    with np.errstate(over="ignore"):  # few replicas may leave the upper end open
        low, high = np.exp([logarithm.low, logarithm.high])
    return Estimate(math.exp(logarithm.value), low, high, resampled="replicas")


def jackknife_error(left_out: Array) -> Array:
    """Return the jackknife standard error from left-out estimates along the last axis."""
    return np.sqrt((left_out.shape[-1] - 1) * np.var(left_out, axis=-1))


def slope_weights(x: Array) -> Array:
    """Weights w of the least-squares slope: slope = w · y."""
    centered = x - x.mean()
    return centered / (centered @ centered)
