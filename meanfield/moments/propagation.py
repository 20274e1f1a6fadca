"""The moments of the particles along a run, against the maximal weight of their initial law."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from meanfield import checks
from meanfield.moments import tails
from meanfield.moments.weight import AdmissibleWeight, reciprocal, sample_points
from meanfield.statistics.estimate import Estimate
from meanfield.statistics.intervals import normal_quantile

if TYPE_CHECKING:
    from meanfield.flow.run import Run

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class MomentPropagation:
    r"""Growth ``G(t) = sup_k (w_k m_k(µ_t))^{1/k}`` of the moments along a run.

    Attributes
    ----------
    steps : ndarray of int, shape (T,)
        Saved steps of the run.
    growth : Estimate, shape (T,)
        ``G(t)`` over the orders ``k`` that the particles support; ``G(0)`` is 1 up to sampling.
        It stays bounded when the flow propagates the class. The bounds are the largest lower, and
        the largest upper, end of the intervals over the orders.
    max_orders : ndarray of int, shape (T,)
        Highest order in use at each step.
    heavier : ndarray, shape (T, K)
        ``(w_k m_k(µ_t))^{1/k} k^excess``, the same for a heavier weight; NaN beyond
        ``max_orders``. At step 0 it grows with ``k``: no heavier weight is admissible.

    Examples
    --------
    >>> import numpy as np, meanfield as mf
    >>> problem = mf.Problem(np.eye(2), [1.0, -1.0], l2=0.1, temperature=0.05)
    >>> run = mf.simulate(problem, 2000, 0.2, 20, save_at=[0, 10, 20])
    >>> weight = mf.admissible_weight("gaussian", problem=problem, max_order=8)
    >>> found = mf.moments.moment_propagation(run, weight)
    >>> found.growth.value.shape, found.steps, bool(found.growth.value.max() < 3)
    ((3,), array([ 0, 10, 20]), True)
    """

    steps: NDArray[np.int64]
    growth: Estimate
    max_orders: NDArray[np.int64]
    heavier: Array


def moment_propagation(
    run: Run, weight: AdmissibleWeight, *, excess: float = 0.5
) -> MomentPropagation:
    """Follow the moments of the particles against the maximal weight of their initial law.

    The weight is ``w*``, or with noise and a law of order ``ρ > 2`` the weight
    ``w*_k k^{−k (1/2 − 1/ρ)}`` of order 2: noise gives the flow Gaussian tails at once, so that
    the order propagated is ``min(ρ, 2)`` (operational, after the abstract of [ISD]).

    Parameters
    ----------
    run : Run
        Its saved steps, all replicas together.
    weight : AdmissibleWeight
        ``w*`` of the initial law in the trained coordinates:
        ``admissible_weight(init, problem=run.problem)``.
    excess : float, default: 0.5
        How much the inverse order of the second weight is smaller.

    Returns
    -------
    MomentPropagation

    Examples
    --------
    >>> import numpy as np, meanfield as mf
    >>> problem = mf.Problem(np.eye(3), [1.0, 0.0, -1.0], l2=0.1, temperature=0.05)
    >>> run = mf.simulate(problem, 2000, 0.2, 50, save_at=[0, 50])
    >>> weight = mf.admissible_weight("gaussian", problem=problem)
    >>> bool(mf.moments.moment_propagation(run, weight).growth.value.max() < 2)
    True
    """
    excess = checks.positive("excess", excess)
    k = np.arange(1, weight.max_order + 1)
    finite = np.isfinite(weight.log_w_star)
    propagated = weight.propagated_order(run.problem.temperature)
    order_lost = reciprocal(propagated) - reciprocal(weight.order.value)
    order_lost = 0.0 if np.isnan(order_lost) else order_lost
    growth, orders = [], []
    heavier = np.full((len(run.steps), len(k)), np.nan)
    for t, particles in enumerate(run.trajectory):
        radius = np.linalg.norm(sample_points(particles, run.problem), axis=1)
        values, errors = tails.log_sample_moments(radius, k[finite])
        order = k[: len(values)]
        if len(order) == 0:
            raise ValueError(
                f"No moment of the law at step {run.steps[t]} can be estimated from "
                f"{len(radius)} particles: a few of them are far larger than all others. Take a "
                "smaller step size, more particles, or labels of size 1."
            )
        logs = (values + weight.log_w_star[: len(order)]) / order - order_lost * np.log(order)
        spread = normal_quantile() * errors / order
        growth.append(np.exp([logs.max(), (logs - spread).max(), (logs + spread).max()]))
        orders.append(len(order))
        heavier[t, : len(order)] = np.exp(logs + excess * np.log(order))
    value, low, high = np.transpose(growth)
    bounded = Estimate(value, low, high, resampled="particles")
    return MomentPropagation(run.steps, bounded, np.array(orders), heavier)
