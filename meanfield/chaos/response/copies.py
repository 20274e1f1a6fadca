"""Copies of the limit: large systems, with the paths of some of their particles."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from meanfield.flow.dynamics import Diverged, Dynamics
from meanfield.flow.initial_state import initial_state
from meanfield.flow.step_size_search import divergence_error, has_blown_up

if TYPE_CHECKING:
    from meanfield.chaos.response.elsewhere import Elsewhere
    from meanfield.chaos.response.sources import Sources
    from meanfield.flow.scheme import Scheme
    from meanfield.problem import Problem

Array = NDArray[np.floating]

#: Noise index of the first system, away from the replicas and the clouds of every study.
FIRST_SYSTEM = 2**31 + 2**30
_ROWS = 2048  # particles whose features are held at a time


@dataclass(frozen=True)
class Copies:
    """One system of many particles, of which the paths of M are kept.

    Attributes
    ----------
    positions : ndarray, shape (T + 1, C, M)
        The first M particles at every step.
    predictions : ndarray, shape (T + 1, n, k)
        The mean-field predictions.
    scores : ndarray, shape (size, q)
        Scores of all particles, see `Sources`.
    outside : dict
        At the steps that are asked for, ``tr Cov ψ`` outside the basis.
    elsewhere : dict
        At these steps, the variance at other inputs, if any.
    """

    positions: Array
    predictions: Array
    scores: Array
    outside: dict[int, float]
    elsewhere: dict[int, float]


def simulate_copies(
    problem: Problem,
    scheme: Scheme,
    index: int,
    *,
    size: int,
    kept: int,
    times: list[int],
    sources: Sources | None = None,
    drive: Array | None = None,
    elsewhere: Elsewhere | None = None,
) -> Copies:
    """Simulate system number `index` of `size` particles.

    They are driven by the predictions (T + 1, n, k), if given, else by their own.
    """
    n, k, T = problem.n_data, problem.n_outputs, scheme.n_steps
    dynamics = Dynamics(
        problem,
        scheme,
        first_replica=FIRST_SYSTEM + index,
        drive=None if drive is None else np.ascontiguousarray(drive[:T]),
    )
    start = initial_state(dynamics, size, 1)
    state = np.array(dynamics.start(start))
    positions = np.empty((T + 1, problem.n_coordinates, kept), np.float32)
    predictions = np.empty((1, T + 1, n, k))
    score = {} if sources is None else sources.score
    scores = np.zeros((size, next(iter(score.values())).shape[1] if score else 0))
    outside, variance = {}, {}
    for t in range(T + 1):
        now = state[0, : problem.n_coordinates]
        positions[t] = now[:, :kept]
        if sources is not None and t in score:
            left = _read(sources, now, score[t], scores)
            if t in times:
                outside[t] = left
        if elsewhere is not None and t in times:
            variance[t] = elsewhere.variance(now)
        if t < T:
            try:
                dynamics.advance(state, t, t + 1, predictions[:, t : t + 1])
            except Diverged as diverged:
                raise divergence_error(dynamics, start, diverged) from None
    if has_blown_up(state):
        raise divergence_error(dynamics, start, Diverged(T, 0))
    predictions[:, -1] = dynamics.predictions(state)
    path = predictions[0] if drive is None else drive
    return Copies(positions, path, scores, outside, variance)


def _read(sources: Sources, positions: Array, score: Array, scores: Array) -> float:
    """Add a step's part to the scores; return the variance of ψ outside the basis."""
    basis, size = sources.basis, positions.shape[1]
    inside, total = np.zeros((2, basis.shape[1])), np.zeros((2, len(basis)))
    for first in range(0, size, _ROWS):
        part = slice(first, first + _ROWS)
        psi = sources.linearisation.features(positions[:, part])
        seen = psi @ basis
        scores[part] += seen @ score
        for sums, values in ((inside, seen), (total, psi)):
            sums += values.sum(axis=0, dtype=float), np.square(values).sum(axis=0, dtype=float)
    left = [(square - sum_**2 / size).sum() for sum_, square in (total, inside)]
    return max(0.0, float(left[0] - left[1])) / (size - 1)
