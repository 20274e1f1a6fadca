"""Particles that start from an array, or from a law of the user's own."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

import meanfield as mf
from meanfield.flow.initial import SampledLaw, as_initial_law

X = np.random.default_rng(0).normal(size=(12, 2))
PROBLEM = mf.Problem(X, np.sin(X[:, 0]), temperature=0.01)


def sampler(n, generator):
    """Two clouds of particles."""
    side = np.where(generator.random(n) < 0.5, -2.0, 2.0)
    return side[:, None] + 0.1 * generator.standard_normal((n, 4))


def test_an_array_is_particles():
    points = np.random.default_rng(1).normal(size=(30, 4))
    particles = mf.Particles.from_arrays(points[:, 0], points[:, 1:3], points[:, 3])
    options = {"step_size": 0.1, "n_steps": 5, "seed": 1}
    by_array, by_particles = (
        mf.simulate(PROBLEM, init=init, **options) for init in (points, particles)
    )
    np.testing.assert_array_equal(
        by_array.particles.coordinates, by_particles.particles.coordinates
    )
    np.testing.assert_array_equal(by_array.at(0).coordinates[0], points)
    several = mf.simulate(PROBLEM, init=np.stack([points, -points]), **options)
    assert several.particles.coordinates.shape == (2, 30, 4)
    laws = [mf.Scheme.of(PROBLEM, init=init, **options).init for init in (points, particles)]
    assert laws[0] == laws[1]


def test_a_sampler_is_a_law_of_nested_systems():
    law = as_initial_law(sampler)
    large = law.sample(PROBLEM, 200, seed=3, replica=1)
    np.testing.assert_array_equal(law.sample(PROBLEM, 70, seed=3, replica=1), large[:, :70])
    assert np.abs(large[:, 64:128] - large[:, :64]).max() > 1
    assert not np.array_equal(law.sample(PROBLEM, 200, seed=3, replica=2), large)
    assert not np.array_equal(law.sample(PROBLEM, 200, seed=4, replica=1), large)
    assert np.abs(np.abs(large) - 2).max() < 0.6
    # Of 20 000 particles half lie on either side, to six standard errors.
    many = law.sample(PROBLEM, 20_000, seed=0)
    assert abs((many[0] > 0).mean() - 0.5) < 6 * 0.5 / np.sqrt(20_000)


def test_a_law_is_what_it_draws():
    def other(n, generator):
        return 1.001 * sampler(n, generator)

    law = as_initial_law(sampler)
    assert law == as_initial_law(sampler) == pickle.loads(pickle.dumps(law))
    assert law != as_initial_law(other)
    assert SampledLaw(scale=2.0, sampler=sampler) != law
    options = {"step_size": 0.1, "n_steps": 3}
    first, second = (mf.Scheme.of(PROBLEM, init=init, **options) for init in (sampler, other))
    assert first.fingerprint != second.fingerprint


def test_rates_and_mean_fields_start_from_it():
    options = {"step_size": 0.1, "n_steps": 4, "init": sampler}
    run = mf.simulate(PROBLEM, n_particles=100, n_replicas=2, seed=5, **options)
    expected = as_initial_law(sampler).sample(PROBLEM, 100, seed=5, replica=1).T
    np.testing.assert_array_equal(run.at(0).coordinates[1], expected)
    rates = mf.chaos_rates(PROBLEM, particle_counts=[8, 16, 32], n_replicas=4, times=[4], **options)
    assert np.isfinite(rates.dataset["function"]).all()


@pytest.mark.parametrize(
    ("init", "message"),
    [
        (
            np.zeros((5, 3)),
            r"init is an array of shape \(5, 3\); give one particle a row, \(N, 4\)",
        ),
        (np.full((5, 4), np.nan), "init holds NaN"),
        (np.zeros(4), "init must be a law's name"),
        (3, "init must be a law's name, .* or a sampler, got int"),
        (lambda n, generator: np.zeros((n, 3)), "init draws particles of 3 coordinates"),
        (lambda n, generator: np.zeros((3, 4)), "init must return 64 particles"),
        (lambda n, generator: np.full((n, 4), np.inf), "init draws NaN or infinite"),
    ],
)
def test_what_cannot_be_a_start(init, message):
    with pytest.raises((ValueError, TypeError), match=message):
        mf.simulate(PROBLEM, step_size=0.1, n_steps=1, init=init)
