"""A run as an iterator: the states of `simulate`, and why it ends."""

from __future__ import annotations

import numpy as np
import pytest

import meanfield as mf

X = np.random.default_rng(0).normal(size=(15, 2))
PROBLEM = mf.Problem(X, np.sin(X[:, 0]), temperature=0.01)
OPTIONS = {"n_particles": 40, "step_size": 0.1, "n_replicas": 3, "seed": 2}


def test_the_states_are_those_of_a_run():
    run = mf.simulate(PROBLEM, **OPTIONS, n_steps=20, save_at=[0, 8, 16, 20])
    states = list(mf.iterate(PROBLEM, **OPTIONS, n_steps=20, every=8))
    assert [state.step for state in states] == [0, 8, 16, 20]
    assert [state.stopped for state in states] == ["", "", "", "n_steps"]
    for state, particles, loss in zip(states, run.trajectory, run.loss.T, strict=True):
        np.testing.assert_array_equal(state.particles.coordinates, particles.coordinates)
        np.testing.assert_allclose(state.loss, loss, rtol=1e-13)
    assert states[1].time == pytest.approx(0.8)
    np.testing.assert_allclose(states[-1].predictions, run.predictions[:, -1], rtol=1e-13)


def test_it_stops_once_the_loss_falls_no_more():
    still = PROBLEM.replace(temperature=0.0, l2=0.1)
    states = list(mf.iterate(still, 40, 0.2, 5000, every=5, tolerance=0.01, patience=50, seed=1))
    last, losses = states[-1], np.array([state.loss.mean() for state in states])
    assert last.stopped == "tolerance"
    assert last.step < 5000
    # Nothing better than by one per cent in the last 50 steps, but before.
    assert losses[-11:].min() >= 0.99 * losses[:-10].min()
    assert losses[-12] < losses[0]


def test_it_stops_after_its_time():
    states = list(mf.iterate(PROBLEM, **OPTIONS, n_steps=10**6, max_seconds=1e-9))
    assert [(state.step, state.stopped) for state in states] == [(0, "max_seconds")]


def test_velocities_and_schedules_go_on():
    settings = {"integrator": "kinetic", "step_size": np.linspace(0.1, 0.02, 12)}
    run = mf.simulate(PROBLEM, **{**OPTIONS, **settings}, n_steps=12)
    *_, state = mf.iterate(PROBLEM, **{**OPTIONS, **settings}, n_steps=12, every=5)
    np.testing.assert_array_equal(state.particles.coordinates, run.particles.coordinates)
    assert state.time == pytest.approx(settings["step_size"].sum())


def test_divergence_is_told_as_by_a_run(brief_trials):
    with pytest.raises(mf.DivergenceError):
        for _ in mf.iterate(PROBLEM.replace(activation="he3"), 40, 5.0, 200, seed=1):
            pass


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"every": 0}, "every must be"),
        ({"tolerance": 1.0}, "tolerance must be below 1"),
        ({"patience": 0}, "patience must be"),
        ({"max_seconds": -1}, "max_seconds must be"),
        ({"init": 3}, "init must be"),
    ],
)
def test_arguments_are_checked_at_the_call(options, message):
    with pytest.raises((ValueError, TypeError), match=message):
        mf.iterate(PROBLEM, 40, 0.1, 10, **options)
