r"""Slopes of what has not settled: a power law with its next orders, from a smallest N on.

A distance to the limit is :math:`N^s (C + C_2/N + C_3/N^2 + …)`, so that a straight line in
log-log axes is bent at small N, which cost least and are known best. Fitted is

.. math:: \log \text{mean}_N = α + s \log N + \log(1 + c_2 N_0/N) \; (+\, c_3 (N_0/N)^2)

by least squares with the weights of the means, from the smallest :math:`N_0` on at which a test
does not reject that the points lie on such a curve. The term :math:`c_2` is always there: leaving
it out where it is not significant would leave a bias of several errors of the slope unnoticed. The
level of the test is low, since what it chooses by chance is the fit of an outlier: at 0.1 intervals
of 95 % hold the slope in 91 % of studies, at 0.01 in 95 %.

What such a test does not see is counted: a next term of the natural size, :math:`c_2^2`, would move
the slope by b, and the interval is wider by :math:`\sqrt{1 + b^2 / e^2}`, e the standard error.
Where the law is bent by a third or more over the sizes, with a next term much larger than that, it
is still too narrow.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from meanfield.statistics.estimate import Estimate
from meanfield.statistics.flags import line_test
from meanfield.statistics.resampling import bootstrap_t, standard_error

Array = NDArray[np.float64]

#: Points lie on a curve where its test does not reject it at this level.
_REJECTED = 0.01
#: A curve with the term c₂ has three unknowns: one size more tests it.
FEWEST_SIZES = 4
#: Steps of Gauss and Newton, and the largest |log(1 + c₂)|.
_STEPS, _FAR = 8, 4.0


@dataclass(frozen=True, eq=False)
class Settled:
    """A slope with its next orders.

    Attributes
    ----------
    slope : Estimate
        Slope s, with an interval over replicas that counts what is left out, too.
    first : int
        Position of the smallest N that was fitted.
    order : int
        2 with the term c₂, 3 with c₃.
    p : float
        p-value of the points lying on the curve; where all are rejected, the largest of all.
    fitted : ndarray, shape (K,)
        The curve; NaN below the smallest N.
    error : float
        Standard error of the slope, with what is left out.
    """

    slope: Estimate
    first: int
    order: int
    p: float
    fitted: Array
    error: float

    @property
    def bent(self) -> bool:
        """Whether the points lie on no such curve from any N on."""
        return self.p < _REJECTED


def settled_slope(counts: Array, values: Array, weights: Array, repeats: Array) -> Settled | None:
    """Fit values (K, R) of replicas at ascending counts (K,); None for fewer than four counts.

    Tried are c₂ from the smallest N on, from the second, and so on while four sizes are left, then
    c₂ and c₃ from the smallest; the first that is not rejected is taken. Where all are, it is the
    one with the largest p.
    """
    if len(counts) < FEWEST_SIZES:
        return None
    last = len(counts) - FEWEST_SIZES
    tried = [(first, 2) for first in range(last + 1)]
    if len(counts) > FEWEST_SIZES:
        tried.append((0, 3))
    p, (first, order) = -math.inf, tried[0]
    for start, terms in tried:
        found = _Curve(counts[start:], weights[start:], terms).test(values[start:], repeats)
        if not found <= p:
            p, first, order = found, start, terms
        if not found < _REJECTED:
            break
    curve, kept = _Curve(counts[first:], weights[first:], order), values[first:]
    slope = bootstrap_t(kept, curve.slope, curve.gradient, repeats)
    error = standard_error(kept, curve.slope, curve.gradient)
    if error > 0:
        wider = math.hypot(1.0, curve.left_out(kept.mean(axis=1)) / error)
        half, error = slope.width / 2 * wider, error * wider
        slope = replace(slope, low=slope.value - half, high=slope.value + half)
    fitted = np.full(len(counts), math.nan)
    fitted[first:] = np.exp(curve.fitted(kept.mean(axis=1)))
    return Settled(slope, first, order, p, fitted, error)


class _Curve:
    """The curve over some counts: its least-squares fits to means (..., K), by Gauss and Newton.

    With u = log(1 + c₂) as the unknown, any u is a positive curve.
    """

    def __init__(self, counts: Array, weights: Array, order: int):
        self._small = counts.min() / counts
        powers = [self._small**power for power in range(2, order)]
        self._linear = np.stack([np.ones_like(counts), np.log(counts), *powers], axis=1)
        self._weights = weights
        # Of the means that were asked for last: slope and gradient are asked for together.
        self._last: tuple[Array, tuple[Array, Array, Array]] | None = None

    def _solve(self, means: Array) -> tuple[Array, Array, Array]:
        """Return coefficients (..., p), u (...), and what makes them of log means, (..., p, K)."""
        if self._last is not None and self._last[0] is means:
            return self._last[1]
        logs = np.log(means)
        u = np.zeros(means.shape[:-1])
        for _ in range(_STEPS):
            inverse = self._inverse(u)
            left = logs - self._bend(u) + u[..., None] * self._tangent(u)
            coefficients = (inverse @ left[..., None])[..., 0]
            u = np.clip(u + np.clip(coefficients[..., -1] - u, -1.0, 1.0), -_FAR, _FAR)
        found = coefficients, u, inverse
        self._last = means, found
        return found

    def _bend(self, u: Array) -> Array:
        bend: Array = np.log1p(np.expm1(u)[..., None] * self._small)
        return bend

    def _tangent(self, u: Array) -> Array:
        """Derivative of the bend by u."""
        rise = np.exp(u)[..., None] * self._small
        tangent: Array = rise / (1 + np.expm1(u)[..., None] * self._small)
        return tangent

    def _design(self, u: Array) -> Array:
        tangent = self._tangent(u)[..., None]
        linear = np.broadcast_to(self._linear, (*tangent.shape[:-1], self._linear.shape[1]))
        design: Array = np.concatenate([linear, tangent], axis=-1)
        return design

    def _inverse(self, u: Array) -> Array:
        design = self._design(u)
        weighted = (design * self._weights[:, None]).swapaxes(-1, -2)
        return np.asarray(np.linalg.solve(weighted @ design, weighted), dtype=float)

    def slope(self, means: Array) -> Array:
        """Return the slope s, (...)."""
        slope: Array = self._solve(means)[0][..., 1]
        return slope

    def gradient(self, means: Array) -> Array:
        """Return its gradient by the means, (..., K)."""
        gradient: Array = self._solve(means)[2][..., 1, :] / means
        return gradient

    def left_out(self, means: Array) -> float:
        """Return how far a next term of the natural size moves the slope, of means (K,)."""
        _, u, inverse = self._solve(means)
        power = self._linear.shape[1]
        moved = inverse[1] @ self._small**power
        return float(abs(moved * np.expm1(u) ** power))

    def fitted(self, means: Array) -> Array:
        """Return the logarithms of the curve, (..., K)."""
        coefficients, u, _ = self._solve(means)
        logs: Array = coefficients[..., :-1] @ self._linear.T + self._bend(u)
        return logs

    def test(self, values: Array, repeats: Array) -> float:
        """Return the p-value of the points lying on the curve."""
        means = values.mean(axis=1)
        u = self._solve(means)[1]
        return line_test(values, self._design(u), repeats, self._bend(u))


def weighted_inverse(design: Array, weights: Array) -> Array:
    """Return what makes the coefficients of a weighted least-squares fit out of values."""
    root = np.sqrt(weights)
    return np.asarray(np.linalg.pinv(design * root[:, None]) * root, dtype=float)
