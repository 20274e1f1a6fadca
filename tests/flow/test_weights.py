"""Weights of the data: what repeating a datum gives, and no change at all where all weigh alike."""

from __future__ import annotations

import numpy as np
import pytest

from meanfield.flow.dynamics import Dynamics
from meanfield.flow.scheme import Scheme
from meanfield.problem import Problem

LABELS = {
    "squared": lambda rng: rng.normal(size=7),
    "logistic": lambda rng: np.where(rng.random(7) < 0.5, -1.0, 1.0),
    "cross-entropy": lambda rng: np.array([0, 1, 2, 0, 1, 2, 2]),
}


def advanced(problem, start, weights=None):
    scheme = Scheme.of(problem, step_size=0.3, n_steps=20, temperature=0.01, seed=3)
    dynamics = Dynamics(problem, scheme, weights=weights)
    theta = start.copy()
    dynamics.advance(theta, 0, 20)
    return theta


@pytest.mark.parametrize("loss", LABELS)
def test_whole_weights_are_repetitions_and_zero_is_absence(loss):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(7, 2)), LABELS[loss](rng)
    times = np.array([1, 3, 2, 1, 0, 2, 1])
    problem = Problem(X, y, loss=loss)
    start = rng.normal(size=(2, problem.n_coordinates, 70))
    weighted = advanced(problem, start, weights=times / times.mean())
    repeated = advanced(Problem(X.repeat(times, 0), y.repeat(times), loss=loss), start)
    np.testing.assert_allclose(weighted, repeated, rtol=1e-11, atol=1e-12)
    plain = advanced(problem, start)
    assert abs(weighted - plain).max() > 1e-3
    np.testing.assert_array_equal(plain, advanced(problem, start, weights=np.ones(7)))


def test_weights_enter_the_fingerprint():
    problem = Problem(np.eye(2), [0.0, 1.0])
    start, steps = np.zeros((1, 4, 1)), np.array([1])
    scheme = Scheme.of(problem, step_size=0.1, n_steps=1)
    prints = {
        Dynamics(problem, scheme, weights=weights).fingerprint(start, steps)
        for weights in (None, np.array([1.0, 1.0]), np.array([0.5, 1.5]))
    }
    assert len(prints) == 3
