"""Particles against the stationary law: exact identities and closed forms."""

from __future__ import annotations

import numpy as np
import pytest

import meanfield as mf
from meanfield.limit.stationary_comparison import (
    stationary_amplitude,
    stationary_distance,
    stationary_grid,
    step_size_bias,
)

X = np.array([[-0.9], [-0.3], [0.4], [1.1]])
Y = np.array([-1.2, 0.1, 0.8, 0.6])


def make(**changes):
    settings = {"bias": False, "train": ("w",), "l2": 0.2, "temperature": 0.1} | changes
    return mf.Problem(X, Y, **settings)


@pytest.fixture(scope="module")
def law():
    return mf.stationary(make())


@pytest.fixture(scope="module")
def linear():
    """A Gaussian law: mean ⟨xy⟩ / (⟨x²⟩ + λ), variance τ / λ."""
    return mf.stationary(make(activation="identity"))


def test_amplitude_is_a_projection(law):
    f = law.predictions
    across = np.array([1.0, 0.0, 0.0, 0.0]) - f[0] * f / (f @ f)
    runs = np.stack([f, 0.7 * f, across, 2 * f + 3 * across])
    np.testing.assert_allclose(stationary_amplitude(runs, law), [1.0, 0.7, 0.0, 2.0], atol=1e-15)
    assert stationary_amplitude(0.5 * f, law) == pytest.approx(0.5)


def test_amplitude_of_two_outputs():
    two = mf.stationary(mf.Problem(X, np.stack([Y, -Y], 1), l2=0.3, temperature=0.2, bias=False))
    runs = two.predictions * np.array([1.0, 3.0])[:, None, None]
    np.testing.assert_allclose(stationary_amplitude(runs, two), [1.0, 3.0])
    with pytest.raises(ValueError, match=r"predictions must have shape \(\.\.\., 4, 2\)"):
        stationary_amplitude(np.ones((5, 4)), two)


def test_grid_has_the_mass_and_the_moments_of_the_law(law):
    grid = stationary_grid(law, 8.0)
    assert grid.masses.sum() == pytest.approx(1.0)
    np.testing.assert_allclose(grid.mean(), law.mean(), atol=1e-9)
    np.testing.assert_allclose(grid.covariance(), law.covariance(), atol=1e-9)
    np.testing.assert_allclose(grid.density, law.density(grid.axes[0][:, None]), atol=1e-9)


def test_distance_of_one_particle_is_its_square_and_the_variance(linear):
    particles = mf.Particles(np.ones((3, 1)), np.array([[[6.0]], [[-5.0]], [[1.0]]]), None)
    found = stationary_distance(particles, linear)
    mean = np.mean(X[:, 0] * Y) / (np.mean(X**2) + 0.2)
    exact = (np.array([6.0, -5.0, 1.0]) - mean) ** 2 + 0.1 / 0.2
    assert found.particles.value == pytest.approx(exact.mean(), rel=1e-6)
    assert found.particles.high - found.particles.value == pytest.approx(
        4.302653 * exact.std(ddof=1) / np.sqrt(3), rel=1e-6
    )


def test_distance_of_draws_is_that_of_draws(law):
    found = stationary_distance(law.sample(200, 6, 5), law, seed=5)
    assert found.particles.value == found.draws.value > 0
    assert found.particles.interval == found.draws.interval
    away = stationary_distance(law.sample(200, 6, 5), law, seed=6)
    assert away.draws.value != found.draws.value


def test_particles_of_a_long_run_are_about_draws(linear):
    run = mf.simulate(linear.problem, 256, 0.25, 80, n_replicas=16, seed=3)
    found = stationary_distance(run.particles, linear)
    assert found.particles.value < 4 * found.draws.value
    amplitude = stationary_amplitude(run.predictions[:, -1], linear)
    assert amplitude.mean() == pytest.approx(1.0, abs=0.1)


def test_bias_of_euler_is_of_order_one(law):
    found = step_size_bias(law, step_size=0.5, n_steps=100)
    np.testing.assert_array_equal(found.step_sizes, [0.5, 0.25, 0.125])
    assert found.order.value == pytest.approx(1.0, abs=0.1)
    assert (found.order.expected, found.order.interval) == (1.0, None)
    path = mf.mean_field(law.problem, "chain", step_size=0.25, n_steps=200)
    np.testing.assert_array_equal(found.predictions[1], path.predictions[-1])
    gap = path.predictions[-1] - law.predictions
    assert found.errors[1] == pytest.approx(np.sqrt(np.mean(gap**2)))
    assert stationary_amplitude(found.predictions[0], law) == pytest.approx(1.0, abs=0.05)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda law: stationary_distance(law.sample(9), law), "law must be that of one trained"),
        (lambda law: stationary_grid(law, 2.0), "one trained parameter, this one has 2"),
        (
            lambda law: step_size_bias(law, step_size=0.1, n_steps=2, integrator="kinetic"),
            "needs an integrator whose next law",
        ),
        (
            lambda law: step_size_bias(law, step_size=0.1, n_steps=2, refinements=(1, 2)),
            "at least 3 different step sizes",
        ),
    ],
)
def test_what_does_not_apply_is_told(call, message):
    with pytest.raises(ValueError, match=message):
        call(mf.stationary(make(train=("a", "w"))))


@pytest.mark.parametrize("labels", [np.square, np.zeros_like])
def test_nothing_is_measured_relative_to_a_limit_of_zero(labels):
    """An odd activation without bias, and labels that are even: the limit is zero by symmetry."""
    x = np.arange(-2.0, 2.1, 0.5)[:, None]
    y = labels(x[:, 0])
    problem = mf.Problem(x, y, bias=False, train=("w",), l2=0.2, temperature=0.1)
    law = mf.stationary(problem)
    assert law.is_zero
    with pytest.raises(ValueError, match="stationary network is zero"):
        stationary_amplitude(law.predictions, law)
    with pytest.raises(ValueError, match="stationary network is zero"):
        mf.limit.integrator_errors(problem)
    found = mf.limit.step_size_bias(law, step_size=0.4, n_steps=50)
    assert not found.order.known
    assert "zero up to rounding" in found.order.notes[0].text
    path = mf.mean_field(problem, "chain", step_size=0.2, n_steps=60)
    run = mf.simulate(problem, 16, 0.2, 60, n_replicas=3, save_at=range(61))
    with pytest.raises(ValueError, match="limit is zero at all times, up to rounding"):
        mf.limit.relaxation_rate(run.times, path.predictions, run.predictions)
    assert not mf.stationary(problem.replace(y=np.sin(x[:, 0]))).is_zero
