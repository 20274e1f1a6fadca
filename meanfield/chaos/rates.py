"""Statistics of convergence rates: slopes, constants, trends, and what may be wrong with them.

Replicas share their noise across particle counts, so every resampling draws replicas jointly.
Intervals are symmetric studentised bootstrap intervals over replicas (Hall, "Theoretical
comparison of bootstrap confidence intervals", Ann. Statist. 1988; Davison and Hinkley,
"Bootstrap methods and their application", 1997, §5.2). On metrics distributed like chi-square
means they cover 95 % at 24 replicas and 93–95 % at 8, where percentile intervals cover 90–94 %
and 86–88 %.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

Array = NDArray[np.float64]

LEVEL = 0.95
_RESAMPLES = 1000
# A flag is raised at this false-alarm rate of its test.
_ALARM = 0.005
# Share of the reference's own error in the metric at the largest N that is passed over.
_REFERENCE_SHARE = 0.02
# The bias of the law is fitted where it stands out of the replica noise by this many errors.
_SEPARATION = 3.0


@dataclass(frozen=True)
class RateFit:
    """A power law fitted to a metric of the particle count.

    Attributes
    ----------
    slope : float
        Slope of log metric against log N; NaN when nothing can be fitted.
    slope_ci : tuple of float
        Its 95 % interval.
    constant : float
        Geometric mean over N of ``N^(-expected slope) · metric``; NaN without expectation.
    constant_ci : tuple of float
        Its 95 % interval.
    expected_slope : float or None
        What theory predicts.
    flags : tuple of str
        Warnings, as plain sentences.
    """

    slope: float
    slope_ci: tuple[float, float]
    constant: float
    constant_ci: tuple[float, float]
    expected_slope: float | None
    flags: tuple[str, ...] = ()

    @property
    def agrees(self) -> bool | None:
        """Whether the interval holds the expected slope; None where there is none to compare."""
        if self.expected_slope is None or math.isnan(self.slope):
            return None
        return self.slope_ci[0] <= self.expected_slope <= self.slope_ci[1]

    def summary(self) -> dict[str, Any]:
        """Return the fit as plain values, with None for what is not known.

        Returns
        -------
        dict
            Ready for JSON.
        """
        return {
            "slope": _plain(self.slope),
            "slope_ci": [_plain(x) for x in self.slope_ci],
            "constant": _plain(self.constant),
            "constant_ci": [_plain(x) for x in self.constant_ci],
            "expected_slope": self.expected_slope,
            "agrees": self.agrees,
            "flags": list(self.flags),
        }


@dataclass(frozen=True)
class Trend:
    """Late-time trend of ``N · metric``.

    Attributes
    ----------
    change : float
        Change over the second half of the horizon, relative to its mean there.
    change_ci : tuple of float
        Its 95 % interval.
    """

    change: float
    change_ci: tuple[float, float]

    @property
    def grows(self) -> bool:
        """Whether the interval lies above zero."""
        return self.change_ci[0] > 0


def fit_rate(
    particle_counts: ArrayLike,
    values: ArrayLike,
    *,
    expected_slope: float | None = -1.0,
    reference_particles: int | None = None,
    rounding: float = 0.0,
    seed: int = 0,
) -> RateFit:
    r"""Fit :math:`\log E[\text{metric}] = \text{const} + s \log N`.

    Least squares on the logarithm of the mean over replicas, with equal weights: the relative
    error of the mean hardly depends on N.

    Parameters
    ----------
    particle_counts : array_like, shape (K,)
        Sizes N, at least three.
    values : array_like, shape (K, R) or (K, T, R)
        Positive metric per replica; with times, the largest mean over time is fitted.
    expected_slope : float or None, default: -1.0
        What theory predicts.
    reference_particles : int, optional
        Size M of the system behind the mean-field path, whose error adds about ``c/M``.
    rounding : float, default: 0.0
        Size that rounding alone gives the metric.
    seed : int, default: 0
        Seed of the resampling.

    Returns
    -------
    RateFit
        Slope, constant and flags.

    Raises
    ------
    ValueError
        Fewer than three sizes or two replicas, or values that are not positive and finite.
    """
    counts = np.asarray(particle_counts, dtype=float)
    values = np.asarray(values, dtype=float)
    if values.ndim == 2:
        values = values[:, None]
    if values.ndim != 3 or len(values) != len(counts) or len(counts) < 3 or values.shape[2] < 2:
        raise ValueError(
            "values must have shape (K, R) or (K, T, R) with K >= 3 particle counts and R >= 2 "
            f"replicas, got {values.shape} for {len(counts)} counts."
        )
    if not np.all(np.isfinite(values)) or np.any(values.mean(axis=-1).max(axis=-1) <= 0):
        raise ValueError("values must be finite, with a positive mean at every particle count.")

    largest = values.mean(axis=-1).argmax(axis=1)
    at_sup = values[np.arange(len(counts)), largest]  # (K, R)
    centered = np.log(counts) - np.log(counts).mean()
    weights = centered / (centered @ centered)
    slope, slope_ci = _log_linear(values, at_sup, weights, seed)
    constant = constant_ci = None
    if expected_slope is not None:
        level = np.full(len(counts), 1 / len(counts))
        log_constant, log_ci = _log_linear(values, at_sup, level, seed)
        shift = expected_slope * np.log(counts).mean()
        constant = math.exp(log_constant - shift)
        constant_ci = (math.exp(log_ci[0] - shift), math.exp(log_ci[1] - shift))
    return RateFit(
        slope=slope,
        slope_ci=slope_ci,
        constant=math.nan if constant is None else constant,
        constant_ci=(math.nan, math.nan) if constant_ci is None else constant_ci,
        expected_slope=expected_slope,
        flags=_flags(counts, at_sup, expected_slope, reference_particles, rounding),
    )


def fit_law_bias(particle_counts: ArrayLike, deviation: ArrayLike, n_data: int) -> RateFit:
    r"""Fit the squared bias of the law, :math:`\frac1n |E f_N − \bar f|^2`, of slope −2.

    With R replicas the square of the mean deviation is estimated without bias by
    :math:`\frac{1}{R(R-1)} \sum_{r \ne s} ⟨d_r, d_s⟩ / n`. Only sizes, from the smallest
    upwards, at which it exceeds three standard errors are fitted, for elsewhere it is noise.

    Parameters
    ----------
    particle_counts : array_like, shape (K,)
        Sizes N, ascending.
    deviation : array_like, shape (K, R, m)
        Deviations ``f_N − f̄`` of every replica.
    n_data : int
        Number of data points n.

    Returns
    -------
    RateFit
        With a jackknife interval; NaN and a flag when fewer than three sizes stand out.
    """
    counts = np.asarray(particle_counts, dtype=float)
    deviation = np.asarray(deviation, dtype=float)
    bias, left_out = squared_mean(deviation, n_data)
    error = _jackknife_error(left_out)
    visible = bias > _SEPARATION * error
    fitted = len(counts) if visible.all() else int(np.argmin(visible))
    if fitted < 3:
        return RateFit(
            math.nan, (math.nan, math.nan), math.nan, (math.nan, math.nan), -2.0,
            ("The bias of the law is hidden in the scatter of the replicas; it needs more "
             "replicas or smaller systems.",),
        )  # fmt: skip
    counts, bias, left_out, error = (x[:fitted] for x in (counts, bias, left_out, error))
    weight = (bias / error) ** 2
    centered = np.log(counts) - np.average(np.log(counts), weights=weight)
    slope_weights = weight * centered / np.sum(weight * centered**2)
    quantile = stats.t.ppf(0.5 + LEVEL / 2, deviation.shape[1] - 1)

    def estimate(weights: Array, shift: float) -> tuple[float, tuple[float, float]]:
        value = float(weights @ np.log(bias)) - shift
        # Linear in the estimates: logarithms of left-out values need not exist.
        spread = float(_jackknife_error(weights @ (left_out / bias[:, None])))
        return value, (value - quantile * spread, value + quantile * spread)

    slope, slope_ci = estimate(slope_weights, 0.0)
    level = weight / weight.sum()
    log_constant, log_ci = estimate(level, -2.0 * float(level @ np.log(counts)))
    flags = ()
    if fitted < len(particle_counts):  # type: ignore[arg-type]
        flags = (
            f"Fitted up to N={counts[-1]:.0f}; beyond, the bias of the law is hidden in the "
            "scatter of the replicas.",
        )
    return RateFit(
        slope, slope_ci, math.exp(log_constant), (math.exp(log_ci[0]), math.exp(log_ci[1])), -2.0,
        flags,
    )  # fmt: skip


def squared_mean(deviation: Array, n_data: int) -> tuple[Array, Array]:
    """Return unbiased estimates of the squared mean over replicas, and the jackknife ones.

    Parameters
    ----------
    deviation : ndarray, shape (K, R, m)
        Deviations of every replica.
    n_data : int
        Number of data points n that the square is averaged over.

    Returns
    -------
    estimate : ndarray, shape (K,)
        ``(|Σ d|² − Σ |d|²) / (R (R − 1) n)``.
    left_out : ndarray, shape (K, R)
        The same without each replica in turn.
    """
    n_replicas = deviation.shape[1]
    total = deviation.sum(axis=1)
    squares = np.einsum("krm,krm->kr", deviation, deviation)
    products = np.einsum("krm,km->kr", deviation, total)
    pairs = np.einsum("km,km->k", total, total) - squares.sum(axis=1)
    estimate = pairs / (n_replicas * (n_replicas - 1) * n_data)
    left_pairs = pairs[:, None] - 2 * (products - squares)
    left_out = left_pairs / (max(n_replicas - 1, 1) * max(n_replicas - 2, 1) * n_data)
    return estimate, left_out


def late_time_trend(times: ArrayLike, values: ArrayLike) -> Trend:
    """Measure whether a metric still grows over the second half of the horizon.

    Parameters
    ----------
    times : array_like, shape (T,)
        Ascending times.
    values : array_like, shape (T, R)
        Metric per replica.

    Returns
    -------
    Trend
        NaN with fewer than three times in the second half.
    """
    times = np.asarray(times, dtype=float)
    values = np.asarray(values, dtype=float)
    late = times >= times[-1] / 2
    if late.sum() < 3:
        return Trend(math.nan, (math.nan, math.nan))
    times, values = times[late], values[late]
    centered = times - times.mean()
    growth = (centered @ values) / (centered @ centered) * (times[-1] - times[0])
    mean = values.mean()
    change = growth.mean() / mean
    # Delta method for a ratio of means over replicas.
    influence = (growth - change * values.mean(axis=0)) / mean
    n_replicas = values.shape[1]
    half = stats.t.ppf(0.5 + LEVEL / 2, n_replicas - 1) * influence.std(ddof=1)
    half /= math.sqrt(n_replicas)
    return Trend(float(change), (float(change - half), float(change + half)))


def _log_linear(
    values: Array, at_sup: Array, weights: Array, seed: int
) -> tuple[float, tuple[float, float]]:
    """Return ``Σ_N weight_N log max_t mean`` and its studentised bootstrap interval."""
    n_replicas = values.shape[-1]
    once = np.ones((1, n_replicas))
    estimate = float(_log_contrast(values, weights, once)[0])
    error = float(_contrast_error(at_sup, weights, once)[0])
    if error == 0:
        return estimate, (estimate, estimate)
    draw = np.random.default_rng(seed).integers(n_replicas, size=(_RESAMPLES, n_replicas))
    repeats = np.stack([np.bincount(chosen, minlength=n_replicas) for chosen in draw])
    shifts = _log_contrast(values, weights, repeats) - estimate
    errors = _contrast_error(at_sup, weights, repeats)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = np.where(errors > 0, shifts / errors, np.sign(shifts) * np.inf)
    reach = float(np.quantile(np.abs(ratios), LEVEL, method="nearest")) * error
    return estimate, (estimate - reach, estimate + reach)


def _log_contrast(values: Array, weights: Array, repeats: Array) -> Array:
    """Return ``Σ_N weight_N log max_t mean`` with each replica repeated; one per resample."""
    means = values @ repeats.T / values.shape[-1]  # (K, T, B)
    return weights @ np.log(means.max(axis=1))


def _contrast_error(values: Array, weights: Array, repeats: Array) -> Array:
    """Return the standard error of ``Σ_N weight_N log mean`` by the delta method.

    A replica's influence is ``u = Σ_N weight_N value/mean``; its mean is ``Σ_N weight_N``.
    """
    n_replicas = values.shape[-1]
    scaled = weights[:, None] / (values @ repeats.T / n_replicas)  # (K, B)
    products = np.einsum("kr,lr,br->klb", values, values, repeats, optimize=True)
    squares = np.einsum("kb,lb,klb->b", scaled, scaled, products)
    variance = (squares - n_replicas * weights.sum() ** 2) / (n_replicas - 1)
    # Below rounding the replicas agree.
    exact = variance < 1e-14 * squares
    return np.sqrt(np.where(exact, 0.0, variance) / n_replicas)


def _jackknife_error(left_out: Array) -> Array:
    """Return the jackknife standard error from left-out estimates along the last axis."""
    n_replicas = left_out.shape[-1]
    return np.sqrt((n_replicas - 1) * np.var(left_out, axis=-1))


def _flags(
    counts: Array,
    values: Array,
    expected_slope: float | None,
    reference_particles: int | None,
    rounding: float,
) -> tuple[str, ...]:
    """Return the warnings that the numbers call for."""
    flags = []
    largest = counts[-1]
    mean = values.mean(axis=1)
    if expected_slope is not None:
        share = _floor_share(counts, values, expected_slope)
        if share is not None:
            flags.append(
                f"A floor that does not fall with N makes up {share:.0%} of the metric at "
                f"N={largest:.0f}: the slope is that of the floor as well."
            )
    elif _bent(counts, values):
        flags.append("The points do not lie on one straight line in log-log axes.")
    if reference_particles is not None and largest / reference_particles > _REFERENCE_SHARE:
        flags.append(
            f"The reference of {reference_particles} particles has an error of its own, about "
            f"{largest / reference_particles:.0%} of the metric at N={largest:.0f}; keep it at "
            "100 times the largest N."
        )
    if mean[-1] < 100 * rounding:
        flags.append(f"Rounding is visible at N={largest:.0f}: use dtype='float64'.")
    return tuple(flags)


def _floor_share(counts: Array, values: Array, expected_slope: float) -> float | None:
    """Return the share at the largest N of a floor, if the floor is significantly positive.

    Model: mean = c N^slope + floor, by least squares with relative errors.
    """
    n_replicas = values.shape[1]
    mean = values.mean(axis=1)
    design = np.stack([counts**expected_slope, np.ones_like(counts)], axis=1)
    floor_row = np.linalg.pinv(design / mean[:, None])[1] / mean
    per_replica = floor_row @ values
    floor = float(per_replica.mean())
    error = float(per_replica.std(ddof=1)) / math.sqrt(n_replicas)
    if error == 0 or floor / error < stats.t.ppf(1 - _ALARM, n_replicas - 1):
        return None
    return floor / float(mean[-1])


def _bent(counts: Array, values: Array) -> bool:
    """Whether the residuals of the log-log line are significantly not zero (Hotelling)."""
    n_counts, n_replicas = values.shape
    mean = values.mean(axis=1)
    design = np.stack([np.ones(n_counts), np.log(counts)], axis=1)
    off_line = np.linalg.svd(design)[0][:, 2:].T
    n_tests = n_counts - 2
    if n_replicas <= n_tests:
        return False
    residual = off_line @ np.log(mean)
    spread = np.cov(off_line @ (values / mean[:, None])) / n_replicas
    statistic = residual @ np.linalg.pinv(np.atleast_2d(spread)) @ residual
    scaled = statistic * (n_replicas - n_tests) / (n_tests * (n_replicas - 1))
    return bool(scaled > stats.f.ppf(1 - _ALARM, n_tests, n_replicas - n_tests))


def _plain(value: float) -> float | None:
    """Return a float, or None where there is no finite number."""
    return float(value) if math.isfinite(value) else None
