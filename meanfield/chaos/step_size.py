"""The error of the step size apart from that of the particle number, on shared Brownian paths."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from meanfield import checks
from meanfield.chaos.chaos_plan import ChaosPlan, plan_chaos
from meanfield.chaos.reference_path import REFERENCE_RATIO, automatic_method, reference_path
from meanfield.errors import ArgumentError
from meanfield.flow.initial import Init
from meanfield.flow.scheme import Scheme
from meanfield.flow.simulate import simulate_scheme
from meanfield.limit.mean_field import REFERENCE_REPLICA
from meanfield.problem.score import cautioned, loss_rose
from meanfield.statistics.estimate import Estimate
from meanfield.statistics.power_law import zero_note
from meanfield.statistics.rates import fit_rate
from meanfield.statistics.resampling import (
    bootstrap_t,
    draw_repeats,
    log_slope,
    slope_weights,
)
from meanfield.system.descriptions import described

if TYPE_CHECKING:
    import xarray as xr

    from meanfield.problem import Problem

Array = NDArray[np.floating]


@dataclass(frozen=True, eq=False)
class StepSizeErrors:
    r"""Mean squared distances of networks with K particle counts and L step sizes.

    With :math:`|g|^2 = \frac1n \sum_j g(x_j)^2`, :math:`f_{N,η}` a network and
    :math:`\bar f_η` the limit of the same scheme.

    Attributes
    ----------
    particle_counts, step_sizes : ndarray, shape (K,) and (L,)
        Sizes N, and step sizes η, each half of the one before.
    step : Estimate, shape (K, L - 1)
        :math:`|f_{N,η} − f_{N,η/2}|^2` on the same paths, of the order of :math:`η^{2γ}` with γ
        the strong order of the integrator.
    own : Estimate, shape (K, L)
        :math:`|f_{N,η} − \bar f_η|^2`, of the order of 1/N.
    total : Estimate, shape (K, L)
        :math:`|f_{N,η} − \bar f_0|^2`: it ends on `floor`.
    extrapolated : Estimate, shape (K,)
        :math:`|2 f_{N,η/2} − f_{N,η} − \bar f_0|^2` for the two finest steps, of order 1/N again.
    floor : ndarray, shape (L,)
        :math:`|\bar f_η − \bar f_0|^2`, of the order of :math:`η^2`.
    limit_error : float
        Distance of :math:`\bar f_0`, extrapolated from the two finest steps, from the same by the
        next coarser pair.
    reference_particles : int or None
        Size of the system behind the limits; None when they are exact.
    step_slope, own_slope, total_slope, extrapolated_slope : Estimate
        Slope of `step` in η, at the largest N; slopes in N, of the first two at the coarsest η.
    balance : Estimate
        Number of particles from which the coarsest step size costs more than the finite number.

    Examples
    --------
    >>> import numpy as np, meanfield as mf
    >>> X = np.linspace(-1, 1, 8)[:, None]
    >>> problem = mf.Problem(X, np.tanh(X[:, 0]), bias=False, train=("w",), temperature=0.1)
    >>> found = mf.chaos.step_size_errors(problem, [4, 16, 64], 16, step_size=0.4, n_steps=5)
    >>> found.step_sizes, found.step_slope.expected, found.own_slope.expected
    (array([0.4 , 0.2 , 0.1 , 0.05]), 2.0, -1.0)
    """

    particle_counts: NDArray[np.int64]
    step_sizes: Array
    step: Estimate
    own: Estimate
    total: Estimate
    extrapolated: Estimate
    floor: Array
    limit_error: float
    reference_particles: int | None
    step_slope: Estimate
    own_slope: Estimate
    total_slope: Estimate
    extrapolated_slope: Estimate
    balance: Estimate

    def to_xarray(self) -> xr.Dataset:
        """Return the mean squares over ``particles`` and ``step_size``.

        Returns
        -------
        xarray.Dataset
            ``step`` is NaN at the finest step size, which has no half.
        """
        import xarray as xr

        both = ("particles", "step_size")
        coords = {"particles": self.particle_counts, "step_size": self.step_sizes}
        coarse = {**coords, "step_size": self.step_sizes[:-1]}
        variables = {
            "step": self.step.to_xarray(both, coarse).reindex(step_size=self.step_sizes),
            "own": self.own.to_xarray(both),
            "total": self.total.to_xarray(both),
            "extrapolated": self.extrapolated.to_xarray(["particles"]),
            "floor": ("step_size", self.floor),
        }
        return described(xr.Dataset(variables, coords))


def step_size_errors(
    problem: Problem,
    particle_counts: Sequence[int] = (64, 256, 1024, 4096),
    n_replicas: int = 64,
    *,
    step_size: float = 0.5,
    n_steps: int = 8,
    levels: int = 4,
    seed: int = 0,
    integrator: str = "euler",
    init: Init = "gaussian",
    dtype: str = "float64",
    n_particles: int | None = None,
) -> StepSizeErrors:
    r"""Measure what the step size costs and what the number of particles costs.

    Systems of every size run up to the same time with the step sizes η, η/2, η/4, … on the same
    Brownian paths: the increment of a coarse step is the sum of those of the fine steps that it
    spans. The limit is known at every step size, and is extrapolated to vanishing step size,
    :math:`\bar f_0 = 2 \bar f_{η/2} − \bar f_η + O(η^2)` with the two finest.

    Parameters
    ----------
    problem : Problem
        Data, network, loss, λ and τ.
    particle_counts : sequence of int
        Sizes N of the systems, at least three.
    n_replicas : int, default: 64
        Independent repetitions; intervals are over them.
    step_size, n_steps : float, int
        The coarsest step size, and its number of steps.
    levels : int, default: 4
        Number L of step sizes, at least 3.
    seed : int, default: 0
        Seed of noise and initial law.
    integrator : str, default: "euler"
        One of weak order 1.
    init, dtype : as in `chaos_rates`
        Initial law and precision.
    n_particles : int, optional
        Size of the large system where the limit is not known exactly; 100 times the largest
        particle count by default. The large systems share their Brownian path too.

    Returns
    -------
    StepSizeErrors
        Mean squares, slopes and the balance of the two errors.

    Raises
    ------
    ValueError, TypeError
        An argument cannot be used.
    DivergenceError
        A system left the finite numbers.

    References
    ----------
    Talay and Tubaro, "Expansion of the global error for numerical schemes solving stochastic
    differential equations", 1990 (extrapolation in the step size).

    Examples
    --------
    >>> import numpy as np, meanfield as mf
    >>> X = np.linspace(-1, 1, 8)[:, None]
    >>> problem = mf.Problem(X, np.tanh(X[:, 0]), bias=False, train=("w",), temperature=0.1)
    >>> found = mf.chaos.step_size_errors(problem, [4, 16, 64], 16, step_size=0.4, n_steps=5)
    >>> found.step.value.shape
    (3, 3)
    """
    levels = checks.count("levels", levels, minimum=3)  # two to extrapolate, one more to check it
    step_size = checks.positive("step_size", step_size)
    coarsest = Scheme.of(
        problem,
        step_size=step_size,
        n_steps=n_steps,
        integrator=integrator,
        init=init,
        seed=seed,
        dtype=dtype,
    )
    weak_order = coarsest.integrator.stationary_order
    if weak_order != 1:
        raise ArgumentError(
            "integrator",
            f"must be of weak order 1 to be extrapolated here, {coarsest.integrator.name!r} has "
            f"{weak_order:g}; use euler or exponential-euler.",
        )
    schemes = [
        replace(coarsest.refined(2**level), substeps=2 ** (levels - 1 - level))
        for level in range(levels)
    ]
    plans = [
        plan_chaos(
            problem, scheme, particle_counts, n_replicas, times=[scheme.n_steps], cloud_replicas=0
        )
        for scheme in schemes
    ]
    size = n_particles or REFERENCE_RATIO * max(plans[0].particle_counts)
    # One method at every step size: a difference of limits must not be one of methods.
    methods = [automatic_method(plan, size) for plan in plans]
    exact = "particles" not in methods
    large = range(REFERENCE_REPLICA, REFERENCE_REPLICA + 1)
    ends = [  # of the limit: where it starts and where it ends
        reference_path(plan, method).predictions[[0, -1]]
        if exact
        else _run(plan, size, large, [0, plan.times[-1]])[0]
        for plan, method in zip(plans, methods, strict=True)
    ]
    limits = [end[-1].reshape(-1) for end in ends]
    runs = [[_replicas(plan, count) for plan in plans] for count in plans[0].particle_counts]
    found = separate_errors(
        plans[0].particle_counts,
        step_size / 2.0 ** np.arange(levels),
        runs,
        limits,
        problem.n_data,
        strong_order=coarsest.integrator.strong_order,
        seed=coarsest.seed,
        reference_particles=None if exact else size,
    )
    notes = loss_rose(*problem.risk(ends[0]))
    return replace(
        found,
        step_slope=cautioned(found.step_slope, notes),
        own_slope=cautioned(found.own_slope, notes),
        total_slope=cautioned(found.total_slope, notes),
        extrapolated_slope=cautioned(found.extrapolated_slope, notes),
    )


def _replicas(plan: ChaosPlan, n_particles: int) -> Array:
    """Return the predictions of all replicas at the last time, shape (R, n * k)."""
    return np.concatenate([_last(plan, n_particles, batch) for batch in plan.batches()])


def _last(plan: ChaosPlan, n_particles: int, replicas: range) -> Array:
    """Return the predictions of some replicas at the last time."""
    return _run(plan, n_particles, replicas, plan.times[-1:]).reshape(len(replicas), -1)


def _run(plan: ChaosPlan, n_particles: int, replicas: range, steps: Sequence[int]) -> Array:
    """Return the predictions of some replicas at some steps."""
    return simulate_scheme(
        plan.problem,
        plan.scheme,
        n_particles,
        len(replicas),
        save_at=steps,
        first_replica=replicas.start,
    ).predictions


def separate_errors(
    particle_counts: ArrayLike,
    step_sizes: ArrayLike,
    runs: ArrayLike,
    limits: ArrayLike,
    n_data: int,
    *,
    strong_order: float = 1.0,
    seed: int = 0,
    reference_particles: int | None = None,
) -> StepSizeErrors:
    """Separate the errors of step size and particle number in predictions at one time.

    `runs` holds the predictions of R replicas, (K, L, R, m), on the same Brownian paths at every
    step size, each half of the one before; `limits`, (L, m), those of the limit of the same scheme.
    Both need three sizes at least.
    """
    checks.unmasked("runs", runs)
    checks.unmasked("limits", limits)
    counts, h = np.asarray(particle_counts), np.asarray(step_sizes, dtype=float)
    runs, limits = np.asarray(runs, dtype=float), np.asarray(limits, dtype=float)
    limit = 2.0 * limits[-1] - limits[-2]
    coarser = 2.0 * limits[-2] - limits[-3]

    def square(deviation: Array) -> Array:
        return np.square(deviation).sum(-1) / n_data

    squares = {
        "step": square(runs[:, :-1] - runs[:, 1:]),
        "own": square(runs - limits[:, None]),
        "total": square(runs - limit),
        "extrapolated": square(2.0 * runs[:, -1] - runs[:, -2] - limit),
    }
    floor = square(limits - limit)
    slope = log_slope(slope_weights(np.log(h[:-1])))
    # What rounding gives a squared distance of predictions of this size.
    rounding = np.finfo(float).eps ** 2 * float(square(limits).max())
    fine = squares["step"][-1]
    zero = zero_note(
        h[:-1], fine.mean(axis=1), rounding, what="The error of the step size", symbol="step_size"
    )
    if zero is None:
        step_slope = bootstrap_t(fine, *slope, draw_repeats(runs.shape[2], seed))
    else:
        step_slope = Estimate(np.nan, resampled="replicas", notes=(zero,))
    coarsest = (squares["own"][:, 0], squares["total"][:, 0], squares["extrapolated"])
    own_fit, total_fit, extrapolated_fit = (
        fit_rate(counts, values, rounding=rounding, seed=seed) for values in coarsest
    )
    distance = "Slope in N of the squared distance from the limit"
    # At a fixed step size the distance has a floor: nothing is expected of its slope.
    total_label = f"{distance} of vanishing step size, at the coarsest"
    return StepSizeErrors(
        particle_counts=counts,
        step_sizes=h,
        **{
            name: Estimate.positive_mean(values, axis=-1, resampled="replicas")
            for name, values in squares.items()
        },
        floor=floor,
        limit_error=float(np.sqrt(square(limit - coarser))),
        reference_particles=reference_particles,
        step_slope=replace(
            step_slope,
            expected=2.0 * strong_order,
            label="Slope in the step size of its squared error on the same paths, "
            f"N = {counts[-1]}",
        ),
        own_slope=replace(own_fit.slope, label=f"{distance} at the same step size, the coarsest"),
        total_slope=replace(total_fit.slope, expected=None, notes=(), label=total_label),
        extrapolated_slope=replace(
            extrapolated_fit.slope, label=f"{distance} of vanishing step size, extrapolated"
        ),
        balance=_balance(own_fit.constant, h[0], float(floor[0]), rounding),
    )


def _balance(constant: Estimate, step_size: float, floor: float, rounding: float) -> Estimate:
    """Return the number of particles whose error is that of the step size, if this has one."""
    label = f"Number of particles from which the step size {step_size:g} costs more"
    zero = zero_note(
        [step_size], [floor], rounding, what="The error of the step size", symbol="step_size"
    )
    if zero is not None:
        text = "The step size moves the limit by no more than rounding: it never costs more."
        return Estimate(np.nan, label=label, notes=(replace(zero, text=text),))
    return replace(constant.map(lambda value: value / floor), label=label)
