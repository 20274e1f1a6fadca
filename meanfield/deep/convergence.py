"""How networks of growing width approach the infinite-width limit: bias, spread and exponents."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from meanfield import checks
from meanfield.checks import unmasked
from meanfield.errors import ArgumentError
from meanfield.statistics.estimate import Estimate
from meanfield.statistics.intervals import normal_quantile
from meanfield.statistics.power_law import PowerLaw, fit_power_law
from meanfield.system.threads import fixed_blas


@dataclass(frozen=True, eq=False)
class WidthConvergence:
    r"""Distance of finite-width networks from the limit, root mean square over steps and inputs.

    Attributes
    ----------
    widths : ndarray of shape (W,)
        Widths ``n``, ascending.
    bias : Estimate of shape (W,)
        :math:`\{\overline{(E f_n - \mathring f)^2}\}^{1/2}`, of order ``1/n``; NaN where it
        drowns in noise.
    spread : Estimate of shape (W,)
        :math:`\{\overline{\mathrm{Var} f_n}\}^{1/2}`, of order ``1/√n``.
    gap : Estimate of shape (W,)
        :math:`E\,\overline{(f_n - \mathring f)^2}`, of order ``1/n``: bias and spread together.
    bias_fit, spread_fit, gap_fit : PowerLaw
        Fits against the width; expected slopes are −1, −1/2 and −1.

    Examples
    --------
    >>> import numpy as np, meanfield as mf
    >>> limit = np.linspace(0, 1, 5)[:, None]
    >>> noise = np.random.default_rng(0).normal(size=(20, 5, 1))
    >>> found = mf.deep.width_convergence(limit, {n: limit + noise / n**0.5 for n in (32, 64, 128)})
    >>> found.spread_fit.slope.expected, round(found.spread_fit.slope.value, 6)
    (-0.5, -0.5)
    """

    widths: np.ndarray
    bias: Estimate
    spread: Estimate
    gap: Estimate
    bias_fit: PowerLaw
    spread_fit: PowerLaw
    gap_fit: PowerLaw

    @property
    def bias_constant(self) -> Estimate:
        """``n · bias`` at the largest width where the bias is known; NaN where it never is."""
        return _constant("Bias", self.bias, self.widths, 1.0)

    @property
    def spread_constant(self) -> Estimate:
        """``√n · spread`` at the largest width."""
        return _constant("Spread", self.spread, self.widths, 0.5)

    @property
    def gap_constant(self) -> Estimate:
        """``n · E (f_n − f̊)²`` at the largest width; the same at all widths where theory holds."""
        return _constant("Squared distance from the limit", self.gap, self.widths, 1.0)


@fixed_blas()
def width_convergence(
    limit: Any, predictions: Mapping[int, Any], limit_error: Any = None
) -> WidthConvergence:
    """Compare networks of several widths with the limit of [RFL] Section 3.

    Outputs at the start have mean zero exactly, because output weights are symmetric; regressing
    later outputs on them takes much of the noise out of the means.

    Parameters
    ----------
    limit : array_like of shape (P, m[, K])
        Predictions of the limit; step 0 first. Of several outputs each counts as an input does.
    predictions : mapping of int to array_like of shape (R, P, m[, K])
        Predictions of R networks, by width; R may differ, and exceeds ``2 m``, or ``2 m K``.
    limit_error : array_like of shape (P, m[, K]), optional
        Standard error of `limit`; its part in the squared bias is subtracted.

    Returns
    -------
    WidthConvergence
        Bias, spread, the squared distance that they make together, and their exponents.

    Raises
    ------
    ValueError
        If there are fewer than two widths, shapes differ, or there are too few networks.

    References
    ----------
    Yang, Hu, "Feature learning in infinite-width neural networks", 2020, Theorem 6.4 (convergence);
    Bordelon, Pehlevan, "Dynamics of finite width kernel and prediction fluctuations in mean field
    neural networks", NeurIPS 2023 (spread).

    Examples
    --------
    >>> import numpy as np, meanfield as mf
    >>> X, y = np.eye(2), [1.0, -1.0]
    >>> limit = mf.deep.infinite_width(X, y, depth=1, activation="identity", n_steps=5,
    ...                                n_samples=None)
    >>> runs = {n: mf.deep.train(X, y, width=n, depth=1, activation="identity", n_steps=5,
    ...                          n_replicas=20).predictions for n in (32, 128)}
    >>> found = mf.deep.width_convergence(limit.predictions, runs)
    >>> bool(found.spread.value[1] < found.spread.value[0])
    True
    """
    unmasked("limit", limit)
    unmasked("predictions", *predictions.values())
    limit = np.asarray(limit, dtype=np.float64)
    widths = sorted(predictions)
    if len(widths) < 2:
        raise ValueError(f"predictions must hold at least two widths, got {widths}.")
    floor = 0.0 if limit_error is None else float(np.mean(np.square(limit_error)))
    rows = []
    for width in widths:
        f = np.asarray(predictions[width], dtype=np.float64)
        if f.shape[1:] != limit.shape:
            wanted = ", ".join(["R", *map(str, limit.shape)])
            raise ValueError(
                f"predictions of width {width} must have shape ({wanted}) like the limit, got "
                f"{f.shape}."
            )
        f = f.reshape(*f.shape[:2], -1)
        if len(f) <= 2 * f.shape[-1]:
            raise ValueError(
                f"width {width} has {len(f)} networks; more than {2 * f.shape[-1]} are needed."
            )
        flat = limit.reshape(len(limit), -1)
        rows.append([*_bias(f, flat, floor), *_spread(f), *_gap(f, flat, floor)])
    bias, bias_error, spread, spread_error, gap, gap_error = np.array(rows).T
    n = np.array(widths)
    return WidthConvergence(
        n,
        _normal(bias, bias_error),
        _normal(spread, spread_error),
        _normal(gap, gap_error),
        fit_power_law(n, bias, bias_error, expected=-1.0),
        fit_power_law(n, spread, spread_error, expected=-0.5),
        fit_power_law(n, gap, gap_error, expected=-1.0),
    )


def kernel_alignment(kernel: ArrayLike, other: ArrayLike) -> np.ndarray:
    r"""Return the alignment :math:`⟨K, K'⟩ / (‖K‖ ‖K'‖)` of Gram matrices, in Frobenius norms.

    It is 1 where one is a multiple of the other, and 0 or more for any two. Of a network of width n
    and its limit, layer by layer, it misses 1 by an amount of order ``1/n``.

    Parameters
    ----------
    kernel, other : array_like of shape (..., m, m)
        Symmetric and without negative eigenvalues, as ``kernel_x`` of a run and of the limit; the
        axes before the last two are broadcast.

    Returns
    -------
    ndarray of shape (...)
        NaN where a matrix is zero.

    Raises
    ------
    ValueError
        The matrices are not square, or not of one size.

    References
    ----------
    Bordelon, Pehlevan, "Self-consistent dynamical field theory of kernel evolution in wide neural
    networks", NeurIPS 2022.

    Examples
    --------
    >>> import numpy as np, meanfield as mf
    >>> float(mf.deep.kernel_alignment(np.eye(2), 3 * np.eye(2)).round(6))
    1.0
    """
    K, other_K = checks.numbers("kernel", kernel), checks.numbers("other", other)
    for name, part in (("kernel", K), ("other", other_K)):
        if part.ndim < 2 or part.shape[-2:] != (K.shape[-1],) * 2:
            raise ArgumentError(
                name, f"must be square matrices of one size, (..., m, m), got shape {part.shape}."
            )
    K, other_K = (_of_size_one(u) for u in (K, other_K))
    norms = [np.sqrt(np.einsum("...ij,...ij->...", u, u)) for u in (K, other_K)]
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.einsum("...ij,...ij->...", K, other_K) / (norms[0] * norms[1]))


def _of_size_one(kernel: np.ndarray) -> np.ndarray:
    """Divide matrices by a power of two, which rounds nothing, so that no square overflows."""
    largest = np.abs(kernel).max((-2, -1), keepdims=True, initial=0.0)
    return np.ldexp(kernel, -np.frexp(largest)[1])


@dataclass(frozen=True, eq=False)
class KernelConvergence:
    """How the kernels of networks of growing width align with those of the limit, by layer.

    Attributes
    ----------
    widths : ndarray of shape (W,)
        Widths ``n``, ascending.
    alignment : Estimate of shape (W, L)
        Mean of `kernel_alignment` over networks.
    scaled : Estimate of shape (W, L)
        ``n (1 − alignment)``, which is flat in the width where theory holds.
    fits : tuple of PowerLaw
        Of ``1 − alignment`` against the width, one a layer; the expected slope is −1.

    Examples
    --------
    >>> import numpy as np, meanfield as mf
    >>> kernel = np.eye(2) + 0.5
    >>> noise = np.random.default_rng(0).normal(size=(20, 1, 2, 2))
    >>> kernels = {n: kernel + (noise + noise.swapaxes(-1, -2)) / n**0.5 for n in (32, 128)}
    >>> found = mf.deep.kernel_convergence(kernel[None], kernels)
    >>> found.alignment.value.shape, found.fits[0].slope.expected
    ((2, 1), -1.0)
    """

    widths: np.ndarray
    alignment: Estimate
    scaled: Estimate
    fits: tuple[PowerLaw, ...]


def kernel_convergence(limit: ArrayLike, kernels: Mapping[int, ArrayLike]) -> KernelConvergence:
    """Compare the kernels of networks of several widths with those of the limit.

    Parameters
    ----------
    limit : array_like of shape (L, m, m)
        Kernels of the limit in every layer, such as ``limit.kernel_x[-1]``.
    kernels : mapping of int to array_like of shape (R, L, m, m)
        Kernels of R networks, two or more, by width, such as ``run.kernel_x[:, -1]``.

    Returns
    -------
    KernelConvergence

    Raises
    ------
    ValueError
        There are fewer than two widths, or networks, or the matrices do not fit together.

    Examples
    --------
    >>> import numpy as np, meanfield as mf
    >>> settings = {"depth": 2, "activation": "tanh", "n_steps": 3}
    >>> limit = mf.deep.infinite_width(np.eye(2), [1.0, -1.0], n_samples=1024, **settings)
    >>> kernels = {n: mf.deep.train(np.eye(2), [1.0, -1.0], width=n, n_replicas=8,
    ...                             **settings).kernel_x[:, -1] for n in (32, 128)}
    >>> found = mf.deep.kernel_convergence(limit.kernel_x[-1], kernels)
    >>> found.widths
    array([ 32, 128])
    """
    widths = sorted(kernels)
    if len(widths) < 2:
        raise ArgumentError("kernels", f"must hold at least two widths, got {widths}.")
    means, errors = [], []
    for width in widths:
        aligned = kernel_alignment(kernels[width], limit)
        if aligned.ndim != 2 or len(aligned) < 2:
            raise ArgumentError(
                "kernels",
                f"must have shape (R, L, m, m) with two networks or more, got "
                f"{np.shape(kernels[width])} at width {width}.",
            )
        means.append(aligned.mean(axis=0))
        errors.append(aligned.std(axis=0, ddof=1) / np.sqrt(len(aligned)))
    mean, error, n = np.array(means), np.array(errors), np.array(widths)
    return KernelConvergence(
        n,
        _normal(mean, error),
        _normal(n[:, None] * (1 - mean), n[:, None] * error),
        tuple(
            fit_power_law(n, 1 - mean[:, layer], error[:, layer], expected=-1.0)
            for layer in range(mean.shape[1])
        ),
    )


def _normal(values: np.ndarray, errors: np.ndarray) -> Estimate:
    half = normal_quantile() * errors
    return Estimate(values, values - half, values + half, resampled="networks")


def _constant(name: str, values: Estimate, widths: np.ndarray, power: float) -> Estimate:
    """Return ``n^power`` times the value at the largest width where it is known."""
    known = np.flatnonzero(np.isfinite(values.value))
    if not len(known):
        return Estimate(np.nan)
    width = int(widths[known[-1]])
    scaled = values[known[-1]].map(lambda value: value * width**power)
    return replace(scaled, label=f"{name} times n^{power:g} at width {width}")


def _bias(f: np.ndarray, limit: np.ndarray, floor: float) -> tuple[float, float]:
    """Return the bias and its error, from products of different networks: no noise adds up."""
    n_networks, size = len(f), limit.size
    flat = (f - limit).reshape(n_networks, size)
    start = f[:, 0] - limit[0]
    centred = start - start.mean(axis=0)
    slope = np.linalg.lstsq(centred, flat - flat.mean(axis=0), rcond=None)[0]
    flat = flat - start @ slope
    mean = flat.mean(axis=0)
    squares = np.einsum("ri,ri->", flat, flat)
    square = (n_networks**2 * (mean @ mean) - squares) / (n_networks * (n_networks - 1)) / size
    square -= floor
    error = 2 * np.std(flat @ mean, ddof=1) / np.sqrt(n_networks) / size
    if square <= 0:
        return np.nan, np.nan
    return np.sqrt(square), error / (2 * np.sqrt(square))


def _gap(f: np.ndarray, limit: np.ndarray, floor: float) -> tuple[float, float]:
    """Return the mean squared distance, less what the error of the limit adds, and its error."""
    squares = np.square(f - limit).mean(axis=(1, 2))
    return squares.mean() - floor, squares.std(ddof=1) / np.sqrt(len(f))


def _spread(f: np.ndarray) -> tuple[float, float]:
    """Return the spread and its error."""
    squares = np.square(f - f.mean(axis=0)).mean(axis=(1, 2)) * len(f) / (len(f) - 1)
    spread = np.sqrt(squares.mean())
    # Networks that are all the same have no spread, and none of it is uncertain.
    error = squares.std(ddof=1) / np.sqrt(len(f)) / (2 * spread) if spread > 0 else 0.0
    return spread, error
