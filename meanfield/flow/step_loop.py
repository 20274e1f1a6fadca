"""The loop over steps: saved states, progress and checkpoints around the compiled calls."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from meanfield.flow.checkpoint import Checkpoint
from meanfield.flow.dynamics import Diverged, Dynamics
from meanfield.flow.particles import as_particles
from meanfield.flow.step_size_search import divergence_error, has_blown_up
from meanfield.flow.watch import Collector
from meanfield.system.progress import Progress

Array = NDArray[np.floating]

# A call into compiled code cannot be interrupted; each one is kept near this length.
_SECONDS_PER_CALL = 0.3
# Predictions of one call that are kept until they are summed up.
_PREDICTIONS_PER_CALL = 2**22


def run_steps(
    dynamics: Dynamics,
    start: Array,
    save_at: NDArray[np.int64],
    *,
    first_step: int = 0,
    path: Array | None = None,
    summed_up: Callable[[Array], Array] | None = None,
    checkpoint: Checkpoint,
    progress: Progress | None = None,
    collectors: Sequence[Collector] = (),
) -> list[Array]:
    """Run all steps of `dynamics` and return the states (R, C, N) at the saved, ascending steps.

    `start` holds the particles at step `first_step` and is left as it is; `path` (R, n_steps, n, k)
    is filled with the predictions before every step or, (R, n_steps), with what `summed_up` makes
    of them, and with those of the end where it has a place more; `collectors` are shown the
    particles at their steps. A run that `checkpoint` holds is continued; one that leaves the finite
    numbers is a DivergenceError.
    """
    theta, step = np.array(dynamics.start(start)), first_step
    states: list[Array] = []
    stops = np.unique(np.concatenate([save_at, *(c.steps for c in collectors)]))

    def shown(step: int) -> None:
        if collectors:
            particles = as_particles(dynamics.problem, dynamics.positions(theta))
            for collector in collectors:
                collector.take(particles, step)

    shown(first_step)

    def kept(step: int) -> dict[str, Array]:
        """The arrays of a checkpoint; before there are states, their types and shapes."""
        n = int(np.searchsorted(save_at, step))
        arrays = {"theta": theta, "states": np.empty((n, *start.shape), theta.dtype)}
        if states and n:
            arrays["states"][:] = states[:n]
        for collector in collectors:
            assert collector.values is not None
            arrays[f"observed {collector.name}"] = collector.values
        return arrays if path is None else {**arrays, "path": path[:, :step]}

    resumed = checkpoint.load(kept, range(first_step, dynamics.scheme.n_steps + 1))
    if resumed is not None:
        arrays, step = resumed
        theta, states = arrays["theta"], list(arrays["states"])
        for collector in collectors:
            collector.values = arrays[f"observed {collector.name}"]
        if path is not None:
            path[:, :step] = arrays["path"]

    shape = (len(theta), dynamics.problem.n_data, dynamics.problem.n_outputs)
    most = dynamics.scheme.n_steps
    if summed_up is not None:
        most = max(1, _PREDICTIONS_PER_CALL // math.prod(shape))
    for first, last in _calls(step, dynamics.scheme.n_steps, stops, most):
        if len(states) < len(save_at) and save_at[len(states)] == first:
            states.append(dynamics.positions(theta).copy())
        if first in stops:
            shown(first)
        predictions = None if path is None else path[:, first:last]
        if summed_up is not None:
            predictions = np.empty((shape[0], last - first, *shape[1:]))
        try:
            dynamics.advance(theta, first, last, predictions)
        except Diverged as diverged:
            raise divergence_error(dynamics, start, diverged) from None
        if path is not None and predictions is not None and summed_up is not None:
            path[:, first:last] = summed_up(predictions)
        if checkpoint.due():
            checkpoint.save(kept(last), last)
        if progress is not None:
            progress(last, dynamics.scheme.n_steps)
    if has_blown_up(theta):
        replica = int(np.abs(theta).max(axis=(1, 2)).argmax())
        lost = Diverged(dynamics.scheme.n_steps, replica)
        raise divergence_error(dynamics, start, lost)
    if len(states) < len(save_at):
        states.append(dynamics.positions(theta).copy())
    shown(dynamics.scheme.n_steps)
    if path is not None and path.shape[1] > dynamics.scheme.n_steps:
        end = dynamics.predictions(theta)
        path[:, -1] = end if summed_up is None else summed_up(end)
    checkpoint.save(kept(dynamics.scheme.n_steps), dynamics.scheme.n_steps)
    return states


def _calls(
    step: int, n_steps: int, stops: NDArray[np.int64], most: int
) -> Iterator[tuple[int, int]]:
    """Yield ranges of at most so many steps that end at the stops and take similar times."""
    length = 1
    while step < n_steps:
        stop = stops[np.searchsorted(stops, step, side="right") :]
        last = min(step + length, n_steps, *stop[:1].tolist())
        begin = time.monotonic()
        yield step, last
        elapsed = time.monotonic() - begin
        if last - step == length and elapsed < _SECONDS_PER_CALL:
            length = min(2 * length, most)
        elif elapsed > 2 * _SECONDS_PER_CALL:
            length = max(1, length // 2)
        step = last
