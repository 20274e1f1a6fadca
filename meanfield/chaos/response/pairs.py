"""What two neurons of one network have in common, measured over replicas by exchangeability."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from meanfield import checks
from meanfield.errors import ArgumentError
from meanfield.statistics.estimate import Estimate

Array = NDArray[np.float64]


def pair_covariance(values: ArrayLike) -> Estimate:
    r"""Estimate N times the covariance of what two neurons of one network carry.

    The neurons of a network are exchangeable: all pairs have the same covariance, and of the mean
    over N neurons and of one neuron

    .. math:: N \operatorname{Cov}(x(θ_1), x(θ_2)) = \frac{N^2}{N − 1} \Big(
        \operatorname{Var}(\bar x) − \frac1N \operatorname{Var}(x)\Big).

    Parameters
    ----------
    values : array_like, shape (R, N) or (R, N, m)
        What each of the N neurons of R independent networks carries, say ``run.particles.w`` or
        the outputs ``a σ(⟨w, x_j⟩ + b)`` at m data.

    Returns
    -------
    Estimate
        Shape () or (m, m), to be compared with `ChaosPrediction`; its intervals are over replicas.

    Raises
    ------
    ValueError, TypeError
        Fewer than two neurons or networks, or values that are not finite.

    Examples
    --------
    >>> import numpy as np, meanfield as mf
    >>> values = np.random.default_rng(0).normal(size=(200, 8))  # independent neurons
    >>> found = mf.chaos.pair_covariance(values)
    >>> bool(found.low < 0 < found.high)
    True
    """
    x = checks.finite("values", values)
    if x.ndim not in (2, 3) or min(x.shape[:2]) < 2:
        raise ArgumentError(
            "values",
            f"must have shape (R, N) or (R, N, m) with R and N at least 2, got {x.shape}.",
        )
    single = x.ndim == 2
    x = x[..., None] if single else x
    R, N, _ = x.shape
    x = x - x.mean(axis=(0, 1))
    sums = x.sum(axis=1)
    # All pairs i ≠ j of a network; the mean that was taken off is of all networks.
    pairs = np.einsum("rj,rk->rjk", sums, sums) - np.einsum("rij,rik->rjk", x, x)
    found = Estimate.mean(pairs / (N - 1), resampled="replicas")
    # The common mean takes Var(x̄)/R off the covariance of a pair.
    bias = N * np.einsum("rj,rk->jk", sums, sums) / N**2 / (R * (R - 1))
    found = Estimate(found.value + bias, found.low + bias, found.high + bias, resampled="replicas")
    return found[0, 0] if single else found
