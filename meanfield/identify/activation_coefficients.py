"""Hermite coefficients of activations, ``γ_k(r, b) = E[σ(r z + b) He_k(z)]``."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from meanfield.problem import Activation, get_activation
from meanfield.problem.hermite_polynomials import hermite_functions

Array = NDArray[Any]


@lru_cache(maxsize=64)
def quadrature(degree: int, fineness: int, dtype: type) -> tuple[Array, Array]:
    """Return trapezoid nodes (m,) of step ``0.1 / 2^fineness`` and weights times ``He_k/√k!``.

    The rule converges geometrically for integrands that are analytic in a strip.
    """
    step = 0.1 / 2**fineness
    half = math.ceil((15 + 2 * math.sqrt(degree)) / step)
    nodes = np.arange(-half, half + 1).astype(dtype) * dtype(step)
    basis = hermite_functions(nodes, degree)
    weights = (basis * basis[0] * dtype(step / math.sqrt(2 * math.pi))).T
    return nodes, np.ascontiguousarray(weights)


def activation_coefficients(
    activation: str | Activation,
    degree: int,
    *,
    scale: float = 1.0,
    shift: float = 0.0,
    normalised: bool = True,
) -> Array:
    r"""Compute the Hermite coefficients of an activation.

    ``σ_k = (k!)^{-1/2} E[σ(r z + b) He_k(z)]``, ``z ~ N(0, 1)``, so that
    ``σ(r z + b) = Σ_k σ_k He_k(z) / √k!``.

    Parameters
    ----------
    activation : str or Activation
        σ.
    degree : int
        Largest degree.
    scale, shift : float
        ``r ≥ 0`` and ``b``.
    normalised : bool
        With the factor ``(k!)^{-1/2}``; without it the result is ``γ_k(r, b)``.

    Returns
    -------
    ndarray of shape (degree + 1,)
        Coefficients, accurate to about 1e-15 of the largest.

    Raises
    ------
    ValueError
        If `degree` or `scale` is negative or not finite.

    Notes
    -----
    Positively homogeneous activations have a kink and use closed forms:
    ``E[(z + h)_+ He_k(z)] = φ(h) He_{k−2}(−h)`` for ``k ≥ 2``. The others of the table are entire
    or analytic in a strip, where the trapezoid rule converges geometrically; for one's own it is
    refined until it settles, and a ValueError says where it does not, as at other kinks.

    Examples
    --------
    >>> from meanfield.identify import activation_coefficients
    >>> activation_coefficients("he2", 3, normalised=False).round(12) + 0.0
    array([0., 0., 2., 0.])
    """
    activation = get_activation(activation)
    if not isinstance(degree, int | np.integer) or degree < 0:
        raise ValueError(f"degree must be an integer at least 0, got {degree!r}.")
    if not (math.isfinite(scale) and scale >= 0 and math.isfinite(shift)):
        raise ValueError(f"scale must be at least 0 and shift finite, got {scale} and {shift}.")
    table = coefficient_table(activation, int(degree), np.array([scale]), np.array([shift]))[0]
    if normalised:
        return table
    return table * np.exp(0.5 * np.array([math.lgamma(k + 1) for k in range(degree + 1)]))


def coefficient_table(
    activation: Activation,
    degree: int,
    scale: Array,
    shift: Array,
    *,
    derivative: bool = False,
    dtype: type = np.float64,
) -> Array:
    """Return normalised coefficients of ``σ(r_i z + b_i)``, or of ``σ′``, shape (m, degree + 1)."""
    if activation.homogeneous:
        return _homogeneous_table(activation, degree, scale, shift, derivative)
    # The step: tanh, the worst of the table, is singular at distance π / 2r.
    rate = max(float(np.max(scale, initial=0)), math.sqrt(degree + 1) / 15, 1e-9)
    fineness = max(0, math.ceil(math.log2(rate)))
    function = activation.derivative if derivative else activation.value

    def values(fineness: int) -> tuple[Array, Array]:
        nodes, weights = quadrature(degree, fineness, dtype)
        z = np.multiply.outer(scale.astype(dtype), nodes) + shift.astype(dtype)[:, None]
        return function(z), weights

    value, weights = values(fineness)
    found = value @ weights
    if isinstance(activation.code, int) or not found.size:
        return found
    size = max((np.abs(value) @ np.abs(weights[:, 0])).max(), 1e-300)  # E|σ|
    for more in range(1, 6):
        value, weights = values(fineness + more)
        before, found = found, value @ weights
        if np.abs(found - before).max() <= 1e-12 * size:
            return found
    raise ValueError(
        f"The Hermite coefficients of {activation.name!r} do not settle: it has a kink, or is far "
        "steeper than tanh; use an activation that is smooth, or positively homogeneous."
    )


def _homogeneous_table(
    activation: Activation, degree: int, scale: Array, shift: Array, derivative: bool
) -> Array:
    """Closed form through ``σ(z) = σ(1) (z)_+ + σ(−1) (−z)_+``."""
    up, down = activation.value(np.array([1.0, -1.0]))
    out = np.zeros((len(scale), degree + 1))
    for i, (r, b) in enumerate(zip(scale, shift, strict=True)):
        if r == 0:
            out[i, 0] = activation.derivative(b) if derivative else activation.value(b)
            continue
        h = b / r
        step, ramp = _half_line_table(h, degree)
        # (−z − h)_+ = (z + h)_+ − (z + h), and its derivative in the argument likewise.
        if derivative:
            out[i] = (up + down) * step
            out[i, 0] -= down
        else:
            out[i] = (up + down) * r * ramp
            out[i, 0] -= down * r * h
            if degree:
                out[i, 1] -= down * r
    return out


def _half_line_table(h: float, degree: int) -> tuple[Array, Array]:
    """Return normalised coefficients of ``1[z > −h]`` and ``(z + h)_+``."""
    psi = hermite_functions(np.array([-h]), degree)[:, 0]
    # φ(h) He_k(−h) / √k!
    bell = psi * math.exp(-h * h / 4) / math.sqrt(2 * math.pi)
    step, ramp = np.zeros(degree + 1), np.zeros(degree + 1)
    step[0], ramp[0] = ndtr(h), h * ndtr(h) + bell[0]
    if degree:
        ramp[1] = ndtr(h)
    k = np.arange(1, degree + 1)
    step[1:] = bell[:-1] / np.sqrt(k)
    k = k[1:]
    ramp[2:] = bell[:-2] / np.sqrt(k * (k - 1))
    return step, ramp
