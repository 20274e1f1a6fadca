"""A program of a user's, for the type checker: what it assigns is what the package promises."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

import meanfield as mf


def study(X: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    """Use the public names as the README does."""
    problem: mf.Problem = mf.Problem(X, y, activation="tanh", l2=(0.1, 0.2), temperature=0.05)
    run: mf.Run = mf.simulate(problem, n_particles=64, step_size=0.2, n_steps=50, n_replicas=4)
    particles: mf.Particles = run.particles.first(8)[0]
    state: dict[str, NDArray[np.floating]] = particles.to_state_dict()
    back: mf.Particles = mf.Particles.from_state_dict(state)
    rates: mf.ChaosRates = mf.chaos_rates(problem, [16, 32, 64], n_replicas=8)
    slope: float = rates.slope["matched_w2"]
    low, high = rates.slope_ci["matched_w2"]
    model = mf.MeanFieldRegressor(50, activation="relu", random_state=0)
    outputs: NDArray[np.floating] = model.fit(X, y).predict(X)
    return slope + low + high + float(outputs.sum()) + back.n_particles
