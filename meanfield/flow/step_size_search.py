"""What to tell a user whose run diverged: a step size that was tried and held."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from meanfield.errors import DivergenceError
from meanfield.flow.dynamics import Diverged, Dynamics

# The trials repeat the run as far as this many neuron evaluations allow.
_EVALUATIONS = 2**30
# What a step costs besides.
_LEAST_PER_STEP = 2**13
_PARTICLES = 1024
_REPLICAS = 16
#: A run that learns does not end with so many times the loss of its start.
ROSE = 2.0
#: The step size that held is tried with all particles, and halved at most so often after that.
_LAST_TRIALS = 8
#: Particles beyond this have squares, and sums of these, that overflow.
_LARGEST = {np.dtype(np.float64): 1e76, np.dtype(np.float32): 1e15}
#: The search ends at 2^-60, or as far below the step size that diverged.
_LEAST_EXPONENT = -60


def has_blown_up(state: NDArray[np.floating]) -> bool:
    """Whether particles are so large that no distance between them can be computed."""
    return not float(np.abs(state).max(initial=0.0)) < _LARGEST[state.dtype]


def divergence_error(
    dynamics: Dynamics, start: NDArray[np.floating], diverged: Diverged
) -> DivergenceError:
    """Return the error for a run from `start` (R, C, N) that left the finite numbers.

    It carries a step size for which the run, tried again, stayed finite.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        stable, n_steps = _stable_step_size(dynamics, start)
    largest = dynamics.scheme.step_sizes.max()
    constant = np.ndim(dynamics.scheme.step_size) == 0
    setting = "step_size=" if constant else "a schedule of step sizes up to "
    remedy = (
        f"{setting}{stable:.3g} stayed finite when tried for {n_steps} steps."
        if stable is not None
        else "no smaller step size helped: scale inputs, labels or initial law down."
    )
    return DivergenceError(
        f"The run with {setting}{largest:g} diverged at step {diverged.step} of "
        f"replica {diverged.replica}; {remedy}",
        step=diverged.step,
        replica=diverged.replica,
        stable_step_size=stable,
    )


def _stable_step_size(dynamics: Dynamics, start: NDArray[np.floating]) -> tuple[float | None, int]:
    """Halve the step size until a reduced run holds; return it and how long it was tried.

    To hold is to stay finite and, where a step size does it, not to end with a larger loss than at
    the start: a run that is on its way to infinity is finite for a while. The last trial has all
    particles and replicas, and half the step size again, for other sizes of the same study.
    """
    scheme = dynamics.scheme
    few = start[:_REPLICAS, :, :_PARTICLES]

    def steps(h: int, points: NDArray[np.floating], most: int) -> int:
        evaluations = points.shape[0] * points.shape[2] * dynamics.problem.n_data
        return min(scheme.n_steps << h, max(64, most // max(evaluations, _LEAST_PER_STEP)))

    def trial(h: int, n_steps: int) -> Dynamics:
        coarse = np.arange(n_steps) >> min(h, 62)
        finer = replace(
            scheme,
            n_steps=n_steps,
            step_size=np.ldexp(scheme.step_sizes[coarse], -h),
            temperature=scheme.temperatures[coarse],
            substeps=1,
        )
        drive = None if dynamics.drive is None else dynamics.drive[coarse]
        return replace(dynamics, scheme=finer, drive=drive)

    def holds(h: int, points: NDArray[np.floating], n_steps: int, learns: bool) -> bool:
        run = trial(h, n_steps)
        state = np.array(run.start(points), order="C")
        before = run.predictions(state)
        try:
            run.advance(state, 0, n_steps)
        except Diverged:
            return False
        if has_blown_up(state):
            return False
        risk = dynamics.problem.risk
        shape = (*before.shape[:2], *dynamics.problem.y.shape[1:])
        rose = risk(run.predictions(state).reshape(shape)) > ROSE * risk(before.reshape(shape))
        return not (learns and rose.any())

    largest = float(scheme.step_sizes.max())
    enough, learns = best_halvings(
        largest, lambda h, learns: holds(h, few, steps(h, few, _EVALUATIONS), learns)
    )
    for h in range(enough + 1, enough + 1 + _LAST_TRIALS) if enough else ():
        n_steps = steps(h, start, _EVALUATIONS)
        if holds(h, start, n_steps, learns):
            return math.ldexp(largest, -h), n_steps
    return None, 0


def best_halvings(step_size: float, holds: Callable[[int, bool], bool]) -> tuple[int | None, bool]:
    """Return the halvings after which a run learns, or at least stays finite, and which it is.

    ``holds(h, learns)`` tries h halvings, and asks for a loss that did not rise where `learns`.
    """
    for learns in (True, False):

        def tried(h: int, learns: bool = learns) -> bool:
            return holds(h, learns)

        found = halvings(step_size, tried)
        if found is not None:
            return found, learns
    return None, False


def halvings(step_size: float, holds: Callable[[int], bool]) -> int | None:
    """Return the fewest halvings after which a run stays finite, assuming that fewer do not.

    ``holds(h)`` tries h ≥ 1 of them. Their number is doubled until it is enough, then bisected:
    about 2 log₂ h trials for h halvings, so that a step size far off costs little more than one
    nearby. None if even the smallest step size tried diverged.
    """
    most = max(math.frexp(step_size)[1], 0) - _LEAST_EXPONENT
    failed, enough = 0, 1
    while not holds(enough):
        if enough == most:
            return None
        failed, enough = enough, min(2 * enough, most)
    while enough - failed > 1:
        middle = (failed + enough) // 2
        if holds(middle):
            enough = middle
        else:
            failed = middle
    return enough
