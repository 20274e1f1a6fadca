"""What to tell a user whose run diverged: a step size that was tried and held."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from meanfield.errors import DivergenceError
from meanfield.flow.dynamics import Diverged, Dynamics

# The trials repeat the run as far as this many neuron evaluations allow.
_EVALUATIONS = 2**30
_PARTICLES = 1024
_REPLICAS = 16
_HALVINGS = 60


def divergence_error(
    dynamics: Dynamics, start: NDArray[np.floating], diverged: Diverged
) -> DivergenceError:
    """Return the error for a run that left the finite numbers.

    Parameters
    ----------
    dynamics : Dynamics
        The run.
    start : ndarray, shape (R, C, N)
        Its particles at step 0.
    diverged : Diverged
        Where it happened.

    Returns
    -------
    DivergenceError
        With a step size for which the run, tried again, stayed finite.
    """
    stable, n_steps = _stable_step_size(dynamics, start)
    largest = dynamics.step_sizes.max()
    constant = np.all(dynamics.step_sizes == largest)
    setting = "step_size=" if constant else "a schedule of step sizes up to "
    remedy = (
        f"{setting}{stable:.3g} stayed finite when tried for {n_steps} steps."
        if stable is not None
        else f"no step size down to {largest / 2**_HALVINGS:.1g} helped: scale the "
        "inputs or the initial law down."
    )
    return DivergenceError(
        f"The run with {setting}{largest:g} diverged at step {diverged.step} of "
        f"replica {diverged.replica}; {remedy}",
        step=diverged.step,
        replica=diverged.replica,
        stable_step_size=stable,
    )


def _stable_step_size(dynamics, start) -> tuple[float | None, int]:
    """Halve the step size until a reduced run holds; return it and how long it was tried."""
    start = start[:_REPLICAS, :, :_PARTICLES]
    evaluations = start.shape[0] * start.shape[2] * dynamics.problem.n_data
    affordable = max(64, _EVALUATIONS // evaluations)
    for halvings in range(1, _HALVINGS + 1):
        refinement = 2**halvings
        n_steps = min(dynamics.n_steps * refinement, affordable)
        coarse = np.arange(n_steps) // refinement
        trial = replace(
            dynamics,
            step_size=dynamics.step_sizes[coarse] / refinement,
            temperatures=dynamics.temperatures[coarse],
            drive=None if dynamics.drive is None else dynamics.drive[coarse],
            substeps=1,
        )
        try:
            trial.advance(np.array(trial.start(start), order="C"), 0, n_steps)
        except Diverged:
            continue
        return float(dynamics.step_sizes.max()) / refinement, n_steps
    return None, 0
