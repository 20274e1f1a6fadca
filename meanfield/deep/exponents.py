"""Exponents in the width: how a quantity of a network grows or falls as its layers get wider."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from meanfield.statistics.estimate import Estimate

Array = NDArray[np.float64]

_RESAMPLES, _TAILS = 2000, (0.025, 0.975)


def fit_width_exponents(widths: ArrayLike, values: ArrayLike, *, seed: int = 0) -> Estimate:
    r"""Fit :math:`E\,Q_l(n) \propto n^{s_l}` layer by layer.

    Least squares in the logarithms of the means over networks; intervals from resampled networks.

    Parameters
    ----------
    widths : array_like of shape (W,)
        Widths n, at least two different ones.
    values : array_like of float, shape (W, R, L)
        A quantity of R networks of each width, in each of L layers.
    seed : int, default: 0
        Seed of the resampling.

    Returns
    -------
    Estimate
        Exponents, shape (L,). NaN where a mean is not positive, as least eigenvalues are with fewer
        units than vectors; without intervals for a single network.
    """
    values = np.asarray(values)
    slope = np.log(np.asarray(widths, dtype=float))
    slope = (slope - slope.mean()) / np.square(slope - slope.mean()).sum()
    exponents = slope @ _logarithm(values.mean(axis=1))
    low, high = _resampled_interval(slope, values, seed)
    return Estimate(exponents, low, high, resampled="seeds")


def _resampled_interval(slope: Array, values: Array, seed: int) -> tuple[Array, Array]:
    """Return percentiles of the exponents over resampled networks, drawn anew for each width."""
    n_widths, n_networks, n_layers = values.shape
    if n_networks == 1:
        return np.full(n_layers, math.nan), np.full(n_layers, math.nan)
    random = np.random.Generator(np.random.Philox(seed))
    draws = random.integers(n_networks, size=(_RESAMPLES, n_widths, n_networks))
    resampled = values[np.arange(n_widths)[:, None], draws].mean(axis=2)
    repeats = np.einsum("w,bwl->bl", slope, _logarithm(resampled))
    low, high = np.quantile(repeats, _TAILS, axis=0)
    return low, high


def _logarithm(means: Array) -> Array:
    """Return logarithms, NaN of what is not positive."""
    return np.log(means, out=np.full_like(means, np.nan), where=means > 0)


def least_exponent(exponents: Estimate) -> tuple[int, Estimate]:
    """Return the layer with the least exponent, and that exponent.

    Parameters
    ----------
    exponents : Estimate
        Of all layers, as `fit_width_exponents` gives them.

    Returns
    -------
    layer : int
        Its position, from 0; 0 when an exponent is not known.
    exponent : Estimate
        As it was fitted: the interval does not account for the choice of the layer.
    """
    known = bool(np.isfinite(exponents.value).all())
    layer = int(np.argmin(exponents.value)) if known else 0
    return layer, exponents[layer]
