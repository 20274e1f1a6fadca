"""How long particles take, and how that is said: for progress bars, and before the work starts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meanfield.flow.minibatch import BATCH_SIZE
from meanfield.flow.scheme import Scheme

if TYPE_CHECKING:
    from meanfield.problem import Problem

# Of two threads on two cores: what one on its own would take, over what they take.
_SPEED_OF_TWO = 1.6
# Seconds of one core from which on gradients over all data are not taken unasked.
_WORTH_BATCHES = 60


def evaluation_seconds(problem: Problem, dtype: str = "float64") -> float:
    """Return what one neuron takes for its gradient at one row: 1 + 0.07 d + 0.4 k ns of a core."""
    single = 0.5 if dtype == "float32" else 1.0
    return single * (1 + 0.07 * problem.n_features + 0.4 * problem.n_outputs) * 1e-9


def training_seconds(
    problem: Problem, scheme: Scheme, particle_steps: float, particle_looks: float = 0.0
) -> float:
    """Return what steps of particles take on one core.

    `particle_looks` counts the particles whose outputs are computed for all rows.
    """
    n = problem.n_data
    share = 1.0 if scheme.minibatch is None else min(1.0, scheme.minibatch.cost(n))
    rows = n * (share * particle_steps + 0.5 * particle_looks)
    return rows * evaluation_seconds(problem, scheme.dtype)


def chosen_batch_size(problem: Problem, particle_steps: float) -> int | None:
    """Return the size of minibatches where nobody gives one: None, for all data, if that is cheap.

    A rule of the sizes alone, so that every machine chooses alike.
    """
    n = problem.n_data
    whole = n * particle_steps * evaluation_seconds(problem)
    return BATCH_SIZE if n >= 4 * BATCH_SIZE and whole > _WORTH_BATCHES else None


def elapsed_seconds(seconds: float, cores: int) -> float:
    """Return what work of so many seconds on one core takes on several."""
    return seconds / max(1.0, _SPEED_OF_TWO / 2 * cores)


def in_words(seconds: float) -> str:
    """Return a time as a person says it, to what such an estimate is worth."""
    minutes = seconds / 60
    if minutes < 1.5:
        return "about a minute"
    if minutes < 90:
        return f"about {minutes:.0f} min"
    hours = minutes / 60
    return f"about {hours:.0f} h" if hours < 72 else f"about {hours / 24:.0f} days"


def duration(seconds: float) -> str:
    """Return a length of time in the units that a person would use."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
