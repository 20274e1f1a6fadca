"""What to tell a user whose run diverged: a step size that was tried and held."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from meanfield.errors import DivergenceError
from meanfield.flow.dynamics import Diverged, Dynamics

# The trials repeat at most this much of the run.
_PARTICLES = 1024
_STEPS = 4096
_HALVINGS = 12


def divergence_error(
    dynamics: Dynamics, start: NDArray[np.floating], diverged: Diverged
) -> DivergenceError:
    """Return the error for a run that left the finite numbers.

    Parameters
    ----------
    dynamics : Dynamics
        The run.
    start : ndarray, shape (R, C, N)
        Its state at step 0.
    diverged : Diverged
        Where it happened.

    Returns
    -------
    DivergenceError
        With a step size for which the diverging replica stayed finite for twice as long.
    """
    replica, step = diverged.replica, diverged.step
    stable = _stable_step_size(dynamics, start[replica : replica + 1], replica, step)
    remedy = (
        f"step_size={stable:.3g} stayed finite when tried over twice that time."
        if stable is not None
        else f"no step size down to {dynamics.step_size / 2**_HALVINGS:.1g} helped: scale the "
        "inputs or the initial law down, or raise l2."
    )
    return DivergenceError(
        f"The run with step_size={dynamics.step_size:g} diverged at step {step} of replica "
        f"{replica}; {remedy}",
        step=step,
        replica=replica,
        stable_step_size=stable,
    )


def _stable_step_size(dynamics, start, replica, step) -> float | None:
    """Halve the step size until the replica survives twice the time it lived."""
    start = start[:, :, :_PARTICLES]
    for halvings in range(1, _HALVINGS + 1):
        refinement = 2**halvings
        n_steps = min(2 * (step + 1) * refinement, _STEPS)
        coarse = np.minimum(np.arange(n_steps) // refinement, dynamics.n_steps - 1)
        trial = replace(
            dynamics,
            step_size=dynamics.step_size / refinement,
            temperatures=dynamics.temperatures[coarse],
            drive=None if dynamics.drive is None else dynamics.drive[coarse],
            first_replica=dynamics.first_replica + replica,
            substeps=1,
        )
        try:
            trial.advance(np.array(start, order="C"), 0, n_steps)
        except Diverged:
            continue
        return trial.step_size
    return None
