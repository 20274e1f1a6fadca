"""Particles after a long time against the stationary law: predictions, distance, step size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from meanfield import checks
from meanfield.errors import ArgumentError
from meanfield.flow.initial import Init
from meanfield.flow.scheme import Scheme
from meanfield.limit.chain import chain_law
from meanfield.limit.grid import GridLaw
from meanfield.statistics.estimate import Estimate, Note
from meanfield.statistics.orders import fit_order

if TYPE_CHECKING:
    from meanfield.flow.particles import Particles
    from meanfield.limit.stationary import StationaryLaw

Array = NDArray[np.float64]

_GRID_POINTS = 3201
#: Errors below this many rounding errors of the predictions are none.
_ZERO = 100.0
#: A grid reaches this many times as far as all but a share 1e-4 of the particles on either side.
_MARGIN = 1.5


def stationary_amplitude(predictions: ArrayLike, law: StationaryLaw) -> Array:
    """Length of networks along the stationary one, :math:`⟨f, f_∞⟩ / ⟨f_∞, f_∞⟩` over the data.

    Of predictions (..., n) or (..., n, k) at the training inputs of the law; 1 for the stationary
    network. An ArgumentError where that network is zero, so that nothing lies along it.
    """
    refuse_zero(law)
    target = law.predictions
    values = checks.finite("predictions", predictions)
    if values.shape[values.ndim - target.ndim :] != target.shape:
        raise ArgumentError(
            "predictions",
            f"must have shape (..., {', '.join(map(str, target.shape))}), got {values.shape}.",
        )
    flat = values.reshape(-1, *law.problem.targets.shape)
    size = np.square(target).sum()
    amplitude = np.einsum("rjk,jk->r", flat, target.reshape(flat.shape[1:])) / size
    return amplitude.reshape(values.shape[: values.ndim - target.ndim])


def refuse_zero(law: StationaryLaw, argument: str = "law") -> None:
    """Refuse a ratio to a stationary network that is zero up to rounding."""
    if law.is_zero:
        raise ArgumentError(
            argument,
            message="The stationary network is zero at every training input, up to rounding (as "
            "for an odd activation without bias and labels that are even in x), so that nothing "
            "can be measured relative to it; compare differences of predictions, or take a problem "
            "whose stationary network is not zero.",
        )


@dataclass(frozen=True, eq=False)
class LawDistance:
    """Squared distance :math:`W_2^2` between a law and clouds of particles, over replicas.

    Attributes
    ----------
    particles, draws : Estimate
        Of the particles, and of as many independent draws from the law: what finitely many points
        must have.

    Examples
    --------
    >>> import numpy as np, meanfield as mf
    >>> x = np.linspace(-1, 1, 8)[:, None]
    >>> problem = mf.Problem(x, x[:, 0], train=("w",), bias=False, l2=0.3, temperature=0.1)
    >>> run = mf.simulate(problem, 256, 0.2, 100, n_replicas=4)
    >>> found = mf.limit.stationary_distance(run.particles, mf.stationary(problem))
    >>> found.particles.value < 3 * found.draws.value
    True
    """

    particles: Estimate
    draws: Estimate


def stationary_distance(particles: Particles, law: StationaryLaw, *, seed: int = 0) -> LawDistance:
    """Measure how far particles are from the stationary law of a single parameter.

    Parameters
    ----------
    particles : Particles
        Replicas of N particles each.
    law : StationaryLaw
        Of a problem with one trained parameter.
    seed : int, default: 0
        Seed of the independent draws.

    Returns
    -------
    LawDistance
        Exact distances, by quantile functions, with intervals over replicas.

    Raises
    ------
    ValueError
        The problem has more than one trained parameter.

    Examples
    --------
    >>> import numpy as np, meanfield as mf
    >>> x = np.linspace(-1, 1, 8)[:, None]
    >>> problem = mf.Problem(x, x[:, 0], train=("w",), bias=False, l2=0.2, temperature=0.1)
    >>> run = mf.simulate(problem, 512, 0.2, 200, n_replicas=4)
    >>> found = mf.limit.stationary_distance(run.particles, mf.stationary(problem))
    >>> found.particles.value < 0.1
    True
    """
    points = particles.w[..., 0]
    low, high = np.quantile(points, [1e-4, 1 - 1e-4])
    grid = stationary_grid(law, _MARGIN * max(abs(low), abs(high)))
    replicas, n_particles = points.shape
    draws = law.sample(n_particles, replicas, seed).w[..., 0]
    return LawDistance(
        *(Estimate.mean(grid.wasserstein2(x), resampled="replicas") for x in (points, draws))
    )


def stationary_grid(law: StationaryLaw, half_width: float) -> GridLaw:
    """Return the stationary law of a single parameter on ``[−half_width, half_width]``."""
    if law.problem.n_parameters != 1:
        raise ArgumentError(
            "law",
            f"must be that of one trained parameter, this one has {law.problem.n_parameters}; "
            "compare with mf.wasserstein2 and law.sample instead.",
        )
    half_width = checks.positive("half_width", half_width)
    axis = np.linspace(-half_width, half_width, _GRID_POINTS)
    masses = law.density(axis[:, None])
    return GridLaw((axis,), masses / masses.sum())


@dataclass(frozen=True, eq=False)
class StepSizeBias:
    """Where the discrete scheme ends with infinitely many particles, at several step sizes.

    Attributes
    ----------
    step_sizes, errors : ndarray, shape (M,)
        Step sizes, falling, and root mean square distance over the data from the stationary ones.
    predictions : ndarray, shape (M, n) or (M, n, k)
        Predictions at the end.
    order : Estimate
        Power of the step size that the errors fall with, beside the one declared. It has no
        interval, for nothing is random; NaN, with the reason as its note, where the errors are no
        power, or rounding.

    Examples
    --------
    >>> import numpy as np, meanfield as mf
    >>> x = np.linspace(-1, 1, 8)[:, None]
    >>> problem = mf.Problem(x, x[:, 0], train=("w",), bias=False, l2=0.3, temperature=0.1)
    >>> found = mf.limit.step_size_bias(mf.stationary(problem), step_size=0.4, n_steps=60)
    >>> found.step_sizes, bool((np.diff(found.errors) < 0).all()), found.order.expected
    (array([0.4, 0.2, 0.1]), True, 1.0)
    """

    step_sizes: Array
    predictions: Array
    errors: Array
    order: Estimate


def step_size_bias(
    law: StationaryLaw,
    *,
    step_size: float,
    n_steps: int,
    integrator: str = "euler",
    init: Init = "gaussian",
    refinements: Sequence[int] = (1, 2, 4),
) -> StepSizeBias:
    """Compute what the step size costs at the end, without particles, by `chain_law`.

    Parameters
    ----------
    law : StationaryLaw
        Where the flow ends.
    step_size, n_steps : float, int
        The largest step size η, and how many such steps reach the end.
    integrator : str, default: "euler"
        ``"euler"`` or ``"exponential-euler"``.
    init : str, InitialLaw, Particles, array or callable, default: "gaussian"
        Initial law.
    refinements : sequence of int, default: (1, 2, 4)
        The step sizes are ``step_size / m``, over the same time; at least three.

    Returns
    -------
    StepSizeBias
        Errors and their order.

    Raises
    ------
    ValueError
        `chain_law` does not apply to the problem.

    Examples
    --------
    >>> import numpy as np, meanfield as mf
    >>> x = np.linspace(-1, 1, 8)[:, None]
    >>> problem = mf.Problem(x, x[:, 0], train=("w",), bias=False, l2=0.3, temperature=0.1)
    >>> found = mf.limit.step_size_bias(mf.stationary(problem), step_size=0.4, n_steps=60)
    >>> 0.8 < found.order.value < 1.2  # Euler: first order
    True
    """
    factors = checks.counts("refinements", refinements)
    if len(factors) < 3:
        raise ArgumentError(
            "refinements", f"must give at least 3 different step sizes for an order, got {factors}."
        )
    scheme = Scheme.of(
        law.problem,
        step_size=checks.positive("step_size", step_size),
        n_steps=checks.steps(n_steps),
        integrator=integrator,
        init=init,
    )
    paths = [chain_law(law.problem, scheme.refined(m), save_at=[0]) for m in factors]
    ends = np.stack([path.predictions[-1] for path in paths])
    gaps = (ends - law.predictions).reshape(len(ends), -1)
    errors = np.sqrt(np.square(gaps).sum(1) / law.problem.n_data)
    sizes = scheme.step_size / np.array(factors)
    # A path is a sum over the lattice: its end is known to some rounding errors of its largest.
    size = np.abs(np.stack([path.predictions for path in paths[:1]])).max()
    known = law.residual + law.grid_error + _ZERO * np.finfo(float).eps * size
    order = Estimate(
        np.nan,
        expected=scheme.integrator.stationary_order,
        label="Order in the step size of the stationary bias",
    )
    try:
        order = replace(order, value=fit_order(sizes, errors, rounding=known).slope.value)
    except ValueError as error:
        order = replace(order, notes=(Note("no-order", str(error)),))
    return StepSizeBias(sizes, ends, errors, order)
