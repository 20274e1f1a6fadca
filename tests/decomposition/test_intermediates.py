"""The intermediates: held against exact results, and each component gone with its cause."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

import meanfield as mf
from meanfield.decomposition import intermediates
from meanfield.decomposition.compress import compress
from meanfield.decomposition.truncated_target import held_out_estimate, truncate_target
from meanfield.flow.particles import Particles
from meanfield.problem import HermiteTarget, Teacher
from tests.decomposition.by_keyword import plan_errors

TEACHER = Teacher([1.0], [[1.5]])
LINE = np.linspace(-2, 2, 16)[:, None]


def line_plan(l2=0.1, temperature=0.02, **options):
    """A plan on the line, where the stationary law is known by quadrature."""
    problem = mf.Problem(LINE, TEACHER(LINE), bias=False, l2=l2, temperature=temperature)
    options = {
        "n_particles": 32,
        "n_steps": 40,
        "n_atoms": 2,
        "n_replicas": 4,
        "n_population": 256,
        "data_counts": [8, 128],
        "long_particles": 512,
        "path_particles": 512,
        "n_test": 50,
        **options,
    }
    return plan_errors(problem, TEACHER, **options)


def rms(f):
    return float(np.sqrt((f**2).sum(axis=-1).mean()))


@pytest.fixture(scope="module")
def run():
    plan = line_plan()
    population = intermediates.population(plan)
    sets = intermediates.training_sets(plan, 0, population)
    return plan, population, sets, intermediates.dynamics(plan, 0, sets)


def test_population_network_is_the_stationary_law(run):
    plan, population, _, _ = run
    law = mf.stationary(plan.with_data(*plan.population))
    exact = law.predict(plan.X_test)[:, None]
    # What is left is the noise that fewer particles show, and the bias of the step size.
    own = rms(population["few_particles"].mean(axis=0) - population["prediction"])
    assert rms(population["prediction"] - exact) < 3 * own + 0.02 * rms(exact)


def test_long_time_network_of_a_training_set_is_its_stationary_law(run):
    plan, population, sets, _ = run
    at = plan.data_counts.index(16)
    law = mf.stationary(plan.training_set(0, 16))
    whole = mf.stationary(plan.with_data(*plan.population))
    exact = (whole.predict(plan.X_test) - law.predict(plan.X_test))[:, None]
    found = sets["differences"][at]
    # The difference is far sharper than either network: the noise is common.
    assert rms(found - exact) < 0.15 * rms(exact)
    assert rms(found - exact) < 0.5 * rms(
        population["prediction"] - whole.predict(plan.X_test)[:, None]
    ) + 0.1 * rms(exact)


def test_few_particles_tell_training_sets_from_the_population(run):
    """They are off by more than a large set lacks, but by the same under the same noise."""
    plan, population, sets, _ = run
    assert plan.few_particles == 128 == plan.long_particles // 4
    whole = mf.stationary(plan.with_data(*plan.population)).predict(plan.X_test)
    for n_data in (8, 32, 128):
        law = mf.stationary(plan.training_set(0, n_data))
        exact = (whole - law.predict(plan.X_test))[:, None]
        found = sets["differences"][plan.data_counts.index(n_data)]
        assert rms(found - exact) < 0.15 * rms(exact)
    assert rms(population["few_particles"].mean(axis=0)[:, 0] - whole) > rms(exact)


def test_few_particles_are_an_eighth_unless_that_is_less_than_128():
    for long, few in ((4096, 512), (1024, 128), (512, 128), (200, 100), (1, 1)):
        assert line_plan(long_particles=long).few_particles == few


def test_statistical_component_is_gone_when_the_sample_is_the_population():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(24, 2))
    data = mf.Problem(
        X, np.sign(X[:, 0]), l2=0.1, temperature=0.02, X_test=X + 0.1, y_test=np.sign(X[:, 0])
    )
    plan = plan_errors(
        data,
        n_data=8,
        n_particles=8,
        n_steps=10,
        data_counts=[8, 16, 24],
        long_particles=64,
        path_particles=128,
    )
    population = intermediates.population(plan)
    sets = intermediates.training_sets(plan, 0, population)
    np.testing.assert_array_equal(sets["differences"][-1], 0)
    assert rms(sets["differences"][0]) > 0.01


def test_statistical_component_falls_with_n(run):
    errors = [rms(difference) for difference in run[2]["differences"]]
    assert errors[-1] < 0.4 * errors[0]


def test_optimisation_and_chaos_are_gone_after_long_training_of_many_particles(run):
    sets = run[2]
    plan = line_plan(particle_counts=[16, 256], n_steps=400)
    dynamics = intermediates.dynamics(plan, 0, sets)
    errors = [rms(dynamics["limit"] - network) for network in dynamics["networks"]]
    assert errors[-1] < 0.35 * errors[0]  # the root of (1/256 − 1/512) / (1/16 − 1/512) is 0.18
    # What is left of the path is the noise of its 512 particles.
    assert dynamics["path"][-1] < 0.5 * errors[0] ** 2 * 16 / 512
    assert dynamics["path"][-1] < 1e-3 * dynamics["path"][0]


def test_coupled_paths_meet_where_the_potential_is_convex():
    """With the output weights frozen, the same noise brings particles together for good."""
    target = HermiteTarget(1, {"1": 0.3})
    problem = mf.Problem(
        LINE,
        target(LINE),
        activation="identity",
        bias=False,
        train=("w",),
        l2=0.1,
        temperature=0.05,
    )
    plan = plan_errors(
        problem,
        target,
        n_particles=16,
        n_steps=40,
        n_population=128,
        data_counts=[16, 64],
        long_particles=64,
        path_particles=128,
        n_test=20,
    )
    sets = intermediates.training_sets(plan, 0, intermediates.population(plan))
    dynamics = intermediates.dynamics(plan, 0, sets)
    # Linear in the one weight: the mean is drawn back by the penalty and by the data.
    rate = 0.1 + (plan.training_set(0, 16).X ** 2).mean()
    steps = np.diff(plan.times)
    seen = dynamics["path"][1:] > 1e-8 * dynamics["path"][0]
    # The mean of fewer particles shows what the mean of all did not.
    seen &= np.diff(plan.followed) == 0
    np.testing.assert_allclose(
        np.diff(np.log(dynamics["path"]))[seen] / steps[seen],
        2 * np.log(1 - 0.2 * rate),
        rtol=1e-3,
    )
    assert seen.sum() > 5


def test_networks_are_what_training_gives(run):
    sets = run[2]
    same = line_plan(particle_counts=[32, 64], n_particles=256)
    dynamics = intermediates.dynamics(same, 0, sets)
    direct = mf.simulate(
        same.training_set(0, 16),
        256,
        step_size=same.scheme.step_size,
        n_steps=same.scheme.n_steps,
        dtype="float32",
    )
    np.testing.assert_allclose(
        dynamics["networks"][2][:, 0], direct.predict(same.X_test)[0], atol=1e-6
    )


def test_regularisation_is_gone_without_penalty_and_noise():
    found = []
    for l2, temperature in ((0.1, 0.02), (0.005, 2e-4)):
        plan = line_plan(l2, temperature, step_size=0.5, long_particles=128)
        truth = truncate_target(dataclasses.replace(plan, threshold=1e-9, degree=25)).values
        found.append(rms(truth - intermediates.population(plan)["prediction"]))
    assert found[1] < 0.15 * found[0]


def test_tail_is_what_the_coefficients_say():
    coefficients = {"1": 1.0, "1,2": 0.5, "0,3": 0.05, "3": 0.02}
    target = HermiteTarget(2, coefficients)
    X = np.random.default_rng(0).normal(size=(16, 2))
    plan = plan_errors(mf.Problem(X, target(X), bias=False), target, n_test=4000, threshold=0.5)
    truncated = truncate_target(plan)
    # σ_1 = 0.6057 and σ_3 = −0.1461 for tanh: the level of the third degree is 0.073.
    assert truncated.exact == pytest.approx(np.hypot(0.05, 0.02), rel=1e-12)
    x, y = plan.X_test.T
    direct = x + 0.5 * x * (y**2 - 1) / np.sqrt(2)
    np.testing.assert_allclose(truncated.values[:, 0], direct, rtol=1e-9, atol=1e-9)
    assert rms(plan.truth - truncated.values) == pytest.approx(truncated.exact, rel=0.1)
    whole = truncate_target(dataclasses.replace(plan, threshold=1e-6))
    assert whole.exact == 0
    np.testing.assert_allclose(whole.values, plan.truth, rtol=1e-9, atol=1e-9)


def test_held_out_estimate_finds_a_smooth_function_under_noise():
    rng = np.random.default_rng(0)
    X, held = rng.normal(size=(300, 2)), rng.normal(size=(400, 2))

    def function(inputs):
        return np.tanh(inputs[:, 0]) - 0.5 * inputs[:, 1]

    y = function(X) + 0.3 * rng.normal(size=300)
    data = mf.Problem(X, y, X_test=held, y_test=function(held))
    found = held_out_estimate(plan_errors(data)).values[:, 0]
    assert np.sqrt(((found - function(held)) ** 2).mean()) < 0.1


def test_a_network_of_two_atoms_is_compressed_to_two():
    rng = np.random.default_rng(0)
    atoms = np.array([[3.0, 1.0, 0.5], [-2.0, -0.4, 1.2]])  # a, w
    points = atoms[rng.integers(2, size=64)]
    X = rng.normal(size=(200, 2))
    problem = mf.Problem(X, np.zeros(200), bias=False)
    particles = Particles.from_arrays(points[:, 0], points[:, 1:])
    held = rng.normal(size=(50, 2))
    found = compress(problem, particles, [1, 2, 4], held)
    assert found["residuals"][0] > 0.05
    assert found["residuals"][1] < 1e-5
    exact = mf.predict(problem, particles, held)[0]
    np.testing.assert_allclose(found["predictions"][1, :, 0], exact, atol=1e-5)


def test_residual_falls_with_the_number_of_atoms():
    rng = np.random.default_rng(1)
    problem = mf.Problem(rng.normal(size=(200, 2)), np.zeros(200))
    particles = Particles.from_arrays(
        rng.normal(size=64), 2 * rng.normal(size=(64, 2)), rng.normal(size=64)
    )
    residuals = compress(problem, particles, [1, 2, 4, 8, 16], problem.X)["residuals"]
    assert (np.diff(residuals) < 0).all()
    assert residuals[-1] < 0.1 * residuals[0]


def test_cooling_ends_at_the_law_of_the_last_temperature():
    """Trained while it cools, the limit meets the long-time network of the last temperature."""
    cooling = np.concatenate([np.geomspace(0.5, 0.02, 40), np.full(260, 0.02)])
    plan = line_plan(n_steps=300, temperature=0.02)
    cooled = dataclasses.replace(plan, scheme=dataclasses.replace(plan.scheme, temperature=cooling))
    population = intermediates.population(cooled)
    np.testing.assert_array_equal(
        population["prediction"], intermediates.population(plan)["prediction"]
    )
    sets = intermediates.training_sets(cooled, 0, population)
    dynamics = intermediates.dynamics(cooled, 0, sets)
    constant = intermediates.dynamics(plan, 0, sets)
    assert dynamics["path"][0] == pytest.approx(constant["path"][0], rel=0.2)
    assert dynamics["path"][-1] < 1e-3 * dynamics["path"][0]
