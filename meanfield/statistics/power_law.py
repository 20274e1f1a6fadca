"""A power law with the uncertainty of its exponent: the one form of every rate and order."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from meanfield import checks
from meanfield.errors import ArgumentError
from meanfield.statistics.estimate import Estimate, Note
from meanfield.statistics.intervals import normal_quantile

Array = NDArray[np.float64]

_NOTHING = Estimate(math.nan)


@dataclass(frozen=True, eq=False)
class PowerLaw:
    """A fit ``value = constant · x^slope``.

    Attributes
    ----------
    slope : Estimate
        Slope of log value against log x; NaN when nothing can be fitted. Its notes say what may
        be wrong with the fit.
    constant : Estimate
        The factor: that of the fitted slope, or, for the rates of `fit_rate`, of the expected one,
        extrapolated to ``1/N = 0``.
    local_slopes : ndarray, shape (K - 1,)
        Slope between neighbouring x, ascending; empty where it is not asked for.
    time_index : int or None
        Position of the time that was fitted, when the values were given over time.
    floor_share, floor_p : float
        Estimated share, at the largest x, of a floor that does not fall with x, which may come
        out negative, and the one-sided p-value of a positive one. NaN where it is not tested.
    line_p : float
        p-value of a straight line in log-log axes.
    fitted : ndarray, shape (K,)
        The fit at the x that were given, for the rates of `fit_rate`; NaN at those left out.

    Examples
    --------
    >>> import numpy as np, meanfield as mf
    >>> sizes = np.array([16, 32, 64, 128])
    >>> noise = np.random.default_rng(0).lognormal(0.0, 0.3, size=(4, 40))
    >>> fit = mf.chaos.fit_rate(sizes, noise / sizes[:, None])
    >>> fit.slope.low < -1 < fit.slope.high, fit.slope.agrees, fit.local_slopes.shape
    (True, True, (0,))
    """

    slope: Estimate
    constant: Estimate = _NOTHING
    local_slopes: Array = field(default_factory=lambda: np.empty(0))
    time_index: int | None = None
    floor_share: float = math.nan
    floor_p: float = math.nan
    line_p: float = math.nan
    fitted: Array = field(default_factory=lambda: np.empty(0))

    def line(self, x: ArrayLike, means: Array) -> Array:
        """Return the fitted line: least squares in the logarithm passes through the centre.

        Parameters
        ----------
        x, means : array_like, shape (K,)
            What was fitted against, such as particle counts, and the means that were fitted.

        Returns
        -------
        ndarray, shape (K,)
            The line at `x`; NaN when nothing was fitted.
        """
        if not self.slope.known:
            return np.full(np.shape(x), math.nan)
        log_x = np.log(x)
        return np.exp(np.log(means).mean() + self.slope.value * (log_x - log_x.mean()))


def zero_note(
    x: ArrayLike,
    means: ArrayLike,
    rounding: float = 0.0,
    *,
    what: str = "What was measured",
    symbol: str = "N",
) -> Note | None:
    """Return why means at several x have no power law: one of them is zero up to rounding.

    This is the one rule for what has no logarithm; None where all of them have one. `rounding` is
    the size that rounding alone gives a mean; `what` and `symbol` name the means and x.
    """
    means = np.asarray(means, dtype=float)
    zero = means <= rounding
    if not zero.any():
        return None
    where = f"at {symbol}={np.asarray(x)[int(zero.argmax())]:g}"
    if zero.all():
        where = f"at every {symbol}"
    return Note("zero", f"{what} is zero up to rounding {where}: there is no slope to fit.")


def sizes(name: str, x: ArrayLike) -> Array:
    """Return what a power law is fitted against, (K,): numbers above zero, not all of them alike.

    A single one is left to the fit, which may say how many it takes.
    """
    found = checks.numbers(name, x)
    if found.ndim != 1:
        raise ArgumentError(name, f"must be a list of numbers, got shape {found.shape}.")
    wrong = ~(np.isfinite(found) & (found > 0))
    if wrong.any():
        got = found[int(wrong.argmax())]
        raise ArgumentError(name, f"must be finite and greater than 0, got {got:g}.")
    if len(found) > 1 and len(np.unique(np.log(found))) < 2:
        raise ArgumentError(name, f"must hold two different numbers, got {found[0]:g} only.")
    return found


def fit_power_law(
    x: ArrayLike, values: ArrayLike, errors: ArrayLike, *, expected: float | None = None
) -> PowerLaw:
    """Fit ``log y = c + s log x`` to independent values of known standard errors, (K,) each.

    Least squares with the weights (y / se)² of the logarithms; the interval of the slope is the
    normal one that follows from the errors. Values that are not positive, or of no finite error
    above zero, are left out; the fit is NaN, with a note, when fewer than two x are left. A
    ValueError or TypeError names an argument that cannot be used.
    """
    x = sizes("x", x)
    values, errors = checks.numbers("values", values), checks.numbers("errors", errors)
    for name, part in (("values", values), ("errors", errors)):
        if part.shape != x.shape:
            raise ArgumentError(name, f"must be one for each x, {len(x)}, got shape {part.shape}.")
    usable = np.isfinite(values) & (values > 0) & np.isfinite(errors) & (errors > 0)
    if len(np.unique(np.log(x[usable]))) < 2:
        text = "A slope takes two values that are not zero; there are too few here."
        return PowerLaw(Estimate(math.nan, expected=expected, notes=(Note("few-sizes", text),)))
    weight = values[usable] / errors[usable]
    design = np.stack([np.ones(usable.sum()), np.log(x[usable])], axis=1) * weight[:, None]
    # Normal equations, and not the centred weights of `slope_weights` and `fit_law_bias`, which are
    # the same slope rounded otherwise: committed results hold the last bits of these.
    covariance = np.linalg.inv(design.T @ design)
    offset, slope = covariance @ design.T @ (np.log(values[usable]) * weight)
    half = normal_quantile() * np.sqrt(covariance[1, 1])
    return PowerLaw(
        Estimate(slope, slope - half, slope + half, expected=expected), Estimate(np.exp(offset))
    )
