"""Strong and stationary errors of integrators, measured on shared Brownian paths."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from meanfield import checks
from meanfield.errors import ArgumentError
from meanfield.flow.checkpoint import Checkpoint
from meanfield.flow.dynamics import Dynamics
from meanfield.flow.integrators import INTEGRATORS, Integrator, get_integrator
from meanfield.flow.minibatch import Minibatch, as_minibatch
from meanfield.flow.scheme import Scheme
from meanfield.flow.step_loop import run_steps
from meanfield.limit.stationary import StationaryLaw, check_supported, stationary
from meanfield.limit.stationary_comparison import refuse_zero
from meanfield.statistics.estimate import Estimate
from meanfield.statistics.orders import cost_at_error, fit_visible_order
from meanfield.system.progress import Progress

if TYPE_CHECKING:
    from meanfield.problem import Problem

Array = NDArray[np.float64]

#: Particles of the strong error, and how much finer than the smallest step its reference is.
_PATH_PARTICLES, _PATH_REFINEMENT = 256, 32
#: Replicas that suffice for minibatches, whose bias is large.
_BATCH_REPLICAS = 8
#: Who stands for the exact flow: the smallest stationary bias, the truest path.
_TRUE_LAW, _TRUE_PATH = "leimkuhler-matthews", "euler"


@dataclass(frozen=True, eq=False)
class IntegratorErrors:
    """Errors of one integrator at several step sizes, one per replica.

    Attributes
    ----------
    integrator, minibatch : Integrator, Minibatch or None
        The scheme, and how it estimates the gradient; None for all data.
    step_sizes, path_step_sizes : ndarray, shape (S,) and (P,)
        Step sizes of the stationary and of the strong error, ascending; P = 0 with minibatches.
    bias : ndarray, shape (S, R)
        Amplitude of the predictions relative to the stationary ones, averaged over time, less
        that of a fine run on the same Brownian path; NaN where a run diverged.
    reference, reference_bias : str and ndarray, shape (R,)
        Integrator of that fine run, and its amplitude less 1.
    squared_distance : ndarray, shape (P, R)
        Mean squared distance of the particles from a fine run on the same Brownian path.
    gradients : ndarray, shape (S,)
        Gradients over all data that a unit of time costs.

    Examples
    --------
    >>> import numpy as np, meanfield as mf
    >>> x = np.linspace(-1, 1, 8)[:, None]
    >>> problem = mf.Problem(x, 2 * x[:, 0], train=("w",), bias=False, l2=0.5, temperature=0.5)
    >>> found = mf.limit.integrator_errors(
    ...     problem, ["euler"], step_sizes=[0.2, 0.4, 0.8], reference_step=0.1, n_particles=16,
    ...     n_replicas=4, burn_in=1.6, duration=4, path_step_sizes=[0.1, 0.2, 0.4], path_time=1.6)
    >>> errors = found["euler"]
    >>> errors.stationary_error.value.shape, errors.strong_order().expected
    ((3,), 1.0)
    """

    integrator: Integrator
    minibatch: Minibatch | None
    step_sizes: Array
    bias: Array
    reference: str
    reference_bias: Array
    path_step_sizes: Array
    squared_distance: Array
    gradients: Array

    @property
    def stationary_error(self) -> Estimate:
        """Bias of the stationary predictions over replicas, shape (S,)."""
        return Estimate.mean(self.bias, axis=1, resampled="replicas")

    @property
    def strong_error(self) -> Estimate:
        """Root mean square distance of particles from their exact path, shape (P,)."""
        squared = Estimate.mean(self.squared_distance, axis=1, resampled="replicas")
        return squared.map(lambda part: np.sqrt(np.maximum(part, 0.0)))

    def stationary_order(self) -> Estimate:
        """Return the order of the stationary bias, as of `fit_visible_order`, and the declared one.

        Returns
        -------
        Estimate
        """
        return fit_visible_order(
            self.step_sizes,
            self.bias,
            declared=self.integrator.stationary_order,
            label=f"Stationary order of {self.integrator.name}",
        )

    def strong_order(self) -> Estimate:
        """Return the order of the distance between particles and their exact paths, likewise.

        Returns
        -------
        Estimate
        """
        return fit_visible_order(
            self.path_step_sizes,
            self.squared_distance,
            squared=True,
            declared=self.integrator.strong_order,
            label=f"Strong order of {self.integrator.name}",
        )

    def gradients_at(self, accuracy: float) -> Estimate:
        """Return what a unit of time costs at a stationary bias of that size.

        Parameters
        ----------
        accuracy : float
            Relative bias of the predictions.

        Returns
        -------
        Estimate
            Gradients over all data, as of `cost_at_error`.
        """
        label = f"Gradients per unit of time of {self.integrator.name} at a bias of {accuracy:.0%}"
        return cost_at_error(self.gradients, self.stationary_error, accuracy, label=label)


def integrator_errors(
    problem: Problem,
    integrators: Sequence[str] = tuple(INTEGRATORS),
    *,
    step_sizes: Sequence[float] = (0.2, 0.3, 0.4, 0.6, 0.8),
    reference_step: float = 0.025,
    n_particles: int = 2048,
    n_replicas: int = 32,
    burn_in: float = 12.0,
    duration: float = 60.0,
    path_step_sizes: Sequence[float] = (0.0125, 0.025, 0.05, 0.1),
    path_time: float = 3.2,
    batch_size: int | None = None,
    anchor_period: int | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> dict[str, IntegratorErrors]:
    r"""Measure the strong and the stationary error of integrators on shared Brownian paths.

    Every run starts from the stationary law :math:`µ_∞`, known by quadrature. A step of size
    :math:`η = m h` takes the sum of the m increments that a fine run of step size h takes one by
    one, so that the differences of coarse and fine runs hardly fluctuate: they show errors far
    below the scatter of the runs themselves (Leimkuhler, Matthews, AMRX 2013).

    .. math::

        \text{stationary:}\quad \frac1{T − T_0} \int_{T_0}^T
        \frac{⟨f^η_t − f^h_t, f_∞⟩}{⟨f_∞, f_∞⟩}\, dt,
        \qquad \text{strong:}\quad \Bigl(\frac1N \sum_i |θ^η_i − θ^h_i|^2\Bigr)^{1/2}.

    The fine run of the stationary error is Leimkuhler and Matthews', that of the strong error
    Euler's, at a step size 32 times smaller than the smallest; the kinetic scheme has its own
    dynamics and is its own reference.

    Parameters
    ----------
    problem : Problem
        One with a `stationary` law.
    integrators : sequence of str
        Names, as in `simulate`; all by default.
    step_sizes : sequence of float
        Step sizes of the long runs, at least three, multiples of `reference_step`. Large ones:
        the bias of a scheme of second order is soon hidden.
    reference_step : float, default: 0.025
        Step size h of their reference.
    n_particles, n_replicas : int
        Size of each system and number of them, at least 4.
    burn_in, duration : float
        Times between which the predictions are averaged, multiples of every step size.
    path_step_sizes, path_time : sequence of float, float
        Step sizes of the strong error, at least three, multiples of the smallest; and the time at
        which it is taken, a multiple of each of them.
    batch_size, anchor_period : int, optional
        Also measure the first integrator with minibatches of that size, and with SVRG.
    seed : int, default: 0
        Seed of starts and noise.
    progress : callable, optional
        Called as ``progress(done, total)`` after every scheme.

    Returns
    -------
    dict of str to IntegratorErrors
        By name; ``"euler, minibatch"`` and ``"euler, SVRG"`` where they were asked for.

    Raises
    ------
    ValueError
        A step size or time does not fit the others, or the problem has no stationary law, or one
        whose predictions are zero.

    Examples
    --------
    >>> import numpy as np, meanfield as mf
    >>> x = np.linspace(-1, 1, 8)[:, None]
    >>> problem = mf.Problem(x, 2 * np.tanh(2 * x[:, 0]), train=("w",), bias=False, l2=0.5,
    ...                      temperature=0.5)
    >>> found = mf.limit.integrator_errors(
    ...     problem, ["euler"], step_sizes=[0.2, 0.4, 0.8], reference_step=0.1, n_particles=16,
    ...     n_replicas=4, burn_in=1.6, duration=4, path_step_sizes=[0.1, 0.2, 0.4], path_time=1.6)
    >>> found["euler"].strong_error.value.shape
    (3,)
    """
    sizes = _sizes("step_sizes", step_sizes, reference_step)
    path_sizes = _sizes("path_step_sizes", path_step_sizes, None)
    for h in sizes:
        _multiple("burn_in", burn_in, h)
        _multiple("duration", duration, h)
    for h in path_sizes:
        _multiple("path_time", path_time, h)
    if burn_in >= duration:
        raise ArgumentError(
            "burn_in", f"must be shorter than duration, got {burn_in:g} and {duration:g}."
        )
    n_replicas = checks.listed("n_replicas", n_replicas, minimum=4)
    schemes = _schemes(integrators, batch_size, anchor_period, problem.n_data)
    check_supported(problem)
    law = stationary(problem)
    refuse_zero(law, "problem")
    sample = law.sample(checks.count("n_particles", n_particles), n_replicas, checks.seed(seed))
    runs = _SharedNoise(law, np.ascontiguousarray(sample.coordinates.swapaxes(1, 2)), seed)
    h_path = path_sizes[0] / _PATH_REFINEMENT

    @functools.cache
    def fine_amplitude(name: str) -> Array:
        return runs.amplitude(get_integrator(name), reference_step, 1, duration)

    @functools.cache
    def fine_ends(name: str) -> NDArray[np.floating]:
        return runs.ends(get_integrator(name), h_path, 1, path_time)

    found = {}
    for name, (scheme, batches) in schemes.items():
        own = scheme.name if scheme.has_velocity else None
        fine = fine_amplitude(own or _TRUE_LAW)
        if batches is not None:
            fine = fine[:_BATCH_REPLICAS]
        bias = np.full((len(sizes), len(fine)), np.nan)
        for s, h in enumerate(sizes):
            m = round(h / reference_step)
            # A step size beyond the stability of the scheme leaves NaN.
            with suppress(ArithmeticError):
                coarse = runs.amplitude(scheme, h, m, duration, batches)
                bias[s] = _gap(scheme, coarse, fine, m)[:, round(burn_in / h) :].mean(axis=1)
        distance = np.full((0 if batches else len(path_sizes), n_replicas), np.nan)
        for s in range(len(distance)):
            h = path_sizes[s]
            with suppress(ArithmeticError):
                away = runs.ends(scheme, h, round(h / h_path), path_time)
                away = away - fine_ends(own or _TRUE_PATH)
                distance[s] = np.square(away).sum(axis=1).mean(axis=1)
        cost = scheme.gradients_per_step * (batches.cost(problem.n_data) if batches else 1)
        found[name] = IntegratorErrors(
            integrator=scheme,
            minibatch=batches,
            step_sizes=np.array(sizes),
            bias=bias,
            reference=own or _TRUE_LAW,
            reference_bias=fine[:, round(burn_in / reference_step) :].mean(axis=1) - 1,
            path_step_sizes=np.array(path_sizes[: len(distance)]),
            squared_distance=distance,
            gradients=cost / np.array(sizes),
        )
        if progress is not None:
            progress(len(found), len(schemes))
    return found


@dataclass(frozen=True, eq=False)
class _SharedNoise:
    """Runs from the same particles (R, C, N) along the same Brownian paths."""

    law: StationaryLaw
    start: Array
    seed: int

    def amplitude(
        self, scheme: Integrator, h: float, m: int, time: float, batches: Minibatch | None = None
    ) -> Array:
        """Amplitude (R, steps + 1) of the predictions along the stationary ones."""
        start = self.start if batches is None else self.start[:_BATCH_REPLICAS]
        problem, target = self.law.problem, self.law.predictions.reshape(-1)
        run = self._dynamics(scheme, h, m, time, batches)
        path = np.empty((len(start), run.scheme.n_steps + 1, problem.n_data, problem.n_outputs))
        _last(run, start, path)
        return path.reshape(*path.shape[:2], -1) @ (target / (target @ target))

    def ends(self, scheme: Integrator, h: float, m: int, time: float) -> NDArray[np.floating]:
        """Particles at the end, of a few only."""
        few = np.ascontiguousarray(self.start[:, :, :_PATH_PARTICLES])
        return _last(self._dynamics(scheme, h, m, time), few)

    def _dynamics(
        self,
        integrator: Integrator,
        h: float,
        m: int,
        time: float,
        batches: Minibatch | None = None,
    ) -> Dynamics:
        scheme = Scheme(
            n_steps=round(time / h),
            step_size=h,
            temperature=self.law.problem.temperature,
            integrator=integrator,
            init=None,
            seed=self.seed,
            minibatch=batches,
            substeps=m,
        )
        return Dynamics(self.law.problem, scheme)


def _last(run: Dynamics, start: Array, path: Array | None = None) -> NDArray[np.floating]:
    """Particles after the last step."""
    last = np.array([run.scheme.n_steps])
    return run_steps(run, start, last, path=path, checkpoint=Checkpoint(None, ""))[0]


def _gap(scheme: Integrator, coarse: Array, fine: Array, m: int) -> Array:
    """Difference of coarse and fine amplitudes at the coarse steps."""
    if scheme.name != "leimkuhler-matthews":
        return coarse - fine[:, ::m]
    # A particle has half of the next increment in it already. So has the mean of the reference
    # before and after that increment, which has the same expectation and follows it more closely.
    return coarse[:, :-1] - (fine[:, :-1:m] + fine[:, m::m]) / 2


def _schemes(
    names: Sequence[str], batch_size: int | None, anchor_period: int | None, n_data: int
) -> dict[str, tuple[Integrator, Minibatch | None]]:
    """Return what is measured by name."""
    schemes = [get_integrator(name) for name in names]
    if not schemes:
        raise ArgumentError("integrators", "must name at least one integrator, got none.")
    found: dict[str, tuple[Integrator, Minibatch | None]] = {s.name: (s, None) for s in schemes}
    for period in (None, anchor_period):
        batches = as_minibatch(batch_size, period, n_data)
        if batches is not None:
            kind = "minibatch" if period is None else "SVRG"
            found[f"{schemes[0].name}, {kind}"] = (schemes[0], batches)
    return found


def _sizes(name: str, values: Sequence[float], part: float | None) -> list[float]:
    """Return at least three step sizes, ascending, all multiples of `part` or of the smallest."""
    sizes = sorted({checks.positive(name, value) for value in values})
    if len(sizes) < 3:
        raise ArgumentError(name, f"must hold at least three step sizes, got {sizes}.")
    for h in sizes:
        _multiple(name, h, part or sizes[0])
    return sizes


def _multiple(name: str, value: float, part: float) -> int:
    """Return how often `part` goes into `value`, which must be a whole number."""
    times = round(value / part)
    if times < 1 or not math.isclose(times * part, value, rel_tol=1e-9):
        raise ArgumentError(name, f"must hold whole multiples of {part:g}, got {value:g}.")
    return times
