"""A run as an iterator over its states, which ends when there is nothing more to gain."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meanfield import checks
from meanfield.errors import ArgumentError
from meanfield.flow.dynamics import Diverged, Dynamics
from meanfield.flow.initial import Init, as_start
from meanfield.flow.initial_state import initial_state
from meanfield.flow.particles import Particles, as_particles
from meanfield.flow.scheme import Scheme
from meanfield.flow.step_size_search import divergence_error
from meanfield.problem import Problem
from meanfield.system.progress import Progress, shown


@dataclass(frozen=True, eq=False)
class State:
    """Particles at one step of a run.

    Attributes
    ----------
    step, time : int, float
        The number of the step, and the sum of the step sizes before it.
    particles : Particles
        The particles, a copy.
    predictions : ndarray, shape (R, n) or (R, n, k)
        Network outputs on the training inputs.
    loss : ndarray, shape (R,)
        Risk of every replica.
    stopped : str
        Why this is the last state: ``"n_steps"``, ``"tolerance"`` or ``"max_seconds"``; empty
        while there are more.
    """

    step: int
    time: float
    particles: Particles
    predictions: NDArray[np.floating]
    loss: NDArray[np.float64]
    stopped: str = ""


def iterate(
    problem: Problem,
    n_particles: int | None = None,
    step_size: Any = 0.1,
    n_steps: int = 10_000,
    *,
    every: int = 1,
    tolerance: float | None = None,
    patience: int = 100,
    max_seconds: float | None = None,
    n_replicas: int | None = None,
    init: Init = "gaussian",
    progress: Progress | bool | None = None,
    **options: Any,
) -> Iterator[State]:
    """Iterate over the states of a run, the same bits as those of `simulate`.

    Parameters
    ----------
    problem : Problem
        What to learn.
    n_particles, step_size : as for `simulate`
        Neurons of a network, and the step size.
    n_steps : int
        Number of steps at most.
    every : int
        Steps from one state to the next.
    tolerance : float, optional
        Stop once the mean loss has not fallen below ``(1 − tolerance)`` times its best value for
        `patience` steps; not by default.
    patience : int
        Steps that are waited for a better loss.
    max_seconds : float, optional
        Stop after this time, at the next state.
    n_replicas, init : as for `simulate`
        Independent networks, and where they start.
    progress : callable or bool, optional
        Called as ``progress(steps_done, n_steps)``; True shows a bar.
    **options
        Other settings of `Scheme.of`: temperature, integrator, seed, dtype, batch_size,
        anchor_period, substeps.

    Returns
    -------
    iterator of State
        The first at step 0, the last says why it is.

    Raises
    ------
    ValueError, TypeError
        An argument cannot be used; the sentence names it.
    DivergenceError
        The run left the finite numbers.

    Examples
    --------
    >>> import numpy as np, meanfield as mf
    >>> problem = mf.Problem(np.eye(3), [1.0, 0.0, -1.0])
    >>> for state in mf.iterate(problem, 64, 0.5, 500, every=50, tolerance=0.01):
    ...     pass
    >>> state.loss.shape
    (1,)
    """
    init = as_start(problem, init)
    start, law = (init, "gaussian") if isinstance(init, Particles) else (None, init)
    scheme = Scheme.of(problem, step_size=step_size, n_steps=n_steps, init=law, **options)
    every = checks.count("every", every)
    patience = checks.count("patience", patience)
    if tolerance is not None:
        tolerance = checks.nonnegative("tolerance", tolerance)
        if tolerance >= 1:
            raise ArgumentError("tolerance", f"must be below 1, got {tolerance!r}.")
    seconds = math.inf if max_seconds is None else checks.positive("max_seconds", max_seconds)
    given = (1024, 1) if start is None else (start.n_particles, start.n_replicas)
    sizes = (
        checks.count("n_particles", given[0] if n_particles is None else n_particles),
        checks.listed("n_replicas", given[1] if n_replicas is None else n_replicas),
    )
    dynamics = Dynamics(problem=problem, scheme=scheme)
    state = initial_state(dynamics, *sizes, start)
    return _states(dynamics, state, every, tolerance, patience, seconds, progress)


def _states(
    dynamics: Dynamics,
    start: NDArray[np.floating],
    every: int,
    tolerance: float | None,
    patience: int,
    seconds: float,
    progress: Progress | bool | None,
) -> Iterator[State]:
    """Yield the states of a run that was checked."""
    problem, scheme = dynamics.problem, dynamics.scheme
    theta, begin = np.array(dynamics.start(start)), time.monotonic()
    best, best_step, step = math.inf, 0, 0
    with shown(progress, "iterate") as report:
        while True:
            predictions = dynamics.predictions(theta)
            loss = problem.loss.value(predictions, problem.targets).mean(axis=-1)
            mean = float(loss.mean())
            if mean < (1 - (tolerance or 0.0)) * best:
                best, best_step = mean, step
            reasons = (
                ("n_steps", step >= scheme.n_steps),
                ("tolerance", tolerance is not None and step - best_step >= patience),
                ("max_seconds", time.monotonic() - begin >= seconds),
            )
            stopped = next((reason for reason, holds in reasons if holds), "")
            yield State(
                step=step,
                time=float(scheme.elapsed(step)),
                particles=as_particles(problem, dynamics.positions(theta).copy()),
                predictions=predictions if problem.vector_output else predictions[..., 0],
                loss=loss,
                stopped=stopped,
            )
            if stopped:
                return
            last = min(step + every, scheme.n_steps)
            try:
                dynamics.advance(theta, step, last)
            except Diverged as diverged:
                raise divergence_error(dynamics, start, diverged) from None
            step = last
            if report is not None:
                report(step, scheme.n_steps)
