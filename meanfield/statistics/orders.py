"""The order of an integrator, fitted to its errors at several step sizes."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import stdtrit

from meanfield import checks
from meanfield.statistics.estimate import Estimate, Note
from meanfield.statistics.intervals import LEVEL
from meanfield.statistics.power_law import PowerLaw, zero_note

Array = NDArray[np.float64]

#: An error below this many of its standard errors is noise.
_VISIBLE = 3.0
#: A power has one order; over the step sizes it may drift by this much.
_DRIFT = 0.5


def fit_order(
    step_sizes: ArrayLike,
    errors: ArrayLike,
    *,
    squared: bool = False,
    correction: bool = False,
    rounding: float = 0.0,
    expected: float | None = None,
) -> PowerLaw:
    r"""Fit the order of an integrator, or say plainly why none can be fitted.

    Least squares of :math:`\log|e(η)| = c + p \log η`, and with `correction`
    :math:`+\, q η`, the leading term by which errors leave their power at large step sizes.

    Parameters
    ----------
    step_sizes : array_like, shape (K,)
        At least three different step sizes η.
    errors : array_like, shape (K,) or (K, R)
        Errors that are exact, or one per replica: the error is then their mean, and replica r is
        the same one at every step size.
    squared : bool, default: False
        The values are squared errors; the order is that of their root.
    correction : bool, default: False
        Fit the leading correction as well; needs one step size more.
    rounding : float, default: 0.0
        Size that rounding alone gives an error; one that is no larger counts as zero.
    expected : float, optional
        The order that was declared.

    Returns
    -------
    PowerLaw
        Its slope is the order: the interval is over replicas where there are some, else from the
        scatter of the points around the line. Its constant has the sign of the errors.

    Raises
    ------
    ValueError
        No order can be fitted: too few step sizes; an error of zero, within its noise or of
        changing sign; errors that do not fall with the step size; errors that are no power of it.
    TypeError
        The step sizes or errors are not numbers.

    Examples
    --------
    >>> import meanfield as mf
    >>> fit = mf.fit_order([0.1, 0.2, 0.4], [0.0011, 0.0039, 0.0162], expected=2.0)
    >>> round(fit.slope.value, 2), fit.slope.agrees
    (1.94, True)
    """
    rounding = checks.nonnegative("rounding", rounding)
    h, values = _checked(step_sizes, errors, 4 if correction else 3, squared)
    mean = values if values.ndim == 1 else values.mean(axis=1)
    _check_visible(h, mean, values, rounding)
    root = 0.5 if squared else 1.0
    columns = [np.ones_like(h), np.log(h), h / h[-1]][: 3 if correction else 2]
    design = np.stack(columns, axis=1)
    # No `fit_power_law`, whose values are independent, of known errors, above zero: these share the
    # noise of their replicas over all step sizes, or have no error but their scatter, come with a
    # sign, and may have the next term beside their power.
    solve = np.linalg.pinv(design)
    y = root * np.log(np.abs(mean))
    local = np.diff(y) / np.diff(np.log(h))
    if values.ndim == 1:
        residual = y - design @ (solve @ y)
        freedom = len(h) - len(columns)
        scatter = math.sqrt(residual @ residual / max(freedom, 1))
        error = scatter * float(np.linalg.norm(solve[1]))
        noise = np.zeros(len(h) - 1)
    else:
        freedom = values.shape[1] - 1
        # Linear in the left-out means: their logarithms need not exist.
        influence = root * (values - mean[:, None]) / mean[:, None] / math.sqrt(freedom + 1)
        error = float(np.std(solve[1] @ influence, ddof=1))
        noise = np.std(np.diff(influence, axis=0), axis=1, ddof=1) / np.diff(np.log(h))
    order, half = float(solve[1] @ y), float(stdtrit(freedom, (1 + LEVEL) / 2) * error)
    if freedom < 1:
        half = math.inf
    _check_power(h, local, noise, order)
    constant = math.exp(solve[0] @ y)
    sign = math.copysign(1.0, mean[0]) if not squared else 1.0
    resampled = "replicas" if values.ndim == 2 else ""
    slope = Estimate(order, order - half, order + half, expected=expected, resampled=resampled)
    return PowerLaw(slope, Estimate(sign * constant), local)


def fit_visible_order(
    step_sizes: ArrayLike,
    errors: ArrayLike,
    *,
    squared: bool = False,
    declared: float | None = None,
    label: str = "",
) -> Estimate:
    """Fit an order over the widest range of step sizes on which `fit_order` finds one.

    Where four step sizes are left, the fit has its leading correction.

    `errors` has shape (K, R), of each replica; NaN where a run diverged. The order comes with a
    note on step sizes that were left out; NaN, with the reason as its note, where none is found.
    """
    h, values = np.asarray(step_sizes, dtype=float), np.asarray(errors, dtype=float)
    usable = ~np.isnan(values).any(axis=1)
    text = "Runs diverged at the largest step sizes, which are left out."
    notes = [] if usable.all() else [Note("diverged", text)]
    h, values = h[usable], values[usable]
    problem = "Fewer than three step sizes stayed finite."
    found: dict[str, Any] = {"expected": declared, "resampled": "replicas", "label": label}
    for length in range(len(h), 2, -1):
        for begin in range(len(h) - length + 1):
            part = slice(begin, begin + length)
            try:
                fit = fit_order(h[part], values[part], squared=squared, correction=length > 3)
            except ValueError as error:
                problem = str(error) if length == len(h) else problem
                continue
            if length < len(h):
                low, high = checks.apart(*h[part][[0, -1]])
                notes.append(Note("range", f"Fitted from {low} to {high} only. {problem}"))
            return replace(fit.slope, notes=tuple(notes), **found)
    return Estimate(math.nan, notes=(*notes, Note("no-order", problem)), **found)


def cost_at_error(costs: ArrayLike, errors: Estimate, accuracy: float, **more: Any) -> Estimate:
    """Interpolate the cost at which an error has a given size, between the costs measured.

    Linear in the logarithms; the bounds come from those of the errors, (K,), rising in size and
    NaN where there is none, as the costs fall. Where every error is small enough this is an upper
    bound, the last cost with the note ``"upper-bound"``; NaN where they do not cross the accuracy.
    """
    usable = np.isfinite(errors.value)
    cost = np.asarray(costs, dtype=float)[usable]
    bounds = np.stack([errors.low, errors.value, errors.high])[:, usable]
    # An interval that holds 0 has no logarithm: its nearer end is that of no error at all.
    size = np.where(bounds[0] * bounds[2] > 0, np.abs(bounds).min(axis=0), np.finfo(float).tiny)
    sizes = np.stack([size, np.abs(bounds[1]), np.abs(bounds).max(axis=0)])
    if (sizes[2] <= accuracy).all():
        text = "The error is smaller already at the largest step size measured: an upper bound."
        return Estimate(float(cost[-1]), notes=(Note("upper-bound", text),), **more)
    found = []
    for size in sizes:
        crossing = np.flatnonzero((size[:-1] <= accuracy) & (size[1:] > accuracy))
        if not len(crossing):
            return Estimate(math.nan, **more)
        i = crossing[0]
        share = np.log(accuracy / size[i]) / np.log(size[i + 1] / size[i])
        found.append(float(np.exp((1 - share) * np.log(cost[i]) + share * np.log(cost[i + 1]))))
    # Bounds that do not rise with the step size may cross the accuracy out of turn.
    return Estimate(found[1], min(found), max(found), **more)


def _checked(
    step_sizes: ArrayLike, errors: ArrayLike, fewest: int, squared: bool
) -> tuple[Array, Array]:
    """Return step sizes, ascending, and errors (K,) or (K, R) as arrays."""
    checks.unmasked("step_sizes", step_sizes)
    checks.unmasked("errors", errors)
    try:
        h, values = np.asarray(step_sizes, dtype=float), np.asarray(errors, dtype=float)
    except (TypeError, ValueError):
        raise TypeError(
            "step_sizes and errors must hold numbers, and errors as many at every step size."
        ) from None
    if h.ndim != 1 or values.ndim not in (1, 2) or len(values) != len(h):
        raise ValueError(
            "errors must have shape (K,) or (K, R) for K step sizes, got "
            f"{values.shape} for step sizes of shape {h.shape}."
        )
    if not (np.isfinite(h).all() and (h > 0).all()):
        raise ValueError("step_sizes must be finite and greater than 0.")
    if len(np.unique(h)) < fewest or len(np.unique(h)) < len(h):
        raise ValueError(
            f"An order needs at least {fewest} different step sizes, got {h.tolist()}."
        )
    if values.ndim == 2 and values.shape[1] < 2:
        raise ValueError("errors per replica need at least two replicas.")
    if not np.isfinite(values).all():
        raise ValueError("errors must be finite; a run that diverged has no order.")
    if squared and (values < 0).any():
        raise ValueError("squared errors must not be negative.")
    ascending = np.argsort(h)
    return h[ascending], values[ascending]


def _check_visible(h: Array, mean: Array, values: Array, rounding: float) -> None:
    """Refuse errors that are zero, noise, or of both signs."""
    zero = zero_note(h, np.abs(mean), rounding, what="The error", symbol="step_size")
    if zero is not None:
        raise ValueError(zero.text)
    if values.ndim == 2:
        error = values.std(axis=1, ddof=1) / math.sqrt(values.shape[1])
        hidden = np.abs(mean) < _VISIBLE * error
        if hidden.any():
            i = int(np.argmax(hidden))
            raise ValueError(
                f"The error at step size {h[i]:g}, {mean[i]:.2g}, is within {_VISIBLE:g} of its "
                f"standard errors ({error[i]:.2g}) of zero: an order would be fitted to noise; use "
                "more replicas or larger step sizes."
            )
    if (np.sign(mean) != np.sign(mean[0])).any():
        i = int(np.argmax(np.sign(mean) != np.sign(mean[0])))
        raise ValueError(
            f"The error changes sign between the step sizes {h[i - 1]:g} and {h[i]:g}: it is "
            "no power of the step size there; use smaller ones."
        )


def _check_power(h: Array, local: Array, noise: Array, order: float) -> None:
    """Refuse errors that do not fall with the step size, or not as a power."""
    if order <= 0:
        raise ValueError(
            f"The error does not fall with the step size (fitted exponent {order:.2g}): something "
            "else than the step size, a floor, makes it."
        )
    drift = abs(local[-1] - local[0])
    if drift > _DRIFT and drift > _VISIBLE * math.hypot(noise[0], noise[-1]):
        raise ValueError(
            f"The error is no power of the step size: its local order goes from {local[0]:.2g} at "
            f"{h[0]:g} to {local[-1]:.2g} at {h[-1]:g}; use smaller step sizes, or fewer decades."
        )
