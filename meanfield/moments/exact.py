"""Exact moments of the named initial laws, in log space.

Every law but the Laplace product is ``θ = R · (c ∘ u)`` with ``u`` uniform on the sphere, an
independent radius ``R`` and the scales ``c`` of the coordinates.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import gammaln, logsumexp

from meanfield.errors import ArgumentError
from meanfield.flow.initial import InitialLaw

Array = NDArray[np.float64]


def log_moments(law: InitialLaw, scales: ArrayLike, max_order: int) -> Array:
    """Exact ``log E|θ|^k`` of a named law, k = 1, ..., K; infinite from the tail index on.

    `scales` (C,) are those of the coordinates, 0 for one that does not count.
    """
    scales = np.asarray(scales, dtype=float)
    if not scales.any():
        raise ArgumentError("scale", message="The law is a point: every scale is 0.")
    if law.law == "laplace":
        return _product_log_moments(scales, max_order, _laplace_series)
    k = np.arange(1.0, max_order + 1)
    return _radial_log_moments(law, len(scales), k) + _spherical_log_moments(scales, max_order)


def _radial_log_moments(law: InitialLaw, size: int, k: Array) -> Array:
    """``log E R^k`` in dimension ``size``."""
    if law.law == "gaussian":
        return _chi(size, k)
    if law.law == "uniform-ball":
        return np.log(size / (size + k))
    if law.law == "stretched-exponential":
        assert law.rho is not None  # InitialLaw saw to that
        return gammaln((size + k) / law.rho) - gammaln(size / law.rho)
    assert law.nu is not None
    finite = k < law.nu
    left = np.where(finite, law.nu - k, law.nu)  # Student t: R² = ν χ²_C / χ²_ν
    ratio = gammaln(left / 2) - gammaln(law.nu / 2) - 0.5 * k * np.log(2.0 / law.nu)
    return np.where(finite, _chi(size, k) + ratio, np.inf)


def _chi(size: int, k: Array) -> Array:
    """``log E|z|^k``, z standard normal in dimension ``size``."""
    return 0.5 * k * np.log(2.0) + gammaln((size + k) / 2) - gammaln(size / 2)


def _spherical_log_moments(scales: Array, max_order: int) -> Array:
    """``log E|c ∘ u|^k``, u uniform on the sphere."""
    k = np.arange(1.0, max_order + 1)
    active = scales[scales > 0]
    if np.all(active == active[0]):
        gaussian = k * np.log(active[0]) + _chi(len(active), k)
    else:
        gaussian = _product_log_moments(active, max_order, _gaussian_series)
    return gaussian - _chi(len(scales), k)


def _product_log_moments(
    scales: Array, max_order: int, series: Callable[[float, Array, int], Array]
) -> Array:
    """``log E S^{k/2}``, ``S = Σ c_i² Y_i²`` with independent coordinates.

    ``E[S^m e^{−tS}] = m! [x^m] Π_i Σ_j E[(c_i² Y²)^j e^{−t c_i² Y²}] x^j / j!`` has no
    cancellation. ``t = 0`` gives the even moments, and the odd ones follow from
    ``S^{m−1/2} = π^{−1/2} ∫ t^{−1/2} S^m e^{−tS} dt``, by the trapezoidal rule in ``log t``.
    """
    top = scales.max()
    degree = max_order // 2 + 1
    log_t, width = np.linspace(-90.0, 45.0, 541, retstep=True)
    t = np.concatenate([[0.0], np.exp(log_t)])
    product = np.full((len(t), degree + 1), -np.inf)
    product[:, 0] = 0.0
    distinct, counts = np.unique(scales[scales > 0] / top, return_counts=True)
    for scale, count in zip(distinct, counts, strict=True):
        factor = series(scale, t, degree)
        for _ in range(count):
            product = _log_convolve(product, factor)
    m = np.arange(degree + 1)
    tilted = product + gammaln(m + 1)
    halves = logsumexp(tilted[1:] + 0.5 * log_t[:, None], axis=0) + np.log(width)
    halves -= 0.5 * np.log(np.pi)
    k = np.arange(1, max_order + 1)
    return np.where(k % 2, halves[(k + 1) // 2], tilted[0, k // 2]) + k * np.log(top)


def _log_convolve(a: Array, b: Array) -> Array:
    """Logs of the coefficients of a product of power series, truncated at the same degree."""
    columns = (logsumexp(a[:, : j + 1] + b[:, j::-1], axis=1) for j in range(a.shape[1]))
    return np.stack(list(columns), axis=1)


def _gaussian_series(scale: float, t: Array, degree: int) -> Array:
    """Logs of ``E[(c²z²)^j e^{−t c² z²}] / j!``, z standard normal."""
    j = np.arange(degree + 1)
    moments = j * np.log(2.0 * scale**2) + gammaln(j + 0.5) - 0.5 * np.log(np.pi)
    return moments - (j + 0.5) * np.log1p(2.0 * t * scale**2)[:, None] - gammaln(j + 1)


def _laplace_series(scale: float, t: Array, degree: int) -> Array:
    """Logs of ``E[(c²Y²)^j e^{−t c² Y²}] / j!``, Y of density exp(−|y|)/2."""
    j = np.arange(degree + 1)
    # Trapezoidal rule in log y, which converges exponentially; every term is positive.
    log_y, width = np.linspace(-60.0, 7.0, 1341, retstep=True)
    powers = np.multiply.outer(log_y, 2 * j + 1) - np.exp(log_y)[:, None]
    largest = powers.max(0)
    damping = np.exp(-np.multiply.outer(t, (scale * np.exp(log_y)) ** 2))
    with np.errstate(divide="ignore"):
        moments = np.log(damping @ np.exp(powers - largest)) + largest + np.log(width)
    return moments + 2 * j * np.log(scale) - gammaln(j + 1)
