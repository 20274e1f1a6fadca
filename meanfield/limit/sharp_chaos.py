"""Exact stationary laws of k out of N particles of a linear network: sharp propagation of chaos."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from meanfield import checks
from meanfield.errors import ArgumentError
from meanfield.limit.gaussian_closure import check_closed

if TYPE_CHECKING:
    from meanfield.problem import Problem

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class SharpChaos:
    r"""Stationary laws of a linear network of N neurons under Euler steps; see `sharp_chaos`.

    With :math:`s` the eigenvalues of :math:`\hatΣ = X^⊤X/n`,
    :math:`v = τ/(λ(1 − ηλ/2))`, :math:`q = λ(1 − ηλ/2) / ((λ+s)(1 − η(λ+s)/2))` and
    :math:`x_k = (k/N)(1 − q)`, one of each per eigenvalue.

    Attributes
    ----------
    n_particles : int
        N.
    temperature, l2 : float
        τ and λ.
    variance : float
        :math:`v`, that of every coordinate in the limit.
    eigenvalues, ratios : ndarray, shape (p,)
        :math:`s`, ascending, and :math:`q`: the variance of the mean of N neurons is :math:`vq/N`.
    axes : ndarray, shape (p, p)
        Eigenvectors as columns.

    Examples
    --------
    >>> import numpy as np, meanfield as mf
    >>> problem = mf.Problem(np.eye(2), [1.0, 0.0], activation="identity", bias=False,
    ...                      train=("w",), l2=0.1, temperature=0.1)
    >>> law = mf.limit.sharp_chaos(problem, n_particles=16, step_size=0.1)
    >>> law.kullback_leibler(1) < law.kullback_leibler(16), law.pair_covariance.shape
    (True, (2, 2))
    """

    n_particles: int
    temperature: float
    l2: float
    variance: float
    eigenvalues: Array
    ratios: Array
    axes: Array

    @property
    def pair_covariance(self) -> Array:
        """``N Cov(θ₁, θ₂)`` of two neurons, the same for every N, shape (p, p)."""
        return (self.axes * (-self.variance * (1 - self.ratios))) @ self.axes.T

    def kullback_leibler(self, k: int) -> float:
        r"""Return the divergence of the law of k neurons from their product in the limit.

        .. math:: \operatorname{KL} = \tfrac12 \sum_s (−x_k − \log(1 − x_k)) ≈ \tfrac14 \sum_s x_k^2

        Parameters
        ----------
        k : int
            Number of neurons, from 1 to N.

        Returns
        -------
        float

        Raises
        ------
        ValueError, TypeError
            There are not so many.
        """
        x = self._share(k)
        return float(0.5 * (-x - np.log1p(-x)).sum())

    def wasserstein2(self, k: int) -> float:
        r"""Return the squared distance of the law of k neurons to their product in the limit.

        .. math:: W_2^2 = \sum_s v\, (1 − \sqrt{1 − x_k})^2

        Parameters
        ----------
        k : int
            Number of neurons, from 1 to N.

        Returns
        -------
        float

        Raises
        ------
        ValueError, TypeError
            There are not so many.
        """
        x = self._share(k)
        # 1 − √(1 − x) without cancellation.
        return float(self.variance * np.square(x / (1 + np.sqrt(1 - x))).sum())

    @property
    def free_energy_gap(self) -> float:
        """Least free energy per neuron, less that of the limit, at step size 0.

        ``(τ/2N) Σ_s log(1 + s/λ)``.
        """
        share = self.temperature / (2 * self.n_particles)
        return float(share * np.log1p(self.eigenvalues / self.l2).sum())

    @property
    def product_free_energy_gap(self) -> float:
        """The same of N independent neurons of the limit, ``(τ/2N) Σ_s s/λ``, at step size 0."""
        return float(self.temperature / (2 * self.n_particles) * (self.eigenvalues / self.l2).sum())

    def _share(self, k: int) -> Array:
        k = checks.count("k", k, maximum=self.n_particles)
        return k / self.n_particles * (1 - self.ratios)


def sharp_chaos(problem: Problem, n_particles: int, step_size: float) -> SharpChaos:
    r"""Return the exact stationary laws of a linear network of N neurons.

    All k-particle laws are Gaussian: the distance between that of k neurons and the product of
    the limit is :math:`O((k/N)^2)` in divergence, so that one neuron is :math:`O(1/N^2)` from its
    limit, and all of them are O(1) away.

    Parameters
    ----------
    problem : Problem
        Identity activation, squared loss, one output, `a` frozen at 1, all else trained; l2 and
        temperature above 0.
    n_particles : int
        Number of neurons N.
    step_size : float
        Step size η of Euler's chain, stable for the data.

    Returns
    -------
    SharpChaos

    Raises
    ------
    ValueError, TypeError
        The problem is another, or there is no stationary law.

    References
    ----------
    Lacker, "Hierarchies, entropy, and quantitative propagation of chaos for mean field diffusions",
    2023; Lacker, Le Flem, "Sharp uniform-in-time propagation of chaos", 2023; Nitanda, "Improved
    particle approximation error for mean field neural networks", NeurIPS 2024.

    Examples
    --------
    >>> import numpy as np, meanfield as mf
    >>> problem = mf.Problem(np.eye(2), [1.0, 0.0], activation="identity", bias=False,
    ...                      train=("w",), l2=0.1, temperature=0.1)
    >>> law = mf.limit.sharp_chaos(problem, n_particles=16, step_size=0.1)
    >>> 3.9 < law.kullback_leibler(2) / law.kullback_leibler(1) < 4.5
    True
    """
    check_closed(problem)
    n_particles = checks.count("n_particles", n_particles)
    eta = checks.positive("step_size", step_size)
    l2, tau = problem.l2_input, problem.temperature
    if l2 == 0 or tau == 0:
        raise ArgumentError(
            "problem",
            message="There is no stationary law with a density unless l2 and temperature are "
            f"greater than 0, got l2={l2:g} and temperature={tau:g}; set both.",
        )
    inner = problem.with_bias(problem.X)
    eigenvalues, axes = np.linalg.eigh(inner.T @ inner / len(inner))
    eigenvalues = eigenvalues.clip(0)
    stable = 2 / (l2 + float(eigenvalues[-1]))
    if eta >= stable:
        raise ArgumentError("step_size", f"must be below {stable:.3g} to be stable, got {eta:g}.")
    rates = l2 + eigenvalues
    calm = l2 * (1 - eta * l2 / 2)
    return SharpChaos(
        n_particles=n_particles,
        temperature=tau,
        l2=l2,
        variance=tau / calm,
        eigenvalues=eigenvalues,
        ratios=calm / (rates * (1 - eta * rates / 2)),
        axes=axes,
    )
