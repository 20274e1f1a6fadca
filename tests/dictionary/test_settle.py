"""Atoms at a minimum of the training objective, and atoms that would change nothing."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import approx_fprime

import meanfield as mf
from meanfield.dictionary import dual_certificate, extract_dictionary
from meanfield.dictionary.settle import settle
from meanfield.problem import Problem
from tests.dictionary.dictionary_cases import problem_of, teacher


@pytest.mark.parametrize("loss", ["squared", "logistic"])
def test_settled_atoms_are_a_minimum_over_masses_outputs_and_places(loss):
    """Where masses are free, J is R + √(λ_a λ_w) Σ |c_i| |w_i|: its gradient vanishes."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((80, 2))
    y = np.tanh(1.5 * X[:, 0]) if loss == "squared" else np.sign(X[:, 0] + rng.standard_normal(80))
    problem = Problem(X, y, "tanh", loss=loss, l2=(1e-4, 0.25), bias=False)
    places, columns = np.array([[1.0, 0.3]]), np.array([[0.6]])
    w, c, _ = settle(problem, places, columns)

    def objective(parameters):
        f = parameters[2] * np.tanh(X @ parameters[:2])
        penalty = np.sqrt(1e-4 * 0.25) * abs(parameters[2]) * np.linalg.norm(parameters[:2])
        return problem.loss.value(f[:, None], problem.targets).mean() + penalty

    at = np.array([*w[0], c[0, 0]])
    assert np.abs(c).max() > 0.05
    assert np.abs(approx_fprime(at, objective, 1e-7)).max() < 1e-4


def test_frozen_places_stay_and_no_atom_needs_none():
    target = teacher("tanh", 3, 2, seed=0, angle=40)
    problem = problem_of(target, n=60, l2=0.01, train=("a",))
    w, c, _ = settle(problem, target.w, target.a[:, None])
    np.testing.assert_array_equal(w, target.w)
    assert np.linalg.norm(c) < np.linalg.norm(target.a)
    none = settle(problem, np.zeros((0, 3)), np.zeros((0, 1)))
    assert none[0].shape == (0, 3)


@pytest.mark.parametrize("seed", range(3))
def test_few_data_without_noise_lack_no_atom(seed):
    """Under a penalty tiny atoms would fit what it takes away; they would change nothing."""
    target = teacher("tanh", 10, 2, seed=seed, bias=True, angle=40)
    problem = problem_of(target, n=60, l2=1e-3, temperature=1e-6)
    cooling = mf.schedule.Geometric(1e-3, 1e-6)
    run = mf.simulate(problem, 100, step_size=0.5, n_steps=1500, temperature=cooling, seed=seed)
    found = extract_dictionary(run.particles, problem)
    assert found.n_atoms == 2
    assert not found.certificate.missing, str(found.certificate)
    assert found.certificate.change < 0.02
    assert not dual_certificate(found, problem).missing
