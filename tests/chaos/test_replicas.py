"""Replicas that hold the same work of every size."""

import numpy as np
import pytest

import meanfield as mf
from meanfield.chaos.chaos_plan import FURTHER, plan_chaos
from meanfield.chaos.measure_rates import measure
from meanfield.chaos.reference_path import reference_path
from meanfield.flow.simulate import simulate_scheme


def plan_of(counts, n_replicas=4, **more):
    X = np.random.default_rng(2).normal(size=(8, 2))
    problem = mf.Problem(X, np.tanh(X[:, 0] - X[:, 1]), l2=0.1, temperature=0.05)
    scheme = mf.Scheme.of(problem, step_size=0.3, n_steps=12)
    return plan_chaos(problem, scheme, counts, n_replicas, times=[4, 12], cloud_replicas=0, **more)


@pytest.mark.parametrize(
    ("counts", "systems"),
    [
        ([64, 128, 256, 512], (8, 4, 2, 1)),
        ([16, 32, 64, 128, 256], (4, 4, 4, 2, 1)),  # a step takes 64 particles at once
        ([8, 16, 32], (1, 1, 1)),
        ([100, 150, 390], (3, 2, 1)),
    ],
)
def test_systems_of_each_size(counts, systems):
    assert plan_of(counts).systems == systems


def test_work_is_that_of_systems_and_copies():
    """1, 2 and 4 systems of 256, 128 and 64 particles; copies 256, 128 and two of 64."""
    assert plan_of([64, 128, 256]).work == 3 * 256 + 256 + 128 + 2 * 64


def test_metrics_are_means_over_systems_of_their_own_noise():
    """Three systems of 64 particles: one with the replica's own noise, two with further noise."""
    plan = plan_of([64, 100, 210])
    assert plan.systems == (3, 2, 1)
    path = reference_path(plan, n_particles=500)
    found = measure(plan, path, range(2, 4))
    settings = {"save_at": [4, 12]}
    replica, apart = 3, FURTHER // 2
    expected = []
    # The level of the second system holds one of a replica, that of the third one more.
    for index in (replica, FURTHER + replica, FURTHER + apart + replica):
        here = settings | {"first_replica": index}
        run = simulate_scheme(plan.problem, plan.scheme, 64, **here)
        copies = simulate_scheme(plan.problem, plan.scheme, 64, drive=path, **here)
        gap = run.particles.coordinates[0] - copies.particles.coordinates[0]
        error = run.predictions[0, -1] - path.predictions[12]
        expected.append((np.square(gap).sum(1).mean(), np.square(error).mean()))
    coupling, function = np.mean(expected, axis=0)
    assert found["coupling"][0, -1, 1] == pytest.approx(coupling, rel=1e-12)
    assert found["function"][0, -1, 1] == pytest.approx(function, rel=1e-12)


def test_noise_of_systems_is_their_own():
    plan = plan_of([64, 128, 256])
    path = reference_path(plan, n_particles=500)
    values = measure(plan, path, range(4))["function"][0, -1]
    assert len(np.unique(values)) == 4
    one = plan_of([64, 65, 66])
    single = measure(one, path, range(4))["function"][0, -1]
    assert not np.isin(single, values).any()


def test_parts_of_the_replicas_do_not_matter():
    plan = plan_of([16, 64, 128, 256], 6)
    path = reference_path(plan, n_particles=500)
    whole = measure(plan, path, range(6), keep=3)
    parts = [measure(plan, path, part, keep=3) for part in (range(1), range(1, 4), range(4, 6))]
    for name, values in whole.items():
        if name == "networks":
            joined = np.concatenate([part[name] for part in parts if name in part])
        else:
            joined = np.concatenate([part[name] for part in parts], axis=2)
        np.testing.assert_array_equal(joined, values, err_msg=name)


def test_networks_kept_are_those_of_the_replica():
    plan = plan_of([64, 128, 256])
    path = reference_path(plan, n_particles=500)
    kept = measure(plan, path, range(4), keep=2)["networks"]
    run = simulate_scheme(plan.problem, plan.scheme, 256, 2)
    np.testing.assert_array_equal(kept, run.particles.coordinates)


def test_more_replicas_than_there_is_noise_for():
    with pytest.raises(ValueError, match=r"n_replicas times the largest .* got 9000 for 131072"):
        plan_of([32, 64, 131072], 9000)
