"""Whether the best learning rate of a narrow network is that of a wide one."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from meanfield import checks
from meanfield.deep.descent import without_advice
from meanfield.deep.optimizers import OPTIMIZERS
from meanfield.deep.parametrizations import Parametrization, get_parametrization
from meanfield.deep.train import train
from meanfield.errors import ArgumentError, DivergenceError
from meanfield.statistics.estimate import Estimate
from meanfield.statistics.power_law import sizes
from meanfield.statistics.resampling import jackknifed, slope_weights

MOVED = 1.5
"""A best rate transfers when it moves by less than this factor over the widths."""


@dataclass(frozen=True, eq=False)
class RateCurve:
    """Losses at several learning rates.

    Attributes
    ----------
    rates, losses : ndarray of shape (J,)
        Rates, ascending and a constant factor apart; a loss that is not finite is infinite.
    best : float
        The rate of the least loss, between the grid's by the parabola through its logarithm and
        those of its neighbours, where these are finite; NaN where every rate diverged, or where the
        rates that were tried do not enclose a minimum.

    Examples
    --------
    >>> from meanfield import deep
    >>> curve = deep.search_rates(lambda rate: (rate - 0.3) ** 2 + 0.1, 0.1, factor=2.0)
    >>> curve.rates.shape == curve.losses.shape, bool(curve.rates[0] < curve.best < curve.rates[-1])
    (True, True)
    """

    rates: np.ndarray
    losses: np.ndarray
    best: float


def search_rates(
    loss_at: Callable[[float], float],
    start: float,
    *,
    factor: float = math.sqrt(2),
    beyond: int = 3,
    most: int = 100,
    untrained: Callable[[], float] = lambda: math.inf,
) -> RateCurve:
    """Look for the best rate on a grid, from a first one outwards.

    The grid is ``start · factor^j`` with whole j. It is walked until `beyond` rates on either side
    of the least loss have more, and downwards where no loss is below that before training: at rates
    that are far too large, losses have minima of their own.

    Parameters
    ----------
    loss_at : callable
        ``loss_at(rate)``, the loss of training at that rate; infinite or NaN where it diverges.
    start : float
        Where to begin.
    factor : float
        From one rate to the next, above 1.
    beyond : int
        Rates on either side of the best.
    most : int
        Rates that are tried at most.
    untrained : callable, optional
        ``untrained()``, the loss before training, asked for after every rate.

    Returns
    -------
    RateCurve

    Raises
    ------
    ValueError, TypeError
        An argument cannot be used.

    Examples
    --------
    >>> from meanfield import deep
    >>> curve = deep.search_rates(lambda rate: (rate - 0.3) ** 2 + 0.1, 0.1, factor=2.0)
    >>> curve.rates.tolist()
    [0.0125, 0.025, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6]
    >>> round(curve.best, 2)
    0.28
    """
    start = checks.positive("start", start)
    factor = checks.number("factor", factor)
    if not 1 < factor < math.inf:
        raise ArgumentError("factor", f"must be finite and above 1, got {factor:g}.")
    beyond = checks.count("beyond", beyond)
    most = checks.count("most", most)
    found: dict[int, float] = {}
    place: int | None = 0
    while place is not None and len(found) < most:
        loss = float(loss_at(start * factor**place))
        found[place] = loss if math.isfinite(loss) else math.inf
        place = _next_place(found, beyond, untrained())
    places = np.array(sorted(found))
    losses = np.array([found[j] for j in places])
    rates = start * factor**places
    return RateCurve(rates, losses, _lowest(rates, losses) if place is None else math.nan)


def _next_place(found: dict[int, float], beyond: int, untrained: float) -> int | None:
    """Return the end of the grid that is too near to the least loss, the lower one first.

    Where none is below that before training the lowest counts as the least.
    """
    trained = {j: loss if loss < untrained else math.inf for j, loss in found.items()}
    best = min(trained, key=lambda j: (trained[j], j))
    low, high = min(found), max(found)
    if best - low < beyond:
        return low - 1
    if high - best < beyond:
        return high + 1
    return None


def _lowest(rates: np.ndarray, losses: np.ndarray) -> float:
    """Return the rate of the least loss, by a parabola in logarithms."""
    i = int(np.argmin(losses))
    if not np.isfinite(losses[i]):
        return math.nan
    around = losses[max(0, i - 1) : i + 2]
    if len(around) < 3 or not (np.isfinite(around) & (around > 0)).all():
        return float(rates[i])
    below, at, above = np.log(around)
    bend = below - 2 * at + above
    shift = 0.0 if bend <= 0 else 0.5 * (below - above) / bend
    return float(rates[i] * (rates[1] / rates[0]) ** shift)


def base_step_size(
    parametrization: str | Parametrization, rate: float, width: int, optimizer: str = "sgd"
) -> float:
    """Return the `step_size` of `train` at which a network has a base rate.

    It is the rate itself, but under SP: there the base rate is the one rate of all layers, as it is
    set in practice, of which Table 2 of [RFL] takes a power of the width beforehand (``η/n`` for
    gradient descent), so that nothing would be left to move.

    Parameters
    ----------
    parametrization : str or Parametrization
        ``"sp"``, ``"ntp"``, ``"ip"`` or ``"mup"``.
    rate : float
        The base rate.
    width : int
        Units per hidden layer, n.
    optimizer : str
        ``"sgd"``, ``"momentum"`` or ``"adam"``.

    Returns
    -------
    float

    Raises
    ------
    ValueError, TypeError
        If an argument is not usable.

    Examples
    --------
    >>> from meanfield import deep
    >>> deep.base_step_size("mup", 0.1, width=64), deep.base_step_size("sp", 0.1, width=64)
    (0.1, 6.4)
    """
    scheme, width = get_parametrization(parametrization), checks.count("width", width)
    checks.choice("optimizer", optimizer, OPTIMIZERS)
    if scheme.name != "sp":
        return rate
    return rate / scheme.rates(width, 1.0, (1.0, 1.0, 1.0), optimizer == "adam").hidden


def rate_curve(
    X: Any,
    y: Any,
    *,
    width: int,
    start: float,
    parametrization: str | Parametrization = "mup",
    optimizer: str = "sgd",
    factor: float = math.sqrt(2),
    beyond: int = 3,
    most: int = 100,
    **settings: Any,
) -> RateCurve:
    """Train a network at many base rates, around the one of the least training loss at the end.

    Parameters
    ----------
    X, y : array_like
        Training inputs and targets, as for `train`.
    width : int
        Units per hidden layer.
    start : float
        Base rate to begin with.
    parametrization, optimizer : str
        As for `train`; see `base_step_size` for what a base rate is.
    factor, beyond, most
        The grid of base rates, as for `search_rates`.
    **settings
        Further arguments of `train`.

    Returns
    -------
    RateCurve
        Training losses, averaged over the last quarter of the steps, which oscillate under large
        rates, and over ``n_replicas``.

    Raises
    ------
    ValueError, TypeError
        If an argument is not usable.
    MemoryError
        If a run does not fit into memory.

    Examples
    --------
    >>> import numpy as np
    >>> from meanfield import deep
    >>> X, y = np.eye(4) + 0.1 * np.arange(16).reshape(4, 4), np.array([1.0, -1.0, 1.0, -1.0])
    >>> settings = {"depth": 2, "activation": "tanh", "n_steps": 8}
    >>> curve = deep.rate_curve(X, y, width=32, start=0.05, factor=2.0, beyond=2, **settings)
    >>> bool(curve.rates[0] < curve.best < curve.rates[-1])
    True
    """

    first = math.inf

    def loss_at(rate: float) -> float:
        nonlocal first
        step_size = base_step_size(parametrization, rate, width, optimizer)
        try:
            with without_advice():
                run = train(
                    X,
                    y,
                    width=width,
                    parametrization=parametrization,
                    optimizer=optimizer,
                    step_size=step_size,
                    save_at=[],
                    **settings,
                )
        except DivergenceError:
            return math.inf
        first = float(run.loss[:, 0].mean())
        return float(run.loss[:, -1 - run.steps[-1] // 4 :].mean())

    walk: dict[str, Any] = {"factor": factor, "beyond": beyond, "most": most}
    return search_rates(loss_at, start, **walk, untrained=lambda: first)


@dataclass(frozen=True, eq=False)
class RateDrift:
    """How the best rate moves with the width.

    Attributes
    ----------
    best : Estimate of shape (W,)
        Best rate of every width: that of the least loss, geometric mean over networks; NaN where
        not all networks were tried there, or it is at the end of the grid.
    exponent : Estimate
        Of the best rate in the width; 0 where it transfers.
    movement : Estimate
        Factor by which it moves from the smallest to the largest width, by that exponent.
    transfers : bool or None
        Whether the interval of the movement lies within a factor 1.5 either way; False where it
        lies outside, and None where the data do not decide.

    Examples
    --------
    >>> from meanfield import deep
    >>> losses = [[[3, 2, 1, 2, 3]], [[2, 1, 2, 3, 4]]]
    >>> drift = deep.rate_drift([64, 128], [0.1, 0.2, 0.4, 0.8, 1.6], losses)
    >>> round(drift.exponent.value, 3), drift.transfers
    (-1.0, None)
    """

    best: Estimate
    exponent: Estimate
    movement: Estimate
    transfers: bool | None


def rate_drift(widths: ArrayLike, rates: ArrayLike, losses: ArrayLike) -> RateDrift:
    r"""Fit how the best rate moves with the width.

    The best rate :math:`η^*(n)` of a width has the least loss, geometric mean over networks, and
    the exponent is the slope of :math:`\log η^*(n)` by least squares. Intervals are Student's with
    the error of the jackknife over networks, each left out at all widths.

    Parameters
    ----------
    widths : array_like of shape (W,)
        Widths n, at least two different ones.
    rates : array_like of shape (J,)
        Base rates, a constant factor apart.
    losses : array_like of shape (W, R, J)
        Losses of R networks of each width; network r has the same seed at every width. Infinite
        where it diverged, NaN where it was not tried: beyond the rates of its own search, at whose
        ends its loss rises.

    Returns
    -------
    RateDrift

    Raises
    ------
    ValueError, TypeError
        The widths, rates or losses cannot be used; the sentence names them.

    Examples
    --------
    >>> import numpy as np
    >>> from meanfield import deep
    >>> rates = 0.1 * 2.0 ** np.arange(6)
    >>> best = np.array([[0.42, 0.40], [0.40, 0.39], [0.41, 0.39], [0.40, 0.40]])
    >>> losses = 0.1 + np.log(rates / best[:, :, None]) ** 2
    >>> deep.rate_drift([64, 128, 256, 512], rates, losses).transfers
    True
    """
    n, grid = sizes("widths", widths), sizes("rates", rates)
    values = checks.numbers("losses", losses)
    if len(n) < 2:
        raise ArgumentError("widths", f"must hold two different numbers, got {len(n)}.")
    steps = np.diff(np.log(grid))
    if (steps <= 0).any() or not np.allclose(steps, steps[:1], rtol=1e-3):
        raise ArgumentError("rates", "must ascend by a constant factor, such as 0.1, 0.2 and 0.4.")
    if values.ndim != 3 or (len(values), values.shape[2]) != (len(n), grid.size) or not values.size:
        raise ArgumentError(
            "losses",
            f"must have shape (W, R, J), those of R networks at {len(n)} widths and {grid.size} "
            f"rates, got {values.shape}.",
        )
    if (values < 0).any():
        raise ArgumentError("losses", f"must not be negative, got {values[values < 0][0]:g}.")
    best = np.log([_best_of_mean(grid, of_width) for of_width in values])
    left_out = np.array(
        [
            [math.log(_best_of_mean(grid, np.delete(of_width, r, axis=0))) for of_width in values]
            for r in range(values.shape[1] if values.shape[1] > 1 else 0)
        ]
    ).reshape(-1, len(n))
    slope = slope_weights(np.log(n))
    exponent = jackknifed(np.asarray(slope @ best), left_out @ slope, "networks")
    span = float(n.max() / n.min())
    movement = exponent.map(lambda power: span**power)
    rate = jackknifed(best, left_out.T, "networks").map(np.exp)
    return RateDrift(rate, exponent, movement, stays(movement))


def _best_of_mean(rates: np.ndarray, losses: np.ndarray) -> float:
    """Return the rate of the least geometric mean of losses (R, J), where all were tried, or NaN.

    Beyond the rates that were tried for it, a network counts with the loss at their end: it was
    rising there.
    """
    tried = ~np.isnan(losses)
    if not tried.any(axis=1).all():
        return math.nan
    place, last = np.arange(len(rates)), len(rates) - 1
    ends = tried.argmax(axis=1)[:, None], last - tried[:, ::-1].argmax(axis=1)[:, None]
    with np.errstate(divide="ignore"):
        logs = np.log(np.take_along_axis(losses, np.clip(place, *ends), axis=1))
    mean = np.exp(logs.mean(axis=0))
    best = int(np.argmin(mean))
    if not 0 < best < last or not tried[:, best].all():
        return math.nan
    return _lowest(rates, mean)


def stays(movement: Estimate) -> bool | None:
    """Return whether an interval says that a factor is within 1.5 either way; None if undecided."""
    if movement.interval is None:
        return None
    if movement.low > 1 / MOVED and movement.high < MOVED:
        return True
    return False if movement.high < 1 / MOVED or movement.low > MOVED else None
