"""Intervals by resampling replicas: studentised bootstrap and jackknife.

`values` has shape (K, R): K particle counts (or times) by R replicas. A replica is resampled with
all its K values, because they share their noise.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from meanfield.statistics.estimate import Estimate
from meanfield.statistics.intervals import LEVEL
from meanfield.system.generators import generator

Array = NDArray[np.float64]
_Map = Callable[[Array], Array]

RESAMPLES = 2000
#: With fewer replicas too many resamples consist of one or two of them.
FEWEST_RESAMPLED = 8
#: Rounding of a sum, relative to the sum of its sizes.
_ROUNDING = 1e-13
#: A variance that is less than this part of the squares has too few digits left as a difference.
_CANCELLED = 1e-10
#: An estimate this many errors above the least of several may still be the least in truth.
_CONTENDS = 1.7


def draw_repeats(n_replicas: int, seed: int) -> Array:
    """Return how often each replica occurs in each resample, shape (RESAMPLES, R)."""
    rng = generator(seed)
    chosen = rng.integers(n_replicas, size=(RESAMPLES, n_replicas))
    chosen += n_replicas * np.arange(RESAMPLES)[:, None]
    counts = np.bincount(chosen.ravel(), minlength=RESAMPLES * n_replicas)
    return counts.reshape(RESAMPLES, n_replicas).astype(float)


def bootstrap_t(values: Array, function: _Map, gradient: _Map, repeats: Array) -> Estimate:
    """Estimate a smooth function of the K replica means, with a symmetric bootstrap-t interval.

    Both callables take means of shape (..., K); `gradient` returns (..., K). Every resample is
    divided by its own delta-method error: t* = (g* − g) / se*, and the interval is
    g ± se · quantile(|t*|), of Student's law where there are few replicas. `repeats` comes from
    `draw_repeats`.
    """
    estimate, error = (float(x[0]) for x in _with_error(values, function, gradient))
    if error == 0:
        means = values.mean(axis=1)
        if abs(estimate) <= _ROUNDING * np.abs(gradient(means) * means).sum():
            estimate = 0.0
        return Estimate(estimate, estimate, estimate, resampled="replicas")
    n_replicas = values.shape[1]
    if n_replicas < FEWEST_RESAMPLED:
        half = error * float(stdtrit(n_replicas - 1, (1 + LEVEL) / 2))
    else:
        with np.errstate(divide="ignore", invalid="ignore"):
            starred, errors = _with_error(values, function, gradient, repeats)
            distances = np.abs(starred - estimate) / errors
        half = error * _quantile(distances)
    return Estimate(estimate, estimate - half, estimate + half, resampled="replicas")


def standard_error(values: Array, function: _Map, gradient: _Map) -> float:
    """Return the delta-method error of a function of the K replica means, as in `bootstrap_t`."""
    return float(_with_error(values, function, gradient)[1][0])


def least_bootstrap_t(
    values: Array, function: _Map, gradient: _Map, repeats: Array
) -> tuple[Estimate, int]:
    """Estimate the least of L functions of replica means that share their replicas.

    The least of several estimates is too small by its very choice. With g_l and se_l as in
    `bootstrap_t`, the interval is from min (g_l − q se_l) to min (g_l + q se_l), over the l that
    may be the least: those less than `_CONTENDS` errors above it. Where these are equal in truth,
    it misses when max(−t_l) > q or min t_l > q, and q is the quantile of the larger of the two;
    for a single contender this is the interval of `bootstrap_t`. With ten replicas and three
    functions, 95 % intervals hold the least in 95 to 96 % of studies where all are alike, in 96 to
    97 % where one is far below the others, and in 98 to 99 % in between; in 93 % with many means
    and skewed replicas. With four or five replicas coverage is 89 to 97 %, and less (82 to 91 %)
    where they are strongly skewed.

    `values` has shape (L, K, R), replica r being the same one in every l. Returned with the
    position of the least estimate.
    """
    n_replicas = values.shape[2]
    single = [_with_error(part, function, gradient) for part in values]
    found, errors = (np.array(x)[:, 0] for x in zip(*single, strict=True))
    least = int(found.argmin())
    influence = np.stack([gradient(part.mean(axis=1)) @ part for part in values])
    apart = np.std(influence - influence[least], axis=1, ddof=1) / np.sqrt(n_replicas)
    contends = np.flatnonzero(found - found[least] <= _CONTENDS * apart)
    if n_replicas < FEWEST_RESAMPLED:
        # Šidák's and Bonferroni's bounds agree to the digits that so few replicas justify.
        tail = min((1 - LEVEL) / 2, (1 - LEVEL) / len(contends))
        quantile = float(stdtrit(n_replicas - 1, 1 - tail))
    else:
        resampled = [_with_error(values[m], function, gradient, repeats) for m in contends]
        starred, spreads = map(np.array, zip(*resampled, strict=True))
        with np.errstate(divide="ignore", invalid="ignore"):
            t = (starred - found[contends, None]) / spreads
        t = np.where(np.isinf(t), np.nan, t)
        t[errors[contends] == 0] = 0.0  # replicas that agree
        quantile = _quantile(np.maximum((-t).max(axis=0), t.min(axis=0)))
    half = quantile * errors[contends]
    low, high = (found[contends] - half).min(), (found[contends] + half).min()
    return Estimate(found[least], low, high, resampled="replicas"), least


def _with_error(
    values: Array, function: _Map, gradient: _Map, repeats: Array | None = None
) -> tuple[Array, Array]:
    """Return a function of the means of each resample with its delta-method error, (B,) each."""
    n_replicas = values.shape[1]
    if repeats is None:
        repeats = np.ones((1, n_replicas))
    means = repeats @ values.T / n_replicas
    slopes = gradient(means)
    second = np.einsum("br,br->b", repeats, (slopes @ values) ** 2) / n_replicas
    centre = np.sum(slopes * means, axis=-1)
    variance = second - centre**2
    # Of replicas that nearly agree, this difference is rounding.
    close = variance < _CANCELLED * second
    if close.any():
        left = slopes[close] @ values - centre[close, None]
        variance[close] = np.einsum("br,br->b", repeats[close], left**2) / n_replicas
    # Below rounding the replicas agree.
    rounding = _ROUNDING * np.sum(np.abs(slopes * means), axis=-1)
    variance = np.where(variance > rounding**2, variance, 0.0)
    return function(means), np.sqrt(variance / (n_replicas - 1))


def _quantile(distances: Array) -> float:
    """Return the quantile of resampled distances, in standard errors."""
    # A resample that has no estimate or no spread counts as arbitrarily far off.
    distances = np.where(np.isnan(distances), np.inf, distances)
    return float(np.quantile(distances, LEVEL, method="higher"))


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
        values, lambda m: np.log(m @ weights), lambda m: weights / (m @ weights)[..., None], repeats
    )
    with np.errstate(over="ignore"):  # few replicas may leave the upper end open
        low, high = np.exp([logarithm.low, logarithm.high])
    return Estimate(math.exp(logarithm.value), low, high, resampled="replicas")


def jackknife_error(left_out: Array) -> Array:
    """Return the jackknife standard error from left-out estimates along the last axis."""
    return np.sqrt((left_out.shape[-1] - 1) * np.var(left_out, axis=-1))


def jackknifed(value: Any, left_out: Array, resampled: str) -> Estimate:
    """Give a value Student's interval, from those with one replica left out, last axis."""
    n_replicas = left_out.shape[-1]
    if n_replicas < 2:
        return Estimate(value, resampled=resampled)
    half = float(stdtrit(n_replicas - 1, (1 + LEVEL) / 2)) * jackknife_error(left_out)
    return Estimate(value, value - half, value + half, resampled=resampled)


def slope_weights(x: Array) -> Array:
    """Weights w of the least-squares slope: slope = w · y."""
    centered = x - x.mean()
    return centered / (centered @ centered)


def log_slope(weights: Array) -> tuple[_Map, _Map]:
    """Return the slope w · log(means), as of a power law, and its gradient, for `bootstrap_t`."""
    return lambda means: np.log(means) @ weights, lambda means: weights / means
