"""Tails and moment orders of a positive sample."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import least_squares, minimize_scalar
from scipy.special import gammaln, logsumexp

from meanfield.statistics.estimate import Estimate
from meanfield.statistics.intervals import normal_quantile

Array = NDArray[np.float64]

#: A sample moment is used while its terms, as weights, have this effective sample size.
EFFECTIVE_SIZE = 50.0
_TAIL_SHARE = 0.05
#: Orders 1/4, 1/2, ... up to 16 enter the fit of the order.
_ORDER_STEP, _MAX_ORDERS = 0.25, 64
#: Steps of the iteration for Tyler's scatter matrix.
_ROUNDS = 30


@dataclass(frozen=True)
class Tail:
    """Two readings of the largest 5 % of a sample of radii, with ``u`` their threshold.

    The power-law reading has generalised Pareto excesses of ``r²`` over ``u²``, by maximum
    likelihood; the light one ``P(r > x | r > u) = exp(−c ((x/u)^ρ − 1))``. The verdict is a power
    law where ``exponent < 0.5`` unless the light reading fits better at 90 % confidence, or
    ``exponent < 0.75`` and the power law fits better at 99 %: a stretched exponential of order
    below 0.5 cannot be told from a power law.
    """

    tail_index: Estimate  # ν of the power-law reading; infinite when its shape is not positive
    exponent: float  # ρ of the light reading
    z: float  # Vuong's statistic of the two likelihoods, positive in favour of the power law
    is_bounded: bool  # a generalised Pareto law of bounded support fits better, at 99 % confidence
    is_power_law: bool  # the verdict


def read_tail(radii: Array) -> Tail:
    """Fit both readings to the largest 5 % of positive radii (n,), n ≥ 1000."""
    count = int(_TAIL_SHARE * len(radii))
    top = np.sort(np.partition(radii, len(radii) - count - 1)[len(radii) - count - 1 :])
    threshold = top[0]
    if threshold <= 0 or top[-1] == threshold:  # an atom at 0, or at the largest radius
        return Tail(Estimate(np.inf), np.inf, -np.inf, threshold > 0, False)
    y = top[1:] / threshold
    shape, heavy = _generalised_pareto(y**2 - 1.0)
    heavy += np.log(2.0 * y)
    exponent, light = _weibull_tail(np.log(y))
    error = normal_quantile() * (1.0 + max(shape, -0.5)) / np.sqrt(count)
    low, high = (2.0 / s if s > 0 else np.inf for s in (shape + error, shape - error))
    gain = heavy - light
    z = float(gain.sum() / (gain.std() * np.sqrt(count)))
    likely, sure = normal_quantile(0.90), normal_quantile(0.99)
    power_law = shape > 0 and ((exponent < 0.5 and z > -likely) or (exponent < 0.75 and z > sure))
    index = Estimate(2.0 / shape if shape > 0 else np.inf, low, high, resampled="particles")
    return Tail(index, exponent, z, shape < 0 and z > sure, power_law)


def _generalised_pareto(excess: Array) -> tuple[float, Array]:
    """Maximum-likelihood shape, by profile over shape/scale, and the log-likelihood terms."""
    mean, top = excess.mean(), excess.max()

    def terms(t: float) -> tuple[float, Array]:
        logs = np.log1p(t * excess)
        shape = logs.mean()
        return shape, -np.log(shape / t) - (1.0 + 1.0 / shape) * logs

    def best(to_ratio: Callable[[float], float], low: float, high: float) -> tuple[float, float]:
        found = minimize_scalar(
            lambda u: -terms(to_ratio(u))[1].mean(), bounds=(low, high), method="bounded"
        )
        return found.fun, to_ratio(found.x)

    candidates = [
        best(lambda u: np.exp(u) / mean, -12.0, 0.0),
        best(lambda u: np.exp(u) / mean, -2.0, 8.0),
        best(lambda u: np.expm1(u) / top, -30.0, -1e-6),  # bounded support
    ]
    shape, likelihood = terms(min(candidates)[1])
    return float(shape), likelihood


def _weibull_tail(logs: Array) -> tuple[float, Array]:
    """Maximum-likelihood exponent of the light reading, and the log-likelihood terms."""

    def terms(rho: float) -> Array:
        rise = np.expm1(rho * logs)
        rate = 1.0 / rise.mean()
        return np.log(rate * rho) + (rho - 1.0) * logs - rate * rise

    found = minimize_scalar(
        lambda u: -terms(np.exp(u)).mean(), bounds=(-9.0, 5.0), method="bounded"
    )
    return float(np.exp(found.x)), terms(np.exp(found.x))


def log_sample_moments(
    radii: Array, orders: ArrayLike, effective_size: float = EFFECTIVE_SIZE
) -> tuple[Array, Array]:
    """Log-moments of the leading ``orders`` that the sample supports, and their standard errors.

    An order ``k`` is supported while ``(Σ r^k)² / Σ r^{2k}`` is at least ``effective_size``.
    """
    n = len(radii)
    with np.errstate(divide="ignore"):
        logs = np.log(radii)
    values, errors = [], []
    for k in np.asarray(orders):
        first, second = logsumexp(k * logs), logsumexp(2 * k * logs)
        size = np.exp(2.0 * first - second)
        if not size >= effective_size:
            break
        values.append(first - np.log(n))
        errors.append(np.sqrt(max(1.0 / size - 1.0 / n, 0.0)))
    return np.array(values), np.array(errors)


def inverse_order(radii: Array) -> tuple[float, float]:
    """``1/ρ`` of the moment growth ``log m_k = (k/ρ) log k + O(k)``, and its standard error.

    Fits ``m_k = s^k Γ((c + k)/ρ) / Γ(c/ρ)``, the moments of a density proportional to
    ``r^{c−1} exp(−(r/s)^ρ)``, to the sample moments of orders 1/4, 1/2, ...; ``1/ρ = 0`` is a
    compact support, ``m_k = s^k c/(c + k)``. The error follows from the influence of every point.
    Both are infinite where the sample, of n ≥ 1000 radii, supports too few orders, which is itself
    a heavy tail.
    """
    radii = radii[radii > 0]  # an atom at 0 only scales the moments
    radii = np.ldexp(radii, -np.frexp(np.median(radii))[1])  # nor do units matter
    n = len(radii)
    size = float(np.clip(n / 50, EFFECTIVE_SIZE, 800.0))
    orders = _ORDER_STEP * np.arange(1, _MAX_ORDERS + 1)
    values, errors = log_sample_moments(radii, orders, size)
    k = orders[: len(values)]
    if len(k) < 6:
        return np.inf, np.inf
    if not errors.any():  # all radii are equal
        return 0.0, 0.0
    weights = 1.0 / np.maximum(errors, 1e-3 * errors.max())
    weights /= weights.max()

    def misfit(q: Array) -> Array:
        beta, c = max(q[0], 1e-9), np.exp(q[1])
        model = gammaln(beta * (c + k)) - gammaln(beta * c) + k * q[2]
        return (model - values) * weights

    bounds = ([0.0, -3.0, -50.0], [20.0, 6.0, 50.0])
    start = values[0] / k[0]
    fits = (
        least_squares(misfit, [beta, 0.7, start], bounds=bounds, x_scale=[0.1, 0.3, 0.3])
        for beta in (0.1, 1.0)
    )
    fit = min(fits, key=lambda candidate: candidate.cost)
    # At 1/ρ = 0 the model is at the edge of its range; linearise a little inside.
    inside = np.array([max(fit.x[0], 0.01), *fit.x[1:]])
    jacobian = np.stack([misfit(inside + d) - misfit(inside - d) for d in 1e-5 * np.eye(3)], 1)
    influence = np.linalg.pinv(jacobian / 2e-5)[0] * weights
    logs = np.log(radii)
    per_point = np.zeros(n)
    for share, order, value in zip(influence, k, values, strict=True):
        per_point += share * np.exp(order * logs - value)
    return float(fit.x[0]), float(np.std(per_point) / np.sqrt(n))


def independent(points: Array) -> bool:
    """Whether the coordinates (N, p) pass for independent: ``log |θ_i|`` are uncorrelated."""
    with np.errstate(divide="ignore"):
        logs = np.log(np.abs(points))
    logs = logs[np.isfinite(logs).all(1)]
    correlation = np.corrcoef(logs, rowvar=False)
    off = correlation[~np.eye(len(correlation), dtype=bool)]
    return bool(np.abs(off).max() < 4.0 / np.sqrt(len(logs)))


def centred(points: Array) -> Array:
    """Return points (N, p) less the median of each coordinate that is symmetric about it.

    A shift does not change the order of a law, but it does what moments of few orders see of it. A
    median that chance could have moved from 0 stays. Another law that keeps away from 0 is moved
    until it ends there.
    """
    from scipy.stats import ks_2samp  # takes a third of the time of a start

    median = np.median(points, axis=0)
    low, high = np.quantile(points, [0.25, 0.75], axis=0)
    # The standard error of a Gaussian's median, from its quartiles.
    error = 0.93 * (high - low) / np.sqrt(len(points))
    shift = np.zeros_like(median)
    for i in np.flatnonzero(np.abs(median) > 4.0 * error):
        rest = points[:, i] - median[i]
        above, below = rest[rest > 0], -rest[rest < 0]
        if len(above) and len(below) and ks_2samp(above, below).pvalue > 1e-3:
            shift[i] = median[i]
        else:
            end = min(points[:, i].min(), points[:, i].max(), key=abs)
            away = end * median[i] > 0 and abs(end) > 0.1 * (high - low)[i]
            shift[i] = end if away else 0.0
    return points - shift


def rounded(points: Array) -> Array:
    """Return points (N, p) after a linear map that makes their directions isotropic.

    The map is the inverse root of Tyler's scatter matrix, by iteration (Tyler, Ann. Statist. 15,
    1987). It exists for every tail, and makes an elliptical law spherical. Points whose directions
    pass for isotropic stay as they are; directions in which no point extends are lost.
    """
    points = points[np.abs(points).sum(1) > 0]
    n, p = points.shape
    noise = 4.0 * np.sqrt(p / n)
    for i in range(_ROUNDS):
        directions = points / np.linalg.norm(points, axis=1, keepdims=True)
        values, vectors = np.linalg.eigh(p * directions.T @ directions / n)
        if i == 0 and np.abs(values - 1.0).max() < noise:
            return points
        keep = values > 1e-12 * values[-1]
        vectors = vectors[:, keep]
        points = points @ (vectors / np.sqrt(values[keep])) @ vectors.T
    return points
