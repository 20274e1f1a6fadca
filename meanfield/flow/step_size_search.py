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
#: The search ends at 2^-60, or as far below the step size that diverged.
_LEAST_EXPONENT = -60


def divergence_error(
    dynamics: Dynamics, start: NDArray[np.floating], diverged: Diverged
) -> DivergenceError:
    """Return the error for a run from `start` (R, C, N) that left the finite numbers.

    It carries a step size for which the run, tried again, stayed finite.
    """
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
    """Halve the step size until a reduced run holds; return it and how long it was tried."""
    scheme = dynamics.scheme
    start = start[:_REPLICAS, :, :_PARTICLES]
    evaluations = start.shape[0] * start.shape[2] * dynamics.problem.n_data
    affordable = max(64, _EVALUATIONS // max(evaluations, _LEAST_PER_STEP))

    def trial(h: int) -> Dynamics:
        n_steps = min(scheme.n_steps << h, affordable)
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

    def holds(h: int) -> bool:
        run = trial(h)
        try:
            run.advance(np.array(run.start(start), order="C"), 0, run.scheme.n_steps)
        except Diverged:
            return False
        return True

    largest = float(scheme.step_sizes.max())
    h = halvings(largest, holds)
    return (None, 0) if h is None else (math.ldexp(largest, -h), trial(h).scheme.n_steps)


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
