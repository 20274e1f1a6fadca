"""The learning cell on targets whose triple is known."""

from __future__ import annotations

import numpy as np
import pytest

import meanfield as mf
from meanfield.cell import learning_cell, train_cooled
from meanfield.problem import Problem
from meanfield.problem.targets import HermiteTarget, Teacher

FAST = {"n_data": 300, "n_particles": 120, "n_steps": 800}


def test_cell_of_a_teacher():
    target = Teacher([1.0, -1.0], [[2.0, 0.0], [1.0, 1.5]], activation="tanh")
    cell = learning_cell("tanh", target, step_size=0.5, **FAST)
    assert cell.w_star.order.value == 2.0
    assert (cell.orbit_depth, cell.depth.variety.depth) == (3, 3)
    assert cell.n_atoms == 2
    assert cell.dictionary.confident, cell.statement
    assert cell.within_bound
    assert "S* = 2" in cell.statement
    assert "taking the inputs" not in cell.statement


def test_compact_initial_law_and_given_particles():
    target = Teacher([1.0], [[2.0, 0.0]], activation="tanh")
    cell = learning_cell("tanh", target, init="uniform-ball", step_size=0.5, **FAST)
    assert cell.w_star.order.value == np.inf
    again = learning_cell("tanh", target, particles=cell.particles, n_data=300)
    assert again.n_atoms == cell.n_atoms == 1
    assert again.particles is cell.particles


def test_step_size_that_diverges_is_replaced(brief_trials):
    target = Teacher([1.0], [[2.0, 0.0]], activation="relu")
    cell = learning_cell("relu", target, step_size=500.0, n_data=60, n_particles=40, n_steps=400)
    assert np.isfinite(cell.particles.w).all()


def test_measured_size_above_the_bound_is_said_loudly():
    # With so high a threshold nothing counts, but the network has its atom.
    target = Teacher([1.0], [[2.0, 0.0]], activation="tanh")
    cell = learning_cell("tanh", target, threshold=100.0, step_size=0.5, **FAST)
    assert not cell.within_bound
    assert "ATTENTION" in cell.statement


def test_problem_with_its_own_data():
    X = np.random.default_rng(0).standard_normal((300, 2))
    problem = Problem(X, np.tanh(2 * X[:, 0]), "tanh", bias=False, l2=1e-3, temperature=1e-5)
    cell = learning_cell("tanh", problem, degree=3, step_size=0.5, n_particles=120, n_steps=800)
    assert cell.n_atoms == 1
    assert cell.threshold.expansion.method == "least squares"
    assert "Count (taking the inputs for standard normal)" in cell.statement
    with pytest.raises(ValueError, match="give the same"):
        learning_cell("relu", problem)
    other = Problem(X, X[:, 0], "tanh", bias=False)
    with pytest.raises(ValueError, match="two problems"):
        learning_cell("tanh", problem, problem=other)


def test_missing_degree_is_reported():
    cell = learning_cell(
        "tanh", HermiteTarget(2, {"1": 1.0, "2": 0.5}), bias=False, step_size=0.5, **FAST
    )
    assert cell.threshold.barron_norm == np.inf
    assert "lacks" in cell.statement


@pytest.mark.parametrize(
    ("target", "error", "words"),
    [(3.0, TypeError, "callable"), (np.tanh, ValueError, "d is needed")],
)
def test_bad_targets(target, error, words):
    with pytest.raises(error, match=words):
        learning_cell("tanh", target)


def test_a_schedule_is_followed_and_a_constant_cooled_to():
    problem = mf.Problem(np.eye(3), [0.0, 1.0, 2.0], temperature=1e-4)
    settings = {"step_size": 0.1, "n_steps": 20, "seed": 2}
    falling = np.geomspace(1e-3, 1e-4, 20)
    cooled = train_cooled(problem, mf.Scheme.of(problem, **settings), 16)
    followed = train_cooled(problem, mf.Scheme.of(problem, temperature=falling, **settings), 16)
    run = mf.simulate(problem, 16, temperature=falling, **settings)
    for particles in (cooled, followed):
        np.testing.assert_array_equal(particles.coordinates, run.particles.coordinates)
