"""The certificate of a network with its penalty: the potential that its particles descend."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import check_grad

import meanfield as mf
from meanfield.dictionary import dual_certificate, extract_dictionary
from meanfield.dictionary.potential import PenalisedPotential
from meanfield.identify import Atoms
from meanfield.problem import Problem
from tests.dictionary.dictionary_cases import problem_of, teacher


def small_problem(name, outputs=1):
    rng = np.random.default_rng(0)
    y = rng.standard_normal((40, outputs))
    problem = Problem(rng.standard_normal((40, 2)), y, name, l2=(0.3, 0.05))
    return problem, rng.standard_normal((40, outputs))


@pytest.mark.parametrize("outputs", [1, 3])
def test_potential_is_the_least_over_output_weights(outputs):
    problem, residual = small_problem("tanh", outputs)
    place = np.array([0.7, -1.2, 0.4])
    feature = np.tanh(problem.X @ place[:2] + place[2])

    def with_output(a):
        gain = np.mean((residual @ a) * feature)
        return gain + 0.15 * a @ a + 0.025 * place @ place

    best = -np.mean(residual * feature[:, None], axis=0) / 0.3
    found = PenalisedPotential.of(problem, residual)(place[None])[0]
    assert found == pytest.approx(with_output(best), rel=1e-12)
    rng = np.random.default_rng(1)
    assert all(with_output(best + 0.1 * rng.standard_normal(outputs)) > found for _ in range(20))


@pytest.mark.parametrize("name", ["tanh", "silu", "relu"])
def test_gradient_is_the_derivative(name):
    problem, residual = small_problem(name, 2)
    potential = PenalisedPotential.of(problem, residual)
    for place in np.random.default_rng(2).standard_normal((4, 3)):
        error = check_grad(
            lambda p: potential(p[None])[0], lambda p: sum(potential.gradients(p[None]))[0], place
        )
        assert error < 1e-6


@pytest.fixture(scope="module")
def stationary():
    """A network at rest: two atoms under a penalty that keeps both."""
    target = teacher("tanh", 3, 2, seed=3, angle=40)
    problem = problem_of(target, n=200, l2=0.02, temperature=1e-9)
    run = mf.simulate(
        problem,
        n_particles=120,
        step_size=0.5,
        n_steps=4000,
        seed=1,
        temperature=mf.schedule.Geometric(1e-3, 1e-9),
    )
    return problem, extract_dictionary(run.particles, problem, target="network")


def test_network_at_rest_lacks_nothing(stationary):
    _, found = stationary
    assert found.n_atoms == 2
    assert found.confident, found.statement
    certificate = found.certificate
    assert certificate.penalised
    assert not certificate.missing
    assert certificate.gradient.max() < 0.02
    # Without noise no mass moves between atoms: one may lie a little higher than the other.
    assert certificate.potential.min() == pytest.approx(certificate.minimum, rel=0.01)
    assert certificate.potential.max() < 0.8 * certificate.minimum
    assert "nowhere lower" in str(certificate)


@pytest.mark.parametrize("gone", [0, 1])
def test_atom_that_is_taken_out_is_missed(stationary, gone):
    problem, found = stationary
    f, keep = found.function, np.arange(2) != gone
    part = Atoms(
        f.activation,
        f.coefficients[keep],
        f.w[keep],
        f.b[keep],
        f.constant,
        f.linear,
        f.mass[keep],
    )
    certificate = dual_certificate(part, problem, penalised=True)
    assert certificate.missing
    assert "lacks an atom near" in str(certificate)
    w = certificate.minimiser
    cosine = abs(w @ f.w[gone]) / np.linalg.norm(w) / np.linalg.norm(f.w[gone])
    assert cosine > np.cos(np.radians(15))


@pytest.mark.parametrize("name", ["relu", "silu"])
def test_penalised_teacher_misses_what_is_taken_out(name):
    # No stationary network here: its atoms themselves show that a direction is not served.
    target = teacher(name, 4, 3, seed=7, angle=35)
    problem = problem_of(target, l2=0.01)
    part = Atoms(
        target.activation,
        target.a[1:],
        target.w[1:],
        np.zeros(2),
        0.0,
        np.zeros(4),
        np.full(2, 0.5),
    )
    certificate = dual_certificate(part, problem, penalised=True)
    assert certificate.missing
    w, gone = certificate.minimiser, target.w[0]
    assert abs(w @ gone) / np.linalg.norm(w) / np.linalg.norm(gone) > np.cos(np.radians(25))


def test_penalty_hides_atoms_that_labels_call_for():
    # Under a strong penalty the network is one atom, though its labels come from three.
    target = teacher("tanh", 2, 3, seed=0, bias=True, angle=40)
    problem = problem_of(target, n=200, l2=0.15, temperature=1e-7)
    run = mf.simulate(
        problem,
        n_particles=100,
        step_size=0.3,
        n_steps=2500,
        temperature=mf.schedule.Geometric(1e-2, 1e-7),
    )
    own = extract_dictionary(run.particles, problem, target="network")
    labels = extract_dictionary(run.particles, problem, target="labels")
    assert own.n_atoms < 3
    assert own.confident, own.statement
    assert own.compression_gap < 0.02
    assert not own.certificate.missing
    assert labels.n_atoms == 3
    assert not labels.confident
    assert "differ by" in labels.statement


def test_penalty_is_needed():
    problem, _ = small_problem("tanh")
    free = Problem(problem.X, problem.y, "tanh", l2=0.0)
    with pytest.raises(ValueError, match="l2 > 0"):
        dual_certificate((np.ones(2), np.ones((2, 2))), free, penalised=True)


def test_few_data_make_the_network_the_target():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((60, 10))
    problem = Problem(X, np.sign(X[:, 0]), "tanh", bias=False)
    w = np.tile(np.eye(10)[0], (30, 1)) + 0.01 * rng.standard_normal((30, 10))
    found = extract_dictionary((np.ones(30), w), problem)
    assert found.target == "network"
    assert found.n_atoms == 1
    assert found.confident, found.statement


def test_places_in_many_dimensions_are_cut_short():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((300, 30))
    problem = Problem(X, np.tanh(2 * X[:, 4]), "tanh", bias=False)
    text = str(dual_certificate((np.zeros(2), np.ones((2, 30))), problem))
    assert "in coordinate 5" in text
    assert len(text) < 250
