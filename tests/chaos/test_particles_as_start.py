"""Rates and limits from particles that are there: their empirical law is the law at time 0."""

import numpy as np
import pytest

import meanfield as mf
from meanfield.flow.initial import EmpiricalLaw


@pytest.fixture(scope="module")
def problem():
    X = np.random.default_rng(0).normal(size=(16, 2))
    return mf.Problem(X, np.tanh(X[:, 0]), l2=0.05, temperature=0.02)


@pytest.fixture(scope="module")
def trained(problem):
    return mf.simulate(problem, 40, 0.2, 30, n_replicas=2, seed=9).particles


def test_neurons_are_picked_from_all_the_particles_and_are_those_of_larger_systems(
    problem, trained
):
    law = EmpiricalLaw(particles=trained)
    pool = trained.coordinates.reshape(80, -1)
    few, many = (law.sample(problem, n, seed=3, replica=1).T for n in (500, 4000))
    np.testing.assert_array_equal(few, many[:500])
    picked = (many[:, None] == pool).all(axis=2)
    assert (picked.sum(axis=1) == 1).all()
    # Each is picked as often as the others: chi squared of 79 degrees of freedom.
    counts = picked.sum(axis=0)
    assert ((counts - 50.0) ** 2 / 50).sum() < 130
    other = law.sample(problem, 500, seed=3, replica=2).T
    assert (few != other).any()


def test_every_system_and_the_reference_start_there(problem, trained):
    settings = {"step_size": 0.2, "n_steps": 20, "init": trained, "seed": 1}
    path = mf.mean_field(problem, n_particles=20000, **settings)
    start = mf.predict(problem, trained, problem.X).mean(axis=0)
    spread = mf.predict(problem, trained, problem.X).std() + 1.0
    np.testing.assert_allclose(path.predictions[0], start, atol=5 * spread / np.sqrt(20000))
    rates = mf.chaos_rates(problem, [16, 32, 64], 24, **settings)
    low, high = rates.slope_ci["coupling"]
    assert low < -1 < high < -0.5
    # A path of the same start serves, one from another does not.
    mf.chaos_rates(problem, [8, 16, 32], 4, reference=path, cloud_replicas=0, **settings)
    other = settings | {"init": trained[:1]}
    with pytest.raises(ValueError, match="reference was computed for init="):
        mf.chaos_rates(problem, [8, 16, 32], 4, reference=path, cloud_replicas=0, **other)


def test_a_reference_without_particles_refuses_them(problem, trained):
    small = mf.Problem(problem.X[:, :1], problem.y, bias=False, train=["w"], l2=0.1)
    start = mf.simulate(small, 30, 0.1, 1).particles
    settings = {"step_size": 0.1, "n_steps": 5, "init": start, "cloud_replicas": 0}
    for method in ("chain", "fokker-planck", "gaussian"):
        linear = small.replace(activation="identity")
        with pytest.raises(ValueError, match=r"got 'particles'.*method='particles'"):
            mf.chaos_rates(linear, [4, 8, 16], 4, reference=method, **settings)
    rates = mf.chaos_rates(small, [4, 8, 16], 4, **settings)  # "auto" takes the large system
    assert rates.dataset.attrs["reference"] == "particles"


def test_particles_of_another_network_and_infinite_ones_are_refused(problem, trained):
    other = mf.Particles(trained.a, trained.w, None)
    with pytest.raises(ValueError, match="init has"):
        mf.chaos_rates(problem, [4, 8, 16], 4, init=other)
    broken = mf.Particles(trained.a * np.inf, trained.w, trained.b)
    with pytest.raises(ValueError, match="init holds NaN or infinite"):
        mf.mean_field(problem, init=broken)


def test_the_other_measurements_take_them_too(problem, trained):
    budget = mf.decompose_error(
        problem,
        lambda X: np.tanh(X[:, 0]),
        n_particles=8,
        n_steps=5,
        n_replicas=4,
        n_population=64,
        long_particles=32,
        path_particles=64,
        settle_steps=20,
        data_counts=[8, 32],
        init=trained,
    )
    assert budget.total.value > 0
