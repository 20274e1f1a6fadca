"""Where the neurons of a network come to rest, and networks whose number of atoms is open."""

from __future__ import annotations

import numpy as np
import pytest

import meanfield as mf
from meanfield.dictionary import extract_dictionary
from meanfield.dictionary.fitting import make_regression
from meanfield.dictionary.potential import PenalisedPotential
from meanfield.dictionary.rest import Rest, come_to_rest
from meanfield.dictionary.support import collect
from meanfield.identify.atoms import as_atoms
from meanfield.problem import Problem
from tests.dictionary.dictionary_cases import problem_of, teacher


def rest_of(problem, particles):
    network = as_atoms(particles, problem.activation)
    predictions = network.predict(problem.X).reshape(problem.targets.shape)
    regression = make_regression(problem, predictions)
    crowd = collect(regression, network, problem.bias)
    signals = problem.loss.derivative(predictions, problem.targets)
    return come_to_rest(PenalisedPotential.of(problem, signals), regression, crowd)


@pytest.fixture(scope="module")
def cooled():
    """A problem, and its network of two atoms before and after it has settled."""
    target = teacher("tanh", 3, 2, seed=3, angle=40)
    problem = problem_of(target, n=200, l2=0.02, temperature=1e-9)
    cooling = mf.schedule.Geometric(1e-3, 1e-9)
    run = mf.simulate(
        problem, 120, step_size=0.5, n_steps=4000, seed=1, temperature=cooling, save_at=[40, 4000]
    )
    return problem, run.at(40), run.particles


def test_wells_of_a_network_at_rest_are_its_atoms(cooled):
    problem, early, late = cooled
    found = rest_of(problem, late)
    assert (found.wells, found.settled) == (2, True)
    assert found.advice(2) == ""
    assert not rest_of(problem, early).settled
    own = extract_dictionary(late, problem, target="network")
    assert own.n_atoms_set == (2,)
    assert own.confident, own.statement


def test_the_sentence_names_the_key_to_change():
    assert "run.n_steps" in Rest(1, 0.3).advice(1)
    assert "30%" in Rest(1, 0.3).advice(1)
    assert "problem.l2" in Rest(7, 0.0).advice(2)
    assert "7 wells" in Rest(7, 0.0).advice(2)


def test_descent_ends_at_a_minimum(cooled):
    problem, early, _ = cooled
    network = as_atoms(early, problem.activation)
    residual = network.predict(problem.X)[:, None] - problem.targets
    potential = PenalisedPotential.of(problem, residual)
    place, value = potential.descend(network.w[0])
    assert value <= potential(network.w[:1])[0]
    assert np.abs(sum(potential.gradients(place[None]))).max() < 1e-4


def test_labels_of_two_values_are_classes_and_not_fitted():
    """Atoms that separate them have no finite length."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((300, 3))
    problem = Problem(X, np.sign(X[:, 0] + 0.5 * X[:, 1]), "tanh", l2=0.01, temperature=1e-6)
    particles = mf.simulate(problem, 100, step_size=0.5, n_steps=300).particles
    found = extract_dictionary(particles, problem)
    assert found.target == "network"
    longest = np.linalg.norm(particles.w[0], axis=1).max()
    assert np.linalg.norm(found.function.w, axis=1).max() < 2 * longest


def test_a_network_of_many_neurons_gets_a_set_of_sizes_and_advice():
    """Labels that are noise, at a weak penalty: every neuron may have a well of its own."""
    rng = np.random.default_rng(1)
    X = rng.standard_normal((200, 5))
    y = np.sign(rng.standard_normal(200))
    problem = Problem(X, y, "tanh", l2=1e-3, temperature=1e-6)
    particles = mf.simulate(problem, 150, step_size=0.2, n_steps=600).particles
    found = extract_dictionary(particles, problem)
    assert not found.confident
    assert "problem.l2" in found.statement or "run.n_steps" in found.statement


def test_a_network_that_may_fit_noise_is_not_relied_on():
    """Thirty noisy labels of two atoms, of which a network makes more."""
    target = teacher("silu", 4, 2, seed=132, angle=25)
    problem = problem_of(target, n=30, noise=0.2, seed=132, l2=0.01, temperature=1e-6)
    cooling = mf.schedule.Geometric(1e-3, 1e-6)
    run = mf.simulate(problem, 100, step_size=0.4, n_steps=800, temperature=cooling, seed=132)
    found = extract_dictionary(run.particles, problem, seed=132)
    assert found.target == "network"
    assert found.n_atoms > 2
    assert not found.confident
    assert "30 distinct inputs do not determine so many" in found.statement
