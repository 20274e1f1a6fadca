"""How fast networks relax: the rate measured, beside that of their limit."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from meanfield import checks
from meanfield.errors import ArgumentError
from meanfield.statistics.estimate import Estimate, Note
from meanfield.statistics.resampling import bootstrap_t, draw_repeats, slope_weights

Array = NDArray[np.float64]

#: The rate is read where the distance, relative to the start, lies between these.
_FROM, _TO = 0.5, 0.02
#: Fewest times between them.
_FEWEST = 4
#: A limit that moves by less than this of the largest prediction does not move.
_STILL = 1e-11
#: An energy is followed down to this share of its start.
_SMALLEST_GAP = 1e-8


@dataclass(frozen=True, eq=False)
class Relaxation:
    """The squared distance of networks from their end, and the rate at which it falls.

    Attributes
    ----------
    rate : Estimate
        Rate of the mean network over replicas; expected is that of the limit.
    distance, limit : Estimate and ndarray, shape (T,)
        Squared distance of the mean network from the end, 1 at the start of the limit; and that
        of the limit.
    window : ndarray of bool, shape (T,)
        Times at which the rate is read.

    Examples
    --------
    >>> import numpy as np, meanfield as mf
    >>> times = np.linspace(0, 5, 51)
    >>> limit = 1 - np.exp(-times)[:, None]
    >>> runs = limit + 0.001 * np.random.default_rng(0).normal(size=(20, 51, 1))
    >>> found = mf.limit.relaxation_rate(times, limit, runs, end=np.ones(1))
    >>> found.rate.low < 2 < found.rate.high, found.window.shape
    (True, (51,))
    """

    rate: Estimate
    distance: Estimate
    limit: Array
    window: NDArray[np.bool_]


def relaxation_rate(
    times: ArrayLike,
    limit: ArrayLike,
    runs: ArrayLike,
    *,
    end: ArrayLike | None = None,
    seed: int = 0,
) -> Relaxation:
    r"""Measure the rate at which networks approach their end, with its interval.

    With :math:`f_t` the limit, :math:`f_∞` its end and :math:`u ∝ f_{t^*} − f_∞` the direction in
    which it still has to go in the middle of its relaxation, :math:`t^*`, networks have the
    amplitude :math:`A_t = ⟨f_{N,t} − f_∞, u⟩`, and the rate is −2 times the least-squares slope of
    :math:`\log |\overline{A_t}|` in t. It is read where the limit has gone half of its way until
    one fiftieth is left. The interval is a studentised bootstrap over replicas, of all times
    together.

    Parameters
    ----------
    times, limit, runs : array_like, shape (T,), (T, n) or (T, n, k), (R, T, n) or (R, T, n, k)
        Times t, ascending; predictions of the mean-field limit, and of R networks.
    end : array_like, shape (n,) or (n, k), optional
        Where they go; the last predictions of the limit by default. Of a limit that fluctuates,
        as a large system does, take the mean over late times.
    seed : int, default: 0
        Seed of the resampling.

    Returns
    -------
    Relaxation
        Rate and curves.

    Raises
    ------
    ValueError
        Shapes do not fit, or the times do not show the relaxation.

    Examples
    --------
    >>> import numpy as np, meanfield as mf
    >>> times = np.linspace(0, 5, 51)
    >>> limit = 1 + np.exp(-times)[:, None]  # an amplitude that falls like e^(−t)
    >>> runs = limit + 0.001 * np.random.default_rng(0).normal(size=(20, 51, 1))
    >>> found = mf.limit.relaxation_rate(times, limit, runs, end=np.ones(1))
    >>> 1.9 < found.rate.value < 2.1  # twice that: the rate of its square
    True
    """
    times = checks.finite("times", times)
    limit, runs = checks.finite("limit", limit), checks.finite("runs", runs)
    if times.ndim != 1 or limit.ndim < 2 or len(limit) != len(times):
        raise ArgumentError(
            "limit", f"must have shape (T, n) for T times, got {limit.shape} for {times.shape}."
        )
    if runs.ndim != limit.ndim + 1 or runs.shape[1:] != limit.shape:
        raise ArgumentError(
            "runs", f"must have shape (R, {', '.join(map(str, limit.shape))}), got {runs.shape}."
        )
    limit = limit.reshape(len(times), -1)
    runs = runs.reshape(len(runs), len(times), -1)
    last = limit[-1] if end is None else checks.finite("end", end).reshape(-1)
    if len(last) != limit.shape[1]:
        raise ArgumentError(
            "end", f"must hold {limit.shape[1]} predictions as the limit does, got {len(last)}."
        )
    way, size = np.abs(limit - last).max(), max(np.abs(runs).max(), np.abs(limit).max())
    if way <= _STILL * size:
        what = "is zero at all times" if np.abs(limit).max() <= _STILL * size else "stands still"
        raise ArgumentError(
            "limit",
            f"{what}, up to rounding: there is no distance from its end that relaxes, and no rate "
            "relative to it; take a problem whose limit moves (as with a bias, or labels that are "
            "not even in x).",
        )
    window = _window(np.square(limit - last).sum(1))
    direction = limit[window[len(window) // 2]] - last
    direction /= direction @ (limit[0] - last)  # 1 at the start
    amplitude, exact = (runs - last) @ direction, (limit - last) @ direction
    weights = slope_weights(times[window])
    slope = bootstrap_t(
        amplitude[:, window].T,
        lambda m: np.log(np.abs(m)) @ weights,
        lambda m: weights / m,
        draw_repeats(len(runs), checks.seed(seed)),
    )
    rate = replace(
        slope.map(lambda s: -2.0 * s),
        expected=-2.0 * float(weights @ np.log(np.abs(exact)[window])),
        label="Rate at which the squared distance of the networks from their end falls",
    )
    mean = Estimate.mean(amplitude, resampled="replicas")
    low, high = np.minimum(mean.low**2, mean.high**2), np.maximum(mean.low**2, mean.high**2)
    low = np.where(mean.low * mean.high < 0, 0.0, low)
    distance = Estimate(mean.value**2, low, high, resampled="replicas")
    return Relaxation(rate, distance, exact**2, np.isin(np.arange(len(times)), window))


def _window(distance: Array) -> NDArray[np.int64]:
    """Positions at which the distance has left its start and is not yet at its end."""
    root = np.sqrt(distance / distance[0])
    below = np.flatnonzero(root <= _TO)
    if not len(below):
        raise ArgumentError(
            "times",
            f"end before the networks have relaxed: the limit has still {root.min():.2g} of its "
            f"first distance to go, and {_TO:g} is needed; follow the networks for longer.",
        )
    start, stop = int(np.argmax(root <= _FROM)), int(below[0])
    if stop - start < _FEWEST:
        raise ArgumentError(
            "times",
            f"do not show the relaxation: {stop - start} of them lie between half and one fiftieth "
            f"of the first distance, and {_FEWEST} are needed; save more of the steps.",
        )
    return np.arange(start, stop)


def slowest_decay(times: ArrayLike, energy: ArrayLike) -> Estimate:
    r"""Return the smallest rate at which an energy fell to its last value at any time.

    .. math:: \min_i \; \frac{\log (J_i − J_T) − \log (J_{i+1} − J_T)}{t_{i+1} − t_i}

    over the first half of the times, where the last value stands for the minimum, and while the
    energy above it is more than 1e-8 of its start. NaN, with a note, with fewer than three times to
    judge from, or where the energy does not fall by more than rounding.
    """
    times, energy = checks.finite("times", times), checks.finite("energy", energy)
    if times.ndim != 1 or not (np.diff(times) > 0).all():
        raise ArgumentError("times", "must ascend, in one list.")
    if energy.shape != times.shape or not len(energy):
        raise ArgumentError(
            "energy", f"must be one for each of the {len(times)} times, got shape {energy.shape}."
        )
    gap = energy - energy[-1]
    seen = (gap > _SMALLEST_GAP * gap[0]) & (times <= 0.5 * times[-1])
    count = int(np.argmin(seen)) if not seen.all() else len(seen)
    with np.errstate(divide="ignore", invalid="ignore"):  # of an energy that stands still
        rates = -np.diff(np.log(gap[:count])) / np.diff(times[:count])
    label = "Smallest rate of the free energy at any time"
    if gap[0] <= _STILL * np.abs(energy).max():
        text = "The energy does not fall by more than rounding: there is no rate."
        return Estimate(np.nan, notes=(Note("zero", text),), label=label)
    if count < 3:
        text = "Fewer than three times show the energy falling: there is no rate."
        return Estimate(np.nan, notes=(Note("few-times", text),), label=label)
    return Estimate(float(rates.min()), label=label)
