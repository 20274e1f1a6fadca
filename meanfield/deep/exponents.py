"""Exponents in the width: how a quantity of a network grows or falls as its layers get wider."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from meanfield import checks
from meanfield.errors import ArgumentError
from meanfield.statistics.estimate import Estimate
from meanfield.statistics.power_law import sizes
from meanfield.statistics.resampling import bootstrap_t, draw_repeats, least_bootstrap_t, log_slope

Array = NDArray[np.float64]


def fit_width_exponents(widths: ArrayLike, values: ArrayLike, *, seed: int = 0) -> Estimate:
    r"""Fit :math:`E\,Q_l(n) \propto n^{s_l}` layer by layer.

    Least squares in the logarithms of the means over networks. Intervals are those of
    `meanfield.statistics.resampling.bootstrap_t`: a network is resampled with its values at all
    widths, because networks of one seed start alike.

    Parameters
    ----------
    widths : array_like of shape (W,)
        Widths n, at least two different ones.
    values : array_like of float, shape (W, R, L)
        A quantity of R networks of each width, in each of L layers; network r has the same seed at
        every width.
    seed : int, default: 0
        Seed of the resampling.

    Returns
    -------
    Estimate
        Exponents, shape (L,). NaN where a mean is not positive, as least eigenvalues are with fewer
        units than vectors, or not finite; without intervals for a single network.

    Raises
    ------
    ValueError, TypeError
        The widths or values cannot be used; the sentence names them.

    Examples
    --------
    >>> import numpy as np, meanfield as mf
    >>> widths = np.array([64, 128, 256])
    >>> spread = np.random.default_rng(0).lognormal(0.0, 0.05, size=(3, 10, 1))
    >>> exponent = mf.deep.fit_width_exponents(widths, spread / np.sqrt(widths)[:, None, None])
    >>> bool(abs(exponent.value[0] + 0.5) < 0.05)
    True
    """
    widths, values = _checked(widths, values)
    exponents = _exponents(widths, values)
    slope, fits = log_slope(_weights(widths)), []
    for layer, exponent in enumerate(exponents):
        if not np.isfinite(exponent) or values.shape[1] == 1:
            fits.append(Estimate(exponent))
            continue
        repeats = draw_repeats(values.shape[1], seed)
        fits.append(_around(exponent, bootstrap_t(values[..., layer], *slope, repeats)))
    return Estimate.stack(fits, resampled="seeds")


def fit_least_exponent(
    widths: ArrayLike, values: ArrayLike, *, seed: int = 0
) -> tuple[int, Estimate]:
    r"""Fit the least exponent :math:`\min_l s_l` over the layers.

    A layer in which the quantity is zero at every width, as least eigenvalues are where the rank of
    the inputs allows no others, is not measurable and takes no part.

    Parameters
    ----------
    widths, values, seed
        As for `fit_width_exponents`.

    Returns
    -------
    layer : int
        Position of the layer with the least exponent, from 0, or the first of those that take part
        without an exponent.
    exponent : Estimate
        Its interval, of `meanfield.statistics.resampling.least_bootstrap_t`, accounts for the
        choice of the layer. NaN where a layer that takes part has no exponent, or none does.

    Raises
    ------
    ValueError, TypeError
        The widths or values cannot be used; the sentence names them.

    Examples
    --------
    >>> import numpy as np, meanfield as mf
    >>> widths = np.array([64, 128, 256])
    >>> spread = np.random.default_rng(0).lognormal(0.0, 0.05, size=(3, 10, 2))
    >>> spread[:, :, 1] /= widths[:, None]  # the second layer falls like 1/n
    >>> layer, exponent = mf.deep.fit_least_exponent(widths, spread)
    >>> layer, bool(abs(exponent.value + 1) < 0.1)
    (1, True)
    """
    widths, values = _checked(widths, values)
    exponents = _exponents(widths, values)
    part = np.flatnonzero(measurable(values))
    if not len(part):
        return 0, Estimate(np.nan, resampled="seeds")
    layer = int(part[np.argmin(exponents[part])])  # the first NaN, where there is one
    if not np.isfinite(exponents[layer]) or values.shape[1] == 1:
        return layer, Estimate(exponents[layer], resampled="seeds")
    repeats = draw_repeats(values.shape[1], seed)
    by_layer = np.moveaxis(values[..., part], -1, 0).astype(float)
    least, _ = least_bootstrap_t(by_layer, *log_slope(_weights(widths)), repeats)
    return layer, _around(exponents[layer], least)


def measurable(values: ArrayLike) -> NDArray[np.bool_]:
    """Return which layers have a quantity, (W, R, L), that is not zero at every width, (L,)."""
    return np.asarray((np.asarray(values) != 0).any(axis=(0, 1)))


def _checked(widths: ArrayLike, values: ArrayLike) -> tuple[Array, Array]:
    """Return widths (W,), at least two different ones, and values (W, R, L)."""
    widths, shape = sizes("widths", widths), checks.numbers("values", values).shape
    if len(widths) < 2:
        raise ArgumentError("widths", f"must be two or more, got {len(widths)}.")
    if len(shape) != 3 or shape[0] != len(widths) or not shape[1] or not shape[2]:
        raise ArgumentError(
            "values",
            f"must have shape (W, R, L) for {len(widths)} widths, a network or more and a layer or "
            f"more, got {shape}.",
        )
    return widths, np.asarray(values)


def _exponents(widths: ArrayLike, values: Array) -> Array:
    """Return the slopes of the logarithms of the means, NaN where a mean is not positive."""
    means = values.mean(axis=1)
    logarithms = np.log(means, out=np.full_like(means, np.nan), where=means > 0)
    logarithms[np.isinf(logarithms)] = np.nan
    return _weights(widths) @ logarithms


def _weights(widths: ArrayLike) -> Array:
    """Return w of the least-squares slope w · log(means).

    As `slope_weights` gives them, but for the rounding of the sum of squares, whose last bit is in
    the committed exponents.
    """
    x = np.log(np.asarray(widths, dtype=float))
    x = x - x.mean()
    return x / np.square(x).sum()


def _around(value: float, found: Estimate) -> Estimate:
    """Return the interval about the fitted value, which resampling repeats up to rounding."""
    below, above = found.arms
    return Estimate(value, value - below, value + above, resampled="seeds")
