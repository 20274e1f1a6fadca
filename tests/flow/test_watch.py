"""What is watched in a run: the same numbers as from kept particles, at no other bits."""

from __future__ import annotations

import numpy as np
import pytest

import meanfield as mf
from meanfield.errors import CheckpointError

X = np.random.default_rng(0).normal(size=(15, 2))
PROBLEM = mf.Problem(X, np.sin(X[:, 0]), temperature=0.01)
OPTIONS = {"n_particles": 40, "step_size": 0.1, "n_steps": 30, "n_replicas": 3, "seed": 2}
DIRECTION = np.array([0.6, 0.8])


def overlap(particles):
    """⟨w, u⟩ averaged: one number."""
    return (particles.w @ DIRECTION).mean()


def second_moment(particles):
    """A matrix, with the axis of the replica left in front."""
    return np.einsum("rni,rnj->rij", particles.w, particles.w) / particles.n_particles


def test_observed_is_what_kept_particles_give():
    watched = {"overlap": overlap, "moment": second_moment, "weights": lambda p: p.a[0]}
    run = mf.simulate(PROBLEM, **OPTIONS, observe=watched, observe_at=[0, 7, 8, 30])
    kept = mf.simulate(PROBLEM, **OPTIONS, save_at=[0, 7, 8, 30])
    np.testing.assert_array_equal(run.particles.coordinates, kept.particles.coordinates)
    np.testing.assert_array_equal(run.observed_steps, [0, 7, 8, 30])
    w = np.stack([p.w for p in kept.trajectory], axis=1)  # (R, T, N, d)
    np.testing.assert_allclose(run.observed["overlap"], (w @ DIRECTION).mean(axis=2), rtol=1e-13)
    moment = np.einsum("rtni,rtnj->rtij", w, w) / 40
    np.testing.assert_allclose(run.observed["moment"], moment, rtol=1e-13)
    np.testing.assert_array_equal(
        run.observed["weights"], np.stack([p.a for p in kept.trajectory], axis=1)
    )
    dataset = run.to_xarray()
    assert dataset["observed_moment"].dims[:2] == ("replica", "observed_step")
    np.testing.assert_allclose(dataset["observed_time"], [0.0, 0.7, 0.8, 3.0])


def test_a_function_that_changes_what_it_sees_trains_nothing_else():
    def size(particles):
        for values in (particles.a, particles.w, particles.b):
            values[...] = 0.0
        return 1.0

    watched = mf.simulate(PROBLEM, **OPTIONS, observe={"size": size, "overlap": overlap})
    plain = mf.simulate(PROBLEM, **OPTIONS, observe={"overlap": overlap})
    np.testing.assert_array_equal(watched.particles.coordinates, plain.particles.coordinates)
    np.testing.assert_array_equal(watched.observed["overlap"], plain.observed["overlap"])


def test_by_default_a_hundred_steps_are_observed():
    run = mf.simulate(PROBLEM, **OPTIONS, observe={"overlap": overlap})
    np.testing.assert_array_equal(run.observed_steps, np.arange(31))
    long = mf.simulate(PROBLEM, **{**OPTIONS, "n_steps": 1000}, observe={"overlap": overlap})
    assert len(long.observed_steps) == 101
    assert long.observed_steps[[0, -1]].tolist() == [0, 1000]


def test_a_checkpoint_continues_what_is_observed(tmp_path):
    file = tmp_path / "run.h5"

    class Killed(Exception):
        pass

    def interrupt(done, total):
        if done >= 12:
            raise Killed

    from meanfield.flow.checkpoint import Checkpoint

    watched = {"observe": {"overlap": overlap}, "checkpoint": file}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Checkpoint, "due", lambda self: True)
        with pytest.raises(Killed):
            mf.simulate(PROBLEM, **OPTIONS, **watched, progress=interrupt)
    resumed = mf.simulate(PROBLEM, **OPTIONS, **watched)
    whole = mf.simulate(PROBLEM, **OPTIONS, observe={"overlap": overlap})
    np.testing.assert_array_equal(resumed.observed["overlap"], whole.observed["overlap"])
    assert np.isfinite(resumed.observed["overlap"]).all()
    with pytest.raises(CheckpointError):
        mf.simulate(PROBLEM, **OPTIONS, checkpoint=file, observe={"other": overlap})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"observe": overlap}, "observe must be functions of the particles by name"),
        ({"observe": {"x": 3}}, "observe must map names to functions"),
        ({"observe": {"x": lambda p: "a"}}, "has 'x' return"),
        ({"observe": {"x": lambda p: np.zeros(int(p.w[0, 0, 0] > 0))}}, "return one shape"),
        ({"observe": {"x": overlap}, "observe_at": [31]}, "observe_at must hold steps from 0 to"),
        ({"observe_at": [3]}, "observe does not say what"),
    ],
)
def test_what_cannot_be_observed(options, message):
    with pytest.raises((ValueError, TypeError), match=message):
        mf.simulate(PROBLEM, **OPTIONS, **options)
